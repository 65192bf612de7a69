//! Our own objects: Applications and Projects as clients see them (`gitops/v1`), kept as custom
//! resources of `storage.gitops` behind kube-apiserver; their events; the credentials beside them.
//!
//! Everything that leaves this room is in the served view. What an object means is not known here.

pub mod uid;

mod wire;

/// The kinds that are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `Application`, in a project's namespace.
    Application,
    /// `Project`, in no namespace.
    Project,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Application, Self::Project];

    /// Returns the kind's name.
    #[must_use]
    pub const fn served(self) -> &'static str {
        match self {
            Self::Application => "Application",
            Self::Project => "Project",
        }
    }

    /// Returns the kind's name in paths.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Application => "applications",
            Self::Project => "projects",
        }
    }

    const fn stored(self) -> &'static str {
        match self {
            Self::Application => "StoredApplication",
            Self::Project => "StoredProject",
        }
    }

    const fn stored_plural(self) -> &'static str {
        match self {
            Self::Application => "storedapplications",
            Self::Project => "storedprojects",
        }
    }
}
