//! Which kinds a cluster serves. The answer is a snapshot that follows definitions of custom
//! resources and registrations of API servers, so that a kind is known about a second after its definition.

pub mod kinds;

use std::sync::Arc;
use std::time::Duration;

use kube::client::{APIGroupDiscoveryList, Client};
use tokio::sync::{Mutex, Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use self::kinds::{Kinds, Resource};
use super::Error;
use super::request::{Refusal, exchange, get};
use super::watch::{Form, Sink, Source, follow};
use crate::engine::live::Live;
use crate::manifest::{Gvk, Scope};

/// How long an unknown kind is taken as unknown before the cluster is asked again.
const PATIENCE: Duration = Duration::from_secs(10);
/// kube-apiserver serves and announces a kind some moments after its definition changed.
const AFTER_A_CHANGE: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(900), Duration::from_secs(3)];
/// One answer with every group, version and resource; Kubernetes has it since 1.27.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// Follows which kinds a cluster serves. Clones share the snapshot.
#[derive(Clone)]
pub struct Discovery {
    shared: Arc<Shared>,
    /// Ends the tasks with the last clone.
    _tasks: Arc<Tasks>,
}

struct Shared {
    client: Client,
    kinds: watch::Sender<Arc<Kinds>>,
    /// When the last refresh began; held while one runs.
    refreshed: Mutex<Instant>,
    changed: Notify,
}

struct Tasks(Vec<AbortHandle>);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

impl Discovery {
    /// Asks which kinds are served and goes on to follow changes. Fails if the cluster does not answer.
    pub async fn start(client: Client) -> Result<Self, Error> {
        let started = Instant::now();
        let kinds = Arc::new(load(&client, &Kinds::default()).await.map_err(|refusal| unreadable(&refusal))?);
        let shared = Arc::new(Shared {
            client,
            kinds: watch::Sender::new(kinds),
            refreshed: Mutex::new(started),
            changed: Notify::new(),
        });
        let mut tasks = vec![tokio::spawn(refresh_on_change(shared.clone())).abort_handle()];
        for (group, kind, plural) in DEFINITIONS {
            tasks.push(tokio::spawn(definitions(shared.clone(), group, kind, plural)).abort_handle());
        }
        Ok(Self { shared, _tasks: Arc::new(Tasks(tasks)) })
    }

    /// Serves a fixed set of kinds until it is refreshed.
    #[must_use]
    pub fn fixed(client: Client, kinds: Kinds) -> Self {
        let shared = Shared {
            client,
            kinds: watch::Sender::new(Arc::new(kinds)),
            refreshed: Mutex::new(Instant::now()),
            changed: Notify::new(),
        };
        Self { shared: Arc::new(shared), _tasks: Arc::new(Tasks(Vec::new())) }
    }

    /// Returns the kinds as last seen.
    #[must_use]
    pub fn kinds(&self) -> Arc<Kinds> {
        self.shared.kinds.borrow().clone()
    }

    /// Returns whether objects of the kind live in namespaces; `None` if the kind is not served.
    #[must_use]
    pub fn scope(&self, gvk: &Gvk) -> Option<Scope> {
        self.kinds().scope(gvk)
    }

    /// Returns how the kind is served. An unknown kind is asked for again, at most every ten seconds.
    pub async fn resource(&self, gvk: &Gvk) -> Result<Resource, Error> {
        if let Some(resource) = self.kinds().resource(gvk) {
            return Ok(resource.clone());
        }
        self.learn([gvk]).await?;
        self.kinds().resource(gvk).cloned().ok_or_else(|| Error::UnknownKind(gvk.clone()))
    }

    /// Makes sure that kinds which are not known are asked for again, at most every ten seconds.
    pub async fn learn(&self, kinds: impl IntoIterator<Item = &Gvk>) -> Result<(), Error> {
        let known = self.kinds();
        if kinds.into_iter().all(|gvk| known.resource(gvk).is_some()) {
            return Ok(());
        }
        self.refresh_since(Instant::now().checked_sub(PATIENCE)).await
    }

    /// Asks the cluster now.
    pub async fn refresh(&self) -> Result<Arc<Kinds>, Error> {
        self.refresh_since(Some(Instant::now())).await?;
        Ok(self.kinds())
    }

    /// Returns a receiver that sees each new snapshot.
    pub(super) fn subscribe(&self) -> watch::Receiver<Arc<Kinds>> {
        self.shared.kinds.subscribe()
    }

    async fn refresh_since(&self, since: Option<Instant>) -> Result<(), Error> {
        self.shared.refresh_since(since).await.map_err(|refusal| unreadable(&refusal))
    }
}

impl Shared {
    /// Loads the kinds unless a load began after `since`; concurrent callers share one.
    async fn refresh_since(&self, since: Option<Instant>) -> Result<(), Refusal> {
        let mut refreshed = self.refreshed.lock().await;
        if since.is_some_and(|since| *refreshed >= since) {
            return Ok(());
        }
        let started = Instant::now();
        let previous = self.kinds.borrow().clone();
        let kinds = load(&self.client, &previous).await?;
        *refreshed = started;
        self.kinds.send_if_modified(|current| {
            let differs = **current != kinds;
            *current = Arc::new(kinds);
            differs
        });
        Ok(())
    }
}

fn unreadable(refusal: &Refusal) -> Error {
    Error::Discovery { cause: refusal.to_string() }
}

async fn load(client: &Client, previous: &Kinds) -> Result<Kinds, Refusal> {
    let (core, groups) = futures::try_join!(list(client, "/api"), list(client, "/apis"))?;
    Ok(Kinds::read(&core, &groups, previous))
}

async fn list(client: &Client, path: &str) -> Result<APIGroupDiscoveryList, Refusal> {
    let answer = exchange(client, get(path, AGGREGATED)).await?;
    serde_json::from_slice(&answer.body).map_err(|_| Refusal::garbled())
}

/// What defines kinds: changes of these are followed.
const DEFINITIONS: [(&str, &str, &str); 2] = [
    ("apiextensions.k8s.io", "CustomResourceDefinition", "customresourcedefinitions"),
    ("apiregistration.k8s.io", "APIService", "apiservices"),
];

async fn definitions(shared: Arc<Shared>, group: &str, kind: &str, plural: &str) {
    let source = Source {
        client: shared.client.clone(),
        gvk: Gvk { group: group.into(), version: "v1".into(), kind: kind.into() },
        collection: format!("/apis/{group}/v1/{plural}"),
        selector: None,
        form: Form::Metadata,
    };
    let sink = OnChange { shared: &shared, listed: false.into() };
    // Ends only if the cluster serves no such kind; then unknown kinds still are asked for.
    follow(&source, &sink).await;
}

struct OnChange<'a> {
    shared: &'a Shared,
    /// The first list is what `start` has already seen.
    listed: std::sync::atomic::AtomicBool,
}

impl Sink for OnChange<'_> {
    fn reset(&self, _objects: Vec<Live>, _version: &str) {
        if self.listed.swap(true, std::sync::atomic::Ordering::Relaxed) {
            self.shared.changed.notify_one();
        }
    }

    fn apply(&self, _live: Live) {
        self.shared.changed.notify_one();
    }

    fn delete(&self, _live: Live) {
        self.shared.changed.notify_one();
    }

    fn progress(&self, _version: &str) {}

    fn trouble(&self, _refusal: &Refusal) {}
}

async fn refresh_on_change(shared: Arc<Shared>) {
    loop {
        shared.changed.notified().await;
        let mut delays = AFTER_A_CHANGE.iter();
        while let Some(delay) = delays.next() {
            tokio::select! {
                () = tokio::time::sleep(*delay) => {
                    if let Err(refusal) = shared.refresh_since(Some(Instant::now())).await {
                        tracing::warn!(cause = %refusal, "asking which kinds the cluster serves");
                    }
                }
                () = shared.changed.notified() => delays = AFTER_A_CHANGE.iter(),
            }
        }
    }
}
