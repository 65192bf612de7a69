//! A Kubernetes API in this process, for trying gitopsd out and for tests. It is reached through the same
//! client as any other cluster; no other room knows it.

pub mod access;
pub mod aggregation;
pub mod apply;
pub mod controllers;
pub mod custom;
pub mod discovery;
pub mod faults;
pub mod kinds;
pub mod objects;
pub mod patch;
pub mod protobuf;
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
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;

use axum::body::Body;
use bytes::Bytes;
use futures::FutureExt as _;
use http::Request;
use http::Response;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use access::Access;
use access::Peer;
use access::User;
use aggregation::Aggregation;
use aggregation::Upstream;
use kinds::Kinds;
use objects::Clock;
use objects::Objects;
use objects::Options;
use rest::Api;
use status::Status;
use storage::Storage;
use tls::Door;
use tls::Pki;

/// What a cluster is made from.
pub struct Settings {
    /// Where objects and keys are kept across restarts; in memory, if it is not given.
    pub data_dir: Option<PathBuf>,
    /// The time.
    pub clock: Clock,
    /// How the simulated workloads behave.
    pub controllers: controllers::Settings,
}

/// Why a cluster cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data directory cannot be used.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// The keys of the cluster cannot be made or read.
    #[error(transparent)]
    Keys(#[from] tls::Error),
    /// The key that signs tokens cannot be used.
    #[error("cannot sign tokens with the key of the cluster")]
    Tokens,
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
    pki: Arc<Pki>,
    controllers: controllers::Settings,
}

impl Cluster {
    /// Opens the objects and makes what every cluster has. Nothing runs before [`Cluster::run`].
    pub fn start(settings: Settings) -> Result<Self, Error> {
        let Settings { data_dir, clock, mut controllers } = settings;
        let (storage, pki) = match &data_dir {
            Some(dir) => (Storage::open(dir)?, Pki::open(dir)?),
            None => (Storage::in_memory(), Pki::make()?),
        };
        let objects = Objects::new(storage, Kinds::builtin(), clock);
        objects.define_stored();
        let api = Self::join(objects, &pki)?;
        let made = bootstrap(&api.objects, &api.aggregation, &pki);
        made.map_err(|status| Error::Bootstrap { message: status.message })?;
        pki.ca().clone_into(&mut controllers.ca);
        Ok(Self { controllers: Self::reaching(controllers, &api), api, pki: Arc::new(pki) })
    }

    /// Another cluster, in memory, that begins with the objects of this one.
    pub fn copy(&self, clock: Clock) -> Result<Self, Error> {
        let Objects { storage, kinds, .. } = &self.api.objects;
        let api = Self::join(Objects::new(storage.copy(), kinds.copy(), clock), &self.pki)?;
        let controllers = controllers::Settings { aggregated: None, ..self.controllers.clone() };
        Ok(Self { controllers: Self::reaching(controllers, &api), api, pki: Arc::clone(&self.pki) })
    }

    fn join(objects: Objects, pki: &Pki) -> Result<Api, Error> {
        let access = Access::with_key(objects.clone(), pki.token_key()).map_err(|_| Error::Tokens)?;
        let aggregation = Aggregation::showing(objects.clone(), pki.front_proxy());
        Ok(Api { objects, access, aggregation })
    }

    /// Lets the controllers reach what aggregated APIs hold.
    fn reaching(mut controllers: controllers::Settings, api: &Api) -> controllers::Settings {
        let elsewhere = api.clone();
        controllers.aggregated.get_or_insert_with(|| {
            Arc::new(move |namespace| {
                let api = elsewhere.clone();
                async move { api.empty(&namespace).await }.boxed()
            })
        });
        controllers
    }

    /// The objects, for what looks at them without HTTP.
    #[must_use]
    pub fn objects(&self) -> &Objects {
        &self.api.objects
    }

    /// The keys and certificates.
    #[must_use]
    pub fn pki(&self) -> &Pki {
        &self.pki
    }

    /// The API for clients in this process. Who shows no token is `system:masters`.
    #[must_use]
    pub fn service(&self) -> Service {
        Service { api: self.api.clone(), peer: Peer { user: Some(User::admin()) } }
    }

    /// The API for clients in this process that act as a `ServiceAccount`.
    #[must_use]
    pub fn service_as(&self, namespace: &str, account: &str) -> Service {
        Service { api: self.api.clone(), peer: Peer { user: Some(User::account(namespace, account)) } }
    }

    /// Says where the server of a group is, instead of where its `APIService` says.
    pub fn upstream(&self, group: &str, version: &str, upstream: Upstream) {
        self.api.aggregation.upstream(group, version, upstream);
    }

    /// A kubeconfig for the administrator. `server` is the URL of the port that is served.
    #[must_use]
    pub fn kubeconfig(&self, server: &str) -> String {
        self.pki.kubeconfig(server)
    }

    /// Serves the API over TLS until `shutdown`.
    pub async fn serve(&self, listener: TcpListener, shutdown: CancellationToken) -> Result<(), Error> {
        let door = Door::of(&self.pki)?;
        let api = self.api.clone();
        let answer = move |peer: Peer, request: Request<Body>| {
            let api = api.clone();
            async move { api.serve(peer, request).await }
        };
        tls::serve(listener, door, answer, shutdown).await;
        Ok(())
    }

    /// Runs what a control plane does by itself until `shutdown`.
    pub async fn run(&self, shutdown: CancellationToken) {
        let Api { objects, aggregation, .. } = &self.api;
        tokio::join!(
            controllers::run_with(objects.clone(), self.controllers.clone(), shutdown.clone()),
            aggregation.run(shutdown.clone()),
        );
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
fn bootstrap(objects: &Objects, aggregation: &Aggregation, pki: &Pki) -> Result<(), Status> {
    controllers::bootstrap(objects)?;
    access::bootstrap(objects, &kinds::data().roles)?;
    access::aggregate::aggregate(objects)?;
    aggregation.bootstrap()?;
    create(objects, "kube-system", pki.authentication())
}

fn create(objects: &Objects, namespace: &str, object: Value) -> Result<(), Status> {
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    let gvk = crate::manifest::Gvk::new(text("apiVersion"), text("kind"));
    let kind = objects.kinds.of(&gvk.group, &gvk.version, &gvk.kind).expect("the kind is built in");
    let options = Options { manager: "kube-apiserver".into(), ..Options::default() };
    match objects.create(&kind, namespace, object, &options) {
        Err(status) if status.reason != "AlreadyExists" => Err(status),
        _ => Ok(()),
    }
}
