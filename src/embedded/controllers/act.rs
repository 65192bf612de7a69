//! What controllers decide: a list of writes, and when to look again. Decisions are values; `world` does them.

use std::time::Duration;

use serde_json::Value;

/// Who writes what kube-controller-manager would write.
pub(super) const MANAGER: &str = "kube-controller-manager";
/// Who writes the status of pods.
pub(super) const KUBELET: &str = "kubelet";

/// One write.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Act {
    /// Creates an object. One without a name gets one from its `generateName`.
    Create(Value),
    /// Replaces an object, if it has not changed since it was read.
    Update(Value),
    /// Replaces the status of an object, in the name of a manager.
    Status(&'static str, Value),
    /// Replaces the finalizers in the `spec` of a namespace.
    Finalize(Value),
    /// Puts a pod on a node.
    Bind(Value, String),
    /// Deletes an object, if it is still the same one.
    Delete(Value, Deletion),
    /// Tells of something that happened to an object.
    Event(Event),
}

/// How something is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deletion {
    /// As the kind has it.
    Plain,
    /// At once: the end of a graceful deletion.
    Now,
    /// With this propagation policy.
    Propagate(&'static str),
}

/// An event of the core group.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Event {
    /// What it is about.
    pub object: Value,
    /// `Normal` or `Warning`.
    pub severity: &'static str,
    /// Why, in one word.
    pub reason: &'static str,
    /// What happened.
    pub message: String,
    /// Who tells.
    pub source: &'static str,
}

impl Act {
    /// Something happened as it should.
    pub(super) fn normal(
        object: &Value,
        source: &'static str,
        reason: &'static str,
        message: String,
    ) -> Self {
        Self::Event(Event { object: object.clone(), severity: "Normal", reason, message, source })
    }

    /// Something went wrong.
    pub(super) fn warning(
        object: &Value,
        source: &'static str,
        reason: &'static str,
        message: String,
    ) -> Self {
        Self::Event(Event { object: object.clone(), severity: "Warning", reason, message, source })
    }
}

/// What a controller decided about one object.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Plan {
    /// Writes, in this order. If one fails, the others are not tried, and the object is looked at again.
    pub acts: Vec<Act>,
    /// When to look again even if nothing changes.
    pub again: Option<Duration>,
}

impl Plan {
    /// Nothing to do, ever.
    pub(super) fn nothing() -> Self {
        Self::default()
    }

    /// These writes.
    pub(super) fn of(acts: Vec<Act>) -> Self {
        Self { acts, again: None }
    }

    /// Adds a write.
    pub(super) fn push(&mut self, act: Act) {
        self.acts.push(act);
    }

    /// Adds a write of the status, if it differs from what the object has.
    pub(super) fn status(&mut self, manager: &'static str, object: &Value, status: Value) {
        if object["status"] != status {
            self.acts.push(Act::Status(manager, super::fields::with_status(object, status)));
        }
    }

    /// Looks again after this time, or before.
    pub(super) fn after(&mut self, delay: Duration) {
        self.again = Some(self.again.map_or(delay, |known| known.min(delay)));
    }
}
