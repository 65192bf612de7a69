//! What an Application asks for, parsed once: who it is, where it deploys and under which policy.

use crate::api::application::{
    Application, ApplicationDestination, RetryStrategy, SyncOperation, SyncPolicy,
};

/// URL by which Applications name the cluster that gitopsd runs in.
pub const IN_CLUSTER_SERVER: &str = "https://kubernetes.default.svc";
/// Name of the cluster that gitopsd runs in.
pub const IN_CLUSTER_NAME: &str = "in-cluster";

/// How many history entries are kept where the Application does not say.
const DEFAULT_HISTORY: usize = 10;

/// An Application as decisions see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    /// Project, which is the namespace of the Application.
    pub project: String,
    /// Name of the Application.
    pub name: String,
    /// Destination with the server filled in.
    pub destination: Destination,
    /// Automated sync, if asked for.
    pub automated: Option<Automated>,
    /// Application-level sync options.
    pub options: SyncOptions,
    /// How failed operations are repeated.
    pub retry: Option<RetryStrategy>,
    /// How many history entries are kept.
    pub history_limit: usize,
    /// Labels and annotations of the destination namespace, where gitopsd creates it.
    pub namespace_metadata: Option<crate::api::application::ManagedNamespaceMetadata>,
}

/// Where an Application deploys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// URL of the API server.
    pub server: String,
    /// Name of the cluster; empty where only the URL is known.
    pub name: String,
    /// Namespace for objects that name none; may be empty.
    pub namespace: String,
}

/// The policy of automated sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Automated {
    /// Objects that left Git are deleted.
    pub prune: bool,
    /// Changes made in the cluster are undone.
    pub self_heal: bool,
    /// A revision without any object may delete everything.
    pub allow_empty: bool,
}

/// Application-level sync options that this version acts on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches of the API, read one by one")]
pub struct SyncOptions {
    /// `CreateNamespace=true`.
    pub create_namespace: bool,
    /// `ApplyOutOfSyncOnly=true`.
    pub apply_out_of_sync_only: bool,
    /// `PruneLast=true`.
    pub prune_last: bool,
    /// `Replace=true`.
    pub replace: bool,
    /// `SkipDryRunOnMissingResource=true`.
    pub skip_dry_run_on_missing_resource: bool,
    /// `RespectIgnoreDifferences=true`.
    pub respect_ignore_differences: bool,
    /// `PrunePropagationPolicy=…`.
    pub propagation: super::step::Propagation,
}

/// Why a destination is not one that can be deployed to. The texts are those of the
/// `InvalidSpecError` condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    /// Neither server nor name.
    #[error("Destination server missing from app spec")]
    Missing,
    /// Both server and name.
    #[error("application destination can't have both name and server defined: {0} {1}")]
    Ambiguous(String, String),
    /// A server that is not registered.
    #[error("there is no cluster with the server URL {0}; this version deploys to {IN_CLUSTER_SERVER} only")]
    UnknownServer(String),
    /// A name that is not registered.
    #[error("there are no clusters with this name: {0}; this version deploys to {IN_CLUSTER_NAME} only")]
    UnknownName(String),
}

impl Subject {
    /// Reads an Application.
    pub fn of(application: &Application) -> Result<Self, DestinationError> {
        let policy = application.spec.sync_policy.clone().unwrap_or_default();
        let SyncPolicy { automated, managed_namespace_metadata, retry, sync_options } = policy;
        let limit = application.spec.revision_history_limit;
        Ok(Self {
            project: application.metadata.namespace.clone().unwrap_or_default(),
            name: application.metadata.name.clone().unwrap_or_default(),
            destination: Destination::of(&application.spec.destination)?,
            automated: automated.filter(|automated| automated.enabled != Some(false)).map(|automated| {
                Automated {
                    prune: automated.prune == Some(true),
                    self_heal: automated.self_heal == Some(true),
                    allow_empty: automated.allow_empty == Some(true),
                }
            }),
            options: SyncOptions::of(&sync_options),
            retry,
            history_limit: limit.map_or(DEFAULT_HISTORY, |limit| usize::try_from(limit).unwrap_or(0)),
            namespace_metadata: managed_namespace_metadata,
        })
    }

    /// Returns the options of one operation: its own where it brings some, else the Application's.
    #[must_use]
    pub fn options_for(&self, sync: &SyncOperation) -> SyncOptions {
        if sync.sync_options.is_empty() { self.options } else { SyncOptions::of(&sync.sync_options) }
    }
}

impl Destination {
    fn of(destination: &ApplicationDestination) -> Result<Self, DestinationError> {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let (server, name) = (text(&destination.server), text(&destination.name));
        match (server.trim_end_matches('/'), name.as_str()) {
            ("", "") => return Err(DestinationError::Missing),
            (IN_CLUSTER_SERVER, "") | ("", IN_CLUSTER_NAME) => (),
            ("", _) => return Err(DestinationError::UnknownName(name)),
            (_, "") => return Err(DestinationError::UnknownServer(server)),
            _ => return Err(DestinationError::Ambiguous(name, server)),
        }
        Ok(Self {
            server: IN_CLUSTER_SERVER.into(),
            name: IN_CLUSTER_NAME.into(),
            namespace: text(&destination.namespace),
        })
    }
}

impl SyncOptions {
    /// Parses `Name=value` words; unknown ones are passed over, as Argo CD does.
    #[must_use]
    pub fn of(words: &[String]) -> Self {
        use super::step::Propagation;
        let has = |word: &str| words.iter().any(|given| given.trim() == word);
        let propagation =
            match words.iter().find_map(|word| word.trim().strip_prefix("PrunePropagationPolicy=")) {
                Some("background") => Propagation::Background,
                Some("orphan") => Propagation::Orphan,
                _ => Propagation::Foreground,
            };
        Self {
            create_namespace: has("CreateNamespace=true"),
            apply_out_of_sync_only: has("ApplyOutOfSyncOnly=true"),
            prune_last: has("PruneLast=true"),
            replace: has("Replace=true"),
            skip_dry_run_on_missing_resource: has("SkipDryRunOnMissingResource=true"),
            respect_ignore_differences: has("RespectIgnoreDifferences=true"),
            propagation,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destination(server: &str, name: &str) -> Result<Destination, String> {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Destination::of(&ApplicationDestination { server: some(server), name: some(name), namespace: None })
            .map_err(|error| error.to_string())
    }

    #[test]
    fn server_and_name_mean_the_same_cluster() {
        assert_eq!(destination(IN_CLUSTER_SERVER, ""), destination("", IN_CLUSTER_NAME));
        assert!(destination("https://kubernetes.default.svc/", "").is_ok());
    }

    #[test]
    fn a_destination_names_exactly_one_known_cluster() {
        let check = |server, name, part| {
            let error = destination(server, name).unwrap_err();
            assert!(error.contains(part), "{error}");
        };
        check("", "", "Destination server missing");
        check("", "mars", "no clusters with this name: mars");
        check("https://mars", "", "server URL https://mars");
        check(IN_CLUSTER_SERVER, IN_CLUSTER_NAME, "can't have both");
    }

    #[test]
    fn options_are_words() {
        let words = ["CreateNamespace=true".to_owned(), "PrunePropagationPolicy=orphan".to_owned()];
        let options = SyncOptions::of(&words);
        assert!(options.create_namespace && !options.replace);
        assert_eq!(options.propagation, crate::engine::step::Propagation::Orphan);
    }
}
