//! The schema has every field of the reference, with its type.
//!
//! `fields.tsv` lists what the 54 definitions behind the reference's `Application` hold: path and type,
//! one a line. `[]` in a path steps into the items of a list. Where the reference errs (a free-form
//! object, a number that may be a string, times, embedded structs) the table has what is meant.

use std::collections::BTreeMap;

use gitopsd::api::crd;
use gitopsd::api::schema;
use serde_json::Value;

const FIELDS: &str = include_str!("fields.tsv");

#[test]
fn the_stored_schema_has_every_field_of_the_reference() {
    let definitions = crd::definitions();
    let mut found = BTreeMap::new();
    collect("", &definitions[0]["spec"]["versions"][0]["schema"]["openAPIV3Schema"], &mut found);
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in FIELDS.lines() {
        let (path, wanted) = line.split_once('\t').expect("each line has a tab");
        count += 1;
        match found.get(path) {
            Some(got) if got == wanted => {}
            Some(got) => wrong.push(format!("{path} is {got}, not {wanted}")),
            None => wrong.push(format!("{path} ({wanted}) is missing")),
        }
    }
    assert!(wrong.is_empty(), "{} of {count} fields:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(count, 1205, "the table is whole");
}

/// Notes the type of every field below a schema.
fn collect(path: &str, schema: &Value, found: &mut BTreeMap<String, String>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        found.insert(path.clone(), type_of(property));
        collect(&path, property, found);
        collect(&format!("{path}[]"), &property["items"], found);
    }
}

/// Names a type as the table does.
fn type_of(schema: &Value) -> String {
    if schema["x-kubernetes-int-or-string"] == true {
        return "int-or-string".into();
    }
    if schema["format"] == "date-time" {
        return "date-time".into();
    }
    match schema["type"].as_str() {
        Some("array") => format!("[]{}", type_of(&schema["items"])),
        Some("object") if schema.get("additionalProperties").is_some() => {
            format!("map[string]{}", type_of(&schema["additionalProperties"]))
        }
        Some(name) => name.into(),
        None => "nothing".into(),
    }
}

#[test]
fn fields_are_required_as_in_the_reference() {
    let required: &[(&str, &[&str])] = &[
        ("Application", &["metadata", "spec"]),
        ("ApplicationCondition", &["message", "type"]),
        ("ApplicationSource", &["repoURL"]),
        ("ApplicationSpec", &["destination", "project"]),
        ("ComparedTo", &["destination"]),
        ("DrySource", &["path", "repoURL", "targetRevision"]),
        ("EnvEntry", &["name", "value"]),
        ("HydrateOperation", &["message", "phase"]),
        ("HydrateTo", &["targetBranch"]),
        ("Info", &["name", "value"]),
        ("JsonnetVar", &["name", "value"]),
        ("KustomizeReplica", &["count", "name"]),
        ("OperationState", &["operation", "phase", "startedAt"]),
        ("ResourceIgnoreDifferences", &["kind"]),
        ("ResourceResult", &["group", "kind", "name", "namespace", "version"]),
        ("RevisionHistory", &["deployedAt", "id"]),
        ("SourceHydrator", &["drySource", "syncSource"]),
        ("SyncOperationResource", &["kind", "name"]),
        ("SyncOperationResult", &["revision"]),
        ("SyncSource", &["path", "targetBranch"]),
        ("SyncStatus", &["status"]),
    ];
    let definitions = schema::definitions();
    let mut reached = Vec::new();
    reach("Application", &definitions, &mut reached);
    for name in reached {
        let wanted = required.iter().find(|(of, _)| *of == name).map_or(&[][..], |(_, fields)| fields);
        let fields = definitions[&name]["required"].as_array();
        let mut fields: Vec<&str> = fields.into_iter().flatten().filter_map(Value::as_str).collect();
        fields.sort_unstable();
        assert_eq!(fields, wanted, "{name}");
    }
}

/// Lists our own definitions that one of them refers to, itself first.
fn reach(name: &str, definitions: &schema::Definitions, reached: &mut Vec<String>) {
    if !schema::is_ours(name) || reached.iter().any(|known| known == name) {
        return;
    }
    reached.push(name.into());
    let mut pending = vec![&definitions[name]];
    while let Some(value) = pending.pop() {
        if let Some(other) = schema::referenced(value) {
            reach(other, definitions, reached);
        }
        pending.extend(value.as_object().into_iter().flat_map(serde_json::Map::values));
        pending.extend(value.as_array().into_iter().flatten());
    }
}
