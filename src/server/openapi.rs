//! OpenAPI documents for `kubectl explain`, validation and apply. They are made elsewhere and encoded
//! once, when the server starts: kube-apiserver holds a lock while it fetches them, so nothing may be
//! asked of it in answering.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, header};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::document::Document;
use super::failure::Failure;
use crate::api::names::{GROUP, VERSION};

const YEAR: SignedDuration = SignedDuration::from_hours(365 * 24);

/// The documents of our group.
#[derive(Debug)]
pub(super) struct OpenApi {
    index: Document,
    v3: Document,
    v2: Document,
}

impl OpenApi {
    /// Encodes the documents of OpenAPI 3 and 2 (Swagger).
    pub(super) fn new(v3: &Value, v2: &Value) -> Self {
        let v3 = Document::new(v3, "application/json");
        let path = format!("apis/{GROUP}/{VERSION}");
        let url = format!("/openapi/v3/{path}?hash={}", v3.hash());
        let index = Document::new(&json!({"paths": {path: {"serverRelativeURL": url}}}), "application/json");
        Self { index, v3, v2: Document::new(v2, "application/json") }
    }

    /// Answers `/openapi/v3`: where the documents are. Only our own is named, since kube-apiserver
    /// merges the lists of all servers.
    pub(super) fn index(&self, headers: &HeaderMap) -> Response {
        self.index.answer(headers)
    }

    /// Answers `/openapi/v3/apis/gitops/v1`. A URL with the right hash never changes its content; one
    /// with another hash is answered with the current document, since kube-apiserver would turn a
    /// redirect into an error.
    pub(super) fn v3(&self, headers: &HeaderMap, query: &str, now: Timestamp) -> Response {
        if !accepts_json(headers) {
            return Failure::not_acceptable_because(
                "only the following media types are accepted: application/json",
            )
            .into_response();
        }
        let mut response = self.v3.answer(headers);
        let hash = query.split('&').find_map(|pair| pair.strip_prefix("hash="));
        if hash == Some(self.v3.hash()) {
            let expires = (now + YEAR).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            let headers = response.headers_mut();
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
            if let Ok(expires) = HeaderValue::from_str(&expires) {
                headers.insert(header::EXPIRES, expires);
            }
        }
        response
    }

    /// Answers `/openapi/v2`.
    pub(super) fn v2(&self, headers: &HeaderMap) -> Response {
        self.v2.answer(headers)
    }
}

fn accepts_json(headers: &HeaderMap) -> bool {
    let mut clauses = headers.get_all(header::ACCEPT).iter().filter_map(|it| it.to_str().ok()).peekable();
    clauses.peek().is_none()
        || clauses.flat_map(|accept| accept.split(',')).any(|clause| {
            let media_type = clause.split(';').next().unwrap_or_default().trim();
            matches!(media_type, "" | "application/json" | "application/*" | "*/*")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn openapi() -> OpenApi {
        OpenApi::new(&json!({"openapi": "3.0.0"}), &json!({"swagger": "2.0"}))
    }

    fn headers(response: &Response) -> [Option<&str>; 2] {
        [header::CACHE_CONTROL, header::EXPIRES]
            .map(|name| response.headers().get(name).map(|value| value.to_str().unwrap()))
    }

    #[test]
    fn only_a_url_with_the_right_hash_is_cached_for_good() {
        let now: Timestamp = "2026-03-01T10:00:00Z".parse().unwrap();
        let openapi = openapi();
        let right = openapi.v3(&HeaderMap::new(), &format!("hash={}", openapi.v3.hash()), now);
        assert_eq!(headers(&right), [Some("public, immutable"), Some("Mon, 01 Mar 2027 10:00:00 GMT")]);
        let wrong = openapi.v3(&HeaderMap::new(), "hash=0", now);
        assert_eq!(wrong.status(), 200);
        assert_eq!(headers(&wrong), [None, None]);
    }

    #[test]
    fn other_encodings_than_json_are_refused() {
        let ask = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            openapi().v3(&headers, "", Timestamp::UNIX_EPOCH).status().as_u16()
        };
        assert_eq!(ask("application/com.github.proto-openapi.spec.v3@v1.0+protobuf"), 406);
        assert_eq!(ask("application/com.github.proto-openapi.spec.v3@v1.0+protobuf, application/json"), 200);
        assert_eq!(ask("*/*"), 200);
    }
}
