//! gitopsd in a Kubernetes API of its own process: the cluster is started, and gitopsd installed in it from the
//! same manifests as in any other.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::clock;
use crate::api::{crd, names};
use crate::cluster::client::Connection;
use crate::embedded::{self, Cluster, controllers};
use crate::manifest::yaml;

/// What `kubectl apply -f manifests/` installs, without the Deployment: gitopsd runs already.
const MANIFESTS: [(&str, &str); 5] = [
    ("00-namespace.yaml", include_str!("../../manifests/00-namespace.yaml")),
    ("10-rbac.yaml", include_str!("../../manifests/10-rbac.yaml")),
    ("20-user-roles.yaml", include_str!("../../manifests/20-user-roles.yaml")),
    ("30-storage-policy.yaml", include_str!("../../manifests/30-storage-policy.yaml")),
    ("60-apiservice.yaml", include_str!("../../manifests/60-apiservice.yaml")),
];

/// Why there is no embedded cluster.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The folder for the cluster cannot be used.
    #[error("cannot keep the embedded cluster in {}: {source}", dir.display())]
    Directory {
        /// The folder.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The cluster did not start.
    #[error("cannot start the embedded cluster: {0}")]
    Start(#[from] embedded::Error),
    /// gitopsd could not be installed.
    #[error("cannot install {what} in the embedded cluster: {why}")]
    Install {
        /// The object.
        what: String,
        /// Why.
        why: String,
    },
}

/// How the embedded cluster runs.
#[derive(Debug)]
pub struct Settings {
    /// Folder that keeps it; without it everything is gone at the end.
    pub data_dir: Option<PathBuf>,
    /// Address of its Kubernetes API; port 0 is a free one.
    pub listen: SocketAddr,
    /// Port on this host where gitopsd serves its own API.
    pub gitopsd_port: u16,
    /// How long each step of a workload's start takes.
    pub pace: Duration,
}

/// A running cluster. It ends when this is dropped.
pub struct Embedded {
    /// How gitopsd reaches it, as its own service account.
    pub connection: Connection,
    /// How an administrator reaches it.
    pub admin: kube::Client,
    /// The administrator's kubeconfig.
    pub kubeconfig: PathBuf,
    /// Its address.
    pub server: String,
    /// Where gitopsd may keep what it fetches.
    pub cache: PathBuf,
    _running: DropGuard,
    _scratch: Option<tempfile::TempDir>,
}

/// Starts a cluster with gitopsd registered in it.
pub async fn start(settings: Settings) -> Result<Embedded, Error> {
    let (dir, scratch) = directory(settings.data_dir.as_deref())?;
    let address = settings.listen;
    let listener = TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })?;
    let address = listener.local_addr().map_err(|source| Error::Listen { address, source })?;
    let cluster = Cluster::start(embedded::Settings {
        data_dir: settings.data_dir,
        clock: std::sync::Arc::new(clock::now),
        controllers: controllers::Settings { pace: settings.pace, ..controllers::Settings::default() },
    })?;
    let server = format!("https://{address}");
    let kubeconfig = dir.join("kubeconfig");
    let text = cluster.kubeconfig(&server);
    write_private(&kubeconfig, &text).map_err(|source| Error::Directory { dir: dir.clone(), source })?;
    let admin = Connection::from_service(cluster.service()).client();
    install(&admin, settings.gitopsd_port).await?;
    let ending = CancellationToken::new();
    let (running, serving, stop) = (cluster.clone(), cluster.clone(), ending.clone());
    tokio::spawn(async move { running.run(stop).await });
    let stop = ending.clone();
    tokio::spawn(async move {
        if let Err(error) = serving.serve(listener, stop).await {
            tracing::error!(%error, "the embedded cluster is not served");
        }
    });
    let account = cluster.service_as(names::SYSTEM_NAMESPACE, names::SERVICE_ACCOUNT);
    Ok(Embedded {
        connection: Connection::from_service(account),
        admin,
        kubeconfig,
        server,
        cache: dir.join("cache"),
        _running: ending.drop_guard(),
        _scratch: scratch,
    })
}

/// The folder for what is kept, or one that is removed at the end.
fn directory(data_dir: Option<&Path>) -> Result<(PathBuf, Option<tempfile::TempDir>), Error> {
    if let Some(dir) = data_dir {
        let failed = |source| Error::Directory { dir: dir.into(), source };
        std::fs::create_dir_all(dir).map_err(failed)?;
        return Ok((dir.canonicalize().map_err(failed)?, None));
    }
    let scratch = tempfile::Builder::new().prefix("gitopsd-").tempdir();
    let scratch = scratch.map_err(|source| Error::Directory { dir: std::env::temp_dir(), source })?;
    Ok((scratch.path().into(), Some(scratch)))
}

/// Writes a file that only its owner may read, whole or not at all.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    use std::io::Write as _;
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(dir)?; // made with mode 0600
    file.write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}

/// Applies what an installation consists of. The Service leads to `port` of this host.
pub async fn install(client: &kube::Client, port: u16) -> Result<(), Error> {
    let mut objects = crd::definitions();
    for (file, text) in MANIFESTS {
        let failed = |error: yaml::Error| Error::Install { what: file.into(), why: error.to_string() };
        objects.extend(yaml::documents(text.as_bytes()).map_err(failed)?);
    }
    objects.push(service());
    for mut object in objects {
        if object["kind"] == "APIService" {
            object["spec"]["service"]["port"] = port.into();
        }
        apply(client, &object).await?;
    }
    Ok(())
}

fn service() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": names::SERVICE, "namespace": names::SYSTEM_NAMESPACE},
        "spec": {"type": "ExternalName", "externalName": Ipv4Addr::LOCALHOST.to_string()},
    })
}

async fn apply(client: &kube::Client, object: &Value) -> Result<(), Error> {
    let what = format!("{} {}", object["kind"], object["metadata"]["name"]).replace('"', "");
    let failed = |why: String| Error::Install { what: what.clone(), why };
    let path = path(object).ok_or_else(|| failed("its kind is not known here".into()))?;
    let request = http::Request::builder()
        .method(Method::PATCH)
        .uri(format!("{path}?fieldManager=gitopsd-install&force=true"))
        .header(http::header::CONTENT_TYPE, "application/apply-patch+yaml")
        .body(object.to_string().into_bytes());
    let request = request.map_err(|error| failed(error.to_string()))?;
    client.request::<Value>(request).await.map(drop).map_err(|error| failed(error.to_string()))
}

/// The path of an object of our own installation.
fn path(object: &Value) -> Option<String> {
    let plural = match object["kind"].as_str()? {
        "CustomResourceDefinition" => "customresourcedefinitions",
        "Namespace" => "namespaces",
        "ServiceAccount" => "serviceaccounts",
        "ClusterRole" => "clusterroles",
        "ClusterRoleBinding" => "clusterrolebindings",
        "Role" => "roles",
        "RoleBinding" => "rolebindings",
        "ValidatingAdmissionPolicy" => "validatingadmissionpolicies",
        "ValidatingAdmissionPolicyBinding" => "validatingadmissionpolicybindings",
        "Service" => "services",
        "APIService" => "apiservices",
        _ => return None,
    };
    let version = object["apiVersion"].as_str()?;
    let root = if version.contains('/') { "/apis" } else { "/api" };
    let metadata = &object["metadata"];
    let name = metadata["name"].as_str()?;
    Some(match metadata["namespace"].as_str() {
        Some(namespace) => format!("{root}/{version}/namespaces/{namespace}/{plural}/{name}"),
        None => format!("{root}/{version}/{plural}/{name}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_installed_has_a_path() {
        for (file, text) in MANIFESTS {
            for object in yaml::documents(text.as_bytes()).expect("our own manifests are YAML") {
                assert!(path(&object).is_some(), "{file}: {} has no path", object["kind"]);
            }
        }
        let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": {"name": "a", "namespace": "b"}});
        let expected = "/apis/rbac.authorization.k8s.io/v1/namespaces/b/roles/a";
        assert_eq!(path(&role).as_deref(), Some(expected));
    }
}
