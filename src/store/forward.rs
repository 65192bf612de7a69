//! Passing a client's request on to the stored objects and the answer back, both translated. What
//! kube-apiserver does with a custom resource (validation, conflicts, server-side apply, paging, watch
//! caches, tables) thereby holds for ours.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
    USER_AGENT, WARNING,
};
use http::{Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};

use super::wire::{self, collection::Collection, lines::Lines, patch};
use super::{Error, Kind, STORAGE, Store};

/// What is passed back: a list or watch arrives in pieces.
pub type Answer = Response<UnsyncBoxBody<Bytes, Error>>;

const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");
const JSON_PATCH: &str = "application/json-patch+json";

/// Headers of the client that kube-apiserver sees. The user agent gives the default field manager.
const REQUEST_HEADERS: [HeaderName; 3] = [CONTENT_TYPE, USER_AGENT, AUDIT_ID];
/// Headers of kube-apiserver that the client sees.
const ANSWER_HEADERS: [HeaderName; 4] = [CONTENT_TYPE, CACHE_CONTROL, RETRY_AFTER, WARNING];

/// A request of a client, in the served view, after everything that may refuse it.
#[derive(Debug, Clone)]
pub struct Call {
    /// `GET` for reads.
    pub method: Method,
    /// The object or collection.
    pub place: Place,
    /// What comes back if it succeeds.
    pub shape: Shape,
    /// Query, still encoded.
    pub query: Option<String>,
    /// Headers; identity headers need not be taken out, only a few known ones are passed on.
    pub headers: HeaderMap,
    /// Body in JSON; empty for reads.
    pub body: Bytes,
}

/// Where an object or a collection is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Kind.
    pub kind: Kind,
    /// Namespace; none for projects and for the applications of all namespaces.
    pub namespace: Option<String>,
    /// Name; none for collections.
    pub name: Option<String>,
    /// The whole object or its status.
    pub part: Part,
}

/// A part of an object that has a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The object.
    Whole,
    /// `/status`.
    Status,
}

/// The shape of an answer, which decides how it can be translated while it arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One document.
    Document,
    /// A list or a Table.
    List,
    /// A watch.
    Watch,
}

impl Place {
    /// Returns an application's place.
    #[must_use]
    pub fn application(namespace: &str, name: &str) -> Self {
        let (namespace, name) = (Some(namespace.to_owned()), Some(name.to_owned()));
        Self { kind: Kind::Application, namespace, name, part: Part::Whole }
    }

    /// Returns a project's place.
    #[must_use]
    pub fn project(name: &str) -> Self {
        Self { kind: Kind::Project, namespace: None, name: Some(name.to_owned()), part: Part::Whole }
    }

    /// Returns the place of the object's status.
    #[must_use]
    pub fn status(self) -> Self {
        Self { part: Part::Status, ..self }
    }

    pub(super) fn path(&self) -> String {
        let Self { kind, namespace, name, part } = self;
        let mut path = STORAGE.to_owned();
        if let Some(namespace) = namespace {
            path = path + "/namespaces/" + namespace;
        }
        path = path + "/" + kind.stored_plural();
        if let Some(name) = name {
            path = path + "/" + name;
        }
        match part {
            Part::Whole => path,
            Part::Status => path + "/status",
        }
    }
}

impl Store {
    /// Passes `call` on and returns the answer, whatever its code. A watch ends at kube-apiserver when
    /// the answer is dropped.
    pub async fn forward(&self, call: Call) -> Result<Answer, Error> {
        let shape = call.shape;
        let answer = self.client.send(outgoing(call)?).await.map_err(Error::Unreachable)?;
        let (parts, body) = answer.into_parts();
        let shape = if parts.status == StatusCode::OK { shape } else { Shape::Document };
        let body = match shape {
            Shape::Document => document(body.collect_bytes().await.map_err(Error::Unreachable)?),
            Shape::List => pieces(body, Translation::List(Collection::default())),
            Shape::Watch => pieces(body, Translation::Watch(Lines::default())),
        };
        let mut answer = Response::builder().status(parts.status).body(body)?;
        copy(&ANSWER_HEADERS, &parts.headers, answer.headers_mut());
        Ok(answer)
    }
}

fn outgoing(call: Call) -> Result<Request<kube::client::Body>, Error> {
    let Call { method, place, shape: _, query, headers, body } = call;
    let accept = accepted(&headers).ok_or(Error::NotAcceptable)?;
    let body = stored_body(&method, &headers, body);
    let mut request = Request::builder()
        .uri(format!("{}?{}", place.path(), query_of(query.as_deref().unwrap_or_default())))
        .method(method)
        .header(ACCEPT, accept)
        // Compressing costs kube-apiserver more than the bytes cost the network between the two, and
        // a compressed watch could be held back.
        .header(ACCEPT_ENCODING, "identity")
        .body(kube::client::Body::from(body))?;
    copy(&REQUEST_HEADERS, &headers, request.headers_mut());
    Ok(request)
}

/// Translates a body. What cannot be read passes as it is: kube-apiserver says best what is wrong.
fn stored_body(method: &Method, headers: &HeaderMap, body: Bytes) -> Bytes {
    let Ok(text) = std::str::from_utf8(&body) else { return body };
    let mut stored = String::with_capacity(text.len() + 64);
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let translated = match *method {
        Method::DELETE => wire::delete_options(text, &mut stored),
        Method::PATCH if content_type.starts_with(JSON_PATCH) => patch::json_patch(text, &mut stored),
        _ => wire::object(text, &mut stored),
    };
    if translated.is_ok() { stored.into() } else { body }
}

/// Returns the clauses that ask for JSON in one form or another; without any wish it is plain JSON.
/// Clients that prefer protobuf name JSON second.
fn accepted(headers: &HeaderMap) -> Option<String> {
    let wishes: Vec<&str> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    let json: Vec<&str> = wishes
        .iter()
        .filter_map(|clause| match clause.split(';').next().unwrap_or_default().trim() {
            "application/json" => Some(clause.trim()),
            "*/*" | "application/*" => Some("application/json"),
            _ => None,
        })
        .collect();
    if wishes.is_empty() {
        return Some("application/json".into());
    }
    (!json.is_empty()).then(|| json.join(","))
}

/// Takes out what kube-apiserver would get wrong: shards are computed from stored UIDs, and indented
/// text would be indented in parts only.
fn query_of(query: &str) -> String {
    let mut kept = form_urlencoded::Serializer::new(String::new());
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        if key != "shardSelector" && key != "pretty" {
            kept.append_pair(&key, &value);
        }
    }
    kept.append_pair("pretty", "false").finish()
}

fn copy(names: &[HeaderName], from: &HeaderMap<HeaderValue>, to: &mut HeaderMap<HeaderValue>) {
    for name in names {
        for value in from.get_all(name) {
            to.append(name, value.clone());
        }
    }
}

fn document(body: Bytes) -> UnsyncBoxBody<Bytes, Error> {
    let mut served = String::with_capacity(body.len());
    let translated = std::str::from_utf8(&body).is_ok_and(|text| wire::document(text, &mut served).is_ok());
    // Texts such as "service unavailable" are no JSON and name nothing of ours.
    let body = if translated { served.into() } else { body };
    Full::new(body).map_err(|never| match never {}).boxed_unsync()
}

/// How an answer is translated while it arrives.
enum Translation {
    List(Collection),
    Watch(Lines),
}

impl Translation {
    fn push(&mut self, chunk: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(match self {
            Self::List(list) => list.push(chunk)?,
            Self::Watch(lines) => lines.push(chunk)?,
        })
    }

    fn finish(&mut self) -> Result<Vec<u8>, Error> {
        Ok(match self {
            Self::List(list) => list.finish().map(|()| Vec::new())?,
            Self::Watch(lines) => lines.finish()?,
        })
    }
}

/// Translates each chunk when it arrives: events that arrive together leave together, and none waits
/// for another.
fn pieces(body: kube::client::Body, mut translation: Translation) -> UnsyncBoxBody<Bytes, Error> {
    let chunks = body.into_data_stream().map(Some).chain(stream::iter([None]));
    let served = chunks
        .map(move |chunk| match chunk {
            Some(chunk) => translation.push(&chunk.map_err(Error::Unreachable)?),
            None => translation.finish(),
        })
        .try_filter(|piece| std::future::ready(!piece.is_empty()))
        .map_ok(|piece| Frame::data(Bytes::from(piece)));
    StreamBody::new(served).boxed_unsync()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_is_asked_for() {
        let check = |accept: &[&str], expected: Option<&str>| {
            let mut headers = HeaderMap::new();
            for value in accept {
                headers.append(ACCEPT, value.parse().unwrap());
            }
            assert_eq!(accepted(&headers).as_deref(), expected, "{accept:?}");
        };
        check(&[], Some("application/json"));
        check(&["*/*"], Some("application/json"));
        check(&["application/yaml, application/cbor"], None);
        check(&["application/yaml", "application/json"], Some("application/json"));
        check(
            &[
                "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json",
            ],
            Some("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"),
        );
    }

    #[test]
    fn queries_lose_what_would_be_computed_wrongly() {
        let check = |query: &str, expected: &str| assert_eq!(query_of(query), expected);
        check("", "pretty=false");
        check("limit=500&pretty=true&labelSelector=a%3Db", "limit=500&labelSelector=a%3Db&pretty=false");
        check("shardSelector=x&%73hardSelector=y&watch", "watch=&pretty=false");
    }

    #[test]
    fn places_have_stored_paths() {
        let check = |place: Place, expected: &str| assert_eq!(place.path(), expected);
        let tide = Place::application("harbour", "tide");
        check(tide.clone(), "/apis/storage.gitops/v1/namespaces/harbour/storedapplications/tide");
        check(
            tide.clone().status(),
            "/apis/storage.gitops/v1/namespaces/harbour/storedapplications/tide/status",
        );
        check(Place { name: None, namespace: None, ..tide }, "/apis/storage.gitops/v1/storedapplications");
        check(Place::project("harbour"), "/apis/storage.gitops/v1/storedprojects/harbour");
    }
}
