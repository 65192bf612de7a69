//! Whether an object fits its schema, and what is filled in where it is silent.
//!
//! The way of an object that is written: `decode` (and `with_duplicates` for the strict error), `default`,
//! `prepare_for_create` or `prepare_for_update`, `check`. A patched object goes the same way. What is applied
//! on the server side is merged first: only the result goes through here. Deliberately absent: allocation of
//! addresses and ports (`needs_cluster_ip` and `needs_node_ports` say where it is due), and admission.

mod builtin;
mod decode;
mod defaults;
mod duplicates;
mod fields;
mod findings;
mod formats;
mod metadata;
pub(super) mod names;
mod prepare;
mod prune;
mod quantity;
mod rules;
mod structural;
#[cfg(test)]
mod tests;
mod times;
mod view;

use std::sync::Arc;

use serde_json::Value;

use super::kinds::Kind;
use super::status::Cause;
use super::status::Status;

pub(super) use self::decode::json_type;
pub(super) use self::defaults::custom_definition;
pub use self::duplicates::duplicates;
pub use self::duplicates::in_one;
pub use self::duplicates::with_duplicates;
pub(super) use self::findings::Findings;
pub use self::prepare::allows_create_on_update;
pub use self::prepare::allows_unconditional_update;
pub use self::prepare::begin;
pub use self::prepare::changes_generation;
pub use self::prepare::has_generation;
pub use self::prepare::needs_cluster_ip;
pub use self::prepare::needs_node_ports;
pub use self::prepare::prepare_for_create;
pub use self::prepare::prepare_for_update;
pub(super) use self::rules::check_rule;

/// Removes what the schema does not know and checks types, as kube-apiserver's decoder does. Answers the
/// paths of unknown fields as it words them (`unknown field "spec.bogus"`), for warnings or for the strict
/// error.
pub fn decode(kind: &Kind, object: &mut Value) -> Result<Vec<String>, Status> {
    let refuse = |error: String| Status::bad_request(cannot_be_handled(kind, &error));
    let Some(schema) = structural_schema(kind) else {
        return decode::decode(&kind.schema, object).map_err(refuse);
    };
    let mut unknown = Vec::new();
    if let (Some(of_metadata), Some(metadata)) = (kind.schema.field("metadata"), object.get_mut("metadata")) {
        let told = decode::decode(&of_metadata, metadata).map_err(refuse)?;
        unknown.extend(told.iter().map(|told| told.replacen('"', "\"metadata.", 1)));
    }
    let mut refused = None;
    if let Some(of_metadata) = kind.schema.field("metadata") {
        prune::each_embedded(schema, object, "", &mut |path, metadata| match decode::decode(
            &of_metadata,
            metadata,
        ) {
            Ok(told) => unknown.extend(told.iter().map(|told| told.replacen('"', &format!("\"{path}."), 1))),
            Err(error) => refused = Some(error),
        });
    }
    if let Some(error) = refused {
        return Err(refuse(error));
    }
    let pruned = prune::prune(schema, object);
    unknown.extend(pruned.iter().map(|path| format!("unknown field {path:?}")));
    Ok(unknown)
}

/// `Deployment in version "v1" cannot be handled as a Deployment: `, with what is wrong.
#[must_use]
pub fn cannot_be_handled(kind: &Kind, error: &str) -> String {
    let (name, version) = (&kind.gvk.kind, &kind.gvk.version);
    format!("{name} in version {version:?} cannot be handled as a {name}: {error}")
}

/// Fills in defaults.
pub fn default(kind: &Kind, object: &mut Value) {
    match structural_schema(kind) {
        Some(schema) => prune::fill(schema, object),
        None => defaults::fill(&kind.schema, object),
    }
}

/// Tells what is wrong with an object; `before` is what it replaces.
#[must_use]
pub fn check(kind: &Kind, object: &Value, before: Option<&Value>) -> Vec<Cause> {
    let mut found = Findings::default();
    check_metadata(&mut found, kind, object, before);
    match &kind.custom {
        Some(version) => check_custom(&mut found, version, object, before),
        None => builtin::check(&mut found, &kind.gvk.group, &kind.gvk.kind, object, before),
    }
    found.0
}

/// Tells what is wrong with an object of which only the status was written.
#[must_use]
pub fn check_status(kind: &Kind, object: &Value, before: &Value) -> Vec<Cause> {
    let mut found = Findings::default();
    metadata::update(&mut found, &object["metadata"], &before["metadata"]);
    if let Some(version) = &kind.custom
        && let Some(status) = object.get("status")
    {
        let schema = &version["schema"]["openAPIV3Schema"];
        let of_status = &schema["properties"]["status"];
        let causes = structural::check(of_status, status, before.get("status"), "");
        found.0.extend(causes.into_iter().map(|cause| {
            // The validator of the status does not know where the status is, only its caller does.
            let field = cause.field.replace("<nil>", "");
            let dot = if field.is_empty() { "" } else { "." };
            Cause { field: format!("status{dot}{field}"), ..cause }
        }));
        found.0.extend(structural::repeated(of_status, status, "status"));
        // What is not part of the status is as it was, and so is what rules say of it.
        let blocked = found.0.iter().any(|cause| BLOCKING.contains(&cause.reason));
        let ruled = rules::has_rules(of_status) || !schema["x-kubernetes-validations"].is_null();
        if blocked || ruled {
            check_rules(&mut found, version, object, Some(before));
        }
    }
    found.0
}

fn check_metadata(found: &mut Findings, kind: &Kind, object: &Value, before: Option<&Value>) {
    let naming = match kind.custom {
        Some(_) => names::dns_subdomain,
        None => builtin::naming(&kind.gvk.group, &kind.gvk.kind),
    };
    let namespaced = kind.scope == crate::manifest::Scope::Namespaced;
    match before {
        None => metadata::create(found, &object["metadata"], naming, namespaced),
        Some(before) => metadata::update(found, &object["metadata"], &before["metadata"]),
    }
    if kind.custom.is_none() && !kind.gvk.group.starts_with("api") {
        metadata::known_finalizers(found, &object["metadata"]);
    }
}

fn check_custom(found: &mut Findings, version: &Arc<Value>, object: &Value, before: Option<&Value>) {
    let schema = &version["schema"]["openAPIV3Schema"];
    found.0.extend(structural::check(schema, object, before, ""));
    let scale = &version["subresources"]["scale"];
    for path in ["specReplicasPath", "statusReplicasPath"] {
        replicas(found, object, scale[path].as_str().unwrap_or_default());
    }
    structural::embedded(found, schema, object, "");
    found.0.extend(structural::repeated(schema, object, ""));
    check_rules(found, version, object, before);
}

/// Validation rules are looked at if nothing else is wrong that they may trip over.
fn check_rules(found: &mut Findings, version: &Arc<Value>, object: &Value, before: Option<&Value>) {
    let Some(rules) = rules::compiled(version) else { return };
    if found.0.iter().any(|cause| BLOCKING.contains(&cause.reason)) {
        let told = "some validation rules were not checked because the object was invalid; correct the existing \
                    errors to complete validation";
        found.invalid("<nil>", Value::Null, told);
    } else {
        let schema = &version["schema"]["openAPIV3Schema"];
        rules::check(found, &rules, schema, (object, before));
    }
}

/// After these, validation rules are not looked at.
const BLOCKING: [&str; 5] = [
    "FieldValueNotSupported",
    "FieldValueRequired",
    "FieldValueTooLong",
    "FieldValueTooMany",
    "FieldValueTypeInvalid",
];

/// Checks the number that the `scale` subresource shows.
fn replicas(found: &mut Findings, object: &Value, path: &str) {
    let wrong = |value: &Value, expected: &str| {
        let kind = match value {
            Value::String(_) => "string",
            Value::Number(_) => "float64",
            Value::Bool(_) => "bool",
            Value::Array(_) => "[]interface {}",
            Value::Null | Value::Object(_) => "map[string]interface {}",
        };
        let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("{path} accessor error: {shown} is of the type {kind}, expected {expected}")
    };
    let mut number = object;
    for name in path.split('.').filter(|name| !name.is_empty()) {
        if !number.is_object() {
            return found.invalid(path, 0, &wrong(number, "map[string]interface{}"));
        }
        let Some(next) = number.get(name) else { return };
        number = next;
    }
    match number.as_i64() {
        _ if path.is_empty() => {}
        None => found.invalid(path, 0, &wrong(number, "int64")),
        Some(number) if number < 0 => found.invalid(path, number, "should be a non-negative integer"),
        Some(number) if i32::try_from(number).is_err() => {
            found.invalid(path, number, "should be less than or equal to 2147483647");
        }
        Some(_) => {}
    }
}

/// The schema of a custom kind as its definition writes it.
fn structural_schema(kind: &Kind) -> Option<&Value> {
    kind.custom.as_ref().map(|version| &version["schema"]["openAPIV3Schema"])
}
