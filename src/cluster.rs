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
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use http::HeaderValue;
use serde_json::Value;

use self::client::Connection;
use self::discovery::Discovery;
use self::execute::Executor;
use self::execute::failure::Attempt;
use self::live::Cache;
use self::request::{JSON, Refusal, exchange, get};
use crate::engine::live::Live;
use crate::engine::step::{Failure, Outcome, Step};
use crate::manifest::{Gvk, Key, Manifest, Scope};

/// What can fail before or beside a step; the failure of a step is part of its outcome.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kubeconfig is missing, unreadable or incomplete.
    #[error("reading the kubeconfig {}: {cause}", path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it; nothing of its text.
        cause: String,
    },
    /// There is neither a kubeconfig nor a mounted service account.
    #[error("no kubeconfig was given and this process does not run in a pod of a cluster")]
    NotInCluster(#[source] Box<kube::config::InClusterError>),
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
        source: Box<kube::Error>,
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
        key: Box<Key>,
        /// Why.
        failure: Failure,
    },
}

/// How long the first list of a kind is waited for.
const FIRST_LIST: Duration = Duration::from_secs(30);

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
        let executor = Executor::new(connection.clone(), discovery.clone(), live.clone());
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

    /// Makes sure that it is known of each of these kinds whether the cluster serves it.
    pub async fn learn(&self, kinds: impl IntoIterator<Item = &Gvk>) -> Result<(), Error> {
        self.discovery.learn(kinds).await
    }

    /// Asks anew which kinds the cluster serves. Where it does not answer, what was known stays.
    pub async fn relearn(&self) {
        if let Err(error) = self.discovery.refresh().await {
            tracing::warn!(%error, "the kinds that the cluster serves may have changed");
        }
    }

    /// Returns whether objects of the kind live in namespaces; `None` if the kind is not served.
    #[must_use]
    pub fn scope(&self, gvk: &Gvk) -> Option<Scope> {
        self.discovery.scope(gvk)
    }

    /// Follows these kinds and waits until all their objects are known. Fails for a kind that cannot
    /// be followed, with the cause.
    pub async fn watch(&self, kinds: &[Gvk]) -> Result<(), Error> {
        self.live.ready(kinds, FIRST_LIST).await
    }

    /// Returns all objects that carry this value of the application's label, ordered by identity.
    #[must_use]
    pub fn of(&self, application: &str) -> Vec<Arc<Live>> {
        self.live.of(application)
    }

    /// Returns an object that carries any application's label.
    #[must_use]
    pub fn find(&self, key: &Key) -> Option<Arc<Live>> {
        self.live.get(key)
    }

    /// Returns the label values of applications of which an object changes by the hand of others.
    pub fn changes(&self) -> impl Stream<Item = String> + Send + use<> {
        let batches = stream::unfold(self.live.subscribe(), async |mut changes| {
            let labels = changes.next().await;
            Some((labels, changes))
        });
        batches.flat_map(stream::iter)
    }

    /// Carries out, as the service account, steps that do not depend on each other. The outcomes are in
    /// the order of the steps.
    pub async fn execute(&self, account: &ServiceAccount, steps: &[Step]) -> Vec<Outcome> {
        self.executor.execute(account, steps).await
    }

    /// Returns what the object would become if the service account applied it; nothing is written.
    pub async fn predict(
        &self,
        account: &ServiceAccount,
        key: &Key,
        manifest: &Manifest,
    ) -> Result<Value, Failure> {
        self.executor.predict(account, key, manifest).await
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
            Error::Read { key: Box::new(key), failure }
        })
    }

    /// Says whether a namespace exists.
    pub async fn namespace_exists(&self, name: &str) -> Result<bool, Error> {
        Ok(self.namespace(name).await?.is_some())
    }

    /// Says whether a namespace is being deleted or is gone.
    pub async fn namespace_ends(&self, name: &str) -> Result<bool, Error> {
        Ok(self.namespace(name).await?.is_none_or(|namespace| namespace.deleting))
    }

    async fn namespace(&self, name: &str) -> Result<Option<Live>, Error> {
        self.fetch(&Gvk::new("v1", "Namespace"), "", name).await
    }
}

/// A service account that can be acted as.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServiceAccount {
    namespace: String,
    name: String,
    /// Value of the header that impersonates it.
    user: HeaderValue,
}

impl ServiceAccount {
    /// Checks that both are names that Kubernetes allows, so that they can neither name another user
    /// nor break out of a header.
    pub fn new(namespace: &str, name: &str) -> Result<Self, Error> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        let invalid = || Error::AccountName { namespace: namespace.into(), name: name.into() };
        if [namespace, name].iter().any(|part| part.is_empty() || !part.chars().all(allowed)) {
            return Err(invalid());
        }
        let user = format!("system:serviceaccount:{namespace}:{name}");
        let user = HeaderValue::try_from(user).map_err(|_| invalid())?;
        Ok(Self { namespace: namespace.into(), name: name.into(), user })
    }

    /// Returns the namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

async fn version(client: &kube::Client) -> Result<String, Error> {
    let failed = |refusal: Refusal| Error::Version { cause: refusal.to_string() };
    let answer = exchange(client, get("/version", JSON)).await.map_err(failed)?;
    let value: Value = serde_json::from_slice(&answer.body).map_err(|_| failed(Refusal::garbled()))?;
    Ok(value["gitVersion"].as_str().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_names_cannot_name_other_users() {
        let check =
            |namespace, name| assert!(ServiceAccount::new(namespace, name).is_err(), "{namespace}/{name}");
        check("orchard", "");
        check("", "picker");
        check("orchard", "a:b");
        check("orchard\r\nx", "picker");
        check("orchard", "Picker");
    }
}
