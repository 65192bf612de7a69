//! Where a server is, and the connections to it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use http::{Request, Response, Uri};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use serde_json::Value;
use tower::ServiceExt as _;

use super::{Upstream, tls};
use crate::embedded::objects::Objects;
use crate::embedded::storage::Key;
use tls::Identity;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(15);
const PORT: u16 = 443;

/// What an `APIService` says of its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spec {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) namespace: String,
    pub(super) service: String,
    pub(super) port: u16,
    /// PEM.
    ca: String,
    insecure: bool,
}

impl Spec {
    /// Reads an `APIService`; nothing if we serve the group ourselves.
    pub(super) fn of(object: &Value) -> Option<Self> {
        let spec = &object["spec"];
        let service = spec["service"].as_object()?;
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        let ca = spec["caBundle"].as_str().and_then(|ca| BASE64.decode(ca).ok());
        Some(Self {
            group: text(spec.get("group")),
            version: text(spec.get("version")),
            namespace: text(service.get("namespace")),
            service: text(service.get("name")),
            port: service
                .get("port")
                .and_then(Value::as_u64)
                .map_or(Some(PORT), |port| port.try_into().ok())?,
            ca: ca.and_then(|ca| String::from_utf8(ca).ok()).unwrap_or_default(),
            insecure: spec["insecureSkipTLSVerify"] == true,
        })
    }

    /// Returns the path that the server must serve.
    pub(super) fn path(&self) -> String {
        format!("/apis/{}/{}", self.group, self.version)
    }
}

/// Why a request did not get through.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// There is no way to the server: the reason and the message of the condition.
    #[error("{1}")]
    NoWay(&'static str, String),
    #[error("{0}")]
    Setup(String),
    #[error("{}", chain(.0))]
    Request(#[from] hyper_util::client::legacy::Error),
}

/// The way to a server.
pub(super) struct Route {
    pub(super) spec: Spec,
    upstream: Option<Upstream>,
    /// Or why there is none.
    client: Result<Client<HttpsConnector<HttpConnector>, Body>, String>,
}

impl Route {
    pub(super) fn new(spec: Spec, upstream: Option<Upstream>, proxy: Option<&Identity>) -> Self {
        let client = client(&spec, proxy).map_err(|error| chain(&error));
        Self { spec, upstream, client }
    }

    pub(super) fn is_in_process(&self) -> bool {
        matches!(self.upstream, Some(Upstream::InProcess(_)))
    }

    /// Finds the host and port of the server.
    pub(super) fn place(&self, objects: &Objects) -> Result<(String, u16), Failure> {
        if let Some(Upstream::Address(host, port)) = &self.upstream {
            return Ok((host.clone(), *port));
        }
        let Spec { namespace, service, port, .. } = &self.spec;
        let key = Key {
            resource: "services".into(),
            namespace: namespace.as_str().into(),
            name: service.as_str().into(),
        };
        let found = objects.storage.get(&key);
        let object = found.and_then(|entry| serde_json::from_slice::<Value>(&entry.json).ok());
        let Some(object) = object else {
            let message = format!("service/{service} in {namespace:?} is not present");
            return Err(Failure::NoWay("ServiceNotFound", message));
        };
        let external =
            object["spec"]["externalName"].as_str().filter(|_| object["spec"]["type"] == "ExternalName");
        // There is no network between the Pods of this cluster.
        let message = || format!("cannot find endpointslices for service/{service} in {namespace:?}");
        let host = external.ok_or_else(|| Failure::NoWay("EndpointsNotFound", message()))?;
        Ok((host.to_owned(), *port))
    }

    /// Sends a request whose URI is a path.
    pub(super) async fn send(
        &self,
        objects: &Objects,
        mut request: Request<Body>,
    ) -> Result<Response<Body>, Failure> {
        if let Some(Upstream::InProcess(service)) = &self.upstream {
            let Ok(response) = service.clone().oneshot(request).await;
            return Ok(response);
        }
        let (host, port) = self.place(objects)?;
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let uri: Result<Uri, _> = format!("https://{host}:{port}{path}").parse();
        *request.uri_mut() = uri.map_err(|error| Failure::Setup(error.to_string()))?;
        let client = self.client.as_ref().map_err(|error| Failure::Setup(error.clone()))?;
        Ok(client.request(request).await?.map(Body::new))
    }
}

fn client(
    spec: &Spec,
    proxy: Option<&Identity>,
) -> Result<Client<HttpsConnector<HttpConnector>, Body>, tls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
    let config = if spec.insecure {
        config.dangerous().with_custom_certificate_verifier(Arc::new(Anything(provider)))
    } else {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(tls::certificates(&spec.ca)?);
        config.with_root_certificates(roots)
    };
    let config = match proxy {
        Some(Identity { certificate, key }) => {
            config.with_client_auth_cert(tls::certificates(certificate)?, tls::private_key(key)?)?
        }
        None => config.with_no_client_auth(),
    };
    let name = format!("{}.{}.svc", spec.service, spec.namespace);
    let name = ServerName::try_from(name).map_err(|_| rustls::Error::General("not a name".into()))?;
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_only()
        .with_server_name_resolver(FixedServerNameResolver::new(name))
        .enable_all_versions()
        .wrap_connector(http);
    Ok(Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .http2_keep_alive_interval(PING_INTERVAL)
        .http2_keep_alive_timeout(PING_TIMEOUT)
        .build(connector))
}

/// Writes an error with what led to it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        told = format!("{told}: {cause}");
        source = cause.source();
    }
    told
}

/// Believes every server: `insecureSkipTLSVerify`.
struct Anything(Arc<CryptoProvider>);

impl fmt::Debug for Anything {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Anything")
    }
}

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
