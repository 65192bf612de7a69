//! Bodies of requests: how much, and in which format.

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http::header;
use http_body_util::BodyExt as _;
use http_body_util::LengthLimitError;
use http_body_util::Limited;
use serde_json::Value;

use super::super::status::Status;
use crate::manifest::yaml;

/// More is not read.
const LONGEST: usize = 3 * 1024 * 1024;

/// Reads all of a body.
pub(super) async fn collect(body: Body) -> Result<Bytes, Status> {
    match Limited::new(body, LONGEST).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            let message = format!("Request entity too large: limit is {LONGEST}");
            Err(Status::new(413, "RequestEntityTooLarge", message))
        }
        Err(error) => Err(Status::bad_request(format!("unable to read the body: {error}"))),
    }
}

/// The media type of a body, without parameters; empty if it is not told.
pub(super) fn media(headers: &HeaderMap) -> &str {
    let told = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    told.split(';').next().unwrap_or_default().trim()
}

/// Reads an object.
pub(super) fn parse(headers: &HeaderMap, bytes: &[u8]) -> Result<Value, Status> {
    match media(headers) {
        "" | "application/json" | "*/*" => json(bytes),
        "application/yaml" => yaml(bytes),
        _ => Err(unsupported(&["application/json", "application/yaml"])),
    }
}

/// 415.
pub(super) fn unsupported(known: &[&str]) -> Status {
    let message = format!(
        "the body of the request was in an unknown format - accepted media types include: {}",
        known.join(", ")
    );
    Status::new(415, "UnsupportedMediaType", message)
}

/// Reads JSON.
pub(super) fn json(bytes: &[u8]) -> Result<Value, Status> {
    serde_json::from_slice(bytes)
        .map_err(|error| Status::bad_request(format!("couldn't get version/kind; json parse error: {error}")))
}

/// Reads YAML, of which JSON is a part.
pub(super) fn yaml(bytes: &[u8]) -> Result<Value, Status> {
    let mut documents = yaml::documents(bytes)
        .map_err(|error| Status::bad_request(format!("error converting YAML to JSON: {error}")))?;
    Ok(if documents.is_empty() { Value::Null } else { documents.swap_remove(0) })
}
