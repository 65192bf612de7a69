//! Who owns whom: what the garbage collector and the controllers must find without reading every object.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde::Deserialize;

use crate::embedded::storage::{Entry, Key};

/// An object, as far as ownership goes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    /// `metadata.uid`.
    pub uid: Box<str>,
    /// Its owners.
    pub owners: Vec<Owner>,
    /// Whether it is being deleted.
    pub leaving: bool,
    /// Whether it waits for its dependents to be deleted.
    pub foreground: bool,
    /// Whether its dependents are to lose it as their owner.
    pub orphan: bool,
}

/// An owner reference.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Owner {
    /// `apiVersion`
    #[serde(default)]
    pub api_version: Box<str>,
    /// `kind`
    #[serde(default)]
    pub kind: Box<str>,
    /// `name`
    #[serde(default)]
    pub name: Box<str>,
    /// `uid`
    #[serde(default)]
    pub uid: Box<str>,
    /// `controller`
    #[serde(default)]
    pub controller: Option<bool>,
    /// `blockOwnerDeletion`
    #[serde(default)]
    pub block_owner_deletion: Option<bool>,
}

#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    uid: Box<str>,
    #[serde(default)]
    owner_references: Option<Vec<Owner>>,
    #[serde(default)]
    finalizers: Option<Vec<Box<str>>>,
    #[serde(default)]
    deletion_timestamp: Option<Box<str>>,
}

impl Node {
    /// Reads the little that is needed.
    pub(super) fn of(entry: &Entry) -> Option<Self> {
        let Metadata { uid, owner_references, finalizers, deletion_timestamp } =
            serde_json::from_slice::<Head>(&entry.json).ok()?.metadata;
        let leaving = deletion_timestamp.is_some();
        let has = |wanted: &str| finalizers.iter().flatten().any(|finalizer| **finalizer == *wanted);
        Some(Self {
            uid,
            owners: owner_references.unwrap_or_default(),
            leaving,
            foreground: leaving && has("foregroundDeletion"),
            orphan: leaving && has("orphan"),
        })
    }

    /// Whether a controller owns it.
    pub(super) fn is_controlled(&self) -> bool {
        self.owners.iter().any(|owner| owner.controller == Some(true))
    }
}

/// Resources whose objects a controller adopts if its selector fits.
pub(super) const ADOPTED: [&str; 4] = ["pods", "replicasets.apps", "controllerrevisions.apps", "jobs.batch"];

/// All objects by what they own.
#[derive(Debug, Default)]
pub(super) struct Index {
    nodes: HashMap<Arc<Key>, Node>,
    uids: HashMap<Box<str>, Arc<Key>>,
    dependents: HashMap<Box<str>, BTreeSet<Arc<Key>>>,
    /// Uids of owners that were seen to go. Their kinds may have gone as well, so nobody could ask for them.
    absent: HashSet<Box<str>>,
    /// Objects of resources that are adopted and have no controller.
    strays: BTreeSet<Arc<Key>>,
}

impl Index {
    /// Takes note of an object as it is now.
    pub(super) fn put(&mut self, key: &Key, node: Node) {
        self.remove(key);
        let key = Arc::new(key.clone());
        self.uids.insert(node.uid.clone(), Arc::clone(&key));
        for owner in &node.owners {
            self.dependents.entry(owner.uid.clone()).or_default().insert(Arc::clone(&key));
        }
        if ADOPTED.contains(&&*key.resource) && !node.is_controlled() {
            self.strays.insert(Arc::clone(&key));
        }
        self.nodes.insert(key, node);
    }

    /// Takes note that an object is gone.
    pub(super) fn remove(&mut self, key: &Key) -> Option<Node> {
        let node = self.nodes.remove(key)?;
        if self.uids.get(&node.uid).is_some_and(|known| **known == *key) {
            self.uids.remove(&node.uid);
        }
        for owner in &node.owners {
            if let Some(keys) = self.dependents.get_mut(&owner.uid) {
                keys.remove(key);
                if keys.is_empty() {
                    self.dependents.remove(&owner.uid);
                    self.absent.remove(&owner.uid);
                }
            }
        }
        self.strays.remove(key);
        Some(node)
    }

    /// Takes note that an owner was deleted.
    pub(super) fn bury(&mut self, uid: &str) {
        if self.dependents.contains_key(uid) {
            self.absent.insert(uid.into());
        }
    }

    /// Whether an owner was seen to go.
    pub(super) fn is_absent(&self, uid: &str) -> bool {
        self.absent.contains(uid)
    }

    /// An object.
    pub(super) fn get(&self, key: &Key) -> Option<&Node> {
        self.nodes.get(key)
    }

    /// The object with a uid.
    pub(super) fn find(&self, uid: &str) -> Option<&Arc<Key>> {
        self.uids.get(uid)
    }

    /// What names the uid as an owner.
    pub(super) fn dependents(&self, uid: &str) -> impl Iterator<Item = &Arc<Key>> {
        self.dependents.get(uid).into_iter().flatten()
    }

    /// What a controller with this uid has of a resource.
    pub(super) fn controlled(&self, uid: &str, resource: &str) -> Vec<Arc<Key>> {
        let owns = |node: &Node| {
            node.owners.iter().any(|owner| *owner.uid == *uid && owner.controller == Some(true))
        };
        let keys = self.dependents(uid).filter(|key| *key.resource == *resource);
        keys.filter(|key| self.nodes.get(&***key).is_some_and(owns)).cloned().collect()
    }

    /// Objects of a resource in a namespace that no controller has.
    pub(super) fn strays(&self, resource: &str, namespace: &str) -> Vec<Arc<Key>> {
        let fits = |key: &&Arc<Key>| *key.resource == *resource && *key.namespace == *namespace;
        self.strays.iter().filter(fits).cloned().collect()
    }

    /// Uids of all owners that are not there: what they own is left behind.
    pub(super) fn orphaned(&self) -> HashSet<Arc<Key>> {
        let gone = self.dependents.iter().filter(|(uid, _)| !self.uids.contains_key(*uid));
        gone.flat_map(|(_, keys)| keys).cloned().collect()
    }
}
