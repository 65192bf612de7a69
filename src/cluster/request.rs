//! One exchange with an API server: paths, status codes and bodies as bytes. kube's typed `Api` hides
//! the status code (201 or 200) and does not guard paths against names that come from Git.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use kube::client::Body;
use kube::core::Status;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// kube-apiserver gives up a request after 60 s; what takes longer is lost.
const PATIENCE: Duration = Duration::from_secs(70);
/// Answers that are not JSON come from proxies and can be whole pages.
const TEXT_LIMIT: usize = 200;

/// A successful answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// 200, 201 or 202.
    pub(crate) code: StatusCode,
    /// The body, JSON.
    pub(crate) body: Bytes,
}

impl Answer {
    /// Returns the body as text.
    pub(crate) fn text(&self) -> Result<&str, Refusal> {
        std::str::from_utf8(&self.body).map_err(|_| Refusal::garbled())
    }
}

/// Why there is no successful answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Refusal {
    /// The API server answered with a failure. Its message can quote the object that was sent.
    Status(Box<Status>),
    /// No answer arrived.
    Unreachable(String),
}

impl Refusal {
    /// Returns the HTTP status code; 0 where there was none.
    pub(crate) fn code(&self) -> u16 {
        match self {
            Self::Status(status) => status.code,
            Self::Unreachable(_) => 0,
        }
    }

    /// Stands for an answer that cannot be read.
    pub(crate) fn garbled() -> Self {
        Self::Unreachable("its answer could not be read".into())
    }
}

impl fmt::Display for Refusal {
    /// Must not be used for writes: the message of a refused write can quote a Secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) if status.message.is_empty() => {
                write!(f, "{} {}", status.code, status.reason)
            }
            Self::Status(status) => f.write_str(&status.message),
            Self::Unreachable(cause) => f.write_str(cause),
        }
    }
}

impl From<kube::Error> for Refusal {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::Status(status),
            other => Self::Unreachable(innermost(&other)),
        }
    }
}

/// Returns the innermost cause: the outer ones only say that a client failed.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let text = cause.to_string();
    // rustls adds an address of its manual.
    text.split(": https://").next().unwrap_or_default().to_owned()
}

/// Sends `request` and reads the whole answer. Codes from 400 on are refusals.
pub(crate) async fn exchange(client: &kube::Client, request: Request<Body>) -> Result<Answer, Refusal> {
    let attempt = async {
        let response = client.send(request).await?;
        let code = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        Ok::<_, kube::Error>(Answer { code, body })
    };
    let answer = tokio::time::timeout(PATIENCE, attempt)
        .await
        .map_err(|_| Refusal::Unreachable(format!("no answer within {} s", PATIENCE.as_secs())))??;
    if answer.code.is_success() { Ok(answer) } else { Err(refusal(answer.code, &answer.body)) }
}

/// Reads the failure that an API server, or a proxy before it, answered.
pub(crate) fn refusal(code: StatusCode, body: &[u8]) -> Refusal {
    let mut status = serde_json::from_slice::<Status>(body).unwrap_or_else(|_| {
        let text = String::from_utf8_lossy(body);
        let first = text.lines().next().unwrap_or_default().trim();
        Status::failure(&first.chars().take(TEXT_LIMIT).collect::<String>(), "")
    });
    status.code = code.as_u16();
    Refusal::Status(Box::new(status))
}

/// Builds a request that reads.
pub(crate) fn get(path: &str, accept: &'static str) -> Request<Body> {
    build(Request::get(path).header(header::ACCEPT, accept).body(Body::empty()))
}

/// Builds a request with a body.
pub(crate) fn with_body(method: Method, path: &str, content: &'static str, body: Vec<u8>) -> Request<Body> {
    let request = Request::builder().method(method).uri(path);
    let request = request.header(header::ACCEPT, JSON).header(header::CONTENT_TYPE, content);
    build(request.body(Body::from(body)))
}

/// Media type of ordinary bodies.
pub(crate) const JSON: &str = "application/json";

fn build(request: http::Result<Request<Body>>) -> Request<Body> {
    request.expect("paths are escaped by `segment` and `query`")
}

/// Escapes a name for use as one segment of a path. Names come from Git: a slash or a question mark
/// in one must not make it another path, nor may it climb up.
pub(crate) fn segment(name: &str) -> String {
    match name {
        "." => "%2E".into(),
        ".." => "%2E%2E".into(),
        name => escape(name),
    }
}

/// Joins the parameters of a query.
pub(crate) fn query(parameters: &[(&str, &str)]) -> String {
    let parts: Vec<_> = parameters.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
    parts.join("&")
}

/// What stays as it is in paths and queries.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

fn escape(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_segment() {
        let check = |name, expected| assert_eq!(segment(name), expected);
        check("plum-7.a", "plum-7.a");
        check("system:basket", "system:basket");
        check("../secrets/key", "..%2Fsecrets%2Fkey");
        check("..", "%2E%2E");
        check("a?dryRun=All#b", "a%3FdryRun%3DAll%23b");
        check("grün %", "gr%C3%BCn%20%25");
    }

    #[test]
    fn failures_without_a_status_keep_their_first_line() {
        let Refusal::Status(status) = refusal(StatusCode::BAD_GATEWAY, b"no route to orchard\n<html>") else {
            panic!("a status")
        };
        assert_eq!((status.code, status.message.as_str()), (502, "no route to orchard"));
    }

    #[test]
    fn the_code_of_the_answer_counts() {
        let body = br#"{"kind":"Status","code":0,"reason":"Expired","message":"too old"}"#;
        assert_eq!(refusal(StatusCode::GONE, body).code(), 410);
        assert_eq!(refusal(StatusCode::GONE, body).to_string(), "too old");
    }
}
