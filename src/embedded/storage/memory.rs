//! The objects and the log of their changes, in memory. Time, files and tasks are not its business, but for
//! waking those who wait for changes.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::watch;

use super::{Change, Entry, Expired, Key, Snapshot};

/// How many changes are remembered at most …
const MOST_CHANGES: usize = 32_768;
/// … and of how many bytes, counting objects as they became.
const MOST_BYTES: usize = 64 << 20;

/// How far memory may be ahead of a disk. Versions up to this far above what is durable may have been seen
/// before a crash, so the disk reserves them, and a restart does not give them out again.
pub(super) const MOST_AHEAD: u64 = 4096;

/// The state, shared, with those who wait for it to change.
pub(super) struct Memory {
    state: RwLock<State>,
    /// The version up to which everything is durable and may be told.
    told: watch::Sender<u64>,
    /// Why nothing more becomes durable.
    lost: OnceLock<String>,
    /// For threads that wait for `told` or `lost`.
    moved: (Mutex<()>, Condvar),
}

/// All objects in the order of their keys, and the log.
pub(super) struct State {
    version: u64,
    told: u64,
    objects: BTreeSet<Placed>,
    /// Changes up to here are not in the log. Those after it are, without a gap.
    forgotten: u64,
    log: VecDeque<Arc<Change>>,
    log_bytes: usize,
    /// Who follows one resource.
    followers: HashMap<Box<str>, watch::Sender<u64>>,
}

/// An entry that is found by its key.
struct Placed(Arc<Entry>);

impl Memory {
    pub(super) fn new(state: State) -> Self {
        let told = watch::Sender::new(state.told);
        Self { state: RwLock::new(state), told, lost: OnceLock::new(), moved: Default::default() }
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes of `told`, for those who follow everything.
    pub(super) fn told(&self) -> watch::Receiver<u64> {
        self.told.subscribe()
    }

    /// Wakes only when something of one resource is told.
    pub(super) fn told_of(&self, resource: &str) -> watch::Receiver<u64> {
        let mut state = self.change();
        let told = state.told;
        state.followers.entry(resource.into()).or_insert_with(|| watch::Sender::new(told)).subscribe()
    }

    pub(super) fn lost(&self) -> Option<String> {
        self.lost.get().cloned()
    }

    /// Makes a change. It is told at once if nothing has to become durable first.
    pub(super) fn record(&self, change: Change, tell: bool) {
        let mut state = self.change();
        let version = change.version;
        state.apply(change);
        if tell {
            state.tell(version);
            self.told.send_replace(version);
        }
        state.trim();
    }

    /// Tells everything up to a version, which has become durable.
    pub(super) fn tell(&self, version: u64) {
        let mut state = self.change();
        state.tell(version);
        state.trim();
        drop(state);
        self.told.send_replace(version);
        self.wake_threads();
    }

    /// Gives up on durability: nothing more is told.
    pub(super) fn give_up(&self, reason: String) {
        self.lost.get_or_init(|| reason);
        self.told.send_modify(|_| ());
        self.wake_threads();
    }

    fn wake_threads(&self) {
        let _held = self.moved.0.lock().unwrap_or_else(PoisonError::into_inner);
        self.moved.1.notify_all();
    }

    /// Blocks while memory is too far ahead of the disk.
    pub(super) fn wait_for_disk(&self) {
        let behind = || {
            let state = self.read();
            state.version >= state.told + MOST_AHEAD && self.lost.get().is_none()
        };
        if behind() {
            let mut held = self.moved.0.lock().unwrap_or_else(PoisonError::into_inner);
            while behind() {
                held = self.moved.1.wait(held).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    pub(super) fn forget_history(&self) {
        let mut state = self.change();
        let told = state.told;
        state.forget(told);
    }
}

impl State {
    /// Nothing, at version 1.
    pub(super) fn empty() -> Self {
        Self::restored(1, [])
    }

    /// Objects without a history.
    pub(super) fn restored(version: u64, entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut state = Self {
            version,
            told: version,
            objects: BTreeSet::new(),
            forgotten: version,
            log: VecDeque::new(),
            log_bytes: 0,
            followers: HashMap::new(),
        };
        for entry in entries {
            state.objects.insert(Placed(Arc::new(entry)));
        }
        state
    }

    /// The same objects without their history.
    pub(super) fn copy(&self) -> Self {
        let objects = self.objects.iter().map(|placed| Placed(Arc::clone(&placed.0))).collect();
        Self { objects, ..Self::restored(self.version, []) }
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn told(&self) -> u64 {
        self.told
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Arc<Entry>> {
        self.objects.get(key).map(|placed| &placed.0)
    }

    pub(super) fn list(&self, resource: &str, namespace: Option<&str>) -> Snapshot {
        let first = Key {
            resource: resource.into(),
            namespace: namespace.unwrap_or_default().into(),
            name: Box::default(),
        };
        let within = |key: &Key| {
            *key.resource == *resource && namespace.is_none_or(|namespace| *key.namespace == *namespace)
        };
        let placed = self.objects.range::<Key, _>(first..).map(|placed| &placed.0);
        let entries = placed.take_while(|entry| within(&entry.key)).cloned().collect();
        Snapshot { version: self.version, entries }
    }

    /// Takes the newer changes back.
    pub(super) fn list_at(
        &self,
        resource: &str,
        namespace: Option<&str>,
        version: u64,
    ) -> Result<Snapshot, Expired> {
        if !self.remembers(version) {
            return Err(Expired);
        }
        let mut before = HashMap::new();
        for change in self.after(version) {
            let key = &change.after.key;
            if &*key.resource == resource && namespace.is_none_or(|it| it == &*key.namespace) {
                before.entry((&key.namespace, &key.name)).or_insert(&change.before);
            }
        }
        let mut entries = self.list(resource, namespace).entries;
        if !before.is_empty() {
            entries.retain(|entry| !before.contains_key(&(&entry.key.namespace, &entry.key.name)));
            entries.extend(before.into_values().flatten().cloned());
            entries.sort_by(|one, other| one.key.cmp(&other.key));
        }
        Ok(Snapshot { version, entries })
    }

    /// Whether everything after a version is still known, and the version has been.
    pub(super) fn remembers(&self, version: u64) -> bool {
        (self.forgotten..=self.version).contains(&version)
    }

    /// The first change after a version that may be told.
    pub(super) fn next_change(
        &self,
        resource: Option<&str>,
        version: u64,
    ) -> Result<Option<&Arc<Change>>, Expired> {
        if version < self.forgotten {
            return Err(Expired);
        }
        let mut changes = self.after(version).take_while(|change| change.version <= self.told);
        Ok(changes.find(|change| resource.is_none_or(|it| it == &*change.after.key.resource)))
    }

    /// Changes after a version, which must be remembered.
    pub(super) fn after(&self, version: u64) -> impl Iterator<Item = &Arc<Change>> {
        let skipped = usize::try_from(version - self.forgotten).expect("a log fits into memory");
        self.log.range(skipped.min(self.log.len())..)
    }

    fn apply(&mut self, change: Change) {
        self.version = change.version;
        if change.deleted {
            self.objects.remove(&change.after.key);
        } else {
            self.objects.replace(Placed(change.after.clone()));
        }
        self.log_bytes += change.after.json.len();
        self.log.push_back(Arc::new(change));
    }

    /// Lets watches tell everything up to a version.
    fn tell(&mut self, version: u64) {
        let told: HashSet<_> = self
            .after(self.told)
            .take_while(|change| change.version <= version)
            .map(|change| change.after.key.resource.clone())
            .collect();
        self.told = version;
        for resource in told {
            if let Some(followers) = self.followers.get(&*resource) {
                followers.send_replace(version);
            }
        }
    }

    /// Forgets the oldest changes if there are too many, but none that is yet to be told.
    fn trim(&mut self) {
        while self.log.len() > MOST_CHANGES || self.log_bytes > MOST_BYTES {
            if self.forgotten >= self.told {
                break;
            }
            self.forget(self.forgotten + 1);
        }
    }

    fn forget(&mut self, version: u64) {
        while self.forgotten < version {
            let Some(change) = self.log.pop_front() else { break };
            self.log_bytes -= change.after.json.len();
            self.forgotten = change.version;
        }
    }
}

impl Borrow<Key> for Placed {
    fn borrow(&self) -> &Key {
        &self.0.key
    }
}

impl Ord for Placed {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.key.cmp(&other.0.key)
    }
}

impl PartialOrd for Placed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Eq for Placed {}

impl PartialEq for Placed {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
