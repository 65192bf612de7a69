//! The fixtures are recorded from kube-apiserver 1.37: what was applied as `gitops`, what then was live, and
//! what a dry run of applying predicted.

use super::*;
use crate::engine::ignore::Rules;
use serde_json::json;

struct Case {
    name: String,
    desired: Manifest,
    live: Live,
    predicted: Value,
}

fn recorded(lines: &str) -> Vec<Case> {
    let case = |line: &str| {
        let mut case: Value = serde_json::from_str(line).unwrap();
        Case {
            name: case["case"].as_str().unwrap_or_default().into(),
            desired: Manifest::new(case["desired"].take()).unwrap(),
            live: Live::from_json(&case["live"].to_string()).unwrap(),
            predicted: case["predicted"].take(),
        }
    };
    lines.lines().map(case).collect()
}

fn nothing(live: &Live) -> Ignore {
    Rules::default().of(&live.key)
}

#[test]
fn objects_are_synced_right_after_they_were_applied() {
    for Case { desired, live, .. } in recorded(include_str!("fixtures/applied.jsonl")) {
        // Their schemas have defaults within lists that are owned as a whole.
        let undecided = ["LimitRange", "Blend"].contains(&desired.kind());
        let expected = if undecided { Verdict::Undecided } else { Verdict::Synced };
        assert_eq!(local(&desired, &live, &nothing(&live)), expected, "{}", live.key);
    }
}

#[test]
fn changes_are_never_called_synced_and_paths_are_those_that_change() {
    let cases = recorded(include_str!("fixtures/changed.jsonl"));
    let check = |name: &str, verdict: &str, paths: &[&str]| {
        let case = cases.iter().find(|case| case.name == name).unwrap();
        let ignore = nothing(&case.live);
        let found = local(&case.desired, &case.live, &ignore);
        assert!(format!("{found:?}").starts_with(verdict), "{name}: {found:?}");
        assert_eq!(predicted(&case.live.value(), &case.predicted, &ignore), paths, "{name}");
        if let Verdict::Differs(found) = found {
            assert_eq!(found, paths, "{name}");
        }
    };
    check("menu: set data/tea", "Undecided", &[".data.tea"]);
    check("menu: del data/cup", "Differs", &[".data.cup"]);
    check("menu: add metadata/annotations/new", "Undecided", &[".metadata.annotations.new"]);
    check("menu: drift-del data/tea", "Undecided", &[".data.tea"]);
    check("menu: drift-add metadata/labels/new", "Synced", &[]);
    check("till: del stringData/pin", "Undecided", &[]);
    check("counter: set spec/ports", "Undecided", &[".spec.ports (order)"]);
    check("counter: del spec/ports/2", "Undecided", &[".spec.ports[name=dns]"]);
    let image = ".spec.template.spec.containers[name=boil].image";
    check("kettle: set spec/template/spec/containers/0/image", "Undecided", &[image]);
    check("kettle: drift-set spec/replicas", "Undecided", &[".spec.replicas"]);
    check("wall: set spec/podSelector", "Undecided", &[]);
    check("wall: del spec/egress/0/to", "Undecided", &[".spec.egress[0].to"]);
    check("barista: del subjects/1", "Undecided", &[".subjects[name=default]"]);
    check("tea-all: del aggregationRule", "Undecided", &[".aggregationRule"]);
    check("earl: set spec/tags", "Undecided", &[".spec.tags"]);
    check("earl: drift-set spec/note", "Undecided", &[".spec.note"]);
    assert_eq!(cases.len(), 16);
}
/// Compares a Deployment with this `spec` with a live one of which we own `ours` and a scaler `theirs`.
fn owning(spec: &Value, live: &Value, ours: &Value, theirs: &Value, rule: &Value) -> Verdict {
    let object = |spec: &Value| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "pot", "namespace": "tea"}, "spec": spec})
    };
    let entry = |manager: &str, operation: &str, fields: &Value| {
        json!({"manager": manager,
        "operation": operation, "apiVersion": "apps/v1", "fieldsV1": {"f:spec": fields}})
    };
    let mut current = object(live);
    current["metadata"]["managedFields"] =
        json!([entry("gitops", "Apply", ours), entry("scaler", "Update", theirs)]);
    let live = Live::from_json(&current.to_string()).unwrap();
    let mut rule = rule.clone();
    rule["group"] = "apps".into();
    rule["kind"] = "Deployment".into();
    let rules = Rules::new(&[serde_json::from_value(rule).unwrap()]).unwrap();
    local(&Manifest::new(object(spec)).unwrap(), &live, &rules.of(&live.key))
}

#[test]
fn ignored_fields_do_not_count_whoever_owns_them() {
    let check = |rule: Value, expected: Verdict| {
        let spec = json!({"replicas": 2, "paused": false});
        let live = json!({"replicas": 5, "paused": false});
        let paused = json!({"f:paused": {}});
        let both = json!({"f:paused": {}, "f:replicas": {}});
        let replicas = json!({"f:replicas": {}});
        assert_eq!(owning(&spec, &live, &paused, &replicas, &rule), expected, "{rule}");
        assert_eq!(owning(&json!({"paused": false}), &live, &both, &replicas, &rule), expected, "{rule}");
    };
    check(json!({"jsonPointers": ["/spec/replicas"]}), Verdict::Synced);
    check(json!({"jqPathExpressions": [".spec.replicas"]}), Verdict::Synced);
    check(json!({"managedFieldsManagers": ["scaler"]}), Verdict::Synced);
    check(json!({"managedFieldsManagers": ["other"]}), Verdict::Undecided);
    check(json!({"jsonPointers": ["/spec/paused"]}), Verdict::Undecided);
}

#[test]
fn ignored_items_and_their_parts_do_not_count() {
    let ours = json!({"f:containers": {
        "k:{\"name\":\"main\"}": {".": {}, "f:name": {}, "f:image": {}},
        "k:{\"name\":\"side\"}": {".": {}, "f:name": {}, "f:image": {}}}});
    let live = json!({"containers": [{"name": "main", "image": "m:1"}, {"name": "side", "image": "s:9"}]});
    let check = |expression: &str, containers: Value, expected| {
        let rule = json!({"jqPathExpressions": [expression]});
        let spec = json!({"containers": containers});
        assert_eq!(owning(&spec, &live, &ours, &json!({}), &rule), expected, "{expression}");
    };
    let main = json!({"name": "main", "image": "m:1"});
    let side = json!({"name": "side", "image": "s:1"});
    let of_side = ".spec.containers[] | select(.name == \"side\")";
    check("empty", json!([main, side]), Verdict::Undecided);
    check(of_side, json!([main, side]), Verdict::Synced);
    check(of_side, json!([main]), Verdict::Synced);
    check(".spec.containers[1].image", json!([main, side]), Verdict::Synced);
    check(".spec.containers[1].image", json!([main]), Verdict::Undecided);
    check(".spec.containers[].image", json!([{"name": "main", "image": "m:7"}, side]), Verdict::Synced);
}

#[test]
fn ports_are_told_apart_by_the_protocol_they_default_to() {
    let item = |protocol: &str| format!("k:{{\"port\":53,\"protocol\":\"{protocol}\"}}");
    let ours = json!({"f:ports": {item("TCP"): {".": {}, "f:port": {}},
        item("UDP"): {".": {}, "f:port": {}, "f:protocol": {}}}});
    let live = json!({"ports": [{"port": 53, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]});
    let check = |ports: Value, expected| {
        assert_eq!(
            owning(&json!({"ports": ports}), &live, &ours, &json!({}), &json!({})),
            expected,
            "{ports}"
        );
    };
    check(json!([{"port": 53}, {"port": 53, "protocol": "UDP"}]), Verdict::Synced);
    check(json!([{"port": 53, "protocol": "UDP"}, {"port": 53}]), Verdict::Undecided);
    check(json!([{"port": 53}, {"port": 53}]), Verdict::Undecided);
    check(json!([{"port": 53}]), Verdict::Undecided);
}

#[test]
fn without_our_record_in_this_version_nothing_is_decided() {
    let object =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "pot"}, "data": {"a": "1"}});
    let desired = Manifest::new(object.clone()).unwrap();
    let check = |managed: Value| {
        let mut live = object.clone();
        live["metadata"]["managedFields"] = json!([managed]);
        let live = Live::from_json(&live.to_string()).unwrap();
        assert_eq!(local(&desired, &live, &Ignore::default()), Verdict::Undecided, "{managed}");
    };
    let fields = json!({"f:data": {"f:a": {}}});
    check(json!({"manager": "gitops", "operation": "Update", "apiVersion": "v1", "fieldsV1": fields}));
    check(json!({"manager": "other", "operation": "Apply", "apiVersion": "v1", "fieldsV1": fields}));
    check(json!({"manager": "gitops", "operation": "Apply", "apiVersion": "v2", "fieldsV1": fields}));
    check(json!({"manager": "gitops", "operation": "Apply", "apiVersion": "v1", "subresource": "status",
        "fieldsV1": fields}));
    check(json!({"manager": "gitops", "operation": "Apply", "apiVersion": "v1", "fieldsV1": {"?": {}}}));
}

#[test]
fn entries_that_others_own_too_stay_when_we_give_them_up() {
    let check = |manager: &str, expected: Verdict| {
        let fields = |names: &[&str]| {
            let names = names.iter().map(|name| (format!("f:{name}"), json!({}))).collect();
            json!({"f:data": Value::Object(names)})
        };
        let entry = |manager: &str, operation: &str, names: &[&str]| {
            json!({"manager": manager,
            "operation": operation, "apiVersion": "v1", "fieldsV1": fields(names)})
        };
        let object = |data: Value| {
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "pot"},
            "data": data})
        };
        let mut live = object(json!({"a": "1", "b": "2"}));
        live["metadata"]["managedFields"] =
            json!([entry("gitops", "Apply", &["a", "b"]), entry(manager, "Update", &["b"])]);
        let live = Live::from_json(&live.to_string()).unwrap();
        let desired = Manifest::new(object(json!({"a": "1"}))).unwrap();
        assert_eq!(local(&desired, &live, &Ignore::default()), expected, "{manager}");
    };
    check("cook", Verdict::Synced);
    check("gitops", Verdict::Synced); // an update under our name is another owner to the server
}

#[test]
fn paths_are_readable_capped_and_without_values() {
    let check = |a: Value, b: Value, expected: &[&str]| {
        assert_eq!(predicted(&a, &b, &Ignore::default()), expected, "{a} {b}");
    };
    check(
        json!({"metadata": {"uid": "1", "generation": 1, "managedFields": []}, "status": {"a": 1}}),
        json!({"metadata": {"uid": "2", "generation": 2, "resourceVersion": "9"}}),
        &[],
    );
    check(
        json!({"metadata": {"annotations": {"a.b/c": "1"}}, "data": {"pin": "hush"}}),
        json!({"metadata": {"annotations": {"a.b/c": "2"}}, "data": {"pin": "hushed", "x": null}}),
        &[".data.pin", ".metadata.annotations[\"a.b/c\"]"],
    );
    check(
        json!({"spec": {"status": 1, "uid": 1}}),
        json!({"spec": {"status": 2, "uid": 2}}),
        &[".spec.status", ".spec.uid"],
    );
    let named =
        |names: &[&str]| json!({"l": names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()});
    check(named(&["a", "b"]), named(&["b", "c"]), &[".l[name=a]", ".l[name=c]"]);
    check(named(&["a", "b"]), named(&["b", "a"]), &[".l (order)"]);
    check(named(&["a", "a"]), named(&["a", "b"]), &[".l[1].name"]);
    check(json!({"l": [1, 2]}), json!({"l": [1, 3, 4]}), &[".l[1]", ".l[2]"]);
    check(json!({"a": {"b": 1}}), json!({"a": [1]}), &[".a"]);
    let many = |value: u32| Value::Object((0..30).map(|i| (format!("f{i:02}"), json!(value))).collect());
    let paths = predicted(&many(1), &many(2), &Ignore::default());
    assert_eq!((paths.len(), paths[20].as_str()), (21, "and 10 more"));
}

#[test]
fn predictions_leave_out_what_is_ignored_on_either_side() {
    let rule = json!({"kind": "Pot", "jqPathExpressions": [".spec.l[] | select(.name == \"side\")"],
        "managedFieldsManagers": ["scaler"]});
    let rules = Rules::new(&[serde_json::from_value(rule).unwrap()]).unwrap();
    let key = crate::manifest::Key {
        group: String::new(),
        kind: "Pot".into(),
        namespace: String::new(),
        name: "pot".into(),
    };
    let managed = json!([{"manager": "scaler", "fieldsV1": {"f:spec": {"f:size": {}}}}]);
    let live = json!({"metadata": {"managedFields": managed}, "spec": {"size": 5,
        "l": [{"name": "side", "x": 1}, {"name": "main", "x": 1}]}});
    let answer = json!({"metadata": {}, "spec": {"size": 2, "l": [{"name": "main", "x": 2}]}});
    assert_eq!(predicted(&live, &answer, &rules.of(&key)), [".spec.l[name=main].x"]);
}
