//! What a scenario comes to, as text in which nothing depends on chance.

use std::fmt::Write as _;

use gitopsd::embedded::kinds::Kind;
use gitopsd::manifest::Scope;
use serde_json::{Map, Value};

use super::world::World;

/// What is told of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// What it came to, and what it did with each object.
    Objects,
    /// Only what it came to. Whoever goes on after a crash finds objects as they were left, and tells that
    /// they are unchanged or gone.
    Whole,
}

/// What there is: projects, applications, and the objects that applications manage.
///
/// Events are left out: which states on the way a pass of the controller sees depends on threads that read Git.
pub(crate) fn state(world: &World, detail: Detail) -> String {
    let mut text = String::new();
    for project in objects(world, "storage.gitops", "storedprojects") {
        let ready = condition(&project, "Ready");
        let _ = writeln!(text, "project {}: {ready}", string(&project, "/metadata/name"));
    }
    for application in objects(world, "storage.gitops", "storedapplications") {
        self::application(&application, detail, &mut text);
    }
    for kind in world.cluster.objects().kinds.all() {
        if *kind.stored_version != *kind.gvk.version || kind.gvk.group == "storage.gitops" {
            continue;
        }
        for object in objects(world, &kind.gvk.group, &kind.plural) {
            if object.pointer("/metadata/labels/gitops~1application").is_some() {
                managed(&kind, object, &mut text);
            }
        }
    }
    world.repository.named(&text)
}

fn application(object: &Value, detail: Detail, text: &mut String) {
    let of = |pointer: &str| string(object, pointer);
    let _ = writeln!(
        text,
        "application {}/{}: {} {} at {}",
        of("/metadata/namespace"),
        of("/metadata/name"),
        or(&of("/status/sync/status"), "?"),
        or(&of("/status/health/status"), "?"),
        or(&of("/status/sync/revision"), "no revision"),
    );
    if object.pointer("/status/operationState").is_some() {
        let phase = of("/status/operationState/phase");
        let _ = writeln!(text, "  operation {phase}: {}", of("/status/operationState/message"));
        let results = list(object, "/status/operationState/syncResult/resources");
        for result in results.iter().filter(|_| detail == Detail::Objects) {
            let of = |field: &str| result[field].as_str().unwrap_or_default().to_owned();
            let outcome = [of("hookPhase"), of("status")].concat();
            let _ = writeln!(text, "    {}/{} {outcome}: {}", of("kind"), of("name"), of("message"));
        }
    }
    for condition in list(object, "/status/conditions") {
        let of = |field: &str| condition[field].as_str().unwrap_or_default();
        let _ = writeln!(text, "  condition {}: {}", of("type"), of("message"));
    }
    for entry in list(object, "/status/history") {
        let _ = writeln!(text, "  history {}", entry["revision"].as_str().unwrap_or_default());
    }
    for resource in list(object, "/status/resources") {
        let of = |pointer: &str| resource.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let health = [of("/health/status"), of("/health/message")].join(" ");
        let line = format!("  {}/{} {} {}", of("/kind"), of("/name"), of("/status"), health.trim());
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

/// A live object without what the cluster fills in by chance.
fn managed(kind: &Kind, object: Value, text: &mut String) {
    let Value::Object(mut object) = object else { return };
    let metadata = object.remove("metadata").unwrap_or_default();
    for gone in ["apiVersion", "kind", "status"] {
        object.remove(gone);
    }
    if kind.gvk.kind == "Job" {
        // Its pods are labelled with the job's uid.
        object.get_mut("spec").and_then(Value::as_object_mut).map(|spec| {
            spec.remove("selector");
            spec.remove("template")
        });
    }
    let mut kept = Map::new();
    for field in ["labels", "annotations", "finalizers", "deletionTimestamp"] {
        if let Some(value) = metadata.get(field) {
            kept.insert(field.into(), value.clone());
        }
    }
    kept.extend(object);
    let place = match kind.scope {
        Scope::Namespaced => format!("{}/", metadata["namespace"].as_str().unwrap_or_default()),
        Scope::Cluster => String::new(),
    };
    let name = metadata["name"].as_str().unwrap_or_default();
    let _ = writeln!(text, "{} {place}{name} {}", kind.gvk.kind, Value::Object(kept));
}

/// All objects of a resource, in the order of namespace and name.
pub(crate) fn objects(world: &World, group: &str, plural: &str) -> Vec<Value> {
    let resource = if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") };
    let entries = world.cluster.objects().storage.list(&resource, None).entries;
    entries
        .iter()
        .map(|entry| serde_json::from_slice(&entry.json).expect("stored objects are JSON"))
        .collect()
}

fn condition(object: &Value, name: &str) -> String {
    let conditions = list(object, "/status/conditions");
    let found = conditions.iter().find(|condition| condition["type"] == name);
    found.map_or_else(
        || format!("{name} unknown"),
        |found| {
            format!(
                "{name} {} {}",
                found["status"].as_str().unwrap_or_default(),
                found["reason"].as_str().unwrap_or_default()
            )
        },
    )
}

fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn string(object: &Value, pointer: &str) -> String {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn or<'a>(text: &'a str, other: &'a str) -> &'a str {
    if text.is_empty() { other } else { text }
}
