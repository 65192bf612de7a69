//! What is to be looked at, in which order and when.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::embedded::storage::Key;

/// Keys of objects: each waits at most once to be looked at now, and at most once for a later time.
#[derive(Debug, Default)]
pub(super) struct Queue {
    ready: VecDeque<Key>,
    waiting: HashSet<Key>,
    timers: BTreeSet<(Instant, Key)>,
    armed: HashMap<Key, Instant>,
    failures: HashMap<Key, u32>,
}

impl Queue {
    /// To be looked at now.
    pub(super) fn push(&mut self, key: Key) {
        if self.waiting.insert(key.clone()) {
            self.ready.push_back(key);
        }
    }

    /// To be looked at then, or before.
    pub(super) fn push_at(&mut self, at: Instant, key: &Key) {
        if let Some(before) = self.armed.insert(key.clone(), at) {
            self.timers.remove(&(before, key.clone()));
        }
        self.timers.insert((at, key.clone()));
    }

    /// The next one.
    pub(super) fn pop(&mut self) -> Option<Key> {
        let key = self.ready.pop_front()?;
        self.waiting.remove(&key);
        // It is looked at now and will say anew when to look again.
        if let Some(at) = self.armed.remove(&key) {
            self.timers.remove(&(at, key.clone()));
        }
        Some(key)
    }

    /// When the next one is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Makes ready what is due.
    pub(super) fn wake(&mut self, now: Instant) {
        while let Some((_, key)) = self.timers.first().filter(|(at, _)| *at <= now).cloned() {
            if let Some(at) = self.armed.remove(&key) {
                self.timers.remove(&(at, key.clone()));
            }
            self.push(key);
        }
    }

    /// It failed: to be tried again, later each time.
    pub(super) fn retry(&mut self, key: &Key) {
        let failures = self.failures.entry(key.clone()).or_default();
        *failures += 1;
        let delay = Duration::from_millis(5) * 2_u32.pow((*failures - 1).min(11));
        self.push_at(Instant::now() + delay, key);
    }

    /// It succeeded.
    pub(super) fn done(&mut self, key: &Key) {
        self.failures.remove(key);
    }
}
