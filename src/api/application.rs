//! `Application` of `gitops/v1`, as it travels. The doc comments are what `kubectl explain` prints.
//!
//! The files below this one are parts of the same wire format, cut by subject.

mod check;
mod hydrator;
mod operation;
mod source;
mod status;
mod sync;

pub use check::validate;
pub use hydrator::*;
pub use operation::*;
pub use source::*;
pub use status::*;
pub use sync::*;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schemars::JsonSchema;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use super::names;

/// An application: one or more places in Git (or in a chart repository) whose manifests are to exist
/// in a namespace of a cluster, and how they are kept equal.
///
/// It lives in the namespace of its project. `kubectl get applications -n shop -w` shows whether the
/// cluster follows Git.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
pub struct Application {
    /// Standard object metadata. The namespace is the project. The finalizer `gitops/resources` makes
    /// deleting the application delete its objects first; without it they stay.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What is wanted: sources, destination, and how to sync.
    pub spec: ApplicationSpec,
    /// What was found and done last. Written by the controller only.
    pub status: Option<ApplicationStatus>,
    /// The operation that is asked for or under way; removed when it is done. Usually written through
    /// the `sync` subresource rather than by hand.
    pub operation: Option<Operation>,
}

impl Serialize for Application {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { metadata, spec, status, operation } = self;
        let mut object = serializer.serialize_struct("Application", 6)?;
        object.serialize_field("apiVersion", names::API_VERSION)?;
        object.serialize_field("kind", names::APPLICATION)?;
        object.serialize_field("metadata", metadata)?;
        object.serialize_field("spec", spec)?;
        match status {
            Some(status) => object.serialize_field("status", status)?,
            None => object.skip_field("status")?,
        }
        match operation {
            Some(operation) => object.serialize_field("operation", operation)?,
            None => object.skip_field("operation")?,
        }
        object.end()
    }
}

impl k8s_openapi::Resource for Application {
    const API_VERSION: &'static str = names::API_VERSION;
    const GROUP: &'static str = names::GROUP;
    const KIND: &'static str = names::APPLICATION;
    const VERSION: &'static str = names::VERSION;
    const URL_PATH_SEGMENT: &'static str = names::APPLICATIONS;
    type Scope = k8s_openapi::NamespaceResourceScope;
}

impl k8s_openapi::Metadata for Application {
    type Ty = ObjectMeta;

    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn metadata_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// What an application wants. Exactly one of `source`, `sources` and `sourceHydrator` is used; where
/// several are written, `sourceHydrator` wins over `sources` and `sources` over `source`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationSpec {
    /// Where the objects go: a cluster and a namespace.
    #[schemars(extend("x-kubernetes-validations" = [{
        "rule": "!has(self.name) || self.name == '' || !has(self.server) || self.server == ''",
        "message": "name and server exclude each other: write one of them",
    }]))]
    pub destination: ApplicationDestination,
    /// The project whose rules apply. It is the namespace of the application: leave it out or write
    /// exactly that name.
    pub project: String,
    /// The single place manifests come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-validations" = [{
        "rule": "!has(self.chart) || self.chart == '' || (has(self.targetRevision) && self.targetRevision != '')",
        "message": "targetRevision is required with chart: write a version or a range such as 1.2.*",
    }]))]
    pub source: Option<ApplicationSource>,
    /// Several places whose manifests are put together in this order; where two hold the same object
    /// the later one wins. A source with a `ref` lends its files to the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<ApplicationSource>,
    /// Renders one place (the dry source) into a branch of plain manifests and syncs from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_hydrator: Option<SourceHydrator>,
    /// How syncing happens. Without it nothing is applied until someone asks for a sync.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_policy: Option<SyncPolicy>,
    /// Fields that may differ from Git without the application being `OutOfSync`, such as
    /// `spec.replicas` of a Deployment that an autoscaler owns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore_differences: Vec<ResourceIgnoreDifferences>,
    /// Facts for people reading the application, such as a link to its dashboard. Not interpreted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub info: Vec<Info>,
    /// How many past syncs `status.history` keeps. Default 10; 0 keeps none, and then nothing can be
    /// rolled back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub revision_history_limit: Option<i64>,
}

impl ApplicationSpec {
    /// Returns the sources that count: of `source` and `sources` the one that wins. Empty where a
    /// hydrator is set, whose source is a branch that it has yet to write, and where there is none.
    #[must_use]
    pub fn sources(&self) -> Vec<&ApplicationSource> {
        if self.source_hydrator.is_some() {
            Vec::new()
        } else if self.sources.is_empty() {
            self.source.iter().collect()
        } else {
            self.sources.iter().collect()
        }
    }
}

/// Where an application's objects go. Write `server` or `name`, not both; with neither it is the
/// cluster that gitopsd runs in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ApplicationDestination {
    /// URL of the cluster's API server. `https://kubernetes.default.svc` is the cluster that gitopsd
    /// runs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Name of the cluster as registered, instead of its URL. `in-cluster` is the cluster that gitopsd
    /// runs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Namespace for namespaced objects that name none themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// Fields of some objects that are left out when live and desired state are compared.
///
/// Example: `{group: apps, kind: Deployment, jsonPointers: [/spec/replicas]}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceIgnoreDifferences {
    /// API group of the objects, or a glob such as `*`. Empty for the core group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Kind of the objects, or a glob such as `*`.
    pub kind: String,
    /// Name of the one object meant. Without it all objects of the kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Namespace of the objects. Without it all namespaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Paths to ignore as JSON pointers (RFC 6901), such as `/spec/replicas`. A `/` within a key is
    /// written `~1`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub json_pointers: Vec<String>,
    /// Paths to ignore as jq expressions, such as `.spec.template.spec.containers[].image`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jq_path_expressions: Vec<String>,
    /// Field managers whose fields are ignored, as in `metadata.managedFields[].manager`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub managed_fields_managers: Vec<String>,
}

/// A named fact for people.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Info {
    /// What the fact is about, such as `url`.
    pub name: String,
    /// The fact itself, such as `https://shop.example.com`.
    pub value: String,
}
