//! Reading of values whose fields may be missing.

use serde_json::Value;

/// A text; empty if it is not there.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// A whole number.
pub(super) fn int(value: &Value, name: &str) -> Option<i64> {
    value[name].as_i64()
}

/// The items of a list; none if it is not there.
pub(super) fn items<'a>(value: &'a Value, name: &str) -> std::slice::Iter<'a, Value> {
    value[name].as_array().map_or(&[][..], Vec::as_slice).iter()
}

/// The entries of a map; none if it is not there.
pub(super) fn map(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}
