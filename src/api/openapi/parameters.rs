//! Parameters that operations take. They are written out at each operation: kubectl does not follow
//! references to parameters when it looks for `dryRun` and `fieldValidation`.

use serde_json::{Value, json};

type Parameter = (&'static str, &'static str, &'static str);

const DRY_RUN: Parameter = ("dryRun", "string", "`All` goes through all checks and stores nothing.");
const FIELD_MANAGER: Parameter = (
    "fieldManager",
    "string",
    "Who owns the written fields in `metadata.managedFields`. Required when applying.",
);
const FIELD_VALIDATION: Parameter = (
    "fieldValidation",
    "string",
    "What unknown and repeated fields lead to: `Ignore`, `Warn` (the default) or `Strict`, an error.",
);
const FORCE: Parameter = ("force", "boolean", "When applying, takes over fields that other managers own.");
const RESOURCE_VERSION: Parameter =
    ("resourceVersion", "string", "How fresh the answer must be; unset for the latest, `0` for any.");

const LIST: &[Parameter] = &[
    ("allowWatchBookmarks", "boolean", "Sends BOOKMARK events while watching."),
    ("continue", "string", "Token of the previous page."),
    ("fieldSelector", "string", "Selects objects by fields, such as `metadata.name=shop`."),
    ("labelSelector", "string", "Selects objects by labels, such as `tier=web`."),
    ("limit", "integer", "The most objects that one page holds."),
    RESOURCE_VERSION,
    ("resourceVersionMatch", "string", "What `resourceVersion` means: `Exact` or `NotOlderThan`."),
    ("sendInitialEvents", "boolean", "Begins a watch with all objects that exist and a bookmark after them."),
    ("shardSelector", "string", "Selects a share of the objects."),
    ("timeoutSeconds", "integer", "How long a list or watch may take."),
    ("watch", "boolean", "Sends changes as they happen instead of a list."),
];

const DELETE: &[Parameter] = &[
    DRY_RUN,
    ("gracePeriodSeconds", "integer", "Seconds before the object is deleted; 0 for at once."),
    (
        "ignoreStoreReadErrorWithClusterBreakingPotential",
        "boolean",
        "Deletes the object even if it cannot be read.",
    ),
    ("orphanDependents", "boolean", "Deprecated: use `propagationPolicy`."),
    ("propagationPolicy", "string", "What happens to dependents: `Orphan`, `Background` or `Foreground`."),
];

const EVENTS: &[Parameter] = &[
    ("start_time", "string", "Leaves out events before this time, RFC 3339 or seconds since 1970."),
    ("end_time", "string", "Leaves out events after this time, RFC 3339 or seconds since 1970."),
    ("reason", "string", "Only events of this reason, such as `OperationCompleted`."),
    ("kind", "string", "Only events about objects of this kind, such as `Deployment`."),
    ("name", "string", "Only events about objects of this name."),
    ("event_type", "string", "Only events of this type: `Normal` or `Warning`."),
    ("pageno", "integer", "Page to return, from 1."),
    ("size", "integer", "How many events a page holds."),
];

/// Returns what lists, watches and deletions of collections take.
pub(super) fn list() -> Value {
    query(LIST)
}

/// Returns what reading one object takes.
pub(super) fn read() -> Value {
    query(&[RESOURCE_VERSION])
}

/// Returns what creating and replacing take.
pub(super) fn write() -> Value {
    query(&[DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION])
}

/// Returns what patching takes.
pub(super) fn patch() -> Value {
    query(&[DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION, FORCE])
}

/// Returns what deleting takes.
pub(super) fn delete() -> Value {
    query(DELETE)
}

/// Returns what reading events takes.
pub(super) fn events() -> Value {
    query(EVENTS)
}

/// Returns what asking for a sync or refresh takes.
pub(super) fn ask() -> Value {
    query(&[DRY_RUN, FIELD_VALIDATION])
}

/// Returns what every operation of a path takes: the variables of the path, and `pretty`.
pub(super) fn of_path(path: &str, kind: &str) -> Value {
    let mut parameters = Vec::new();
    if path.contains("{name}") {
        parameters.push(in_path("name", &format!("Name of the {kind}.")));
    }
    if path.contains("{namespace}") {
        parameters.push(in_path("namespace", "Namespace, which is the project."));
    }
    let pretty = query(&[("pretty", "string", "Indents the answer for people.")]);
    parameters.extend(pretty.as_array().into_iter().flatten().cloned());
    parameters.into()
}

fn query(parameters: &[Parameter]) -> Value {
    let parameter = |(name, r#type, description): &Parameter| {
        json!({
            "name": name,
            "in": "query",
            "description": description,
            "schema": {"type": r#type, "uniqueItems": true},
        })
    };
    parameters.iter().map(parameter).collect()
}

fn in_path(name: &str, description: &str) -> Value {
    json!({
        "name": name,
        "in": "path",
        "description": description,
        "required": true,
        "schema": {"type": "string", "uniqueItems": true},
    })
}
