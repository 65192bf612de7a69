//! A Kubernetes API in this process, for trying gitopsd out and for tests. It is reached through the same
//! client as any other cluster; no other room knows it.

pub mod access;
pub mod aggregation;
pub mod apply;
pub mod controllers;
pub mod custom;
pub mod discovery;
pub mod kinds;
pub mod objects;
pub mod patch;
pub mod rest;
pub mod schema;
pub mod status;
pub mod storage;
pub mod table;
pub mod tls;
pub mod validate;

use std::convert::Infallible;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use axum::body::Body;
use bytes::Bytes;
use http::Request;
use http::Response;
use serde_json::Value;
use serde_json::json;

use access::Access;
use access::Peer;
use access::User;
use kinds::Kinds;
use objects::Clock;
use objects::Objects;
use objects::Options;
use rest::Api;
use storage::Storage;

/// What a cluster is made from.
pub struct Settings {
    /// Where objects are kept across restarts; in memory, if it is not given.
    pub data_dir: Option<PathBuf>,
    /// The time.
    pub clock: Clock,
}

/// Why a cluster cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data directory cannot be used.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// What every cluster has cannot be made.
    #[error("cannot create what every cluster has: {message}")]
    Bootstrap {
        /// What the API said.
        message: String,
    },
}

/// A cluster without machines. Clones are the same cluster.
#[derive(Clone)]
pub struct Cluster {
    api: Api,
}

impl Cluster {
    /// Opens the objects and makes what every cluster has.
    pub fn start(settings: Settings) -> Result<Self, Error> {
        let storage = match &settings.data_dir {
            Some(dir) => Storage::open(dir)?,
            None => Storage::in_memory(),
        };
        let objects = Objects { storage, kinds: Kinds::builtin(), clock: settings.clock };
        objects.define_stored();
        bootstrap(&objects)?;
        let access = Access::of(objects.clone());
        Ok(Self { api: Api { objects, access } })
    }

    /// The objects, for tests and for what runs beside the API.
    #[must_use]
    pub fn objects(&self) -> &Objects {
        &self.api.objects
    }

    /// The API for clients in this process. Who shows no token is `system:masters`.
    #[must_use]
    pub fn service(&self) -> Service {
        Service { api: self.api.clone(), peer: Peer { user: Some(User::admin()) } }
    }
}

/// The API as a service.
#[derive(Clone)]
pub struct Service {
    api: Api,
    peer: Peer,
}

impl<B> tower::Service<Request<B>> for Service
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Self { api, peer } = self.clone();
        let request = request.map(Body::new);
        Box::pin(async move { Ok(api.serve(peer, request).await) })
    }
}

/// Makes what every cluster has from its start, where it is missing.
fn bootstrap(objects: &Objects) -> Result<(), Error> {
    let failed = |status: status::Status| Error::Bootstrap { message: status.message };
    let options = Options { manager: "kube-apiserver".into(), ..Options::default() };
    let create = |group: &str, kind: &str, namespace: &str, object: Value| {
        let kind = objects.kinds.of(group, "", kind).expect("the kind is built in");
        match objects.create(&kind, namespace, object, &options) {
            Err(status) if status.reason != "AlreadyExists" => Err(failed(status)),
            _ => Ok(()),
        }
    };
    for name in ["default", "kube-node-lease", "kube-public", "kube-system"] {
        create(
            "",
            "Namespace",
            "",
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}),
        )?;
    }
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": "kubernetes", "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {"ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}]},
    });
    create("", "Service", "default", service)?;
    access::bootstrap(objects, &kinds::data().roles).map_err(failed)
}
