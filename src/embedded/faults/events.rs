//! What happens to the events of a watch.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::{Body, BodyDataStream};
use bytes::{Bytes, BytesMut};
use futures::stream::{self, StreamExt};
use http::Response;
use serde::Deserialize;
use serde_json::json;
use tower::BoxError;

use super::{Active, Effect, Fault, closed};
use crate::embedded::status::Status;

/// Events as they come from the API.
struct Events {
    body: BodyDataStream,
    /// What came of an event that is not complete.
    begun: BytesMut,
    active: Arc<Active>,
    ended: bool,
}

#[derive(Deserialize)]
struct Event {
    r#type: String,
}

/// Lets the events of an answer meet a rule.
pub(super) fn disturb(response: Response<Body>, active: Arc<Active>) -> Response<Body> {
    if !response.status().is_success() {
        return response;
    }
    response.map(|body| {
        let body = body.into_data_stream();
        let events = Events { body, begun: BytesMut::new(), active, ended: false };
        Body::from_stream(stream::unfold(events, |mut events| async move {
            let told = events.next().await?;
            Some((told, events))
        }))
    })
}

impl Events {
    async fn next(&mut self) -> Option<Result<Bytes, BoxError>> {
        while !self.ended {
            let line = match self.line().await? {
                Ok(line) => line,
                Err(error) => return Some(Err(error)),
            };
            match self.active.effect(&line) {
                None => return Some(Ok(line)),
                Some(Effect::Drop) => {}
                Some(Effect::Delay(time)) => {
                    tokio::time::sleep(time).await;
                    return Some(Ok(line));
                }
                Some(Effect::End) => self.ended = true,
                Some(Effect::Close) => {
                    self.ended = true;
                    return Some(Err(closed()));
                }
                Some(Effect::Expire) => {
                    self.ended = true;
                    return Some(Ok(expired()));
                }
            }
        }
        None
    }

    /// The next line, with its end.
    async fn line(&mut self) -> Option<Result<Bytes, BoxError>> {
        loop {
            if let Some(end) = self.begun.iter().position(|byte| *byte == b'\n') {
                return Some(Ok(self.begun.split_to(end + 1).freeze()));
            }
            match self.body.next().await? {
                Ok(bytes) => self.begun.extend_from_slice(&bytes),
                Err(error) => return Some(Err(error.into())),
            }
        }
    }
}

impl Active {
    /// What happens to an event.
    fn effect(&self, line: &[u8]) -> Option<Effect> {
        let Fault::Events(which, effect) = &self.rule.fault else { return None };
        let counts = serde_json::from_slice::<Event>(line).is_ok_and(|event| event.r#type != "BOOKMARK");
        (counts && which.contains(&(self.events.fetch_add(1, Ordering::Relaxed) + 1))).then_some(*effect)
    }
}

fn expired() -> Bytes {
    let status = Status::new(410, "Expired", "too old resource version: on purpose");
    format!("{}\n", json!({"type": "ERROR", "object": status.to_json()})).into()
}
