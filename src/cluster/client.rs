//! The one place that builds Kubernetes clients. It replaces kube's own stack, which speaks HTTP/1.1
//! and so needs a TLS connection for each watch, by one that multiplexes over HTTP/2.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::client::{Body, ConfigExt};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, ServiceBuilder, ServiceExt};
use tower_http::decompression::DecompressionLayer;

use super::{Error, ServiceAccount};

/// How long connecting and the TLS handshake may take.
const CONNECT: Duration = Duration::from_secs(15);
/// A connection that has open streams is probed this often, so that a watch does not hang on a
/// connection that is dead but was never closed.
const PROBE: Duration = Duration::from_secs(30);
/// A probe that is not answered for so long ends the connection.
const PROBE_ANSWER: Duration = Duration::from_secs(15);
/// h2 ends a connection on which many small frames wait unread, counted against this window; with
/// the default of 64 KiB two hundred watches are enough for that.
const CONNECTION_WINDOW: u32 = 16 << 20;
/// Lets a list of objects flow without waiting for window updates.
const STREAM_WINDOW: u32 = 1 << 20;

type Service = BoxCloneSyncService<Request<Body>, Response<UnsyncBoxBody<Bytes, BoxError>>, BoxError>;

/// A way to one API server: its address, our credentials and the pooled connections. Clones share
/// the pool.
#[derive(Clone)]
pub struct Connection {
    service: Service,
    /// What further pools are made from; `None` where the API server is a service of this process.
    config: Option<Box<kube::Config>>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("server", &self.server()).finish_non_exhaustive()
    }
}

impl Connection {
    /// Reads how to reach the API server from the current context of a kubeconfig or, without one,
    /// from the service account that Kubernetes mounts into a pod. Nothing is sent yet.
    pub async fn from_kubeconfig(path: Option<&Path>) -> Result<Self, Error> {
        let config = match path {
            None => kube::Config::incluster().map_err(|error| Error::NotInCluster(Box::new(error)))?,
            Some(path) => read(path).await?,
        };
        Self::from_config(config)
    }

    /// Connects as `config` says.
    pub fn from_config(mut config: kube::Config) -> Result<Self, Error> {
        if let Some(proxy) = config.proxy_url {
            return Err(Error::Proxy { host: proxy.host().unwrap_or_default().into() });
        }
        let agent = concat!("gitopsd/", env!("CARGO_PKG_VERSION"));
        config.headers.push((header::USER_AGENT, HeaderValue::from_static(agent)));
        Ok(Self { service: stack(&config)?, config: Some(Box::new(config)) })
    }

    /// Reaches an API server that `service` stands for, such as one in this process.
    pub fn from_service<S, B>(service: S) -> Self
    where
        S: tower::Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self { service: erase(service), config: None }
    }

    /// Returns a client that acts as ourselves. It has to be called within a tokio runtime.
    #[must_use]
    pub fn client(&self) -> kube::Client {
        kube::Client::new(self.service.clone(), "default")
    }

    /// Returns a client that acts as `account`, over the same connections. Only the user is named:
    /// kube-apiserver adds a service account's groups by itself, and asks only for the right to
    /// impersonate that account, where naming groups needs the right to impersonate groups.
    #[must_use]
    pub fn acting_as(&self, account: &ServiceAccount) -> kube::Client {
        let user = account.user.clone();
        let service = self.service.clone().map_request(move |mut request: Request<Body>| {
            request.headers_mut().insert(HeaderName::from_static("impersonate-user"), user.clone());
            request
        });
        kube::Client::new(service, "default")
    }

    /// Opens a pool of connections of its own to the same API server. An API server allows 100
    /// streams on a connection and further requests wait, so that many watches need several.
    pub fn apart(&self) -> Result<Self, Error> {
        match &self.config {
            Some(config) => Ok(Self { service: stack(config)?, config: Some(config.clone()) }),
            None => Ok(self.clone()),
        }
    }

    /// Returns the address of the API server; `in this process` where it has none.
    #[must_use]
    pub fn server(&self) -> String {
        self.config.as_ref().map_or_else(|| "in this process".into(), |config| config.cluster_url.to_string())
    }
}

async fn read(path: &Path) -> Result<kube::Config, Error> {
    let failed = |error: KubeconfigError| Error::Kubeconfig { path: path.into(), cause: cause(&error) };
    let kubeconfig = Kubeconfig::read_from(path).map_err(failed)?;
    kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.map_err(failed)
}

/// A parser quotes the place where it stopped, and a token can stand there.
fn cause(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::Parse(_) => "it is not the YAML of a kubeconfig".into(),
        KubeconfigError::ReadConfig(source, _) => source.to_string(),
        other => other.to_string(),
    }
}

/// Builds the layers that every request passes, with a connection pool of their own.
fn stack(config: &kube::Config) -> Result<Service, Error> {
    let failed = |source| Error::Client { server: config.cluster_url.to_string(), source: Box::new(source) };
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .layer(DecompressionLayer::new().gzip(!config.disable_compression))
        .option_layer(config.auth_layer().map_err(failed)?)
        .layer(config.extra_headers_layer().map_err(failed)?)
        .map_err(BoxError::from)
        .service(pool(connector(config)?));
    Ok(erase(service))
}

fn erase<S, B>(service: S) -> Service
where
    S: tower::Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let service = service
        .map_response(|response: Response<B>| response.map(|body| body.map_err(Into::into).boxed_unsync()))
        .map_err(Into::into);
    BoxCloneSyncService::new(service)
}

type Connector = TimeoutConnector<HttpsConnector<HttpConnector>>;

fn pool(connector: Connector) -> legacy::Client<Connector, Body> {
    legacy::Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .http2_initial_connection_window_size(CONNECTION_WINDOW)
        .http2_initial_stream_window_size(STREAM_WINDOW)
        .http2_keep_alive_interval(PROBE)
        .http2_keep_alive_timeout(PROBE_ANSWER)
        .build(connector)
}

/// Offers HTTP/2 in the TLS handshake and takes HTTP/1.1 where the server knows no better.
fn connector(config: &kube::Config) -> Result<Connector, Error> {
    let failed = |source| Error::Client { server: config.cluster_url.to_string(), source: Box::new(source) };
    // Fails only if a provider is installed already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    let mut tls = HttpsConnectorBuilder::new()
        .with_tls_config(config.rustls_client_config().map_err(failed)?)
        .https_or_http();
    if let Some(name) = &config.tls_server_name {
        let name = name.clone().try_into().map_err(|_| Error::ServerName { name: name.clone() })?;
        tls = tls.with_server_name_resolver(FixedServerNameResolver::new(name));
    }
    let mut connector = TimeoutConnector::new(tls.enable_all_versions().wrap_connector(http));
    connector.set_connect_timeout(Some(CONNECT));
    Ok(connector)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use tower::service_fn;

    /// Answers each request with the identity it was made with.
    fn echo() -> Connection {
        Connection::from_service(service_fn(|request: Request<Body>| async move {
            let user =
                request.headers().get("impersonate-user").map_or("itself", |user| user.to_str().unwrap());
            Ok::<_, Infallible>(Response::new(http_body_util::Full::new(Bytes::from(user.to_owned()))))
        }))
    }

    async fn ask(client: kube::Client) -> String {
        client.request_text(Request::get("/whoami").body(Vec::new()).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn acts_as_itself_unless_told_otherwise() {
        let connection = echo();
        let account = ServiceAccount::new("orchard", "picker").unwrap();
        assert_eq!(ask(connection.client()).await, "itself");
        assert_eq!(ask(connection.acting_as(&account)).await, "system:serviceaccount:orchard:picker");
        assert_eq!(ask(connection.apart().unwrap().client()).await, "itself");
    }

    #[tokio::test]
    async fn a_broken_kubeconfig_is_not_quoted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kubeconfig");
        std::fs::write(&path, "users: [{user: {token: hunter2]").unwrap();
        let error = Connection::from_kubeconfig(Some(&path)).await.unwrap_err();
        let message = error.to_string();
        assert!(message.ends_with("kubeconfig: it is not the YAML of a kubeconfig"), "{message}");
        assert!(!format!("{error:?}").contains("hunter2"));
    }

    #[test]
    fn a_proxy_is_refused_in_plain_words() {
        let mut config = kube::Config::new("https://plums.example".parse().unwrap());
        config.proxy_url = Some("http://user:word@proxy.example:3128".parse().unwrap());
        let message = Connection::from_config(config).unwrap_err().to_string();
        assert!(message.contains("proxy.example") && !message.contains("word"), "{message}");
    }
}
