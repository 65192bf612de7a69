//! An API server for tests that answers as a function says.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use kube::client::Body;
use serde_json::Value;
use tower::{BoxError, service_fn};

use super::client::Connection;

/// What is answered.
pub(super) enum Reply {
    /// A whole answer.
    Json(u16, Value),
    /// A watch that tells these events and then stays silent.
    Events(Vec<Value>),
    /// A watch that tells these events and ends.
    Ends(Vec<Value>),
    /// The connection breaks before an answer.
    Cut,
}

/// A request as tests look at it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Asked {
    /// Method and path with its query.
    pub(super) line: String,
    /// The body; null without one.
    pub(super) body: Value,
    /// On whose behalf; empty for ourselves.
    pub(super) user: String,
}

/// What was asked so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<Asked>>>);

impl Log {
    pub(super) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(|asked| asked.line.clone()).collect()
    }

    pub(super) fn last(&self) -> Asked {
        self.0.lock().unwrap().last().cloned().unwrap()
    }
}

/// Makes an API server that answers each request by `answer`.
pub(super) fn server(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> (Connection, Log) {
    let log = Log::default();
    let (answer, asked_so_far) = (Arc::new(answer), log.clone());
    let service = service_fn(move |request: Request<Body>| {
        let (answer, log) = (answer.clone(), asked_so_far.clone());
        async move {
            let asked = read(request).await;
            log.0.lock().unwrap().push(asked.clone());
            reply(answer(&asked))
        }
    });
    (Connection::from_service(service), log)
}

async fn read(request: Request<Body>) -> Asked {
    let line = format!("{} {}", request.method(), request.uri());
    let user = request.headers().get("impersonate-user").map_or("", |user| user.to_str().unwrap()).into();
    let bytes = request.into_body().collect().await.unwrap().to_bytes();
    Asked { line, body: serde_json::from_slice(&bytes).unwrap_or_default(), user }
}

fn reply(reply: Reply) -> Result<Response<UnsyncBoxBody<Bytes, BoxError>>, BoxError> {
    let lines = |events: Vec<Value>| {
        stream::iter(events).map(|event| Ok::<_, BoxError>(Frame::data(Bytes::from(format!("{event}\n")))))
    };
    let (code, body) = match reply {
        Reply::Json(code, value) => {
            let body = Full::new(Bytes::from(value.to_string()));
            (code, body.map_err(|never: Infallible| match never {}).boxed_unsync())
        }
        Reply::Events(events) => {
            (200, BodyExt::boxed_unsync(StreamBody::new(lines(events).chain(stream::pending()))))
        }
        Reply::Ends(events) => (200, BodyExt::boxed_unsync(StreamBody::new(lines(events)))),
        Reply::Cut => return Err(io::Error::from(io::ErrorKind::ConnectionReset).into()),
    };
    Ok(Response::builder().status(code).body(body).unwrap())
}
