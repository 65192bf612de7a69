//! The verbs over HTTP: paths, media types, lists in pages, watches.

mod about;
mod answer;
mod body;
mod empty;
mod form;
mod list;
mod media;
mod object;
mod path;
mod query;
mod select;
#[cfg(test)]
mod tests;
mod watch;
mod yaml;

use std::sync::Arc;

use axum::body::Body;
use http::HeaderMap;
use http::HeaderValue;
use http::Method;
use http::Request;
use http::Response;
use http::request::Parts;

use super::access::Access;
use super::access::Attributes;
use super::access::Peer;
use super::access::User;
use super::aggregation::Aggregation;
use super::kinds::Kind;
use super::objects::Objects;
use super::status::Status;
use answer::Answer;
use media::Accepted;
use path::Place;
use query::Query;

/// The API as it is served. Clones share everything.
#[derive(Clone)]
pub struct Api {
    /// What there is.
    pub objects: Objects,
    /// Who may do what.
    pub access: Access,
    /// Servers of other groups.
    pub aggregation: Aggregation,
}

/// One request about objects.
#[derive(Clone)]
struct Call {
    api: Api,
    kind: Arc<Kind>,
    place: Place,
    query: Query,
    headers: HeaderMap,
    user: User,
    accepted: Accepted,
}

impl Api {
    /// Answers a request.
    pub async fn serve(&self, peer: Peer, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let query = Query::parse(parts.uri.query());
        let audit = parts.headers.get("audit-id").cloned();
        let headers = parts.headers.clone();
        let head = parts.method == Method::HEAD;
        let answer = match self.answer(&peer, parts, &query, body).await {
            Ok(Served::Here(answer)) => answer.into_response(&query, &headers),
            Ok(Served::Elsewhere(response)) => response,
            Err(status) => Answer::from(status).into_response(&query, &headers),
        };
        let mut response = if head { answer.map(|_| Body::empty()) } else { answer };
        let audit = audit.or_else(|| HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()).ok());
        if let Some(audit) = audit {
            response.headers_mut().entry("audit-id").or_insert(audit);
        }
        response
    }

    async fn answer(&self, peer: &Peer, parts: Parts, query: &Query, body: Body) -> Result<Served, Status> {
        let path = parts.uri.path().to_owned();
        let place = Place::parse(&path);
        let verb = place.as_ref().and_then(|place| place.verb(&parts.method, query.flag("watch")));
        let attributes = match (&place, verb) {
            (Some(place), Some(verb)) => Attributes { name: named(place, query), ..place.attributes(verb) },
            _ => Attributes {
                verb: parts.method.as_str().to_lowercase(),
                path: path.clone(),
                ..Attributes::default()
            },
        };
        let user = self.access.authenticate_for(peer, &parts.headers, Some(&attributes))?;
        query.check_timeout()?;
        if !is_health(&path) {
            self.access.authorize(&user, &attributes)?;
        }
        if let Some(target) =
            group_version(&path).and_then(|(group, version)| self.aggregation.target(group, version))
        {
            let request = Request::from_parts(parts, body);
            return Ok(Served::Elsewhere(self.aggregation.forward(&target, &user, request).await));
        }
        let (Some(place), Some(verb)) = (place, verb) else {
            if !matches!(parts.method, Method::GET | Method::HEAD) {
                return Err(Status::method_not_allowed());
            }
            return match self.about(&path, query, &parts.headers)? {
                Some(answer) => Ok(Served::Here(answer)),
                None => self.unknown(&path),
            };
        };
        let kind = self.objects.kinds.find(&place.group, &place.version, &place.resource);
        let Some(kind) = kind.filter(|kind| fits(kind, &place)) else {
            return self.unknown(&path);
        };
        check_method(&kind, &place, verb)?;
        let sent = if parts.method == Method::GET || parts.method == Method::HEAD {
            bytes::Bytes::new()
        } else {
            body::collect(body).await?
        };
        let accepted = Accepted::negotiate(&parts.headers, verb == "watch")?;
        let call = Call {
            api: self.clone(),
            kind,
            place,
            query: query.clone(),
            headers: parts.headers,
            user,
            accepted,
        };
        let answer = call.act(verb, &parts.method, &sent);
        // What is answered must not be lost, nor what a refusal was decided by.
        self.objects.storage.settled().await.map_err(|error| {
            Status::new(500, "InternalError", format!("Internal error occurred: {error}"))
        })?;
        answer.map(Served::Here)
    }
}

impl Api {
    /// Answers a path that means nothing. In the groups that are built in that is told in another way.
    fn unknown(&self, path: &str) -> Result<Served, Status> {
        let group = match path.trim_start_matches('/').split('/').collect::<Vec<_>>()[..] {
            ["api", _, ..] => Some(""),
            ["apis", group, _, ..] => Some(group),
            _ => None,
        };
        let kinds = self.objects.kinds.all();
        let is_builtin = |group| kinds.iter().any(|kind| &*kind.gvk.group == group && kind.custom.is_none());
        if group.is_some_and(is_builtin) {
            Err(Status::unknown_path())
        } else {
            Ok(Served::Here(Answer::nothing_here()))
        }
    }
}

/// The name of the object that is meant. A list of one object by its name counts as a request for it.
fn named(place: &Place, query: &Query) -> String {
    if !place.name.is_empty() || !place.only.is_empty() {
        return format!("{}{}", place.name, place.only);
    }
    let mut fields = query.get("fieldSelector").split(',');
    let name = fields.find_map(|field| field.strip_prefix("metadata.name=")).unwrap_or_default();
    name.trim_start_matches('=').to_owned()
}

/// Refuses what a built-in kind does not do.
fn check_method(kind: &Kind, place: &Place, verb: &str) -> Result<(), Status> {
    let has = |verbs: &[Box<str>]| verbs.iter().any(|known| &**known == verb);
    if kind.custom.is_some() {
        return Ok(());
    }
    let everywhere = place.namespace.is_empty() && kind.scope == crate::manifest::Scope::Namespaced;
    let allowed = if place.subresource.is_empty() {
        let one = matches!(verb, "get" | "update" | "patch" | "delete");
        has(&kind.verbs) && one != place.name.is_empty() && (!everywhere || matches!(verb, "list" | "watch"))
    } else {
        let known = kind.subresources.iter().find(|known| *known.name == *place.subresource);
        has(&known.ok_or_else(Status::unknown_path)?.verbs)
    };
    if allowed { Ok(()) } else { Err(Status::method_not_allowed()) }
}

/// The group and version of a path that an aggregated server may answer.
fn group_version(path: &str) -> Option<(&str, &str)> {
    let path = path.strip_prefix("/openapi/v3").unwrap_or(path);
    let mut parts = path.strip_prefix("/apis/")?.split('/');
    Some((parts.next()?, parts.next().filter(|version| !version.is_empty())?))
}

/// Who answered.
enum Served {
    Here(Answer),
    Elsewhere(Response<Body>),
}

/// Whether a path names a namespace exactly if the kind has one; lists may go over all of them.
fn fits(kind: &Kind, place: &Place) -> bool {
    match kind.scope {
        crate::manifest::Scope::Cluster => place.namespace.is_empty(),
        crate::manifest::Scope::Namespaced => !place.namespace.is_empty() || place.name.is_empty(),
    }
}

fn is_health(path: &str) -> bool {
    ["/healthz", "/livez", "/readyz"].iter().any(|check| path.starts_with(check)) || path == "/version"
}
