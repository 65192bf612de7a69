//! Field ownership, held against what a real kube-apiserver recorded. Each step of a recording is a request
//! and what became of the object (as a merge patch, or whole if it was created), or the refusal.

use serde_json::{Map, Value, json};

use super::super::kinds::Kinds;
use super::super::patch;
use super::super::schema::Schema;
use super::super::status::Status;
use super::{Manager, apply, keep_times, reset, update};

type Paths = &'static [&'static [&'static str]];

/// A kind that a recording is about.
struct Subject {
    schema: Schema,
    ignored: Box<dyn Fn(&str) -> Paths>,
}

impl Subject {
    fn of(kind: &str) -> Self {
        let (api, name) = kind.split_once(' ').unwrap();
        if name == "Widget" {
            let definition: Value = serde_json::from_str(include_str!("tests/widgets.json")).unwrap();
            let schema = Schema::of_custom(&definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]);
            let ignored = |subresource: &str| -> Paths {
                match subresource {
                    "" => &[&["status"]],
                    "status" => &[&["metadata"], &["spec"]],
                    _ => &[],
                }
            };
            return Self { schema, ignored: Box::new(ignored) };
        }
        let (group, version) = api.split_once('/').unwrap_or(("", api));
        let kind = Kinds::builtin().of(group, version, name).unwrap();
        Self { schema: kind.schema.clone(), ignored: Box::new(move |subresource| reset(&kind, subresource)) }
    }
}

/// Replays a recording. Says what went differently.
pub(in super::super) fn check(recording: &str) {
    let recording: Value = serde_json::from_str(recording).unwrap();
    let mut live = None;
    for step in recording["steps"].as_array().unwrap() {
        let kind = if recording["kind"] == "" { &step["note"] } else { &recording["kind"] };
        let told = format!("{} {}", step["do"], step["note"]);
        let mut theirs = match (step.get("change"), &live) {
            (Some(change), Some(live)) => patch::merge(live, change),
            _ => step["after"].clone(),
        };
        match replay(&Subject::of(kind.as_str().unwrap()), live.as_ref(), step, &theirs) {
            Ok(mut ours) => {
                assert!(step["refused"].is_null(), "{told}: not refused");
                check_fields(&told, &ours, &theirs);
                if step["subresource"].is_null() {
                    take_fields(&mut ours);
                    let fields = take_fields(&mut theirs);
                    assert_eq!(more("", &ours, &theirs), [""; 0], "{told}");
                    theirs["metadata"]["managedFields"] = fields;
                }
                live = (recording["kind"] != "").then_some(theirs);
            }
            Err(status) => check_refused(&told, &status, &step["refused"]),
        }
    }
}

/// Does what the step asks for.
fn replay(subject: &Subject, live: Option<&Value>, step: &Value, theirs: &Value) -> Result<Value, Status> {
    let text = |name: &str| step[name].as_str().unwrap_or_default();
    let (request, subresource, body) = (text("do"), text("subresource"), &step["body"]);
    let (before, after) = (live.map(latest).unwrap_or_default(), latest(theirs));
    let now = if after > before { &*after } else { text("now") };
    let manager = Manager {
        name: text("manager"),
        subresource,
        now: now.parse().unwrap(),
        ignored: (subject.ignored)(subresource),
    };
    let mut ours = match (request, live) {
        ("apply", _) => {
            let mut ours = apply(&subject.schema, live, body, &manager, step["force"] == true)?;
            if step["after"]["metadata"].as_object().is_some_and(|meta| meta.len() == 1) {
                let fields = take_fields(&mut ours);
                ours = json!({"metadata": {"managedFields": fields}});
            }
            ours
        }
        ("merge", Some(live)) => patch::merge(live, body),
        ("json", Some(live)) => patch::json(live, body)?,
        ("strategic", Some(live)) => patch::strategic(&subject.schema, live, body)?,
        ("put", Some(live)) => {
            let mut sent = body.clone();
            if sent["metadata"]["managedFields"].is_null() {
                sent["metadata"]["managedFields"] = live["metadata"]["managedFields"].clone();
            }
            sent
        }
        _ => theirs.clone(),
    };
    if request != "apply" {
        if subresource.is_empty() {
            let fields = take_fields(&mut ours);
            if request != "put" {
                let mut theirs = theirs.clone();
                take_fields(&mut theirs);
                assert_eq!(more("", &ours, &theirs), [""; 0], "{}", step["note"]);
            }
            // The same with defaults and without what decoding drops.
            ours = theirs.clone();
            take_fields(&mut ours);
            if !fields.is_null() && request != "create" {
                ours["metadata"]["managedFields"] = fields;
            }
        }
        update(&subject.schema, live, &mut ours, &manager);
    }
    if let Some(live) = live {
        keep_times(live, &mut ours);
    }
    Ok(ours)
}

fn latest(object: &Value) -> String {
    let entries = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    entries.filter_map(|entry| entry["time"].as_str()).max().unwrap_or_default().to_owned()
}

fn take_fields(object: &mut Value) -> Value {
    object["metadata"].as_object_mut().unwrap().shift_remove("managedFields").unwrap_or_default()
}

fn check_fields(told: &str, ours: &Value, theirs: &Value) {
    let fields = |object: &Value| object["metadata"]["managedFields"].clone();
    let (ours, theirs) = (fields(ours), fields(theirs));
    assert_eq!(ours, theirs, "{told}");
    let written = |fields: &Value| {
        let entries = fields.as_array().into_iter().flatten();
        entries.map(|entry| entry["fieldsV1"].to_string()).collect::<Vec<_>>()
    };
    assert_eq!(written(&ours), written(&theirs), "{told}: the order of fields");
}

fn check_refused(told: &str, status: &Status, refused: &Value) {
    let mut ours = status.to_json();
    for name in ["kind", "apiVersion", "metadata", "status"] {
        ours.as_object_mut().unwrap().shift_remove(name);
    }
    let mut theirs = refused.clone();
    for status in [&mut ours, &mut theirs] {
        // Kubernetes tells causes in any order.
        if let Some(causes) = status.pointer_mut("/details/causes").and_then(Value::as_array_mut) {
            causes.sort_by_key(Value::to_string);
        }
    }
    assert_eq!(ours, theirs, "{told}");
}

/// The fields that the first has and the second has not, or with another value. Decoding drops what is
/// empty.
fn more(path: &str, first: &Value, second: &Value) -> Vec<String> {
    let empty = |value: &Value| ["{}", "[]", "null"].contains(&value.to_string().as_str());
    let nothing = Map::new();
    match (first, second) {
        (Value::Array(items), Value::Array(others)) if items.len() == others.len() => {
            let pairs = items.iter().zip(others).enumerate();
            pairs.flat_map(|(index, (item, other))| more(&format!("{path}[{index}]"), item, other)).collect()
        }
        (Value::Object(fields), Value::Object(_) | Value::Null) => {
            let others = second.as_object().unwrap_or(&nothing);
            let fields = fields.iter().filter(|(_, value)| !empty(value));
            fields
                .flat_map(|(name, value)| {
                    more(&format!("{path}.{name}"), value, others.get(name).unwrap_or(&Value::Null))
                })
                .collect()
        }
        _ if first == second || empty(first) => Vec::new(),
        _ => vec![format!("{path}: {first}")],
    }
}

#[test]
fn several_managers_of_a_deployment() {
    check(include_str!("tests/deployment.json"));
    check(include_str!("tests/scale.json"));
    check(include_str!("tests/kubectl.json"));
}

#[test]
fn several_managers_of_others() {
    check(include_str!("tests/service.json"));
    check(include_str!("tests/configmap.json"));
    check(include_str!("tests/widget.json"));
}

#[test]
fn created() {
    check(include_str!("tests/created.json"));
}

/// A custom kind whose `whole` was an object with fields of their own, and is one value now.
#[test]
fn a_schema_changes() {
    let schema = |atomic: &str| {
        Schema::of_custom(&json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
            "whole": {
                "type": "object", "x-kubernetes-map-type": atomic, "additionalProperties": {"type": "string"},
            },
            "list": {
                "type": "array", "items": {"type": "string"},
                "x-kubernetes-list-type": if atomic == "atomic" { "atomic" } else { "set" },
            },
        }}}}))
    };
    let manager =
        |name, time: &str| Manager { name, subresource: "", now: time.parse().unwrap(), ignored: &[] };
    let object = |spec: Value| json!({"apiVersion": "a.b/v1", "kind": "Thing", "metadata": {"name": "t"}, "spec": spec});
    let first = object(json!({"whole": {"a": "1"}, "list": ["x"]}));
    let one = manager("one", "2026-01-01T00:00:00Z");
    let live = apply(&schema("granular"), None, &first, &one, false).unwrap();
    let two = manager("two", "2026-01-01T00:00:01Z");
    let live =
        apply(&schema("granular"), Some(&live), &object(json!({"whole": {"b": "2"}})), &two, false).unwrap();
    let owned = |object: &Value| {
        let entries = object["metadata"]["managedFields"].as_array().unwrap().iter();
        entries.map(|entry| entry["fieldsV1"]["f:spec"].to_string()).collect::<Vec<_>>()
    };
    assert_eq!(
        owned(&live),
        [r#"{"f:list":{"v:\"x\"":{}},"f:whole":{"f:a":{}}}"#, r#"{"f:whole":{"f:b":{}}}"#]
    );

    let mut after = live.clone();
    after["spec"]["list"] = json!(["y"]);
    update(&schema("atomic"), Some(&live), &mut after, &manager("three", "2026-01-01T00:00:02Z"));
    assert_eq!(owned(&after), [r#"{"f:whole":{}}"#, r#"{"f:whole":{}}"#, r#"{"f:list":{}}"#]);
    let refused =
        apply(&schema("atomic"), Some(&live), &first, &one, false).map_err(Status::from).unwrap_err();
    assert_eq!(refused.message, r#"Apply failed with 1 conflict: conflict with "two": .spec.whole"#);
}
