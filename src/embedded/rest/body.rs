//! Bodies of requests: how much, and in which format.

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http::header;
use http_body_util::BodyExt as _;
use http_body_util::LengthLimitError;
use http_body_util::Limited;
use serde_json::Value;
use serde_json::json;

use super::super::protobuf;
use super::super::status::Status;
use crate::manifest::yaml;

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

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
        PROTOBUF => protobuf::read(bytes).map_err(|error| match error {
            protobuf::Error::Unknown { .. } => unsupported(&["application/json", "application/yaml"]),
            error @ protobuf::Error::Malformed => Status::bad_request(error.to_string()),
        }),
        _ => Err(unsupported(&["application/json", "application/yaml", PROTOBUF])),
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

/// 415, of a patch for a built-in kind.
pub(super) fn unsupported_patch() -> Status {
    Status {
        details: Some(json!({})),
        ..Status::new(415, "UnsupportedMediaType", "415: Unsupported Media Type")
    }
}

/// Reads JSON.
pub(super) fn json(bytes: &[u8]) -> Result<Value, Status> {
    serde_json::from_slice(bytes).map_err(|error| {
        let why = wrong_json(bytes, &error);
        Status::bad_request(format!("couldn't get version/kind; json parse error: {why}"))
    })
}

/// What is wrong with JSON, in kube-apiserver's words.
fn wrong_json(bytes: &[u8], error: &serde_json::Error) -> String {
    if error.is_eof() {
        return "unexpected end of JSON input".into();
    }
    let line = bytes.split(|byte| *byte == b'\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
    let sign = char::from(*line.get(error.column().saturating_sub(1)).unwrap_or(&b' '));
    let place = if error.to_string().starts_with("trailing") {
        "after top-level value"
    } else {
        "looking for beginning of value"
    };
    format!("invalid character '{sign}' {place}")
}

/// 400: nobody can tell what was sent.
pub(super) fn unrecognized(kind: &str, why: &str, bytes: &[u8]) -> Status {
    const SHOWN: usize = 30;
    let end = bytes.len().min(SHOWN);
    let text = match bytes.first() {
        None => "<empty>".into(),
        Some(b'{') => String::from_utf8_lossy(&bytes[..end]).into_owned(),
        Some(_) => bytes[..end].iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    let more = if bytes.len() > SHOWN { " ..." } else { "" };
    let message =
        format!("the object provided is unrecognized (must be of type {kind}): {why} ({text}{more})");
    Status::bad_request(message)
}

/// No kind of this name is known in this version.
pub(super) fn unregistered(kind: &str, version: &str) -> String {
    format!("no kind {kind:?} is registered for version {version:?} in scheme \"pkg/runtime/scheme.go:111\"")
}

fn wrong_yaml(error: &yaml::Error) -> String {
    let line = if error.line > 1 { format!("line {}: ", error.line) } else { String::new() };
    format!("yaml: {line}{}", error.message)
}

/// Reads YAML, of which JSON is a part.
pub(super) fn yaml(bytes: &[u8]) -> Result<Value, Status> {
    let mut documents = yaml::documents(bytes).map_err(|error| Status::bad_request(wrong_yaml(&error)))?;
    Ok(if documents.is_empty() { Value::Null } else { documents.swap_remove(0) })
}
