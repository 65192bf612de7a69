//! `metadata`: what the server fills in, what clients may not change, what must hold.

use jiff::Timestamp;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::super::kinds::Kind;
use super::super::status::Cause;
use super::names;
use crate::manifest::Scope;

/// Fields that only the server writes.
const SYSTEM: [&str; 6] =
    ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation"];

/// A time as objects write it.
#[must_use]
pub(crate) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A text of `metadata`; empty if it is not there.
#[must_use]
pub(crate) fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

/// `metadata`, which is made if it is not there. The object must be a JSON object.
pub(crate) fn of(object: &mut Value) -> &mut Map<String, Value> {
    let metadata = &mut object["metadata"];
    if !metadata.is_object() {
        *metadata = json!({});
    }
    metadata.as_object_mut().expect("it was just made one")
}

/// Finalizers.
#[must_use]
pub(crate) fn finalizers(object: &Value) -> Vec<&str> {
    let all = object["metadata"]["finalizers"].as_array();
    all.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Whether the object is being deleted.
#[must_use]
pub(crate) fn is_deleting(object: &Value) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
}

/// Sets what every new object has.
pub(super) fn begin(object: &mut Value, namespace: &str, now: Timestamp) {
    let metadata = of(object);
    for field in SYSTEM.into_iter().chain(["resourceVersion"]) {
        metadata.remove(field);
    }
    metadata.insert("uid".into(), uuid::Uuid::new_v4().to_string().into());
    metadata.insert("creationTimestamp".into(), time(now).into());
    if namespace.is_empty() {
        metadata.remove("namespace");
    } else {
        metadata.insert("namespace".into(), namespace.into());
    }
}

/// Takes over what a write cannot change, from the object that is replaced.
pub(super) fn carry_on(object: &mut Value, live: &Value) {
    let live = &live["metadata"];
    let metadata = of(object);
    metadata.remove("selfLink");
    let mut carry = |field: &str| {
        match live.get(field).filter(|value| !value.is_null()) {
            Some(value) => metadata.insert(field.into(), value.clone()),
            None => metadata.remove(field),
        };
    };
    carry("generation");
    carry("creationTimestamp");
    if !live["deletionTimestamp"].is_null() {
        carry("deletionTimestamp");
    }
    if metadata.get("uid").and_then(Value::as_str).is_none_or(str::is_empty) {
        metadata.insert("uid".into(), live["uid"].clone());
    }
    let grace = "deletionGracePeriodSeconds";
    if !live[grace].is_null() && metadata.get(grace).is_none_or(Value::is_null) {
        metadata.insert(grace.into(), live[grace].clone());
    }
}

/// Tells what is wrong with `metadata`.
pub(super) fn check(kind: &Kind, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let mut invalid = |field: &str, value: &str, messages: Vec<String>| {
        causes.extend(messages.into_iter().map(|message| Cause {
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {value:?}: {message}"),
            field: format!("metadata.{field}"),
        }));
    };
    let base = text(object, "generateName");
    if !base.is_empty() {
        invalid("generateName", base, names::check(kind, base, true));
    }
    let name = text(object, "name");
    if !name.is_empty() {
        invalid("name", name, names::check(kind, name, false));
    }
    let namespace = text(object, "namespace");
    if kind.scope == Scope::Namespaced && !namespace.is_empty() {
        invalid("namespace", namespace, names::check_namespace(namespace));
    }
    for (key, value) in object["metadata"]["labels"].as_object().into_iter().flatten() {
        invalid("labels", key, names::check_key(key));
        let value = value.as_str().unwrap_or_default();
        invalid("labels", value, names::check_value(value));
    }
    for (key, _) in object["metadata"]["annotations"].as_object().into_iter().flatten() {
        invalid("annotations", key, names::check_key(&key.to_lowercase()));
    }
    let ends = finalizers(object);
    for finalizer in &ends {
        invalid("finalizers", finalizer, names::check_key(finalizer));
    }
    causes.extend(check_size(object));
    causes.extend(check_owners(object));
    if name.is_empty() {
        causes.insert(0, required("name", "name or generateName is required"));
    }
    if ends.contains(&"orphan") && ends.contains(&"foregroundDeletion") {
        causes.push(Cause {
            reason: "FieldValueInvalid",
            message: format!(
                "Invalid value: {}: finalizer orphan and foregroundDeletion cannot be both set",
                object["metadata"]["finalizers"]
            ),
            field: "metadata.finalizers".into(),
        });
    }
    causes
}

fn required(field: &str, why: &str) -> Cause {
    let message = if why.is_empty() { "Required value".into() } else { format!("Required value: {why}") };
    Cause { reason: "FieldValueRequired", message, field: format!("metadata.{field}") }
}

fn check_size(object: &Value) -> Option<Cause> {
    let annotations = object["metadata"]["annotations"].as_object()?;
    let size: usize =
        annotations.iter().map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum();
    (size > 256 * 1024).then(|| Cause {
        reason: "FieldValueTooLong",
        message: "Too long: may not be more than 262144 bytes".into(),
        field: "metadata.annotations".into(),
    })
}

fn check_owners(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let owners = object["metadata"]["ownerReferences"].as_array();
    let mut controller: Option<String> = None;
    for (index, owner) in owners.into_iter().flatten().enumerate() {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if owner[field].as_str().is_none_or(str::is_empty) {
                causes.push(required(&format!("ownerReferences[{index}].{field}"), "must not be empty"));
            }
        }
        if owner["controller"] == true {
            let this = format!(
                "{}/{}",
                owner["kind"].as_str().unwrap_or_default(),
                owner["name"].as_str().unwrap_or_default()
            );
            if let Some(first) = &controller {
                let message = format!(
                    "Invalid value: {}: Only one reference can have Controller set to true. Found \"true\" in \
                     references for {first} and {this}",
                    object["metadata"]["ownerReferences"]
                );
                let field = "metadata.ownerReferences".into();
                causes.push(Cause { reason: "FieldValueInvalid", message, field });
            } else {
                controller = Some(this);
            }
        }
    }
    causes
}

/// Tells what a write may not change of `metadata`.
pub(super) fn check_change(object: &Value, live: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    if is_deleting(live) {
        let before = finalizers(live);
        let mut extra: Vec<_> = finalizers(object).into_iter().filter(|one| !before.contains(one)).collect();
        extra.sort_unstable();
        if !extra.is_empty() {
            let listed = extra.iter().map(|one| format!("{one:?}")).collect::<Vec<_>>().join(", ");
            causes.push(Cause {
                reason: "FieldValueForbidden",
                message: format!(
                    "Forbidden: no new finalizers can be added if the object is being deleted, found new \
                     finalizers []string{{{listed}}}"
                ),
                field: "metadata.finalizers".into(),
            });
        }
    }
    for field in
        ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"]
    {
        let (after, before) = (&object["metadata"][field], &live["metadata"][field]);
        if after != before {
            causes.push(Cause {
                reason: "FieldValueInvalid",
                message: format!("Invalid value: {after}: field is immutable"),
                field: format!("metadata.{field}"),
            });
        }
    }
    causes
}
