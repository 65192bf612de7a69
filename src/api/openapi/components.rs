//! The schemas of the document: our types, lists of them, and Kubernetes' own types that they use.

use serde_json::{Map, Value, json};

use super::{component, group_version_kind, reference};
use crate::api::names;
use crate::api::schema;

const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";
const EVENT: &str = "io.k8s.api.core.v1.Event";

/// Makes all schemas, by name.
pub(super) fn all() -> Map<String, Value> {
    let mut definitions = schema::definitions();
    for kind in ["Application", "Project", "SyncRequest", "RefreshRequest"] {
        definitions[kind]["x-kubernetes-group-version-kind"] = json!([group_version_kind(kind)]);
    }
    for kind in [names::APPLICATION, names::PROJECT] {
        definitions.insert(format!("{kind}List"), list(kind));
    }
    definitions.insert("EventList".into(), event_list());
    add_kubernetes_extensions(&mut definitions);
    let mut components: Vec<(String, Value)> = definitions
        .into_iter()
        .map(|(name, mut schema)| {
            refer_to_components(&mut schema);
            (component(&name), schema)
        })
        .collect();
    components.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    components.into_iter().collect()
}

fn list(kind: &str) -> Value {
    let name = format!("{kind}List");
    json!({
        "description": format!("A list of objects of kind {kind}."),
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": {"description": "Group and version of the API: `gitops/v1`.", "type": "string"},
            "kind": {"description": format!("`{name}`."), "type": "string"},
            "metadata": metadata_of_list(),
            "items": {
                "description": "The objects.",
                "type": "array",
                "items": {"$ref": format!("{}{kind}", schema::REFERENCE)},
            },
        },
        "x-kubernetes-group-version-kind": [group_version_kind(&name)],
    })
}

fn event_list() -> Value {
    json!({
        "description": "Events of an application and of its objects, newest first.",
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": {"description": "`v1`.", "type": "string"},
            "kind": {"description": "`EventList`.", "type": "string"},
            "metadata": metadata_of_list(),
            "items": {
                "description": "The events of this page.",
                "type": "array",
                "items": {"$ref": format!("{}{EVENT}", schema::REFERENCE)},
            },
            "total_items": {"description": "How many events match.", "type": "integer", "format": "int64"},
            "total_page": {"description": "How many pages they fill.", "type": "integer", "format": "int64"},
        },
    })
}

fn metadata_of_list() -> Value {
    json!({
        "description": "Standard list metadata.",
        "$ref": format!("{}{LIST_META}", schema::REFERENCE),
    })
}

/// Adds how the lists of Kubernetes' own types merge; k8s-openapi's schemas leave it out.
fn add_kubernetes_extensions(definitions: &mut schema::Definitions) {
    let atomic = json!({"x-kubernetes-list-type": "atomic"});
    let fields = [
        (
            "ObjectMeta",
            "finalizers",
            json!({"x-kubernetes-list-type": "set", "x-kubernetes-patch-strategy": "merge"}),
        ),
        ("ObjectMeta", "managedFields", atomic.clone()),
        (
            "ObjectMeta",
            "ownerReferences",
            json!({
                "x-kubernetes-list-map-keys": ["uid"],
                "x-kubernetes-list-type": "map",
                "x-kubernetes-patch-merge-key": "uid",
                "x-kubernetes-patch-strategy": "merge",
            }),
        ),
        ("StatusDetails", "causes", atomic.clone()),
        ("DeleteOptions", "dryRun", atomic),
    ];
    for (name, field, extensions) in fields {
        let property = &mut definitions[&meta(name)]["properties"][field];
        for (key, value) in extensions.as_object().into_iter().flatten() {
            property[key] = value.clone();
        }
    }
    let of_core = |kind: &str| json!({"group": "", "kind": kind, "version": "v1"});
    definitions[&meta("Status")]["x-kubernetes-group-version-kind"] = json!([of_core("Status")]);
    definitions[&meta("DeleteOptions")]["x-kubernetes-group-version-kind"] =
        json!([of_core("DeleteOptions"), group_version_kind("DeleteOptions")]);
}

fn meta(name: &str) -> String {
    format!("io.k8s.apimachinery.pkg.apis.meta.v1.{name}")
}

/// Makes references point at components. OpenAPI 3.0 ignores what stands beside a `$ref`, so a reference
/// with a description is wrapped, as Kubernetes does.
fn refer_to_components(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.values_mut().for_each(refer_to_components);
            let target = object
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|text| text.strip_prefix(schema::REFERENCE));
            let Some(target) = target.map(reference) else { return };
            object.shift_remove("$ref");
            if object.is_empty() {
                *value = target;
            } else {
                object.insert("allOf".into(), json!([target]));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(refer_to_components),
        _ => {}
    }
}
