//! Rules of `ignoreDifferences` against small objects.

use super::*;
use crate::engine::live::Live;
use serde_json::json;

fn rules(entries: Value) -> Result<Rules, Error> {
    let entries: Vec<ResourceIgnoreDifferences> = serde_json::from_value(entries).unwrap();
    Rules::new(&entries)
}

fn key(group: &str, kind: &str) -> Key {
    Key { group: group.into(), kind: kind.into(), namespace: "tea".into(), name: "pot".into() }
}

#[test]
fn entries_match_by_globs_and_exact_names() {
    let check = |mut entry: Value, expected: bool| {
        entry["jsonPointers"] = json!(["/spec"]);
        let ignore = rules(json!([entry])).unwrap().of(&key("apps", "Deployment"));
        assert_eq!(!ignore.is_empty(), expected, "{entry}");
    };
    check(json!({"group": "apps", "kind": "Deployment"}), true);
    check(json!({"group": "*", "kind": "*"}), true);
    check(json!({"group": "apps", "kind": "{Deploy,Daemon}*"}), true);
    check(json!({"kind": "Deployment"}), false);
    check(json!({"group": "apps", "kind": "Deployment", "name": "pot", "namespace": "tea"}), true);
    check(json!({"group": "apps", "kind": "Deployment", "name": "cup"}), false);
    check(json!({"group": "apps", "kind": "Deployment", "namespace": "milk"}), false);
    check(json!({"group": "apps", "kind": "Deployment", "namespace": ""}), true);
}

#[test]
fn errors_name_what_is_wrong() {
    let check = |entry: Value, expected: &str| {
        let error = rules(json!([entry])).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(json!({"kind": "x", "jsonPointers": ["spec/replicas"]}), "`spec/replicas` does not start with `/`");
    check(json!({"kind": "x", "jqPathExpressions": [".spec["]}), "`.spec[`: expected closing bracket");
    check(json!({"kind": "[x"}), "`[x` is not a glob");
}

#[test]
fn stripping_takes_pointers_expressions_and_managers() {
    let ignore =
        rules(json!([{"group": "apps", "kind": "Deployment", "jsonPointers": ["/metadata/annotations/a~1b"],
        "jqPathExpressions": [".spec.containers[] | select(.name == \"side\")"],
        "managedFieldsManagers": ["scaler"]}]))
        .unwrap()
        .of(&key("apps", "Deployment"));
    let managed = json!([{"manager": "scaler", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
        {"manager": "other", "fieldsV1": {"f:spec": {"f:paused": {}}}}]);
    let mut object = json!({"metadata": {"annotations": {"a/b": "1", "c": "2"}, "managedFields": managed},
        "spec": {"replicas": 3, "paused": false, "containers": [{"name": "main"}, {"name": "side"}]}});
    ignore.strip(&mut object);
    let expected = json!({"metadata": {"annotations": {"c": "2"}, "managedFields": managed},
        "spec": {"paused": false, "containers": [{"name": "main"}]}});
    assert_eq!(object, expected);
}

#[test]
fn gathered_cluster_roles_keep_their_gathered_rules() {
    let ignore = Rules::default().of(&key("rbac.authorization.k8s.io", "ClusterRole"));
    let mut gathered =
        json!({"aggregationRule": {"clusterRoleSelectors": []}, "rules": [{"verbs": ["get"]}]});
    ignore.strip(&mut gathered);
    assert_eq!(gathered, json!({"aggregationRule": {"clusterRoleSelectors": []}}));
    let mut plain = json!({"rules": [{"verbs": ["get"]}]});
    ignore.strip(&mut plain);
    assert_eq!(plain, json!({"rules": [{"verbs": ["get"]}]}));
}

/// What is applied to a live Deployment with 5 replicas of which we own `ours`.
fn applied(ignore: &Value, ours: &Value, spec: &Value) -> Value {
    let rule = json!({"group": "apps", "kind": "Deployment", "jqPathExpressions": ignore});
    let ignore = rules(json!([rule])).unwrap().of(&key("apps", "Deployment"));
    let object = |spec: &Value| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "pot", "namespace": "tea"}, "spec": spec})
    };
    let mut live = object(&json!({"replicas": 5, "paused": true, "containers": [
        {"name": "side", "image": "side:live", "tty": true}, {"name": "main", "image": "main:live"}]}));
    live["metadata"]["managedFields"] = json!([{"manager": "gitops", "operation": "Apply",
        "apiVersion": "apps/v1", "fieldsV1": {"f:spec": ours}}]);
    let live = Live::from_json(&live.to_string()).unwrap();
    let mut desired = Manifest::new(object(spec)).unwrap();
    ignore.omit(&mut desired, &live);
    desired.value()["spec"].clone()
}

#[test]
fn omitted_fields_of_others_are_left_out() {
    let left = applied(
        &json!([".spec.replicas"]),
        &json!({"f:paused": {}}),
        &json!({"replicas": 2, "paused": false}),
    );
    assert_eq!(left, json!({"paused": false}));
}

#[test]
fn omitted_fields_that_we_own_keep_their_live_value() {
    let check = |ignore: Value, ours: Value, spec: Value, expected: Value| {
        assert_eq!(applied(&ignore, &ours, &spec), expected, "{ignore}");
    };
    let replicas = json!({"f:replicas": {}});
    check(json!([".spec.replicas"]), replicas.clone(), json!({"replicas": 2}), json!({"replicas": 5}));
    check(
        json!([".spec.replicas"]),
        replicas,
        json!({"paused": true}),
        json!({"paused": true, "replicas": 5}),
    );
    let containers = json!({"f:containers": {"k:{\"name\":\"side\"}": {".": {}, "f:name": {}, "f:image": {}},
        "k:{\"name\":\"main\"}": {".": {}, "f:name": {}, "f:image": {}}}});
    let main = json!({"name": "main", "image": "main:git"});
    check(
        json!([".spec.containers[] | select(.name == \"side\")"]),
        containers.clone(),
        json!({"containers": [{"name": "side", "image": "side:git"}, main]}),
        json!({"containers": [{"name": "side", "image": "side:live"}, main]}),
    );
    check(
        json!([".spec.containers[].image"]),
        containers,
        json!({"containers": [main]}),
        json!({"containers": [{"name": "main", "image": "main:live"}]}),
    );
}

#[test]
fn an_object_without_its_name_is_not_applied() {
    let rule = json!({"kind": "ConfigMap", "jsonPointers": ["/metadata/name"]});
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "pot"}});
    let live = Live::from_json(&object.to_string()).unwrap();
    let mut desired = Manifest::new(object).unwrap();
    rules(json!([rule])).unwrap().of(&key("", "ConfigMap")).omit(&mut desired, &live);
    assert_eq!(desired.name(), "pot");
}
