//! The form in which objects are stored, and the version in which they are asked for.

use serde_json::Map;
use serde_json::Value;

use super::super::kinds::Kind;
use super::super::storage::Entry;

/// `apiVersion` of stored objects.
fn stored_version(kind: &Kind) -> String {
    let (group, version) = (&kind.gvk.group, &kind.stored_version);
    if group.is_empty() { version.to_string() } else { format!("{group}/{version}") }
}

/// Reads a stored object in the version of `kind`.
#[must_use]
pub(crate) fn read(kind: &Kind, entry: &Entry) -> Value {
    let object = serde_json::from_slice(&entry.json).expect("what is stored was serialized from a value");
    answered(kind, object)
}

/// Brings an object into the version of `kind`.
#[must_use]
pub(crate) fn answered(kind: &Kind, mut object: Value) -> Value {
    let wanted = kind.gvk.api_version();
    if object["apiVersion"] != *wanted {
        object["apiVersion"] = wanted.into();
    }
    object
}

/// Brings an object into the version in which it is stored.
pub(super) fn stored(kind: &Kind, mut object: Value) -> Value {
    if *kind.gvk.version != *kind.stored_version {
        object["apiVersion"] = stored_version(kind).into();
    }
    object
}

/// Puts `apiVersion`, `kind` and `metadata` first.
pub(super) fn tidy(kind: &Kind, object: &mut Value) {
    let Some(fields) = object.as_object_mut() else { return };
    let mut rest = std::mem::take(fields);
    let mut tidied = Map::with_capacity(rest.len() + 2);
    rest.shift_remove("apiVersion");
    rest.shift_remove("kind");
    tidied.insert("apiVersion".into(), kind.gvk.api_version().into());
    tidied.insert("kind".into(), kind.gvk.kind.clone().into());
    tidied.insert("metadata".into(), rest.shift_remove("metadata").unwrap_or_default());
    tidied.extend(rest);
    *fields = tidied;
}
