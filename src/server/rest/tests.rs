//! Requests through the router, over a kube-apiserver that is a function.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tower::{BoxError, ServiceExt};

use super::*;
use crate::server::fake;
use crate::server::request::Target;

const REVIEWS: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
const STORED: &str = "/apis/storage.gitops/v1/namespaces/harbour/storedapplications";
const SERVED: &str = "/apis/gitops/v1/namespaces/harbour/applications";
const PROJECT: &str = "/gitops/v1/project/harbour/applications";
const STORED_UID: &str = "0b7e6f3a-2a10-4d2b-9a55-0000000000aa";
const SERVED_UID: &str = "0b7e6f3a-2a10-4d2b-9a55-6769746f70d9";

/// A request that kube-apiserver got, reviews apart.
#[derive(Debug, Clone)]
struct Seen {
    method: Method,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Value,
}

type Answer = (u16, Value);

/// Our router, the cluster behind it, and what that was asked.
struct House {
    router: Router,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl House {
    /// `forbidden` are the resources (`applications/sync`) that nobody may create.
    fn new(
        forbidden: &'static [&'static str],
        answer: impl Fn(&Seen) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (seen.clone(), Arc::new(answer));
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let (log, answer) = (log.clone(), answer.clone());
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await?.to_bytes();
                let seen = Seen {
                    method: parts.method,
                    path: parts.uri.path().into(),
                    query: parts.uri.query().unwrap_or_default().into(),
                    headers: parts.headers,
                    body: serde_json::from_slice(&body).unwrap_or(Value::Null),
                };
                let (code, body) = if seen.path == REVIEWS {
                    review(forbidden, &seen.body)
                } else {
                    let answer = answer(&seen);
                    log.lock().unwrap().push(seen);
                    answer
                };
                let response =
                    http::Response::builder().status(code).header("content-type", "application/json");
                Ok::<_, BoxError>(
                    response
                        .header("warning", "299 - \"mind the gap\"")
                        .body(Full::new(Bytes::from(body.to_string())))?,
                )
            }
        });
        Self { router: over(kube::Client::new(service, "default")), seen }
    }

    async fn ask(
        &self,
        method: Method,
        uri: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (StatusCode, Value) {
        let answer = self.router.clone().oneshot(asked(method, uri, headers, body)).await.unwrap();
        let code = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (code, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    async fn send(&self, method: Method, uri: &str, body: &Value) -> (StatusCode, Value) {
        let kind = match (&method, body) {
            (&Method::PATCH, Value::Array(_)) => "application/json-patch+json",
            (&Method::PATCH, _) => "application/merge-patch+json",
            _ => "application/json",
        };
        self.ask(method, uri, &[("content-type", kind)], &body.to_string()).await
    }

    /// The requests as lines of method and path.
    fn lines(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|seen| format!("{} {}", seen.method, seen.path)).collect()
    }

    fn last(&self) -> Seen {
        self.seen.lock().unwrap().last().unwrap().clone()
    }
}

fn over(client: kube::Client) -> Router {
    let store = Store::new(client.clone(), "engine-room", || jiff::Timestamp::UNIX_EPOCH);
    router(Rest::new(store, Authorizer::new(client)))
}

fn review(forbidden: &[&str], review: &Value) -> Answer {
    let asked = &review["spec"]["resourceAttributes"];
    let resource =
        [&asked["resource"], &asked["subresource"]].map(|part| part.as_str().unwrap_or_default()).join("/");
    let allowed = !forbidden.contains(&resource.trim_end_matches('/'));
    (201, json!({"metadata": {}, "spec": review["spec"], "status": {"allowed": allowed}}))
}

/// A request as the pipeline hands it over.
fn asked(method: Method, uri: &str, headers: &[(&str, &str)], body: &str) -> Request<Body> {
    let Ok(Target::Resource(info)) = Target::parse(&method, &uri.parse().unwrap()) else { panic!("{uri}") };
    let user = User { name: "jane".into(), groups: vec!["system:authenticated".into()], ..User::default() };
    let mut request = Request::builder().method(method).uri(uri).extension(info).extension(user);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::from(body.to_owned())).unwrap()
}

fn stored_tide() -> Value {
    json!({"apiVersion": "storage.gitops/v1", "kind": "StoredApplication",
        "metadata": {"name": "tide", "namespace": "harbour", "uid": STORED_UID, "resourceVersion": "41"},
        "spec": spec()})
}

fn served_tide() -> Value {
    let mut tide = stored_tide();
    tide["apiVersion"] = json!("gitops/v1");
    tide["kind"] = json!("Application");
    tide["metadata"]["uid"] = json!(SERVED_UID);
    tide
}

fn spec() -> Value {
    json!({"destination": {"namespace": "quay"}, "project": "harbour",
        "source": {"repoURL": "https://git.example/sea", "path": "."}})
}

fn not_found() -> Answer {
    (404, fake::status(404, "NotFound", "storedapplications.storage.gitops \"tide\" not found"))
}

#[tokio::test]
async fn objects_are_created_in_their_project() {
    let house = House::new(&[], |seen| (201, seen.body.clone()));
    let mut new = served_tide();
    new["spec"].as_object_mut().unwrap().remove("project");
    let (code, body) = house.send(Method::POST, &format!("{SERVED}?fieldManager=boat"), &new).await;
    assert_eq!((code, &body["spec"]), (StatusCode::CREATED, &spec()));
    assert_eq!((&body["kind"], &body["metadata"]["uid"]), (&json!("Application"), &json!(SERVED_UID)));
    let seen = house.last();
    assert_eq!((seen.path.as_str(), seen.query.as_str()), (STORED, "fieldManager=boat&pretty=false"));
    assert_eq!(seen.body, stored_tide());
}

#[tokio::test]
async fn a_project_that_is_no_longer_written_stays_the_namespace() {
    let house = House::new(&[], |seen| (200, seen.body.clone()));
    let check = async |patch: Value, expected: Value| {
        house.send(Method::PATCH, &format!("{SERVED}/tide"), &patch).await;
        assert_eq!(house.last().body, expected);
    };
    let named = json!({"spec": {"project": "harbour", "source": {"path": "deep"}}});
    check(json!({"spec": {"project": null, "source": {"path": "deep"}}}), named.clone()).await;
    check(json!({"spec": {"project": "", "source": {"path": "deep"}}}), named).await;
    check(json!({"spec": {"source": {"path": "deep"}}}), json!({"spec": {"source": {"path": "deep"}}})).await;
}

#[tokio::test]
async fn what_is_no_object_is_left_to_kube_apiserver() {
    let house = House::new(&[], |seen| match seen.method {
        Method::GET => (200, stored_tide()),
        _ => (400, fake::status(400, "BadRequest", "not like this")),
    });
    let check = async |method: Method, kind: &str, body: &str| {
        let uri = if method == Method::POST { SERVED.to_owned() } else { format!("{SERVED}/tide") };
        let (code, answer) = house.ask(method, &uri, &[("content-type", kind)], body).await;
        assert_eq!((code, &answer["message"]), (StatusCode::BAD_REQUEST, &json!("not like this")), "{body}");
        assert_eq!(house.last().body.to_string(), body);
    };
    for body in ["[]", "7", "\"tide\"", "null", "[[]]", "{\"spec\":[]}", "{\"metadata\":7}"] {
        check(Method::POST, "application/json", body).await;
        check(Method::PUT, "application/json", body).await;
        check(Method::PATCH, "application/merge-patch+json", body).await;
        check(Method::PATCH, "application/json-patch+json", body).await;
    }
}

#[tokio::test]
async fn yaml_is_stored_as_json() {
    let house = House::new(&[], |seen| (201, seen.body.clone()));
    let yaml = "apiVersion: gitops/v1\nkind: Application\nmetadata: {name: tide}\nspec:\n  destination: {}\n  source: {repoURL: 'https://git.example/sea', path: .}\n";
    let (code, _) = house.ask(Method::POST, SERVED, &[("content-type", "application/yaml")], yaml).await;
    assert_eq!(code, StatusCode::CREATED);
    let seen = house.last();
    assert_eq!(seen.headers[header::CONTENT_TYPE], "application/json");
    assert_eq!(seen.body["spec"]["project"], "harbour");
    let apply = [("content-type", "application/apply-patch+yaml")];
    house.ask(Method::PATCH, &format!("{SERVED}/tide"), &apply, yaml).await;
    let seen = house.last();
    assert_eq!(
        (&seen.body["kind"], &seen.headers[header::CONTENT_TYPE]),
        (&json!("StoredApplication"), &"application/apply-patch+yaml".parse().unwrap())
    );
    let (code, body) =
        house.ask(Method::POST, SERVED, &[("content-type", "application/yaml")], "a: 1\n---\nb: 2\n").await;
    assert_eq!(
        (code, &body["message"]),
        (StatusCode::BAD_REQUEST, &json!("the body has 2 YAML documents: send one"))
    );
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_before_it_is_stored() {
    let house = House::new(&[], |_| panic!("nothing may be stored"));
    let check = async |method: Method, body: Value, code: u16, words: &str| {
        let uri = if method == Method::POST { SERVED.to_owned() } else { format!("{SERVED}/tide") };
        let (got, answer) = house.send(method, &uri, &body).await;
        let text = answer["message"].as_str().unwrap_or_default();
        assert!(got == code && text.contains(words), "{got} {text}");
    };
    let changed = |pointer: &str, value: Value| {
        let mut body = served_tide();
        *body.pointer_mut(pointer).unwrap() = value;
        body
    };
    check(
        Method::POST,
        changed("/spec/project", json!("other")),
        422,
        "Application.gitops \"tide\" is invalid: spec.project",
    )
    .await;
    check(Method::POST, changed("/spec/source", json!(null)), 422, "spec.source").await;
    check(
        Method::POST,
        changed("/apiVersion", json!("storage.gitops/v1")),
        400,
        "does not match the expected API version (gitops/v1)",
    )
    .await;
    check(Method::PATCH, json!({"spec": {"project": "other"}}), 422, "spec.project").await;
    check(
        Method::PATCH,
        json!([{"op": "replace", "path": "/spec/project", "value": "other"}]),
        422,
        "spec.project",
    )
    .await;
    let (code, _) = house
        .ask(Method::POST, SERVED, &[("content-type", "application/vnd.kubernetes.protobuf")], "k8s")
        .await;
    assert_eq!(code, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let strategic = [("content-type", "application/strategic-merge-patch+json")];
    let (code, _) = house.ask(Method::PATCH, &format!("{SERVED}/tide"), &strategic, "{}").await;
    assert_eq!(code, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn a_sync_needs_its_right_however_it_is_asked_for() {
    let house = House::new(&["applications/sync"], |seen| match seen.method {
        Method::GET => (200, {
            let mut tide = stored_tide();
            tide["operation"] = json!({"sync": {"revision": "v1"}});
            tide
        }),
        _ => (200, seen.body.clone()),
    });
    let with = |operation: Value| {
        let mut tide = served_tide();
        tide["operation"] = operation;
        tide
    };
    let check = async |method: Method, body: Value, code: StatusCode| {
        let uri = if method == Method::POST { SERVED.to_owned() } else { format!("{SERVED}/tide") };
        let (got, answer) = house.send(method, &uri, &body).await;
        assert_eq!(got, code, "{body}: {answer}");
    };
    check(Method::POST, with(json!({"sync": {}})), StatusCode::FORBIDDEN).await;
    check(Method::POST, served_tide(), StatusCode::OK).await;
    check(Method::PUT, with(json!({"sync": {"revision": "v1"}})), StatusCode::OK).await;
    check(Method::PUT, with(json!({"sync": {"revision": "v2"}})), StatusCode::FORBIDDEN).await;
    check(Method::PATCH, json!({"operation": {"sync": {"revision": "v2"}}}), StatusCode::FORBIDDEN).await;
    check(Method::PATCH, json!({"spec": {"info": []}}), StatusCode::OK).await;
    check(Method::PATCH, json!([{"op": "add", "path": "/operation", "value": {}}]), StatusCode::FORBIDDEN)
        .await;
    let (_, answer) = house.send(Method::PATCH, &format!("{SERVED}/tide"), &json!({"operation": {}})).await;
    assert!(
        answer["message"].as_str().unwrap().contains("cannot create resource \"applications/sync\""),
        "{answer}"
    );
}

#[tokio::test]
async fn applying_what_is_not_there_needs_the_right_to_create() {
    let apply = [("content-type", "application/apply-patch+yaml")];
    let body = served_tide().to_string();
    let uri = format!("{SERVED}/tide?fieldManager=boat");
    let empty = House::new(&["applications"], |_| not_found());
    let (code, answer) = empty.ask(Method::PATCH, &uri, &apply, &body).await;
    assert_eq!(code, StatusCode::FORBIDDEN, "{answer}");
    let full = House::new(&["applications"], |_| (200, stored_tide()));
    let (code, _) = full.ask(Method::PATCH, &uri, &apply, &body).await;
    assert_eq!((code, full.last().method), (StatusCode::OK, Method::PATCH));
}

#[tokio::test]
async fn lists_ask_for_json_and_come_back_translated() {
    let list = |item: Value, version: &str, kind: &str| json!({"apiVersion": version, "items": [item], "kind": kind, "metadata": {"resourceVersion": "7"}});
    let house =
        House::new(&[], move |_| (200, list(stored_tide(), "storage.gitops/v1", "StoredApplicationList")));
    let accept =
        [("accept", "application/vnd.kubernetes.protobuf,application/json"), ("user-agent", "boat/1")];
    let (code, body) =
        house.ask(Method::GET, &format!("{SERVED}?limit=500&shardSelector=x"), &accept, "").await;
    assert_eq!((code, body), (StatusCode::OK, list(served_tide(), "gitops/v1", "ApplicationList")));
    let seen = house.last();
    assert_eq!(seen.query, "limit=500&pretty=false");
    assert_eq!(
        (&seen.headers[header::ACCEPT], &seen.headers[header::USER_AGENT]),
        (&"application/json".parse().unwrap(), &"boat/1".parse().unwrap())
    );
    let (code, _) = house.ask(Method::GET, SERVED, &[("accept", "application/yaml")], "").await;
    assert_eq!(code, StatusCode::NOT_ACCEPTABLE);
}

#[tokio::test]
async fn refusals_and_warnings_come_back_in_our_words() {
    let house = House::new(&[], |_| not_found());
    let answer =
        house.router.clone().oneshot(asked(Method::GET, &format!("{SERVED}/tide"), &[], "")).await.unwrap();
    assert_eq!(
        (answer.status(), &answer.headers()["warning"]),
        (StatusCode::NOT_FOUND, &"299 - \"mind the gap\"".parse().unwrap())
    );
    let body: Value =
        serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!(body["message"], "applications.gitops \"tide\" not found");
}

#[tokio::test]
async fn the_references_paths_answer_as_it_says() {
    let house = House::new(&[], |seen| {
        (200, if seen.method == Method::GET { stored_tide() } else { seen.body.clone() })
    });
    let mut tide = served_tide();
    tide["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    let uri = format!("{PROJECT}/tide");
    let (code, body) = house.send(Method::PUT, &uri, &tide).await;
    assert_eq!((code, &body["metadata"]["resourceVersion"]), (StatusCode::OK, &json!("41")));
    house.send(Method::PUT, &format!("{SERVED}/tide"), &tide).await;
    assert_eq!(house.last().body["metadata"]["resourceVersion"], json!(null), "the canonical path is strict");
    assert_eq!(house.ask(Method::DELETE, &uri, &[], "").await, (StatusCode::NO_CONTENT, Value::Null));
    assert_eq!(house.ask(Method::GET, &uri, &[], "").await, (StatusCode::OK, served_tide()));
}

#[tokio::test]
async fn trial_deletions_delete_nothing_wherever_they_say_so() {
    let house = House::new(&[], |seen| (200, seen.body.clone()));
    let options = json!({"propagationPolicy": "Background", "preconditions": {"uid": SERVED_UID}});
    house.send(Method::DELETE, &format!("{SERVED}/tide?dryRun=All"), &options).await;
    let expected =
        json!({"dryRun": ["All"], "propagationPolicy": "Background", "preconditions": {"uid": STORED_UID}});
    assert_eq!(house.last().body, expected);
}

#[tokio::test]
async fn a_sync_is_written_on_the_state_it_was_judged_by() {
    let tries = Mutex::new(0);
    let house = House::new(&[], move |seen| match (&seen.method, seen.path.as_str()) {
        (&Method::GET, _) => {
            let mut tide = stored_tide();
            tide["metadata"]["resourceVersion"] = json!(format!("{}", 41 + *tries.lock().unwrap()));
            (200, tide)
        }
        (&Method::PATCH, _)
            if {
                let mut tries = tries.lock().unwrap();
                *tries += 1;
                *tries == 1
            } =>
        {
            (
                422,
                fake::status(
                    422,
                    "Invalid",
                    "the server rejected our request due to an error in our request",
                ),
            )
        }
        (&Method::PATCH, _) => {
            let mut tide = stored_tide();
            tide["operation"] = seen.body[2]["value"].clone();
            (200, tide)
        }
        _ => (201, seen.body.clone()),
    });
    let (code, body) = house.ask(Method::POST, &format!("{SERVED}/tide/sync"), &[], "").await;
    assert_eq!(
        (code, &body["operation"]["initiatedBy"]),
        (StatusCode::CREATED, &json!({"username": "jane"}))
    );
    assert_eq!((&body["kind"], &body["metadata"]["uid"]), (&json!("Application"), &json!(SERVED_UID)));
    let tide = format!("{STORED}/tide");
    let events = "/api/v1/namespaces/harbour/events";
    assert_eq!(
        house.lines(),
        [
            format!("GET {tide}"),
            format!("PATCH {tide}"),
            format!("GET {tide}"),
            format!("PATCH {tide}"),
            format!("POST {events}")
        ]
    );
    let patch = house.seen.lock().unwrap()[3].body.clone();
    assert_eq!(patch[0], json!({"op": "test", "path": "/metadata/uid", "value": STORED_UID}));
    assert_eq!(patch[1], json!({"op": "test", "path": "/metadata/resourceVersion", "value": "42"}));
    assert_eq!(house.last().body["message"], "jane initiated sync to HEAD");
    assert_eq!(house.last().body["involvedObject"]["uid"], SERVED_UID);
}

#[tokio::test]
async fn a_second_operation_waits_for_the_first() {
    let check = async |change: fn(&mut Value), body: &str, code: u16, words: &str| {
        let house = House::new(&[], move |_| {
            let mut tide = stored_tide();
            change(&mut tide);
            (200, tide)
        });
        let (got, answer) = house.ask(Method::POST, &format!("{PROJECT}/tide/sync"), &[], body).await;
        let text = answer["message"].as_str().unwrap_or_default();
        assert!(got == code && text.contains(words), "{got} {text}");
        assert!(
            code == 204 || house.lines().iter().all(|line| line.starts_with("GET")),
            "nothing is written"
        );
    };
    let running = |tide: &mut Value| {
        tide["status"] = json!({"operationState": {"operation": {}, "phase": "Running", "startedAt": "2026-01-01T00:00:00Z"}});
    };
    check(running, "", 409, "another operation is already in progress").await;
    check(
        |tide| tide["operation"] = json!({"sync": {}}),
        "{}",
        409,
        "another operation is already in progress",
    )
    .await;
    check(
        |tide| tide["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"),
        "",
        409,
        "is being deleted",
    )
    .await;
    check(|_| (), "{\"manifests\":[]}", 400, "unknown field `manifests`").await;
    check(|_| (), "prune: true", 204, "").await;
    let house = House::new(&[], |_| (200, stored_tide()));
    let curl = [("content-type", "application/x-www-form-urlencoded")];
    let (code, _) = house.ask(Method::POST, &format!("{SERVED}/tide/sync"), &curl, "{\"prune\":true}").await;
    assert_eq!(code, StatusCode::CREATED, "curl says nothing true of its body");
}

#[tokio::test]
async fn a_refresh_is_a_mark_on_the_object() {
    let house = House::new(&[], |_| (200, stored_tide()));
    let uri = format!("{PROJECT}/tide/refresh?type=hard&dryRun=All");
    assert_eq!(house.ask(Method::POST, &uri, &[], "").await, (StatusCode::NO_CONTENT, Value::Null));
    let seen = house.last();
    assert_eq!(seen.query, "fieldManager=gitopsd&dryRun=All");
    let add = |path, value: Value| json!({"op": "add", "path": path, "value": value});
    let mark = [
        add("/metadata/annotations", json!({})),
        add("/metadata/annotations/gitops~1refresh", json!("hard")),
        add("/metadata/annotations/gitops~1refresh-requested-at", json!("1970-01-01T00:00:00.000000Z")),
    ];
    assert_eq!(seen.body.as_array().unwrap()[2..], mark);
    let (code, _) = house.ask(Method::POST, &format!("{SERVED}/tide/refresh?dryRun=yes"), &[], "").await;
    assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn events_come_in_pages() {
    let house = House::new(&[], |seen| match seen.path.as_str() {
        "/api/v1/namespaces/harbour/events" => {
            let event = |name: &str, at: &str| {
                json!({"metadata": {"name": name}, "lastTimestamp": at,
                "involvedObject": {"kind": "Application", "uid": SERVED_UID}, "type": "Normal"})
            };
            (
                200,
                json!({"kind": "EventList", "apiVersion": "v1", "metadata": {"resourceVersion": "9"},
                "items": [event("old", "2026-01-01T00:00:00Z"), event("new", "2026-01-02T00:00:00Z")]}),
            )
        }
        _ => (200, stored_tide()),
    });
    let (code, body) = house.ask(Method::GET, &format!("{SERVED}/tide/events?size=1"), &[], "").await;
    assert_eq!(code, StatusCode::OK, "{body}");
    assert_eq!(
        (&body["kind"], &body["total_items"], &body["total_page"]),
        (&json!("EventList"), &json!(2), &json!(2))
    );
    assert_eq!(
        (&body["items"][0]["metadata"]["name"], body["items"].as_array().unwrap().len()),
        (&json!("new"), 1)
    );
    assert_eq!(house.last().query, format!("limit=500&fieldSelector=involvedObject.uid%3D{SERVED_UID}"));
    let (code, body) = house.ask(Method::GET, &format!("{SERVED}/tide/events?pageno=x"), &[], "").await;
    assert!(code == 400 && body["message"].as_str().unwrap().contains("pageno"), "{body}");
}

#[tokio::test]
async fn watches_flow_as_they_come_and_end_with_their_reader() {
    let (events, rest_of_events) = mpsc::unbounded_channel::<Bytes>();
    let slot = Arc::new(Mutex::new(Some(rest_of_events)));
    let service = tower::service_fn(move |_: Request<kube::client::Body>| {
        let mut events = slot.lock().unwrap().take().unwrap();
        let frames = futures::stream::poll_fn(move |context| events.poll_recv(context))
            .map(|piece| Ok::<_, BoxError>(http_body::Frame::data(piece)));
        let body: UnsyncBoxBody<Bytes, BoxError> = StreamBody::new(frames).boxed_unsync();
        std::future::ready(Ok::<_, BoxError>(http::Response::new(body)))
    });
    let router = over(kube::Client::new(service, "default"));
    let answer = router.oneshot(asked(Method::GET, &format!("{SERVED}?watch=true"), &[], "")).await.unwrap();
    let mut pieces = answer.into_body().into_data_stream();
    let line = |object: Value| format!("{}\n", json!({"type": "ADDED", "object": object}));
    let stored = line(stored_tide());
    let (head, tail) = stored.split_at(50);
    events.send(head.to_owned().into()).unwrap();
    assert!(futures::poll!(pieces.next()).is_pending(), "half an event is none");
    events.send(format!("{tail}{stored}").into()).unwrap();
    assert_eq!(
        pieces.next().await.unwrap().unwrap(),
        line(served_tide()).repeat(2),
        "what arrives together leaves together"
    );
    drop(pieces);
    events.closed().await;
}
