//! What a follower asks for and makes of the answers.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::sync::Notify;

use super::*;
use crate::cluster::script::{Log, Reply, server};

/// Writes down what it is told.
#[derive(Default)]
struct Notes {
    told: Mutex<Vec<String>>,
    arrived: Notify,
}

impl Notes {
    fn note(&self, line: String) {
        self.told.lock().unwrap().push(line);
        self.arrived.notify_one();
    }
}

impl Sink for Arc<Notes> {
    fn reset(&self, objects: Vec<Live>, version: &str) {
        let names: Vec<_> = objects.iter().map(|live| live.key.name.as_str()).collect();
        self.note(format!("reset [{}] at {version}", names.join(" ")));
    }

    fn apply(&self, live: Live) {
        self.note(format!("apply {} {}", live.key.name, live.gvk));
    }

    fn delete(&self, live: Live) {
        self.note(format!("delete {}", live.key.name));
    }

    fn progress(&self, version: &str) {
        self.note(format!("progress {version}"));
    }

    fn trouble(&self, refusal: &Refusal) {
        self.note(format!("trouble {}", refusal.code()));
    }
}

fn basket(name: &str, version: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Basket", "metadata": {"name": name, "resourceVersion": version}})
}

fn event(r#type: &str, object: &Value) -> Value {
    json!({"type": r#type, "object": object})
}

fn end_of_list(version: &str) -> Value {
    let metadata = json!({"resourceVersion": version, "annotations": {"k8s.io/initial-events-end": "true"}});
    event("BOOKMARK", &json!({"kind": "Basket", "apiVersion": "v1", "metadata": metadata}))
}

fn failure(code: u16) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "code": code, "message": "no"})
}

/// Follows until `count` things were told; returns them and what was asked for.
async fn told(count: usize, answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> (Vec<String>, Log) {
    let (connection, log) = server(move |asked| answer(&asked.line));
    let source = Source {
        client: connection.client(),
        gvk: Gvk::new("v1", "Basket"),
        collection: "/api/v1/baskets".into(),
        selector: Some("gitops/application"),
        form: Form::Whole,
    };
    let notes = Arc::new(Notes::default());
    let enough = async {
        while notes.told.lock().unwrap().len() < count {
            notes.arrived.notified().await;
        }
    };
    tokio::select! {
        biased;
        () = enough => {}
        () = follow(&source, &notes) => {}
    }
    // More may have been told before that was noticed.
    let mut told = notes.told.lock().unwrap().clone();
    told.truncate(count);
    (told, log)
}

fn streams(line: &str) -> bool {
    line.contains("sendInitialEvents=true")
}

#[tokio::test]
async fn a_stream_begins_with_all_objects() {
    let (told, log) = told(4, |_| {
        Reply::Events(vec![
            event("ADDED", &basket("plums", "3")),
            event("ADDED", &basket("pears", "5")),
            end_of_list("9"),
            event("MODIFIED", &basket("plums", "10")),
            event("BOOKMARK", &json!({"metadata": {"resourceVersion": "12"}})),
            event("DELETED", &basket("plums", "13")),
        ])
    })
    .await;
    assert_eq!(told, ["reset [plums pears] at 9", "apply plums v1/Basket", "progress 12", "delete plums"]);
    let [line] = log.lines().try_into().unwrap();
    assert!(
        line.starts_with("GET /api/v1/baskets?watch=true&allowWatchBookmarks=true&timeoutSeconds="),
        "{line}"
    );
    let rest = "&labelSelector=gitops%2Fapplication&sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
    assert!(line.ends_with(rest), "{line}");
}

#[tokio::test]
async fn an_ended_watch_goes_on_where_it_was() {
    let (told, log) = told(3, |line| {
        if streams(line) {
            Reply::Ends(vec![end_of_list("9")])
        } else {
            Reply::Events(vec![event("ADDED", &basket("plums", "11"))])
        }
    })
    .await;
    assert_eq!(told, ["reset [] at 9", "progress 9", "apply plums v1/Basket"]);
    assert!(log.last().line.ends_with("&resourceVersion=9"), "{:?}", log.last());
}

#[tokio::test]
async fn a_cluster_that_cannot_stream_is_listed_page_by_page() {
    let lists = |line: &str| match line {
        line if line.contains("watch=true") => Reply::Events(vec![event("ADDED", &basket("figs", "21"))]),
        line if line.contains("continue=more%2F1") => Reply::Json(
            200,
            json!({"metadata": {"resourceVersion": "20"}, "items": [{"metadata": {"name": "pears"}}]}),
        ),
        _ => Reply::Json(
            200,
            json!({"metadata": {"resourceVersion": "20", "continue": "more/1"},
                "items": [{"metadata": {"name": "plums"}}]}),
        ),
    };
    let expected = ["reset [plums pears] at 20", "progress 20", "apply figs v1/Basket"];
    let in_stream = move |line: &str| match line {
        line if streams(line) => Reply::Events(vec![event("ERROR", &failure(500))]),
        line => lists(line),
    };
    assert_eq!(told(3, in_stream).await.0, expected);
    let at_once = move |line: &str| match line {
        line if streams(line) => Reply::Json(422, failure(422)),
        line => lists(line),
    };
    assert_eq!(told(3, at_once).await.0, expected);
}

#[tokio::test]
async fn an_expired_version_begins_anew() {
    let (told, log) = told(3, |line| match line {
        line if streams(line) => Reply::Ends(vec![event("ADDED", &basket("plums", "3")), end_of_list("9")]),
        _ => Reply::Ends(vec![event("ERROR", &failure(410))]),
    })
    .await;
    assert_eq!(told, ["reset [plums] at 9", "progress 9", "reset [plums] at 9"]);
    assert!(log.lines().len() >= 3, "{:?}", log.lines());
}

#[tokio::test]
async fn trouble_is_told_and_a_missing_collection_ends_it() {
    let (denied, _) = told(1, |_| Reply::Json(403, failure(403))).await;
    assert_eq!(denied, ["trouble 403"]);
    let (cut, _) = told(1, |_| Reply::Cut).await;
    assert_eq!(cut, ["trouble 0"]);
    let (missing, log) = told(1, |_| Reply::Json(404, failure(404))).await;
    assert_eq!((missing.len(), log.lines().len()), (0, 1));
}

#[test]
fn waits_double_up_to_a_limit_and_vary() {
    let mut backoff = Backoff::new("/api/v1/baskets");
    let waits: Vec<_> = (0..10).map(|_| backoff.next()).collect();
    for (failures, wait) in waits.iter().enumerate() {
        let exact = Duration::from_millis(500 << failures.min(6)).min(Duration::from_secs(30));
        assert!(*wait >= exact * 3 / 4 && *wait <= exact * 5 / 4, "{failures}: {wait:?}");
    }
    backoff.reset();
    assert!(backoff.next() < Duration::from_secs(1));
}
