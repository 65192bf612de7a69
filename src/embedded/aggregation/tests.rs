//! A server behind the aggregator: over TLS as on a real cluster, and in this process.

use std::sync::Mutex as StdMutex;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use bytes::Bytes;
use futures::StreamExt as _;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, BodyStream};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{CertificateParams, KeyPair};
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::WebPkiClientVerifier;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::embedded::kinds::Kinds;
use crate::embedded::objects::Options;
use crate::embedded::storage::Storage;
use crate::embedded::tls::Pki;

fn objects() -> Objects {
    let now = "2026-01-02T03:04:05Z".parse().unwrap();
    Objects { storage: Storage::in_memory(), kinds: Kinds::builtin(), clock: Arc::new(move || now) }
}

fn put(objects: &Objects, object: Value) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let api_version = text(&object["apiVersion"]);
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    let kind = objects.kinds.of(group, version, &text(&object["kind"])).unwrap();
    let namespace = text(&object["metadata"]["namespace"]);
    objects.create(&kind, &namespace, object, &Options::default()).unwrap();
}

fn get(objects: &Objects, resource: &str, name: &str) -> Value {
    let key = Key { resource: resource.into(), namespace: "".into(), name: name.into() };
    serde_json::from_slice(&objects.storage.get(&key).unwrap().json).unwrap()
}

fn register(objects: &Objects, port: u16, ca: &str) {
    put(objects, json!({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "ns"}}));
    let service = json!({"type": "ExternalName", "externalName": "localhost"});
    put(
        objects,
        json!({"kind": "Service", "apiVersion": "v1", "metadata": {"name": "svc", "namespace": "ns"}, "spec": service}),
    );
    put(
        objects,
        json!({
            "kind": "APIService", "apiVersion": "apiregistration.k8s.io/v1", "metadata": {"name": "v1.example"},
            "spec": {
                "group": "example", "version": "v1", "groupPriorityMinimum": 500, "versionPriority": 100,
                "caBundle": BASE64.encode(ca), "service": {"namespace": "ns", "name": "svc", "port": port},
            },
        }),
    );
}

fn condition(objects: &Objects) -> String {
    let object = get(objects, RESOURCE, "v1.example");
    let condition = &object["status"]["conditions"][0];
    format!("{} {} {}", condition["status"], condition["reason"], condition["message"]).replace('"', "")
}

/// What a server of an API answers; unknown paths echo the headers.
fn serve(request: Request<Body>) -> Response<Body> {
    let resource = |name: &str, kind: &str| json!({"name": name, "singularName": "thing", "namespaced": true, "kind": kind, "verbs": ["get"]});
    let body = match request.uri().path() {
        "/apis/example/v1" => {
            json!({"resources": [resource("things", "Thing"), resource("things/status", "Thing")]})
        }
        "/openapi/v3" => json!({"paths": {
            "apis/example/v1": {"serverRelativeURL": "/openapi/v3/apis/example/v1?hash=1"}, "apis/other": {},
        }}),
        "/apis/example/v1/elsewhere" => {
            return Response::builder().status(302).header("location", "/x").body(Body::empty()).unwrap();
        }
        "/apis/example/v1/mirror" => return Response::new(request.into_body()),
        _ => echo(request.headers()),
    };
    Response::builder().header("access-control-allow-origin", "*").body(Body::from(body.to_string())).unwrap()
}

fn echo(headers: &HeaderMap) -> Value {
    let mut seen = serde_json::Map::new();
    for name in headers.keys().filter(|name| *name != "host" && *name != "content-length") {
        let values: Vec<_> = headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect();
        seen.insert(name.to_string(), json!(values));
    }
    seen.into()
}

/// Starts a server that insists on the front proxy's certificate. Answers its port and its CA, and counts its
/// connections.
async fn start(pki: &Pki) -> (u16, String, Arc<StdMutex<usize>>, tokio::task::JoinHandle<()>) {
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["svc.ns.svc".to_owned()]).unwrap().self_signed(&key).unwrap();
    let mut roots = RootCertStore::empty();
    let config = pki.authentication();
    let ca = config["data"]["requestheader-client-ca-file"].as_str().unwrap();
    roots.add_parsable_certificates(tls::certificates(ca).unwrap());
    let provider = Arc::new(aws_lc_rs::default_provider());
    let clients =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![certificate.der().clone()], tls::private_key(&key.serialize_pem()).unwrap())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("localhost:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connections = Arc::new(StdMutex::new(0));
    let counter = Arc::clone(&connections);
    let server = tokio::spawn(async move {
        let mut running = tokio::task::JoinSet::new();
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            *counter.lock().unwrap() += 1;
            let acceptor = acceptor.clone();
            running.spawn(async move {
                let stream = acceptor.accept(socket).await.unwrap();
                let service = service_fn(async |request: Request<Incoming>| {
                    Ok::<_, Infallible>(serve(request.map(Body::new)))
                });
                let builder = auto::Builder::new(TokioExecutor::new());
                _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    (port, certificate.pem(), connections, server)
}

fn alice() -> User {
    User {
        name: "alice".into(),
        uid: "u1".into(),
        groups: vec!["a".into(), "b".into()],
        extra: [("example.org/Key".to_owned(), vec!["1".to_owned(), "2".to_owned()])].into(),
    }
}

async fn ask(aggregation: &Aggregation, path: &str) -> (StatusCode, HeaderMap, String) {
    let request = Request::get(path)
        .header("authorization", "Bearer secret")
        .header("x-remote-user", "system:admin")
        .header("x-remote-extra-forged", "1")
        .header("impersonate-user", "bob")
        .header("accept", "application/json")
        .body(Body::empty())
        .unwrap();
    let target = aggregation.target("example", "v1").unwrap();
    let (parts, body) = aggregation.forward(&target, &alice(), request).await.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

fn expected_headers() -> Value {
    json!({
        "accept": ["application/json"], "x-remote-user": ["alice"], "x-remote-uid": ["u1"],
        "x-remote-group": ["a", "b"], "x-remote-extra-example.org%2fkey": ["1", "2"],
    })
}

#[tokio::test]
async fn requests_reach_a_server_over_tls_with_who_asks() {
    let (objects, pki) = (objects(), Pki::make().unwrap());
    let (port, ca, connections, server) = start(&pki).await;
    let aggregation = Aggregation::showing(objects.clone(), pki.front_proxy());
    assert!(aggregation.target("example", "v1").is_none());
    register(&objects, port, &ca);
    assert_eq!(ask(&aggregation, "/apis/example/v1").await.2, "service unavailable\n");
    assert!(aggregation.look().await);
    assert_eq!(condition(&objects), "True Passed all checks passed");
    assert!(aggregation.look().await);

    let (status, headers, body) = ask(&aggregation, "/apis/example/v1/things?a=b%20c").await;
    assert_eq!((status, serde_json::from_str::<Value>(&body).unwrap()), (StatusCode::OK, expected_headers()));
    assert!(!headers.contains_key("access-control-allow-origin"));
    let (status, _, body) = ask(&aggregation, "/apis/example/v1/elsewhere").await;
    let refused = "the backend attempted to redirect this request, which is not permitted\n";
    assert_eq!((status, body.as_str()), (StatusCode::BAD_GATEWAY, refused));

    // What goes in comes out piece by piece, before it has ended.
    let (sender, mut pieces) = mpsc::channel::<Result<Bytes, Infallible>>(1);
    let body = futures::stream::poll_fn(move |context| pieces.poll_recv(context));
    let request = Request::post("/apis/example/v1/mirror").body(Body::from_stream(body)).unwrap();
    let target = aggregation.target("example", "v1").unwrap();
    let mut mirrored = BodyStream::new(aggregation.forward(&target, &alice(), request).await.into_body());
    for piece in ["one", "two"] {
        sender.send(Ok(Bytes::from(piece))).await.unwrap();
        let frame = mirrored.next().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(frame, piece);
    }
    drop(sender);
    let rest = mirrored.map(|frame| frame.unwrap().into_data().unwrap().len()).collect::<Vec<_>>().await;
    assert_eq!(rest.iter().sum::<usize>(), 0);
    assert_eq!(*connections.lock().unwrap(), 1, "all of it went over one connection");

    server.abort();
    _ = server.await;
    let (status, headers, body) = ask(&aggregation, "/apis/example/v1/things").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(headers["content-type"], "text/plain; charset=utf-8");
    assert!(body.starts_with("error trying to reach service: "), "{body}");
    assert!(!aggregation.look().await);
    let told = condition(&objects);
    let failed = format!(
        "False FailedDiscoveryCheck failing or missing response from https://localhost:{port}/apis/example/v1: "
    );
    assert!(told.starts_with(&failed), "{told}");
    assert_eq!(ask(&aggregation, "/apis/example/v1/things").await.2, "service unavailable\n");
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_not_believed() {
    let (objects, pki) = (objects(), Pki::make().unwrap());
    let (port, _, _, server) = start(&pki).await;
    let aggregation = Aggregation::showing(objects.clone(), pki.front_proxy());
    register(&objects, port, pki.ca());
    assert!(!aggregation.look().await);
    assert!(condition(&objects).contains("invalid peer certificate"), "{}", condition(&objects));
    server.abort();
}

#[tokio::test]
async fn a_server_in_this_process_is_discovered() {
    let objects = objects();
    let aggregation = Aggregation::of(objects.clone());
    register(&objects, 1, "");
    assert!(!aggregation.look().await);
    let stale = json!([{
        "metadata": {"name": "example", "creationTimestamp": null},
        "versions": [{"version": "v1", "freshness": "Stale"}],
    }]);
    assert_eq!(json!(aggregation.discovery()), stale);
    assert!(aggregation.openapi().is_empty());

    let service = tower::service_fn(async |request| Ok::<_, Infallible>(serve(request)));
    let service = InProcess::new(service);
    aggregation.upstream("example", "v1", Upstream::InProcess(service));
    assert!(aggregation.look().await);
    let kind = json!({"group": "example", "version": "v1", "kind": "Thing"});
    let current = json!([{
        "metadata": {"name": "example", "creationTimestamp": null},
        "versions": [{
            "version": "v1",
            "resources": [{
                "resource": "things", "responseKind": kind, "scope": "Namespaced", "singularResource": "thing",
                "verbs": ["get"],
                "subresources": [{"subresource": "status", "responseKind": kind, "verbs": ["get"]}],
            }],
            "freshness": "Current",
        }],
    }]);
    assert_eq!(json!(aggregation.discovery()), current);
    let version = json!({"groupVersion": "example/v1", "version": "v1"});
    let groups = json!([{"name": "example", "versions": [version], "preferredVersion": version}]);
    assert_eq!(json!(aggregation.groups()), groups);
    let openapi = ("apis/example/v1".to_owned(), "/openapi/v3/apis/example/v1?hash=1".to_owned());
    assert_eq!(aggregation.openapi(), [openapi]);
    let (status, _, body) = ask(&aggregation, "/apis/example/v1/things").await;
    assert_eq!((status, serde_json::from_str::<Value>(&body).unwrap()), (StatusCode::OK, expected_headers()));
}

#[tokio::test]
async fn a_service_that_is_missing_or_leads_nowhere_is_told() {
    let objects = objects();
    let aggregation = Aggregation::of(objects.clone());
    register(&objects, 443, "");
    let services = objects.kinds.of("", "v1", "Service").unwrap();
    let change = |external: Value, kind: &str| {
        let key = Key { resource: "services".into(), namespace: "ns".into(), name: "svc".into() };
        let object = json!({
            "metadata": {"name": "svc", "namespace": "ns"}, "spec": {"type": kind, "externalName": external},
        });
        let put = |_: Option<&Arc<crate::embedded::storage::Entry>>| {
            Ok::<_, ()>(crate::embedded::storage::Write::Put(object))
        };
        objects.storage.write(&key, put).unwrap();
    };
    change(Value::Null, "ClusterIP");
    aggregation.look().await;
    let nowhere = r"False EndpointsNotFound cannot find endpointslices for service/svc in \ns\";
    assert_eq!(condition(&objects), nowhere);
    objects.delete(&services, "ns", "svc", &crate::embedded::objects::Deletion::default()).unwrap();
    aggregation.look().await;
    assert_eq!(condition(&objects), r"False ServiceNotFound service/svc in \ns\ is not present");
}

#[tokio::test]
async fn groups_that_are_served_here_are_listed() {
    let objects = objects();
    let aggregation = Aggregation::of(objects.clone());
    aggregation.bootstrap().unwrap();
    aggregation.bootstrap().unwrap();
    assert!(aggregation.look().await);
    let apps = get(&objects, RESOURCE, "v1.apps");
    assert_eq!(
        apps["spec"],
        json!({"group": "apps", "version": "v1", "groupPriorityMinimum": 17800, "versionPriority": 15})
    );
    let expected = json!([{
        "type": "Available", "status": "True", "lastTransitionTime": "2026-01-02T03:04:05Z",
        "reason": "Local", "message": "Local APIServices are always available",
    }]);
    assert_eq!(apps["status"]["conditions"], expected);
    assert!(aggregation.target("apps", "v1").is_none());
    assert!(aggregation.discovery().is_empty());
    let before = objects.storage.version();
    assert!(aggregation.look().await);
    assert_eq!(objects.storage.version(), before, "what is right is not written again");
}
