//! The verbs of `applications` and `projects`: what we ask of an object before it is stored, and the
//! way to the store and back. Everything else about it is kube-apiserver's, behind the store.

mod admission;
mod body;
mod claims;
mod edit;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode, request};

use super::authentication::User;
use super::authorization::Authorizer;
use super::failure::Failure;
use super::request::{PathFamily, RequestInfo, Resource, Subresource, Verb};
use super::subresources;
use crate::store::forward::{Call, Part, Place, Shape};
use crate::store::{self, Kind, Store};

pub(super) use body::read_json;

/// What answering a request for one of our resources needs. Clones share everything.
#[derive(Clone)]
pub struct Rest {
    pub(super) store: Store,
    pub(super) authorizer: Authorizer,
}

impl Rest {
    /// Joins what it needs.
    #[must_use]
    pub fn new(store: Store, authorizer: Authorizer) -> Self {
        Self { store, authorizer }
    }
}

/// Makes the router that answers every request for `applications` and `projects`, their subresources
/// included. The request must be authorized and carry [`RequestInfo`] and [`User`] as extensions; its
/// body must be limited in size.
pub fn router(rest: Rest) -> Router {
    Router::new().fallback(answer).with_state(rest)
}

async fn answer(
    State(rest): State<Rest>,
    Extension(info): Extension<RequestInfo>,
    Extension(user): Extension<User>,
    request: Request,
) -> Result<Response, Failure> {
    match info.subresource {
        Some(Subresource::Events) => subresources::events::answer(&rest, &info, request.uri()).await,
        Some(Subresource::Refresh) => subresources::refresh::answer(&rest, &info, request).await,
        Some(Subresource::Sync) => subresources::sync::answer(&rest, &info, &user, request).await,
        Some(Subresource::Status) | None => rest.pass(&info, &user, request).await,
    }
}

impl Rest {
    /// Passes a request on to the stored objects, once it may and once its body says what it should.
    async fn pass(&self, info: &RequestInfo, user: &User, request: Request) -> Result<Response, Failure> {
        let (mut parts, body) = request.into_parts();
        let body = match info.verb {
            Verb::Get | Verb::List | Verb::Watch => bytes::Bytes::new(),
            Verb::Create | Verb::Update | Verb::Patch => {
                let written = body::written(&mut parts.headers, info.verb, body).await?;
                self.admit(info, user, written).await?
            }
            Verb::Delete | Verb::DeleteCollection => {
                body::deletion(&mut parts.headers, parts.uri.query().unwrap_or_default(), body).await?
            }
        };
        let again = parts.clone();
        let mut answer = self.store.forward(call(info, parts, body.clone())).await?;
        if answer.status() == StatusCode::NOT_FOUND && self.makes_home(info).await {
            answer = self.store.forward(call(info, again, body)).await?;
        }
        Ok(in_family(info, answer.map(Body::new)))
    }

    /// Makes the namespace of a project that was created a moment ago, so that one `kubectl apply` can
    /// bring the project and its first application. Says whether trying again makes sense.
    async fn makes_home(&self, info: &RequestInfo) -> bool {
        let creates =
            matches!(info.verb, Verb::Create | Verb::Patch) && info.resource == Resource::Applications;
        let Some(namespace) = info.namespace.as_deref().filter(|_| creates) else { return false };
        match self.store.project(namespace).await {
            Ok(project) if project.metadata.deletion_timestamp.is_none() => {
                self.store.ensure_project_home(&project).await.is_ok()
            }
            _ => false,
        }
    }
}

fn call(info: &RequestInfo, parts: request::Parts, body: bytes::Bytes) -> Call {
    let method = if parts.method == Method::HEAD { Method::GET } else { parts.method };
    let shape = match info.verb {
        Verb::List => Shape::List,
        Verb::Watch => Shape::Watch,
        _ => Shape::Document,
    };
    let query = parts.uri.query().map(Into::into);
    Call { method, place: place(info), shape, query, headers: parts.headers, body }
}

fn place(info: &RequestInfo) -> Place {
    let kind = match info.resource {
        Resource::Applications => Kind::Application,
        Resource::Projects => Kind::Project,
    };
    let part = if info.subresource == Some(Subresource::Status) { Part::Status } else { Part::Whole };
    Place { kind, namespace: info.namespace.clone(), name: info.name.clone(), part }
}

/// The reference's paths answer a deletion with 204 and nothing.
fn in_family(info: &RequestInfo, answer: Response) -> Response {
    let deleted = info.verb == Verb::Delete && answer.status().is_success();
    match info.family {
        PathFamily::Project if deleted => StatusCode::NO_CONTENT.into_response(),
        PathFamily::Project | PathFamily::Canonical => answer,
    }
}

fn resource(kind: Kind) -> Resource {
    match kind {
        Kind::Application => Resource::Applications,
        Kind::Project => Resource::Projects,
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        use store::Error as E;
        match error {
            E::Refused(status) => Self::from_status(*status),
            E::NotFound { kind, name } => Self::not_found(resource(kind), &name),
            E::Contended { kind, name } => Self::modified(resource(kind), &name),
            E::OperationInProgress { ref application } | E::Deleting { ref application } => {
                Self::conflict(Resource::Applications, application, &error)
            }
            E::NotAcceptable => {
                Self::not_acceptable_because("only the following media types are accepted: application/json")
            }
            E::Request(_) => Self::bad_request(error.to_string()),
            E::Unreachable(_) | E::Secrets => {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot reach what is stored");
                Self::unavailable(error.to_string()).with_retry_after(1)
            }
            E::NamespaceDeleting(_) | E::Nameless(_) | E::Malformed(_) => Self::internal(error),
        }
    }
}

#[cfg(test)]
mod tests;
