//! The objects of one cluster as a plain value: no I/O, no clock, no task. Two sources write it, the
//! watches and the answers to our own writes, and neither may undo what the other already knows.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::engine::live::Live;
use crate::manifest::{Gvk, Key};

/// Labels of applications of which an object changed.
pub type Touched = BTreeSet<String>;

/// A kind, whatever its version.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kind {
    /// API group; empty for the core group.
    pub group: String,
    /// Kind, such as `Deployment`.
    pub kind: String,
}

impl From<&Gvk> for Kind {
    fn from(gvk: &Gvk) -> Self {
        Self { group: gvk.group.clone(), kind: gvk.kind.clone() }
    }
}

impl From<&Key> for Kind {
    fn from(key: &Key) -> Self {
        Self { group: key.group.clone(), kind: key.kind.clone() }
    }
}

/// All objects with an application's label, by identity and by that label.
#[derive(Debug, Default)]
pub struct Index {
    objects: HashMap<Key, Arc<Live>>,
    applications: HashMap<String, HashSet<Key>>,
    /// Up to which resource version the watch of a kind has told everything.
    seen: HashMap<Kind, Option<u64>>,
    /// Objects that we deleted while their watch still tells older states of them.
    deleted: HashMap<Key, String>,
}

impl Index {
    /// Returns an object.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Arc<Live>> {
        self.objects.get(key)
    }

    /// Returns the objects with this label, ordered by identity.
    #[must_use]
    pub fn of(&self, application: &str) -> Vec<Arc<Live>> {
        let keys = self.applications.get(application).into_iter().flatten();
        let mut objects: Vec<_> = keys.filter_map(|key| self.objects.get(key).cloned()).collect();
        objects.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        objects
    }

    /// Returns how many objects are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Says whether no object is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Takes a complete list of a kind as of `version`. What is not in it is gone, except what we
    /// have written since.
    pub fn reset(&mut self, kind: &Kind, objects: Vec<Live>, version: &str) -> Touched {
        let version = number(version);
        let listed: HashSet<_> = objects.iter().map(|live| live.key.clone()).collect();
        let gone: Vec<_> = self
            .objects
            .values()
            .filter(|live| Kind::from(&live.key) == *kind && !listed.contains(&live.key))
            .filter(|live| !is_later(live, version))
            .map(|live| live.key.clone())
            .collect();
        let uids: HashSet<_> = objects.iter().map(|live| live.uid.clone()).collect();
        self.deleted.retain(|key, uid| Kind::from(key) != *kind || uids.contains(uid));
        self.seen.insert(kind.clone(), version);
        let mut touched: Touched = gone.iter().filter_map(|key| self.remove(key)).collect();
        touched.extend(objects.into_iter().flat_map(|live| self.take(live)));
        touched
    }

    /// Takes a new state that a watch tells.
    pub fn apply(&mut self, live: Live) -> Touched {
        self.progress(&Kind::from(&live.key), &live.resource_version);
        self.take(live)
    }

    /// Takes from a watch that an object was deleted or lost its label; `last` is its last state.
    pub fn delete(&mut self, last: &Live) -> Touched {
        self.progress(&Kind::from(&last.key), &last.resource_version);
        self.deleted.remove(&last.key);
        let superseded =
            |held: &Arc<Live>| match (number(&held.resource_version), number(&last.resource_version)) {
                (Some(held), Some(last)) => held <= last,
                _ => held.uid == last.uid,
            };
        if self.objects.get(&last.key).is_some_and(superseded) {
            self.remove(&last.key).into_iter().collect()
        } else {
            Touched::new()
        }
    }

    /// Takes that a watch has told everything of a kind up to `version`.
    pub fn progress(&mut self, kind: &Kind, version: &str) {
        if let Some(seen) = self.seen.get_mut(kind) {
            *seen = number(version).max(*seen);
        }
    }

    /// Takes the answer to a write of our own. A state that the watch has passed is not news: the
    /// object may have been changed or deleted since. The writer's own application is not touched.
    pub fn record(&mut self, live: Live) -> Touched {
        let seen = self.seen.get(&Kind::from(&live.key)).copied().flatten();
        if matches!((seen, number(&live.resource_version)), (Some(seen), Some(version)) if version <= seen) {
            return Touched::new();
        }
        let writer = live.application.clone();
        let mut touched = self.take(live);
        if let Some(writer) = writer {
            touched.remove(&writer);
        }
        touched
    }

    /// Takes that we deleted the object with this uid and that it is gone.
    pub fn forget(&mut self, key: &Key, uid: &str) {
        if self.seen.contains_key(&Kind::from(key)) {
            self.deleted.insert(key.clone(), uid.into());
        }
        if self.objects.get(key).is_some_and(|held| held.uid == uid) {
            self.remove(key);
        }
    }

    /// Drops all that is known of a kind.
    pub fn clear(&mut self, kind: &Kind) -> Touched {
        self.seen.remove(kind);
        self.deleted.retain(|key, _| Kind::from(key) != *kind);
        let keys: Vec<_> = self.objects.keys().filter(|key| Kind::from(*key) == *kind).cloned().collect();
        keys.iter().filter_map(|key| self.remove(key)).collect()
    }

    /// Stores a state if it is later than the one held; one without a label is not held.
    fn take(&mut self, live: Live) -> Touched {
        if self.deleted.get(&live.key) == Some(&live.uid) {
            return Touched::new();
        }
        if self.objects.get(&live.key).is_some_and(|held| !held.older_than(&live)) {
            return Touched::new();
        }
        self.deleted.remove(&live.key);
        let mut touched: Touched = self.remove(&live.key).into_iter().collect();
        if let Some(application) = live.application.clone() {
            self.applications.entry(application.clone()).or_default().insert(live.key.clone());
            self.objects.insert(live.key.clone(), Arc::new(live));
            touched.insert(application);
        }
        touched
    }

    /// Drops an object; returns its label.
    fn remove(&mut self, key: &Key) -> Option<String> {
        let application = self.objects.remove(key)?.application.clone()?;
        if let Some(keys) = self.applications.get_mut(&application) {
            keys.remove(key);
            if keys.is_empty() {
                self.applications.remove(&application);
            }
        }
        Some(application)
    }
}

/// Resource versions of one resource are ordered numbers since Kubernetes 1.35; what is none comes
/// from an extension server, and then the order of arrival counts.
fn number(version: &str) -> Option<u64> {
    version.parse().ok()
}

fn is_later(live: &Live, version: Option<u64>) -> bool {
    matches!((number(&live.resource_version), version), (Some(held), Some(listed)) if held > listed)
}

#[cfg(test)]
mod tests;
