//! OpenAPI v3 documents. What the built-in kinds look like comes from the data file and what custom ones
//! do from their `CustomResourceDefinition`s; paths follow from the kinds. Paths are there for clients
//! that look up what kind is where and which query parameters it takes, so they describe no bodies.

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha512};

use super::super::kinds::{Kind, PACKED, data, definitions};
use crate::manifest::{Gvk, Scope};

const CONVENTIONS: &str =
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md";

/// What a list takes, and what a deletion of a collection does.
const COLLECTION: [&str; 11] = [
    "allowWatchBookmarks",
    "continue",
    "fieldSelector",
    "labelSelector",
    "limit",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "shardSelector",
    "timeoutSeconds",
    "watch",
];
/// … but for the kinds that are built in.
const DELETE_COLLECTION: [&str; 14] = [
    "continue",
    "dryRun",
    "fieldSelector",
    "gracePeriodSeconds",
    "ignoreStoreReadErrorWithClusterBreakingPotential",
    "labelSelector",
    "limit",
    "orphanDependents",
    "propagationPolicy",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "shardSelector",
    "timeoutSeconds",
];
const WRITE: [&str; 3] = ["dryRun", "fieldManager", "fieldValidation"];
const PATCH: [&str; 4] = ["dryRun", "fieldManager", "fieldValidation", "force"];
const DELETE: [&str; 5] = [
    "dryRun",
    "gracePeriodSeconds",
    "ignoreStoreReadErrorWithClusterBreakingPotential",
    "orphanDependents",
    "propagationPolicy",
];

/// Changes when the document of these kinds does: clients keep a document under its hash for good.
pub(super) fn hash(kinds: &[Arc<Kind>]) -> String {
    // The data file ends with its own checksum and size.
    let mut hash = Sha512::new_with_prefix(&PACKED[PACKED.len() - 8..]);
    hash.update(env!("CARGO_PKG_VERSION"));
    for kind in kinds {
        let subresources: Vec<_> = kind.subresources.iter().map(|beneath| &beneath.name).collect();
        let names = (&kind.gvk.group, &kind.gvk.version, &kind.gvk.kind, &kind.plural);
        let told = json!([names, kind.scope == Scope::Namespaced, kind.verbs, subresources, kind.custom]);
        hash.update(told.to_string());
    }
    hash.finalize().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02X}").expect("a String takes everything");
        text
    })
}

/// The document of the kinds of one version of a group.
pub(super) fn document(kinds: &[Arc<Kind>]) -> Bytes {
    #[derive(Deserialize, Serialize)]
    struct Document {
        openapi: Value,
        info: Value,
        #[serde(default)]
        paths: Map<String, Value>,
        components: Box<RawValue>,
    }
    let built_in = data().openapi.get(&kinds[0].root());
    let mut document = match built_in {
        Some(text) => serde_json::from_str(text.get()).expect("the data file has this form"),
        None => Document {
            openapi: "3.0.0".into(),
            info: json!({"title": "Kubernetes CRD Swagger", "version": "v0.1.0"}),
            paths: Map::new(),
            components: to_raw_value(&json!({"schemas": custom(kinds)})).expect("a Value is JSON"),
        },
    };
    for kind in kinds {
        paths(&mut document.paths, kind);
    }
    serde_json::to_vec(&document).expect("Values are JSON").into()
}

fn paths(paths: &mut Map<String, Value>, kind: &Kind) {
    let root = format!("/{}", kind.root());
    let plural = &kind.plural;
    let namespaced = kind.scope == Scope::Namespaced;
    let all = format!("{root}/{plural}");
    let collection =
        if namespaced { format!("{root}/namespaces/{{namespace}}/{plural}") } else { all.clone() };
    let object = format!("{collection}/{{name}}");
    let (read, empty): (&[&str], &[&str]) =
        if kind.custom.is_some() { (&["resourceVersion"], &COLLECTION) } else { (&[], &DELETE_COLLECTION) };
    for verb in &kind.verbs {
        let (path, method, parameters): (_, _, &[&str]) = match &**verb {
            "create" => (&collection, "post", &WRITE),
            "delete" => (&object, "delete", &DELETE),
            "deletecollection" => (&collection, "delete", empty),
            "get" => (&object, "get", read),
            "list" => (&collection, "get", &COLLECTION),
            "patch" => (&object, "patch", &PATCH),
            "update" => (&object, "put", &WRITE),
            _ => continue,
        };
        let action = if path == &object || method == "post" { method } else { verb };
        add(paths, path, method, operation(kind, &kind.gvk, "", action, parameters));
        if &**verb == "list" && namespaced {
            let mut everywhere = operation(kind, &kind.gvk, "", "list", &COLLECTION);
            everywhere["operationId"] = format!("{}ForAllNamespaces", id(kind, "list", "", "")).into();
            add(paths, &all, "get", everywhere);
        }
    }
    for beneath in &kind.subresources {
        for verb in &beneath.verbs {
            let (method, parameters): (_, &[&str]) = match &**verb {
                "create" => ("post", &WRITE),
                "get" => ("get", read),
                "patch" => ("patch", &PATCH),
                "update" => ("put", &WRITE),
                _ => continue,
            };
            // For custom kinds, the kind of the object is told there, too.
            let gvk = if kind.custom.is_some() { &kind.gvk } else { &beneath.gvk };
            let operation = operation(kind, gvk, &beneath.name, method, parameters);
            add(paths, &format!("{object}/{}", beneath.name), method, operation);
        }
    }
}

/// Adds an operation, and on first sight of its path what the path's own parameters are.
fn add(paths: &mut Map<String, Value>, path: &str, method: &str, operation: Value) {
    let item = paths.entry(path).or_insert_with(|| {
        let within = ["name", "namespace"].into_iter().filter(|name| path.contains(&format!("{{{name}}}")));
        let parameters: Vec<Value> = within
            .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
            .collect();
        json!({"parameters": parameters})
    });
    item[method] = operation;
}

fn operation(kind: &Kind, gvk: &Gvk, beneath: &str, action: &str, parameters: &[&str]) -> Value {
    let namespaced = if kind.scope == Scope::Namespaced { "Namespaced" } else { "" };
    let parameters: Vec<Value> = parameters.iter().map(|name| parameter(name)).collect();
    json!({
        "operationId": id(kind, action, namespaced, beneath),
        "parameters": parameters,
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": {"group": gvk.group, "version": gvk.version, "kind": gvk.kind},
    })
}

fn parameter(name: &str) -> Value {
    let kind = match name {
        "limit" | "timeoutSeconds" | "gracePeriodSeconds" => "integer",
        "allowWatchBookmarks"
        | "force"
        | "ignoreStoreReadErrorWithClusterBreakingPotential"
        | "orphanDependents"
        | "sendInitialEvents"
        | "watch" => "boolean",
        _ => "string",
    };
    json!({"name": name, "in": "query", "schema": {"type": kind, "uniqueItems": true}})
}

/// `readAppsV1NamespacedDeploymentScale`
fn id(kind: &Kind, action: &str, namespaced: &str, beneath: &str) -> String {
    let (verb, of) = match action {
        "get" => ("read", ""),
        "post" => ("create", ""),
        "put" => ("replace", ""),
        "deletecollection" => ("delete", "Collection"),
        other => (other, ""),
    };
    let group = if kind.gvk.group.is_empty() { "core" } else { kind.gvk.group.trim_end_matches(".k8s.io") };
    let group: String = group.split(['.', '-']).map(capital).collect();
    let version = capital(&kind.gvk.version);
    format!("{verb}{group}{version}{of}{namespaced}{}{}", kind.gvk.kind, capital(beneath))
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

/// What every document of custom kinds describes besides them.
struct Common {
    definitions: Map<String, Value>,
    /// The fields that every object has.
    api_version: Value,
    kind: Value,
}

static COMMON: LazyLock<Common> = LazyLock::new(|| {
    let meta = definitions("apis/authentication.k8s.io/v1");
    let scale = definitions("apis/apps/v1");
    let object = meta["io.k8s.api.authentication.v1.TokenReview"]["properties"].clone();
    let meta = meta.into_iter().filter(|(name, _)| name.starts_with("io.k8s.apimachinery."));
    let scale = scale.into_iter().filter(|(name, _)| name.starts_with("io.k8s.api.autoscaling.v1."));
    let definitions = meta.chain(scale).collect();
    Common { definitions, api_version: object["apiVersion"].clone(), kind: object["kind"].clone() }
});

/// The definitions of a document of custom kinds.
fn custom(kinds: &[Arc<Kind>]) -> Map<String, Value> {
    let mut schemas = COMMON.definitions.clone();
    for kind in kinds {
        let Some(version) = &kind.custom else { continue };
        let Gvk { group, version: name, kind: object } = &kind.gvk;
        let reversed: Vec<&str> = group.rsplit('.').collect();
        let definition = format!("{}.{name}.{object}", reversed.join("."));
        let list = list(kind, &format!("#/components/schemas/{definition}"));
        schemas.insert(format!("{definition}List"), list);
        let mut schema = version["schema"]["openAPIV3Schema"].clone();
        if !schema.is_object() {
            schema = json!({"type": "object"});
        }
        adorn(&mut schema);
        complete(&mut schema, "object's", "ObjectMeta");
        schema["x-kubernetes-group-version-kind"] =
            json!([{"group": group, "kind": object, "version": name}]);
        schemas.insert(definition, schema);
    }
    schemas
}

fn list(kind: &Kind, reference: &str) -> Value {
    let Gvk { group, version, kind: object } = &kind.gvk;
    let mut list = json!({
        "description": format!("{object}List is a list of {object}"),
        "type": "object",
        "required": ["items"],
        "properties": {"items": {
            "description": format!("List of {}. More info: {CONVENTIONS}", kind.plural),
            "type": "array",
            "items": {"$ref": reference},
        }},
    });
    complete(&mut list, "list", "ListMeta");
    list["x-kubernetes-group-version-kind"] =
        json!([{"group": group, "kind": format!("{object}List"), "version": version}]);
    list
}

/// States what `x-kubernetes-int-or-string` and `x-kubernetes-embedded-resource` mean, in a whole schema.
fn adorn(schema: &mut Value) {
    if schema["x-kubernetes-int-or-string"] == true && schema["anyOf"].is_null() {
        schema["anyOf"] = json!([{"type": "integer"}, {"type": "string"}]);
    }
    if let Some(items) = schema.get_mut("items").filter(|items| items.is_object()) {
        adorn(items);
    }
    if let Some(values) = schema.get_mut("additionalProperties").filter(|values| values.is_object()) {
        adorn(values);
    }
    for field in
        schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut)
    {
        adorn(field);
    }
    if schema["x-kubernetes-embedded-resource"] == true {
        complete(schema, "object's", "ObjectMeta");
        schema["required"] = json!(["kind", "apiVersion"]);
    }
}

/// Adds `apiVersion`, `kind` and `metadata`.
fn complete(schema: &mut Value, whose: &str, meta: &str) {
    if !schema["properties"].is_object() {
        schema["properties"] = json!({});
    }
    let fields = &mut schema["properties"];
    fields["apiVersion"] = COMMON.api_version.clone();
    fields["kind"] = COMMON.kind.clone();
    fields["metadata"] = json!({
        "description": format!("Standard {whose} metadata. More info: {CONVENTIONS}#metadata"),
        "allOf": [{"$ref": format!("#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.{meta}")}],
    });
}
