//! The same document in version 2 (Swagger), for clients that know no other.

use serde_json::{Map, Value, json};

/// Rewrites a document of version 3.
pub(super) fn of(v3: &Value) -> Value {
    let mut definitions = v3["components"]["schemas"].clone();
    if let Value::Object(definitions) = &mut definitions {
        definitions.values_mut().for_each(schema);
    }
    let paths = v3["paths"].as_object().into_iter().flatten();
    let paths: Map<String, Value> = paths.map(|(path, item)| (path.clone(), path_item(item))).collect();
    json!({"swagger": "2.0", "info": v3["info"], "paths": paths, "definitions": definitions})
}

fn path_item(item: &Value) -> Value {
    let members = item.as_object().into_iter().flatten();
    members
        .map(|(key, value)| {
            let value = if key == "parameters" { parameters(value).into() } else { operation(value) };
            (key.clone(), value)
        })
        .collect()
}

fn operation(v3: &Value) -> Value {
    let mut operation = v3.clone();
    operation["schemes"] = json!(["https"]);
    operation["produces"] = json!(["application/json", "application/yaml"]);
    let mut parameters = parameters(&v3["parameters"]);
    let body = &v3["requestBody"];
    if let Some((consumes, schema)) = content(body) {
        let mut parameter = json!({"name": "body", "in": "body", "schema": schema});
        if body["required"] == true {
            parameter["required"] = true.into();
        }
        parameters.insert(0, parameter);
        operation["consumes"] = consumes.into();
    }
    operation["parameters"] = parameters.into();
    if let Value::Object(operation) = &mut operation {
        operation.shift_remove("requestBody");
    }
    for response in operation["responses"].as_object_mut().into_iter().flat_map(Map::values_mut) {
        if let Some((_, schema)) = content(response) {
            *response = json!({"description": response["description"], "schema": schema});
        }
    }
    operation
}

/// Version 2 has one schema for all media types of a body.
fn content(body: &Value) -> Option<(Vec<String>, Value)> {
    let content = body["content"].as_object()?;
    let mut of_body = content.values().next()?["schema"].clone();
    schema(&mut of_body);
    Some((content.keys().cloned().collect(), of_body))
}

/// Version 2 writes the type of a parameter beside its name.
fn parameters(v3: &Value) -> Vec<Value> {
    let flat = |parameter: &Value| {
        let mut parameter = parameter.clone();
        let Value::Object(object) = &mut parameter else { return parameter };
        if let Some(Value::Object(schema)) = object.shift_remove("schema") {
            object.extend(schema);
        }
        parameter
    };
    v3.as_array().into_iter().flatten().map(flat).collect()
}

/// Rewrites references, which may have neighbours here, and what version 2 has no word for.
fn schema(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.shift_remove("x-kubernetes-validations");
            if let Some(Value::Array(all)) = object.shift_remove("allOf") {
                object.extend(all.into_iter().filter_map(|part| part.as_object().cloned()).flatten());
            }
            if object.shift_remove("x-kubernetes-int-or-string").is_some() {
                object.insert("type".into(), "string".into());
                object.insert("format".into(), "int-or-string".into());
            }
            if let Some(Value::String(reference)) = object.get_mut("$ref") {
                *reference = reference.replace(super::REFERENCE, "#/definitions/");
            }
            object.values_mut().for_each(schema);
        }
        Value::Array(items) => items.iter_mut().for_each(schema),
        _ => {}
    }
}
