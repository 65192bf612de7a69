//! Patches, held against what a real kube-apiserver answered.

use serde_json::{Value, json};

use super::super::apply::tests::check;
use super::super::kinds::Kinds;
use super::{merge, strategic};

#[test]
fn recorded() {
    check(include_str!("tests/patches.json"));
}

#[test]
fn merge_patches() {
    let check = |live: Value, patch: Value, expected: Value| assert_eq!(merge(&live, &patch), expected);
    check(json!({"a": 1, "b": {"c": 2}}), json!({"a": null, "b": {"d": 3}}), json!({"b": {"c": 2, "d": 3}}));
    // Nulls go with what is new, also in lists, but not where an object is replaced by something else.
    check(json!({}), json!({"a": {"b": null, "c": [{"d": null}]}}), json!({"a": {"c": [{}]}}));
    check(json!({"a": {"b": 1}}), json!({"a": [{"d": null}]}), json!({"a": [{"d": null}]}));
    check(json!({"a": "b"}), json!({"a": {"c": null}}), json!({"a": {}}));
    check(json!({"a": 1}), json!([1]), json!([1]));
}

#[test]
fn json_patches() {
    let live = json!({"a": [1, 2, 3], "b": {"c~/d": {"e": null}}});
    let check = |operations: Value, expected: Option<Value>| {
        assert_eq!(super::json(&live, &operations).ok(), expected, "{operations}");
    };
    check(json!([{"op": "remove", "path": "/a/-2"}]), Some(json!({"a": [1, 3], "b": {"c~/d": {"e": null}}})));
    check(
        json!([{"op": "move", "from": "/b", "path": "/a/0"}, {"op": "remove", "path": "/a/0"}]),
        Some(json!({"a": [1, 2, 3]})),
    );
    check(json!([{"op": "replace", "path": "", "value": {"z": 1}}]), Some(json!({"z": 1})));
    check(
        json!([{"op": "test", "path": "/b/c~0~1d/e", "value": null}, {"op": "remove", "path": "/b"}]),
        Some(json!({"a": [1, 2, 3]})),
    );
    check(json!([{"op": "add", "path": "/b/c~0~1d/e/f", "value": 1}]), None);
    check(json!([{"op": "test", "path": "/a", "value": [1, 2]}]), None);
    check(json!([{"op": "replace", "path": "/a/3", "value": 1}]), None);
    assert_eq!(super::json(&live, &json!([{"op": "add"}])).unwrap_err().code, 422);
}

#[test]
fn strategic_merge_patches() {
    let kind = Kinds::builtin().of("", "v1", "ServiceAccount").unwrap();
    let check = |live: Value, patch: Value, expected: Result<Value, &str>| {
        let patched = strategic(&kind.schema, &json!({"secrets": live}), &patch);
        let expected = expected.map(|list| json!({"secrets": list})).map_err(str::to_owned);
        assert_eq!(patched.map_err(|status| status.message), expected, "{patch}");
    };
    let named =
        |names: &str| -> Value { names.chars().map(|name| json!({"name": name.to_string()})).collect() };
    let order = "$setElementOrder/secrets";
    // What was added comes after what remains only if nothing was deleted to make place.
    check(named("b"), json!({order: named("ad"), "secrets": named("ad")}), Ok(named("adb")));
    let mut patch = named("ad");
    patch.as_array_mut().unwrap().push(json!({"name": "c", "$patch": "delete"}));
    check(named("cb"), json!({order: named("ad"), "secrets": patch}), Ok(named("bad")));
    check(named("abc"), json!({order: named("ca")}), Ok(named("bca")));
    check(json!([]), json!({order: [], "secrets": []}), Err("no elements in any of the given slices"));
    check(
        named("a"),
        json!({order: [1], "secrets": named("a")}),
        Err("expected a map[string]interface {}, but received a int64"),
    );
    check(
        json!([]),
        json!({"secrets": [1]}),
        Err("expected a map[string]interface {}, but received a int64"),
    );
}
