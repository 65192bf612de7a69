//! Our own objects: Applications and Projects as clients see them (`gitops/v1`), kept as custom
//! resources of `storage.gitops` behind kube-apiserver; their events; the credentials beside them.
//!
//! Everything that leaves this room is in the served view. What an object means is not known here.

pub mod credentials;
pub mod events;
pub mod forward;
mod home;
pub mod request;
mod stored;
pub mod uid;
pub mod watch;
mod wire;
mod write;

use http::{Method, Request, StatusCode, header};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::Client;
use kube::client::Body;
use serde::de::DeserializeOwned;

use crate::api::names;

/// Where the stored objects are.
const STORAGE: &str = "/apis/storage.gitops/v1";
/// Name under which this room's own writes appear in `managedFields` and in events.
const MANAGER: &str = "gitopsd";

/// Reads the clock (`app::clock::now`).
pub type Clock = fn() -> jiff::Timestamp;

/// Access to everything that gitopsd keeps in Kubernetes, with gitopsd's own identity. Clones share
/// their connections and caches.
#[derive(Clone)]
pub struct Store {
    client: Client,
    namespace: String,
    clock: Clock,
    secrets: credentials::Secrets,
    recorder: events::Recorder,
}

/// Why something in this room failed. Nothing in it is secret.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such object (any more), or another one has taken its name.
    #[error("{} {name} does not exist", kind.served())]
    NotFound {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: String,
    },
    /// kube-apiserver answered with an error; told in served names.
    #[error("{}", .0.message.as_deref().unwrap_or("kube-apiserver refused without saying why"))]
    Refused(Box<Status>),
    /// A second operation was asked for.
    #[error("another operation is already in progress")]
    OperationInProgress {
        /// The application.
        application: String,
    },
    /// The application is going away.
    #[error("application {application} is being deleted")]
    Deleting {
        /// The application.
        application: String,
    },
    /// Others wrote the object each time between our reading and writing it.
    #[error("{} {name} changes too often to be written; try again", kind.served())]
    Contended {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: String,
    },
    /// The project's namespace is going away.
    #[error("namespace {0} is being deleted; the project gets a new one when it is gone")]
    NamespaceDeleting(String),
    /// The client takes none of the forms that can be made.
    #[error("only JSON can be answered")]
    NotAcceptable,
    /// The object that was given is not what the API server gave out.
    #[error("the object has no {0}")]
    Nameless(&'static str),
    /// The request has something that no URL or header can carry.
    #[error("the request cannot be passed on")]
    Request(#[from] http::Error),
    /// kube-apiserver cannot be reached.
    #[error("kube-apiserver cannot be reached")]
    Unreachable(#[source] kube::Error),
    /// kube-apiserver answered with something else than what was asked for.
    #[error("kube-apiserver answered with something unexpected")]
    Malformed(#[from] serde_json::Error),
    /// Secrets with credentials cannot be read.
    #[error("secrets with credentials cannot be read: allow gitopsd to list and watch secrets")]
    Secrets,
}

/// The kinds that are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `Application`, in a project's namespace.
    Application,
    /// `Project`, in no namespace.
    Project,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Application, Self::Project];

    /// Returns the kind's name.
    #[must_use]
    pub const fn served(self) -> &'static str {
        match self {
            Self::Application => names::APPLICATION,
            Self::Project => names::PROJECT,
        }
    }

    /// Returns the kind's name in paths.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Application => names::APPLICATIONS,
            Self::Project => names::PROJECTS,
        }
    }

    const fn stored(self) -> &'static str {
        match self {
            Self::Application => names::STORED_APPLICATION,
            Self::Project => names::STORED_PROJECT,
        }
    }

    const fn stored_plural(self) -> &'static str {
        match self {
            Self::Application => names::STORED_APPLICATIONS,
            Self::Project => names::STORED_PROJECTS,
        }
    }
}

impl Store {
    /// Wraps a client that acts as gitopsd. `namespace` is gitopsd's own.
    #[must_use]
    pub fn new(client: Client, namespace: &str, clock: Clock) -> Self {
        Self {
            secrets: credentials::Secrets::new(client.clone()),
            recorder: events::Recorder::new(client.clone(), clock),
            client,
            namespace: namespace.to_owned(),
            clock,
        }
    }

    /// Sends a request and reads the object that comes back, in the served view.
    async fn call<T: DeserializeOwned>(&self, request: Request<Body>) -> Result<T, Error> {
        let answer = self.client.send(request).await.map_err(Error::Unreachable)?;
        let code = answer.status();
        let body = answer.into_body().collect_bytes().await.map_err(Error::Unreachable)?;
        let mut text = String::with_capacity(body.len());
        let parsed = std::str::from_utf8(&body).map_err(serde::de::Error::custom);
        let read = parsed.and_then(|body| wire::document(body, &mut text));
        if !code.is_success() {
            return Err(Error::Refused(Box::new(refusal(code, read.ok().map(|()| text.as_str())))));
        }
        read?;
        Ok(serde_json::from_str(&text)?)
    }
}

/// Reads the Status of a failed request; makes one where the answer was something else.
fn refusal(code: StatusCode, text: Option<&str>) -> Status {
    let status = text.and_then(|text| serde_json::from_str(text).ok());
    status.unwrap_or_else(|| Status {
        code: Some(code.as_u16().into()),
        message: Some(format!("kube-apiserver answered {code}")),
        status: Some("Failure".into()),
        ..Status::default()
    })
}

/// Returns a request without a body.
fn get(path: &str) -> Result<Request<Body>, Error> {
    Ok(Request::get(path).header(header::ACCEPT, "application/json").body(Body::empty())?)
}

/// Returns a request that sends `value`.
fn send<T: serde::Serialize>(
    method: Method,
    path: &str,
    content_type: &str,
    value: &T,
) -> Result<Request<Body>, Error> {
    Ok(Request::builder()
        .method(method)
        .uri(path)
        .header(header::ACCEPT, "application/json")
        .header(header::CONTENT_TYPE, content_type)
        .body(Body::from(serde_json::to_vec(value)?))?)
}
