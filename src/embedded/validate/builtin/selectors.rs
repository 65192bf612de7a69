//! Label selectors.

use serde_json::Value;

use super::super::findings::Findings;
use super::super::metadata;
use super::super::names;
use super::super::view::items;
use super::super::view::map;
use super::super::view::text;

/// Checks a selector with `matchLabels` and `matchExpressions`.
pub(super) fn check(found: &mut Findings, selector: &Value, field: &str) {
    metadata::labels(found, &selector["matchLabels"], &format!("{field}.matchLabels"));
    for (index, expression) in items(selector, "matchExpressions").enumerate() {
        let field = format!("{field}.matchExpressions[{index}]");
        let values: Vec<_> = items(expression, "values").filter_map(Value::as_str).collect();
        match text(expression, "operator") {
            "In" | "NotIn" if values.is_empty() => {
                let told = "must be specified when `operator` is 'In' or 'NotIn'";
                found.required(&format!("{field}.values"), told);
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let told = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                found.forbidden(&format!("{field}.values"), told);
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            operator => {
                found.invalid(&format!("{field}.operator"), operator, "not a valid selector operator");
            }
        }
        let key = text(expression, "key");
        found.invalid_each(&format!("{field}.key"), key, &names::label_key(key));
        for (index, value) in values.iter().enumerate() {
            found.invalid_each(&format!("{field}.values[{index}]"), value, &names::label_value(value));
        }
    }
}

/// Says whether a selector asks for nothing.
pub(super) fn is_empty(selector: &Value) -> bool {
    map(&selector["matchLabels"]).next().is_none() && items(selector, "matchExpressions").next().is_none()
}

/// Says whether labels match a selector; none of them matches one that is missing. Nothing if the selector
/// cannot be understood.
pub(super) fn matches(selector: &Value, labels: &Value) -> Option<bool> {
    if selector.is_null() {
        return Some(false);
    }
    let mut matches = map(&selector["matchLabels"]).all(|(key, value)| labels.get(key) == Some(value));
    for expression in items(selector, "matchExpressions") {
        let label = labels.get(text(expression, "key"));
        let listed = || label.is_some_and(|label| items(expression, "values").any(|value| value == label));
        let empty = items(expression, "values").next().is_none();
        matches &= match text(expression, "operator") {
            "In" if !empty => listed(),
            "NotIn" if !empty => !listed(),
            "Exists" => label.is_some(),
            "DoesNotExist" => label.is_none(),
            _ => return None,
        };
    }
    Some(matches)
}
