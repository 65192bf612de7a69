//! Cells against what kube-apiserver 1.37 printed: a line of `recorded.jsonl` is an object without what no
//! cell tells, its cells, and when it was printed.

use std::sync::Arc;

use super::*;
use crate::embedded::kinds::Kinds;
use crate::embedded::schema::Schema;
use crate::manifest::{Gvk, Scope};

#[test]
fn built_in_kinds_are_printed_as_recorded() {
    let kinds = Kinds::builtin();
    for line in include_str!("recorded.jsonl").lines() {
        let mut recorded: Value = serde_json::from_str(line).unwrap();
        let (api_version, name) = recorded["kind"].as_str().unwrap().split_once(' ').unwrap();
        let gvk = Gvk::new(api_version, name);
        recorded["object"]["kind"] = gvk.kind.as_str().into();
        let kind = kinds.of(&gvk.group, &gvk.version, &gvk.kind).unwrap();
        let now: Timestamp = recorded["now"].as_str().unwrap().parse().unwrap();
        let cells = cells(&kind, &recorded["object"], now);
        assert_eq!(Value::from(cells), recorded["cells"], "{gvk} {}", recorded["object"]["metadata"]["name"]);
        let conditions = conditions(&kind, &recorded["object"]);
        assert_eq!(conditions.unwrap_or_default(), recorded["conditions"], "{gvk}");
    }
}

#[test]
fn every_column_has_a_cell() {
    for kind in Kinds::builtin().all() {
        let columns = columns(&kind).as_array().unwrap().len();
        if kind.verbs.contains(&"list".into()) && kind.gvk.kind != "IPAddress" {
            assert_eq!(cells(&kind, &json!({}), Timestamp::UNIX_EPOCH).len(), columns, "{}", kind.gvk);
        }
    }
}

fn widgets(columns: Value) -> Kind {
    Kind {
        gvk: Gvk::new("example.org/v1", "Widget"),
        plural: "widgets".into(),
        singular: "widget".into(),
        short_names: Vec::new(),
        categories: Vec::new(),
        scope: Scope::Namespaced,
        verbs: Vec::new(),
        subresources: Vec::new(),
        schema: Schema::of_custom(&json!({"type": "object"})),
        resource: "widgets.example.org".into(),
        stored_version: "v1".into(),
        custom: Some(Arc::new(json!({}))),
        columns: Arc::new(columns),
    }
}

#[test]
fn custom_columns() {
    let now: Timestamp = "2026-11-25T09:32:11Z".parse().unwrap();
    let object = json!({
        "metadata": {"name": "w1", "labels": {"a.b/c": "lab"}, "creationTimestamp": "2026-11-25T09:32:01Z"},
        "spec": {"size": 5, "list": [{"name": "a", "n": 1}, {"name": "b", "n": 2}], "flag": true, "num": 1.5,
            "when": "2026-11-20T00:00:00Z", "obj": {"a": 1, "b": ["x"]}, "text": "hello", "nothing": null},
        "status": {"conditions": [{"type": "Other", "status": "False"}, {"type": "Ready", "status": "True"}]},
    });
    let check = |kind: &str, path: &str, expected: Value| {
        let kind = widgets(json!([{"name": "It", "type": kind, "jsonPath": path}]));
        assert_eq!(cells(&kind, &object, now), [json!("w1"), expected], "{path}");
    };
    check("integer", ".spec.size", json!(5));
    check("string", ".spec.size", json!("5"));
    check("integer", ".spec.text", Value::Null);
    check("integer", ".spec.num", json!(1));
    check("number", ".spec.num", json!(1.5));
    check("boolean", ".spec.flag", json!(true));
    check("boolean", ".spec.text", Value::Null);
    check("string", ".spec.flag", json!("true"));
    check("string", ".spec.obj", json!(r#"{"a":1,"b":["x"]}"#));
    check("string", ".spec.missing.deeper", Value::Null);
    check("string", ".spec.nothing", Value::Null);
    check("date", ".spec.when", json!("5d9h"));
    check("date", ".spec.text", json!("<invalid>"));
    check("date", ".metadata.creationTimestamp", json!("10s"));
    check("string", r".metadata.labels.a\.b/c", json!("lab"));
    check("string", ".metadata.labels['a.b/c']", json!("lab"));
    check("string", ".spec.list[*].name", json!("a"));
    check("string", ".spec.list[1].name", json!("b"));
    check("string", ".spec.list[-1].name", json!("b"));
    check("string", ".spec.list[7].name", Value::Null);
    check("string", ".spec.list[?(@.n>1)].name", json!("b"));
    check("string", ".spec.list[?(@.m)].name", Value::Null);
    check("string", r#".status.conditions[?(@.type=="Ready")].status"#, json!("True"));
    check("string", ".status.conditions[?(@.type == 'Other')].status", json!("False"));
    check("string", "spec.size[", Value::Null);

    assert_eq!(cells(&widgets(json!([])), &object, now), [json!("w1"), json!("10s")]);
    let kind = widgets(json!([{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}]));
    assert_eq!(
        columns(&kind)[1],
        json!({"name": "Size", "type": "integer", "format": "", "priority": 0,
            "description": "Custom resource definition column (in JSONPath format): .spec.size"})
    );
}

#[test]
fn durations() {
    let check = |seconds: i64, expected: &str| {
        assert_eq!(human(SignedDuration::from_secs(seconds)), expected, "{seconds}");
    };
    for (seconds, expected) in [
        (-2, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (121, "2m1s"),
        (599, "9m59s"),
        (600, "10m"),
        (10_799, "179m"),
        (10_800, "3h"),
        (10_860, "3h1m"),
        (28_800, "8h"),
        (172_799, "47h"),
        (172_800, "2d"),
        (176_400, "2d1h"),
        (691_200, "8d"),
        (63_071_999, "729d"),
        (63_072_000, "2y"),
        (63_158_400, "2y1d"),
        (252_288_000, "8y"),
    ] {
        check(seconds, expected);
    }
}
