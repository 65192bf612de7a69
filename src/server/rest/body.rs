//! Bodies of requests: which forms are read, and YAML brought into JSON.

use axum::body::Body;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

use super::edit;
use crate::manifest::yaml;
use crate::server::failure::Failure;
use crate::server::request::Verb;

const JSON: &str = "application/json";
const APPLY: &str = "application/apply-patch+yaml";
const MERGE: &str = "application/merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";
/// What `curl --data` says of a body unless it is told otherwise.
const UNSAID: &str = "application/x-www-form-urlencoded";
const PATCHES: &str =
    "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";

/// A body that is to be written, in JSON.
#[derive(Debug, Clone)]
pub(super) struct Written {
    pub(super) form: Form,
    pub(super) json: Bytes,
}

/// What a body says of the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// All of it.
    Object,
    /// What one manager wants of it (server-side apply).
    Apply,
    /// What changes in it.
    Merge,
    /// How it changes (RFC 6902).
    JsonPatch,
}

/// Reads the body of a write. JSON stays the text it is, so that duplicate keys are still seen by who
/// judges them.
pub(super) async fn written(headers: &mut HeaderMap, verb: Verb, body: Body) -> Result<Written, Failure> {
    if verb != Verb::Patch {
        return Ok(Written { form: Form::Object, json: read_json(headers, body).await? });
    }
    let form = match media_type(headers) {
        APPLY => Form::Apply,
        MERGE => Form::Merge,
        JSON_PATCH => Form::JsonPatch,
        _ => return Err(Failure::unsupported_media_type(PATCHES)),
    };
    let body = collect(body).await?;
    let json = if form == Form::Apply && !is_json(&body) { from_yaml(&body)? } else { body };
    Ok(Written { form, json })
}

/// Reads the options of a deletion. With a body kube-apiserver would pass over `dryRun` in the query
/// and delete for good; here it counts wherever it stands.
pub(super) async fn deletion(headers: &mut HeaderMap, query: &str, body: Body) -> Result<Bytes, Failure> {
    let options = read_json(headers, body).await?;
    let mut wished = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == "dryRun");
    let (Some((_, wish)), Ok(text)) = (wished.next(), std::str::from_utf8(&options)) else {
        return Ok(options);
    };
    let said = edit::value(text, &["dryRun"]).is_some();
    let wish = serde_json::json!([wish]).to_string();
    let changed = if said { None } else { edit::set(text, &["dryRun"], &wish) };
    Ok(changed.map_or(options, Into::into))
}

/// Reads a body in JSON or YAML, which may be absent. Without a content type the body says itself
/// which of the two it is.
pub(in crate::server) async fn read_json(headers: &mut HeaderMap, body: Body) -> Result<Bytes, Failure> {
    let body = collect(body).await?;
    match media_type(headers) {
        _ if is_blank(&body) => Ok(body),
        JSON => Ok(body),
        "" | UNSAID if is_json(&body) => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
            Ok(body)
        }
        "" | UNSAID | "application/yaml" | "text/yaml" | "application/x-yaml" => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
            from_yaml(&body)
        }
        _ => Err(Failure::unsupported_body()),
    }
}

fn is_blank(body: &[u8]) -> bool {
    body.trim_ascii().is_empty()
}

async fn collect(body: Body) -> Result<Bytes, Failure> {
    let body = axum::body::to_bytes(body, usize::MAX).await;
    body.map_err(|_| Failure::bad_request("the body of the request ended before its end"))
}

fn media_type(headers: &HeaderMap) -> &str {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

fn is_json(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'{')
}

fn from_yaml(body: &[u8]) -> Result<Bytes, Failure> {
    let documents = yaml::documents(body);
    let documents =
        documents.map_err(|error| Failure::bad_request(format!("error decoding YAML: {error}")))?;
    match documents.as_slice() {
        [document] => Ok(document.to_string().into()),
        _ => Err(Failure::bad_request(format!("the body has {} YAML documents: send one", documents.len()))),
    }
}
