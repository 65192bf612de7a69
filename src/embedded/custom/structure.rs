//! Whether a schema is structural: types are stated for every node, and what combines schemas only restricts
//! values.
//! <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema>

use regex::Regex;
use serde_json::Value;
use serde_json::json;

use super::list;
use super::text;
use crate::embedded::validate::Findings;
use crate::embedded::validate::check_rule;

#[derive(Clone, Copy, PartialEq)]
enum Level {
    Root,
    Item,
    Field,
}

/// What nested value validation must not say.
const ONLY_STRUCTURAL: [(&str, &str); 10] = [
    ("type", "must be empty to be structural"),
    ("additionalProperties", "must be undefined to be structural"),
    ("default", "must be undefined to be structural"),
    ("title", "must be empty to be structural"),
    ("description", "must be empty to be structural"),
    ("nullable", "must be false to be structural"),
    ("x-kubernetes-preserve-unknown-fields", "must be false to be structural"),
    ("x-kubernetes-embedded-resource", "must be false to be structural"),
    ("x-kubernetes-int-or-string", "must be false to be structural"),
    ("x-kubernetes-list-type", "must be undefined to be structural"),
];

/// Checks a schema from its root.
pub(super) fn check(found: &mut Findings, schema: &Value, field: &str) {
    node(found, schema, field, Level::Root);
    supported(found, schema, field);
}

fn node(found: &mut Findings, schema: &Value, field: &str, level: Level) {
    let kind = text(&schema["type"]);
    if kind == "array" && schema["items"].is_null() {
        found.required(&format!("{field}.items"), "must be specified");
    }
    if schema["items"].is_object() {
        node(found, &schema["items"], &format!("{field}.items"), Level::Item);
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        node(found, property, &format!("{field}.properties[{name}]"), Level::Field);
    }
    let values = &schema["additionalProperties"];
    if !values.is_null() && level == Level::Root {
        found.forbidden(&format!("{field}.additionalProperties"), "must not be used at the root");
    }
    if values.is_object() {
        node(found, values, &format!("{field}.additionalProperties"), Level::Field);
    }
    combined(found, schema, field);
    for (index, rule) in list(&schema["x-kubernetes-validations"]).enumerate() {
        check_rule(found, rule, &format!("{field}.x-kubernetes-validations[{index}]"));
    }
    let embedded = schema["x-kubernetes-embedded-resource"] == true;
    let preserves = schema["x-kubernetes-preserve-unknown-fields"] == true;
    let at = format!("{field}.type");
    if embedded && kind != "object" {
        let told = "must be object if x-kubernetes-embedded-resource is true";
        if kind.is_empty() { found.required(&at, told) } else { found.invalid(&at, kind, told) }
    } else if kind.is_empty() && schema["x-kubernetes-int-or-string"] != true && !preserves {
        found.required(
            &at,
            match level {
                Level::Root => "must not be empty at the root",
                Level::Item => "must not be empty for specified array items",
                Level::Field => "must not be empty for specified object fields",
            },
        );
    }
    if level == Level::Root && !kind.is_empty() && kind != "object" {
        found.invalid(&at, kind, "must be object at the root");
    }
    let no_fields = schema["properties"].as_object().is_none_or(serde_json::Map::is_empty);
    if embedded && !preserves && no_fields {
        let told = "must not be empty if x-kubernetes-embedded-resource is true without \
                    x-kubernetes-preserve-unknown-fields";
        found.required(&format!("{field}.properties"), told);
    }
}

fn combined(found: &mut Findings, schema: &Value, field: &str) {
    let either = |alternatives: &Value| *alternatives == json!([{"type": "integer"}, {"type": "string"}]);
    let int_or_string = schema["x-kubernetes-int-or-string"] == true;
    for keyword in ["allOf", "anyOf", "oneOf"] {
        if int_or_string && keyword == "anyOf" && either(&schema["anyOf"]) {
            continue;
        }
        for (index, nested) in list(&schema[keyword]).enumerate() {
            if int_or_string && keyword == "allOf" && index == 0 && either(&nested["anyOf"]) {
                continue;
            }
            values_only(found, nested, &format!("{field}.{keyword}[{index}]"));
        }
    }
    if schema["not"].is_object() {
        values_only(found, &schema["not"], &format!("{field}.not"));
    }
    let pattern = text(&schema["pattern"]);
    // To compile even an empty one takes a while, and schemas have thousands of nodes.
    if !pattern.is_empty()
        && let Err(error) = Regex::new(pattern)
    {
        let told = format!("must be a valid regular expression, but isn't: {error}");
        found.invalid(&format!("{field}.pattern"), pattern, &told);
    }
}

fn values_only(found: &mut Findings, schema: &Value, field: &str) {
    for (name, told) in ONLY_STRUCTURAL {
        let given = &schema[name];
        if !given.is_null() && *given != false {
            found.forbidden(&format!("{field}.{name}"), told);
        }
    }
    for (name, nested) in schema["properties"].as_object().into_iter().flatten() {
        values_only(found, nested, &format!("{field}.properties[{name}]"));
    }
    if schema["items"].is_object() {
        values_only(found, &schema["items"], &format!("{field}.items"));
    }
    combined(found, schema, field);
}

/// What no schema of a definition may say.
fn supported(found: &mut Findings, schema: &Value, field: &str) {
    const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];
    let kind = text(&schema["type"]);
    let at = |name: &str| format!("{field}.{name}");
    if kind == "null" {
        found.forbidden(&at("type"), "type cannot be set to null, use nullable as an alternative");
    } else if !kind.is_empty() {
        found.known(&at("type"), Some(kind), &TYPES);
    }
    for name in ["id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"] {
        if !schema[name].is_null() {
            found.forbidden(&at(name), &format!("{name} is not supported"));
        }
    }
    if schema["uniqueItems"] == true {
        let told = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        found.forbidden(&at("uniqueItems"), told);
    }
    let values = &schema["additionalProperties"];
    let has_fields = schema["properties"].as_object().is_some_and(|fields| !fields.is_empty());
    if has_fields && !values.is_null() && *values != true {
        let told = "additionalProperties and properties are mutual exclusive";
        found.forbidden(&at("additionalProperties"), told);
    }
    list_type(found, schema, field);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        supported(found, property, &format!("{field}.properties[{name}]"));
    }
    for name in ["additionalProperties", "items", "not"] {
        if schema[name].is_object() {
            supported(found, &schema[name], &at(name));
        }
    }
    if schema["items"].is_array() {
        found.forbidden(&at("items"), "items must be a schema object and not an array");
    }
}

fn list_type(found: &mut Findings, schema: &Value, field: &str) {
    let kind = text(&schema["x-kubernetes-list-type"]);
    let keys = &schema["x-kubernetes-list-map-keys"];
    let at = format!("{field}.x-kubernetes-list-map-keys");
    if !kind.is_empty() {
        if text(&schema["type"]) != "array" {
            let told = "must be array if x-kubernetes-list-type is specified";
            found.invalid(&format!("{field}.type"), text(&schema["type"]), told);
        }
        let field = format!("{field}.x-kubernetes-list-type");
        found.known(&field, Some(kind), &["atomic", "set", "map"]);
    }
    if kind == "map" && list(keys).next().is_none() {
        found.required(&at, "must not be empty if x-kubernetes-list-type is map");
    }
    if kind != "map" && list(keys).next().is_some() {
        let told = "must be map if x-kubernetes-list-map-keys is non-empty";
        found.invalid(&format!("{field}.x-kubernetes-list-type"), kind, told);
    }
    for (index, key) in list(keys).filter_map(Value::as_str).enumerate() {
        if kind == "map" && schema["items"]["properties"][key].is_null() {
            let told = "entries must all be names of item properties";
            found.invalid(&format!("{at}[{index}]"), key, told);
        }
    }
}
