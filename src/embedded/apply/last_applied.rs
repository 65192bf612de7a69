//! kubectl may go over from applying by itself to server-side apply: it takes over what it noted.

use serde_json::Value;

use super::check::{Twice, check};
use super::compare::Changes;
use super::set::Set;
use super::typing::Type;
use super::{fields, text, value};

/// What kubectl notes of what it applied by itself.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// The fields that kubectl applied by itself and that still have the value that it gave them: those it may
/// take over.
pub(super) fn taken_over(types: &Type, live: &Value, version: &str) -> Option<Set> {
    let last = live["metadata"]["annotations"][LAST_APPLIED].as_str()?;
    let last: Value = serde_json::from_str(last).ok()?;
    if text(&last, "apiVersion") != version {
        return None;
    }
    check(types, &last, Twice::Refused).and_then(|()| check(types, live, Twice::Refused)).ok()?;
    let changes = Changes::between(types, &last, live);
    let set = fields::stated(types, &last);
    Some(set.difference(&changes.modified).difference(&changes.added).difference(&changes.removed))
}

/// Brings kubectl's own note up to date, where there is one.
pub(super) fn note(merged: &mut Value, applied: &Value) {
    let annotations = merged.pointer_mut("/metadata/annotations");
    let Some(note) = annotations.and_then(|annotations| annotations.get_mut(LAST_APPLIED)) else { return };
    if note.as_str().is_none_or(str::is_empty) {
        return;
    }
    let mut applied = applied.clone();
    let annotations = applied.pointer_mut("/metadata/annotations");
    if let Some(annotations) = annotations.and_then(Value::as_object_mut) {
        annotations.shift_remove(LAST_APPLIED);
    }
    applied.sort_all_objects();
    *note = format!("{}\n", value::json(&applied)).into();
}
