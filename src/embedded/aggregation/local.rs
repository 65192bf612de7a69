//! `APIServices` of groups that are served here. They lead nowhere, and show what there is.

use serde_json::{Value, json};

use super::RESOURCE;
use crate::embedded::objects::{Deletion, Objects, Options};
use crate::embedded::status::Status;
use crate::embedded::storage::Entry;

const MANAGER: &str = "kube-apiserver";
const LABEL: &str = "kube-aggregator.kubernetes.io/automanaged";
const DEFINITIONS: &str = "customresourcedefinitions.apiextensions.k8s.io";
/// What all `CustomResourceDefinitions` have.
const CUSTOM: [u64; 2] = [1000, 100];
/// Group, version, `groupPriorityMinimum` and `versionPriority` of the built-in groups.
const BUILT_IN: [(&str, &str, [u64; 2]); 22] = [
    ("", "v1", [18000, 1]),
    ("admissionregistration.k8s.io", "v1", [16700, 15]),
    ("apiextensions.k8s.io", "v1", [16700, 15]),
    ("apps", "v1", [17800, 15]),
    ("authentication.k8s.io", "v1", [17700, 15]),
    ("authorization.k8s.io", "v1", [17600, 15]),
    ("autoscaling", "v1", [17500, 15]),
    ("autoscaling", "v2", [17500, 30]),
    ("batch", "v1", [17400, 15]),
    ("certificates.k8s.io", "v1", [17300, 15]),
    ("coordination.k8s.io", "v1", [16500, 15]),
    ("discovery.k8s.io", "v1", [16200, 15]),
    ("events.k8s.io", "v1", [17750, 15]),
    ("flowcontrol.apiserver.k8s.io", "v1", [16100, 21]),
    ("networking.k8s.io", "v1", [17200, 15]),
    ("node.k8s.io", "v1", [16300, 15]),
    ("policy", "v1", [17100, 15]),
    ("rbac.authorization.k8s.io", "v1", [17000, 15]),
    ("resource.k8s.io", "v1", [16200, 21]),
    ("scheduling.k8s.io", "v1", [16600, 15]),
    ("storage.k8s.io", "v1", [16800, 15]),
    ("storagemigration.k8s.io", "v1", [15800, 15]),
];

/// Creates those of the built-in groups.
pub(super) fn create(objects: &Objects) -> Result<(), Status> {
    let kinds = objects.kinds.all();
    for (group, version, priorities) in BUILT_IN {
        if kinds.iter().any(|kind| kind.gvk.group == group && kind.gvk.version == version) {
            put(objects, &made(group, version, priorities, "onstart"))?;
        }
    }
    Ok(())
}

/// Brings those of `CustomResourceDefinitions` up to date.
pub(super) fn follow(objects: &Objects) {
    let (wanted, present) = (custom(objects), all(objects));
    let names: Vec<_> = wanted.iter().map(|(group, version)| format!("{version}.{group}")).collect();
    for (group, version) in &wanted {
        let made = made(group, version, CUSTOM, "true");
        if !present.iter().any(|one| one["metadata"]["name"] == made["metadata"]["name"]) {
            report(put(objects, &made));
        }
    }
    for one in present.iter().filter(|one| one["metadata"]["labels"][LABEL] == "true") {
        let name = one["metadata"]["name"].as_str().unwrap_or_default();
        if !names.iter().any(|wanted| wanted == name) {
            report(remove(objects, name));
        }
    }
}

/// Marks one as available, as they always are.
pub(super) fn mark(objects: &Objects, entry: &Entry) {
    let object = serde_json::from_slice::<Value>(&entry.json);
    if object.is_ok_and(|object| !object["spec"]["service"].is_object()) {
        let message = "Local APIServices are always available";
        super::availability::mark(objects, &entry.key.name, "True", "Local", message);
    }
}

fn report(result: Result<(), Status>) {
    if let Err(error) = result {
        tracing::warn!(error = error.message, "cannot bring the APIServices of custom kinds up to date");
    }
}

/// Returns the groups and versions of established `CustomResourceDefinitions`.
fn custom(objects: &Objects) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for definition in read(objects, DEFINITIONS) {
        let listed = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let established = listed(&definition["status"]["conditions"])
            .iter()
            .any(|condition| condition["type"] == "Established" && condition["status"] == "True");
        let group = definition["spec"]["group"].as_str().unwrap_or_default();
        let versions = listed(&definition["spec"]["versions"]);
        let served = versions.iter().filter(|version| established && version["served"] == true);
        found.extend(
            served.filter_map(|version| Some((group.to_owned(), version["name"].as_str()?.to_owned()))),
        );
    }
    found.sort();
    found.dedup();
    found
}

fn all(objects: &Objects) -> Vec<Value> {
    read(objects, RESOURCE)
}

fn read(objects: &Objects, resource: &str) -> Vec<Value> {
    let entries = objects.storage.list(resource, None).entries;
    entries.iter().filter_map(|entry| serde_json::from_slice(&entry.json).ok()).collect()
}

fn made(group: &str, version: &str, [group_priority, version_priority]: [u64; 2], managed: &str) -> Value {
    let mut spec = json!({
        "version": version, "groupPriorityMinimum": group_priority, "versionPriority": version_priority,
    });
    if !group.is_empty() {
        spec["group"] = group.into();
    }
    json!({
        "kind": "APIService", "apiVersion": "apiregistration.k8s.io/v1",
        "metadata": {"name": format!("{version}.{group}"), "labels": {LABEL: managed}},
        "spec": spec,
    })
}

fn put(objects: &Objects, object: &Value) -> Result<(), Status> {
    let Some(kind) = objects.kinds.of("apiregistration.k8s.io", "v1", "APIService") else { return Ok(()) };
    let options = Options { manager: MANAGER.into(), ..Options::default() };
    match objects.create(&kind, "", object.clone(), &options) {
        Err(status) if status.code != 409 => Err(status),
        _ => Ok(()),
    }
}

fn remove(objects: &Objects, name: &str) -> Result<(), Status> {
    let Some(kind) = objects.kinds.of("apiregistration.k8s.io", "v1", "APIService") else { return Ok(()) };
    match objects.delete(&kind, "", name, &Deletion::default()) {
        Err(status) if status.code != 404 => Err(status),
        _ => Ok(()),
    }
}
