//! The data file: what a real kube-apiserver says of its built-in kinds. `just kinds` writes it.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::LazyLock;

use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

pub(in crate::embedded) const PACKED: &[u8] = include_bytes!("../kinds.json.gz");

/// What is known of the built-in kinds.
#[derive(Deserialize)]
pub struct Data {
    /// The answer to `/version`.
    pub version: Value,
    /// Aggregated discovery: the groups of `/api` and `/apis`, the most important first.
    pub groups: Vec<Group>,
    /// OpenAPI documents without paths, by `api/v1`, `apis/apps/v1`, … They are big and seldom needed.
    #[serde(borrow)]
    pub openapi: BTreeMap<String, &'static RawValue>,
    /// Tables, by `deployments.apps`.
    #[serde(borrow)]
    pub tables: BTreeMap<String, &'static RawValue>,
    /// The roles and bindings that a cluster has from its start.
    pub roles: Vec<Value>,
}

/// A group of aggregated discovery.
#[derive(Deserialize)]
pub struct Group {
    /// Holds the name; not that of the core group.
    #[serde(default)]
    pub metadata: Metadata,
    /// Versions, the preferred one first.
    pub versions: Vec<Version>,
}

/// Metadata of a group.
#[derive(Default, Deserialize)]
pub struct Metadata {
    /// Its name.
    #[serde(default)]
    pub name: String,
}

/// A version of a group.
#[derive(Deserialize)]
pub struct Version {
    /// Its name, such as `v1`.
    pub version: String,
    /// What it serves.
    pub resources: Vec<Resource>,
}

/// What is served under a plural name.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resource {
    /// Plural name.
    pub resource: String,
    /// Kind; its group and version are empty where they are those of the resource.
    pub response_kind: ResponseKind,
    /// `Namespaced` or `Cluster`.
    pub scope: String,
    /// Singular name.
    pub singular_resource: String,
    /// Verbs.
    pub verbs: Vec<Box<str>>,
    /// Short names.
    #[serde(default)]
    pub short_names: Vec<Box<str>>,
    /// Categories.
    #[serde(default)]
    pub categories: Vec<Box<str>>,
    /// What is beneath an object.
    #[serde(default)]
    pub subresources: Vec<Beneath>,
}

/// What is beneath an object.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Beneath {
    /// Name.
    pub subresource: String,
    /// Kind; its group and version are empty where they are those of the resource.
    pub response_kind: ResponseKind,
    /// Verbs.
    pub verbs: Vec<Box<str>>,
}

/// A kind.
#[derive(Deserialize)]
pub struct ResponseKind {
    /// Group.
    pub group: String,
    /// Version.
    pub version: String,
    /// Kind.
    pub kind: String,
}

static TEXT: LazyLock<String> = LazyLock::new(|| {
    let mut text = String::new();
    GzDecoder::new(PACKED).read_to_string(&mut text).expect("the data file is intact");
    text
});

static DATA: LazyLock<Data> =
    LazyLock::new(|| serde_json::from_str(&TEXT).expect("the data file has this form"));

/// Returns what is known of the built-in kinds.
#[must_use]
pub fn data() -> &'static Data {
    &DATA
}

/// Returns the `components.schemas` of a built-in OpenAPI document, such as that of `apis/apps/v1`.
#[must_use]
pub fn definitions(document: &str) -> Map<String, Value> {
    #[derive(Deserialize)]
    struct Document {
        components: Components,
    }
    #[derive(Deserialize)]
    struct Components {
        schemas: Map<String, Value>,
    }
    let Some(text) = data().openapi.get(document) else { return Map::new() };
    let document: Document = serde_json::from_str(text.get()).expect("the data file has this form");
    document.components.schemas
}
