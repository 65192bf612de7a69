//! What makes applications and projects be looked at: changes of theirs, of what they manage, and time.

use std::sync::Arc;

use futures::{Stream, StreamExt};
use kube::ResourceExt;
use kube::runtime::controller::{Config, Controller};
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::{WatchStreamExt, watcher};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Context, Parts, memory, project, reconcile};
use crate::api::application::Application;
use crate::api::project::Project;
use crate::engine::tracking;

/// How many projects are reconciled side by side.
const PROJECTS: u16 = 4;

/// Runs until `shutdown`.
pub async fn run(parts: Parts, shutdown: CancellationToken) {
    let (applications, application_writer) = reflector::store::<Application>();
    let (projects, project_writer) = reflector::store::<Project>();
    let application_events =
        parts.store.watch_applications().default_backoff().reflect(application_writer).applied_objects();
    let project_events =
        parts.store.watch_projects().default_backoff().reflect(project_writer).applied_objects();
    let (wake, woken) = mpsc::unbounded_channel();
    let context =
        Arc::new(Context { parts, applications, projects, wake, memory: memory::Memory::default() });
    tokio::join!(
        run_applications(&context, application_events, woken, &shutdown),
        run_projects(&context, project_events, &shutdown),
    );
}

async fn run_applications(
    context: &Arc<Context>,
    events: impl Stream<Item = Result<Application, watcher::Error>> + Send + 'static,
    woken: mpsc::UnboundedReceiver<ObjectRef<Application>>,
    shutdown: &CancellationToken,
) {
    let config = Config::default().concurrency(context.parts.settings.concurrency);
    let passes = Controller::for_stream(events, context.applications.clone())
        .with_config(config)
        .reconcile_on(changed(Arc::clone(context)))
        .reconcile_on(futures::stream::unfold(woken, |mut woken| async {
            Some((woken.recv().await?, woken))
        }))
        .graceful_shutdown_on(shutdown.clone().cancelled_owned())
        .run(ready_then_reconcile, reconcile::again, Arc::clone(context));
    passes.for_each(|_| std::future::ready(())).await;
}

/// An application is judged by its project, so projects must be known before the first one is.
async fn ready_then_reconcile(
    application: Arc<Application>,
    context: Arc<Context>,
) -> Result<kube::runtime::controller::Action, super::Error> {
    if context.projects.wait_until_ready().await.is_err() {
        return Ok(kube::runtime::controller::Action::await_change());
    }
    reconcile::application(application, context).await
}

async fn run_projects(
    context: &Arc<Context>,
    events: impl Stream<Item = Result<Project, watcher::Error>> + Send + 'static,
    shutdown: &CancellationToken,
) {
    let passes = Controller::for_stream(events, context.projects.clone())
        .with_config(Config::default().concurrency(PROJECTS))
        .graceful_shutdown_on(shutdown.clone().cancelled_owned())
        .run(project::project, project::again, Arc::clone(context));
    passes.for_each(|_| std::future::ready(())).await;
}

/// Applications of which something live has changed.
fn changed(context: Arc<Context>) -> impl Stream<Item = ObjectRef<Application>> {
    let changes = context.parts.cluster.changes();
    changes.filter_map(move |label| std::future::ready(labelled(&context, &label)))
}

fn labelled(context: &Context, label: &str) -> Option<ObjectRef<Application>> {
    if let Some((project, name)) = label.split_once('.') {
        let reference = ObjectRef::new(name).within(project);
        if context.applications.get(&reference).is_some() {
            return Some(reference);
        }
    }
    // Long names are hashed in labels.
    let fits = |application: &Application| {
        tracking::label_value(&application.namespace().unwrap_or_default(), &application.name_any()) == label
    };
    context.applications.find(|application| fits(application)).map(|found| ObjectRef::from_obj(&*found))
}
