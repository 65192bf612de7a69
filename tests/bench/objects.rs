//! What many objects cost.

use std::path::Path;
use std::time::{Duration, Instant};

use gitopsd::embedded::Cluster;
use gitopsd::embedded::objects::Options;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::start::{cluster, get, milliseconds, runtime};

/// How many objects there are where their memory is measured.
pub(crate) const MANY: usize = 50_000;
/// How many a list has.
pub(crate) const SOME: usize = 10_000;
const NAMESPACES: usize = 50;
const LISTS: usize = 11;

/// The memory of a running cluster, in MiB: anonymous and resident.
pub(crate) fn memory() -> [f64; 2] {
    runtime().block_on(async {
        let cluster = cluster(None);
        let stop = CancellationToken::new();
        let running = tokio::spawn({
            let (cluster, stop) = (cluster.clone(), stop.clone());
            async move { cluster.run(stop).await }
        });
        create(&cluster, MANY);
        calm(&cluster).await;
        let memory = [used("RssAnon"), used("VmRSS")];
        stop.cancel();
        running.await.expect("it ends");
        memory
    })
}

/// The median time of a list, in milliseconds.
pub(crate) fn list() -> f64 {
    runtime().block_on(async {
        let cluster = cluster(None);
        create(&cluster, SOME);
        let mut times = Vec::new();
        for _ in 0..LISTS {
            let began = Instant::now();
            let body = get(&cluster, "/api/v1/configmaps?labelSelector=app").await;
            times.push(milliseconds(began));
            assert!(body.len() > SOME * 100, "the list is not whole");
        }
        times.sort_by(f64::total_cmp);
        times[LISTS / 2]
    })
}

/// The time to write to a data directory, in milliseconds.
pub(crate) fn fill(dir: &Path) -> f64 {
    runtime().block_on(async {
        let cluster = cluster(Some(dir));
        let began = Instant::now();
        create(&cluster, MANY);
        cluster.objects().storage.settled().await.expect("it is written");
        milliseconds(began)
    })
}

/// The time until a data directory with many objects is served, in milliseconds, and the resident memory in MiB.
pub(crate) fn reopen(dir: &Path) -> [f64; 2] {
    let began = Instant::now();
    runtime().block_on(async {
        let cluster = cluster(Some(dir));
        get(&cluster, "/api/v1/namespaces").await;
        [milliseconds(began), used("VmRSS")]
    })
}

/// Makes small objects.
fn create(cluster: &Cluster, count: usize) {
    let objects = cluster.objects();
    let options = Options { manager: "bench".into(), ..Options::default() };
    let of = |kind: &str| objects.kinds.of("", "v1", kind).expect("the kind is built in");
    let (namespaces, maps) = (of("Namespace"), of("ConfigMap"));
    for number in 0..NAMESPACES {
        let name = format!("space-{number}");
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        objects.create(&namespaces, "", object, &options).expect("it is created");
    }
    for number in 0..count {
        let namespace = format!("space-{}", number % NAMESPACES);
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": format!("settings-{number}"), "namespace": namespace, "labels": {"app": "web"}},
            "data": {"number": number.to_string(), "colour": "green"},
        });
        objects.create(&maps, &namespace, object, &options).expect("it is created");
    }
}

/// Waits until the controllers have seen everything.
async fn calm(cluster: &Cluster) {
    let version = || cluster.objects().storage.version();
    let mut before = 0;
    while before != version() {
        before = version();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// What this process uses, in MiB.
fn used(what: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells it");
    let line = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u32>().ok());
    f64::from(kib.expect("Linux tells it")) / 1024.0
}
