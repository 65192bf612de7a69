//! Which requests a step becomes, and what is made of the answers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::cluster::discovery::kinds::Kinds;
use crate::cluster::script::{Asked, Log, Reply, server};
use crate::manifest::{Gvk, Scope};

fn key() -> Key {
    Key { group: String::new(), kind: "Basket".into(), namespace: "east".into(), name: "plums".into() }
}

fn manifest() -> Manifest {
    Manifest::new(
        json!({"apiVersion": "v1", "kind": "Basket", "metadata": {"name": "plums", "namespace": "east",
        "labels": {"gitops/application": "fruit"}}, "size": 2}),
    )
    .unwrap()
}

fn step(action: Action) -> Step {
    Step { key: key(), gvk: Gvk::new("v1", "Basket"), action, dry_run: false }
}

fn live(uid: &str, version: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Basket", "metadata": {"name": "plums", "namespace": "east", "uid": uid,
        "resourceVersion": version, "labels": {"gitops/application": "fruit"}}, "size": 2})
}

fn deleting() -> Value {
    let mut value = live("u1", "6");
    value["metadata"]["deletionTimestamp"] = "2026-01-02T03:04:05Z".into();
    value
}

fn failure(code: u16, reason: &str, message: &str) -> Reply {
    let details = json!({"name": "plums", "kind": "baskets"});
    Reply::Json(
        code,
        json!({"kind": "Status", "code": code, "reason": reason, "message": message, "details": details}),
    )
}

struct Bench {
    executor: Executor,
    account: ServiceAccount,
    log: Log,
}

impl Bench {
    fn new(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let (connection, log) = server(answer);
        let resource = Resource {
            gvk: Gvk::new("v1", "Basket"),
            plural: "baskets".into(),
            scope: Scope::Namespaced,
            verbs: vec!["list".into(), "watch".into()],
        };
        let discovery = Discovery::fixed(connection.client(), Kinds::from_iter([resource]));
        let account = ServiceAccount::new("orchard", "picker").unwrap();
        let live = Cache::new(connection.clone(), discovery.clone());
        Self { executor: Executor::new(connection, discovery, live), account, log }
    }

    async fn run(&self, step: Step) -> Result<Done, Failure> {
        self.executor.execute(&self.account, &[step]).await.remove(0).result
    }

    /// Lets the cache know an object as a watch would.
    fn knows(&self, object: &Value) {
        self.executor.live.record(Live::from_json(&object.to_string()).unwrap());
    }
}

const OBJECT: &str = "/api/v1/namespaces/east/baskets/plums";

#[tokio::test]
async fn apply_is_a_forced_and_strict_patch_as_the_account() {
    let bench = Bench::new(|_| Reply::Json(201, live("u1", "5")));
    let done = bench.run(step(Action::Apply(manifest()))).await.unwrap();
    assert!(matches!(done, Done::Created(live) if live.resource_version == "5"));
    let asked = bench.log.last();
    let line = format!("PATCH {OBJECT}?fieldManager=gitops&force=true&fieldValidation=Strict");
    assert_eq!((asked.line, asked.user.as_str()), (line, "system:serviceaccount:orchard:picker"));
    assert_eq!(asked.body, *manifest().value());
    assert_eq!(bench.executor.live.of("fruit").len(), 1);
}

#[tokio::test]
async fn apply_that_keeps_the_version_changed_nothing() {
    let bench = Bench::new(|_| Reply::Json(200, live("u1", "5")));
    let unknown = bench.run(step(Action::Apply(manifest()))).await.unwrap();
    assert!(matches!(unknown, Done::Configured(_)));
    let same = bench.run(step(Action::Apply(manifest()))).await.unwrap();
    assert!(matches!(same, Done::Unchanged(_)));
    let older = Bench::new(|_| Reply::Json(200, live("u1", "6")));
    older.knows(&live("u1", "5"));
    assert!(matches!(older.run(step(Action::Apply(manifest()))).await.unwrap(), Done::Configured(_)));
}

#[tokio::test]
async fn a_dry_run_is_judged_by_content_and_leaves_no_trace() {
    let check = async |answered: Value, unchanged: bool| {
        let bench = Bench::new(move |_| Reply::Json(200, answered.clone()));
        bench.knows(&live("u1", "5"));
        let done = bench.run(Step { dry_run: true, ..step(Action::Apply(manifest())) }).await.unwrap();
        assert_eq!(matches!(done, Done::Unchanged(_)), unchanged);
        assert!(bench.log.last().line.ends_with("&dryRun=All"));
        assert_eq!(bench.executor.live.get(&key()).unwrap().value()["size"], 2);
    };
    let mut same = live("u1", "5");
    same["metadata"]["managedFields"] = json!([{"manager": "gitops"}]);
    check(same, true).await;
    let mut larger = live("u1", "5");
    larger["size"] = 3.into();
    check(larger, false).await;
}

#[tokio::test]
async fn a_broken_connection_is_tried_once_more() {
    let tries = AtomicUsize::new(0);
    let once = Bench::new(move |_| match tries.fetch_add(1, Ordering::Relaxed) {
        0 => Reply::Cut,
        _ => Reply::Json(200, live("u1", "5")),
    });
    assert!(once.run(step(Action::Apply(manifest()))).await.is_ok());
    let always = Bench::new(|_| Reply::Cut);
    let failure = always.run(step(Action::Apply(manifest()))).await.unwrap_err();
    assert_eq!((failure.reason, always.log.lines().len()), (Reason::Unavailable, 2));
}

#[tokio::test]
async fn replace_overwrites_what_is_there_or_creates() {
    let bench = Bench::new(|asked| match asked.line.split(' ').next() {
        Some("GET") => Reply::Json(200, live("u1", "5")),
        _ => Reply::Json(200, live("u1", "6")),
    });
    assert!(matches!(bench.run(step(Action::Replace(manifest()))).await.unwrap(), Done::Configured(_)));
    assert_eq!(bench.log.last().line, format!("PUT {OBJECT}?fieldManager=gitops&fieldValidation=Strict"));
    assert_eq!(bench.log.last().body["metadata"]["resourceVersion"], "5");

    let bench = Bench::new(|asked| match asked.line.split(' ').next() {
        Some("GET") => failure(404, "NotFound", "baskets \"plums\" not found"),
        _ => Reply::Json(201, live("u1", "6")),
    });
    assert!(matches!(bench.run(step(Action::Replace(manifest()))).await.unwrap(), Done::Created(_)));
    let line = "POST /api/v1/namespaces/east/baskets?fieldManager=gitops&fieldValidation=Strict";
    assert_eq!(bench.log.last().line, line);
}

#[tokio::test]
async fn recreate_waits_until_the_old_object_is_gone() {
    let reads = AtomicUsize::new(0);
    let bench = Bench::new(move |asked| match asked.line.split(' ').next() {
        Some("GET") if reads.fetch_add(1, Ordering::Relaxed) < 2 => Reply::Json(200, live("u1", "5")),
        Some("GET") => failure(404, "NotFound", "baskets \"plums\" not found"),
        Some("DELETE") => Reply::Json(200, deleting()),
        _ => Reply::Json(201, live("u2", "8")),
    });
    let done = bench.run(step(Action::Recreate(manifest()))).await.unwrap();
    assert!(matches!(done, Done::Created(live) if live.uid == "u2"));
    let methods: Vec<_> =
        bench.log.lines().iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(methods, ["GET", "DELETE", "GET", "GET", "POST"]);
    assert_eq!(bench.executor.live.get(&key()).unwrap().uid, "u2");
}

#[tokio::test]
async fn delete_aims_at_one_uid() {
    let delete = |dry_run| {
        let action = Action::Delete { uid: "u1".into(), propagation: Propagation::Foreground };
        Step { dry_run, ..step(action) }
    };
    let check = async |reply: fn() -> Reply, expected: fn(&Done) -> bool| {
        let bench = Bench::new(move |_| reply());
        let done = bench.run(delete(false)).await.unwrap();
        assert!(expected(&done), "{done:?}");
    };
    let gone = |done: &Done| *done == Done::Gone;
    check(|| Reply::Json(200, json!({"kind": "Status", "apiVersion": "v1", "status": "Success"})), gone)
        .await;
    check(|| Reply::Json(200, live("u1", "6")), gone).await;
    check(|| failure(404, "NotFound", "baskets \"plums\" not found"), gone).await;
    check(|| Reply::Json(200, deleting()), |done| matches!(done, Done::Deleting(_))).await;

    let bench = Bench::new(|_| Reply::Json(200, live("u1", "6")));
    bench.knows(&live("u1", "5"));
    bench.run(delete(true)).await.unwrap();
    let asked = bench.log.last();
    assert_eq!(asked.line, format!("DELETE {OBJECT}"));
    let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": "u1"},
        "propagationPolicy": "Foreground", "dryRun": ["All"]});
    assert_eq!(asked.body, options);
    assert!(bench.executor.live.get(&key()).is_some(), "a dry run deletes nothing");
}

#[tokio::test]
async fn a_conflict_on_delete_is_looked_into() {
    let check = async |present: fn() -> Reply, expected: fn(&Result<Done, Failure>) -> bool| {
        let bench = Bench::new(move |asked| match asked.line.split(' ').next() {
            Some("GET") => present(),
            _ => failure(409, "Conflict", "the UID in the precondition does not match"),
        });
        let action = Action::Delete { uid: "u1".into(), propagation: Propagation::Foreground };
        let result = bench.run(step(action)).await;
        assert!(expected(&result), "{result:?}");
    };
    check(|| Reply::Json(200, live("u2", "9")), |result| *result == Ok(Done::Gone)).await;
    check(|| failure(404, "NotFound", "no"), |result| *result == Ok(Done::Gone)).await;
    check(|| Reply::Json(200, deleting()), |result| matches!(result, Ok(Done::Deleting(_)))).await;
    let refused = |result: &Result<Done, Failure>| {
        result.as_ref().is_err_and(|failure| failure.reason == Reason::Conflict)
    };
    check(|| Reply::Json(200, live("u1", "9")), refused).await;
}

#[tokio::test]
async fn kinds_that_are_not_served_are_told_and_need_no_deleting() {
    let nothing = json!({"kind": "APIGroupDiscoveryList", "items": []});
    let bench = Bench::new(move |_| Reply::Json(200, nothing.clone()));
    let ghost = |action| Step { gvk: Gvk::new("grove.example/v1", "Ghost"), ..step(action) };
    let failure = bench.run(ghost(Action::Apply(manifest()))).await.unwrap_err();
    assert_eq!(failure.reason, Reason::UnknownKind);
    let action = Action::Delete { uid: "u1".into(), propagation: Propagation::Background };
    assert_eq!(bench.run(ghost(action)).await, Ok(Done::Gone));
}

#[tokio::test]
async fn outcomes_keep_the_order_of_the_steps() {
    let bench = Bench::new(|_| failure(422, "Invalid", "Basket \"plums\" is invalid: size: too large"));
    let named =
        |name: &str| Step { key: Key { name: name.into(), ..key() }, ..step(Action::Apply(manifest())) };
    let steps: Vec<_> = (0..40).map(|number| named(&format!("plums-{number}"))).collect();
    let outcomes = bench.executor.execute(&bench.account, &steps).await;
    assert!(outcomes.iter().zip(&steps).all(|(outcome, step)| outcome.key == step.key));
    assert!(outcomes.iter().all(|outcome| outcome.result.as_ref().unwrap_err().reason == Reason::Invalid));
}

#[tokio::test]
async fn a_prediction_is_the_answer_to_a_dry_run() {
    let bench = Bench::new(|_| Reply::Json(200, live("u1", "5")));
    let predicted = bench.executor.predict(&bench.account, &key(), &manifest()).await.unwrap();
    assert_eq!(predicted["size"], 2);
    assert!(bench.log.last().line.ends_with("&dryRun=All"));
}

#[tokio::test]
async fn a_definition_is_settled_when_its_kind_is_served() {
    let asked_before = AtomicUsize::new(0);
    let definition = json!({"apiVersion": "v1", "kind": "Basket", "metadata": {"name": "plums"}});
    let bench = Bench::new(move |asked| match asked.line.as_str() {
        "GET /apis" if asked_before.fetch_add(1, Ordering::Relaxed) < 1 => {
            Reply::Json(200, json!({"items": []}))
        }
        "GET /apis" => Reply::Json(
            200,
            json!({"items": [{"metadata": {"name": "grove.example"}, "versions": [{"version": "v1",
            "resources": [{"resource": "trees", "scope": "Cluster", "verbs": [], "responseKind": {"kind": "Tree"}}]}]}]}),
        ),
        _ => Reply::Json(200, definition.clone()),
    });
    let tree = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "trees.grove.example"},
        "spec": {"group": "grove.example", "names": {"kind": "Tree"}, "versions": [{"name": "v1", "served": true}]}});
    let done = Done::Created(Live::from_json(&tree.to_string()).unwrap());
    let settled = settle::settle(&done, &bench.executor.discovery);
    tokio::time::timeout(Duration::from_secs(20), settled).await.unwrap();
    assert_eq!(bench.executor.discovery.scope(&Gvk::new("grove.example/v1", "Tree")), Some(Scope::Cluster));
    assert_eq!(bench.log.lines().iter().filter(|line| *line == "GET /apis").count(), 2);
}
