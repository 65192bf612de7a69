//! Deletes what an application applied before it goes itself, if its finalizers ask for that.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kube::runtime::controller::Action;

use super::memory::Remembered;
use super::{Context, Error, compare, record, resolve};
use crate::api::application::Application;
use crate::api::names;
use crate::engine::desired;
use crate::engine::live::Live;
use crate::engine::status::{self, Condition, ConditionKind, Notice, Severity};
use crate::engine::step::{self, Failure, Propagation, Reason, Step};
use crate::engine::tracking::{self, Owner};
use crate::manifest::{Gvk, Manifest};

/// Finalizers that ask for the application's objects to be deleted.
const FINALIZERS: [&str; 4] = [
    names::RESOURCES_FINALIZER,
    names::ARGO_RESOURCES_FINALIZER,
    names::ARGO_FOREGROUND_FINALIZER,
    names::ARGO_BACKGROUND_FINALIZER,
];

/// How long to wait before looking again where no watch will wake us.
const PAUSE: Duration = Duration::from_secs(5);

/// Goes on with deleting an application.
pub(super) async fn application(
    context: &Context,
    memory: &mut Remembered,
    application: &Arc<Application>,
) -> Result<Action, Error> {
    let held: Vec<_> = application
        .metadata
        .finalizers
        .iter()
        .flatten()
        .filter(|finalizer| FINALIZERS.contains(&finalizer.as_str()))
        .cloned()
        .collect();
    if held.is_empty() {
        context.memory.forget(application);
        return Ok(Action::await_change());
    }
    let background = held.iter().all(|finalizer| finalizer == names::ARGO_BACKGROUND_FINALIZER);
    let propagation = if background { Propagation::Background } else { Propagation::Foreground };
    match delete_objects(context, application, propagation).await? {
        Progress::Gone => (),
        Progress::Waiting => return Ok(Action::requeue(PAUSE)),
        Progress::Orphaned(reason) => orphaned(context, application, &reason).await,
        Progress::Failed(failure) => {
            failed(context, memory, application, &failure).await?;
            return Ok(Action::requeue(2 * PAUSE));
        }
    }
    let mut application = Arc::clone(application);
    for finalizer in held {
        match context.parts.store.remove_finalizer(&application, &finalizer).await? {
            Some(written) => application = memory.wrote(written),
            None => break,
        }
    }
    context.memory.forget(&application);
    Ok(Action::await_change())
}

enum Progress {
    /// Nothing is left.
    Gone,
    /// Objects are on their way out.
    Waiting,
    /// Nothing can be deleted, and the application must not stay for that.
    Orphaned(String),
    /// Deleting was refused.
    Failed(Failure),
}

/// Deletes the objects of the highest wave that is left.
async fn delete_objects(
    context: &Context,
    application: &Application,
    propagation: Propagation,
) -> Result<Progress, Error> {
    let cluster = &context.parts.cluster;
    let recorded = compare::recorded_kinds(&status::of(application));
    if recorded.is_empty() {
        return Ok(Progress::Gone);
    }
    let resolved = match resolve::for_deletion(context, application) {
        Ok(resolved) => resolved,
        Err(message) => {
            let failure = Failure { reason: Reason::NotFound, message };
            return refused(context, application, failure).await;
        }
    };
    cluster.learn(&recorded).await?;
    let kinds: Vec<Gvk> = recorded.into_iter().filter(|gvk| cluster.scope(gvk).is_some()).collect();
    cluster.watch(&kinds).await?;
    let subject = &resolved.subject;
    let ours = |live: &Arc<Live>| {
        tracking::owner(live, &subject.project, &subject.name) == Owner::Ours
            && live.key.kind != "CustomResourceDefinition"
            && desired::permits(subject, &resolved.project.spec, &live.key)
    };
    let labelled = cluster.of(&tracking::label_value(&subject.project, &subject.name));
    let objects: Vec<_> = labelled.into_iter().filter(ours).filter_map(|live| deletable(&live)).collect();
    let waves: BTreeSet<i64> = objects.iter().map(|(wave, _)| *wave).collect();
    let Some(highest) = waves.last() else { return Ok(Progress::Gone) };
    let steps: Vec<Step> = objects
        .iter()
        .filter(|(wave, live)| wave == highest && !live.deleting)
        .map(|(_, live)| Step {
            key: live.key.clone(),
            gvk: live.gvk.clone(),
            action: step::Action::Delete { uid: live.uid.clone(), propagation },
            dry_run: false,
        })
        .collect();
    let outcomes = cluster.execute(&resolved.actor, &steps).await;
    let failure = outcomes.into_iter().find_map(|outcome| outcome.result.err());
    match failure {
        None => Ok(Progress::Waiting),
        Some(failure) => refused(context, application, failure).await,
    }
}

/// Returns the object with its wave, unless its annotations keep it.
fn deletable(live: &Arc<Live>) -> Option<(i64, Arc<Live>)> {
    let hints = Manifest::new(live.value()).ok()?.hints();
    (!hints.options.no_delete).then(|| (hints.wave, Arc::clone(live)))
}

/// While a project's namespace is deleted, the rights of its service account may go before its
/// applications. Holding on to them would keep the namespace for ever: they go, and what is outside
/// the namespace stays.
async fn refused(context: &Context, application: &Application, failure: Failure) -> Result<Progress, Error> {
    let namespace = application.metadata.namespace.as_deref().unwrap_or_default();
    let denied = matches!(failure.reason, Reason::Forbidden | Reason::NotFound);
    if denied && context.parts.cluster.namespace_ends(namespace).await? {
        return Ok(Progress::Orphaned(format!(
            "the namespace {namespace} is being deleted and with it the rights to delete: {}",
            failure.message
        )));
    }
    Ok(Progress::Failed(failure))
}

async fn orphaned(context: &Context, application: &Application, reason: &str) {
    let message = format!("Left the application's objects in place: {reason}");
    tracing::warn!(
        project = application.metadata.namespace.as_deref().unwrap_or_default(),
        name = application.metadata.name.as_deref().unwrap_or_default(),
        reason,
        "left the application's objects in place"
    );
    let notice = Notice { severity: Severity::Warning, reason: "StatusRefreshed", message };
    record::tell(context, application, &notice).await;
}

async fn failed(
    context: &Context,
    memory: &mut Remembered,
    application: &Arc<Application>,
    failure: &Failure,
) -> Result<(), Error> {
    let message = format!("Unable to delete application resources: {}", failure.message);
    let before = status::of(application);
    let condition = Condition { kind: ConditionKind::DeletionError, message: message.clone() };
    let after = status::with_conditions(before.clone(), &before, &[condition], context.now());
    if after != before {
        record::write(context, memory, application, &after).await?;
        let notice = Notice { severity: Severity::Warning, reason: "StatusRefreshed", message };
        record::tell(context, application, &notice).await;
    }
    Ok(())
}
