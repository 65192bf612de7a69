//! Handshakes over a loopback socket.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::server::fake::ca::{Ca, Leaf};

const NAME: &str = "gitops.gitops-system.svc";
const GRACE: Duration = Duration::from_secs(10);

/// Tells what it sees of the connection.
#[expect(clippy::unnecessary_wraps, reason = "a service answers with a result")]
fn tell(request: &Request<Body>) -> Result<Response, Infallible> {
    let peer = request.extensions().get::<Peer>().unwrap();
    let certificates = peer.chain().map_or(0, |(_, others)| 1 + others.len());
    Ok(format!("{:?} with {certificates} certificates", request.version()).into_response())
}

struct Running {
    address: SocketAddr,
    ca: Ca,
    serving: Arc<Serving>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

async fn start() -> Running {
    let ca = Ca::new("serving");
    let serving = Serving::new();
    let leaf = ca.server(NAME);
    serving.install(leaf.pem.as_bytes(), leaf.key_pem().as_bytes()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let acceptor = acceptor(serving.clone()).unwrap();
    let task = tokio::spawn(connection::serve(
        listener,
        acceptor,
        tower::service_fn(|request| std::future::ready(tell(&request))),
        stop.clone(),
        GRACE,
    ));
    Running { address, ca, serving, stop, task }
}

impl Running {
    async fn connect(
        &self,
        ca: &Ca,
        leaf: Option<&Leaf>,
        alpn: &[&str],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca.pem.as_bytes()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match leaf {
            Some(leaf) => config.with_client_auth_cert(vec![leaf.der.clone()], leaf.key()).unwrap(),
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let socket = TcpStream::connect(self.address).await?;
        TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(NAME).unwrap(), socket).await
    }

    async fn told(&self, leaf: Option<&Leaf>) -> String {
        let stream = self.connect(&self.ca, leaf, &["h2"]).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let request = Request::get(format!("https://{NAME}/")).body(Empty::<Bytes>::new()).unwrap();
        let response = sender.send_request(request).await.unwrap();
        String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }
}

#[tokio::test]
async fn no_certificate_and_any_certificate_pass_the_handshake() {
    let server = start().await;
    let other = Ca::new("unknown");
    assert_eq!(server.told(None).await, "HTTP/2.0 with 0 certificates");
    for leaf in [other.client("alice", None), other.not_for_clients("alice")] {
        assert_eq!(server.told(Some(&leaf)).await, "HTTP/2.0 with 1 certificates");
    }
}

#[tokio::test]
async fn a_certificate_without_its_key_does_not() {
    let server = start().await;
    let ca = Ca::new("unknown");
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(server.ca.pem.as_bytes()).unwrap()).unwrap();
    // The certificate of one, the key of another: rustls clients must be tricked into it.
    let (shown, held) = (ca.client("root", None), ca.client("thief", None));
    let key = aws_lc_rs::default_provider().key_provider.load_private_key(held.key()).unwrap();
    let stolen = CertifiedKey::new(vec![shown.der], key);
    let config = config
        .with_root_certificates(roots)
        .with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(stolen)));
    let socket = TcpStream::connect(server.address).await.unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let refused = async {
        let mut stream = connector.connect(ServerName::try_from(NAME).unwrap(), socket).await?;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await?;
        stream.read_u8().await
    };
    assert!(refused.await.is_err());
}

#[tokio::test]
async fn http_1_is_served_to_those_who_want_it() {
    let server = start().await;
    for alpn in [&["http/1.1"][..], &[]] {
        let mut stream = server.connect(&server.ca, None, alpn).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        assert!(answer.contains("HTTP/1.1 with 0 certificates"), "{answer}");
    }
}

#[tokio::test]
async fn another_certificate_is_shown_from_the_next_connection_on() {
    let server = start().await;
    let next = Ca::new("next");
    assert!(server.connect(&next, None, &[]).await.is_err());
    let leaf = next.server(NAME);
    server.serving.install(leaf.pem.as_bytes(), leaf.key_pem().as_bytes()).unwrap();
    assert!(server.connect(&next, None, &[]).await.is_ok());
    assert!(server.connect(&server.ca, None, &[]).await.is_err());
}

#[test]
fn certificate_and_key_must_fit() {
    let ca = Ca::new("serving");
    let (one, other) = (ca.server(NAME), ca.server(NAME));
    let serving = Serving::default();
    let wrong = serving.install(one.pem.as_bytes(), other.key_pem().as_bytes()).unwrap_err();
    assert_eq!(wrong.to_string(), "the serving certificate does not fit its key");
    assert!(serving.install(b"", b"").is_err());
    assert_eq!(format!("{serving:?}"), "Serving { installed: false }");
}

#[tokio::test]
async fn stopping_says_goodbye_to_idle_clients() {
    let server = start().await;
    let stream = server.connect(&server.ca, None, &["h2"]).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = || Request::get(format!("https://{NAME}/")).body(Empty::<Bytes>::new()).unwrap();
    assert_eq!(sender.send_request(request()).await.unwrap().status(), 200);
    server.stop.cancel();
    connection.await.unwrap().unwrap();
    server.task.await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}
