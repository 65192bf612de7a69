//! Bodies of the requests that subresources take, and what they turn into.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::application::{
    Info, Operation, OperationInitiator, RetryStrategy, SyncOperation, SyncOperationResource, SyncStrategy,
};

/// A body that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the body is not a {kind}: {reason}")]
pub struct Invalid {
    /// `SyncRequest` or `RefreshRequest`.
    pub kind: &'static str,
    /// What is wrong with it, and where.
    pub reason: String,
}

/// What a sync should do. The body of `POST …/applications/{name}/sync`; everything in it is optional,
/// as is the body itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct SyncRequest {
    /// `gitops/v1`. Not needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// `SyncRequest`. Not needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// `uid` and `resourceVersion`, where written, must be those of the application: the sync is refused
    /// if it has changed. Nothing else is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<ObjectMeta>,
    /// Revision to sync to instead of the source's `targetRevision`: branch, tag or commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The same for several sources, in the order of `spec.sources`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub revisions: Vec<String>,
    /// Deletes objects that are no longer in the source. Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prune: Option<bool>,
    /// Reports what would happen and changes nothing. Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
    /// Syncs these objects only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<SyncOperationResource>,
    /// Switches of this sync, instead of those in `spec.syncPolicy.syncOptions`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sync_options: Vec<String>,
    /// How objects are applied. Default: with hooks.
    #[serde(alias = "syncStrategy", skip_serializing_if = "Option::is_none")]
    pub strategy: Option<SyncStrategy>,
    /// What happens when it fails. Default: it is not tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryStrategy>,
    /// Facts for people, such as why the sync is asked for.
    #[serde(alias = "info", skip_serializing_if = "Vec::is_empty")]
    pub infos: Vec<Info>,
}

impl SyncRequest {
    /// Reads a JSON body. Nothing at all means: sync as the spec says.
    pub fn parse(body: &[u8]) -> Result<Self, Invalid> {
        parse("SyncRequest", body)
    }

    /// Turns the request of `username` into the operation that is stored.
    #[must_use]
    pub fn into_operation(self, username: &str) -> Operation {
        let Self {
            api_version: _,
            kind: _,
            metadata: _,
            revision,
            revisions,
            prune,
            dry_run,
            resources,
            sync_options,
            strategy,
            retry,
            infos,
        } = self;
        let sync = SyncOperation {
            revision,
            revisions,
            prune,
            dry_run,
            resources,
            sync_options,
            sync_strategy: strategy,
            ..SyncOperation::default()
        };
        let initiator = OperationInitiator { username: Some(username.into()), automated: None };
        Operation { sync: Some(sync), initiated_by: Some(initiator), info: infos, retry }
    }
}

/// What a refresh should do. The body of `POST …/applications/{name}/refresh`; everything in it is
/// optional, as is the body itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct RefreshRequest {
    /// `gitops/v1`. Not needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// `RefreshRequest`. Not needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// `uid` and `resourceVersion`, where written, must be those of the application. Nothing else is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<ObjectMeta>,
    /// How thorough the refresh is. Default `normal`.
    #[serde(rename = "type")]
    pub type_: RefreshType,
}

impl RefreshRequest {
    /// Reads a JSON body. Nothing at all means a normal refresh.
    pub fn parse(body: &[u8]) -> Result<Self, Invalid> {
        parse("RefreshRequest", body)
    }
}

/// How thorough a refresh is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RefreshType {
    /// Looks at the source and the cluster again.
    #[default]
    Normal,
    /// Also forgets everything rendered before.
    Hard,
}

impl RefreshType {
    /// Returns the word that the annotation `gitops/refresh` uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Hard => "hard",
        }
    }
}

fn parse<T: DeserializeOwned + Default>(kind: &'static str, body: &[u8]) -> Result<T, Invalid> {
    if body.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(body).map_err(|error| Invalid { kind, reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_body_asks_for_the_usual() {
        assert_eq!(SyncRequest::parse(b" \n"), Ok(SyncRequest::default()));
        assert_eq!(RefreshRequest::parse(b"").map(|request| request.type_), Ok(RefreshType::Normal));
        assert_eq!(
            RefreshRequest::parse(br#"{"type":"hard"}"#).map(|request| request.type_),
            Ok(RefreshType::Hard)
        );
    }

    #[test]
    fn errors_name_the_field() {
        let check = |error: Result<SyncRequest, Invalid>, words: &str| {
            let text = error.unwrap_err().to_string();
            assert!(text.starts_with("the body is not a SyncRequest: ") && text.contains(words), "{text}");
        };
        check(SyncRequest::parse(br#"{"purge":true}"#), "unknown field `purge`");
        check(SyncRequest::parse(br#"{"prune":"yes"}"#), "invalid type: string \"yes\", expected a boolean");
        check(SyncRequest::parse(b"revision: main"), "expected value");
        let text = RefreshRequest::parse(br#"{"type":"soft"}"#).unwrap_err().to_string();
        assert!(text.contains("unknown variant `soft`, expected `normal` or `hard`"), "{text}");
    }

    #[test]
    fn a_request_becomes_an_operation_in_the_users_name() {
        let body = br#"{"kind":"SyncRequest","revision":"v2","prune":true,"syncStrategy":{"apply":{}},
            "info":[{"name":"why","value":"release"}],"retry":{"limit":1}}"#;
        let operation = SyncRequest::parse(body).unwrap().into_operation("jane");
        let expected = serde_json::json!({
            "sync": {"revision": "v2", "prune": true, "syncStrategy": {"apply": {}}},
            "initiatedBy": {"username": "jane"},
            "info": [{"name": "why", "value": "release"}],
            "retry": {"limit": 1},
        });
        assert_eq!(serde_json::to_value(operation).unwrap(), expected);
    }
}
