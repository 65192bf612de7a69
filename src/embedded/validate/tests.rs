//! Requests whose answers were recorded from a real kube-apiserver, and what the decoder adds to them.

use std::sync::Arc;
use std::sync::LazyLock;

use serde_json::Value;
use serde_json::json;

use super::*;
use crate::embedded::custom;
use crate::embedded::kinds::Kinds;

static RECORDED: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("recorded.json")).unwrap());

static KINDS: LazyLock<Kinds> = LazyLock::new(|| {
    let kinds = Kinds::builtin();
    for definition in RECORDED["definitions"].as_array().unwrap() {
        kinds.define(definition["metadata"]["name"].as_str().unwrap(), custom::kinds(definition));
    }
    kinds
});

fn kind_of(object: &Value) -> Arc<Kind> {
    let (group, version) = object["apiVersion"].as_str().unwrap().rsplit_once('/').unwrap_or(("", "v1"));
    let version = if group.is_empty() { "v1" } else { version };
    KINDS.of(group, version, object["kind"].as_str().unwrap()).unwrap()
}

/// What kube-apiserver fills in although nobody asked for it.
fn complete(kind: &Kind, object: &mut Value) {
    let Some(metadata) = object["metadata"].as_object_mut() else { return };
    metadata.insert("uid".into(), "u".into());
    metadata.insert("creationTimestamp".into(), "2026-01-02T03:04:05Z".into());
    if kind.scope == crate::manifest::Scope::Namespaced {
        metadata.insert("namespace".into(), "default".into());
    }
}

/// An object without what differs from run to run.
fn bare(mut object: Value) -> Value {
    let kind = object["kind"].as_str().unwrap_or_default().to_owned();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for name in ["uid", "resourceVersion", "generation", "creationTimestamp"] {
            metadata.shift_remove(name);
        }
    }
    if let Some(status) = object["status"].as_object_mut() {
        status.shift_remove("lastPhaseTransitionTime");
    }
    if kind == "Service" && object["spec"]["clusterIP"] != "None" {
        let spec = object["spec"].as_object_mut().unwrap();
        spec.shift_remove("clusterIP");
        spec.shift_remove("clusterIPs");
    }
    object
}

fn causes(told: &Value) -> Vec<String> {
    let mut causes: Vec<_> = told
        .as_array()
        .into_iter()
        .flatten()
        .map(|cause| {
            let text = |name: &str| cause[name].as_str().unwrap_or_default();
            // Lists of the internal types, and values of them, are shown with other names.
            format!("{} {} {}", text("field"), text("reason"), text("message"))
        })
        .collect();
    causes.sort();
    causes.dedup();
    causes
}

/// The causes that were found and those that were recorded.
fn refused(found: &[Cause], recorded: &Value) -> (Value, Value) {
    let found: Vec<_> = found
        .iter()
        .map(|cause| json!({"field": cause.field, "reason": cause.reason, "message": cause.message}))
        .collect();
    (json!(causes(&found.into())), json!(causes(&recorded["causes"])))
}

/// Holds all recorded requests of a kind against what `ours` and the recording say of them.
#[track_caller]
fn all(requests: &str, ours: fn(&Value) -> (Value, Value)) {
    let mut wrong = 0;
    for recorded in RECORDED[requests].as_array().unwrap() {
        let (found, expected) = ours(recorded);
        if found != expected {
            wrong += 1;
            println!("{}\n", difference(&recorded["object"], &found, &expected));
        }
    }
    assert_eq!(wrong, 0);
}

fn create(recorded: &Value) -> (Value, Value) {
    let mut object = recorded["object"].clone();
    let kind = kind_of(&object);
    if let Err(status) = decode(&kind, &mut object) {
        return (json!(status.message), recorded["message"].clone());
    }
    if recorded["code"] == 400 {
        return (json!("decoded"), recorded["message"].clone());
    }
    complete(&kind, &mut object);
    default(&kind, &mut object);
    begin(&kind, &mut object);
    prepare_for_create(&kind, &mut object);
    let found = check(&kind, &object, None);
    if found.is_empty() && recorded["code"].is_null() {
        return (bare(object), bare(recorded["result"].clone()));
    }
    refused(&found, recorded)
}

#[test]
fn objects_are_created_as_by_kube_apiserver() {
    all("creates", create);
}

fn difference(object: &Value, found: &Value, expected: &Value) -> String {
    let mut told = vec![object.to_string().chars().take(300).collect::<String>()];
    compare(found, expected, "", &mut told);
    told.join("\n")
}

fn compare(found: &Value, expected: &Value, path: &str, told: &mut Vec<String>) {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            for (name, value) in found {
                compare(
                    value,
                    expected.get(name).unwrap_or(&json!("<none>")),
                    &format!("{path}.{name}"),
                    told,
                );
            }
            for (name, value) in expected.iter().filter(|(name, _)| !found.contains_key(*name)) {
                told.push(format!("  {path}.{name}: expected {value}"));
            }
        }
        (Value::Array(found), Value::Array(expected)) if found.iter().all(Value::is_string) => {
            for more in found.iter().filter(|value| !expected.contains(value)) {
                told.push(format!("  {path} found    {more}"));
            }
            for less in expected.iter().filter(|value| !found.contains(value)) {
                told.push(format!("  {path} expected {less}"));
            }
        }
        (Value::Array(found), Value::Array(expected)) if found.len() == expected.len() => {
            for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
                compare(found, expected, &format!("{path}[{index}]"), told);
            }
        }
        (found, expected) if found != expected => {
            told.push(format!("  {path}\n    found    {found}\n    expected {expected}"));
        }
        _ => {}
    }
}

fn update(recorded: &Value) -> (Value, Value) {
    let (mut object, before) = (recorded["object"].clone(), &recorded["before"]);
    let subresource = recorded["subresource"].as_str().unwrap_or_default();
    let kind = kind_of(before);
    if let Err(status) = decode(&kind, &mut object) {
        return (json!(status.message), recorded["message"].clone());
    }
    if recorded["code"] == 400 {
        return (json!("decoded"), recorded["message"].clone());
    }
    default(&kind, &mut object);
    prepare_for_update(&kind, &mut object, before, subresource);
    if subresource.is_empty() && changes_generation(&kind, before, &object) {
        let generation = before["metadata"]["generation"].as_i64().unwrap();
        object["metadata"]["generation"] = (generation + 1).into();
    }
    let found = match subresource {
        "" => check(&kind, &object, Some(before)),
        _ => check_status(&kind, &object, before),
    };
    if found.is_empty() && recorded["code"].is_null() {
        let generation = |object: &Value| object["metadata"]["generation"].clone();
        let result = &recorded["result"];
        return (
            json!([generation(&object), bare(object.clone())]),
            json!([generation(result), bare(result.clone())]),
        );
    }
    refused(&found, recorded)
}

#[test]
fn objects_are_updated_as_by_kube_apiserver() {
    all("updates", update);
}

#[test]
fn unknown_and_repeated_fields_are_told_in_the_order_of_the_text() {
    let text = r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"x","bogus":1,
        "labels":{"a":"b","a":"c"}},"spec":{"replicas":1,"replicas":2,"zz":1,
        "template":{"spec":{"containers":[{"bogus":1}]}}}}"#;
    let mut object: Value = serde_json::from_str(text).unwrap();
    let unknown = decode(&kind_of(&object), &mut object).unwrap();
    let expected = [
        "unknown field \"metadata.bogus\"",
        "duplicate field \"metadata.labels.a\"",
        "duplicate field \"spec.replicas\"",
        "unknown field \"spec.zz\"",
        "unknown field \"spec.template.spec.containers[0].bogus\"",
    ];
    assert_eq!(with_duplicates(text.as_bytes(), unknown), expected);
    assert_eq!(object["spec"]["template"]["spec"]["containers"], json!([{}]));
}
