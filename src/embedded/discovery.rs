//! What is served: both forms of discovery, OpenAPI, the version.
//!
//! Groups that other servers offer through an `APIService` are not known here; see `aggregation`.

mod openapi;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::kinds::{Kind, Kinds, Subresource, data};
use crate::manifest::{Gvk, Scope};

/// A group: its name, and its versions with their kinds.
struct Group {
    name: String,
    versions: Vec<(String, Vec<Arc<Kind>>)>,
}

/// `/apis` in the aggregated form (`APIGroupDiscoveryList`, `apidiscovery.k8s.io/v2`), of the core group
/// if `core` (`/api`).
#[must_use]
pub fn aggregated(kinds: &Kinds, core: bool) -> Value {
    let items: Vec<Value> = groups(kinds)
        .iter()
        .filter(|group| group.name.is_empty() == core)
        .map(|group| {
            let versions = group.versions.iter().map(|(version, kinds)| {
                let resources: Vec<Value> = kinds.iter().map(|kind| resource_discovery(kind)).collect();
                json!({"version": version, "resources": resources, "freshness": "Current"})
            });
            let metadata = if core { json!({}) } else { json!({"name": group.name}) };
            json!({"metadata": metadata, "versions": versions.collect::<Vec<_>>()})
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items,
    })
}

/// `/api`, `/apis`, `/apis/{group}`, `/api/v1`, `/apis/{group}/{version}` in the older form; nothing if the
/// path is none of these or is not served.
#[must_use]
pub fn plain(kinds: &Kinds, path: &str) -> Option<Value> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match *parts {
        ["api"] => {
            let address = json!({"clientCIDR": "0.0.0.0/0", "serverAddress": "localhost"});
            Some(json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [address]}))
        }
        ["apis"] => {
            let groups: Vec<Value> =
                groups(kinds).iter().filter(|group| !group.name.is_empty()).map(api_group).collect();
            Some(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
        }
        ["apis", name] => {
            let group = groups(kinds).into_iter().find(|group| group.name == name && !name.is_empty())?;
            let mut about = json!({"kind": "APIGroup", "apiVersion": "v1"});
            if let (Value::Object(about), Value::Object(group)) = (&mut about, api_group(&group)) {
                about.extend(group);
            }
            Some(about)
        }
        ["api", version] => api_resources(kinds, "", version),
        ["apis", group, version] if !group.is_empty() => api_resources(kinds, group, version),
        _ => None,
    }
}

/// `/version`.
#[must_use]
pub fn version() -> &'static Value {
    &data().version
}

/// `/openapi/v3`.
#[must_use]
pub fn openapi_index(kinds: &Kinds) -> Value {
    let mut paths = Map::new();
    for group in groups(kinds) {
        for (_, kinds) in &group.versions {
            let root = kinds[0].root();
            let url = format!("/openapi/v3/{root}?hash={}", openapi::hash(kinds));
            paths.insert(root, json!({"serverRelativeURL": url}));
        }
    }
    json!({"paths": paths})
}

/// `/openapi/v3/apis/{group}/{version}` and `/openapi/v3/api/v1`.
#[must_use]
pub fn openapi(kinds: &Kinds, path: &str) -> Option<bytes::Bytes> {
    let root = path.strip_prefix("/openapi/v3/")?.trim_end_matches('/');
    let served: Vec<_> = kinds.all().into_iter().filter(|kind| kind.root() == root).collect();
    (!served.is_empty()).then(|| openapi::document(&served))
}

/// All groups: the built-in ones as a real cluster orders them, then the others by name.
fn groups(kinds: &Kinds) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for kind in kinds.all() {
        let Gvk { group, version, .. } = &kind.gvk;
        if groups.last().is_none_or(|last| last.name != *group) {
            groups.push(Group { name: group.clone(), versions: Vec::new() });
        }
        let versions = &mut groups.last_mut().expect("pushed above").versions;
        if versions.last().is_none_or(|(last, _)| last != version) {
            versions.push((version.clone(), Vec::new()));
        }
        versions.last_mut().expect("pushed above").1.push(kind);
    }
    let known = &data().groups;
    let rank = |group: &Group| known.iter().position(|built_in| built_in.metadata.name == group.name);
    groups.sort_by_key(|group| rank(group).unwrap_or(usize::MAX));
    groups
}

fn resource_discovery(kind: &Kind) -> Value {
    let mut resource = json!({
        "resource": kind.plural,
        "responseKind": response_kind(kind, &kind.gvk),
        "scope": if kind.scope == Scope::Namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": kind.singular,
        "verbs": kind.verbs,
    });
    names(&mut resource, kind);
    if !kind.subresources.is_empty() {
        let beneath = kind.subresources.iter().map(|beneath| {
            json!({
                "subresource": beneath.name,
                "responseKind": response_kind(kind, &beneath.gvk),
                "verbs": beneath.verbs,
            })
        });
        resource["subresources"] = beneath.collect();
    }
    resource
}

/// A kind, without group and version where a real kube-apiserver leaves them to be those of the resource.
fn response_kind(kind: &Kind, gvk: &Gvk) -> Value {
    let same = (&gvk.group, &gvk.version) == (&kind.gvk.group, &kind.gvk.version);
    if same && kind.custom.is_none() {
        json!({"group": "", "version": "", "kind": gvk.kind})
    } else {
        json!({"group": gvk.group, "version": gvk.version, "kind": gvk.kind})
    }
}

fn names(resource: &mut Value, kind: &Kind) {
    if !kind.short_names.is_empty() {
        resource["shortNames"] = json!(kind.short_names);
    }
    if !kind.categories.is_empty() {
        resource["categories"] = json!(kind.categories);
    }
}

fn api_group(group: &Group) -> Value {
    let versions: Vec<Value> = group
        .versions
        .iter()
        .map(|(version, _)| json!({"groupVersion": format!("{}/{version}", group.name), "version": version}))
        .collect();
    json!({"name": group.name, "versions": versions, "preferredVersion": versions[0]})
}

fn api_resources(kinds: &Kinds, group: &str, version: &str) -> Option<Value> {
    let served: Vec<_> = kinds
        .all()
        .into_iter()
        .filter(|kind| kind.gvk.group == group && kind.gvk.version == version)
        .collect();
    let group_version = served.first()?.gvk.api_version();
    let resources: Vec<Value> = served
        .iter()
        .flat_map(|kind| {
            std::iter::once(api_resource(kind))
                .chain(kind.subresources.iter().map(|beneath| api_subresource(kind, beneath)))
        })
        .collect();
    let mut list = json!({"kind": "APIResourceList"});
    if group_version.contains('/') {
        list["apiVersion"] = "v1".into(); // of the core group it is not told
    }
    list["groupVersion"] = group_version.into();
    list["resources"] = resources.into();
    Some(list)
}

fn api_resource(kind: &Kind) -> Value {
    let mut resource = json!({
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.scope == Scope::Namespaced,
        "kind": kind.gvk.kind,
        "verbs": kind.verbs,
    });
    names(&mut resource, kind);
    if kind.verbs.iter().any(|verb| &**verb == "list") {
        resource["storageVersionHash"] = storage_version_hash(&kind.stored()).into();
    }
    resource
}

fn api_subresource(kind: &Kind, beneath: &Subresource) -> Value {
    let mut resource = json!({
        "name": format!("{}/{}", kind.plural, beneath.name),
        "singularName": "",
        "namespaced": kind.scope == Scope::Namespaced,
    });
    if (&beneath.gvk.group, &beneath.gvk.version) != (&kind.gvk.group, &kind.gvk.version) {
        resource["group"] = beneath.gvk.group.as_str().into();
        resource["version"] = beneath.gvk.version.as_str().into();
    }
    resource["kind"] = beneath.gvk.kind.as_str().into();
    resource["verbs"] = json!(beneath.verbs);
    resource
}

/// Tells clients in what kind objects are stored, without telling it.
fn storage_version_hash(stored: &Gvk) -> String {
    // Kubernetes stores definitions in a version that it no longer serves.
    let version = if stored.kind == "CustomResourceDefinition" { "v1beta1" } else { &stored.version };
    let text = format!("{}/{version}/{}", stored.group, stored.kind);
    BASE64.encode(&Sha256::digest(text)[..8])
}
