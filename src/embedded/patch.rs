//! Patches other than server-side apply: JSON, merge, strategic merge. They do what
//! `gopkg.in/evanphx/json-patch.v4` and `k8s.io/apimachinery`'s `strategicpatch` do, peculiarities included.

mod operations;
mod order;
mod strategic;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use super::schema::Schema;
use super::status::Status;
use super::validate::json_type;

/// The most operations of a JSON patch.
const OPERATIONS: usize = 10_000;

/// Applies a JSON patch (RFC 6902).
pub fn json(live: &Value, patch: &Value) -> Result<Value, Status> {
    let decoding =
        |why: &str| Status::bad_request(format!("error decoding patch: json: cannot unmarshal {why}"));
    let Some(operations) = patch.as_array() else {
        return Err(decoding(&format!("{} into Go value of type []handlers.jsonPatchOp", json_type(patch))));
    };
    if let Some(other) = operations.iter().find(|operation| !operation.is_object()) {
        return Err(decoding(&format!("{} into Go value of type handlers.jsonPatchOp", json_type(other))));
    }
    if operations.len() > OPERATIONS {
        let count = operations.len();
        let message = format!("The allowed maximum operations in a JSON patch is {OPERATIONS}, got {count}");
        return Err(Status::new(413, "RequestEntityTooLarge", message));
    }
    let mut object = live.clone();
    for operation in operations {
        operations::apply(&mut object, operation).map_err(|_| unprocessable())?;
    }
    Ok(object)
}

/// Says what is wrong with a merge patch: it must be an object.
pub fn check_merge(patch: &Value) -> Result<(), Status> {
    if patch.is_object() { Ok(()) } else { Err(not_an_object(patch, "error decoding patch: ")) }
}

/// Applies a merge patch (RFC 7386).
#[must_use]
pub fn merge(live: &Value, patch: &Value) -> Value {
    let Value::Object(fields) = patch else { return patch.clone() };
    let mut object = live.clone();
    merge_into(&mut object, fields);
    object
}

/// Applies a strategic merge patch. It is for built-in kinds only.
pub fn strategic(schema: &Schema, live: &Value, patch: &Value) -> Result<Value, Status> {
    let Value::Object(patch) = patch else { return Err(not_an_object(patch, "")) };
    let live = live.as_object().cloned().unwrap_or_default();
    let merged = strategic::merge(live, patch.clone(), &strategic::Types::of(schema));
    merged.map(Value::from).map_err(|failure| match failure {
        strategic::Failure::Format(why) => Status::bad_request(why),
        strategic::Failure::Lists => unprocessable(),
        strategic::Failure::Other(why) => Status::new(500, "", why),
    })
}

/// The answer of kube-apiserver to a patch that cannot be applied. It does not say why.
fn unprocessable() -> Status {
    let message = "the server rejected our request due to an error in our request";
    let mut status = Status::new(422, "Invalid", message);
    status.details = Some(json!({}));
    status
}

fn not_an_object(patch: &Value, prefix: &str) -> Status {
    let kind = json_type(patch);
    Status::bad_request(format!(
        "{prefix}json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"
    ))
}

fn merge_into(object: &mut Value, patch: &Map<String, Value>) {
    let Value::Object(fields) = object else {
        *object = patch.clone().into();
        prune(object);
        return;
    };
    for (name, value) in patch {
        match (fields.get_mut(name), value) {
            (_, Value::Null) => _ = fields.shift_remove(name),
            (Some(known @ Value::Object(_)), Value::Object(patch)) => merge_into(known, patch),
            (Some(Value::Object(_)), replacement) => _ = fields.insert(name.clone(), replacement.clone()),
            _ => {
                let mut value = value.clone();
                prune(&mut value);
                fields.insert(name.clone(), value);
            }
        }
    }
}

/// Drops fields that are null.
fn prune(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(prune);
        }
        Value::Array(items) => items.iter_mut().for_each(prune),
        _ => {}
    }
}
