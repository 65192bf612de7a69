//! Orders in which watches and our own writes can tell of an object.

use super::*;
use serde_json::json;

fn basket(name: &str, uid: &str, version: &str, application: Option<&str>) -> Live {
    let labels = application.map_or(json!({}), |label| json!({"gitops/application": label}));
    let value = json!({"apiVersion": "v1", "kind": "Basket", "metadata": {"name": name, "namespace": "east",
        "uid": uid, "resourceVersion": version, "labels": labels}});
    Live::from_json(&value.to_string()).unwrap()
}

fn kind() -> Kind {
    Kind { group: String::new(), kind: "Basket".into() }
}

fn key(name: &str) -> Key {
    Key { group: String::new(), kind: "Basket".into(), namespace: "east".into(), name: name.into() }
}

/// An index whose watch has listed one basket, `plums` of `fruit`, at version 10.
fn listed() -> Index {
    let mut index = Index::default();
    index.reset(&kind(), vec![basket("plums", "u1", "7", Some("fruit"))], "10");
    index
}

fn version(index: &Index, name: &str) -> Option<String> {
    index.get(&key(name)).map(|live| live.resource_version.clone())
}

fn labels(labels: &[&str]) -> Touched {
    labels.iter().map(ToString::to_string).collect()
}

#[test]
fn a_list_touches_what_differs_from_before() {
    let mut index = listed();
    let next = vec![basket("pears", "u2", "12", Some("fruit")), basket("beans", "u3", "11", Some("greens"))];
    assert_eq!(index.reset(&kind(), next, "15"), labels(&["fruit", "greens"]));
    assert_eq!(version(&index, "plums"), None);
    assert_eq!(index.of("fruit").len(), 1);
    let same = vec![basket("pears", "u2", "12", Some("fruit")), basket("beans", "u3", "11", Some("greens"))];
    assert_eq!(index.reset(&kind(), same, "16"), labels(&[]));
}

#[test]
fn a_list_leaves_other_kinds_and_later_writes_alone() {
    let mut index = listed();
    index.record(basket("pears", "u2", "20", Some("fruit")));
    let other = Kind { group: "grove.example".into(), kind: "Basket".into() };
    assert_eq!(index.reset(&other, Vec::new(), "30"), labels(&[]));
    assert_eq!(index.reset(&kind(), Vec::new(), "15"), labels(&["fruit"]));
    assert_eq!(version(&index, "plums"), None);
    assert_eq!(version(&index, "pears").as_deref(), Some("20"));
}

#[test]
fn the_echo_of_an_own_write_is_no_change() {
    let mut index = listed();
    assert_eq!(index.record(basket("plums", "u1", "12", Some("fruit"))), labels(&[]));
    assert_eq!(index.apply(basket("plums", "u1", "12", Some("fruit"))), labels(&[]));
    assert_eq!(index.apply(basket("plums", "u1", "13", Some("fruit"))), labels(&["fruit"]));
}

#[test]
fn older_events_do_not_undo_an_own_write() {
    let mut index = listed();
    index.record(basket("plums", "u1", "20", Some("fruit")));
    assert_eq!(index.apply(basket("plums", "u1", "15", Some("fruit"))), labels(&[]));
    assert_eq!(index.delete(&basket("plums", "u1", "16", Some("fruit"))), labels(&[]));
    assert_eq!(version(&index, "plums").as_deref(), Some("20"));
}

#[test]
fn a_late_answer_does_not_bring_back_what_the_watch_saw_go() {
    let mut index = listed();
    assert_eq!(index.delete(&basket("plums", "u1", "21", Some("fruit"))), labels(&["fruit"]));
    index.record(basket("plums", "u1", "20", Some("fruit")));
    assert_eq!(version(&index, "plums"), None);
    index.progress(&kind(), "30");
    index.record(basket("pears", "u2", "29", Some("fruit")));
    assert!(index.is_empty());
}

#[test]
fn events_of_an_object_that_we_deleted_do_not_bring_it_back() {
    let mut index = listed();
    index.forget(&key("plums"), "u1");
    assert_eq!(index.apply(basket("plums", "u1", "11", Some("fruit"))), labels(&[]));
    assert_eq!(version(&index, "plums"), None);
    assert_eq!(index.apply(basket("plums", "u9", "14", Some("fruit"))), labels(&["fruit"]));
    assert_eq!(version(&index, "plums").as_deref(), Some("14"));
}

#[test]
fn forgetting_spares_an_object_of_the_same_name_made_since() {
    let mut index = listed();
    index.apply(basket("plums", "u9", "14", Some("fruit")));
    index.forget(&key("plums"), "u1");
    assert_eq!(version(&index, "plums").as_deref(), Some("14"));
    assert_eq!(index.delete(&basket("plums", "u1", "13", Some("fruit"))), labels(&[]));
    assert_eq!(version(&index, "plums").as_deref(), Some("14"));
}

#[test]
fn a_label_that_moves_touches_both_applications() {
    let mut index = listed();
    assert_eq!(index.apply(basket("plums", "u1", "12", Some("greens"))), labels(&["fruit", "greens"]));
    assert!(index.of("fruit").is_empty());
    assert_eq!(index.record(basket("plums", "u1", "13", Some("fruit"))), labels(&["greens"]));
    assert_eq!(index.record(basket("plums", "u1", "14", None)), labels(&["fruit"]));
    assert!(index.is_empty());
}

#[test]
fn writes_to_kinds_that_are_not_watched_yet_are_kept() {
    let mut index = Index::default();
    index.record(basket("plums", "u1", "5", Some("fruit")));
    index.record(basket("plums", "u1", "4", Some("fruit")));
    assert_eq!(version(&index, "plums").as_deref(), Some("5"));
    index.forget(&key("plums"), "u1");
    assert!(index.is_empty());
}

#[test]
fn versions_that_are_not_numbers_go_by_arrival() {
    let mut index = Index::default();
    index.reset(&kind(), vec![basket("plums", "u1", "x-a", Some("fruit"))], "x-a");
    assert_eq!(index.apply(basket("plums", "u1", "x-b", Some("fruit"))), labels(&["fruit"]));
    assert_eq!(index.delete(&basket("plums", "u2", "x-c", Some("fruit"))), labels(&[]));
    assert_eq!(index.delete(&basket("plums", "u1", "x-c", Some("fruit"))), labels(&["fruit"]));
}

#[test]
fn a_cleared_kind_starts_anew() {
    let mut index = listed();
    assert_eq!(index.clear(&kind()), labels(&["fruit"]));
    index.record(basket("plums", "u1", "3", Some("fruit")));
    assert_eq!(version(&index, "plums").as_deref(), Some("3"));
}
