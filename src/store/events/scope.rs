//! Which events belong to an application: those of itself, of what it manages in this cluster, and of
//! what grows from that. The children of workloads are told by the names that Kubernetes gives them,
//! so nothing else needs to be read.

use std::collections::{BTreeSet, HashSet};

use k8s_openapi::api::core::v1::{Event, ObjectReference};

use crate::api::application::{Application, ApplicationDestination};
use crate::api::names;

/// Where events about objects without a namespace are.
const CLUSTER_SCOPED: &str = "default";
const THIS_CLUSTER: &str = "https://kubernetes.default.svc";
/// Letters of generated names: no vowels, nothing that looks like another.
const GENERATED: &str = "bcdfghjklmnpqrstvwxz2456789";

/// What an application's events are about.
pub(super) struct Scope {
    uid: String,
    objects: HashSet<Object>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Object {
    group: String,
    kind: String,
    namespace: String,
    name: String,
}

impl Scope {
    pub(super) fn of(app: &Application) -> Self {
        let here = is_this_cluster(&app.spec.destination);
        let resources = app.status.iter().flat_map(|status| &status.resources).filter(|_| here);
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let objects = resources
            .map(|resource| Object {
                group: text(&resource.group),
                kind: text(&resource.kind),
                namespace: text(&resource.namespace),
                name: text(&resource.name),
            })
            .collect();
        Self { uid: text(&app.metadata.uid), objects }
    }

    /// Returns the namespaces, besides the application's own, that hold events about what it manages.
    pub(super) fn namespaces(&self) -> BTreeSet<&str> {
        let namespaces = self.objects.iter().map(|object| object.namespace.as_str());
        namespaces.map(|namespace| if namespace.is_empty() { CLUSTER_SCOPED } else { namespace }).collect()
    }

    pub(super) fn covers(&self, event: &Event) -> bool {
        let about = &event.involved_object;
        if is(about.kind.as_deref(), names::APPLICATION) && about.uid.as_deref() == Some(self.uid.as_str()) {
            return true;
        }
        let Some(object) = Object::of(about) else { return false };
        self.objects.contains(&object)
            || self.objects.iter().any(|parent| parent.namespace == object.namespace && parent.grows(&object))
    }
}

impl Object {
    fn of(about: &ObjectReference) -> Option<Self> {
        let version = about.api_version.as_deref().unwrap_or_default();
        Some(Self {
            group: version.split_once('/').map_or("", |(group, _)| group).to_owned(),
            kind: about.kind.clone()?,
            namespace: about.namespace.clone().unwrap_or_default(),
            name: about.name.clone()?,
        })
    }

    /// Says whether `child` has a name that Kubernetes gives to what this workload makes.
    fn grows(&self, child: &Self) -> bool {
        let Some(rest) = child.name.strip_prefix(&self.name).and_then(|rest| rest.strip_prefix('-')) else {
            return false;
        };
        match (self.kind.as_str(), child.kind.as_str()) {
            ("Deployment", "ReplicaSet") => generated(rest, 6..=10),
            ("Deployment", "Pod") => {
                rest.split_once('-').is_some_and(|(set, pod)| generated(set, 6..=10) && generated(pod, 5..=5))
            }
            ("ReplicaSet" | "DaemonSet" | "Job" | "ReplicationController", "Pod") => generated(rest, 5..=5),
            ("StatefulSet", "Pod") | ("CronJob", "Job") => number(rest),
            ("CronJob", "Pod") => {
                rest.split_once('-').is_some_and(|(job, pod)| number(job) && generated(pod, 5..=5))
            }
            _ => false,
        }
    }
}

fn generated(text: &str, length: std::ops::RangeInclusive<usize>) -> bool {
    length.contains(&text.len()) && text.chars().all(|letter| GENERATED.contains(letter))
}

fn number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit())
}

fn is(text: Option<&str>, expected: &str) -> bool {
    text == Some(expected)
}

fn is_this_cluster(destination: &ApplicationDestination) -> bool {
    let server = destination.server.as_deref().unwrap_or_default().trim_end_matches('/');
    let name = destination.name.as_deref().unwrap_or_default();
    (server.is_empty() || server == THIS_CLUSTER) && (name.is_empty() || name == "in-cluster")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn app(destination: &Value) -> Application {
        serde_json::from_value(json!({
            "metadata": {"name": "tide", "namespace": "harbour", "uid": "u-1"},
            "spec": {"destination": destination, "project": "harbour"},
            "status": {"resources": [
                {"group": "apps", "kind": "Deployment", "namespace": "quay", "name": "crane"},
                {"group": "batch", "kind": "CronJob", "namespace": "quay", "name": "sweep"},
                {"kind": "Namespace", "name": "quay"}]}
        }))
        .unwrap()
    }

    fn about(object: &Value) -> Event {
        Event { involved_object: serde_json::from_value(object.clone()).unwrap(), ..Event::default() }
    }

    #[test]
    fn an_application_and_what_it_manages_are_covered() {
        let scope = Scope::of(&app(&json!({"namespace": "quay"})));
        assert_eq!(scope.namespaces().into_iter().collect::<Vec<_>>(), ["default", "quay"]);
        let check =
            |object: Value, covered: bool| assert_eq!(scope.covers(&about(&object)), covered, "{object}");
        let quay = |version: &str, kind: &str, name: &str| json!({"apiVersion": version, "kind": kind, "namespace": "quay", "name": name});
        check(json!({"apiVersion": "gitops/v1", "kind": "Application", "name": "tide", "uid": "u-1"}), true);
        check(json!({"apiVersion": "gitops/v1", "kind": "Application", "name": "tide", "uid": "u-2"}), false);
        check(quay("apps/v1", "Deployment", "crane"), true);
        check(quay("other/v1", "Deployment", "crane"), false);
        check(quay("apps/v1", "ReplicaSet", "crane-6d4b75cb6d"), true);
        check(quay("v1", "Pod", "crane-6d4b75cb6d-hwp2x"), true);
        check(quay("v1", "Pod", "crane-arm-6d4b75cb6d-hwp2x"), false);
        check(quay("batch/v1", "Job", "sweep-29381040"), true);
        check(quay("v1", "Pod", "sweep-29381040-bv7lz"), true);
        check(quay("batch/v1", "Job", "sweep-all"), false);
        check(json!({"apiVersion": "v1", "kind": "Namespace", "name": "quay"}), true);
        check(
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "other", "name": "crane"}),
            false,
        );
    }

    #[test]
    fn other_clusters_have_their_events_themselves() {
        let check = |destination: Value, here: bool| {
            assert_eq!(!Scope::of(&app(&destination)).namespaces().is_empty(), here, "{destination}");
        };
        check(json!({"server": "https://kubernetes.default.svc/"}), true);
        check(json!({"name": "in-cluster"}), true);
        check(json!({"server": "https://far.example"}), false);
        check(json!({"name": "far"}), false);
    }
}
