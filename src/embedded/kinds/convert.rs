//! Objects that are served in several groups or versions and are stored in one.

use serde_json::{Map, Value};

use crate::manifest::Gvk;

/// Fields of an event in the core group, and the same in `events.k8s.io`.
const EVENT: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

/// Turns an object of the kind `from` into one of the kind `to`.
pub fn convert(object: &mut Value, from: &Gvk, to: &Gvk) {
    let Value::Object(fields) = object else { return };
    if from != to {
        fields.insert("apiVersion".into(), to.api_version().into());
        fields.insert("kind".into(), to.kind.as_str().into());
    }
    match (&*from.kind, &*from.group, &*to.group) {
        ("Event", "", "events.k8s.io") => {
            rename(fields, |(core, events)| (core, events));
            // The core group tells them even if they are empty.
            fields.retain(|name, value| {
                *value != "" || !["reportingController", "reportingInstance"].contains(&&**name)
            });
        }
        ("Event", "events.k8s.io", "") => rename(fields, |(core, events)| (events, core)),
        _ => {}
    }
}

fn rename(fields: &mut Map<String, Value>, direction: fn((&'static str, &'static str)) -> (&str, &str)) {
    for (old, new) in EVENT.map(direction) {
        if let Some(value) = fields.shift_remove(old) {
            fields.insert(new.into(), value);
        }
    }
}
