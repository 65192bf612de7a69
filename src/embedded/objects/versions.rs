//! The form in which objects are stored, and the version in which they are asked for.

use serde_json::Map;
use serde_json::Value;

use super::super::kinds::Kind;
use super::super::kinds::convert;
use super::super::storage::Entry;
use crate::manifest::Gvk;

/// Reads a stored object in the version of `kind`.
#[must_use]
pub(crate) fn read(kind: &Kind, entry: &Entry) -> Value {
    let object = serde_json::from_slice(&entry.json).expect("what is stored was serialized from a value");
    answered(kind, object)
}

/// How stored objects begin that are in the version of `kind` and can be answered as they are.
#[must_use]
pub(crate) fn head(kind: &Kind) -> String {
    format!(r#"{{"apiVersion":"{}","kind":"{}","#, kind.gvk.api_version(), kind.gvk.kind)
}

/// Brings an object into the version of `kind`.
#[must_use]
pub(crate) fn answered(kind: &Kind, mut object: Value) -> Value {
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    let from = Gvk::new(text("apiVersion"), text("kind"));
    if from != kind.gvk {
        convert(&mut object, &from, &kind.gvk);
    }
    object
}

/// Brings an object into the version in which it is stored.
pub(super) fn stored(kind: &Kind, mut object: Value) -> Value {
    let stored = kind.stored();
    if stored != kind.gvk {
        convert(&mut object, &kind.gvk, &stored);
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
