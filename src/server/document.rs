//! Answers that never change while the process runs: encoded once, known to clients by their `ETag`.

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// An encoded JSON document.
#[derive(Debug, Clone)]
pub(super) struct Document {
    body: Bytes,
    content_type: HeaderValue,
    etag: HeaderValue,
    hash: String,
}

impl Document {
    /// Encodes `value`.
    pub(super) fn new(value: &Value, content_type: &'static str) -> Self {
        let body = Bytes::from(value.to_string());
        let hash = hex(&Sha256::digest(&body));
        let etag = HeaderValue::from_str(&format!("\"{hash}\"")).expect("hex digits can stand in a header");
        Self { body, content_type: HeaderValue::from_static(content_type), etag, hash }
    }

    /// Returns what the `ETag` says, without quotes.
    pub(super) fn hash(&self) -> &str {
        &self.hash
    }

    /// Answers with the document, or with 304 if the client has it.
    pub(super) fn answer(&self, request: &HeaderMap) -> Response {
        let known = request.get_all(header::IF_NONE_MATCH).iter().any(|value| self.is_listed(value));
        let mut response = if known {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            let mut response = self.body.clone().into_response();
            response.headers_mut().insert(header::CONTENT_TYPE, self.content_type.clone());
            response
        };
        let headers = response.headers_mut();
        headers.insert(header::ETAG, self.etag.clone());
        headers.insert(header::VARY, HeaderValue::from_static("Accept"));
        response
    }

    fn is_listed(&self, etags: &HeaderValue) -> bool {
        let listed = etags.to_str().unwrap_or_default();
        listed.split(',').map(str::trim).any(|etag| {
            let etag = etag.strip_prefix("W/").unwrap_or(etag);
            etag == "*" || etag.trim_matches('"') == self.hash
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn clients_that_have_it_get_nothing() {
        let document = Document::new(&json!({"a": 1}), "application/json");
        assert_eq!(document.hash().len(), 64);
        let ask = |etag: Option<String>| {
            let mut headers = HeaderMap::new();
            if let Some(etag) = etag {
                headers.insert(header::IF_NONE_MATCH, etag.parse().unwrap());
            }
            document.answer(&headers).status().as_u16()
        };
        assert_eq!(ask(None), 200);
        assert_eq!(ask(Some("\"other\"".into())), 200);
        assert_eq!(ask(Some(format!("\"{}\"", document.hash()))), 304);
        assert_eq!(ask(Some(format!("\"other\", W/\"{}\"", document.hash()))), 304);
    }
}
