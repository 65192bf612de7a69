//! `metadata` of all kinds.

use serde_json::Value;

use super::findings::Findings;
use super::names;
use super::view::int;
use super::view::items;
use super::view::map;
use super::view::text;

/// What names of a kind look like: answers what is wrong with one.
pub(super) type Naming = fn(&str) -> Vec<String>;

const ANNOTATIONS_MOST: usize = 256 * 1024;

/// Checks the metadata of an object that is created.
pub(super) fn create(found: &mut Findings, metadata: &Value, naming: Naming, namespaced: bool) {
    let prefix = text(metadata, "generateName");
    if !prefix.is_empty() {
        found.invalid_each("metadata.generateName", prefix, &naming(&names::as_prefix(prefix)));
    }
    match text(metadata, "name") {
        "" => found.required("metadata.name", "name or generateName is required"),
        name => found.invalid_each("metadata.name", name, &naming(name)),
    }
    match (namespaced, text(metadata, "namespace")) {
        (true, "") => found.required("metadata.namespace", ""),
        (true, namespace) => {
            found.invalid_each("metadata.namespace", namespace, &names::dns_label(namespace));
        }
        (false, "") => {}
        (false, _) => found.forbidden("metadata.namespace", "not allowed on this type"),
    }
    found.not_negative("metadata.generation", int(metadata, "generation"));
    common(found, metadata);
    finalizers(found, metadata);
}

/// Checks the metadata of an object that replaces another version of itself.
pub(super) fn update(found: &mut Findings, metadata: &Value, before: &Value) {
    if before["deletionTimestamp"].is_string() {
        let known: Vec<_> = items(before, "finalizers").collect();
        let mut new: Vec<_> =
            items(metadata, "finalizers").filter(|finalizer| !known.contains(finalizer)).collect();
        new.sort_by_key(|finalizer| finalizer.as_str());
        if !new.is_empty() {
            let new: Vec<_> = new.iter().map(ToString::to_string).collect();
            let told = "no new finalizers can be added if the object is being deleted, found new finalizers";
            found.forbidden("metadata.finalizers", &format!("{told} []string{{{}}}", new.join(", ")));
        }
    }
    if text(metadata, "resourceVersion").is_empty() {
        found.invalid("metadata.resourceVersion", 0, "must be specified for an update");
    }
    found.not_negative("metadata.generation", int(metadata, "generation"));
    if int(metadata, "generation").unwrap_or_default() < int(before, "generation").unwrap_or_default() {
        let generation = int(metadata, "generation").unwrap_or_default();
        found.invalid("metadata.generation", generation, "must not be decremented");
    }
    for name in ["name", "namespace", "uid"] {
        if text(metadata, name) != text(before, name) {
            found.invalid(&format!("metadata.{name}"), text(metadata, name), "field is immutable");
        }
    }
    for name in ["creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        found.immutable(&format!("metadata.{name}"), before.get(name), metadata.get(name));
    }
    common(found, metadata);
}

fn common(found: &mut Findings, metadata: &Value) {
    labels(found, &metadata["labels"], "metadata.labels");
    annotations(found, &metadata["annotations"], "metadata.annotations");
    owners(found, metadata);
    for finalizer in items(metadata, "finalizers").filter_map(Value::as_str) {
        found.invalid_each("metadata.finalizers", finalizer, &names::label_key(finalizer));
    }
}

/// Checks finalizers of kinds that are built in.
pub(super) fn known_finalizers(found: &mut Findings, metadata: &Value) {
    for (index, finalizer) in items(metadata, "finalizers").filter_map(Value::as_str).enumerate() {
        if !finalizer.contains('/') && !["kubernetes", "orphan", "foregroundDeletion"].contains(&finalizer) {
            let told = "name is neither a standard finalizer name nor is it fully qualified";
            found.invalid(&format!("metadata.finalizers[{index}]"), finalizer, told);
        }
    }
}

/// Checks labels, wherever they are.
pub(super) fn labels(found: &mut Findings, labels: &Value, field: &str) {
    for (key, value) in map(labels) {
        found.invalid_each(field, key, &names::label_key(key));
        let value = value.as_str().unwrap_or_default();
        found.invalid_each(field, value, &names::label_value(value));
    }
}

/// Checks annotations, wherever they are.
pub(super) fn annotations(found: &mut Findings, annotations: &Value, field: &str) {
    let mut size = 0;
    for (key, value) in map(annotations) {
        found.invalid_each(field, key, &names::label_key(&key.to_lowercase()));
        size += key.len() + value.as_str().unwrap_or_default().len();
    }
    if size > ANNOTATIONS_MOST {
        found.too_long(field, ANNOTATIONS_MOST);
    }
}

fn owners(found: &mut Findings, metadata: &Value) {
    let mut controller: Option<String> = None;
    for (index, owner) in items(metadata, "ownerReferences").enumerate() {
        let field = format!("metadata.ownerReferences[{index}]");
        match text(owner, "apiVersion") {
            "" => found.required(&format!("{field}.apiVersion"), "must not be empty"),
            version if version.matches('/').count() > 1 => {
                found.invalid(
                    &format!("{field}.apiVersion"),
                    version,
                    "must be <group>/<version> or <version>",
                );
            }
            _ => {}
        }
        for name in ["kind", "name", "uid"] {
            if text(owner, name).is_empty() {
                found.required(&format!("{field}.{name}"), "must not be empty");
            }
        }
        if text(owner, "apiVersion") == "v1" && text(owner, "kind") == "Event" {
            found.invalid(&field, owner.clone(), "/v1, Kind=Event is disallowed from being an owner");
        }
        if owner["controller"] == true {
            let name = format!("{}/{}", text(owner, "kind"), text(owner, "name"));
            if let Some(first) = &controller {
                let told =
                    "Only one reference can have Controller set to true. Found \"true\" in references for";
                let owners = metadata["ownerReferences"].clone();
                found.invalid("metadata.ownerReferences", owners, &format!("{told} {first} and {name}"));
            }
            controller.get_or_insert(name);
        }
    }
}

fn finalizers(found: &mut Findings, metadata: &Value) {
    let field = "metadata.finalizers";
    let finalizers: Vec<_> = items(metadata, "finalizers").filter_map(Value::as_str).collect();
    for finalizer in &finalizers {
        found.invalid_each(field, finalizer, &names::label_key(finalizer));
    }
    if finalizers.contains(&"orphan") && finalizers.contains(&"foregroundDeletion") {
        let told = "finalizer orphan and foregroundDeletion cannot be both set";
        found.invalid(field, metadata["finalizers"].clone(), told);
    }
}
