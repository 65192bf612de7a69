//! Lists as `kubectl get` shows them: `meta.k8s.io/v1` Table. Custom kinds say themselves what their cells
//! are; those of the built-in kinds are as kube-apiserver's printers make them.

mod built_in;
mod cluster;
mod network;
mod path;
mod pods;
#[cfg(test)]
mod tests;
mod text;
mod volumes;
mod workloads;

use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::kinds::{Kind, data};

/// `columnDefinitions` of a kind.
#[must_use]
pub fn columns(kind: &Kind) -> Value {
    if kind.custom.is_none() {
        return (*kind.columns).clone();
    }
    let name = json!({
        "name": "Name", "type": "string", "format": "name", "description": TOLD[0], "priority": 0,
    });
    let others = own(kind).into_iter().map(|column| {
        let path = column["jsonPath"].as_str().unwrap_or_default();
        let described = column["description"].as_str().filter(|text| !text.is_empty());
        let generic = || format!("Custom resource definition column (in JSONPath format): {path}");
        json!({
            "name": column["name"],
            "type": column["type"],
            "format": column["format"].as_str().unwrap_or_default(),
            "description": described.map_or_else(generic, str::to_owned),
            "priority": column["priority"].as_i64().unwrap_or_default(),
        })
    });
    std::iter::once(name).chain(others).collect()
}

/// The cells of one object.
#[must_use]
pub fn cells(kind: &Kind, object: &Value, now: Timestamp) -> Vec<Value> {
    let row = Row { object, now };
    if kind.custom.is_none() {
        return built_in::cells(kind, &row);
    }
    let others = own(kind).into_iter().map(|column| {
        let path = column["jsonPath"].as_str().unwrap_or_default();
        let kind = column["type"].as_str().unwrap_or_default();
        path::first(object, path).map_or(Value::Null, |value| cell(kind, value, now))
    });
    std::iter::once(row.at("metadata.name").clone()).chain(others).collect()
}

/// The `conditions` of an object's row, of which a client may make the row less visible: of a Pod that is
/// done.
#[must_use]
pub fn conditions(kind: &Kind, object: &Value) -> Option<Value> {
    let pod = kind.custom.is_none() && kind.gvk.kind == "Pod";
    let phase = at(object, "status.phase").as_str().filter(|_| pod)?;
    let message = match phase {
        "Succeeded" => "The pod has completed successfully.",
        "Failed" => "The pod failed.",
        _ => return None,
    };
    Some(json!([{"type": "Completed", "status": "True", "reason": phase, "message": message}]))
}

/// What `name` and `creationTimestamp` are described as, taken from a built-in kind.
static TOLD: LazyLock<[Value; 2]> = LazyLock::new(|| {
    let text = data().tables["configmaps"];
    let columns: Value = serde_json::from_str(text.get()).expect("the data file has this form");
    [0, 2].map(|column| columns[column]["description"].clone())
});

/// The columns that a custom kind states, or else its age.
fn own(kind: &Kind) -> Vec<Value> {
    match kind.columns.as_array() {
        Some(columns) if !columns.is_empty() => columns.clone(),
        _ => vec![json!({
            "name": "Age", "type": "date", "description": TOLD[1], "jsonPath": ".metadata.creationTimestamp",
        })],
    }
}

/// The cell of a custom column. What does not have its type is left out.
fn cell(kind: &str, value: &Value, now: Timestamp) -> Value {
    match (kind, value) {
        ("string", Value::String(_)) | ("boolean", Value::Bool(_)) | ("number", Value::Number(_)) => {
            value.clone()
        }
        ("string", value) if !value.is_null() => value.to_string().into(),
        ("integer", Value::Number(number)) => whole(number).into(),
        ("date", Value::String(text)) if text.is_empty() || text == "null" => "<unknown>".into(),
        ("date", Value::String(text)) => text
            .parse::<Timestamp>()
            .map_or_else(|_| "<invalid>".to_owned(), |time| human(now.duration_since(time)))
            .into(),
        _ => Value::Null,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a fraction is cut off, as kube-apiserver does")]
fn whole(number: &serde_json::Number) -> Option<i64> {
    number.as_i64().or_else(|| number.as_f64().map(|number| number as i64))
}

/// A row of cells, each made from whatever a JSON value can be made from.
macro_rules! row {
    ($($cell:expr),* $(,)?) => { vec![$(serde_json::Value::from($cell)),*] };
}
use row;

/// An object, and the time at which it is looked at.
struct Row<'a> {
    object: &'a Value,
    now: Timestamp,
}

impl<'a> Row<'a> {
    fn at(&self, path: &str) -> &'a Value {
        at(self.object, path)
    }

    fn text(&self, path: &str) -> &'a str {
        self.at(path).as_str().unwrap_or_default()
    }

    /// The text, or something else where there is none.
    fn text_or(&self, path: &str, otherwise: &'a str) -> &'a str {
        Some(self.text(path)).filter(|text| !text.is_empty()).unwrap_or(otherwise)
    }

    fn number(&self, path: &str) -> i64 {
        self.at(path).as_i64().unwrap_or_default()
    }

    fn flag(&self, path: &str) -> bool {
        self.at(path) == true
    }

    fn list(&self, path: &str) -> &'a [Value] {
        list(self.at(path))
    }

    fn name(&self) -> &'a str {
        self.text("metadata.name")
    }

    fn age(&self) -> String {
        self.since("metadata.creationTimestamp")
    }

    fn since(&self, path: &str) -> String {
        match self.text(path).parse::<Timestamp>() {
            Ok(time) => human(self.now.duration_since(time)),
            Err(_) => "<unknown>".into(),
        }
    }
}

/// Follows field names parted by dots; `Null` where there is nothing.
fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(value, |value, field| &value[field])
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A duration as kubectl words it: `5d9h`, with one or two units.
#[must_use]
pub fn human(duration: SignedDuration) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    const YEAR: i64 = 365 * DAY;
    let seconds = duration.as_secs();
    let both = |large: i64, letter: char, small: i64, next: char| match (seconds % large) / small {
        0 => format!("{}{letter}", seconds / large),
        rest => format!("{}{letter}{rest}{next}", seconds / large),
    };
    let one = |unit: i64, letter: char| format!("{}{letter}", seconds / unit);
    match seconds {
        ..-1 => "<invalid>".into(),
        -1 => "0s".into(),
        0..120 => one(1, 's'),
        120..600 => both(MINUTE, 'm', 1, 's'),
        600..10_800 => one(MINUTE, 'm'),
        _ if seconds < 8 * HOUR => both(HOUR, 'h', MINUTE, 'm'),
        _ if seconds < 48 * HOUR => one(HOUR, 'h'),
        _ if seconds < 8 * DAY => both(DAY, 'd', HOUR, 'h'),
        _ if seconds < 2 * YEAR => one(DAY, 'd'),
        _ if seconds < 8 * YEAR => both(YEAR, 'y', DAY, 'd'),
        _ => one(YEAR, 'y'),
    }
}
