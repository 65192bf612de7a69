//! `fieldsV1`: the set of fields that a field manager owns, as `metadata.managedFields` spells it.
//! The format is that of sigs.k8s.io/structured-merge-diff, fieldpath/serialize.go.

use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

/// A set of owned fields as a tree. A node without children is owned as a whole: a scalar, an empty map,
/// or a map or list that its schema calls atomic.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Fields {
    /// `f:name`: members of a map.
    pub(crate) fields: HashMap<String, Fields>,
    /// `k:{…}`: items of a list that are told apart by some of their fields.
    pub(crate) keyed: Vec<(Map<String, Value>, Fields)>,
    /// `v:…`: items of a list that is a set.
    pub(crate) values: Vec<Value>,
    /// Whether there are items owned by position (`i:…`), which nothing here can follow.
    pub(crate) indexed: bool,
}

impl Fields {
    /// Says whether the node is owned as a whole.
    pub(crate) fn is_leaf(&self) -> bool {
        self.fields.is_empty() && self.keyed.is_empty() && self.values.is_empty() && !self.indexed
    }

    /// Says whether the field at `path` is in the set, by itself or with fields below it.
    pub(crate) fn contains(&self, path: &[&str]) -> bool {
        match path.split_first() {
            None => true,
            Some((name, rest)) => self.fields.get(*name).is_some_and(|child| child.contains(rest)),
        }
    }

    /// Copies what the set owns out of `value`; `None` where nothing of it is there. Items of keyed lists
    /// keep their key.
    pub(crate) fn extract(&self, value: &Value) -> Option<Value> {
        if self.is_leaf() {
            return Some(value.clone());
        }
        match value {
            Value::Object(object) => {
                let owned = |(name, child): (&String, &Value)| {
                    Some((name.clone(), self.fields.get(name)?.extract(child)?))
                };
                Some(Value::Object(object.iter().filter_map(owned).collect()))
            }
            Value::Array(items) => {
                Some(Value::Array(items.iter().filter_map(|item| self.extract_item(item)).collect()))
            }
            _ => None,
        }
    }

    /// Copies what the set owns out of one item of a list, its key included.
    pub(crate) fn extract_item(&self, item: &Value) -> Option<Value> {
        if self.values.contains(item) {
            return Some(item.clone());
        }
        let (key, fields) = self.keyed.iter().find(|(key, _)| has_key(item, key))?;
        let mut owned = fields.extract(item)?;
        if let Value::Object(object) = &mut owned {
            for (name, value) in key {
                object.insert(name.clone(), value.clone());
            }
        }
        Some(owned)
    }
}

/// Says whether the list item carries exactly this key.
pub(crate) fn has_key(item: &Value, key: &Map<String, Value>) -> bool {
    key.iter().all(|(name, value)| item.get(name) == Some(value))
}

/// Says whether the list item may be the one with this key: fields of the key that the item leaves to their
/// defaults do not count.
pub(crate) fn may_have_key(item: &Value, key: &Map<String, Value>) -> bool {
    item.is_object() && key.iter().all(|(name, value)| item.get(name).is_none_or(|own| own == value))
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Tree)
    }
}

struct Tree;

impl<'de> Visitor<'de> for Tree {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a set of fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut set = Fields::default();
        while let Some(step) = map.next_key::<String>()? {
            match step.split_once(':') {
                Some(("f", name)) => {
                    set.fields.insert(name.into(), map.next_value()?);
                }
                Some(("k", key)) => {
                    let key = serde_json::from_str(key).map_err(A::Error::custom)?;
                    set.keyed.push((key, map.next_value()?));
                }
                Some(("v", value)) => {
                    set.values.push(serde_json::from_str(value).map_err(A::Error::custom)?);
                    map.next_value::<IgnoredAny>()?;
                }
                Some(("i", _)) => {
                    set.indexed = true;
                    map.next_value::<IgnoredAny>()?;
                }
                None if step == "." => {
                    map.next_value::<IgnoredAny>()?;
                }
                _ => return Err(A::Error::custom("a path element of an unknown form")),
            }
        }
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(value: Value) -> Fields {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn all_forms_of_path_elements_are_read() {
        let set = fields(json!({"f:spec": {".": {}, "f:ports": {"k:{\"port\":80}": {".": {}, "f:port": {}}},
            "f:finalizers": {"v:\"a:b\"": {}}, "f:odd": {"i:0": {}}}}));
        let spec = &set.fields["spec"];
        assert_eq!(Value::Object(spec.fields["ports"].keyed[0].0.clone()), json!({"port": 80}));
        assert_eq!(spec.fields["finalizers"].values, [json!("a:b")]);
        assert!(spec.fields["odd"].indexed && !spec.fields["odd"].is_leaf());
        assert!(spec.fields["ports"].keyed[0].1.fields["port"].is_leaf());
        assert!(serde_json::from_value::<Fields>(json!({"x:spec": {}})).is_err());
    }

    #[test]
    fn containing_a_field_means_owning_it_or_some_of_it() {
        let set = fields(json!({"f:data": {"f:a": {}}}));
        let check = |path: &[&str], expected| assert_eq!(set.contains(path), expected, "{path:?}");
        check(&["data"], true);
        check(&["data", "a"], true);
        check(&["data", "b"], false);
        check(&["data", "a", "deeper"], false);
    }

    #[test]
    fn extracting_takes_only_what_is_owned() {
        let set = fields(json!({"f:spec": {"f:replicas": {}, "f:ports": {
            "k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}}}}));
        let live = json!({"spec": {"replicas": 3, "paused": true, "ports": [
            {"port": 80, "protocol": "TCP", "nodePort": 30080}, {"port": 81, "protocol": "TCP"}]}});
        let owned = json!({"spec": {"replicas": 3, "ports": [{"port": 80, "protocol": "TCP"}]}});
        assert_eq!(set.extract(&live), Some(owned));
    }
}
