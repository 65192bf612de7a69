//! Answers: a body, its status code and headers.

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http::HeaderValue;
use http::Response;
use http::StatusCode;
use http::header;
use serde_json::Value;
use serde_json::json;

use super::super::status::Status;
use super::query::Query;

/// What is answered.
pub(super) struct Answer {
    pub(super) code: u16,
    pub(super) content: Content,
    pub(super) warnings: Vec<String>,
    pub(super) yaml: bool,
    pub(super) headers: HeaderMap,
}

/// The body of an answer.
pub(super) enum Content {
    Json(Value),
    /// JSON that is written already.
    Raw(Bytes),
    Text(String),
    /// A watch.
    Events(Body),
}

impl Answer {
    pub(super) fn json(code: u16, value: Value) -> Self {
        Self::of(code, Content::Json(value))
    }

    pub(super) fn of(code: u16, content: Content) -> Self {
        Self { code, content, warnings: Vec::new(), yaml: false, headers: HeaderMap::new() }
    }

    /// 404 of a path that means nothing.
    pub(super) fn nothing_here() -> Self {
        Self::of(404, Content::Text("404 page not found\n".into()))
    }

    pub(super) fn with_header(mut self, name: header::HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// Writes the answer to a request with these headers.
    pub(super) fn into_response(self, query: &Query, request: &HeaderMap) -> Response<Body> {
        let (media, body) = match self.content {
            Content::Json(value) => render(&value, self.yaml, is_pretty(query, request)),
            Content::Raw(bytes) if self.yaml || is_pretty(query, request) => {
                let value = serde_json::from_slice(&bytes).unwrap_or_default();
                render(&value, self.yaml, true)
            }
            Content::Raw(bytes) => ("application/json", Body::from(bytes)),
            Content::Text(text) => ("text/plain; charset=utf-8", Body::from(text)),
            Content::Events(body) => ("application/json", body),
        };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
        // A client that has the content takes over what a 304 says of it.
        if self.code != 304 {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
        }
        if self.code >= 400 && media.starts_with("text") {
            headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        }
        if self.code == 429 || self.code == 504 {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        for warning in &self.warnings {
            let text = warning.replace('\\', "\\\\").replace('"', "\\\"");
            if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{text}\"")) {
                headers.append(header::WARNING, value);
            }
        }
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        response
    }
}

impl From<Status> for Answer {
    fn from(status: Status) -> Self {
        Self::json(status.code, status.to_json())
    }
}

fn is_pretty(query: &Query, request: &HeaderMap) -> bool {
    if !query.get("pretty").is_empty() {
        return query.flag("pretty");
    }
    let agent = request.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    ["curl", "Wget", "Mozilla/5.0"].iter().any(|browser| agent.starts_with(browser))
}

fn render(value: &Value, yaml: bool, pretty: bool) -> (&'static str, Body) {
    if yaml {
        return ("application/yaml", Body::from(super::yaml::write(value)));
    }
    let text = if pretty { serde_json::to_vec_pretty(value) } else { serde_json::to_vec(value) };
    ("application/json", Body::from(text.expect("keys are texts")))
}

/// A `Status` that tells of success.
pub(super) fn success(details: Option<Value>) -> Value {
    let mut status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"});
    if let Some(details) = details {
        status["details"] = details;
    }
    status
}
