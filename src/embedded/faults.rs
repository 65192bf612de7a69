//! Misfortune on purpose: a layer around an API that closes connections, answers errors, lets its client
//! crash at a chosen write, holds back watch events and answers from the past. For tests; what is
//! to happen is said with plain values, and the same requests meet the same misfortune each time.

mod events;
mod requests;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use serde_json::json;
use tokio::sync::watch;
use tower::{BoxError, Layer, Service};

use super::status::Status;
pub use requests::{Asked, Requests};

/// What happens to which requests.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The requests that count.
    pub requests: Requests,
    /// Which of them are hit, counted from 1.
    pub at: RangeInclusive<u64>,
    /// What happens to those.
    pub fault: Fault,
}

/// What happens to a request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Before the API sees it. But for [`Act::Run`], the API never does.
    Before(Act),
    /// After the API has done it. But for [`Act::Run`], its answer is lost.
    After(Act),
    /// It gets the last answer that an equal request got which was not hit by this rule; if there was
    /// none, what the API says. For `get` and `list`.
    Stale,
    /// Something happens to events of the watch. Which, counted from 1 over all watches that the rule hits;
    /// bookmarks do not count.
    Events(RangeInclusive<u64>, Effect),
}

/// What happens at the time of a request.
#[derive(Debug, Clone)]
pub enum Act {
    /// Something else comes between, such as somebody's write.
    Run(Hook),
    /// The connection is closed.
    Close,
    /// The client crashes: neither this request nor any other is answered or reaches the API, until
    /// [`Faults::restart`].
    Crash,
    /// The API answers with a failure.
    Answer {
        /// 409, 410, 429, 500, …
        code: u16,
        /// `Retry-After`.
        retry_after: Option<u32>,
    },
}

/// What happens to an event of a watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It is never told.
    Drop,
    /// It is told later, and so is all that comes after it.
    Delay(Duration),
    /// The watch ends before it.
    End,
    /// The connection breaks before it.
    Close,
    /// The watch ends with 410 instead of it.
    Expire,
}

/// Something to be done.
#[derive(Clone)]
pub struct Hook(pub Arc<dyn Fn() + Send + Sync>);

/// A write that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its number, from 1.
    pub number: u64,
    /// What was asked.
    pub asked: Asked,
}

/// The rules and what they have met. Clones share them; as a layer, it lets all its services share them.
#[derive(Clone)]
pub struct Faults(Arc<Inner>);

struct Inner {
    rules: Mutex<Vec<Arc<Active>>>,
    writes: Mutex<Vec<Seen>>,
    /// How often the client crashed, and whether it has not been started again.
    crashes: watch::Sender<(u64, bool)>,
}

/// A rule and what it has met.
struct Active {
    rule: Rule,
    requests: AtomicU64,
    events: AtomicU64,
    answers: Mutex<HashMap<String, (http::response::Parts, Bytes)>>,
}

impl Default for Faults {
    fn default() -> Self {
        let crashes = watch::Sender::new((0, false));
        Self(Arc::new(Inner { rules: Mutex::default(), writes: Mutex::default(), crashes }))
    }
}

impl Faults {
    /// Begins anew with these rules: no request has been met yet.
    pub fn set(&self, rules: impl IntoIterator<Item = Rule>) {
        let active = |rule| {
            let (requests, events) = (AtomicU64::new(0), AtomicU64::new(0));
            Arc::new(Active { rule, requests, events, answers: Mutex::default() })
        };
        *lock(&self.0.rules) = rules.into_iter().map(active).collect();
        lock(&self.0.writes).clear();
    }

    /// The writes that arrived: what changes stored objects, so neither dry runs nor reviews.
    #[must_use]
    pub fn writes(&self) -> Vec<Seen> {
        lock(&self.0.writes).clone()
    }

    /// Waits until the client has crashed. Whoever runs it then drops it.
    pub async fn crashed(&self) {
        let mut crashes = self.0.crashes.subscribe();
        crashes.wait_for(|(_, down)| *down).await.expect("the sender lives as long as this handle");
    }

    /// Lets requests pass again, of a client that was started anew.
    pub fn restart(&self) {
        self.0.crashes.send_modify(|(_, down)| *down = false);
    }

    /// Notes a request, and answers the rules that it falls under, with whether it is hit.
    fn meet(&self, asked: &Asked) -> Vec<(Arc<Active>, bool)> {
        let rules = lock(&self.0.rules);
        if asked.write {
            let mut writes = lock(&self.0.writes);
            let number = writes.len() as u64 + 1;
            writes.push(Seen { number, asked: asked.clone() });
        }
        let falls_under = rules.iter().filter(|active| active.rule.requests.contain(asked));
        falls_under.map(|active| (active.clone(), active.meets())).collect()
    }

    /// Does what a rule says; the outcome of the request if that is its end.
    async fn act(&self, act: &Act, asked: &Asked) -> Option<Result<Response<Body>, BoxError>> {
        match act {
            Act::Run(hook) => {
                hook.0();
                None
            }
            Act::Close => Some(Err(closed())),
            Act::Crash => {
                self.0.crashes.send_modify(|(count, down)| (*count, *down) = (*count + 1, true));
                std::future::pending().await
            }
            Act::Answer { code, retry_after } => Some(Ok(failure(*code, *retry_after, asked))),
        }
    }
}

impl Active {
    fn meets(&self) -> bool {
        self.rule.at.contains(&(self.requests.fetch_add(1, Ordering::Relaxed) + 1))
    }

    fn stale(&self, key: &str) -> Option<Response<Body>> {
        let (parts, body) = lock(&self.answers).get(key)?.clone();
        Some(Response::from_parts(parts, body.into()))
    }

    async fn remember(&self, key: String, response: Response<Body>) -> Result<Response<Body>, BoxError> {
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await?;
        lock(&self.answers).insert(key, (parts.clone(), body.clone()));
        Ok(Response::from_parts(parts, body.into()))
    }
}

impl<S> Layer<S> for Faults {
    type Service = Faulty<S>;

    fn layer(&self, inner: S) -> Faulty<S> {
        Faulty { faults: self.clone(), inner }
    }
}

/// An API with faults.
#[derive(Clone)]
pub struct Faulty<S> {
    faults: Faults,
    inner: S,
}

impl<S, B> Service<Request<B>> for Faulty<S>
where
    S: Service<Request<B>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: Send + 'static,
{
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that was asked whether it is ready is the one to call.
        let next = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, next);
        let faults = self.faults.clone();
        Box::pin(async move {
            let mut crashes = faults.0.crashes.subscribe();
            let (count, down) = *crashes.borrow_and_update();
            if down {
                return std::future::pending().await;
            }
            let outcome = faults.pass(inner, request).await;
            // What was on its way during a crash has nobody to come back to.
            if crashes.borrow().0 == count { outcome } else { std::future::pending().await }
        })
    }
}

impl Faults {
    async fn pass<S, B>(&self, mut inner: S, request: Request<B>) -> Result<Response<Body>, BoxError>
    where
        S: Service<Request<B>, Response = Response<Body>>,
        S::Error: Into<BoxError>,
    {
        let asked = Asked::of(&request);
        let met = self.meet(&asked);
        let hits = || met.iter().filter(|(_, hit)| *hit).map(|(active, _)| active);
        for active in hits() {
            let ended = match &active.rule.fault {
                Fault::Before(act) => self.act(act, &asked).await,
                Fault::Stale => active.stale(&asked.key).map(Ok),
                Fault::After(_) | Fault::Events(..) => None,
            };
            if let Some(outcome) = ended {
                return outcome;
            }
        }
        let mut response = inner.call(request).await.map_err(Into::into)?;
        for (active, hit) in &met {
            match &active.rule.fault {
                Fault::After(act) if *hit => {
                    if let Some(outcome) = self.act(act, &asked).await {
                        return outcome;
                    }
                }
                Fault::Stale if !hit && asked.verb != "watch" => {
                    response = active.remember(asked.key.clone(), response).await?;
                }
                Fault::Events(..) if *hit => response = events::disturb(response, active.clone()),
                _ => {}
            }
        }
        Ok(response)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn closed() -> BoxError {
    io::Error::new(io::ErrorKind::ConnectionReset, "connection closed on purpose").into()
}

fn failure(code: u16, retry_after: Option<u32>, asked: &Asked) -> Response<Body> {
    let reason = match code {
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "InternalError",
    };
    let message = format!("{reason} on purpose");
    let mut status = Status::about(code, reason, &asked.resource, &asked.name, message);
    if let (Some(seconds), Some(details)) = (retry_after, &mut status.details) {
        details["retryAfterSeconds"] = json!(seconds);
    }
    let mut response = Response::new(Body::from(status.to_json().to_string()));
    *response.status_mut() = http::StatusCode::from_u16(code).expect("rules name codes that HTTP has");
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(seconds) = retry_after {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

impl fmt::Debug for Hook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Hook")
    }
}
