//! `CustomResourceDefinitions` become served kinds. What they say is checked here, and the status that
//! kube-apiserver's own controllers give them is made here. Deliberately absent: conversion by webhooks, and
//! estimates of what validation rules cost.

mod definition;
mod structure;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;

use super::kinds::Kind;
use super::kinds::Subresource;
use super::schema::Schema;
use super::validate;
use crate::manifest::Gvk;
use crate::manifest::Scope;

pub use self::definition::check;

const VERBS: [&str; 8] = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];
const VERBS_OF_SUBRESOURCES: [&str; 3] = ["get", "patch", "update"];

/// The kinds that a `CustomResourceDefinition` defines, one for each served version. It was checked when it was
/// written; that takes long enough to be done only once.
#[must_use]
pub fn kinds(definition: &Value) -> Vec<Kind> {
    let mut definition = definition.clone();
    if let Some(fields) = definition.as_object_mut() {
        validate::custom_definition(fields);
    }
    let versions = list(&definition["spec"]["versions"]);
    versions.filter(|version| version["served"] == true).map(|version| kind(&definition, version)).collect()
}

fn kind(definition: &Value, version: &Value) -> Kind {
    let spec = &definition["spec"];
    let names = &spec["names"];
    let stored = list(&spec["versions"]).find(|version| version["storage"] == true);
    let name_of_kind = text(&names["kind"]);
    let gvk = Gvk {
        group: text(&spec["group"]).to_owned(),
        version: text(&version["name"]).to_owned(),
        kind: name_of_kind.to_owned(),
    };
    let singular = text(&names["singular"]);
    let singular = if singular.is_empty() { name_of_kind.to_lowercase() } else { singular.to_owned() };
    Kind {
        plural: text(&names["plural"]).into(),
        singular: singular.into(),
        short_names: texts(&names["shortNames"]),
        categories: texts(&names["categories"]),
        scope: if spec["scope"] == "Cluster" { Scope::Cluster } else { Scope::Namespaced },
        verbs: VERBS.map(Into::into).into(),
        subresources: subresources(version, &gvk),
        schema: Schema::of_custom(&version["schema"]["openAPIV3Schema"]),
        resource: format!("{}.{}", text(&names["plural"]), gvk.group).into(),
        stored_version: text(&stored.unwrap_or(version)["name"]).into(),
        custom: Some(Arc::new(version.clone())),
        columns: Arc::new(columns(version)),
        gvk,
    }
}

fn subresources(version: &Value, own: &Gvk) -> Vec<Subresource> {
    let scale = Gvk { group: "autoscaling".into(), version: "v1".into(), kind: "Scale".into() };
    let known = [("status", own), ("scale", &scale)];
    let given = known.into_iter().filter(|(name, _)| version["subresources"][*name].is_object());
    given
        .map(|(name, gvk)| Subresource {
            name: name.into(),
            gvk: gvk.clone(),
            verbs: VERBS_OF_SUBRESOURCES.map(Into::into).into(),
        })
        .collect()
}

/// Columns after the name; a definition that states none gets the age.
fn columns(version: &Value) -> Value {
    match &version["additionalPrinterColumns"] {
        Value::Array(columns) if !columns.is_empty() => columns.clone().into(),
        _ => json!([{
            "name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp",
            "description": "CreationTimestamp is a timestamp representing the server time when this object was \
                created. It is not guaranteed to be set in happens-before order across separate operations. \
                Clients may not set this value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by \
                the system. Read-only. Null for lists. More info: \
                https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata",
        }]),
    }
}

/// The status that a definition has once it is accepted and served. Conditions that hold already keep their
/// times.
#[must_use]
pub fn status_of(definition: &Value, now: Timestamp) -> Value {
    let time = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let known = |kind: &str| {
        list(&definition["status"]["conditions"])
            .find(|known| known["type"] == kind && known["status"] == "True")
    };
    let condition = |kind: &str, reason: &str, message: &str| {
        known(kind).cloned().unwrap_or_else(|| {
            json!({
                "type": kind, "status": "True", "lastTransitionTime": time,
                "reason": reason, "message": message,
            })
        })
    };
    let mut conditions = vec![
        condition("NamesAccepted", "NoConflicts", "no conflicts found"),
        condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
    ];
    let others = list(&definition["status"]["conditions"]);
    conditions.extend(
        others.filter(|other| other["type"] != "NamesAccepted" && other["type"] != "Established").cloned(),
    );
    let mut stored: Vec<Value> = list(&definition["status"]["storedVersions"]).cloned().collect();
    let storage = list(&definition["spec"]["versions"]).filter(|version| version["storage"] == true);
    for version in storage.map(|version| version["name"].clone()) {
        if !stored.contains(&version) {
            stored.push(version);
        }
    }
    json!({
        "conditions": conditions,
        "acceptedNames": definition["spec"]["names"],
        "storedVersions": stored,
    })
}

/// The status of a definition whose names others have: it is not served. `message` says which:
/// `"widgets" is already in use`; `reason` is `PluralConflict`, `KindConflict`, …
#[must_use]
pub fn status_of_conflict(definition: &Value, reason: &str, message: &str, now: Timestamp) -> Value {
    let time = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let mut status = status_of(definition, now);
    status["conditions"] = json!([
        {"type": "NamesAccepted", "status": "False", "lastTransitionTime": time, "reason": reason, "message": message},
        {"type": "Established", "status": "False", "lastTransitionTime": time, "reason": "NotAccepted",
         "message": "not all names are accepted"},
    ]);
    status["acceptedNames"] = json!({"plural": "", "kind": ""});
    status
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> std::slice::Iter<'_, Value> {
    value.as_array().map_or(&[][..], Vec::as_slice).iter()
}

fn texts(value: &Value) -> Vec<Box<str>> {
    list(value).filter_map(Value::as_str).map(Into::into).collect()
}
