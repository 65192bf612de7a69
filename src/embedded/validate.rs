//! Whether an object fits its schema, and what is filled in where it is silent.

use serde_json::Value;

use super::kinds::Kind;
use super::status::{Cause, Status};

/// Removes what the schema does not know and checks types, as kube-apiserver's decoder does. Answers the
/// paths of unknown fields as it words them (`unknown field "spec.bogus"`), for warnings or for the strict
/// error.
pub fn decode(kind: &Kind, object: &mut Value) -> Result<Vec<String>, Status> {
    let _ = (kind, object);
    todo!()
}

/// Fills in defaults.
pub fn default(kind: &Kind, object: &mut Value) {
    let _ = (kind, object);
    todo!()
}

/// Tells what is wrong with an object; `before` is what it replaces.
#[must_use]
pub fn check(kind: &Kind, object: &Value, before: Option<&Value>) -> Vec<Cause> {
    let _ = (kind, object, before);
    todo!()
}
