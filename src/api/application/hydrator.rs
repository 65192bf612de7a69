//! The source hydrator: rendering one place into a branch of plain manifests, and what became of it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    ApplicationSourceDirectory, ApplicationSourceHelm, ApplicationSourceKustomize, ApplicationSourcePlugin,
};

/// Renders a dry source into plain manifests, commits them to a branch and syncs from that branch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceHydrator {
    /// What is rendered.
    pub dry_source: DrySource,
    /// Where the rendered manifests are synced from.
    pub sync_source: SyncSource,
    /// Another branch to commit to, when something else (a pull request, a promotion) moves commits on
    /// to the branch of `syncSource`. Default: that branch itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hydrate_to: Option<HydrateTo>,
}

/// What a hydrator renders. Always a Git repository.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DrySource {
    /// URL of the Git repository.
    #[serde(rename = "repoURL")]
    pub repo_url: String,
    /// Branch, tag or commit to render.
    pub target_revision: String,
    /// Directory within the repository.
    pub path: String,
    /// How to render a Helm chart. From Argo CD 3.5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helm: Option<ApplicationSourceHelm>,
    /// How to build with Kustomize. From Argo CD 3.5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kustomize: Option<ApplicationSourceKustomize>,
    /// How to read a directory of plain manifests. From Argo CD 3.5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<ApplicationSourceDirectory>,
    /// How to render with a plugin. From Argo CD 3.5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<ApplicationSourcePlugin>,
}

/// The branch a hydrator commits to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HydrateTo {
    /// Name of the branch.
    pub target_branch: String,
}

/// Where rendered manifests are synced from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncSource {
    /// Branch that holds the rendered manifests.
    pub target_branch: String,
    /// Directory within the branch, below its root. Applications that share a branch need different
    /// ones.
    pub path: String,
    /// URL of the repository that holds the branch. Default: that of the dry source. From Argo CD 3.5.
    #[serde(rename = "repoURL", default, skip_serializing_if = "Option::is_none")]
    pub repo_url: Option<String>,
}

/// What a hydrator did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SourceHydratorStatus {
    /// The rendering under way, or the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_operation: Option<HydrateOperation>,
    /// The last rendering that succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_successful_operation: Option<SuccessfulHydrateOperation>,
    /// Commit of the dry source that was looked at last, rendered or not. From newer Argo CD.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_compared_dry_revision: Option<String>,
}

/// One rendering by a hydrator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HydrateOperation {
    /// `Hydrating`, `Hydrated` or `Failed`.
    pub phase: String,
    /// What went wrong, or what is going on.
    pub message: String,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When it ended; absent while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// Commit that is rendered.
    #[serde(rename = "drySHA", default, skip_serializing_if = "Option::is_none")]
    pub dry_sha: Option<String>,
    /// Commit that holds the rendered manifests.
    #[serde(rename = "hydratedSHA", default, skip_serializing_if = "Option::is_none")]
    pub hydrated_sha: Option<String>,
    /// The hydrator's settings at that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_hydrator: Option<SourceHydrator>,
}

/// A rendering by a hydrator that succeeded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SuccessfulHydrateOperation {
    /// Commit that was rendered.
    #[serde(rename = "drySHA", skip_serializing_if = "Option::is_none")]
    pub dry_sha: Option<String>,
    /// Commit that holds the rendered manifests.
    #[serde(rename = "hydratedSHA", skip_serializing_if = "Option::is_none")]
    pub hydrated_sha: Option<String>,
    /// The hydrator's settings at that time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_hydrator: Option<SourceHydrator>,
}
