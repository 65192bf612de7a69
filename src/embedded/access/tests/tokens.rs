//! Tokens of service accounts: who gets them, and how long they are good.

use std::sync::atomic::Ordering;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{START, World, user};
use crate::embedded::access::{Access, CREDENTIAL, User, tokens};

#[test]
fn tokens_are_good_for_an_account_while_it_lasts() {
    let world = World::new();
    world.account("ns", "joe", "u1");
    let token = world.token("ns", "joe", &json!({}));
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    let joe = r#"system:serviceaccount:ns:joe ["system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated"]"#;
    assert_eq!(world.who(None, &headers, ""), joe);
    assert_eq!(world.who(Some(User::admin()), &headers, ""), joe, "a token counts before this process");
    let extra = [(CREDENTIAL.to_owned(), vec!["X509SHA256=0".to_owned()])].into();
    let certified = User { extra, ..user("alice", &[]) };
    assert_eq!(world.who(Some(certified), &headers, ""), r#"alice ["system:authenticated"]"#);
    assert_eq!(world.who(None, &[], ""), r#"system:anonymous ["system:unauthenticated"]"#);
    assert_eq!(world.who(Some(User::default()), &[], ""), "401 Unauthorized");
    assert_eq!(world.who(None, &[("authorization", "Bearer nonsense")], ""), "401 Unauthorized");
    assert_eq!(world.who(None, &[("authorization", &format!("{bearer}x"))], ""), "401 Unauthorized");

    let review = |token: &str, audiences: Value| {
        world.review("TokenReview", &json!({"token": token, "audiences": audiences}), &User::admin())
    };
    let status = review(&token, Value::Null);
    let credential = status["user"]["extra"][CREDENTIAL][0].as_str().unwrap();
    assert!(credential.starts_with("JTI="), "{status}");
    let expected = json!({
        "authenticated": true,
        "user": {
            "username": "system:serviceaccount:ns:joe", "uid": "u1",
            "groups": ["system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated"],
            "extra": {CREDENTIAL: [credential]},
        },
        "audiences": [tokens::AUDIENCE],
    });
    assert_eq!(status, expected);
    let error = |why: &str| json!({"user": {}, "error": why});
    assert_eq!(review("abc", Value::Null), error("invalid bearer token"));
    assert_eq!(
        review(&format!("{token}x"), Value::Null),
        error("[invalid bearer token, go-jose/go-jose: error in cryptographic primitive]")
    );
    assert_eq!(
        review(&token, json!(["x"])),
        error(
            r#"[invalid bearer token, token audiences ["https://kubernetes.default.svc"] is invalid for the target audiences ["x"]]"#
        )
    );
    world.now.fetch_add(3600 + 61, Ordering::Relaxed);
    assert_eq!(
        review(&token, Value::Null),
        error("[invalid bearer token, service account token has expired]")
    );
    world.now.store(START, Ordering::Relaxed);
    world.account("ns", "joe", "u2");
    assert_eq!(
        review(&token, Value::Null),
        error("[invalid bearer token, service account UID (u2) does not match claim (u1)]")
    );
    world.remove("serviceaccounts", json!({"metadata": {"namespace": "ns", "name": "joe"}}));
    assert_eq!(
        review(&token, Value::Null),
        error(r#"[invalid bearer token, serviceaccounts "joe" not found]"#)
    );
}

#[test]
fn tokens_can_be_asked_for_as_kubernetes_allows_it() {
    let world = World::new();
    world.account("ns", "joe", "u1");
    let pod = json!({
        "metadata": {"namespace": "ns", "name": "p", "uid": "u2"}, "spec": {"serviceAccountName": "joe"},
    });
    world.put("pods", pod.clone());
    let asked = |body: Value| world.access.request_token("ns", "joe", &body);
    let answer =
        asked(json!({"kind": "TokenRequest", "metadata": {}, "spec": {"audiences": ["a"]}})).unwrap();
    assert_eq!(answer["metadata"]["uid"], "u1");
    assert_eq!(
        answer["spec"],
        json!({"audiences": ["a"], "expirationSeconds": 3600, "boundObjectRef": null})
    );
    let expires = Timestamp::from_second(START + 3600).unwrap();
    assert_eq!(answer["status"]["expirationTimestamp"], expires.to_string());
    let fails = |body: Value, code: u16, message: &str| {
        let status = asked(body).unwrap_err();
        assert_eq!((status.code, status.message.as_str()), (code, message));
    };
    fails(
        json!({"spec": {"expirationSeconds": 5}}),
        422,
        r#"TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 5: may not specify a duration less than 10 minutes"#,
    );
    fails(
        json!({"metadata": {"name": "x"}}),
        422,
        r#"TokenRequest.authentication.k8s.io "joe" is invalid: metadata.name: Invalid value: "x": must match the service account name if specified"#,
    );
    fails(
        json!({"metadata": {"uid": "zz"}}),
        409,
        r#"Operation cannot be fulfilled on TokenRequest.authentication.k8s.io "joe": the UID in the token request (zz) does not match the UID of the service account (u1)"#,
    );
    let bound = |kind: &str, name: &str| json!({"spec": {"boundObjectRef": {"kind": kind, "apiVersion": "v1", "name": name}}});
    fails(bound("Pod", "nope"), 404, r#"pods "nope" not found"#);
    fails(bound("Foo", "x"), 400, "cannot bind token to object of type /v1, Kind=Foo");
    let token = asked(bound("Pod", "p")).unwrap()["status"]["token"].as_str().unwrap().to_owned();
    let audiences = [tokens::AUDIENCE.to_owned()];
    let holder = world.access.user_of(&token, &audiences).unwrap();
    assert_eq!(holder.extra["authentication.kubernetes.io/pod-uid"], ["u2"]);
    world.remove("pods", pod);
    let gone = world.access.user_of(&token, &audiences).unwrap_err().described();
    assert_eq!(gone, "[invalid bearer token, service account token has been invalidated]");
}

#[test]
fn tokens_outlive_a_restart_with_their_key() {
    let pki = crate::embedded::tls::Pki::make().unwrap();
    let world = World::new();
    world.account("ns", "joe", "u1");
    let start = || Access::with_key(world.access.objects.clone(), pki.token_key()).unwrap();
    let token = start().request_token("ns", "joe", &json!({})).unwrap();
    let token = token["status"]["token"].as_str().unwrap();
    let audiences = [tokens::AUDIENCE.to_owned()];
    assert!(start().user_of(token, &audiences).is_ok());
    assert!(world.access.user_of(token, &audiences).is_err());
    assert!(Access::with_key(world.access.objects.clone(), "nonsense").is_err());
}
