//! Where objects are kept: in memory, as bytes, with one version number that every write raises, and a log
//! of the last changes, from which watches and older snapshots are told. A directory makes it durable.
//!
//! Nothing that could still be lost is told to anybody: watches tell a change when it is durable, and
//! everything else that is answered waits for [`Storage::settled`].

mod body;
mod disk;
mod memory;

#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::watch;

pub use body::Head;
use disk::Disk;
use memory::{Memory, State};

/// What an object is stored under. Keys are ordered as etcd orders `namespace/name`: `a-b/x` comes before
/// `a/x`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// Group resource: `deployments.apps`, `pods`.
    pub resource: Arc<str>,
    /// Namespace; empty for cluster-scoped objects.
    pub namespace: Box<str>,
    /// Name.
    pub name: Box<str>,
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        fn path(key: &Key) -> impl Iterator<Item = u8> {
            key.namespace.bytes().chain([b'/']).chain(key.name.bytes())
        }
        self.resource.cmp(&other.resource).then_with(|| {
            if self.namespace == other.namespace {
                self.name.cmp(&other.name)
            } else {
                path(self).cmp(path(other))
            }
        })
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// An object as it was after one write. Never changes.
#[derive(Debug)]
pub struct Entry {
    /// What it is stored under.
    pub key: Key,
    /// The version of the store that wrote it; also its `metadata.resourceVersion`.
    pub version: u64,
    /// The object as JSON.
    pub json: Bytes,
}

/// A change of one object.
#[derive(Debug)]
pub struct Change {
    /// The version of the store that it made.
    pub version: u64,
    /// The object before; none if it was created.
    pub before: Option<Arc<Entry>>,
    /// The object after; of a deletion its last state, with the version of the deletion.
    pub after: Arc<Entry>,
    /// Whether it is gone.
    pub deleted: bool,
}

/// What a write does.
#[derive(Debug)]
pub enum Write {
    /// Stores the object; its `metadata.resourceVersion` is filled in.
    Put(Value),
    /// Removes it; this is its last state.
    Remove(Value),
    /// Nothing.
    Keep,
}

/// The version is older than what the log holds, or newer than any there was: 410.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expired;

/// Objects of one resource at one version, in the order of their keys.
#[derive(Debug)]
pub struct Snapshot {
    /// The version of the store.
    pub version: u64,
    /// The objects.
    pub entries: Vec<Arc<Entry>>,
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory cannot be made or written.
    #[error("cannot prepare data directory {}", dir.display())]
    Directory {
        /// The directory.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Two processes must not write to one directory.
    #[error("data directory {} is in use by another process", dir.display())]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// The file is not what was written.
    #[error(
        "{} is damaged ({reason}); move it away to start empty, or put back a copy of it",
        file.display()
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file was written by another version of this program.
    #[error("{} has format {found}, but this version reads format {known} only", file.display())]
    Format {
        /// The file.
        file: PathBuf,
        /// Its format.
        found: u64,
        /// The format that is understood.
        known: u64,
    },
    /// The file cannot be read.
    #[error("cannot read {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: Box<redb::Error>,
    },
    /// A write could not be made durable. No later write is either.
    #[error("the data directory cannot be written any more: {reason}")]
    Lost {
        /// Why.
        reason: String,
    },
}

/// All objects. Clones share them; when the last one goes, a data directory is closed.
#[derive(Clone)]
pub struct Storage(Arc<Inner>);

struct Inner {
    memory: Arc<Memory>,
    /// Held by who decides a write, so that decisions may read meanwhile.
    turn: Mutex<()>,
    disk: Option<Disk>,
}

impl Storage {
    /// Nothing, in memory.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::of(Arc::new(Memory::new(State::empty())), None)
    }

    /// What a directory holds, which is made if there is none. Everything is read now; from then on writes
    /// reach the directory soon after memory. History from before is expired, and versions go on.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let (file, state) = disk::File::open(dir)?;
        let memory = Arc::new(Memory::new(state));
        let disk = Disk::start(file, memory.clone())
            .map_err(|source| Error::Directory { dir: dir.to_owned(), source })?;
        Ok(Self::of(memory, Some(disk)))
    }

    /// The same objects at the same version, in memory, without their history. What is written to one does
    /// not show in the other.
    #[must_use]
    pub fn copy(&self) -> Self {
        let state = self.0.memory.read().copy();
        Self::of(Arc::new(Memory::new(state)), None)
    }

    fn of(memory: Arc<Memory>, disk: Option<Disk>) -> Self {
        Self(Arc::new(Inner { memory, turn: Mutex::new(()), disk }))
    }

    /// The version of the last write. It starts with 1, so that 0 can mean "any".
    #[must_use]
    pub fn version(&self) -> u64 {
        self.0.memory.read().version()
    }

    /// Reads one object.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Arc<Entry>> {
        self.0.memory.read().get(key).cloned()
    }

    /// Reads all objects of a resource, of one namespace if it is given.
    #[must_use]
    pub fn list(&self, resource: &str, namespace: Option<&str>) -> Snapshot {
        self.0.memory.read().list(resource, namespace)
    }

    /// The same, as of an earlier version.
    pub fn list_at(
        &self,
        resource: &str,
        namespace: Option<&str>,
        version: u64,
    ) -> Result<Snapshot, Expired> {
        self.0.memory.read().list_at(resource, namespace, version)
    }

    /// Reads, decides and writes with nothing in between. Answers the entry that was stored or removed, or
    /// the one that was kept. The decision may read from this storage, but not write to it.
    pub fn write<E>(
        &self,
        key: &Key,
        decide: impl FnOnce(Option<&Arc<Entry>>) -> Result<Write, E>,
    ) -> Result<Option<Arc<Entry>>, E> {
        let _turn = self.0.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if self.0.disk.is_some() {
            self.0.memory.wait_for_disk();
        }
        let before = self.get(key);
        let (object, deleted) = match decide(before.as_ref())? {
            Write::Put(object) => (object, false),
            Write::Remove(object) if before.is_some() => (object, true),
            Write::Remove(_) | Write::Keep => return Ok(before),
        };
        let change = Change::new(key, self.version() + 1, before, object, deleted);
        let after = change.after.clone();
        self.0.memory.record(change, self.0.disk.is_none());
        if let Some(disk) = &self.0.disk {
            disk.wake();
        }
        Ok(Some(after))
    }

    /// Waits until everything that was written is as durable as the storage makes it. Answers to clients
    /// wait for it, also answers to reads. An error means that it will never be.
    pub async fn settled(&self) -> Result<(), Error> {
        let mut told = self.0.memory.told();
        let version = self.version();
        loop {
            if *told.borrow_and_update() >= version {
                return Ok(());
            }
            if let Some(reason) = self.0.memory.lost() {
                return Err(Error::Lost { reason });
            }
            told.changed().await.expect("the sender lives as long as the memory");
        }
    }

    /// Follows the changes of one resource (of all, if none is given) that are newer than `after`.
    pub fn watch(&self, resource: Option<&str>, after: u64) -> Result<Watch, Expired> {
        if !self.0.memory.read().remembers(after) {
            return Err(Expired);
        }
        let told = resource.map_or_else(|| self.0.memory.told(), |it| self.0.memory.told_of(it));
        Ok(Watch { storage: self.clone(), resource: resource.map(Into::into), told, version: after })
    }

    /// Forgets the history up to now, as a compaction does: what was not yet told to watches expires.
    pub fn forget_history(&self) {
        self.0.memory.forget_history();
    }
}

impl Change {
    /// Makes the entry that is stored, with its version in it.
    fn new(key: &Key, version: u64, before: Option<Arc<Entry>>, mut object: Value, deleted: bool) -> Self {
        object["metadata"]["resourceVersion"] = version.to_string().into();
        let json = serde_json::to_vec(&object).expect("keys are strings");
        // Through a box, so that no spare room of the vector is kept with it.
        let json = Bytes::from(json.into_boxed_slice());
        let after = Arc::new(Entry { key: key.clone(), version, json });
        Self { version, before, after, deleted }
    }
}

/// Changes, in their order.
pub struct Watch {
    storage: Storage,
    resource: Option<Box<str>>,
    told: watch::Receiver<u64>,
    /// Everything up to here was told or is of no interest.
    version: u64,
}

impl Watch {
    /// The next change; waits for it. An error if this watch did not keep up: 410. It may be dropped while
    /// it waits; nothing is missed.
    pub async fn next(&mut self) -> Result<Arc<Change>, Expired> {
        loop {
            self.told.mark_unchanged();
            if let Some(change) = self.ready()? {
                return Ok(change);
            }
            self.told.changed().await.expect("the sender lives as long as the memory");
        }
    }

    /// The next change if there is one already.
    pub fn ready(&mut self) -> Result<Option<Arc<Change>>, Expired> {
        let state = self.storage.0.memory.read();
        let change = state.next_change(self.resource.as_deref(), self.version)?;
        self.version = change.map_or_else(|| self.version.max(state.told()), |change| change.version);
        Ok(change.cloned())
    }

    /// The version up to which everything was told, for bookmarks.
    #[must_use]
    pub fn version(&self) -> u64 {
        let state = self.storage.0.memory.read();
        match state.next_change(self.resource.as_deref(), self.version) {
            Ok(None) => self.version.max(state.told()),
            Ok(Some(_)) | Err(Expired) => self.version,
        }
    }
}
