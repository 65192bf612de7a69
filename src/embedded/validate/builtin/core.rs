//! `ConfigMaps`, Secrets and Namespaces.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::super::findings::Findings;
use super::super::names;
use super::super::view::items;
use super::super::view::map;
use super::super::view::text;

const DATA_MOST: usize = 1024 * 1024;

/// Checks a `ConfigMap`.
pub(super) fn config_map(found: &mut Findings, object: &Value, before: Option<&Value>) {
    let mut size = 0;
    unchanged(found, object, before, &["data", "binaryData"]);
    for (key, value) in map(&object["data"]) {
        let field = format!("data[{key}]");
        found.invalid_each(&field, key, &names::config_key(key));
        if object["binaryData"].get(key).is_some() {
            found.invalid(&field, key.as_str(), "duplicate of key present in binaryData");
        }
        size += value.as_str().unwrap_or_default().len();
    }
    for (key, value) in map(&object["binaryData"]) {
        found.invalid_each(&format!("binaryData[{key}]"), key, &names::config_key(key));
        size += decoded(value).len();
    }
    if size > DATA_MOST {
        found.too_long("[]", DATA_MOST);
    }
}

/// Checks a Secret.
pub(super) fn secret(found: &mut Findings, object: &Value, before: Option<&Value>) {
    if let Some(before) = before {
        found.immutable("type", before.get("type"), object.get("type"));
    }
    unchanged(found, object, before, &["data"]);
    let data = &object["data"];
    let mut size = 0;
    for (key, value) in map(data) {
        found.invalid_each(&format!("data[{key}]"), key, &names::config_key(key));
        size += decoded(value).len();
    }
    if size > DATA_MOST {
        found.too_long("data", DATA_MOST);
    }
    let need = |found: &mut Findings, key: &str| {
        if data.get(key).is_none() {
            found.required(&format!("data[{key}]"), "");
        }
    };
    match text(object, "type") {
        "kubernetes.io/service-account-token" => {
            let key = "kubernetes.io/service-account.name";
            if text(&object["metadata"]["annotations"], key).is_empty() {
                found.required(&format!("metadata.annotations[{key}]"), "");
            }
        }
        kind @ ("kubernetes.io/dockercfg" | "kubernetes.io/dockerconfigjson") => {
            let key = if kind.ends_with("cfg") { ".dockercfg" } else { ".dockerconfigjson" };
            need(found, key);
            let Some(value) = data.get(key).map(decoded) else { return };
            if serde_json::from_slice::<serde_json::Map<_, _>>(&value).is_err() {
                let told = value.first().map_or_else(
                    || "unexpected end of JSON input".to_owned(),
                    |first| {
                        format!("invalid character {:?} looking for beginning of value", char::from(*first))
                    },
                );
                found.invalid(&format!("data[{key}]"), "<secret contents redacted>", &told);
            }
        }
        "kubernetes.io/basic-auth" if data.get("username").is_none() && data.get("password").is_none() => {
            need(found, "username");
            need(found, "password");
        }
        "kubernetes.io/ssh-auth" if text(data, "ssh-privatekey").is_empty() => {
            found.required("data[ssh-privatekey]", "");
        }
        "kubernetes.io/tls" => {
            need(found, "tls.crt");
            need(found, "tls.key");
        }
        _ => {}
    }
}

/// Checks that what is marked as immutable stays as it is.
fn unchanged(found: &mut Findings, object: &Value, before: Option<&Value>, fields: &[&str]) {
    let Some(before) = before.filter(|before| before["immutable"] == true) else { return };
    let told = "field is immutable when `immutable` is set";
    if object["immutable"] != true {
        found.forbidden("immutable", told);
    }
    for field in fields {
        if object[*field] != before[*field] {
            found.forbidden(field, told);
        }
    }
}

fn decoded(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap_or_default()).unwrap_or_default()
}

/// Checks a Namespace.
pub(super) fn namespace(found: &mut Findings, object: &Value) {
    for finalizer in items(&object["spec"], "finalizers").filter_map(Value::as_str) {
        let field = "spec.finalizers";
        found.invalid_each(field, finalizer, &names::label_key(finalizer));
        let standard = ["kubernetes", "orphan", "foregroundDeletion"];
        if !finalizer.contains('/') && !standard.contains(&finalizer) {
            let told = "name is neither a standard finalizer name nor is it fully qualified";
            found.invalid(field, finalizer, told);
        }
    }
}

/// Checks the quantities of a `ResourceQuota` or `LimitRange`.
pub(super) fn quantities(found: &mut Findings, object: &Value) {
    for (name, value) in map(&object["spec"]["hard"]) {
        if value.as_str().is_some_and(|value| value.starts_with('-')) {
            let field = format!("spec.hard[{name}]");
            found.invalid(&field, value.clone(), "must be greater than or equal to 0");
        }
    }
}
