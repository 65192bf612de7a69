//! Lists as `kubectl get` shows them: `meta.k8s.io/v1` Table.

use serde_json::Value;

use super::kinds::Kind;

/// `columnDefinitions` of a kind.
#[must_use]
pub fn columns(kind: &Kind) -> Value {
    let _ = kind;
    todo!()
}

/// The cells of one object.
#[must_use]
pub fn cells(kind: &Kind, object: &Value, now: jiff::Timestamp) -> Vec<Value> {
    let _ = (kind, object, now);
    todo!()
}
