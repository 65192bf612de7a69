//! Tells who listens which applications had an object changed. A slow listener loses nothing and
//! costs one entry per application: what it has not fetched yet is a set.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Notify;

#[derive(Debug, Default)]
struct Pending {
    labels: Mutex<BTreeSet<String>>,
    arrived: Notify,
}

impl Pending {
    fn take(&self) -> BTreeSet<String> {
        std::mem::take(&mut self.labels.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, labels: &BTreeSet<String>) {
        self.labels.lock().unwrap_or_else(PoisonError::into_inner).extend(labels.iter().cloned());
        self.arrived.notify_one();
    }
}

/// The changes since the last call, for one listener.
#[derive(Debug)]
pub struct Changes(Arc<Pending>);

impl Changes {
    /// Waits for changes; returns the label values ([`crate::engine::live::APPLICATION_LABEL`]) of
    /// all applications that had an object made, changed or deleted since the last call. Our own writes
    /// are left out, except those of which the watch told before their answer arrived.
    pub async fn next(&mut self) -> BTreeSet<String> {
        loop {
            let labels = self.0.take();
            if !labels.is_empty() {
                return labels;
            }
            self.0.arrived.notified().await;
        }
    }
}

/// All listeners.
#[derive(Debug, Default)]
pub(super) struct Listeners(Mutex<Vec<Weak<Pending>>>);

impl Listeners {
    pub(super) fn subscribe(&self) -> Changes {
        let pending = Arc::new(Pending::default());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&pending));
        Changes(pending)
    }

    /// Adds changes for every listener and drops listeners that are gone.
    pub(super) fn tell(&self, labels: &BTreeSet<String>) {
        if labels.is_empty() {
            return;
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|listener| {
            let alive = listener.upgrade();
            if let Some(pending) = &alive {
                pending.add(labels);
            }
            alive.is_some()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(labels: &[&str]) -> BTreeSet<String> {
        labels.iter().map(ToString::to_string).collect()
    }

    #[tokio::test]
    async fn a_slow_listener_gets_everything_once() {
        let listeners = Listeners::default();
        let (mut first, mut second) = (listeners.subscribe(), listeners.subscribe());
        listeners.tell(&labels(&["fruit"]));
        listeners.tell(&labels(&["fruit", "greens"]));
        assert_eq!(first.next().await, labels(&["fruit", "greens"]));
        listeners.tell(&labels(&["nuts"]));
        assert_eq!(first.next().await, labels(&["nuts"]));
        assert_eq!(second.next().await, labels(&["fruit", "greens", "nuts"]));
    }

    #[tokio::test]
    async fn waiting_ends_with_the_next_change() {
        let listeners = Listeners::default();
        let mut changes = listeners.subscribe();
        let told = labels(&["fruit"]);
        let (got, ()) = futures::join!(changes.next(), async { listeners.tell(&told) });
        assert_eq!(got, told);
    }
}
