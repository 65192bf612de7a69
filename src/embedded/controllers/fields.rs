//! Reading and making parts of objects, as all controllers do it: conditions, owner references, selectors,
//! counts that may be percentages, hashes of templates.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// Reads a text by JSON pointer; empty where there is none.
pub(super) fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    object.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

/// Reads a number by JSON pointer; zero where there is none.
pub(super) fn count(object: &Value, path: &str) -> i64 {
    object.pointer(path).and_then(Value::as_i64).unwrap_or_default()
}

/// Reads a number by JSON pointer, or what stands for it.
pub(super) fn count_or(object: &Value, path: &str, default: i64) -> i64 {
    object.pointer(path).and_then(Value::as_i64).unwrap_or(default)
}

/// Reads a list by JSON pointer.
pub(super) fn list<'a>(object: &'a Value, path: &str) -> &'a [Value] {
    object.pointer(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// `metadata.name`.
pub(super) fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// `metadata.namespace`; empty for objects of the whole cluster.
pub(super) fn namespace(object: &Value) -> &str {
    text(object, "/metadata/namespace")
}

/// `metadata.uid`.
pub(super) fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

/// Whether the object is on its way out.
pub(super) fn is_leaving(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

/// Reads an annotation; empty where there is none.
pub(super) fn annotation<'a>(object: &'a Value, name: &str) -> &'a str {
    object["metadata"]["annotations"][name].as_str().unwrap_or_default()
}

/// Reads a label; empty where there is none.
pub(super) fn label<'a>(object: &'a Value, name: &str) -> &'a str {
    object["metadata"]["labels"][name].as_str().unwrap_or_default()
}

/// Whether `metadata.finalizers` names it.
pub(super) fn has_finalizer(object: &Value, finalizer: &str) -> bool {
    list(object, "/metadata/finalizers").iter().any(|known| known == finalizer)
}

/// The object without the finalizer.
pub(super) fn without_finalizer(object: &Value, finalizer: &str) -> Value {
    let mut object = object.clone();
    if let Some(finalizers) = object["metadata"]["finalizers"].as_array_mut() {
        finalizers.retain(|known| known != finalizer);
    }
    object
}

/// The object with the finalizer.
pub(super) fn with_finalizer(object: &Value, finalizer: &str) -> Value {
    let mut object = object.clone();
    let mut finalizers = list(&object, "/metadata/finalizers").to_vec();
    finalizers.push(finalizer.into());
    object["metadata"]["finalizers"] = finalizers.into();
    object
}

/// The time as objects write it: whole seconds.
pub(super) fn stamp(now: Timestamp) -> Value {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into()
}

/// Reads a time by JSON pointer.
pub(super) fn time(object: &Value, path: &str) -> Option<Timestamp> {
    text(object, path).parse().ok()
}

/// Finds a condition of an object.
pub(super) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    list(object, "/status/conditions").iter().find(|condition| condition["type"] == kind)
}

/// Whether a condition is `True`.
pub(super) fn holds(object: &Value, kind: &str) -> bool {
    condition(object, kind).is_some_and(|condition| condition["status"] == "True")
}

/// Puts a condition into the list: at the place of the one it replaces, which keeps its
/// `lastTransitionTime` if the status stays, or at the end.
pub(super) fn put_condition(conditions: &mut Vec<Value>, mut new: Value) {
    let Some(old) = conditions.iter_mut().find(|old| old["type"] == new["type"]) else {
        return conditions.push(new);
    };
    if old["status"] == new["status"] && old["lastTransitionTime"].is_string() {
        new["lastTransitionTime"] = old["lastTransitionTime"].clone();
    }
    *old = new;
}

/// The reference by which a controller's objects name it.
pub(super) fn controller_reference(owner: &Value) -> Value {
    json!({
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true,
    })
}

/// The owner that controls the object.
pub(super) fn controller_of(object: &Value) -> Option<&Value> {
    list(object, "/metadata/ownerReferences").iter().find(|owner| owner["controller"] == true)
}

/// Whether labels fit a `LabelSelector`. One that is empty fits all; none fits nothing.
pub(super) fn selects(selector: &Value, object: &Value) -> bool {
    let labels = &object["metadata"]["labels"];
    selector.is_object()
        && has_all(&selector["matchLabels"], labels)
        && list(selector, "/matchExpressions").iter().all(|expression| {
            let found = labels[text(expression, "/key")].as_str();
            let among = found.is_some_and(|found| list(expression, "/values").iter().any(|v| v == found));
            match text(expression, "/operator") {
                "In" => among,
                "NotIn" => !among,
                "Exists" => found.is_some(),
                "DoesNotExist" => found.is_none(),
                _ => false,
            }
        })
}

/// Whether all pairs of the first map are in the second.
pub(super) fn has_all(wanted: &Value, labels: &Value) -> bool {
    wanted.as_object().into_iter().flatten().all(|(key, value)| labels[key] == *value)
}

/// Which way a fraction of a count is rounded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Round {
    /// To the next whole one above.
    Up,
    /// To the next whole one below.
    Down,
}

/// Reads a number or a percentage of `total`.
pub(super) fn scaled(value: &Value, total: i64, round: Round) -> Option<i64> {
    let Some(percent) = value.as_str() else { return value.as_i64() };
    let share = percent.strip_suffix('%')?.parse::<i64>().ok()? * total;
    Some(if round == Round::Up { (share + 99).div_euclid(100) } else { share.div_euclid(100) })
}

/// The object with another status.
pub(super) fn with_status(object: &Value, status: Value) -> Value {
    let mut object = object.clone();
    object["status"] = status;
    object
}

/// A map without the members that are zero or empty, as Go's `omitempty` leaves them out. Members that are
/// named in `keep` stay.
pub(super) fn compact(value: Value, keep: &[&str]) -> Value {
    let Value::Object(map) = value else { return value };
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Bool(_) | Value::Object(_) => false,
    };
    map.into_iter()
        .filter(|(key, value)| keep.contains(&&**key) || !is_empty(value))
        .collect::<Map<_, _>>()
        .into()
}

/// A short name for a value: equal values have equal names. It looks like the hashes of
/// kube-controller-manager; it cannot be the same, as those depend on how Go prints its types.
pub(super) fn hash(value: &Value, collisions: i64) -> String {
    let mut told = String::new();
    canonical(value, &mut told);
    if collisions > 0 {
        told.push_str(&collisions.to_string());
    }
    safe(&fnv(told.as_bytes()).to_string())
}

/// The end of a generated name.
pub(super) fn suffix(seed: &str) -> String {
    let mut number = fnv(seed.as_bytes());
    let mut digits = String::new();
    for _ in 0..5 {
        digits.push(char::from(SAFE[(number % 27) as usize]));
        number /= 27;
    }
    digits
}

/// Letters and digits that make no words.
const SAFE: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

fn safe(digits: &str) -> String {
    digits.bytes().map(|digit| char::from(SAFE[usize::from(digit) % SAFE.len()])).collect()
}

/// FNV-1a, 32 bits.
fn fnv(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut members: Vec<_> = map.iter().collect();
            members.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (key, value) in members {
                out.push_str(key);
                out.push(':');
                canonical(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => items.iter().for_each(|item| {
            canonical(item, out);
            out.push(',');
        }),
        other => out.push_str(&other.to_string()),
    }
}
