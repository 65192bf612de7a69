//! Keeps clusters equal to Git: a queue of applications and projects, fed by watches of our own objects,
//! of what they manage, and by time. It never talks to the server; they meet in stored objects.

mod compare;
mod delete;
mod fetch;
mod memory;
mod operate;
mod project;
mod queue;
mod reconcile;
mod record;
mod resolve;
mod tree;

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use kube::runtime::reflector::{self, ObjectRef};
use tokio::sync::mpsc;

use crate::api::application::Application;
use crate::api::project::Project;
use crate::cluster::Cluster;
use crate::source::git::Git;
use crate::store::watch::Listed;
use crate::store::{Clock, Store};

pub use queue::run;

/// How the controller behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a resolved revision is taken as current before Git is asked again.
    pub poll_interval: Duration,
    /// How many applications are reconciled side by side.
    pub concurrency: u16,
    /// gitopsd's own namespace.
    pub namespace: String,
}

/// What the controller works with.
#[derive(Clone)]
pub struct Parts {
    /// Our own objects.
    pub store: Store,
    /// The cluster that is deployed to.
    pub cluster: Cluster,
    /// Git repositories.
    pub git: Git,
    /// The time.
    pub clock: Clock,
    /// How to behave.
    pub settings: Settings,
}

/// Everything a pass needs.
struct Context {
    parts: Parts,
    applications: reflector::Store<Application>,
    /// Whether `applications` holds all that there are.
    applications_listed: Listed,
    projects: reflector::Store<Project>,
    /// Makes applications be looked at.
    wake: mpsc::UnboundedSender<ObjectRef<Application>>,
    memory: memory::Memory,
}

impl Context {
    fn now(&self) -> jiff::Timestamp {
        (self.parts.clock)()
    }

    fn project(&self, name: &str) -> Option<Arc<Project>> {
        self.projects.get(&ObjectRef::new(name))
    }

    /// Returns the applications of a project.
    fn applications_of(&self, project: &str) -> Vec<Arc<Application>> {
        let mut applications = self.applications.state();
        applications.retain(|application| application.namespace().as_deref() == Some(project));
        applications
    }
}

/// What keeps a pass from being finished. Everything that the user can put right is a condition of the
/// application instead.
#[derive(Debug, thiserror::Error)]
enum Error {
    /// Our own objects could not be read or written.
    #[error("cannot record the outcome: {0}")]
    Store(#[from] crate::store::Error),
    /// The destination could not be looked at.
    #[error("cannot look at the destination: {0}")]
    Cluster(#[from] crate::cluster::Error),
}
