//! What servers say of themselves, in the forms in which it is told on.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// What is known of one server.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Known {
    pub(super) group: String,
    pub(super) version: String,
    /// The `resources` of its `APIResourceList`; nothing while it does not answer.
    pub(super) resources: Option<Vec<Value>>,
    /// Its `serverRelativeURL` in `/openapi/v3`.
    pub(super) openapi: Option<String>,
}

impl Known {
    /// Returns its path in `/openapi/v3`.
    pub(super) fn openapi(&self) -> Option<(String, String)> {
        Some((format!("apis/{}/{}", self.group, self.version), self.openapi.clone()?))
    }

    fn described(&self) -> Value {
        let Self { group, version, resources, .. } = self;
        match resources {
            Some(resources) => {
                json!({"version": version, "resources": aggregated(group, version, resources), "freshness": "Current"})
            }
            None => json!({"version": version, "freshness": "Stale"}),
        }
    }
}

/// Returns `APIGroupDiscovery` items.
pub(super) fn discovery<'a>(known: impl Iterator<Item = &'a Known>) -> Vec<Value> {
    let groups = by_group(known).into_iter();
    groups
        .map(|(group, known)| {
            let versions: Vec<_> = known.into_iter().map(Known::described).collect();
            json!({"metadata": {"name": group, "creationTimestamp": null}, "versions": versions})
        })
        .collect()
}

/// Returns `APIGroup` items.
pub(super) fn groups<'a>(known: impl Iterator<Item = &'a Known>) -> Vec<Value> {
    let groups = by_group(known).into_iter();
    groups
        .map(|(group, known)| {
            let named = |known: &Known| {
                json!({"groupVersion": format!("{group}/{}", known.version), "version": known.version})
            };
            let versions: Vec<_> = known.into_iter().map(named).collect();
            json!({"name": group, "preferredVersion": versions[0], "versions": versions})
        })
        .collect()
}

fn by_group<'a>(known: impl Iterator<Item = &'a Known>) -> BTreeMap<&'a str, Vec<&'a Known>> {
    let mut groups: BTreeMap<&str, Vec<&Known>> = BTreeMap::new();
    for one in known {
        groups.entry(&one.group).or_default().push(one);
    }
    groups
}

/// Turns the resources of an `APIResourceList` into those of aggregated discovery, subresources beneath
/// their resource.
fn aggregated(group: &str, version: &str, resources: &[Value]) -> Vec<Value> {
    let mut items: Vec<Map<String, Value>> = Vec::new();
    for resource in resources {
        let name = resource["name"].as_str().unwrap_or_default();
        let own = |field: &str, usual: &str| {
            resource[field].as_str().filter(|own| !own.is_empty()).unwrap_or(usual).to_owned()
        };
        let kind = json!({
            "group": own("group", group), "version": own("version", version), "kind": resource["kind"],
        });
        match name.split_once('/') {
            Some((parent, subresource)) => {
                let beneath =
                    json!({"subresource": subresource, "responseKind": kind, "verbs": resource["verbs"]});
                if let Some(parent) = items.iter_mut().find(|item| item["resource"] == parent) {
                    let list = parent.entry("subresources").or_insert_with(|| json!([]));
                    list.as_array_mut().expect("made a list above").push(beneath);
                }
            }
            None => items.push(item(name, resource, kind)),
        }
    }
    items.into_iter().map(Value::Object).collect()
}

fn item(name: &str, resource: &Value, kind: Value) -> Map<String, Value> {
    let scope = if resource["namespaced"] == true { "Namespaced" } else { "Cluster" };
    let mut item = Map::new();
    item.insert("resource".into(), name.into());
    item.insert("responseKind".into(), kind);
    item.insert("scope".into(), scope.into());
    item.insert("singularResource".into(), resource["singularName"].clone());
    for field in ["verbs", "shortNames", "categories"] {
        if resource[field].is_array() {
            item.insert(field.into(), resource[field].clone());
        }
    }
    item
}
