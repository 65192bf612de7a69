//! How long it takes until the embedded API answers, in a process that has done nothing before.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use gitopsd::app::{clock, embedded as installation};
use gitopsd::embedded::{Cluster, Settings, controllers};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

/// A request that needs kinds, access and storage.
const REQUEST: &str = "/api/v1/namespaces";

/// A cluster by itself, in milliseconds.
pub(crate) fn alone() -> f64 {
    let began = Instant::now();
    runtime().block_on(async {
        let cluster = cluster(None);
        get(&cluster, REQUEST).await;
        milliseconds(began)
    })
}

/// A cluster as `serve --embedded` starts it, in milliseconds.
pub(crate) fn installed() -> f64 {
    let began = Instant::now();
    runtime().block_on(async {
        let running = installation::start(installation::Settings {
            data_dir: None,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            gitopsd_port: 6443,
            pace: Duration::from_secs(1),
        });
        let running = running.await.expect("the cluster starts");
        let request = Request::get(REQUEST).body(Vec::new()).expect("a request");
        running.admin.request_text(request).await.expect("an answer");
        milliseconds(began)
    })
}

/// A cluster with the objects of a folder, or in memory.
pub(crate) fn cluster(data_dir: Option<&std::path::Path>) -> Cluster {
    let cluster = Cluster::start(Settings {
        data_dir: data_dir.map(Into::into),
        clock: Arc::new(clock::now),
        controllers: controllers::Settings::default(),
    });
    cluster.expect("the cluster starts")
}

/// The whole answer to a request.
pub(crate) async fn get(cluster: &Cluster, path: &str) -> Bytes {
    let request = Request::get(path).body(Body::empty()).expect("a request");
    let answer = cluster.service().oneshot(request).await.unwrap_or_else(|never| match never {});
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    answer.into_body().collect().await.expect("a whole answer").to_bytes()
}

/// The runtime that gitopsd has.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime")
}

/// The time since then.
pub(crate) fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}
