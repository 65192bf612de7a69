//! The live cache: for each kind that applications use, one watch of the objects that carry an
//! application's label. Memory grows with what is managed, not with the cluster, and at rest nothing
//! is sent but the renewal of watches.

pub mod changes;
pub mod index;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use kube::Client;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use self::changes::{Changes, Listeners};
use self::index::{Index, Kind, Touched};
use super::Error;
use super::client::Connection;
use super::discovery::Discovery;
use super::discovery::kinds::Resource;
use super::request::Refusal;
use super::watch::{Form, Sink, Source, follow};
use crate::engine::live::{APPLICATION_LABEL, Live};
use crate::manifest::{Gvk, Key};

/// How many watches go over one connection. kube-apiserver allows 100 streams on each, and the
/// first connection also carries all other requests.
const FIRST_LANE: usize = 40;
const LANE: usize = 90;
/// A kind that the cluster stopped serving is looked for again this often even if nothing announces it.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// What is known of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The first list has not arrived yet.
    Waiting,
    /// All objects are known and changes are followed.
    Ready,
    /// The cluster serves no such kind, or one whose objects are not kept, so there are none.
    Absent,
    /// Following does not work at present; `known` says whether a list had arrived before.
    Failing {
        /// What the cluster answered.
        cause: String,
        /// Whether the objects were known before, as they still may be.
        known: bool,
        /// Whether waiting alone does not help (a right is missing).
        lasting: bool,
    },
}

/// Whether kinds can be relied on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// All objects of all kinds are known.
    Ready,
    /// The first list of some kind has not arrived.
    Waiting,
}

/// The live objects of one cluster. Clones share them; the watches end with the last clone.
#[derive(Clone)]
pub struct Cache {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<Store>,
    connection: Connection,
    discovery: Discovery,
    watches: Mutex<Watches>,
}

/// What watches write and readers read.
#[derive(Default)]
struct Store {
    index: RwLock<Index>,
    states: watch::Sender<HashMap<Kind, State>>,
    listeners: Listeners,
}

#[derive(Default)]
struct Watches {
    by_kind: HashMap<Kind, Watch>,
    lanes: Vec<Client>,
}

struct Watch {
    version: String,
    lane: usize,
    task: AbortHandle,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Cache {
    /// Makes an empty cache; nothing is sent before [`Cache::watch`].
    #[must_use]
    pub fn new(connection: Connection, discovery: Discovery) -> Self {
        let watches = Mutex::default();
        Self { inner: Arc::new(Inner { store: Arc::default(), connection, discovery, watches }) }
    }

    /// Makes sure that these kinds are followed. A kind is followed in the version in which it is
    /// asked for first, as long as the cluster serves that.
    pub fn watch(&self, kinds: &[Gvk]) -> Result<(), Error> {
        let mut watches = self.watches();
        for gvk in kinds {
            self.ensure(&mut watches, gvk)?;
        }
        Ok(())
    }

    /// Says whether all objects of these kinds are known. A kind that was asked for nowhere is
    /// waited for. Fails for a kind that cannot be followed, with the cause.
    pub fn synced(&self, kinds: &[Gvk]) -> Result<Readiness, Error> {
        let states = self.inner.store.states.borrow();
        let mut readiness = Readiness::Ready;
        for gvk in kinds {
            match states.get(&Kind::from(gvk)) {
                Some(State::Ready | State::Absent | State::Failing { known: true, lasting: false, .. }) => {}
                Some(State::Failing { cause, lasting: true, .. }) => {
                    return Err(Error::NotFollowed { kind: gvk.clone(), cause: cause.clone() });
                }
                _ => readiness = Readiness::Waiting,
            }
        }
        Ok(readiness)
    }

    /// Follows these kinds and waits until all their objects are known, at most for `patience`. Fails
    /// for a kind that cannot be followed, with the cause.
    pub async fn ready(&self, kinds: &[Gvk], patience: Duration) -> Result<(), Error> {
        self.watch(kinds)?;
        let mut states = self.inner.store.states.subscribe();
        let known = async {
            while self.synced(kinds)? == Readiness::Waiting && states.changed().await.is_ok() {}
            Ok(())
        };
        match tokio::time::timeout(patience, known).await {
            Ok(result) => result,
            Err(_) => Err(self.first_waiting(kinds)),
        }
    }

    /// Returns what is known of a kind; `None` if it is not followed.
    #[must_use]
    pub fn state(&self, gvk: &Gvk) -> Option<State> {
        self.inner.store.states.borrow().get(&Kind::from(gvk)).cloned()
    }

    /// Stops following all other kinds and drops their objects.
    pub fn retain(&self, kinds: &[Gvk]) {
        let wanted: BTreeSet<_> = kinds.iter().map(Kind::from).collect();
        let mut watches = self.watches();
        let unwanted: Vec<_> =
            watches.by_kind.keys().filter(|kind| !wanted.contains(kind)).cloned().collect();
        for kind in unwanted {
            watches.by_kind.remove(&kind);
            self.inner.store.states.send_modify(|states| drop(states.remove(&kind)));
            self.inner.store.write(|index| index.clear(&kind));
        }
    }

    /// Returns all objects that carry this label value, ordered by identity: the application's own,
    /// and copies of them that others made.
    #[must_use]
    pub fn of(&self, application: &str) -> Vec<Arc<Live>> {
        self.inner.store.read().of(application)
    }

    /// Returns an object, if it carries any application's label and its kind is followed.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Arc<Live>> {
        self.inner.store.read().get(key).cloned()
    }

    /// Returns how many objects are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.store.read().len()
    }

    /// Says whether no object is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inner.store.read().is_empty()
    }

    /// Takes the answer to a write of our own, so that it counts before the watch tells of it.
    pub fn record(&self, live: Live) {
        self.inner.store.write(|index| index.record(live));
    }

    /// Takes that the object with this uid was deleted by us and is gone.
    pub fn forget(&self, key: &Key, uid: &str) {
        self.inner.store.write(|index| {
            index.forget(key, uid);
            Touched::new()
        });
    }

    /// Listens for changes that others make.
    #[must_use]
    pub fn subscribe(&self) -> Changes {
        self.inner.store.listeners.subscribe()
    }

    fn watches(&self) -> MutexGuard<'_, Watches> {
        self.inner.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ensure(&self, watches: &mut Watches, gvk: &Gvk) -> Result<(), Error> {
        let kind = Kind::from(gvk);
        if let Some(present) = watches.by_kind.get(&kind) {
            let served = Gvk { version: present.version.clone(), ..gvk.clone() };
            if present.version == gvk.version || self.inner.discovery.scope(&served).is_some() {
                return Ok(());
            }
        }
        watches.by_kind.remove(&kind);
        let (lane, client) = watches.lane(&self.inner.connection)?;
        self.inner.store.set(&kind, State::Waiting);
        let keeper = Keeper {
            store: self.inner.store.clone(),
            discovery: self.inner.discovery.clone(),
            gvk: gvk.clone(),
        };
        let task = tokio::spawn(keeper.run(client)).abort_handle();
        watches.by_kind.insert(kind, Watch { version: gvk.version.clone(), lane, task });
        Ok(())
    }

    fn first_waiting(&self, kinds: &[Gvk]) -> Error {
        let waits = |gvk: &&Gvk| !matches!(self.synced(std::slice::from_ref(*gvk)), Ok(Readiness::Ready));
        let kind = kinds.iter().find(waits).unwrap_or(&kinds[0]);
        let cause = match self.state(kind) {
            Some(State::Failing { cause, .. }) => cause,
            _ => "the cluster has not sent its objects yet".into(),
        };
        Error::NotFollowed { kind: kind.clone(), cause }
    }
}

impl Watches {
    /// Returns a client whose connection has room for one more watch.
    fn lane(&mut self, connection: &Connection) -> Result<(usize, Client), Error> {
        let room = |lane: usize| if lane == 0 { FIRST_LANE } else { LANE };
        let used = |lane: usize| self.by_kind.values().filter(|watch| watch.lane == lane).count();
        let lane = (0..self.lanes.len()).find(|lane| used(*lane) < room(*lane)).unwrap_or(self.lanes.len());
        if lane == self.lanes.len() {
            let connection = if lane == 0 { connection.clone() } else { connection.apart()? };
            self.lanes.push(connection.client());
        }
        Ok((lane, self.lanes[lane].clone()))
    }
}

impl Store {
    fn read(&self) -> std::sync::RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, change: impl FnOnce(&mut Index) -> Touched) {
        let touched = change(&mut self.index.write().unwrap_or_else(PoisonError::into_inner));
        self.listeners.tell(&touched);
    }

    fn set(&self, kind: &Kind, state: State) {
        self.states.send_if_modified(|states| {
            if states.get(kind) == Some(&state) {
                return false;
            }
            states.insert(kind.clone(), state);
            true
        });
    }
}

/// Keeps one kind followed, through its absence and return.
struct Keeper {
    store: Arc<Store>,
    discovery: Discovery,
    gvk: Gvk,
}

impl Keeper {
    async fn run(self, client: Client) {
        let mut kinds = self.discovery.subscribe();
        loop {
            let resource = kinds.borrow_and_update().resource(&self.gvk).cloned();
            match resource.filter(|resource| resource.allows("list") && resource.allows("watch")) {
                Some(resource) => {
                    follow(&self.source(&client, &resource), &self).await;
                    self.absent();
                    // It returned because the collection is not there: discovery is behind.
                    let _ = self.discovery.resource(&self.gvk).await;
                }
                None => self.absent(),
            }
            let _ = tokio::time::timeout(LOOK_AGAIN, kinds.changed()).await;
        }
    }

    fn source(&self, client: &Client, resource: &Resource) -> Source {
        Source {
            client: client.clone(),
            gvk: self.gvk.clone(),
            collection: resource.collection(""),
            selector: Some(APPLICATION_LABEL),
            form: Form::Whole,
        }
    }

    fn absent(&self) {
        self.store.write(|index| index.clear(&self.kind()));
        self.store.set(&self.kind(), State::Absent);
    }

    fn kind(&self) -> Kind {
        Kind::from(&self.gvk)
    }
}

impl Sink for Keeper {
    fn reset(&self, objects: Vec<Live>, version: &str) {
        self.store.write(|index| index.reset(&self.kind(), objects, version));
        self.store.set(&self.kind(), State::Ready);
    }

    fn apply(&self, live: Live) {
        self.store.write(|index| index.apply(live));
        self.store.set(&self.kind(), State::Ready);
    }

    fn delete(&self, live: Live) {
        self.store.write(|index| index.delete(&live));
        self.store.set(&self.kind(), State::Ready);
    }

    fn progress(&self, version: &str) {
        self.store.write(|index| {
            index.progress(&self.kind(), version);
            Touched::new()
        });
        self.store.set(&self.kind(), State::Ready);
    }

    fn trouble(&self, refusal: &Refusal) {
        let before = self.store.states.borrow().get(&self.kind()).cloned();
        let known = matches!(before, Some(State::Ready | State::Failing { known: true, .. }));
        let cause = refusal.to_string();
        // Said once, and not for what passes by itself: a new kind is "initializing" for a moment.
        if refusal.code() == 429 || matches!(before, Some(State::Failing { .. })) {
            tracing::debug!(kind = %self.gvk, cause, "following objects is still interrupted");
        } else {
            tracing::warn!(kind = %self.gvk, cause, "following objects is interrupted");
        }
        let lasting = matches!(refusal.code(), 401 | 403);
        self.store.set(&self.kind(), State::Failing { cause, known, lasting });
    }
}

#[cfg(test)]
mod tests;
