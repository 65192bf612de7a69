//! Requests and what they are answered, without a socket.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use futures::StreamExt as _;
use http::Request;
use http_body_util::BodyExt as _;
use serde_json::Value;
use serde_json::json;
use tower::ServiceExt as _;

use crate::embedded::Cluster;
use crate::embedded::Settings;
use crate::embedded::controllers;
use crate::embedded::objects::Options;

fn cluster() -> Cluster {
    let clock = Arc::new(|| "2030-01-01T00:00:00Z".parse().unwrap());
    Cluster::start(Settings { data_dir: None, clock, controllers: controllers::Settings::default() }).unwrap()
}

/// What is sent: method and path, with the media type of the body if it is not JSON, and the body.
async fn send(cluster: &Cluster, line: &str, body: impl Into<Option<Value>>) -> http::Response<Body> {
    let mut words = line.split(' ');
    let request = Request::builder().method(words.next().unwrap()).uri(words.next().unwrap());
    let media = words.next().unwrap_or("application/json");
    let accept = words.next().unwrap_or("application/json");
    let request =
        request.header("content-type", media).header("accept", accept).header("user-agent", "tester/1");
    let body = body.into().map_or_else(Body::empty, |body| Body::from(body.to_string()));
    cluster.service().oneshot(request.body(body).unwrap()).await.unwrap()
}

async fn ask(cluster: &Cluster, line: &str, body: impl Into<Option<Value>>) -> (u16, Value) {
    let response = send(cluster, line, body).await;
    let code = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let value = serde_json::from_slice(&bytes);
    (code, value.unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned().into()))
}

/// Sends a request and compares the code and, of the answer, what `expected` has.
async fn check(
    cluster: &Cluster,
    line: &str,
    body: impl Into<Option<Value>>,
    code: u16,
    expected: Value,
) -> Value {
    let (found, answer) = ask(cluster, line, body).await;
    assert_eq!((found, differs(&expected, &answer)), (code, None), "{line}: {answer:#}");
    answer
}

/// Where an answer is not as expected; what is not expected may be anything.
fn differs(expected: &Value, found: &Value) -> Option<String> {
    match (expected, found) {
        (Value::Object(fields), _) => fields
            .iter()
            .find_map(|(name, value)| differs(value, &found[name]).map(|place| format!("{name}.{place}"))),
        (Value::Array(items), Value::Array(all)) if items.len() == all.len() => {
            items.iter().zip(all).find_map(|(item, found)| differs(item, found))
        }
        _ => (expected != found).then(|| format!("{expected} is not {found}")),
    }
}

fn map(name: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

#[tokio::test]
async fn objects_are_written_and_read() {
    let it = &cluster();
    let a = check(it, &format!("POST {MAPS}"), map("a", &json!({"k": "v"})), 201, json!({
        "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default", "creationTimestamp": "2030-01-01T00:00:00Z",
            "managedFields": [{"manager": "tester", "operation": "Update"}]},
    })).await;
    let version = a["metadata"]["resourceVersion"].clone();
    check(
        it,
        &format!("POST {MAPS}"),
        map("a", &json!({})),
        409,
        json!({
            "reason": "AlreadyExists", "message": "configmaps \"a\" already exists",
            "details": {"name": "a", "kind": "configmaps"},
        }),
    )
    .await;
    check(it, &format!("GET {MAPS}/a"), None, 200, a.clone()).await;
    check(it, &format!("PUT {MAPS}/a"), a.clone(), 200, json!({"metadata": {"resourceVersion": version}}))
        .await;
    let mut b = a.clone();
    b["data"]["k"] = "w".into();
    check(it, &format!("PUT {MAPS}/a?dryRun=All"), b.clone(), 200, json!({"data": {"k": "w"}})).await;
    check(it, &format!("PUT {MAPS}/a"), b.clone(), 200, json!({"data": {"k": "w"}})).await;
    check(it, &format!("PUT {MAPS}/a"), b.clone(), 409, json!({
        "reason": "Conflict", "message": "Operation cannot be fulfilled on configmaps \"a\": the object has been \
            modified; please apply your changes to the latest version and try again",
    })).await;
    check(
        it,
        &format!("PUT {MAPS}/x"),
        b,
        400,
        json!({
            "message": "the name of the object (a) does not match the name on the URL (x)",
        }),
    )
    .await;
    check(
        it,
        &format!("PUT {MAPS}/x"),
        map("x", &json!({})),
        404,
        json!({"message": "configmaps \"x\" not found"}),
    )
    .await;
    check(
        it,
        "POST /api/v1/namespaces/none/configmaps",
        map("a", &json!({})),
        404,
        json!({
            "message": "namespaces \"none\" not found", "details": {"name": "none", "kind": "namespaces"},
        }),
    )
    .await;
    let mut bogus = map("c", &json!({}));
    bogus["bogus"] = 1.into();
    check(it, &format!("POST {MAPS}?fieldValidation=Strict"), bogus.clone(), 400, json!({
        "message": "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: unknown field \"bogus\"",
    })).await;
    let warned = send(it, &format!("POST {MAPS}"), bogus).await;
    assert_eq!(warned.headers()["warning"], r#"299 - "unknown field \"bogus\"""#);
    let generated = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "g-"}});
    let (_, generated) = ask(it, &format!("POST {MAPS}"), generated).await;
    assert_eq!(generated["metadata"]["name"].as_str().unwrap().len(), 7);
    check(
        it,
        &format!("DELETE {MAPS}/a"),
        None,
        200,
        json!({
            "kind": "Status", "status": "Success", "details": {"name": "a", "kind": "configmaps"},
        }),
    )
    .await;
    check(it, &format!("GET {MAPS}/a"), None, 404, json!({"reason": "NotFound"})).await;
    check(it, "GET /nowhere", None, 404, "404 page not found\n".into()).await;
}

#[tokio::test]
async fn lists_come_in_pages_and_by_selector() {
    let it = &cluster();
    for index in 0..5 {
        let mut one = map(&format!("m{index}"), &json!({}));
        one["metadata"]["labels"] = json!({"n": index.to_string()});
        assert_eq!(ask(it, "POST /api/v1/namespaces/kube-public/configmaps", one).await.0, 201);
    }
    let names = |list: &Value| -> String {
        let items = list["items"].as_array().unwrap();
        items.iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
    };
    let path = "/api/v1/namespaces/kube-public/configmaps";
    let (_, first) = ask(it, &format!("GET {path}?limit=2"), None).await;
    assert_eq!((names(&first), &first["metadata"]["remainingItemCount"]), ("m0 m1".into(), &json!(3)));
    check(it, &format!("DELETE {path}/m2"), None, 200, json!({})).await;
    let more = first["metadata"]["continue"].as_str().unwrap();
    let (_, second) = ask(it, &format!("GET {path}?limit=9&continue={more}"), None).await;
    assert_eq!(names(&second), "m2 m3 m4");
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    for (selector, expected) in [
        ("labelSelector=n%20in%20(1,3)", "m1 m3"),
        ("labelSelector=n!=1,n", "m0 m3 m4"),
        ("labelSelector=!n", ""),
        ("labelSelector=n%3E2", "m3 m4"),
        ("fieldSelector=metadata.name=m3", "m3"),
        ("fieldSelector=metadata.name!=m3&labelSelector=n", "m0 m1 m4"),
        ("resourceVersion=0", "m0 m1 m3 m4"),
    ] {
        let (code, list) = ask(it, &format!("GET {path}?{selector}"), None).await;
        assert_eq!((code, names(&list)), (200, expected.into()), "{selector}");
    }
    for (query, code, message) in [
        (
            "fieldSelector=spec.x=1",
            400,
            "\"spec.x\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
        ),
        ("limit=abc", 400, "strconv.ParseInt: parsing \"abc\": invalid syntax"),
        (
            "continue=x&resourceVersion=1",
            400,
            "specifying resource version is not allowed when using continue",
        ),
        ("resourceVersion=999999", 504, "Timeout: Too large resource version: 999999, current: "),
    ] {
        let (found, answer) = ask(it, &format!("GET {path}?{query}"), None).await;
        assert_eq!(found, code, "{query}");
        assert!(answer["message"].as_str().unwrap().starts_with(message), "{query}: {answer}");
    }
    it.objects().storage.forget_history();
    check(it, &format!("GET {path}?continue={more}"), None, 410, json!({"reason": "Expired"})).await;
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    check(it, &format!("GET {path}/m0 application/json {table}"), None, 200, json!({
        "kind": "Table", "rows": [{"cells": ["m0", 0, "0s"], "object": {"kind": "PartialObjectMetadata"}}],
    })).await;
}

#[tokio::test(start_paused = true)]
async fn watches_tell_what_happens() {
    let it = &cluster();
    let path = "/api/v1/namespaces/kube-public/configmaps";
    let labelled = |value: &str| {
        let mut one = map("w", &json!({}));
        one["metadata"]["labels"] = json!({"on": value});
        one
    };
    ask(it, &format!("POST {path}"), map("z", &json!({}))).await;
    let query = "watch=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=90";
    let all = send(it, &format!("GET {path}?{query}"), None).await;
    let some = send(it, &format!("GET {path}?watch=true&labelSelector=on=yes&timeoutSeconds=90"), None).await;
    ask(it, &format!("POST {path}"), labelled("yes")).await;
    ask(it, &format!("PUT {path}/w"), labelled("no")).await;
    ask(it, &format!("DELETE {path}/w"), None).await;
    let told = async |response: http::Response<Body>| -> Vec<String> {
        let mut events = Vec::new();
        let mut stream = response.into_body().into_data_stream();
        while let Ok(Some(Ok(bytes))) = tokio::time::timeout(Duration::from_mins(5), stream.next()).await {
            let event: Value = serde_json::from_slice(&bytes).unwrap();
            let metadata = &event["object"]["metadata"];
            let about = metadata["name"]
                .as_str()
                .unwrap_or_else(|| metadata["annotations"].as_object().map_or("", |_| "initial"));
            events.push(format!("{} {about}", event["type"].as_str().unwrap()));
        }
        events
    };
    assert_eq!(
        told(all).await,
        ["ADDED z", "BOOKMARK initial", "ADDED w", "MODIFIED w", "DELETED w", "BOOKMARK ", "BOOKMARK "],
    );
    assert_eq!(told(some).await, ["ADDED w", "DELETED w"]);
    it.objects().storage.forget_history();
    let (code, late) = ask(it, &format!("GET {path}?watch=true&resourceVersion=1"), None).await;
    assert_eq!((code, &late["type"], &late["object"]["code"]), (200, &json!("ERROR"), &json!(410)));
}

#[tokio::test]
async fn deletion_waits_for_finalizers() {
    let it = &cluster();
    let mut held = map("h", &json!({}));
    held["metadata"]["finalizers"] = json!(["x.org/f"]);
    ask(it, &format!("POST {MAPS}"), held.clone()).await;
    let marked = check(it, &format!("DELETE {MAPS}/h"), None, 200, json!({
        "kind": "ConfigMap", "metadata": {"deletionTimestamp": "2030-01-01T00:00:00Z", "deletionGracePeriodSeconds": 0},
    })).await;
    check(it, &format!("DELETE {MAPS}/h"), None, 200, marked).await;
    held["metadata"]["finalizers"] = json!(["x.org/f", "x.org/g"]);
    check(it, &format!("PUT {MAPS}/h"), held.clone(), 422, json!({
        "message": "ConfigMap \"h\" is invalid: metadata.finalizers: Forbidden: no new finalizers can be added if the object \
            is being deleted, found new finalizers []string{\"x.org/g\"}",
    })).await;
    check(
        it,
        &format!("POST {MAPS}"),
        map("h", &json!({})),
        409,
        json!({
            "message": "object is being deleted: configmaps \"h\" already exists",
        }),
    )
    .await;
    held["metadata"]["finalizers"] = json!([]);
    check(it, &format!("PUT {MAPS}/h"), held, 200, json!({})).await;
    check(it, &format!("GET {MAPS}/h"), None, 404, json!({})).await;
    ask(it, &format!("POST {MAPS}"), map("p", &json!({}))).await;
    let wrong = json!({"preconditions": {"uid": "other"}});
    check(it, &format!("DELETE {MAPS}/p"), wrong, 409, json!({"reason": "Conflict"})).await;
    let orphan = json!({"propagationPolicy": "Orphan"});
    check(it, &format!("DELETE {MAPS}/p"), orphan, 200, json!({"metadata": {"finalizers": ["orphan"]}}))
        .await;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}});
    ask(it, "POST /api/v1/namespaces", namespace).await;
    check(it, "DELETE /api/v1/namespaces/n", None, 200, json!({"status": {"phase": "Terminating"}})).await;
    check(it, "POST /api/v1/namespaces/n/configmaps", map("a", &json!({})), 403, json!({
        "message": "configmaps \"a\" is forbidden: unable to create new content in namespace n because it is being terminated",
        "details": {"causes": [{"reason": "NamespaceTerminating"}]},
    })).await;
    let (_, mut going) = ask(it, "GET /api/v1/namespaces/n", None).await;
    going["spec"]["finalizers"] = json!([]);
    check(it, "PUT /api/v1/namespaces/n/finalize", going, 200, json!({})).await;
    check(it, "GET /api/v1/namespaces/n", None, 404, json!({})).await;
    check(
        it,
        "DELETE /api/v1/namespaces/default",
        None,
        403,
        json!({
            "message": "namespaces \"default\" is forbidden: this namespace may not be deleted",
        }),
    )
    .await;
}

#[tokio::test]
async fn definitions_become_kinds() {
    let it = &cluster();
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.org"},
        "spec": {
            "group": "example.org", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n"}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": {"n": {"type": "integer", "default": 3}}},
                    "status": {"type": "object", "properties": {"n": {"type": "integer"}}},
                }}},
            }],
        },
    });
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    check(it, &format!("POST {definitions}"), definition, 201, json!({})).await;
    let (_, defined) = ask(it, &format!("GET {definitions}/widgets.example.org"), None).await;
    assert_eq!(defined["status"]["conditions"][1]["type"], "Established");
    let widgets = "/apis/example.org/v1/namespaces/default/widgets";
    let widget = json!({
        "apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "w", "finalizers": ["x.org/f"]},
        "spec": {}, "status": {"n": 7},
    });
    let made = check(
        it,
        &format!("POST {widgets}"),
        widget,
        201,
        json!({
            "metadata": {"generation": 1}, "spec": {"n": 3}, "status": null,
        }),
    )
    .await;
    let mut told = made.clone();
    told["status"] = json!({"n": 2});
    told["spec"]["n"] = 9.into();
    let told = check(
        it,
        &format!("PUT {widgets}/w/status"),
        told,
        200,
        json!({
            "metadata": {"generation": 1}, "spec": {"n": 3}, "status": {"n": 2},
        }),
    )
    .await;
    let scale = check(
        it,
        &format!("GET {widgets}/w/scale"),
        None,
        200,
        json!({
            "kind": "Scale", "spec": {"replicas": 3}, "status": {"replicas": 2},
        }),
    )
    .await;
    let mut scaled = scale.clone();
    scaled["spec"]["replicas"] = 5.into();
    check(it, &format!("PUT {widgets}/w/scale"), scaled, 200, json!({"spec": {"replicas": 5}})).await;
    check(
        it,
        &format!("GET {widgets}/w"),
        None,
        200,
        json!({"metadata": {"generation": 2}, "spec": {"n": 5}}),
    )
    .await;
    let mut unversioned = told;
    unversioned["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    check(it, &format!("PUT {widgets}/w"), unversioned.clone(), 422, json!({"reason": "Invalid"})).await;
    check(it, &format!("DELETE {definitions}/widgets.example.org"), None, 200, json!({})).await;
    let (_, mut going) = ask(it, &format!("GET {widgets}/w"), None).await;
    assert!(going["metadata"]["deletionTimestamp"].is_string());
    let late = json!({"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "late"}});
    let refused = json!({"message": "create not allowed while custom resource definition is terminating"});
    check(it, &format!("POST {widgets}"), late, 405, refused).await;
    going["metadata"]["finalizers"] = json!([]);
    check(it, &format!("PUT {widgets}/w"), going, 200, json!({})).await;
    check(it, &format!("GET {widgets}/w"), None, 404, "404 page not found\n".into()).await;
    check(it, &format!("GET {definitions}/widgets.example.org"), None, 404, json!({"reason": "NotFound"}))
        .await;
}

#[tokio::test]
async fn pods_go_after_their_grace_period() {
    let it = &cluster();
    let path = "/api/v1/namespaces/default/pods";
    let pod = |name: &str| {
        json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
        })
    };
    check(it, &format!("POST {path}"), pod("unbound"), 201, json!({"status": {"phase": "Pending"}})).await;
    check(
        it,
        &format!("DELETE {path}/unbound"),
        None,
        200,
        json!({"metadata": {"deletionGracePeriodSeconds": 0}}),
    )
    .await;
    check(it, &format!("GET {path}/unbound"), None, 404, json!({})).await;
    check(it, &format!("POST {path}"), pod("bound"), 201, json!({"status": {"phase": "Pending"}})).await;
    let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "bound"}, "target": {"name": "node"}});
    check(it, &format!("POST {path}/bound/binding"), binding, 201, json!({"status": "Success"})).await;
    check(
        it,
        &format!("DELETE {path}/bound"),
        None,
        200,
        json!({
            "metadata": {"deletionGracePeriodSeconds": 30, "deletionTimestamp": "2030-01-01T00:00:30Z"},
            "spec": {"nodeName": "node"},
        }),
    )
    .await;
    let now = json!({"gracePeriodSeconds": 0});
    check(
        it,
        &format!("DELETE {path}/bound"),
        now,
        200,
        json!({"metadata": {"deletionGracePeriodSeconds": 0}}),
    )
    .await;
    check(it, &format!("GET {path}/bound"), None, 404, json!({})).await;
}

#[tokio::test]
async fn ten_thousand_objects_are_listed_quickly() {
    let it = &cluster();
    let kind = it.objects().kinds.find("", "v1", "configmaps").unwrap();
    for index in 0..10_000 {
        let object = map(&format!("m{index}"), &json!({"k": "v"}));
        it.objects().create(&kind, "default", object, &Options::default()).unwrap();
    }
    let (_, list) = ask(it, &format!("GET {MAPS}"), None).await;
    assert_eq!(list["items"].as_array().unwrap().len(), 10_000);
}
