//! The cache over a scripted API server.

use serde_json::{Value, json};

use super::*;
use crate::cluster::discovery::kinds::Kinds;
use crate::cluster::script::{Log, Reply, server};
use crate::manifest::Scope;

const PATIENCE: Duration = Duration::from_secs(20);

fn gvk(kind: &str) -> Gvk {
    Gvk::new("v1", kind)
}

fn object(kind: &str, name: &str, version: &str, application: &str) -> Value {
    json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "east", "uid": name,
        "resourceVersion": version, "labels": {"gitops/application": application}}})
}

fn complete(objects: &[Value]) -> Vec<Value> {
    let metadata = json!({"resourceVersion": "9", "annotations": {"k8s.io/initial-events-end": "true"}});
    let mut events: Vec<_> =
        objects.iter().map(|object| json!({"type": "ADDED", "object": object})).collect();
    events.push(json!({"type": "BOOKMARK", "object": {"metadata": metadata}}));
    events
}

/// A cache of a cluster that serves baskets, crates and, without watches, stamps.
fn cache(answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> (Cache, Log) {
    let (connection, log) = server(move |asked| answer(&asked.line));
    let verbs = |verbs: &[&str]| verbs.iter().map(ToString::to_string).collect();
    let resource = |kind: &str, plural: &str, offered: &[&str]| Resource {
        gvk: gvk(kind),
        plural: plural.into(),
        scope: Scope::Namespaced,
        verbs: verbs(offered),
    };
    let kinds: Kinds = [
        resource("Basket", "baskets", &["list", "watch"]),
        resource("Crate", "crates", &["list", "watch"]),
        resource("Stamp", "stamps", &["create"]),
    ]
    .into_iter()
    .collect();
    let discovery = Discovery::fixed(connection.client(), kinds);
    (Cache::new(connection, discovery), log)
}

fn names(objects: &[Arc<Live>]) -> Vec<&str> {
    objects.iter().map(|live| live.key.name.as_str()).collect()
}

#[tokio::test]
async fn objects_are_found_by_application_once_ready() {
    let (cache, log) = cache(|line| {
        Reply::Events(match line {
            line if line.contains("baskets") => {
                complete(&[object("Basket", "plums", "3", "fruit"), object("Basket", "beans", "4", "greens")])
            }
            _ => complete(&[object("Crate", "apples", "5", "fruit")]),
        })
    });
    assert_eq!(cache.synced(&[gvk("Basket")]).unwrap(), Readiness::Waiting);
    cache.ready(&[gvk("Basket"), gvk("Crate")], PATIENCE).await.unwrap();
    assert_eq!(cache.synced(&[gvk("Basket"), gvk("Crate")]).unwrap(), Readiness::Ready);
    assert_eq!(names(&cache.of("fruit")), ["plums", "apples"]);
    assert_eq!(cache.len(), 3);
    cache.ready(&[gvk("Basket")], PATIENCE).await.unwrap();
    assert_eq!(log.lines().len(), 2, "a kind is followed once");
    cache.retain(&[gvk("Crate")]);
    assert_eq!(names(&cache.of("fruit")), ["apples"]);
    assert_eq!(cache.state(&gvk("Basket")), None);
}

#[tokio::test]
async fn a_forbidden_kind_is_named_with_its_cause() {
    let (cache, _) = cache(|_| {
        Reply::Json(403, json!({"kind": "Status", "code": 403, "message": "baskets is forbidden: no"}))
    });
    let error = cache.ready(&[gvk("Basket")], PATIENCE).await.unwrap_err();
    assert_eq!(error.to_string(), "following v1/Basket: baskets is forbidden: no");
}

#[tokio::test]
async fn patience_ends_with_what_is_waited_for() {
    let (cache, _) = cache(|_| Reply::Events(Vec::new()));
    let error = cache.ready(&[gvk("Crate")], Duration::ZERO).await.unwrap_err();
    assert_eq!(error.to_string(), "following v1/Crate: the cluster has not sent its objects yet");
}

#[tokio::test]
async fn kinds_that_cannot_have_objects_are_ready() {
    let (cache, log) = cache(|_| Reply::Cut);
    cache.ready(&[gvk("Stamp"), gvk("Ghost")], PATIENCE).await.unwrap();
    assert_eq!(cache.state(&gvk("Ghost")), Some(State::Absent));
    assert!(log.lines().is_empty());
}

#[tokio::test]
async fn listeners_hear_of_changes_but_not_of_own_writes() {
    let (cache, _) = cache(|_| Reply::Events(complete(&[object("Basket", "plums", "3", "fruit")])));
    let mut changes = cache.subscribe();
    cache.ready(&[gvk("Basket")], PATIENCE).await.unwrap();
    assert_eq!(changes.next().await, BTreeSet::from(["fruit".to_owned()]));
    let mine = object("Basket", "pears", "12", "nuts").to_string();
    cache.record(Live::from_json(&mine).unwrap());
    let moved = object("Basket", "plums", "13", "nuts").to_string();
    cache.record(Live::from_json(&moved).unwrap());
    assert_eq!(changes.next().await, BTreeSet::from(["fruit".to_owned()]));
    assert_eq!(names(&cache.of("nuts")), ["pears", "plums"]);
    cache.forget(&cache.of("nuts")[0].key, "pears");
    assert_eq!(names(&cache.of("nuts")), ["plums"]);
}

#[tokio::test]
async fn watches_spread_over_connections_before_streams_run_out() {
    let (connection, _) = server(|_| Reply::Cut);
    let mut watches = Watches::default();
    for number in 0..=FIRST_LANE + LANE {
        let (lane, _) = watches.lane(&connection).unwrap();
        let kind = Kind { group: String::new(), kind: number.to_string() };
        let task = tokio::spawn(std::future::pending::<()>()).abort_handle();
        watches.by_kind.insert(kind, Watch { version: "v1".into(), lane, task });
    }
    let on = |lane| watches.by_kind.values().filter(|watch| watch.lane == lane).count();
    assert_eq!((on(0), on(1), on(2)), (FIRST_LANE, LANE, 1));
}
