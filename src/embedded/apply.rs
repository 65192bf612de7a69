//! Field ownership: server-side apply, and the record of who set what when objects are written otherwise.

use jiff::Timestamp;
use serde_json::Value;

use super::schema::Schema;
use super::status::Cause;

/// Who writes.
#[derive(Debug, Clone)]
pub struct Manager<'a> {
    /// `fieldManager`, or what stands for it.
    pub name: &'a str,
    /// The subresource that is written; empty for the object itself.
    pub subresource: &'a str,
    /// The time.
    pub now: Timestamp,
}

/// Why an apply is refused: fields that others own, each with a cause `FieldManagerConflict`, or a
/// malformed object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// Others own these fields: the message of the 409, and its causes.
    Conflicts(String, Vec<Cause>),
    /// The object does not fit its schema: the message of the 400 or 422.
    Malformed(String),
}

/// Applies `applied` to `live`. Answers the merged object with `metadata.managedFields` brought up to date;
/// the times of entries that do not change stay.
pub fn apply(
    schema: &Schema,
    live: Option<&Value>,
    applied: &Value,
    manager: &Manager<'_>,
    force: bool,
) -> Result<Value, Refused> {
    let _ = (schema, live, applied, manager, force);
    todo!()
}

/// Brings `metadata.managedFields` of `after` up to date when `before` (nothing, if it is created) was
/// changed to it by an update or another kind of patch. Takes note of `managedFields` that the writer sent
/// (`[]` or `[{}]` resets it).
pub fn update(schema: &Schema, before: Option<&Value>, after: &mut Value, manager: &Manager<'_>) {
    let _ = (schema, before, after, manager);
    todo!()
}
