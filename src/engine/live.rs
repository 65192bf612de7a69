//! An object as the cluster has it: its JSON as bytes, beside the few parsed fields that decisions
//! need. The bytes are parsed on demand and never kept parsed: as values they take 13 times the memory.

use serde_json::Value;

use crate::manifest::{Gvk, Key};

/// Label on everything that gitopsd applies; its value says which application (see `desired`).
pub const APPLICATION_LABEL: &str = "gitops/application";
/// Annotation that identifies an object of an application.
pub const TRACKING_ANNOTATION: &str = "gitops/tracking-id";

/// One live object.
#[derive(Debug, Clone, PartialEq)]
pub struct Live {
    /// Identity within the cluster.
    pub key: Key,
    /// Group, version and kind of `json`.
    pub gvk: Gvk,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`, as the cluster wrote it.
    pub resource_version: String,
    /// `metadata.generation`; 0 where the kind has none.
    pub generation: i64,
    /// Whether `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// Whether another object owns this one (`metadata.ownerReferences` is not empty).
    pub owned: bool,
    /// Value of the label [`APPLICATION_LABEL`].
    pub application: Option<String>,
    /// Value of the annotation [`TRACKING_ANNOTATION`].
    pub tracking_id: Option<String>,
    /// The whole object, `managedFields` included.
    json: Box<str>,
}

/// Why bytes are not a live object.
#[derive(Debug, thiserror::Error)]
#[error("the cluster sent something that is not an object")]
pub struct Malformed(#[from] serde_json::Error);

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    api_version: String,
    kind: String,
    metadata: Metadata,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Metadata {
    name: String,
    namespace: String,
    uid: String,
    resource_version: String,
    generation: i64,
    deletion_timestamp: Option<String>,
    owner_references: Vec<serde::de::IgnoredAny>,
    labels: Option<std::collections::HashMap<String, String>>,
    annotations: Option<std::collections::HashMap<String, String>>,
}

impl Live {
    /// Reads an object from the JSON that an API server sent. It must carry `apiVersion` and `kind`
    /// (items of a list do not: use [`Live::of_kind`]).
    pub fn from_json(json: &str) -> Result<Self, Malformed> {
        let head: Head = serde_json::from_str(json)?;
        Ok(Self::assemble(Gvk::new(&head.api_version, &head.kind), head.metadata, json.into()))
    }

    /// Reads an item of a list whose kind is known from the list; the kind is added to its JSON.
    pub fn of_kind(gvk: &Gvk, value: Value) -> Result<Self, Malformed> {
        let Value::Object(mut object) = value else {
            return Err(Malformed(serde::de::Error::custom("not an object")));
        };
        object.insert("apiVersion".into(), gvk.api_version().into());
        object.insert("kind".into(), gvk.kind.clone().into());
        Self::from_json(&Value::Object(object).to_string())
    }

    fn assemble(gvk: Gvk, metadata: Metadata, json: Box<str>) -> Self {
        let Metadata {
            name,
            namespace,
            uid,
            resource_version,
            generation,
            deletion_timestamp,
            owner_references,
            labels,
            annotations,
        } = metadata;
        Self {
            key: Key { group: gvk.group.clone(), kind: gvk.kind.clone(), namespace, name },
            gvk,
            uid,
            resource_version,
            generation,
            deleting: deletion_timestamp.is_some(),
            owned: !owner_references.is_empty(),
            application: labels.and_then(|mut labels| labels.remove(APPLICATION_LABEL)),
            tracking_id: annotations.and_then(|mut annotations| annotations.remove(TRACKING_ANNOTATION)),
            json,
        }
    }

    /// Parses the whole object.
    #[must_use]
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.json).expect("`from_json` parsed the same bytes")
    }

    /// Returns the object's JSON.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Says whether `other` is a later state of the object than `self`. Resource versions of one
    /// resource are ordered since Kubernetes 1.35; what is not a number is taken as later.
    #[must_use]
    pub fn older_than(&self, other: &Self) -> bool {
        match (self.resource_version.parse::<u64>(), other.resource_version.parse::<u64>()) {
            (Ok(mine), Ok(theirs)) => mine < theirs,
            _ => self.resource_version != other.resource_version,
        }
    }
}
