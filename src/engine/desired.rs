//! Rendered manifests become the desired set: namespaces filled in, tracking added, duplicates and
//! objects the project forbids found.

use std::collections::BTreeMap;

use super::live::{APPLICATION_LABEL, TRACKING_ANNOTATION};
use super::subject::Subject;
use super::tracking;
use crate::api::policy;
use crate::api::project::ProjectSpec;
use crate::manifest::hints::{Hints, Role};
use crate::manifest::{Gvk, Key, Manifest, Scope};

/// What an application's revision wants to exist.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Desired {
    /// Objects that are compared and applied, in the order of their keys.
    pub resources: Vec<Object>,
    /// Hooks, which run during a sync and are not compared. Those with only a `generateName` have an
    /// empty name in their key.
    pub hooks: Vec<Object>,
    /// Keys that occurred more than once, with how often; the last occurrence counts.
    pub repeated: Vec<(Key, usize)>,
}

/// One desired object.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Identity with the effective namespace.
    pub key: Key,
    /// Version in which it is applied.
    pub gvk: Gvk,
    /// The object as it is applied, tracking included.
    pub manifest: Manifest,
    /// What its annotations ask for.
    pub hints: Hints,
    /// Whether the cluster serves its kind.
    pub kind_known: bool,
    /// Why it may not be applied, for people.
    pub refusal: Option<String>,
}

/// Finds the scope of a kind; `None` where the cluster does not serve it.
pub type Scopes<'a> = &'a dyn Fn(&Gvk) -> Option<Scope>;

/// Makes the desired set from what was rendered.
#[must_use]
pub fn desired(
    subject: &Subject,
    project: &ProjectSpec,
    rendered: Vec<Manifest>,
    scopes: Scopes<'_>,
) -> Desired {
    let mut desired = Desired::default();
    let mut resources: BTreeMap<Key, (Object, usize)> = BTreeMap::new();
    for manifest in rendered {
        let hints = manifest.hints();
        if hints.role == Role::Ignored {
            continue;
        }
        let object = object(subject, project, manifest, hints, scopes);
        if matches!(object.hints.role, Role::Hook(_)) {
            desired.hooks.push(object);
            continue;
        }
        let times = resources.get(&object.key).map_or(0, |(_, times)| *times);
        resources.insert(object.key.clone(), (object, times + 1));
    }
    for (key, (object, times)) in resources {
        if times > 1 {
            desired.repeated.push((key, times));
        }
        desired.resources.push(object);
    }
    desired
}

fn object(
    subject: &Subject,
    project: &ProjectSpec,
    mut manifest: Manifest,
    hints: Hints,
    scopes: Scopes<'_>,
) -> Object {
    let gvk = manifest.gvk();
    let scope = scopes(&gvk);
    let mut refusal = None;
    if scope == Some(Scope::Cluster) {
        manifest.set_namespace(None);
    } else if manifest.namespace().is_empty() {
        if subject.destination.namespace.is_empty() {
            refusal = Some(format!("Namespace for {} {gvk} is missing.", manifest.name()));
        } else {
            manifest.set_namespace(Some(&subject.destination.namespace));
        }
    }
    manifest.remove("status");
    if gvk.kind == "Secret" && gvk.group.is_empty() {
        manifest.settle_string_data();
    }
    let key = manifest.key();
    manifest.set_label(APPLICATION_LABEL, &tracking::label_value(&subject.project, &subject.name));
    manifest.set_annotation(TRACKING_ANNOTATION, &tracking::id(&subject.project, &subject.name, &key));
    Object {
        refusal: refusal.or_else(|| forbidden(subject, project, &key, scope)),
        key,
        gvk,
        manifest,
        hints,
        kind_known: scope.is_some(),
    }
}

/// Says why the project does not permit the object, if so. A kind that the cluster does not serve is
/// judged as a namespaced one if it names a namespace.
fn forbidden(subject: &Subject, project: &ProjectSpec, key: &Key, scope: Option<Scope>) -> Option<String> {
    let guess = if key.namespace.is_empty() { Scope::Cluster } else { Scope::Namespaced };
    let Key { group, kind, namespace, name } = key;
    let permitted_scope = match scope.unwrap_or(guess) {
        Scope::Namespaced => policy::Scope::Namespaced,
        Scope::Cluster => policy::Scope::Cluster { name },
    };
    if !policy::permits_kind(project, group, kind, permitted_scope) {
        return Some(format!("resource {group}:{kind} is not permitted in project {}.", subject.project));
    }
    let destination = &subject.destination;
    let permitted = namespace.is_empty()
        || policy::permits_destination(project, &destination.server, &destination.name, namespace);
    (!permitted).then(|| format!("namespace {namespace} is not permitted in project '{}'.", subject.project))
}

/// Says whether the project permits gitopsd to touch a live object, be it only to delete it.
#[must_use]
pub fn permits(subject: &Subject, project: &ProjectSpec, key: &Key) -> bool {
    let scope = if key.namespace.is_empty() { Scope::Cluster } else { Scope::Namespaced };
    forbidden(subject, project, key, Some(scope)).is_none()
}

#[cfg(test)]
mod tests;
