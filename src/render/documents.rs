//! The text of one file becomes objects.

use serde_json::{Map, Number, Value};

use crate::manifest::{Manifest, yaml};

/// How the stand-in for a large file begins.
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

/// What a file holds.
#[derive(Debug)]
pub(super) enum Found {
    /// The file asks to be passed over.
    Skipped,
    /// It is not about Kubernetes objects, for this reason.
    NoManifests(String),
    /// Its objects, in their order.
    Objects(Vec<Object>),
}

/// One object of a file.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) manifest: Manifest,
    /// Line on which its document begins, counted from 1.
    pub(super) line: usize,
    /// Roughly how many bytes of memory its document takes.
    pub(super) memory: usize,
}

/// Reads a file; its name decides between JSON and YAML. Fails with what is wrong and where.
pub(super) fn read(file: &str, bytes: &[u8], skip_marker: &str) -> Result<Found, String> {
    if bytes.starts_with(LFS_POINTER) {
        return Err("it is a pointer of Git LFS, whose content is not fetched by this version".into());
    }
    let text = match yaml::text(bytes) {
        Ok(text) if text.contains(skip_marker) => return Ok(Found::Skipped),
        Ok(text) => text,
        Err(error) => return unreadable(&String::from_utf8_lossy(bytes), error.to_string()),
    };
    if file.ends_with(".json") { json(&text).map(Found::Objects) } else { yaml(&text) }
}

/// Reads a YAML file. As in Argo CD a file that begins with something else than an object and does not
/// look like manifests is left out; after that it is an error, lest objects be missing unnoticed.
fn yaml(text: &str) -> Result<Found, String> {
    let mut objects = Vec::new();
    for document in yaml::read(text) {
        let document = match document {
            Ok(document) => document,
            Err(error) if objects.is_empty() => return unreadable(text, error.to_string()),
            Err(error) => return Err(error.to_string()),
        };
        let claims = ["apiVersion", "kind"].iter().any(|field| document.value.get(*field).is_some());
        let (line, memory) = (document.line, document.memory);
        if let Err(why) = flatten(document.value, line, memory, &mut objects) {
            let why = format!("the document in line {line}: {why}");
            return if claims || !objects.is_empty() { Err(why) } else { unreadable(text, why) };
        }
    }
    Ok(Found::Objects(objects))
}

fn unreadable(text: &str, why: String) -> Result<Found, String> {
    let looks_like_manifests = ["apiVersion:", "kind:", "metadata:"].iter().all(|word| text.contains(word));
    if looks_like_manifests { Err(why) } else { Ok(Found::NoManifests(why)) }
}

fn json(text: &str) -> Result<Vec<Object>, String> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let Some(first) = values.next() else { return Ok(Vec::new()) };
    let value = first.map_err(|error| syntax(&error))?;
    match values.next() {
        None => {}
        Some(Ok(_)) => return Err("it holds several objects, and a JSON file may hold only one".into()),
        Some(Err(error)) => return Err(syntax(&error)),
    }
    let mut objects = Vec::new();
    let explain = |why| format!("{why}; if the file is no manifest, leave it out with directory.exclude");
    flatten(whole_numbers(value), 1, text.len(), &mut objects).map_err(explain)?;
    Ok(objects)
}

fn syntax(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let cause = text.split(" at line ").next().unwrap_or(&text);
    format!("line {}, column {}: {cause}", error.line(), error.column())
}

/// Writes `1.0` as 1, as it arrives at a cluster.
fn whole_numbers(value: Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => Value::Number(whole(number)),
        Value::Array(items) => items.into_iter().map(whole_numbers).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name, whole_numbers(value))).collect()
        }
        other => other,
    }
}

fn whole(number: Number) -> Number {
    let float = number.as_f64().unwrap_or(f64::NAN);
    let whole = if float.fract() == 0.0 { format!("{float:.0}").parse::<i64>().ok() } else { None };
    whole.map_or(number, Number::from)
}

/// Takes lists apart and checks each object.
fn flatten(value: Value, line: usize, memory: usize, objects: &mut Vec<Object>) -> Result<(), String> {
    match items(value) {
        Ok(items) => {
            let count = items.len().max(1);
            items.into_iter().try_for_each(|item| flatten(item, line, memory / count, objects))
        }
        Err(value) => {
            let manifest = Manifest::new(value).map_err(|invalid| invalid.to_string())?;
            objects.push(Object { manifest, line, memory });
            Ok(())
        }
    }
}

/// Returns the items of a `List`, or of a list of one kind, whose items may leave the kind out. Gives
/// back what is no list.
fn items(value: Value) -> Result<Vec<Value>, Value> {
    let Value::Object(mut list) = value else { return Err(value) };
    let kind = list.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
    if !kind.ends_with("List") || !matches!(list.get("items"), Some(Value::Array(_) | Value::Null)) {
        return Err(Value::Object(list));
    }
    let Some(Value::Array(mut items)) = list.remove("items") else { return Ok(Vec::new()) };
    if let (Some(kind), Some(version)) =
        (kind.strip_suffix("List").filter(|kind| !kind.is_empty()), list.get("apiVersion"))
    {
        for item in items.iter_mut().filter_map(Value::as_object_mut) {
            name_kind(item, version, kind);
        }
    }
    Ok(items)
}

fn name_kind(item: &mut Map<String, Value>, api_version: &Value, kind: &str) {
    item.entry("apiVersion").or_insert_with(|| api_version.clone());
    item.entry("kind").or_insert_with(|| kind.into());
}
