//! Bodies as Go writes them: what is not a pointer is written even if it is empty.

use serde_json::json;

use super::*;

/// Writes a field that holds text, bytes or a message.
fn field(number: u8, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    let length = u8::try_from(content.len()).unwrap();
    assert!(length < 0x80 && number < 16);
    [&[number << 3 | 2, length], content].concat()
}

/// Writes a field that holds a small number.
fn number(number: u8, value: u8) -> Vec<u8> {
    vec![number << 3, value]
}

fn body(version: &str, kind: &str, message: &[u8]) -> Vec<u8> {
    let types = [field(1, version), field(2, kind)].concat();
    let rest = [field(3, ""), field(4, "")].concat();
    [MAGIC, &field(1, types), &field(2, message), &rest].concat()
}

#[track_caller]
fn check(version: &str, kind: &str, parts: &[Vec<u8>], expected: &Value) {
    let mut read = read(&body(version, kind, &parts.concat())).unwrap();
    let object = read.as_object_mut().unwrap();
    assert_eq!(object.remove("apiVersion").unwrap(), version);
    assert_eq!(object.remove("kind").unwrap(), kind);
    assert_eq!(read, *expected);
}

#[test]
fn objects_are_read_as_their_json_would_be() {
    let name = [field(1, "web"), field(2, ""), number(7, 0), field(8, "")].concat();
    let labels = field(11, [field(1, "a"), field(2, "b")].concat());
    let metadata = field(1, [name.clone(), labels].concat());
    let spec = field(2, [number(1, 0), number(7, 0)].concat());
    check(
        "apps/v1",
        "Deployment",
        &[metadata, spec],
        &json!({"metadata": {"name": "web", "labels": {"a": "b"}}, "spec": {"replicas": 0}}),
    );
    let volume = field(1, [field(1, "v"), field(2, field(2, ""))].concat());
    check("v1", "Pod", &[field(2, volume)], &json!({"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}}));
    let data = field(2, [field(1, "k"), field(2, "b")].concat());
    check("v1", "Secret", &[data, field(3, "Opaque")], &json!({"data": {"k": "Yg=="}, "type": "Opaque"}));
    let percent = field(1, [number(1, 1), number(2, 0), field(3, "50%")].concat());
    check(
        "policy/v1",
        "PodDisruptionBudget",
        &[field(2, percent)],
        &json!({"spec": {"minAvailable": "50%"}}),
    );
    let hard = field(1, [field(1, "cpu"), field(2, field(1, "100m"))].concat());
    check("v1", "ResourceQuota", &[field(2, hard)], &json!({"spec": {"hard": {"cpu": "100m"}}}));
    let extra = field(5, [field(1, "scope"), field(2, [field(1, "x"), field(1, "")].concat())].concat());
    check(
        "authorization.k8s.io/v1",
        "SubjectAccessReview",
        &[field(2, [field(3, "joe"), extra].concat())],
        &json!({"spec": {"user": "joe", "extra": {"scope": ["x", ""]}}}),
    );
    let negative = [&[1 << 3][..], &[0xff; 9], &[1]].concat();
    check("apps/v1", "DeleteOptions", &[negative], &json!({"gracePeriodSeconds": -1}));
    let deleted = field(1, field(9, number(1, 90)));
    check("v1", "Pod", &[deleted], &json!({"metadata": {"deletionTimestamp": "1970-01-01T00:01:30Z"}}));
}

#[test]
fn what_cannot_be_read_is_refused() {
    let unknown = Error::Unknown { version: "example.org/v1".into(), kind: "Widget".into() };
    assert_eq!(read(&body("example.org/v1", "Widget", &[])), Err(unknown));
    let good = body("v1", "Pod", &field(1, field(1, "web")));
    for length in 0..good.len() {
        // Every cut leaves an error or a part of the object; none may panic.
        let cut = read(&good[..length]);
        assert!(cut.is_err() || length > MAGIC.len());
    }
    assert_eq!(read(b"{}"), Err(Error::Malformed));
}
