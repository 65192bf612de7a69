//! Destinations: clients, which kinds are served, the live cache, and the carrying out of steps.
//! Nothing is decided here; what to write is the engine's, whether to retry the controller's.

pub mod client;
pub mod discovery;
pub mod execute;
pub mod live;
mod request;
#[cfg(test)]
mod script;
mod watch;

use std::path::PathBuf;

use serde_json::Value;

use self::client::{Connection, ServiceAccount};
use self::discovery::Discovery;
use self::execute::failure::Attempt;
use self::execute::{Actor, Executor};
use self::live::Cache;
use self::request::{JSON, Refusal, exchange, get};
use crate::engine::live::Live;
use crate::engine::step::{Failure, Outcome, Step};
use crate::manifest::{Gvk, Key, Manifest};

/// What can fail before or beside a step; the failure of a step is part of its outcome.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kubeconfig is missing, unreadable or incomplete.
    #[error("reading the kubeconfig {}", path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: kube::config::KubeconfigError,
    },
    /// There is neither a kubeconfig nor a mounted service account.
    #[error("no kubeconfig was given and this process does not run in a pod of a cluster")]
    NotInCluster(#[source] kube::config::InClusterError),
    /// The kubeconfig names a proxy.
    #[error("the kubeconfig asks for the proxy {host}, which is not supported; name the API server directly")]
    Proxy {
        /// The proxy's host, without its credentials.
        host: String,
    },
    /// The kubeconfig's `tls-server-name` is no host name.
    #[error("{name:?} cannot be the name in the API server's certificate")]
    ServerName {
        /// The name.
        name: String,
    },
    /// Certificates or credentials cannot be used.
    #[error("preparing the connection to {server}")]
    Client {
        /// Address of the API server.
        server: String,
        /// What is wrong.
        source: kube::Error,
    },
    /// A service account cannot have this name.
    #[error("no service account can be named {name:?} in namespace {namespace:?}")]
    AccountName {
        /// The namespace.
        namespace: String,
        /// The name.
        name: String,
    },
    /// The cluster does not say which kinds it serves.
    #[error("asking the cluster which kinds it serves: {cause}")]
    Discovery {
        /// What the cluster answered.
        cause: String,
    },
    /// The cluster does not say which version it has.
    #[error("asking the cluster for its version: {cause}")]
    Version {
        /// What the cluster answered.
        cause: String,
    },
    /// The cluster does not serve the kind.
    #[error("the cluster serves no {} in {}", .0.kind, .0.api_version())]
    UnknownKind(Gvk),
    /// Objects of a kind are not known and cannot be followed at present.
    #[error("following {kind}: {cause}")]
    NotFollowed {
        /// The kind.
        kind: Gvk,
        /// What the cluster answered.
        cause: String,
    },
    /// An object could not be read.
    #[error("reading {key}: {}", failure.message)]
    Read {
        /// The object.
        key: Key,
        /// Why.
        failure: Failure,
    },
}

/// One cluster. Clones share connections, kinds and objects.
#[derive(Clone)]
pub struct Cluster {
    connection: Connection,
    version: String,
    discovery: Discovery,
    live: Cache,
    executor: Executor,
}

impl Cluster {
    /// Connects: asks for the version and the kinds that are served, and follows changes of the
    /// latter. Objects are followed once they are asked for.
    pub async fn connect(connection: Connection) -> Result<Self, Error> {
        let client = connection.client();
        let version = version(&client).await?;
        let discovery = Discovery::start(client).await?;
        let live = Cache::new(connection.clone(), discovery.clone());
        let executor = Executor::new(discovery.clone(), live.clone());
        Ok(Self { connection, version, discovery, live, executor })
    }

    /// Returns the version of Kubernetes, such as `v1.37.2`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Returns the connection.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Returns which kinds are served.
    #[must_use]
    pub fn discovery(&self) -> &Discovery {
        &self.discovery
    }

    /// Returns the live objects.
    #[must_use]
    pub fn live(&self) -> &Cache {
        &self.live
    }

    /// Returns gitopsd itself as an actor.
    #[must_use]
    pub fn itself(&self) -> Actor {
        Actor::itself(&self.connection)
    }

    /// Returns a service account as an actor.
    #[must_use]
    pub fn acting_as(&self, account: &ServiceAccount) -> Actor {
        Actor::account(&self.connection, account)
    }

    /// Carries out steps that do not depend on each other; the outcomes are in the order of the steps.
    pub async fn execute(&self, actor: &Actor, steps: &[Step]) -> Vec<Outcome> {
        self.executor.execute(actor, steps).await
    }

    /// Returns what the object would become if it was applied; nothing is written.
    pub async fn predict(&self, actor: &Actor, manifest: &Manifest, key: &Key) -> Result<Value, Failure> {
        self.executor.predict(actor, manifest, key).await
    }

    /// Reads an object that is not followed, as ourselves; `None` if there is none or its kind is not
    /// served.
    pub async fn fetch(&self, gvk: &Gvk, namespace: &str, name: &str) -> Result<Option<Live>, Error> {
        let resource = match self.discovery.resource(gvk).await {
            Ok(resource) => resource,
            Err(Error::UnknownKind(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let key = Key {
            group: gvk.group.clone(),
            kind: gvk.kind.clone(),
            namespace: namespace.into(),
            name: name.into(),
        };
        execute::fetch(&self.connection.client(), &resource, &key).await.map_err(|refusal| {
            let failure =
                Attempt { verb: "get", resource: &resource, key: &key, account: None }.failure(&refusal);
            Error::Read { key, failure }
        })
    }
}

async fn version(client: &kube::Client) -> Result<String, Error> {
    let failed = |refusal: Refusal| Error::Version { cause: refusal.to_string() };
    let answer = exchange(client, get("/version", JSON)).await.map_err(failed)?;
    let value: Value = serde_json::from_slice(&answer.body).map_err(|_| failed(Refusal::garbled()))?;
    Ok(value["gitVersion"].as_str().unwrap_or_default().to_owned())
}
