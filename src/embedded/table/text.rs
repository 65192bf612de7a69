//! How parts of objects are told in a cell.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Row, list};

/// Names and images of containers.
pub(super) fn containers(containers: &Value) -> (String, String) {
    let joined = |field| fields(list(containers), field).join(",");
    (joined("name"), joined("image"))
}

/// A label selector: `a=b,c in (d,e),!f`
pub(super) fn selector(selector: &Value) -> String {
    let mut told: Vec<(&str, String)> = Vec::new();
    for (label, value) in selector["matchLabels"].as_object().into_iter().flatten() {
        told.push((label, format!("{label}={}", value.as_str().unwrap_or_default())));
    }
    for expression in list(&selector["matchExpressions"]) {
        let label = expression["key"].as_str().unwrap_or_default();
        let mut values = texts(&expression["values"]);
        values.sort_unstable();
        let values = values.join(",");
        let text = match expression["operator"].as_str().unwrap_or_default() {
            "In" => format!("{label} in ({values})"),
            "NotIn" => format!("{label} notin ({values})"),
            "DoesNotExist" => format!("!{label}"),
            _ => label.to_owned(),
        };
        told.push((label, text));
    }
    told.sort_by_key(|(label, _)| *label);
    told.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(",")
}

/// `a=b,c=d`
pub(super) fn labels(labels: &Value) -> String {
    let labels: BTreeMap<_, _> = labels.as_object().into_iter().flatten().collect();
    let told =
        labels.into_iter().map(|(label, value)| format!("{label}={}", value.as_str().unwrap_or_default()));
    told.collect::<Vec<_>>().join(",")
}

pub(super) fn condition<'a>(row: &Row<'a>, name: &str) -> Option<&'a Value> {
    row.list("status.conditions").iter().find(|condition| condition["type"] == name)
}

/// The first three, and how many more there are.
pub(super) fn three(all: &[String]) -> String {
    match all.len() {
        0 => "<unset>".into(),
        1..=3 => all.join(","),
        count => format!("{} + {} more...", all[..3].join(","), count - 3),
    }
}

/// One field of each item.
pub(super) fn fields<'a>(items: &'a [Value], field: &str) -> Vec<&'a str> {
    items.iter().map(|item| item[field].as_str().unwrap_or_default()).collect()
}

pub(super) fn texts(value: &Value) -> Vec<&str> {
    list(value).iter().filter_map(Value::as_str).collect()
}

/// A text or number as text.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// How many entries an object has.
pub(super) fn size(value: &Value) -> usize {
    value.as_object().map_or(0, Map::len)
}

/// `1/3`
pub(super) fn of(done: i64, wanted: i64) -> String {
    format!("{done}/{wanted}")
}

/// The text, or `<none>` in place of an empty one.
pub(super) fn or_none(text: String) -> String {
    if text.is_empty() { "<none>".into() } else { text }
}

/// The name, with a mark on the class that is taken where none is asked for.
pub(super) fn defaulted(row: &Row<'_>, annotations: &[&str]) -> String {
    let set = row.at("metadata.annotations");
    let default = annotations.iter().any(|annotation| set[annotation] == "true");
    format!("{}{}", row.name(), if default { " (default)" } else { "" })
}
