//! The port and its keys, as clients see them.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use axum::body::Body;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::*;

/// Answers what the server says to a client that shows `identity`.
async fn ask(pki: &Pki, port: u16, identity: Option<&Identity>, http2: bool) -> String {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(pki.ca()).unwrap());
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match identity {
        Some(Identity { certificate, key }) => config
            .with_client_auth_cert(certificates(certificate).unwrap(), private_key(key).unwrap())
            .unwrap(),
        None => config.with_no_client_auth(),
    };
    let connector = HttpsConnectorBuilder::new().with_tls_config(config).https_only();
    let connector = if http2 { connector.enable_http2().build() } else { connector.enable_http1().build() };
    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build(connector);
    let answer = client.get(format!("https://localhost:{port}/x").parse().unwrap()).await.unwrap();
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn the_port_knows_who_holds_a_certificate_and_whose_does_not_count() {
    let (pki, foreign) = (Pki::make().unwrap(), Pki::make().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let stop = CancellationToken::new();
    let answer = async |peer: Peer, request: Request<Body>| {
        let user = peer.user.map(|user| format!("{}{:?}{}", user.name, user.groups, user.extra.len()));
        Response::new(Body::from(format!("{} {user:?}", request.uri().path())))
    };
    let door = Door::of(&pki).unwrap();
    let server = tokio::spawn(serve(listener, door, answer, stop.clone()));
    let user = pki.user("alice", Some("web")).unwrap();
    for (identity, expected) in [
        (None, r"/x None"),
        (Some(pki.admin()), r#"/x Some("admin[\"system:masters\"]1")"#),
        (Some(&user), r#"/x Some("alice[\"web\"]1")"#),
        (Some(pki.front_proxy()), r#"/x Some("[]0")"#),
        (Some(foreign.admin()), r#"/x Some("[]0")"#),
    ] {
        for http2 in [false, true] {
            assert_eq!(ask(&pki, port, identity, http2).await, expected);
        }
    }
    stop.cancel();
    server.await.unwrap();
}

#[test]
fn keys_are_kept_for_the_next_start_and_from_others() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let made = Pki::open(&data).unwrap();
    assert!(Pki::open(&data).unwrap() == made);
    let mode =
        |name: &str| std::fs::metadata(data.join("pki").join(name)).unwrap().permissions().mode() & 0o777;
    for (name, expected) in
        [("ca.key", 0o600), ("service-account.key", 0o600), ("ca.crt", 0o644), ("", 0o700)]
    {
        assert_eq!(mode(name), expected, "{name}");
    }
    let left: Vec<_> = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["pki"]);
    assert!(!format!("{made:?}").contains("PRIVATE"));
}

#[test]
fn aggregated_servers_are_told_whom_to_believe() {
    let pki = Pki::make().unwrap();
    let data = &pki.authentication()["data"];
    assert_eq!(data["requestheader-allowed-names"], r#"["front-proxy-client"]"#);
    assert_eq!(data["client-ca-file"], pki.ca());
    let mut roots = RootCertStore::empty();
    let ca = data["requestheader-client-ca-file"].as_str().unwrap();
    roots.add_parsable_certificates(certificates(ca).unwrap());
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    let proxy = certificates(&pki.front_proxy().certificate).unwrap();
    verifier.verify_client_cert(&proxy[0], &[], UnixTime::now()).unwrap();
    assert_eq!(holder(&proxy[0]).unwrap().name, "front-proxy-client");
}
