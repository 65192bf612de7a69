//! Media types: what a client accepts, and in which form objects are answered.

use http::HeaderMap;
use http::header;
use serde_json::json;

use super::super::status::Status;

/// In which form objects are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As they are.
    Whole,
    /// As a table, in this version of `meta.k8s.io`.
    Table(&'static str),
    /// Their metadata only, in this version.
    Metadata(&'static str),
    /// A list of their metadata, in this version.
    MetadataList(&'static str),
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Accepted {
    pub(super) form: Form,
    pub(super) yaml: bool,
}

impl Accepted {
    /// The first form a client accepts that there is.
    pub(super) fn negotiate(headers: &HeaderMap, watches: bool) -> Result<Self, Status> {
        let told: Vec<_> =
            headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
        let told = told.join(",");
        if told.trim().is_empty() {
            return Ok(Self { form: Form::Whole, yaml: false });
        }
        told.split(',')
            .find_map(|clause| Self::of(clause, watches))
            .ok_or_else(|| not_acceptable(&told, watches))
    }

    fn of(clause: &str, watches: bool) -> Option<Self> {
        let (media, parameters) = clause.split_once(';').unwrap_or((clause, ""));
        let yaml = match media.trim() {
            "application/json" | "*/*" => false,
            "application/yaml" if !watches => true,
            _ => return None,
        };
        let parameter = |name: &str| {
            parameters.split(';').find_map(|parameter| {
                let (key, value) = parameter.split_once('=')?;
                (key.trim() == name).then(|| value.trim())
            })
        };
        let version = match (parameter("g"), parameter("v")) {
            (Some("meta.k8s.io"), Some("v1")) => Some("v1"),
            (Some("meta.k8s.io"), Some("v1beta1")) => Some("v1beta1"),
            _ => None,
        };
        let form = match (parameter("as"), version) {
            (None, _) => Form::Whole,
            (Some("Table"), Some(version)) => Form::Table(version),
            (Some("PartialObjectMetadata"), Some(version)) => Form::Metadata(version),
            (Some("PartialObjectMetadataList"), Some(version)) => Form::MetadataList(version),
            _ => return None,
        };
        Some(Self { form, yaml })
    }
}

/// 406. If the media type is known, a parameter is not.
fn not_acceptable(told: &str, watches: bool) -> Status {
    let is_known = |clause: &str| {
        matches!(
            clause.split(';').next().unwrap_or_default().trim(),
            "application/json" | "application/yaml" | "*/*"
        )
    };
    if told.split(',').any(is_known) {
        return unfit(
            "only the following media types are accepted: application/json, application/yaml".into(),
        );
    }
    let more = if watches { ", application/json;stream=watch" } else { "" };
    let known = format!("application/json, application/yaml{more}");
    let message = format!("406: Not Acceptable\n\nAvailable representations: {known}");
    Status { details: Some(json!({})), ..unfit(message) }
}

/// Refuses who does not accept a document as it is.
pub(super) fn check_plain(headers: &HeaderMap) -> Result<(), Status> {
    match Accepted::negotiate(headers, false)?.form {
        Form::Whole => Ok(()),
        _ => Err(not_acceptable("*/*", false)),
    }
}

/// 406, for a form that fits a list or an object only.
pub(super) fn unfit(message: String) -> Status {
    Status::new(406, "NotAcceptable", message)
}

/// Whether discovery is asked for in its aggregated form.
pub(super) fn wants_aggregated(headers: &HeaderMap) -> Option<bool> {
    let told: Vec<_> =
        headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let told = told.join(",");
    if told.trim().is_empty() {
        return Some(false);
    }
    told.split(',').find_map(|clause| {
        let mut parts = clause.split(';').map(str::trim);
        let media = parts.next()?;
        if !matches!(media, "application/json" | "*/*" | "application/*") {
            return None;
        }
        let parts: Vec<_> = parts.collect();
        let has = |part: &str| parts.contains(&part);
        if parts.iter().any(|part| part.starts_with("as=")) {
            let known = has("as=APIGroupDiscoveryList") && has("g=apidiscovery.k8s.io") && has("v=v2");
            return known.then_some(true);
        }
        Some(false)
    })
}
