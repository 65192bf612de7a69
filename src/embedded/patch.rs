//! Patches other than server-side apply: JSON, merge, strategic merge.

use serde_json::Value;

use super::schema::Schema;

/// Applies a JSON patch (RFC 6902). The error is the message of the 422 or 400.
pub fn json(live: &Value, patch: &Value) -> Result<Value, super::status::Status> {
    let _ = (live, patch);
    todo!()
}

/// Applies a merge patch (RFC 7386).
#[must_use]
pub fn merge(live: &Value, patch: &Value) -> Value {
    let _ = (live, patch);
    todo!()
}

/// Applies a strategic merge patch.
pub fn strategic(schema: &Schema, live: &Value, patch: &Value) -> Result<Value, super::status::Status> {
    let _ = (schema, live, patch);
    todo!()
}
