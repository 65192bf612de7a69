//! Desired and live objects side by side: which belong together, what each is, what the whole is.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::compare::Verdict;
use super::desired::{self, Desired, Object};
use super::health::{self, Health};
use super::live::Live;
use super::subject::Subject;
use super::tracking::{self, Owner};
use crate::api::application::{HealthCode, SyncCode};
use crate::api::project::ProjectSpec;
use crate::manifest::{Gvk, Key};

/// A desired object, a live object, or both of one key.
#[derive(Debug, Clone)]
pub struct Pair<'a> {
    /// Their key.
    pub key: Key,
    /// What should be there.
    pub desired: Option<&'a Object>,
    /// What is there, as far as gitopsd applied it.
    pub live: Option<Arc<Live>>,
    /// The other application that applies this object, if any: `<project>/<name>`.
    pub shared_with: Option<String>,
}

/// How one object of an application stands.
#[derive(Debug, Clone)]
pub struct Resource<'a> {
    /// What it is made of.
    pub pair: Pair<'a>,
    /// Its sync status.
    pub sync: SyncCode,
    /// Paths that differ, never values.
    pub differing: Vec<String>,
    /// Whether applying it is known to change nothing, so that it need not be applied.
    pub settled: bool,
    /// Whether the cluster refused the change when it was tried.
    pub refused: bool,
    /// Its health; `None` where the kind has no notion of it.
    pub health: Option<Health>,
}

/// How an application stands.
#[derive(Debug, Clone)]
pub struct Comparison<'a> {
    /// All objects, ordered by key.
    pub resources: Vec<Resource<'a>>,
    /// The application's sync status.
    pub sync: SyncCode,
    /// The worst health of its objects.
    pub health: HealthCode,
}

/// What is known about how a pair differs.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    /// It was compared without asking the cluster.
    Compared(Verdict),
    /// The cluster was asked what applying would change; these paths would. None: it is in sync.
    Predicted(Vec<String>),
    /// The cluster was asked and says that the change is not valid, and why.
    Refused(String),
    /// It could not be compared, and why.
    Failed(String),
}

impl Pair<'_> {
    /// Returns the version of the kind: the desired one, else the live one.
    #[must_use]
    pub fn gvk(&self) -> &Gvk {
        match (self.desired, &self.live) {
            (Some(desired), _) => &desired.gvk,
            (None, Some(live)) => &live.gvk,
            (None, None) => unreachable!("a pair has at least one side"),
        }
    }

    /// Says whether the object exists although nothing wants it.
    #[must_use]
    pub fn requires_pruning(&self) -> bool {
        self.desired.is_none()
    }
}

/// Joins desired and live objects by key. `labelled` are all live objects that carry the application's
/// label, `find` looks one up that may be another application's. Copies, and objects which the project
/// does not permit, are left out.
#[must_use]
pub fn pairs<'a>(
    subject: &Subject,
    project: &ProjectSpec,
    desired: &'a Desired,
    labelled: &[Arc<Live>],
    find: &dyn Fn(&Key) -> Option<Arc<Live>>,
) -> Vec<Pair<'a>> {
    let mut pairs: BTreeMap<Key, Pair<'a>> = BTreeMap::new();
    for object in &desired.resources {
        let found =
            find(&object.key).map(|live| (tracking::owner(&live, &subject.project, &subject.name), live));
        let (live, shared_with) = match found {
            Some((Owner::Ours | Owner::Nobody, live)) => (Some(live), None),
            Some((Owner::Other(other), live)) => (Some(live), Some(other)),
            None => (None, None),
        };
        let pair = Pair { key: object.key.clone(), desired: Some(object), live, shared_with };
        pairs.insert(object.key.clone(), pair);
    }
    let hooks: Vec<_> = desired.hooks.iter().map(|hook| &hook.key).collect();
    for live in labelled {
        let ours = tracking::owner(live, &subject.project, &subject.name) == Owner::Ours;
        let leftover = ours && !pairs.contains_key(&live.key) && !hooks.contains(&&live.key);
        if leftover && !is_hook(live) && desired::permits(subject, project, &live.key) {
            let (key, live) = (live.key.clone(), Some(Arc::clone(live)));
            pairs.insert(key.clone(), Pair { key, desired: None, live, shared_with: None });
        }
    }
    pairs.into_values().collect()
}

/// Objects of hooks stay after the sync until the next one; they are neither compared nor pruned.
fn is_hook(live: &Live) -> bool {
    crate::manifest::Manifest::new(live.value()).is_ok_and(|manifest| !manifest.hints().is_resource())
}

/// Judges every pair. `finding` tells what is known of a pair that has both sides.
#[must_use]
pub fn conclude<'a>(pairs: Vec<Pair<'a>>, finding: &dyn Fn(&Pair<'a>) -> Finding) -> Comparison<'a> {
    let resources: Vec<_> = pairs.into_iter().map(|pair| judge(pair, finding)).collect();
    Comparison { sync: overall(&resources), health: overall_health(&resources), resources }
}

fn judge<'a>(pair: Pair<'a>, finding: &dyn Fn(&Pair<'a>) -> Finding) -> Resource<'a> {
    let health = match &pair.live {
        Some(live) => health::of(&live.value()),
        None => health::has_check(pair.gvk())
            .then(|| Health { code: HealthCode::Missing, message: String::new() }),
    };
    let compared = match (pair.desired, &pair.live) {
        (Some(desired), Some(_)) if desired.refusal.is_none() && pair.shared_with.is_none() => {
            Some(finding(&pair))
        }
        _ => None,
    };
    let forbidden = pair.desired.is_some_and(|desired| desired.refusal.is_some());
    let settled = compared == Some(Finding::Compared(Verdict::Synced));
    let refused = matches!(compared, Some(Finding::Refused(_)));
    let (sync, differing) = match compared {
        None if forbidden => (SyncCode::Unknown, Vec::new()),
        None | Some(Finding::Refused(_)) => (SyncCode::OutOfSync, Vec::new()),
        Some(Finding::Compared(Verdict::Synced)) => (SyncCode::Synced, Vec::new()),
        Some(Finding::Predicted(paths)) if paths.is_empty() => (SyncCode::Synced, paths),
        Some(Finding::Compared(Verdict::Differs(paths)) | Finding::Predicted(paths)) => {
            (SyncCode::OutOfSync, paths)
        }
        Some(Finding::Compared(Verdict::Undecided) | Finding::Failed(_)) => (SyncCode::Unknown, Vec::new()),
    };
    Resource { pair, sync, differing, settled, refused, health }
}

fn overall(resources: &[Resource<'_>]) -> SyncCode {
    let counts = |resource: &&Resource<'_>| !extraneous_ignored(resource);
    let mut codes = resources.iter().filter(counts).map(|resource| resource.sync);
    if resources.iter().any(|resource| resource.sync == SyncCode::Unknown) {
        SyncCode::Unknown
    } else if codes.any(|code| code == SyncCode::OutOfSync) {
        SyncCode::OutOfSync
    } else {
        SyncCode::Synced
    }
}

/// `compare-options: IgnoreExtraneous` on an object that nothing wants any more.
fn extraneous_ignored(resource: &Resource<'_>) -> bool {
    let Pair { desired: None, live: Some(live), .. } = &resource.pair else { return false };
    crate::manifest::Manifest::new(live.value())
        .is_ok_and(|manifest| manifest.hints().options.ignore_extraneous)
}

fn overall_health(resources: &[Resource<'_>]) -> HealthCode {
    health::worst(resources.iter().filter_map(|resource| resource.health.as_ref()).map(|health| health.code))
}

#[cfg(test)]
mod tests;
