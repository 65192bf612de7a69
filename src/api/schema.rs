//! Schemas of the types, as Kubernetes wants them.
//!
//! schemars writes JSON Schema 2020-12; Kubernetes reads the OpenAPI 3.0 subset that it calls
//! structural. The difference is small and is removed here: no `null` types, no `const`, no `title`, no
//! defaults that the server would write into objects, doc comments as flowing text. What each document
//! does with references is its own business: [`inlined`] for CRDs, `openapi` for the rest.

use k8s_openapi::api::core::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{DeleteOptions, ListMeta, Patch, Status};
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::application::Application;
use super::names;
use super::project::Project;
use super::requests::{RefreshRequest, SyncRequest};

mod tidy;

/// Schemas by the name of their type: ours as in Rust, Kubernetes' own as `io.k8s.…`.
pub type Definitions = Map<String, Value>;

/// What references between definitions begin with.
pub const REFERENCE: &str = "#/$defs/";

/// Makes the schemas of everything that `gitops/v1` sends and takes, which refer to each other by
/// [`REFERENCE`].
#[must_use]
pub fn definitions() -> Definitions {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    generator.subschema_for::<Application>();
    generator.subschema_for::<Project>();
    generator.subschema_for::<SyncRequest>();
    generator.subschema_for::<RefreshRequest>();
    generator.subschema_for::<Event>();
    generator.subschema_for::<DeleteOptions>();
    generator.subschema_for::<ListMeta>();
    generator.subschema_for::<Patch>();
    generator.subschema_for::<Status>();
    let mut definitions = generator.take_definitions(false);
    for (name, schema) in &mut definitions {
        tidy::schema(schema);
        if is_ours(name) {
            tidy::descriptions(schema);
        }
    }
    tidy::inline_scalars(&mut definitions);
    for kind in [names::APPLICATION, names::PROJECT] {
        add_type_meta(&mut definitions[kind], kind);
    }
    definitions
}

/// Says whether a definition is ours and not Kubernetes' own.
#[must_use]
pub fn is_ours(name: &str) -> bool {
    !name.starts_with("io.k8s.")
}

/// Returns the name of the definition that a schema refers to.
#[must_use]
pub fn referenced(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix(REFERENCE)
}

/// Returns the definition `name` with all references replaced by what they refer to, as a CRD needs it.
/// `metadata` is left to the API server, which knows it.
///
/// # Panics
/// If there is no such definition.
#[must_use]
pub fn inlined(definitions: &Definitions, name: &str) -> Value {
    let mut root = definitions[name].clone();
    root["properties"]["metadata"] = json!({"type": "object"});
    inline(&mut root, definitions);
    root
}

fn inline(schema: &mut Value, definitions: &Definitions) {
    if let Some(name) = referenced(schema) {
        let target = definitions[name].clone();
        merge_reference(schema, target);
    }
    match schema {
        Value::Object(object) => object.values_mut().for_each(|value| inline(value, definitions)),
        Value::Array(items) => items.iter_mut().for_each(|value| inline(value, definitions)),
        _ => {}
    }
}

/// Replaces `$ref` by what it refers to. What stands beside the `$ref` describes this one use, so it
/// wins; rules add up.
fn merge_reference(schema: &mut Value, target: Value) {
    const RULES: &str = "x-kubernetes-validations";
    let Value::Object(beside) = std::mem::replace(schema, target) else { return };
    let Value::Object(merged) = schema else { return };
    for (key, value) in beside {
        match (key.as_str(), merged.get_mut(&key), value) {
            ("$ref", ..) => {}
            (RULES, Some(Value::Array(rules)), Value::Array(more)) => rules.extend(more),
            (_, _, value) => {
                merged.insert(key, value);
            }
        }
    }
}

/// Adds the two fields that every object has and that the Rust types imply.
fn add_type_meta(schema: &mut Value, kind: &str) {
    let text = |description: &str| json!({"description": description, "type": "string"});
    schema["properties"]["apiVersion"] = text("Group and version of the API: `gitops/v1`.");
    schema["properties"]["kind"] = text(&format!("Kind of the object: `{kind}`."));
    schema["required"] = json!(["metadata", "spec"]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_definition_says_what_kubernetes_cannot_read() {
        fn walk(path: &str, value: &Value) {
            if let Value::Object(object) = value {
                let is_schema = !path.ends_with("/properties");
                for word in ["const", "title", "default", "$defs", "anyOf", "oneOf", "nullable"] {
                    assert!(!is_schema || !object.contains_key(word), "{path} has {word}: {value}");
                }
                assert!(
                    !is_schema || !object.get("type").is_some_and(Value::is_array),
                    "{path} has several types"
                );
                object.iter().for_each(|(key, value)| walk(&format!("{path}/{key}"), value));
            }
            if let Value::Array(items) = value {
                for value in items {
                    walk(path, value);
                }
            }
        }
        definitions().iter().filter(|(name, _)| is_ours(name)).for_each(|(name, schema)| walk(name, schema));
    }

    #[test]
    fn every_field_says_what_it_is_for() {
        for (name, schema) in definitions().iter().filter(|(name, _)| is_ours(name)) {
            assert!(schema["description"].is_string(), "{name} has no description");
            for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
                assert!(schema["description"].is_string(), "{name}.{field} has no description");
            }
        }
    }

    #[test]
    fn no_field_repeats_the_first_sentence_of_its_type() {
        // kubectl explain prints both, one below the other.
        let sentence = |schema: &Value| {
            let text = schema["description"].as_str().unwrap_or_default();
            text.split(['.', ':']).next().unwrap_or_default().to_owned()
        };
        let definitions = definitions();
        for (name, schema) in definitions.iter().filter(|(name, _)| is_ours(name)) {
            for (field, property) in schema["properties"].as_object().into_iter().flatten() {
                let Some(target) = referenced(property).or_else(|| referenced(&property["items"])) else {
                    continue;
                };
                assert_ne!(sentence(property), sentence(&definitions[target]), "{name}.{field}");
            }
        }
    }

    #[test]
    fn enums_list_their_words_and_what_they_mean() {
        let definitions = definitions();
        let status = &definitions["SyncStatus"]["properties"]["status"];
        assert_eq!(status["enum"], json!(["Synced", "OutOfSync", "Unknown"]));
        assert_eq!(status["type"], "string");
        let text = status["description"].as_str().unwrap();
        assert!(
            text.starts_with("The answer.\n\nPossible values:\n- `Synced`: Cluster and source are equal."),
            "{text}"
        );
    }

    #[test]
    fn references_are_inlined_with_the_description_of_their_use() {
        let schema = inlined(&definitions(), "Application");
        let destination = &schema["properties"]["spec"]["properties"]["destination"];
        assert_eq!(destination["description"], "Where the objects go: a cluster and a namespace.");
        assert_eq!(destination["properties"]["server"]["type"], "string");
        assert_eq!(destination["x-kubernetes-validations"].as_array().map(Vec::len), Some(1));
        let values = &schema["properties"]["spec"]["properties"]["source"]["properties"]["helm"]["properties"]
            ["valuesObject"];
        assert_eq!(values["x-kubernetes-preserve-unknown-fields"], true);
    }
}
