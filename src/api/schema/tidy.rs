//! Turns what schemars writes into what Kubernetes reads.

use serde_json::{Map, Value, json};

use super::{Definitions, is_ours, merge_reference, referenced};

/// Rewrites one schema and everything in it.
pub(super) fn schema(value: &mut Value) {
    let Value::Object(object) = value else { return };
    drop_null(object);
    words(object);
    for word in ["title", "default", "$schema", "const"] {
        object.shift_remove(word);
    }
    // Kubernetes warns about unknown fields; a schema that forbids them cannot be structural.
    if object.get("additionalProperties") == Some(&Value::Bool(false)) {
        object.shift_remove("additionalProperties");
    }
    for word in ["items", "additionalProperties"] {
        object.get_mut(word).into_iter().for_each(schema);
    }
    if let Some(Value::Object(properties)) = object.get_mut("properties") {
        properties.values_mut().for_each(schema);
    }
}

/// `Option<T>` allows null in JSON Schema. For Kubernetes absent is absent, and null is no value.
fn drop_null(object: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [name] = types.as_slice() {
            let name = name.clone();
            object.insert("type".into(), name);
        }
    }
    let Some(Value::Array(choices)) = object.get_mut("anyOf") else { return };
    choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
    if let [Value::Object(_)] = choices.as_slice()
        && let Some(Value::Object(choice)) = choices.pop()
    {
        object.shift_remove("anyOf");
        for (key, value) in choice {
            object.entry(key).or_insert(value);
        }
    }
}

/// Documented enums come as `oneOf` of constants; Kubernetes wants `enum`. What each word means goes to
/// the end of the description.
fn words(object: &mut Map<String, Value>) {
    let Some(Value::Array(choices)) = object.get("oneOf") else { return };
    let Some(words) = choices.iter().map(|choice| choice.get("const")).collect::<Option<Vec<_>>>() else {
        return;
    };
    let meanings: Vec<String> = choices
        .iter()
        .zip(&words)
        .map(|(choice, word)| {
            let (word, meaning) = (word.as_str().unwrap_or_default(), choice["description"].as_str());
            format!("- `{word}`: {}", meaning.unwrap_or_default())
        })
        .collect();
    let words = json!(words);
    let meanings = format!("Possible values:\n{}", meanings.join("\n"));
    object.shift_remove("oneOf");
    object.insert("type".into(), "string".into());
    object.insert("enum".into(), words);
    append_description(object, &meanings);
}

fn append_description(object: &mut Map<String, Value>, text: &str) {
    let before = object.get("description").and_then(Value::as_str);
    let joined = before.map_or_else(|| text.to_owned(), |before| format!("{before}\n\n{text}"));
    object.insert("description".into(), joined.into());
}

/// Joins the lines of doc comments, which are broken for the width of source code.
pub(super) fn descriptions(value: &mut Value) {
    let Value::Object(object) = value else { return };
    if let Some(Value::String(text)) = object.get_mut("description") {
        *text = flow(text);
    }
    object.get_mut("items").into_iter().for_each(descriptions);
    object.get_mut("additionalProperties").into_iter().for_each(descriptions);
    if let Some(Value::Object(properties)) = object.get_mut("properties") {
        properties.values_mut().for_each(descriptions);
    }
}

/// Joins lines within paragraphs; blank lines and list items stay where they are.
fn flow(text: &str) -> String {
    let mut flowing = String::with_capacity(text.len());
    for line in text.trim().lines().map(str::trim) {
        let starts_anew = line.is_empty() || line.starts_with("- ");
        if !flowing.is_empty() {
            flowing.push(if starts_anew || flowing.ends_with('\n') { '\n' } else { ' ' });
        }
        flowing.push_str(line);
    }
    flowing
}

/// Writes enums and times where they are used, so that `kubectl explain` shows `<string>` and the words.
pub(super) fn inline_scalars(definitions: &mut Definitions) {
    let is_scalar = |name: &str, schema: &Value| {
        schema.get("enum").is_some() && is_ours(name) || name.ends_with(".meta.v1.Time")
    };
    let scalars: Definitions = definitions
        .iter()
        .filter(|(name, schema)| is_scalar(name, schema))
        .map(|(n, s)| (n.clone(), s.clone()))
        .collect();
    for (name, schema) in definitions.iter_mut().filter(|(name, _)| is_ours(name)) {
        if !scalars.contains_key(name) {
            replace(schema, &scalars);
        }
    }
    definitions.retain(|name, _| !is_ours(name) || !scalars.contains_key(name));
}

fn replace(schema: &mut Value, scalars: &Definitions) {
    if let Some(scalar) = referenced(schema).and_then(|name| scalars.get(name)) {
        let of_type = scalar["description"].as_str().and_then(|text| text.split_once("Possible values:"));
        let meanings = of_type.map(|(_, list)| format!("Possible values:{list}"));
        merge_reference(schema, scalar.clone());
        if let (Some(meanings), Value::Object(object)) = (meanings, schema) {
            append_description(object, &meanings);
        }
        return;
    }
    match schema {
        Value::Object(object) => object.values_mut().for_each(|value| replace(value, scalars)),
        Value::Array(items) => items.iter_mut().for_each(|value| replace(value, scalars)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doc_comments_flow() {
        assert_eq!(flow("One\ntwo.\n\nThree\nfour:\n- a\n- b\n  c"), "One two.\n\nThree four:\n- a\n- b c");
    }

    #[test]
    fn options_are_not_nullable() {
        let check = |mut given: Value, expected: Value| {
            schema(&mut given);
            assert_eq!(given, expected);
        };
        check(json!({"type": ["boolean", "null"]}), json!({"type": "boolean"}));
        check(
            json!({"description": "d", "anyOf": [{"$ref": "#/$defs/X"}, {"type": "null"}]}),
            json!({"description": "d", "$ref": "#/$defs/X"}),
        );
        check(
            json!({"type": ["array", "null"], "items": {"type": ["string", "null"]}}),
            json!({"type": "array", "items": {"type": "string"}}),
        );
    }
}
