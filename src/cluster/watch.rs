//! Follows a collection of objects. It differs from kube's watcher in two ways: objects stay bytes,
//! and an API server that refuses to stream the initial list (etcd too old, feature off) gets a
//! list and a watch instead, where kube's would ask for the stream for ever.

pub(crate) mod event;

use std::time::Duration;

use http_body_util::BodyExt;
use kube::client::{Body, Client};
use serde::Deserialize;

use self::event::{Event, Lines};
use super::request::{Refusal, exchange, get, query, refusal};
use crate::engine::live::Live;
use crate::manifest::Gvk;

/// The API server ends a watch after this long, plus a part that differs by kind so that not all
/// end at once. Renewing one costs one request.
const LIFETIME: Duration = Duration::from_mins(8);
const LIFETIME_SPREAD: u64 = 240;
/// A server that leaves `sendInitialEvents` unheeded sends objects but never says that they are all.
const INITIAL_SILENCE: Duration = Duration::from_secs(20);
/// A watch that stays silent for so long after its end is dead.
const GRACE: Duration = Duration::from_secs(10);
/// How many objects a page of a list holds.
const PAGE: &str = "500";

/// What is followed.
pub(crate) struct Source {
    pub(crate) client: Client,
    /// Kind of the objects: the items of a list do not carry it.
    pub(crate) gvk: Gvk,
    /// Path of the collection.
    pub(crate) collection: String,
    /// Only objects with these labels.
    pub(crate) selector: Option<&'static str>,
    pub(crate) form: Form,
}

/// How much of each object is sent.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    /// All of it.
    Whole,
    /// `apiVersion`, `kind` and `metadata`.
    Metadata,
}

impl Form {
    fn accept(self) -> &'static str {
        match self {
            Self::Whole => "application/json",
            Self::Metadata => "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
        }
    }

    fn accept_list(self) -> &'static str {
        match self {
            Self::Whole => "application/json",
            Self::Metadata => "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
        }
    }
}

/// Takes what is seen. No method may block.
pub(crate) trait Sink {
    /// These are all objects as of `version`.
    fn reset(&self, objects: Vec<Live>, version: &str);
    /// An object was made or changed.
    fn apply(&self, live: Live);
    /// An object was deleted, or no longer has the labels; `live` is its last state.
    fn delete(&self, live: Live);
    /// Everything up to `version` has been seen.
    fn progress(&self, version: &str);
    /// Following is interrupted; it will be tried again.
    fn trouble(&self, refusal: &Refusal);
}

/// How the initial list is asked for.
#[derive(Clone, Copy, PartialEq)]
enum Opening {
    Stream,
    List,
}

/// Follows `source` until the API server says that there is no such collection.
pub(crate) async fn follow<S: Sink>(source: &Source, sink: &S) {
    let mut follower = Follower { source, sink, opening: Opening::Stream, version: None, seen: false };
    let mut backoff = Backoff::new(&source.collection);
    loop {
        let result = follower.pass().await;
        let seen = std::mem::take(&mut follower.seen);
        if seen {
            backoff.reset();
        }
        match result {
            Ok(()) if seen => continue,
            Ok(()) => {}
            Err(refusal) if refusal.code() == 404 => return,
            Err(refusal) if follower.falls_back(&refusal) => continue,
            Err(refusal) if refusal.code() == 410 => follower.version = None,
            Err(refusal) => sink.trouble(&refusal),
        }
        tokio::time::sleep(backoff.next()).await;
    }
}

struct Follower<'a, S> {
    source: &'a Source,
    sink: &'a S,
    opening: Opening,
    /// Up to where all is seen; `None` before the initial list and after it expired.
    version: Option<String>,
    /// Whether the last pass brought anything.
    seen: bool,
}

impl<S: Sink> Follower<'_, S> {
    /// One watch request, with the list before it where one is needed.
    async fn pass(&mut self) -> Result<(), Refusal> {
        if self.version.is_none() && self.opening == Opening::List {
            let (objects, version) = list(self.source).await?;
            self.sink.reset(objects, &version);
            self.advance(version);
        }
        let mut initial = self.version.is_none().then(Vec::new);
        let mut stream = open(self.source, self.version.as_deref()).await?;
        if let Some(version) = &self.version {
            self.sink.progress(version);
        }
        loop {
            let silence = if initial.is_some() { INITIAL_SILENCE } else { lifetime(self.source) + GRACE };
            let Ok(next) = tokio::time::timeout(silence, stream.next()).await else {
                return if initial.is_some() { Err(Refusal::unheeded()) } else { Ok(()) };
            };
            match next? {
                Some(event) => self.take(event, &mut initial)?,
                None => return Ok(()),
            }
        }
    }

    fn take(&mut self, event: Event, initial: &mut Option<Vec<Live>>) -> Result<(), Refusal> {
        match (event, initial.as_mut()) {
            (Event::Applied(live), Some(objects)) => objects.push(live),
            (Event::Applied(live), None) => {
                self.advance(live.resource_version.clone());
                self.sink.apply(live);
            }
            (Event::Deleted(live), None) => {
                self.advance(live.resource_version.clone());
                self.sink.delete(live);
            }
            // A deletion within the initial list does not occur; the object then is simply not in it.
            (Event::Deleted(live), Some(objects)) => objects.retain(|object| object.key != live.key),
            (Event::Bookmark { version, ends_initial: true }, Some(objects)) => {
                self.sink.reset(std::mem::take(objects), &version);
                self.advance(version);
                *initial = None;
            }
            (Event::Bookmark { .. }, Some(_)) => {}
            (Event::Bookmark { version, .. }, None) => {
                self.sink.progress(&version);
                self.advance(version);
            }
            (Event::Failed(status), _) => return Err(Refusal::Status(status)),
        }
        Ok(())
    }

    fn advance(&mut self, version: String) {
        self.version = Some(version);
        self.seen = true;
    }

    /// Goes over to plain lists where the API server does not stream the initial one; says whether it did.
    fn falls_back(&mut self, refusal: &Refusal) -> bool {
        let refused = self.version.is_none() && matches!(refusal.code(), 400 | 405 | 422 | 500);
        refused && std::mem::replace(&mut self.opening, Opening::List) == Opening::Stream
    }
}

impl Refusal {
    /// Stands for an API server that sends no end of the initial list; leads to a plain list.
    fn unheeded() -> Self {
        refusal(http::StatusCode::BAD_REQUEST, b"the end of the initial list did not arrive")
    }
}

/// A running watch.
struct Stream {
    body: Body,
    lines: Lines,
}

impl Stream {
    /// Returns the next event; `None` when the API server ended the watch.
    async fn next(&mut self) -> Result<Option<Event>, Refusal> {
        loop {
            if let Some(line) = self.lines.next() {
                return Event::read(&line).map(Some).map_err(|_| Refusal::garbled());
            }
            match self.body.frame().await.transpose()? {
                None => return Ok(None),
                Some(frame) => {
                    if let Ok(data) = frame.into_data() {
                        self.lines.push(&data);
                    }
                }
            }
        }
    }
}

/// Opens a watch from `version`, or one that begins with all objects.
async fn open(source: &Source, version: Option<&str>) -> Result<Stream, Refusal> {
    let seconds = lifetime(source).as_secs().to_string();
    let mut parameters =
        vec![("watch", "true"), ("allowWatchBookmarks", "true"), ("timeoutSeconds", &seconds)];
    parameters.extend(source.selector.map(|selector| ("labelSelector", selector)));
    match version {
        Some(version) => parameters.push(("resourceVersion", version)),
        None => parameters.extend([("sendInitialEvents", "true"), ("resourceVersionMatch", "NotOlderThan")]),
    }
    let mut request = get(&format!("{}?{}", source.collection, query(&parameters)), source.form.accept());
    // Kubernetes 1.37 packs each event on its own, of which decoders read only the first.
    let identity = http::HeaderValue::from_static("identity");
    request.headers_mut().insert(http::header::ACCEPT_ENCODING, identity);
    let response = tokio::time::timeout(INITIAL_SILENCE, source.client.send(request))
        .await
        .map_err(|_| Refusal::Unreachable("the watch was not answered".into()))??;
    let code = response.status();
    if code.is_success() {
        return Ok(Stream { body: response.into_body(), lines: Lines::default() });
    }
    let body = response.into_body().collect().await?.to_bytes();
    Err(refusal(code, &body))
}

fn lifetime(source: &Source) -> Duration {
    LIFETIME + Duration::from_secs(spread(&source.collection) % LIFETIME_SPREAD)
}

/// Returns a number that differs by text: FNV-1a.
fn spread(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

#[derive(Deserialize)]
struct Page {
    metadata: PageMetadata,
    items: Option<Vec<serde_json::Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageMetadata {
    resource_version: String,
    #[serde(default)]
    r#continue: String,
}

/// Lists all objects, page by page; all pages show the same version.
async fn list(source: &Source) -> Result<(Vec<Live>, String), Refusal> {
    let mut objects = Vec::new();
    let mut from = String::new();
    loop {
        let mut parameters = vec![("limit", PAGE)];
        parameters.extend(source.selector.map(|selector| ("labelSelector", selector)));
        if !from.is_empty() {
            parameters.push(("continue", &from));
        }
        let path = format!("{}?{}", source.collection, query(&parameters));
        let answer = exchange(&source.client, get(&path, source.form.accept_list())).await?;
        let page: Page = serde_json::from_slice(&answer.body).map_err(|_| Refusal::garbled())?;
        for item in page.items.unwrap_or_default() {
            objects.push(Live::of_kind(&source.gvk, item).map_err(|_| Refusal::garbled())?);
        }
        from = page.metadata.r#continue;
        if from.is_empty() {
            return Ok((objects, page.metadata.resource_version));
        }
    }
}

/// Waits that double from one failure to the next.
struct Backoff {
    seed: u64,
    failures: u32,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(500);
    const LONGEST: Duration = Duration::from_secs(30);

    fn new(seed: &str) -> Self {
        Self { seed: spread(seed), failures: 0 }
    }

    fn reset(&mut self) {
        self.failures = 0;
    }

    /// Returns how long to wait now, a quarter more or less so that kinds do not act in step.
    fn next(&mut self) -> Duration {
        let wait = Self::FIRST.saturating_mul(1 << self.failures.min(6)).min(Self::LONGEST);
        self.failures = self.failures.saturating_add(1);
        self.seed = self.seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        let percent = 75 + u32::try_from((self.seed >> 33) % 50).expect("below 50");
        wait * percent / 100
    }
}

#[cfg(test)]
mod tests;
