//! One Kubernetes object as a value: what it is called, and what its annotations ask for.
//!
//! Nothing here knows a cluster, a Git repository or an Application.

pub mod hints;
pub mod yaml;

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use serde_json::{Map, Value};

/// Group, version and kind of an object. The core group is `""`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Gvk {
    /// API group; empty for the core group.
    pub group: String,
    /// Version within the group, such as `v1`.
    pub version: String,
    /// Kind, such as `Deployment`.
    pub kind: String,
}

impl Gvk {
    /// Splits an `apiVersion` (`v1` or `group/version`) and joins it with `kind`.
    #[must_use]
    pub fn new(api_version: &str, kind: &str) -> Self {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        Self { group: group.into(), version: version.into(), kind: kind.into() }
    }

    /// Returns the `apiVersion` as objects write it.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }
}

impl fmt::Display for Gvk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.api_version(), self.kind)
    }
}

/// Whether the objects of a kind live in namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// They do.
    Namespaced,
    /// They belong to the whole cluster.
    Cluster,
}

/// Identity of an object within one cluster, independent of the API version it is written in.
/// `namespace` is empty for cluster-scoped objects. The order is that of `status.resources`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// API group; empty for the core group.
    pub group: String,
    /// Kind, such as `Deployment`.
    pub kind: String,
    /// Namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl fmt::Display for Key {
    /// `group/Kind/namespace/name`, leaving out what is empty.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [&self.group, &self.kind, &self.namespace, &self.name];
        let mut separator = "";
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            write!(f, "{separator}{part}")?;
            separator = "/";
        }
        Ok(())
    }
}

/// A Kubernetes object as its JSON value. It always is an object with a non-empty `apiVersion`
/// and `kind` and a `metadata` object with a non-empty `name` or `generateName`.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest(Value);

/// Why a JSON value is not a Kubernetes object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// The document is a scalar or a list.
    #[error("it is not an object")]
    NotAnObject,
    /// A required field is missing, empty or of another type.
    #[error("{0} is missing or not a string")]
    Missing(&'static str),
    /// `metadata.labels` or `metadata.annotations` holds something other than strings.
    #[error("{field}.{key} is not a string; put its value in quotes")]
    NotAString {
        /// `metadata.labels` or `metadata.annotations`.
        field: &'static str,
        /// The key whose value is not a string.
        key: String,
    },
}

impl Manifest {
    /// Checks that `value` has the shape of a Kubernetes object.
    pub fn new(value: Value) -> Result<Self, Invalid> {
        let object = value.as_object().ok_or(Invalid::NotAnObject)?;
        for field in ["apiVersion", "kind"] {
            if object.get(field).and_then(Value::as_str).is_none_or(str::is_empty) {
                return Err(Invalid::Missing(field));
            }
        }
        let metadata = object.get("metadata").and_then(Value::as_object);
        let named = |field| {
            metadata.and_then(|m| m.get(field)).and_then(Value::as_str).is_some_and(|name| !name.is_empty())
        };
        if !named("name") && !named("generateName") {
            return Err(Invalid::Missing("metadata.name"));
        }
        for (field, name) in [("metadata.labels", "labels"), ("metadata.annotations", "annotations")] {
            let entries = metadata.and_then(|m| m.get(name)).and_then(Value::as_object);
            if let Some((key, _)) = entries.into_iter().flatten().find(|(_, value)| !value.is_string()) {
                return Err(Invalid::NotAString { field, key: key.clone() });
            }
        }
        Ok(Self(value))
    }

    /// Returns the object as JSON.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// Gives the JSON up.
    #[must_use]
    pub fn into_value(self) -> Value {
        self.0
    }

    /// Returns group, version and kind.
    #[must_use]
    pub fn gvk(&self) -> Gvk {
        Gvk::new(self.text("apiVersion"), self.kind())
    }

    /// Returns the kind.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.text("kind")
    }

    /// Returns the name; empty where the object has only a `generateName`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata_text("name")
    }

    /// Returns the prefix from which a name is to be made; empty where there is none.
    #[must_use]
    pub fn generate_name(&self) -> &str {
        self.metadata_text("generateName")
    }

    /// Returns the namespace; empty where none is written.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.metadata_text("namespace")
    }

    /// Returns the identity of the object.
    #[must_use]
    pub fn key(&self) -> Key {
        let Gvk { group, kind, version: _ } = self.gvk();
        Key { group, kind, namespace: self.namespace().into(), name: self.name().into() }
    }

    /// Returns an annotation.
    #[must_use]
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.0["metadata"]["annotations"].get(name)?.as_str()
    }

    /// Returns a label.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.0["metadata"]["labels"].get(name)?.as_str()
    }

    /// Parses the annotations that steer syncing.
    #[must_use]
    pub fn hints(&self) -> hints::Hints {
        hints::Hints::of(self)
    }

    /// Sets or, with `None`, removes the namespace.
    pub fn set_namespace(&mut self, namespace: Option<&str>) {
        let metadata = self.metadata_mut();
        match namespace {
            Some(namespace) => metadata.insert("namespace".into(), namespace.into()),
            None => metadata.remove("namespace"),
        };
    }

    /// Sets the name and drops `generateName`.
    pub fn set_name(&mut self, name: &str) {
        let metadata = self.metadata_mut();
        metadata.remove("generateName");
        metadata.insert("name".into(), name.into());
    }

    /// Sets a label.
    pub fn set_label(&mut self, name: &str, value: &str) {
        entry(self.metadata_mut(), "labels").insert(name.into(), value.into());
    }

    /// Sets an annotation.
    pub fn set_annotation(&mut self, name: &str, value: &str) {
        entry(self.metadata_mut(), "annotations").insert(name.into(), value.into());
    }

    /// Removes a top-level field, such as the `status` that a manifest should not carry.
    pub fn remove(&mut self, field: &str) {
        if let Value::Object(object) = &mut self.0 {
            object.shift_remove(field);
        }
    }

    /// Moves a Secret's `stringData` into its `data`, as the API server does. Applied as `stringData`,
    /// keys that leave Git would stay in the cluster.
    pub fn settle_string_data(&mut self) {
        let Value::Object(object) = &mut self.0 else { return };
        let Some(Value::Object(texts)) = object.shift_remove("stringData") else { return };
        let data = entry(object, "data");
        for (key, text) in texts {
            let text = text.as_str().map_or_else(|| text.to_string(), str::to_owned);
            data.insert(key, BASE64.encode(text).into());
        }
    }

    fn metadata_mut(&mut self) -> &mut Map<String, Value> {
        let Value::Object(object) = &mut self.0 else { unreachable!("`new` admits objects only") };
        entry(object, "metadata")
    }

    fn text(&self, field: &str) -> &str {
        self.0[field].as_str().unwrap_or_default()
    }

    fn metadata_text(&self, field: &str) -> &str {
        self.0["metadata"][field].as_str().unwrap_or_default()
    }
}

/// Returns the object under `name`, made anew where something else stands there.
fn entry<'a>(object: &'a mut Map<String, Value>, name: &str) -> &'a mut Map<String, Value> {
    let slot = object.entry(name).or_insert_with(|| Value::Object(Map::new()));
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    slot.as_object_mut().expect("made an object above")
}
