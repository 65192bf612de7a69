//! A live object read only as far as a comparison needs: the owned fields of one manager, and those
//! top-level fields that somebody asks for. The rest (`status`, other managers) stays text.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::fields::Fields;
use crate::engine::live::Live;
use crate::engine::step::FIELD_MANAGER;

/// A live object's JSON, cut at its top-level fields and at those of `metadata`.
pub(crate) struct Document<'a> {
    top: BTreeMap<String, &'a RawValue>,
    metadata: BTreeMap<String, &'a RawValue>,
    entries: Vec<Entry<'a>>,
}

/// One entry of `metadata.managedFields`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    #[serde(default)]
    manager: String,
    #[serde(default)]
    operation: String,
    #[serde(default)]
    subresource: String,
    #[serde(default)]
    api_version: String,
    #[serde(borrow, rename = "fieldsV1")]
    fields: Option<&'a RawValue>,
}

impl Entry<'_> {
    /// Says whether this is what our own server-side apply owns.
    fn is_ours(&self) -> bool {
        self.manager == FIELD_MANAGER && self.operation == "Apply" && self.subresource.is_empty()
    }

    fn parse(&self) -> Option<Fields> {
        serde_json::from_str(self.fields?.get()).ok()
    }
}

impl<'a> Document<'a> {
    /// Cuts the object; `None` where it does not have the shape that every API server sends.
    pub(crate) fn of(live: &'a Live) -> Option<Self> {
        let top: BTreeMap<String, &RawValue> = serde_json::from_str(live.json()).ok()?;
        let mut metadata: BTreeMap<String, &RawValue> =
            serde_json::from_str(top.get("metadata")?.get()).ok()?;
        let entries = match metadata.remove("managedFields") {
            Some(raw) => serde_json::from_str(raw.get()).ok()?,
            None => Vec::new(),
        };
        Some(Self { top, metadata, entries })
    }

    /// Returns what our own server-side apply owns, if its entry is written in `api_version`.
    pub(crate) fn ours(&self, api_version: &str) -> Option<Fields> {
        self.entries.iter().find(|entry| entry.is_ours() && entry.api_version == api_version)?.parse()
    }

    /// Returns what the managers called one of `names` own.
    pub(crate) fn of_managers(&self, names: &[&str]) -> Vec<Fields> {
        let named = self.entries.iter().filter(|entry| names.contains(&entry.manager.as_str()));
        named.filter_map(Entry::parse).collect()
    }

    /// Says whether anybody but our own server-side apply owns the field; `None` where that cannot be read.
    pub(crate) fn others_own(&self, path: &[&str]) -> Option<bool> {
        let mut owned = false;
        for entry in self.entries.iter().filter(|entry| !entry.is_ours() && entry.fields.is_some()) {
            owned |= entry.parse()?.contains(path);
        }
        Some(owned)
    }

    /// Parses `metadata` (without `managedFields`) and the top-level fields that `wanted` names.
    pub(crate) fn value(&self, wanted: impl Fn(&str) -> bool) -> Option<Value> {
        let mut object = Map::new();
        for (name, raw) in &self.top {
            if name == "metadata" {
                object.insert(name.clone(), members(&self.metadata)?);
            } else if wanted(name) {
                object.insert(name.clone(), serde_json::from_str(raw.get()).ok()?);
            }
        }
        Some(Value::Object(object))
    }
}

fn members(fields: &BTreeMap<String, &RawValue>) -> Option<Value> {
    let mut object = Map::new();
    for (name, raw) in fields {
        object.insert(name.clone(), serde_json::from_str(raw.get()).ok()?);
    }
    Some(Value::Object(object))
}

/// Returns what the managers called one of `names` own of a parsed object.
pub(crate) fn of_managers(object: &Value, names: &[&str]) -> Vec<Fields> {
    let entries = object["metadata"]["managedFields"].as_array();
    let named = |entry: &&Value| entry["manager"].as_str().is_some_and(|name| names.contains(&name));
    let parse = |entry: &Value| Fields::deserialize(&entry["fieldsV1"]).ok();
    entries.into_iter().flatten().filter(named).filter_map(parse).collect()
}
