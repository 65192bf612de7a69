//! One request on its way to a server and back: whose it is, and which headers go along.

use std::time::Duration;

use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Version, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::time::timeout;

use super::route::{Failure, Route};
use crate::embedded::access::User;
use crate::embedded::objects::Objects;

/// How long a server may take to say what it serves.
const DISCOVERY_TIMEOUT: Duration = Duration::from_secs(5);
/// Headers of one connection only.
const HOP: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];
/// What a header name cannot hold of a key, and what would be taken for an escape.
const KEY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'*')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// Passes a request on, and its answer back.
pub(super) async fn forward(
    objects: &Objects,
    route: &Route,
    user: &User,
    mut request: Request<Body>,
) -> Response<Body> {
    prepare(request.headers_mut());
    if let Err(error) = identify(request.headers_mut(), user) {
        return plain(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string());
    }
    *request.version_mut() = Version::default();
    request.extensions_mut().clear();
    let is_discovery = request.uri().path().trim_matches('/').split('/').count() == 3;
    let sent = route.send(objects, request);
    let answer = if is_discovery {
        timeout(DISCOVERY_TIMEOUT, sent).await.unwrap_or_else(|_| Err(Failure::Setup("timed out".into())))
    } else {
        sent.await
    };
    match answer {
        Ok(response) => returned(response),
        Err(Failure::NoWay(..)) => unavailable("service unavailable"),
        Err(error) => unavailable(&format!("error trying to reach service: {error}")),
    }
}

/// Removes what is not for the server: what proved who asks, and what would claim it.
fn prepare(headers: &mut HeaderMap) {
    let claims = |name: &HeaderName| {
        let name = name.as_str();
        name.starts_with("x-remote-") || name.starts_with("impersonate-")
    };
    let names: Vec<_> = headers.keys().filter(|name| claims(name)).cloned().collect();
    for name in names.iter().chain(&HOP).chain(&[header::AUTHORIZATION, header::HOST]) {
        headers.remove(name);
    }
}

/// Adds who asks.
pub(super) fn identify(headers: &mut HeaderMap, user: &User) -> Result<(), http::Error> {
    let User { name, uid, groups, extra } = user;
    let value = |text: &str| HeaderValue::from_bytes(text.as_bytes());
    headers.insert("x-remote-user", value(name)?);
    if !uid.is_empty() {
        headers.insert("x-remote-uid", value(uid)?);
    }
    for group in groups {
        headers.append("x-remote-group", value(group)?);
    }
    for (key, values) in extra {
        let name = format!("x-remote-extra-{}", utf8_percent_encode(key, KEY));
        let name: HeaderName = name.to_lowercase().parse()?;
        for text in values {
            headers.append(name.clone(), value(text)?);
        }
    }
    Ok(())
}

/// Makes an answer ours.
fn returned(mut response: Response<Body>) -> Response<Body> {
    if response.status().is_redirection() && response.headers().contains_key(header::LOCATION) {
        let why = "the backend attempted to redirect this request, which is not permitted";
        return plain(StatusCode::BAD_GATEWAY, why);
    }
    *response.version_mut() = Version::default();
    let headers = response.headers_mut();
    let foreign = |name: &HeaderName| name.as_str().starts_with("access-control-");
    let names: Vec<_> = headers.keys().filter(|name| foreign(name)).cloned().collect();
    for name in names.iter().chain(&HOP) {
        headers.remove(name);
    }
    response
}

/// 503.
pub(super) fn unavailable(why: &str) -> Response<Body> {
    plain(StatusCode::SERVICE_UNAVAILABLE, why)
}

/// Answers as Go's `http.Error` does.
fn plain(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{text}\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
