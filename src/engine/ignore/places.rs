//! Places within one JSON value: what ignore rules leave out of it. Resolved against that value, so that
//! list positions, slices and keys all become plain positions.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

use crate::engine::compare::fields::{Fields, has_key, may_have_key};

/// A set of places as a tree. The empty set is the default.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Places {
    whole: bool,
    fields: HashMap<String, Places>,
    items: BTreeMap<usize, Places>,
}

impl Places {
    /// Says whether everything here is in the set.
    pub(crate) fn is_whole(&self) -> bool {
        self.whole
    }

    /// Returns the places within a member of a map.
    pub(crate) fn field(&self, name: &str) -> Option<&Places> {
        self.fields.get(name)
    }

    /// Returns the places within an item of a list.
    pub(crate) fn item(&self, index: usize) -> Option<&Places> {
        self.items.get(&index)
    }

    /// Adds the place that the tokens of a JSON pointer lead to, if `value` has it.
    pub(crate) fn add_pointer(&mut self, tokens: &[String], value: &Value) {
        let Some((token, rest)) = tokens.split_first() else {
            self.whole = true;
            return;
        };
        match value {
            Value::Object(object) => {
                if let Some(child) = object.get(token) {
                    self.fields.entry(token.clone()).or_default().add_pointer(rest, child);
                }
            }
            Value::Array(items) => {
                let index = token.parse::<usize>().ok();
                if let Some((index, item)) = index.and_then(|index| Some((index, items.get(index)?))) {
                    self.items.entry(index).or_default().add_pointer(rest, item);
                }
            }
            _ => {}
        }
    }

    /// Adds the places of a path as jq's `path` writes it: names, positions (negative ones count from the
    /// end) and slices. Places that `value` does not have are passed over.
    pub(crate) fn add_path(&mut self, path: &[Value], value: &Value) {
        let Some((step, rest)) = path.split_first() else {
            self.whole = true;
            return;
        };
        match (step, value) {
            (Value::String(name), Value::Object(object)) => {
                if let Some(child) = object.get(name) {
                    self.fields.entry(name.clone()).or_default().add_path(rest, child);
                }
            }
            (Value::Number(_), Value::Array(items)) => self.add_item(step, 0..items.len(), rest, items),
            (Value::Object(bounds), Value::Array(items)) => {
                let range = slice(bounds, items.len());
                match rest.split_first() {
                    None => self
                        .items
                        .extend(range.map(|index| (index, Places { whole: true, ..Self::default() }))),
                    Some((step, rest)) => self.add_item(step, range, rest, items),
                }
            }
            _ => {}
        }
    }

    fn add_item(&mut self, step: &Value, range: std::ops::Range<usize>, rest: &[Value], items: &[Value]) {
        let Some(index) = step.as_i64().and_then(|index| position(index, &range)) else { return };
        self.items.entry(index).or_default().add_path(rest, &items[index]);
    }

    /// Adds what a field manager owns of `value`.
    pub(crate) fn add_fields(&mut self, owned: &Fields, value: &Value) {
        if owned.is_leaf() {
            self.whole = true;
            return;
        }
        match value {
            Value::Object(object) => {
                for (name, child) in &owned.fields {
                    if let Some(value) = object.get(name) {
                        self.fields.entry(name.clone()).or_default().add_fields(child, value);
                    }
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    if owned.values.contains(item) {
                        self.items.entry(index).or_default().whole = true;
                    } else if let Some((_, child)) =
                        owned.keyed.iter().find(|(key, _)| may_have_key(item, key))
                    {
                        self.items.entry(index).or_default().add_fields(child, item);
                    }
                }
            }
            _ => {}
        }
    }

    /// Removes the places from the value they were resolved against.
    pub(crate) fn remove_from(&self, value: &mut Value) {
        match value {
            Value::Object(object) => {
                for (name, places) in &self.fields {
                    if places.whole {
                        object.shift_remove(name);
                    } else if let Some(child) = object.get_mut(name) {
                        places.remove_from(child);
                    }
                }
            }
            Value::Array(items) => {
                for (&index, places) in self.items.iter().rev() {
                    if places.whole && index < items.len() {
                        items.remove(index);
                    } else if let Some(item) = items.get_mut(index) {
                        places.remove_from(item);
                    }
                }
            }
            _ => {}
        }
    }

    /// Puts those parts of `live` back into `desired` that are in the set and that `owned` says we own:
    /// leaving an owned field out of what is applied would remove it from the object.
    pub(crate) fn keep_owned(&self, owned: &Fields, live: &Value, desired: &mut Value) {
        match (live, desired) {
            (Value::Object(live), Value::Object(desired)) => {
                for (name, places) in &self.fields {
                    if let (Some(owned), Some(live)) = (owned.fields.get(name), live.get(name)) {
                        places.keep_field(owned, live, name, desired);
                    }
                }
            }
            (Value::Array(live), Value::Array(desired)) => {
                for (&index, places) in &self.items {
                    if let Some(live) = live.get(index) {
                        places.keep_item(owned, live, index, desired);
                    }
                }
            }
            _ => {}
        }
    }

    fn keep_field(&self, owned: &Fields, live: &Value, name: &str, desired: &mut Map<String, Value>) {
        if self.whole {
            if let Some(kept) = owned.extract(live) {
                desired.insert(name.into(), kept);
            }
        } else if let Some(desired) = desired.get_mut(name) {
            self.keep_owned(owned, live, desired);
        } else {
            let mut kept = if live.is_array() { Value::Array(Vec::new()) } else { Value::Object(Map::new()) };
            self.keep_owned(owned, live, &mut kept);
            let something = match &kept {
                Value::Object(object) => !object.is_empty(),
                Value::Array(items) => !items.is_empty(),
                _ => false,
            };
            if something {
                desired.insert(name.into(), kept);
            }
        }
    }

    fn keep_item(&self, owned: &Fields, live: &Value, index: usize, desired: &mut Vec<Value>) {
        let Some((key, fields)) = owned.keyed.iter().find(|(key, _)| has_key(live, key)) else { return };
        if let Some(item) = desired.iter_mut().find(|item| may_have_key(item, key)) {
            self.keep_owned(fields, live, item);
        } else if let Some(kept) = owned.extract_item(live).filter(|_| self.whole) {
            desired.insert(index.min(desired.len()), kept);
        }
    }
}

/// Resolves a position relative to `range`, counted from its end where negative.
fn position(index: i64, range: &std::ops::Range<usize>) -> Option<usize> {
    let offset = usize::try_from(index.unsigned_abs()).ok()?;
    let index = if index < 0 { range.end.checked_sub(offset)? } else { range.start.checked_add(offset)? };
    range.contains(&index).then_some(index)
}

/// Resolves the bounds of a slice within a list of `length` items.
fn slice(bounds: &Map<String, Value>, length: usize) -> std::ops::Range<usize> {
    let bound = |name: &str, default: usize| match bounds.get(name).and_then(Value::as_i64) {
        Some(bound) if bound < 0 => {
            length.saturating_sub(usize::try_from(bound.unsigned_abs()).unwrap_or(length))
        }
        Some(bound) => usize::try_from(bound).map_or(length, |bound| bound.min(length)),
        None => default,
    };
    bound("start", 0)..bound("end", length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn without(paths: &Value, mut value: Value) -> Value {
        let mut places = Places::default();
        for path in paths.as_array().unwrap() {
            places.add_path(path.as_array().unwrap(), &value);
        }
        places.remove_from(&mut value);
        value
    }

    #[test]
    fn paths_of_all_forms_are_removed() {
        let check = |paths: Value, expected| {
            assert_eq!(without(&paths, json!({"a": {"b": 1}, "l": [0, 1, 2, 3]})), expected, "{paths}");
        };
        check(json!([["a", "b"]]), json!({"a": {}, "l": [0, 1, 2, 3]}));
        check(
            json!([["a", "x", "y"], ["l", 9], ["l", -9], ["a", 0]]),
            json!({"a": {"b": 1}, "l": [0, 1, 2, 3]}),
        );
        check(json!([["l", 0], ["l", -1]]), json!({"a": {"b": 1}, "l": [1, 2]}));
        check(json!([["l", {"start": 1, "end": null}]]), json!({"a": {"b": 1}, "l": [0]}));
        check(json!([["l", {"start": null, "end": -1}]]), json!({"a": {"b": 1}, "l": [3]}));
        check(json!([["l", {"start": 1, "end": 3}, -1]]), json!({"a": {"b": 1}, "l": [0, 1, 3]}));
        check(json!([["l", {"start": 3, "end": 1}]]), json!({"a": {"b": 1}, "l": [0, 1, 2, 3]}));
    }

    #[test]
    fn pointers_find_list_positions() {
        let mut value = json!({"webhooks": [{"clientConfig": {"caBundle": "x", "url": "y"}}]});
        let mut places = Places::default();
        places.add_pointer(&["webhooks", "0", "clientConfig", "caBundle"].map(String::from), &value);
        places.add_pointer(&["webhooks", "1"].map(String::from), &value);
        places.remove_from(&mut value);
        assert_eq!(value, json!({"webhooks": [{"clientConfig": {"url": "y"}}]}));
    }
}
