//! The policy as it is now. Whoever asks first after a write takes the write in: nothing runs in the
//! background, and nobody is answered from an older state than they could have read.

use std::sync::{Mutex, PoisonError};

use futures::FutureExt;
use serde_json::Value;
use tokio::task::unconstrained;

use super::policy::{Policy, RESOURCES};
use crate::embedded::storage::{Change, Expired, Storage, Watch};

/// Follows the RBAC objects of a store.
pub(super) struct Current {
    storage: Storage,
    state: Mutex<Option<State>>,
}

struct State {
    policy: Policy,
    /// The version of the store up to which the policy is known to be right.
    version: u64,
    watches: Vec<Watch>,
}

impl Current {
    pub(super) fn new(storage: Storage) -> Self {
        Self { storage, state: Mutex::default() }
    }

    /// Asks the policy.
    pub(super) fn ask<T>(&self, question: impl FnOnce(&Policy) -> T) -> T {
        // A question that panics leaves a policy that is as good as before.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let known = state.take().and_then(|known| known.caught_up(&self.storage).ok());
        question(&state.insert(known.unwrap_or_else(|| State::read(&self.storage))).policy)
    }
}

impl State {
    fn read(storage: &Storage) -> Self {
        loop {
            let version = storage.version();
            if let Ok((policy, watches)) = read(storage) {
                return Self { policy, version, watches };
            }
        }
    }

    /// Takes in what was written since.
    fn caught_up(mut self, storage: &Storage) -> Result<Self, Expired> {
        let version = storage.version();
        if version == self.version {
            return Ok(self);
        }
        for watch in &mut self.watches {
            // Without a budget: what is there must be taken in, also late in the turn of a busy task.
            while let Some(change) = unconstrained(watch.next()).now_or_never() {
                self.policy.follow(&*change?);
            }
        }
        self.version = version;
        Ok(self)
    }
}

impl Policy {
    fn follow(&mut self, change: &Change) {
        let key = &change.after.key;
        if change.deleted {
            self.remove(&key.resource, &key.namespace, &key.name);
        } else if let Ok(object) = serde_json::from_slice::<Value>(&change.after.json) {
            self.put(&key.resource, &object);
        }
    }
}

fn read(storage: &Storage) -> Result<(Policy, Vec<Watch>), Expired> {
    let mut policy = Policy::default();
    let mut watches = Vec::new();
    for resource in RESOURCES {
        let snapshot = storage.list(resource, None);
        for entry in &snapshot.entries {
            if let Ok(object) = serde_json::from_slice::<Value>(&entry.json) {
                policy.put(resource, &object);
            }
        }
        watches.push(storage.watch(Some(resource), snapshot.version)?);
    }
    Ok((policy, watches))
}
