//! The operations of a JSON patch.

use serde_json::Value;

/// Applies one operation. The error says why it cannot be.
pub(super) fn apply(document: &mut Value, operation: &Value) -> Result<(), String> {
    let kind = operation["op"].as_str().unwrap_or("unknown");
    let path = operation["path"].as_str();
    let value = || operation["value"].clone();
    match kind {
        "add" => {
            let path = path.ok_or("add operation failed to decode path: missing value")?;
            let (place, key) = find(document, path).ok_or_else(|| {
                format!("add operation does not apply: doc is missing path: {path:?}: missing value")
            })?;
            add(place, &key, value()).map_err(|why| format!("error in add for path: '{path}': {why}"))
        }
        "remove" => {
            let path = path.ok_or("remove operation failed to decode path: missing value")?;
            let (place, key) = find(document, path).ok_or_else(|| {
                format!("remove operation does not apply: doc is missing path: {path:?}: missing value")
            })?;
            remove(place, &key).map_err(|why| format!("error in remove for path: '{path}': {why}"))
        }
        "replace" => replace(document, path, value()),
        "move" => relocate(document, operation, path, true),
        "copy" => relocate(document, operation, path, false),
        "test" => test(document, path, &operation["value"]),
        other => Err(format!("Unexpected kind: {other}")),
    }
}

/// Finds the object or list that a path ends in, and the last part of the path.
fn find<'a>(document: &'a mut Value, path: &str) -> Option<(&'a mut Value, String)> {
    let (way, key) = path.rsplit_once('/')?;
    let mut place = document;
    for part in way.split('/').skip(1) {
        let part = unescape(part);
        place = match place {
            Value::Object(fields) => fields.get_mut(&part)?,
            Value::Array(items) => {
                let index = index(&part, items.len()).ok()?;
                &mut items[index]
            }
            _ => return None,
        };
    }
    (place.is_object() || place.is_array()).then(|| (place, unescape(key)))
}

fn unescape(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}

/// The place of an item; negative numbers count from the end.
fn index(key: &str, length: usize) -> Result<usize, String> {
    let number: i64 = key.parse().map_err(|_| format!("strconv.Atoi: parsing {key:?}: invalid syntax"))?;
    let index = if number < 0 { number + i64::try_from(length).unwrap_or(i64::MAX) } else { number };
    let index = usize::try_from(index).ok().filter(|index| *index < length);
    index.ok_or_else(|| format!("Unable to access invalid index: {number}: invalid index referenced"))
}

/// What is there. A field that is missing is null.
fn get(place: &Value, key: &str) -> Result<Value, String> {
    match place {
        Value::Array(items) => Ok(items[index(key, items.len())?].clone()),
        place => Ok(place[key].clone()),
    }
}

fn add(place: &mut Value, key: &str, value: Value) -> Result<(), String> {
    match place {
        Value::Array(items) if key == "-" => items.push(value),
        Value::Array(items) => {
            let index = index(key, items.len() + 1).map_err(|why| {
                if why.starts_with("strconv") {
                    format!("value was not a proper array index: '{key}': {why}")
                } else {
                    why
                }
            })?;
            items.insert(index, value);
        }
        Value::Object(fields) => _ = fields.insert(key.to_owned(), value),
        _ => {}
    }
    Ok(())
}

fn remove(place: &mut Value, key: &str) -> Result<(), String> {
    match place {
        Value::Array(items) => _ = items.remove(index(key, items.len())?),
        Value::Object(fields) => {
            let gone = fields.shift_remove(key);
            gone.ok_or_else(|| format!("Unable to remove nonexistent key: {key}: missing value"))?;
        }
        _ => {}
    }
    Ok(())
}

fn replace(document: &mut Value, path: Option<&str>, value: Value) -> Result<(), String> {
    let path =
        path.ok_or("replace operation failed to decode path: operation missing path field: missing value")?;
    if path.is_empty() {
        if !value.is_object() && !value.is_array() {
            return Err("replace operation value must be object or array: %!w(<nil>)".to_owned());
        }
        *document = value;
        return Ok(());
    }
    let missing = |what: &str| {
        format!("replace operation does not apply: doc is missing {what}: {path}: missing value")
    };
    let (place, key) = find(document, path).ok_or_else(|| missing("path"))?;
    match place {
        Value::Array(items) => {
            let index = index(&key, items.len()).map_err(|_| missing("key"))?;
            items[index] = value;
            Ok(())
        }
        // A field need not have been there.
        place => add(place, &key, value),
    }
}

fn relocate(document: &mut Value, operation: &Value, path: Option<&str>, moves: bool) -> Result<(), String> {
    let name = if moves { "move" } else { "copy" };
    let from = operation["from"].as_str().ok_or_else(|| {
        format!("{name} operation failed to decode from: operation, missing from field: missing value")
    })?;
    let (place, key) = find(document, from).ok_or_else(|| {
        format!("{name} operation does not apply: doc is missing from path: {from}: missing value")
    })?;
    let value = get(place, &key).map_err(|why| format!("error in {name} for path: '{key}': {why}"))?;
    if moves {
        remove(place, &key).map_err(|why| format!("error in move for path: '{key}': {why}"))?;
    }
    let path = path.ok_or_else(|| format!("{name} operation failed to decode path: missing value"))?;
    let (place, key) = find(document, path).ok_or_else(|| {
        format!("{name} operation does not apply: doc is missing destination path: {path}: missing value")
    })?;
    add(place, &key, value).map_err(|why| format!("error in {name} for path: '{path}': {why}"))
}

fn test(document: &mut Value, path: Option<&str>, value: &Value) -> Result<(), String> {
    let path =
        path.ok_or("test operation failed to decode path: operation missing path field: missing value")?;
    let found = if path.is_empty() {
        document.clone()
    } else {
        let (place, key) = find(document, path).ok_or_else(|| {
            format!("test operation does not apply: is missing path: {path}: missing value")
        })?;
        get(place, &key).map_err(|why| format!("error in test for path: '{path}': {why}"))?
    };
    if found == *value { Ok(()) } else { Err(format!("testing value {path} failed: test failed")) }
}
