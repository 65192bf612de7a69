//! The object that is there before one is created. Kubernetes compares with what Go has for it: structs
//! are there, lists and maps that are always written are null.

use serde_json::{Map, Value};

use super::super::schema::{Schema, Shape};

/// The object of a kind that has nothing set. Custom resources have nothing at all. What is null in
/// `after`, which is created from it, is always written.
pub(super) fn object(schema: &Schema, after: &Value) -> Value {
    if super::is_custom(schema) {
        return Map::new().into();
    }
    let mut zero = below(schema);
    add_nulls(&mut zero, after);
    zero
}

fn add_nulls(zero: &mut Value, after: &Value) {
    let (Value::Object(zero), Value::Object(after)) = (zero, after) else { return };
    for (name, value) in after {
        match zero.get_mut(name) {
            Some(known) => add_nulls(known, value),
            None if value.is_null() => _ = zero.insert(name.clone(), Value::Null),
            None => {}
        }
    }
}

fn below(schema: &Schema) -> Value {
    let mut zero = Map::new();
    let Shape::Object { fields, required, .. } = &schema.node().shape else { return zero.into() };
    for (name, _) in fields {
        let Some(field) = schema.field(name) else { continue };
        let node = field.node();
        let value = match &node.default {
            Some(Value::Object(default)) if default.is_empty() => match node.shape {
                Shape::Object { .. } => below(&field),
                _ => continue,
            },
            Some(default) if is_zero(default) => default.clone(),
            None if required.contains(name) => Value::Null,
            _ => continue,
        };
        zero.insert(name.to_string(), value);
    }
    zero.into()
}

fn is_zero(default: &Value) -> bool {
    match default {
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_i64() == Some(0),
        other => *other == Value::Bool(false),
    }
}
