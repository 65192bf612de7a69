//! A kube-apiserver for tests: a function from requests to answers behind a real `kube::Client`.
//! Watches of it stay silent.

pub(crate) mod ca;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

/// A request as the fake sees it.
pub(crate) struct Request {
    /// Method.
    pub(crate) method: http::Method,
    /// Path without query.
    pub(crate) path: String,
    /// Query, or empty.
    pub(crate) query: String,
    /// Body; null if there is none.
    pub(crate) body: Value,
}

/// Returns a client of a cluster that answers with code and body.
pub(crate) fn cluster(answer: impl Fn(Request) -> (u16, Value) + Send + Sync + 'static) -> kube::Client {
    let answer = std::sync::Arc::new(answer);
    let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
        let answer = answer.clone();
        async move {
            let (parts, body) = request.into_parts();
            if parts.uri.query().is_some_and(|query| query.contains("watch=true")) {
                return std::future::pending().await;
            }
            let body = body.collect().await?.to_bytes();
            let (code, body) = answer(Request {
                method: parts.method,
                path: parts.uri.path().into(),
                query: parts.uri.query().unwrap_or_default().into(),
                body: serde_json::from_slice(&body).unwrap_or(Value::Null),
            });
            let body = Full::new(Bytes::from(body.to_string()));
            let response = http::Response::builder().status(code).header("content-type", "application/json");
            Ok::<_, tower::BoxError>(response.body(body)?)
        }
    });
    kube::Client::new(service, "default")
}

/// Returns the body of a list.
pub(crate) fn list(items: &[Value]) -> Value {
    json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items})
}

/// Returns the body of an error answer.
pub(crate) fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "code": code, "reason": reason, "message": message,
    })
}
