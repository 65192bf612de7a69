//! What the engine asks of a cluster and what comes back. A step is fully decided: the executor makes
//! no choices. Printing a step is how plans are shown to people and held in tests.

use std::fmt;

use super::live::Live;
use crate::manifest::{Gvk, Key, Manifest};

/// Field manager of everything that gitopsd applies.
pub const FIELD_MANAGER: &str = "gitops";

/// One write.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The object; its namespace is already the effective one (empty for cluster-scoped kinds).
    pub key: Key,
    /// In which version the object is written.
    pub gvk: Gvk,
    /// What is done.
    pub action: Action,
    /// Whether the write is only tried (`dryRun=All`).
    pub dry_run: bool,
}

/// The kind of a write.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Server-side apply as [`FIELD_MANAGER`], taking over fields from other managers.
    Apply(Manifest),
    /// Creates the object or, where it exists, replaces it whole.
    Replace(Manifest),
    /// Deletes the object if it exists, waits until it is gone and creates it.
    Recreate(Manifest),
    /// Deletes the object.
    Delete {
        /// Only the object with this uid is deleted; one of the same name made since is not.
        uid: String,
        /// What happens to the objects that this one owns.
        propagation: Propagation,
    },
}

/// What happens to dependents of a deleted object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Propagation {
    /// They are deleted first.
    #[default]
    Foreground,
    /// They are deleted afterwards.
    Background,
    /// They stay.
    Orphan,
}

impl Propagation {
    /// Returns the word of the Kubernetes API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Foreground => "Foreground",
            Self::Background => "Background",
            Self::Orphan => "Orphan",
        }
    }
}

/// What became of one step.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The step's object.
    pub key: Key,
    /// Its result.
    pub result: Result<Done, Failure>,
}

/// A write that was done.
#[derive(Debug, Clone, PartialEq)]
pub enum Done {
    /// The object did not exist before.
    Created(Live),
    /// The object was changed.
    Configured(Live),
    /// The object already was as desired; nothing was written.
    Unchanged(Live),
    /// The object is gone, or was already.
    Gone,
    /// The object will go when its finalizers allow.
    Deleting(Live),
}

/// A write that was refused or did not arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Why, in the classes that decisions tell apart.
    pub reason: Reason,
    /// For people: what failed and why, without the object's name, which stands beside it. Never
    /// carries a Secret's data.
    pub message: String,
}

/// Classes of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The cluster serves no such kind (yet).
    UnknownKind,
    /// The project's service account may not do this.
    Forbidden,
    /// The object is not valid, or an immutable field would change.
    Invalid,
    /// The object changed, or a precondition did not hold.
    Conflict,
    /// The namespace does not exist or another thing was not found.
    NotFound,
    /// The cluster did not answer, or asked to come later.
    Unavailable,
    /// Anything else.
    Other,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match &self.action {
            Action::Apply(_) => "apply",
            Action::Replace(_) => "replace",
            Action::Recreate(_) => "recreate",
            Action::Delete { .. } => "delete",
        };
        write!(f, "{verb} {}", self.key)?;
        if let Action::Delete { propagation, .. } = &self.action {
            write!(f, " ({})", propagation.as_str().to_lowercase())?;
        }
        if self.dry_run { write!(f, " (dry run)") } else { Ok(()) }
    }
}
