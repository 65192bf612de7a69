//! Pairs of stored and served text.

use serde_json::{Value, json};

use super::collection::Collection;
use super::lines::Lines;
use super::*;

const STORED_UID: &str = "0b7e6f3a-2a10-4d2b-9a55-0000000000aa";
const SERVED_UID: &str = "0b7e6f3a-2a10-4d2b-9a55-6769746f70d9";

type Translate = fn(&str, &mut String) -> serde_json::Result<()>;

fn translated(translate: Translate, text: &str) -> String {
    let mut out = String::new();
    translate(text, &mut out).unwrap();
    out
}

/// Both directions of a translation that swaps.
fn check_swap(translate: Translate, stored: &Value, served: &Value) {
    assert_eq!(translated(translate, &stored.to_string()), served.to_string());
    assert_eq!(translated(translate, &served.to_string()), stored.to_string());
}

/// The translation of an answer.
fn check(stored: &Value, served: &Value) {
    assert_eq!(translated(document, &stored.to_string()), served.to_string());
}

fn tide(version: &str, kind: &str, uid: &str) -> Value {
    let applied = format!(
        "{{\"apiVersion\":\"{version}\",\"kind\":\"{kind}\",\"metadata\":{{\"name\":\"tide\"}},\"spec\":{{\"kind\":\"Application\"}}}}\n"
    );
    json!({"apiVersion": version, "kind": kind, "metadata": {
        "name": "tide", "namespace": "harbour", "uid": uid, "resourceVersion": "41",
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": applied, "note": "storage.gitops/v1"},
        "ownerReferences": [{"apiVersion": "gitops/v1", "kind": "Application", "name": "sea", "uid": STORED_UID}],
        "managedFields": [
            {"manager": "kubectl", "operation": "Apply", "apiVersion": version, "fieldsV1": {"f:spec": {}}},
            {"manager": "old", "operation": "Update", "apiVersion": "other/v1"}]},
        "spec": {"apiVersion": "storage.gitops/v1", "metadata": {"uid": STORED_UID}}})
}

fn stored_tide() -> Value {
    tide(STORED, "StoredApplication", STORED_UID)
}

fn served_tide() -> Value {
    tide(SERVED, "Application", SERVED_UID)
}

/// What `as=PartialObjectMetadata` makes of an object.
fn bare(of: &Value) -> Value {
    let mut metadata = of["metadata"].clone();
    metadata["annotations"] = json!({"note": "kept"});
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
}

#[test]
fn objects_swap_names_uid_and_what_metadata_says_of_them() {
    check_swap(object, &stored_tide(), &served_tide());
    check_swap(
        object,
        &json!({"apiVersion": STORED, "kind": "StoredProject", "metadata": {"name": "harbour"}}),
        &json!({"apiVersion": SERVED, "kind": "Project", "metadata": {"name": "harbour"}}),
    );
    check_swap(object, &bare(&stored_tide()), &bare(&served_tide()));
}

#[test]
fn merge_patches_need_not_say_what_they_are() {
    check_swap(
        object,
        &json!({"metadata": {"uid": STORED_UID, "managedFields": null, "annotations": null}, "kind": "StoredApplication"}),
        &json!({"metadata": {"uid": SERVED_UID, "managedFields": null, "annotations": null}, "kind": "Application"}),
    );
    check_swap(object, &json!({"metadata": "oddly a text"}), &json!({"metadata": "oddly a text"}));
}

#[test]
fn objects_of_others_keep_their_names() {
    let argo =
        json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": "tide"}});
    check_swap(object, &argo, &argo);
}

#[test]
fn spec_passes_as_the_text_it_is_and_duplicates_stay() {
    let check = |text: &str, expected: &str| assert_eq!(translated(object, text), expected);
    check(
        r#"{ "apiVersion" : "gitops/v1","spec":{ "n" :1.50e3, "n":2 },"spec":[ ], "a\"b":0 }"#,
        r#"{"apiVersion":"storage.gitops/v1","spec":{ "n" :1.50e3, "n":2 },"spec":[ ],"a\"b":0}"#,
    );
    check(r#"{"api\u0056ersion":"gitops/v1"}"#, r#"{"apiVersion":"storage.gitops/v1"}"#);
}

#[test]
fn lists_and_tables_translate_their_items() {
    check(
        &json!({"apiVersion": STORED, "items": [stored_tide(), stored_tide()], "kind": "StoredApplicationList",
            "metadata": {"resourceVersion": "7", "continue": "eyJ2IjoibWV0YS5rOHMuaW8vdjEifQ"}}),
        &json!({"apiVersion": SERVED, "items": [served_tide(), served_tide()], "kind": "ApplicationList",
            "metadata": {"resourceVersion": "7", "continue": "eyJ2IjoibWV0YS5rOHMuaW8vdjEifQ"}}),
    );
    check(
        &json!({"kind": "StoredProjectList", "apiVersion": STORED, "metadata": {"resourceVersion": "7"}, "items": []}),
        &json!({"kind": "ProjectList", "apiVersion": SERVED, "metadata": {"resourceVersion": "7"}, "items": []}),
    );
    let partial = |item: Value| json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": {}, "items": [item]});
    check(&partial(bare(&stored_tide())), &partial(bare(&served_tide())));
    let table = |object: Value| {
        json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": "7"},
            "columnDefinitions": [{"name": "Name", "type": "string", "items": ["kind"]}],
            "rows": [{"cells": ["tide", null, "a ] } \" \\ , b"], "object": object}, {"cells": [], "object": null}]})
    };
    check(&table(bare(&stored_tide())), &table(bare(&served_tide())));
    check(&table(stored_tide()), &table(served_tide()));
}

#[test]
fn lists_may_arrive_in_any_pieces() {
    let list = |item: Value, version: &str, kind: &str| {
        json!({"apiVersion": version, "items": [item, {"spec": {"note": "café ]},{"}}], "kind": kind, "note": "é"}).to_string()
    };
    let stored = list(stored_tide(), STORED, "StoredApplicationList");
    let expected = list(served_tide(), SERVED, "ApplicationList");
    for size in [1, 2, 7, 64, 4096] {
        let mut collection = Collection::default();
        let served: Vec<u8> =
            stored.as_bytes().chunks(size).flat_map(|chunk| collection.push(chunk).unwrap()).collect();
        assert_eq!(String::from_utf8(served).unwrap(), expected, "in pieces of {size}");
        collection.finish().unwrap();
    }
    let mut torn = Collection::default();
    torn.push(&stored.as_bytes()[..stored.len() - 1]).unwrap();
    assert!(torn.finish().is_err());
}

#[test]
fn watches_may_arrive_in_any_pieces() {
    let bookmark = |version: &str, kind: &str| {
        json!({"type": "BOOKMARK", "object": {"apiVersion": version, "kind": kind, "metadata":
            {"annotations": {"k8s.io/initial-events-end": "true"}, "resourceVersion": "9"}}})
    };
    let stored = format!(
        "{}\n{}\n",
        json!({"type": "ADDED", "object": stored_tide()}),
        bookmark(STORED, "StoredApplication")
    );
    let expected = format!(
        "{}\n{}\n",
        json!({"type": "ADDED", "object": served_tide()}),
        bookmark(SERVED, "Application")
    );
    for size in [1, 3, 100, 1 << 16] {
        let mut lines = Lines::default();
        let mut served: Vec<u8> =
            stored.as_bytes().chunks(size).flat_map(|chunk| lines.push(chunk).unwrap()).collect();
        served.extend(lines.finish().unwrap());
        assert_eq!(String::from_utf8(served).unwrap(), expected, "in pieces of {size}");
    }
    let mut lines = Lines::default();
    assert!(
        lines.push(stored.trim_end().as_bytes()).unwrap().ends_with(b"}\n"),
        "the first event is not held back"
    );
    assert!(!lines.finish().unwrap().is_empty(), "nor is the last one lost");
}

#[test]
fn events_carry_any_form() {
    let check = |stored: Value, served: Value| {
        let event = |object: Value| json!({"type": "ERROR", "object": object}).to_string();
        assert_eq!(translated(super::event, &event(stored)), event(served));
    };
    let status =
        |message: &str| json!({"kind": "Status", "apiVersion": "v1", "message": message, "code": 410});
    check(status("too old resource version: 1 (212)"), status("too old resource version: 1 (212)"));
    let table = |object: Value| json!({"kind": "Table", "columnDefinitions": null, "rows": [{"cells": [""], "object": object}]});
    check(table(bare(&stored_tide())), table(bare(&served_tide())));
}

#[test]
fn refusals_speak_of_served_names() {
    let check = |stored: &str, served: &str| assert_eq!(status::served_words(stored), served);
    check(r#"storedapplications.storage.gitops "tide" not found"#, r#"applications.gitops "tide" not found"#);
    check(
        r#"StoredApplication.storage.gitops "tide" is invalid: kind: Invalid value: "App": must be StoredApplication"#,
        r#"Application.gitops "tide" is invalid: kind: Invalid value: "App": must be Application"#,
    );
    check(
        r#"conflict with "boat" using storage.gitops/v1: .spec.project"#,
        r#"conflict with "boat" using gitops/v1: .spec.project"#,
    );
    check(
        &format!("the UID in the precondition ({STORED_UID}) does not match é {STORED_UID}"),
        &format!("the UID in the precondition ({SERVED_UID}) does not match é {SERVED_UID}"),
    );
    let status = |group: &str, kind: &str, uid: &str, word: &str| {
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": format!("{word} \"tide\" is invalid"), "reason": "Invalid",
            "details": {"name": "tide", "group": group, "kind": kind, "uid": uid, "causes": [
                {"reason": "FieldValueInvalid", "message": format!("must be {word}"), "field": "kind"}]},
            "code": 422})
    };
    super::tests::check(
        &status("storage.gitops", "StoredProject", STORED_UID, "StoredProject"),
        &status("gitops", "Project", SERVED_UID, "Project"),
    );
}

#[test]
fn json_patches_are_translated_by_path() {
    let check = |path: &str, stored: Value, served: Value| {
        let patch = |value: Value| json!([{"op": "remove", "path": "/spec"}, {"op": "test", "path": path, "value": value}]);
        check_swap(patch::json_patch, &patch(stored), &patch(served));
    };
    check("", stored_tide(), served_tide());
    check("/apiVersion", json!(STORED), json!(SERVED));
    check("/kind", json!("StoredApplication"), json!("Application"));
    check("/metadata", stored_tide()["metadata"].clone(), served_tide()["metadata"].clone());
    check("/metadata/uid", json!(STORED_UID), json!(SERVED_UID));
    check(
        "/metadata/managedFields",
        stored_tide()["metadata"]["managedFields"].clone(),
        served_tide()["metadata"]["managedFields"].clone(),
    );
    check("/metadata/managedFields/0", json!({"apiVersion": STORED}), json!({"apiVersion": SERVED}));
    check("/metadata/managedFields/0/apiVersion", json!(STORED), json!(SERVED));
    check(
        "/metadata/annotations",
        stored_tide()["metadata"]["annotations"].clone(),
        served_tide()["metadata"]["annotations"].clone(),
    );
    let applied = "kubectl.kubernetes.io/last-applied-configuration";
    check(
        "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration",
        stored_tide()["metadata"]["annotations"][applied].clone(),
        served_tide()["metadata"]["annotations"][applied].clone(),
    );
    check("/spec/kind", json!("Application"), json!("Application"));
    check("/metadata/annotations/gitops~1refresh", json!("hard"), json!("hard"));
}

#[test]
fn deletions_insist_on_the_stored_uid() {
    let options = |version: &str, uid: &str| {
        json!({"kind": "DeleteOptions", "apiVersion": version, "propagationPolicy": "Background",
            "preconditions": {"uid": uid, "resourceVersion": "551"}})
    };
    check_swap(delete_options, &options("v1", STORED_UID), &options("v1", SERVED_UID));
    check_swap(delete_options, &options(STORED, STORED_UID), &options(SERVED, SERVED_UID));
}
