//! Which expressions are taken, and what they find.

use super::*;
use serde_json::json;

fn delete(code: &str, mut value: Value) -> Value {
    let mut places = Places::default();
    Expression::compile(code).unwrap().find(&value, &mut places);
    places.remove_from(&mut value);
    value
}

fn workload() -> Value {
    json!({"kind": "Deployment", "spec": {"replicas": 2, "containers": [
        {"name": "shop", "image": "shop:1", "env": [{"name": "A", "value": "1"}, {"name": "B"}]},
        {"name": "proxy", "image": "proxy:7"}]}})
}

#[test]
fn places_are_deleted_as_jq_deletes_them() {
    let check = |code, pointers: &[&str]| {
        let mut expected = workload();
        for pointer in pointers {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            match expected.pointer_mut(parent).unwrap() {
                Value::Object(object) => drop(object.shift_remove(name)),
                Value::Array(items) => drop(items.remove(name.parse().unwrap())),
                _ => unreachable!(),
            }
        }
        assert_eq!(delete(code, workload()), expected, "{code}");
    };
    check(".spec.replicas", &["/spec/replicas"]);
    check(".spec.containers[] | select(.name == \"proxy\")", &["/spec/containers/1"]);
    check(
        ".spec.containers[].env[]? | select(.name | startswith(\"A\")) # why",
        &["/spec/containers/0/env/0"],
    );
    check(".spec.containers[0, 1]", &["/spec/containers/1", "/spec/containers/0"]);
    check(".spec.containers[-1].image, .spec.replicas", &["/spec/containers/1/image", "/spec/replicas"]);
    check(".. | .env?", &["/spec/containers/0/env"]);
    check("first(.spec.containers[])", &["/spec/containers/0"]);
    check(".spec.containers[1:]", &["/spec/containers/1"]);
    check("if .kind == \"Deployment\" then .spec.replicas else empty end", &["/spec/replicas"]);
    check(".spec.containers[] | select(.name | test(\"^sh\")) | .env", &["/spec/containers/0/env"]);
}

#[test]
fn what_is_not_there_or_fails_changes_nothing() {
    for code in [
        ".a.b.c",
        ".spec.none[]",
        ".spec.containers[7]",
        ".spec.containers[].resources.limits.cpu",
        ".",
        "empty",
        ".spec | error",
        ".spec.none[]?.x",
        ".spec.containers | map(.image)[0]",
    ] {
        assert_eq!(delete(code, workload()), workload(), "{code}");
    }
}

#[test]
fn errors_say_what_is_wrong() {
    let check = |code: &str, expected: &str| {
        let error = Expression::compile(code).unwrap_err();
        assert!(error.contains(expected), "{code}: {error}");
    };
    check(".spec[", "closing bracket");
    check("", "expected term at the end");
    check(".spec.replicas)", "at `)`");
    check(".a) | halt | (.b", "at `) | halt");
    check(".spec | foo", "`foo` is not allowed");
    check("$ENV.HOME", "there is no variable `$ENV`");
    check(".a | select(1; 2; 3)", "there is no filter `select`");
    check(&".".repeat(LONGEST + 1), "longer");
}

#[test]
fn nothing_endless_or_outward_is_let_in() {
    for code in [
        "halt",
        "env.HOME",
        "input",
        "now",
        "debug",
        "range(1e9)",
        "repeat(.)",
        "recurse(.)",
        "def f: f; f",
        "reduce .[] as $x (0; .)",
        "\"x\" * 1e9",
        ".a[1e9] = 1",
        "[limit(9; repeat(.))]",
        ".a[(halt)]",
        "\"\\(halt)\"",
        ".[halt:]",
        "{(halt): 1}",
        ". as {(halt): $x} | .",
        "try halt catch halt",
    ] {
        let error = Expression::compile(code).unwrap_err();
        assert!(error.contains("not allowed"), "{code}: {error}");
    }
}

#[test]
fn deep_nesting_is_refused_before_it_is_parsed() {
    for deep in ["(", "[", "-", "try ", "if ", "{a:"] {
        assert!(Expression::compile(&deep.repeat(200)).is_err(), "{deep}");
    }
    let nested = format!("{}.{}", "(".repeat(200), ")".repeat(200));
    assert!(Expression::compile(&nested).unwrap_err().contains("nested deeper"));
}
