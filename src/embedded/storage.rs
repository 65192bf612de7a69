//! Where objects are kept: in memory, as bytes, with one version number that every write raises, and a log
//! of the last changes, from which watches and older snapshots are told.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

/// What an object is stored under.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Group resource: `deployments.apps`, `pods`.
    pub resource: Arc<str>,
    /// Namespace; empty for cluster-scoped objects.
    pub namespace: Box<str>,
    /// Name.
    pub name: Box<str>,
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

/// The version is older than what the log holds: 410.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expired;

/// Objects of one resource at one version, in the order of namespace and name.
#[derive(Debug)]
pub struct Snapshot {
    /// The version of the store.
    pub version: u64,
    /// The objects.
    pub entries: Vec<Arc<Entry>>,
}

/// All objects. Clones share them.
#[derive(Clone)]
pub struct Storage(Arc<()>);

impl Storage {
    /// Nothing, in memory.
    #[must_use]
    pub fn in_memory() -> Self {
        todo!()
    }

    // pub fn open(dir: &Path) -> Result<Self, Error>: durable; everything is read at the start.

    /// The version of the last write.
    #[must_use]
    pub fn version(&self) -> u64 {
        todo!()
    }

    /// Reads one object.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Arc<Entry>> {
        let _ = key;
        todo!()
    }

    /// Reads all objects of a resource, of one namespace if it is given.
    #[must_use]
    pub fn list(&self, resource: &str, namespace: Option<&str>) -> Snapshot {
        let _ = (resource, namespace);
        todo!()
    }

    /// The same, as of an earlier version.
    pub fn list_at(
        &self,
        resource: &str,
        namespace: Option<&str>,
        version: u64,
    ) -> Result<Snapshot, Expired> {
        let _ = (resource, namespace, version);
        todo!()
    }

    /// Reads, decides and writes with nothing in between. Answers the entry that was stored or removed, or
    /// the one that was kept.
    pub fn write<E>(
        &self,
        key: &Key,
        decide: impl FnOnce(Option<&Arc<Entry>>) -> Result<Write, E>,
    ) -> Result<Option<Arc<Entry>>, E> {
        let _ = (key, decide);
        todo!()
    }

    /// Waits until everything that was written is as durable as the storage makes it. Answers to clients
    /// wait for it.
    pub async fn settled(&self) {}

    /// Follows the changes of one resource (of all, if none is given) that are newer than `after`.
    pub fn watch(&self, resource: Option<&str>, after: u64) -> Result<Watch, Expired> {
        let _ = (resource, after);
        todo!()
    }
}

/// Changes, in their order.
pub struct Watch(());

impl Watch {
    /// The next change; waits for it. An error if this watch did not keep up: 410.
    pub async fn next(&mut self) -> Result<Arc<Change>, Expired> {
        todo!()
    }

    /// The version up to which everything was told, for bookmarks.
    #[must_use]
    pub fn version(&self) -> u64 {
        todo!()
    }
}
