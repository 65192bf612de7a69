//! `Project` of `gitops/v1`, as it travels. The doc comments are what `kubectl explain` prints.
//!
//! Deliberately absent: roles and tokens, as Kubernetes RBAC in the project's namespace governs
//! people; and `sourceNamespaces`, as a project's applications live in its namespace and nowhere else.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use schemars::JsonSchema;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use super::names;

/// A project: what its applications may take from where and put where. Project `shop` owns namespace
/// `shop`; its applications live there, and whoever may edit applications there may deploy.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
pub struct Project {
    /// Standard object metadata. The name is also the name of the project's namespace.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What the project permits.
    pub spec: ProjectSpec,
    /// What was made for the project. Written by the controller only.
    pub status: Option<ProjectStatus>,
}

impl Serialize for Project {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { metadata, spec, status } = self;
        let mut object = serializer.serialize_struct("Project", 5)?;
        object.serialize_field("apiVersion", names::API_VERSION)?;
        object.serialize_field("kind", names::PROJECT)?;
        object.serialize_field("metadata", metadata)?;
        object.serialize_field("spec", spec)?;
        match status {
            Some(status) => object.serialize_field("status", status)?,
            None => object.skip_field("status")?,
        }
        object.end()
    }
}

impl k8s_openapi::Resource for Project {
    const API_VERSION: &'static str = names::API_VERSION;
    const GROUP: &'static str = names::GROUP;
    const KIND: &'static str = names::PROJECT;
    const VERSION: &'static str = names::VERSION;
    const URL_PATH_SEGMENT: &'static str = names::PROJECTS;
    type Scope = k8s_openapi::ClusterResourceScope;
}

impl k8s_openapi::Metadata for Project {
    type Ty = ObjectMeta;

    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn metadata_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// What a project permits. An empty spec permits nothing: write at least `sourceRepos` and
/// `destinations`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ProjectSpec {
    /// What the project is for, in at most 255 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub description: Option<String>,
    /// Repositories that applications may use, as URLs or globs: `*` alone is any,
    /// `https://github.com/acme/*` one level below, `https://github.com/**` everything below. An entry
    /// that begins with `!` forbids what it matches. Empty permits none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub source_repos: Vec<String>,
    /// Clusters and namespaces that applications may put objects into. Empty permits none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub destinations: Vec<ProjectDestination>,
    /// Cluster-scoped kinds that applications may manage. Absent or empty permits none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cluster_resource_whitelist: Vec<KindPattern>,
    /// Cluster-scoped kinds that applications may not manage, even if the whitelist has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cluster_resource_blacklist: Vec<KindPattern>,
    /// Namespaced kinds that applications may manage. Absent permits all; `[]` permits none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace_resource_whitelist: Option<Vec<KindPattern>>,
    /// Namespaced kinds that applications may not manage, even if the whitelist has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub namespace_resource_blacklist: Vec<KindPattern>,
    /// Watches for objects in the project's destinations that no application has. Absent: not watched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orphaned_resources: Option<OrphanedResources>,
    /// Times at which syncing is allowed or denied.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sync_windows: Vec<SyncWindow>,
    /// Keys one of which must have signed a commit (or annotated tag) for it to be synced. Empty: no
    /// signature is asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub signature_keys: Vec<SignatureKey>,
    /// Permits only clusters that are registered for this very project. Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permit_only_project_scoped_clusters: Option<bool>,
    /// Service accounts that objects are applied with, by destination; the first that matches counts.
    /// Default: `gitops-deployer` in the project's namespace.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub destination_service_accounts: Vec<DestinationServiceAccount>,
}

/// A place that applications may put objects into: a cluster, by URL or by name, and a namespace. Each
/// is a glob, or forbids what it matches when it begins with `!`.
///
/// Example: `{server: https://kubernetes.default.svc, namespace: shop-*}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ProjectDestination {
    /// URL of the cluster's API server. `https://kubernetes.default.svc` is the cluster that gitopsd
    /// runs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Name of the cluster as registered. `in-cluster` is the cluster that gitopsd runs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// Kinds of objects. Group and kind are globs, such as `*`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KindPattern {
    /// API group; `""` for the core group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Name of the objects, a glob. For cluster-scoped kinds only. Default: any. From Argo CD 3.x.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Watching for objects that no application has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OrphanedResources {
    /// Gives the project's applications the condition `OrphanedResourceWarning` when there are any.
    /// Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warn: Option<bool>,
    /// Objects not to count.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<OrphanedResourceKey>,
}

/// Objects not to count as orphaned. All three are globs; what is left out matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OrphanedResourceKey {
    /// API group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A time at which syncing is allowed or denied, for the applications that it names.
///
/// A denying window that is open always wins. Where allowing windows exist, syncing is denied outside
/// of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.applications) || has(self.namespaces) || has(self.clusters)",
    "message": "say for what: write applications, namespaces or clusters",
}]))]
pub struct SyncWindow {
    /// Whether the window allows or denies.
    pub kind: SyncWindowKind,
    /// When it opens, as five cron fields. Example: `0 22 * * 1-5`, at ten in the evening on weekdays.
    pub schedule: String,
    /// How long it stays open, such as `1h30m`.
    pub duration: String,
    /// Time zone of the schedule, such as `Europe/Berlin`. Default `UTC`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Applications that the window is for, as globs of their names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applications: Vec<String>,
    /// Destination namespaces that the window is for, as globs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// Destination clusters that the window is for, as globs of their names or URLs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clusters: Vec<String>,
    /// Asks for a match in each list that is written, instead of in any of them. Default false. From
    /// Argo CD 3.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub and_operator: Option<bool>,
    /// Permits syncs that someone asks for even when the window denies. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manual_sync: Option<bool>,
    /// What the window is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// What a window does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SyncWindowKind {
    /// Syncing is allowed while the window is open.
    #[default]
    Allow,
    /// Syncing is denied while the window is open.
    Deny,
}

/// A key that signs commits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SignatureKey {
    /// Id of the GPG key, 16 hexadecimal digits.
    #[serde(rename = "keyID")]
    pub key_id: String,
}

/// The service account for some destinations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DestinationServiceAccount {
    /// URL of the cluster's API server, a glob.
    pub server: String,
    /// Destination namespace, a glob. Default: only destinations without a namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The service account, `name` or `namespace:name`. Without a namespace it is one of the
    /// destination's.
    pub default_service_account: String,
}

/// What was made for a project.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ProjectStatus {
    /// Generation of the spec that this status speaks about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// State of the project. `Ready` is true when namespace and service account exist and the spec is
    /// valid: `kubectl wait --for=condition=Ready project/shop`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Namespace of the project's applications.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Service account in that namespace that applications are applied with. What it may do, the
    /// project may do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
}
