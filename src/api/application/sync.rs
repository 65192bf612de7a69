//! How an application is kept equal to its source: automation, retries, strategies.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When an application is synced, and with which switches.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncPolicy {
    /// Syncs by itself whenever source and cluster differ. `automated: {}` suffices to switch it on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub automated: Option<SyncPolicyAutomated>,
    /// Switches of syncing, each `Name=value`: `CreateNamespace=true`, `PruneLast=true`,
    /// `PrunePropagationPolicy=foreground`, `Replace=true`, `ServerSideApply=true`,
    /// `ApplyOutOfSyncOnly=true`, `RespectIgnoreDifferences=true`, `FailOnSharedResource=true`,
    /// `SkipDryRunOnMissingResource=true`, `Validate=false`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sync_options: Vec<String>,
    /// What happens when a sync fails. Default for automated syncs: 5 retries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryStrategy>,
    /// Labels and annotations of the destination's namespace, where `CreateNamespace=true` makes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed_namespace_metadata: Option<ManagedNamespaceMetadata>,
}

/// Syncing without being asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncPolicyAutomated {
    /// Deletes objects that are no longer in the source. Default false: they are reported and stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prune: Option<bool>,
    /// Also syncs when the cluster was changed and the source was not. Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub self_heal: Option<bool>,
    /// Lets pruning delete every object of the application. Default false, as an emptied source more
    /// often is a mistake than a wish.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_empty: Option<bool>,
    /// False switches automation off while keeping its settings. Default true. From Argo CD 3.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// Metadata of a namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ManagedNamespaceMetadata {
    /// Labels to set. Labels that others set stay.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations to set. Annotations that others set stay.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// How often and how fast a failed sync is tried again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RetryStrategy {
    /// How many times to try again; 0 never, below 0 without end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// How long to wait between tries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
    /// Looks at the source again before each try instead of staying with the first revision. Default
    /// false. From Argo CD 3.2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh: Option<bool>,
}

/// Waiting times that grow: `duration`, then each `factor` times the one before, up to `maxDuration`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Backoff {
    /// The first wait, such as `30s` or `2m`; a plain number is seconds. Default `5s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// How much longer each wait is than the one before. Default 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factor: Option<i64>,
    /// The longest wait, written like `duration`. Default `3m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_duration: Option<String>,
}

/// How objects are applied in a sync: with hooks (`hook`, the default) or without (`apply`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SyncStrategy {
    /// Applies the objects and runs no hooks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apply: Option<SyncStrategyApply>,
    /// Applies the objects and runs hooks in their phases.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook: Option<SyncStrategyHook>,
}

/// Settings of a sync without hooks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SyncStrategyApply {
    /// Deletes and creates an object again where it cannot be changed in place. Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force: Option<bool>,
}

/// Settings of a sync with hooks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SyncStrategyHook {
    /// Deletes and creates an object again where it cannot be changed in place. Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force: Option<bool>,
}
