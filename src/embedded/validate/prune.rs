//! Objects of custom kinds as kube-apiserver's decoder leaves them: fields that the schema does not know are gone
//! unless it preserves them, and so are nulls that it does not allow. Defaults are filled in here as well.
//! <https://github.com/kubernetes/apiextensions-apiserver/tree/master/pkg/apiserver/schema>

use serde_json::Map;
use serde_json::Value;

/// Removes what the schema of an object does not know. Answers the paths of it.
pub(super) fn prune(schema: &Value, object: &mut Value) -> Vec<String> {
    let mut removed = Vec::new();
    node(schema, object, "", true, &mut removed);
    nulls(schema, object);
    removed.sort();
    removed
}

fn node(schema: &Value, value: &mut Value, path: &str, resource: bool, removed: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            let preserve = schema["x-kubernetes-preserve-unknown-fields"] == true;
            object.retain(|name, value| {
                if resource && ["apiVersion", "kind", "metadata"].contains(&name.as_str()) {
                    return true;
                }
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                let known = &schema["properties"][name.as_str()];
                let values = &schema["additionalProperties"];
                if known.is_object() {
                    node(known, value, &path, known["x-kubernetes-embedded-resource"] == true, removed);
                    return true;
                }
                if values.is_object() {
                    node(values, value, &path, values["x-kubernetes-embedded-resource"] == true, removed);
                    return true;
                }
                if preserve || *values == true {
                    return true;
                }
                removed.push(path);
                false
            });
        }
        Value::Array(items) => {
            let schema = &schema["items"];
            for (index, item) in items.iter_mut().enumerate() {
                let resource = schema["x-kubernetes-embedded-resource"] == true;
                node(schema, item, &format!("{path}[{index}]"), resource, removed);
            }
        }
        _ => {}
    }
}

/// Visits the metadata of objects that an object has as parts, with their paths.
pub(super) fn each_embedded(
    schema: &Value,
    value: &mut Value,
    path: &str,
    visit: &mut dyn FnMut(&str, &mut Value),
) {
    match value {
        Value::Object(object) => {
            for (name, value) in object.iter_mut() {
                let schema = of_field(schema, name);
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                if schema["x-kubernetes-embedded-resource"] == true
                    && let Some(metadata) = value.get_mut("metadata")
                {
                    visit(&format!("{path}.metadata"), metadata);
                }
                each_embedded(schema, value, &path, visit);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                each_embedded(&schema["items"], item, &format!("{path}[{index}]"), visit);
            }
        }
        _ => {}
    }
}

/// Removes nulls that are neither allowed nor replaced by a default.
fn nulls(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.retain(|name, value| {
                let known = &schema["properties"][name.as_str()];
                !(value.is_null()
                    && known.is_object()
                    && known["nullable"] != true
                    && known["default"].is_null())
            });
            for (name, value) in object.iter_mut() {
                nulls(of_field(schema, name), value);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| nulls(&schema["items"], item)),
        _ => {}
    }
}

fn of_field<'a>(schema: &'a Value, name: &str) -> &'a Value {
    let known = &schema["properties"][name];
    if known.is_object() { known } else { &schema["additionalProperties"] }
}

/// Fills in the defaults of a schema.
pub(super) fn fill(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(object) => fill_object(schema, object),
        Value::Array(items) => items.iter_mut().for_each(|item| fill(&schema["items"], item)),
        _ => {}
    }
}

fn fill_object(schema: &Value, object: &mut Map<String, Value>) {
    for (name, known) in schema["properties"].as_object().into_iter().flatten() {
        let Some(default) = known.get("default") else { continue };
        let given = object.get(name);
        if given.is_none_or(|given| given.is_null() && known["nullable"] != true) {
            object.insert(name.clone(), default.clone());
        }
    }
    for (name, value) in object.iter_mut() {
        fill(of_field(schema, name), value);
    }
}
