//! What happens to requests on their way, through the router and without a socket.

use std::sync::Mutex;

use axum::Extension;
use axum::routing::any;
use http::StatusCode;
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::*;
use crate::server::{Server, fake};

/// What a handler was given.
type Seen = Arc<Mutex<Vec<String>>>;

/// Users are known by their token (`token-alice` is alice); bob may nothing.
fn cluster() -> kube::Client {
    fake::cluster(|request| {
        let status = if request.path.ends_with("/tokenreviews") {
            match request.body["spec"]["token"].as_str().and_then(|token| token.strip_prefix("token-")) {
                Some(name) => json!({"authenticated": true, "user": {"username": name}}),
                None => json!({"authenticated": false}),
            }
        } else {
            json!({"allowed": request.body["spec"]["user"] != "bob"})
        };
        (201, json!({"metadata": {}, "spec": {"token": ""}, "status": status}))
    })
}

fn parts(resources: Router) -> Parts {
    Parts {
        authenticator: Authenticator::new(cluster(), || jiff::Timestamp::UNIX_EPOCH),
        authorizer: Authorizer::new(cluster()),
        health: Health::default(),
        openapi_v3: json!({"openapi": "3.0.0"}),
        openapi_v2: json!({"swagger": "2.0"}),
        resources,
        clock: || jiff::Timestamp::UNIX_EPOCH,
    }
}

fn server() -> (Router, Seen) {
    let seen = Seen::default();
    let noted = seen.clone();
    let handler = move |info: Extension<RequestInfo>, user: Extension<User>, request: Request| {
        let noted = noted.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let line = format!(
                "{} {} {} {} bytes, {} headers",
                user.name,
                info.verb.as_str(),
                info.name.as_deref().unwrap_or("-"),
                body.len(),
                parts.headers.len()
            );
            noted.lock().unwrap().push(line);
            match info.name.as_deref() {
                Some("panics") => panic!("on purpose"),
                Some("hangs") => std::future::pending().await,
                _ => StatusCode::NO_CONTENT,
            }
        }
    };
    (Server::new(parts(Router::new().fallback(any(handler)))).router(), seen)
}

struct Answer {
    code: u16,
    headers: http::HeaderMap,
    body: Value,
}

async fn send(router: &Router, request: http::request::Builder, body: impl Into<Body>) -> Answer {
    let response = router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer {
        code: parts.status.as_u16(),
        headers: parts.headers,
        body: serde_json::from_slice(&body)
            .unwrap_or_else(|_| String::from_utf8(body.to_vec()).unwrap().into()),
    }
}

fn request(method: &str, path: &str) -> http::request::Builder {
    Request::builder().method(method).uri(path)
}

fn by(user: &str, method: &str, path: &str) -> http::request::Builder {
    request(method, path).header("authorization", format!("Bearer token-{user}"))
}

const APPS: &str = "/apis/gitops/v1/namespaces/team/applications";

#[tokio::test]
async fn authorized_requests_reach_the_handler_without_credentials() {
    let (router, seen) = server();
    let request = by("alice", "POST", APPS).header("x-remote-user", "root");
    let answer = send(&router, request, "12345").await;
    assert_eq!(answer.code, 204);
    assert_eq!(*seen.lock().unwrap(), ["alice create - 5 bytes, 0 headers"]);
    assert_eq!(answer.headers["cache-control"], "no-cache, private");
}

#[tokio::test]
async fn refused_requests_do_not() {
    let (router, seen) = server();
    let refused = send(&router, by("bob", "GET", &format!("{APPS}/shop")), "").await;
    assert_eq!(refused.code, 403);
    assert_eq!(refused.body["reason"], "Forbidden");
    let coarse =
        send(&router, by("bob", "POST", "/apis/gitops/v1/project/team/applications/shop/sync"), "").await;
    assert_eq!(
        coarse.body["message"],
        "applications.gitops \"shop\" is forbidden: User \"bob\" cannot create resource \"applications/sync\" \
         in API group \"gitops\" in the namespace \"team\""
    );
    let wrong = send(&router, request("GET", APPS).header("authorization", "Bearer nonsense"), "").await;
    assert_eq!((wrong.code, &wrong.body["message"]), (401, &json!("Unauthorized")));
    let acting = by("bob", "GET", APPS).header("impersonate-user", "alice");
    assert_eq!(send(&router, acting, "").await.code, 403);
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn acting_as_somebody_else_takes_effect() {
    let (router, seen) = server();
    let acting = by("alice", "GET", APPS).header("impersonate-user", "carol");
    assert_eq!(send(&router, acting, "").await.code, 204);
    assert_eq!(*seen.lock().unwrap(), ["carol list - 0 bytes, 0 headers"]);
    let lowered = by("alice", "GET", APPS).header("impersonate-user", "bob");
    assert_eq!(send(&router, lowered, "").await.code, 403);
}

#[tokio::test]
async fn one_audit_id_goes_back() {
    let (router, _) = server();
    let given = send(&router, by("alice", "GET", APPS).header("audit-id", "abc"), "").await;
    assert_eq!(given.headers.get_all("audit-id").iter().collect::<Vec<_>>(), ["abc"]);
    let own = send(&router, request("GET", "/nowhere"), "").await;
    assert_eq!(own.headers["audit-id"].len(), 36);
    let long = send(&router, request("GET", "/nowhere").header("audit-id", "x".repeat(65)), "").await;
    assert_eq!(long.headers["audit-id"].len(), 36);
}

#[tokio::test]
async fn unknown_paths_and_methods() {
    let (router, _) = server();
    let unknown = send(&router, by("alice", "GET", "/nowhere"), "").await;
    assert_eq!((unknown.code, &unknown.body), (404, &json!("404 page not found\n")));
    let wrong = send(&router, by("alice", "POST", &format!("{APPS}/shop")), "").await;
    assert_eq!((wrong.code, &wrong.body["reason"]), (405, &json!("MethodNotAllowed")));
}

#[tokio::test]
async fn a_panic_is_an_answer() {
    let (router, _) = server();
    let answer = send(&router, by("alice", "GET", &format!("{APPS}/panics")), "").await;
    assert_eq!((answer.code, &answer.body["reason"]), (500, &json!("InternalError")));
    assert!(answer.headers.contains_key("audit-id"));
    assert_eq!(send(&router, by("alice", "GET", &format!("{APPS}/fine")), "").await.code, 204);
}

#[tokio::test]
async fn time_is_limited() {
    let (router, _) = server();
    let answer = send(&router, by("alice", "GET", &format!("{APPS}/hangs?timeout=1ms")), "").await;
    assert_eq!(answer.code, 504);
    assert_eq!(answer.body["message"], "Timeout: request did not complete within the allotted timeout");
    let wrong = send(&router, by("alice", "GET", &format!("{APPS}?timeout=abc")), "").await;
    assert_eq!(wrong.code, 400);
}

#[tokio::test]
async fn bodies_are_limited() {
    let (router, seen) = server();
    let answer = send(&router, by("alice", "POST", APPS), vec![b' '; limits::BODY_BYTES + 1]).await;
    assert_eq!((answer.code, &answer.body["reason"]), (413, &json!("RequestEntityTooLarge")));
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn too_many_requests_are_turned_away() {
    let resources = Router::new().fallback(any(|| async { StatusCode::NO_CONTENT }));
    let mut pipeline = Pipeline::new(parts(resources), CancellationToken::new());
    pipeline.in_flight = InFlight::new(0, 1);
    let router = pipeline.router();
    let turned_away = send(&router, by("alice", "GET", APPS), "").await;
    assert_eq!((turned_away.code, &turned_away.body["reason"]), (429, &json!("TooManyRequests")));
    assert_eq!(turned_away.headers["retry-after"], "1");
    assert_eq!(send(&router, by("alice", "POST", APPS), "").await.code, 204);
    assert_eq!(send(&router, request("GET", "/livez"), "").await.code, 200);
}

#[tokio::test]
async fn everybody_known_may_read_what_is_served() {
    let (router, _) = server();
    for path in ["/", "/apis", "/apis/", "/apis/gitops", "/apis/gitops/v1", "/openapi/v2", "/openapi/v3"] {
        let answer = send(&router, by("bob", "GET", path), "").await;
        assert_eq!(answer.code, 200, "{path}");
        assert_eq!(answer.headers["content-type"], "application/json", "{path}");
        let stranger = send(&router, request("GET", path), "").await;
        assert_eq!(stranger.code, 403, "{path}");
        assert_eq!(
            stranger.body["message"],
            format!("forbidden: User \"system:anonymous\" cannot get path \"{path}\"")
        );
    }
    let head = send(&router, by("bob", "HEAD", "/apis"), "").await;
    assert_eq!((head.code, &head.body), (200, &json!("")));
}

#[tokio::test]
async fn discovery_is_aggregated_on_request_and_known_by_its_etag() {
    let (router, _) = server();
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let first = send(&router, by("alice", "GET", "/apis").header("accept", accept), "").await;
    assert_eq!(first.headers["content-type"], accept);
    assert_eq!(first.headers["cache-control"], "public");
    assert_eq!(first.body["kind"], "APIGroupDiscoveryList");
    let again =
        by("alice", "GET", "/apis").header("accept", accept).header("if-none-match", &first.headers["etag"]);
    assert_eq!(send(&router, again, "").await.code, 304);
}

#[tokio::test]
async fn the_openapi_index_leads_to_the_document() {
    let (router, _) = server();
    let index = send(&router, by("alice", "GET", "/openapi/v3"), "").await;
    let url = index.body["paths"]["apis/gitops/v1"]["serverRelativeURL"].as_str().unwrap();
    let document = send(&router, by("alice", "GET", url), "").await;
    assert_eq!(document.body, json!({"openapi": "3.0.0"}));
    assert_eq!(document.headers["cache-control"], "public, immutable");
}

#[tokio::test]
async fn watches_end_when_the_server_does() {
    let stream = || async { Body::from_stream(futures::stream::pending::<Result<String, std::io::Error>>()) };
    let ending = CancellationToken::new();
    let router = Pipeline::new(parts(Router::new().fallback(any(stream))), ending.clone()).router();
    let response = router
        .oneshot(by("alice", "GET", &format!("{APPS}?watch=true")).body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    ending.cancel();
    assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty());
}
