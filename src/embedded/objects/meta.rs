//! `metadata`: what the server fills in, what clients may not change, what must hold.

use std::hash::DefaultHasher;
use std::hash::Hash;
use std::hash::Hasher as _;

use jiff::Timestamp;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

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

/// Makes up a name that starts with `base`. It follows from `seed`: the same writes make up the same names.
pub(super) fn made_up(base: &str, seed: &impl Hash) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let cut = base.char_indices().map(|(at, _)| at).chain([base.len()]).take_while(|at| *at <= 58).last();
    let mut hasher = DefaultHasher::new();
    (base, seed).hash(&mut hasher);
    let random = hasher.finish().to_le_bytes();
    let end = random[..5].iter().map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]));
    base[..cut.unwrap_or(0)].chars().chain(end).collect()
}
