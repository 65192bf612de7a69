//! Faults around a toy API that counts its writes.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use futures::FutureExt;
use http::{Request, Response};
use serde_json::Value;
use tower::{BoxError, Layer, Service, ServiceExt};

use super::{Act, Asked, Effect, Fault, Faults, Hook, Requests, Rule};

/// Answers each request with the number of writes so far, and a watch with three events and a bookmark.
#[derive(Clone, Default)]
struct Toy(Arc<AtomicU64>);

impl Service<Request<Body>> for Toy {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if request.uri().query() == Some("watch=1") {
            // Events come as they like, not one by one.
            let chunks = [
                "{\"type\":\"ADDED\",\"object\":1}\n{\"type\":\"MODI",
                "FIED\",\"object\":2}\n{\"type\":\"BOOKMARK\"}\n",
                "{\"type\":\"DELETED\",\"object\":3}\n",
            ];
            let body = Body::from_stream(futures::stream::iter(chunks.map(Ok::<_, Infallible>)));
            return std::future::ready(Ok(Response::new(body)));
        }
        let writes = match request.method().as_str() {
            "GET" => self.0.load(Ordering::Relaxed),
            _ => self.0.fetch_add(1, Ordering::Relaxed) + 1,
        };
        std::future::ready(Ok(Response::new(Body::from(writes.to_string()))))
    }
}

async fn send(faults: &Faults, toy: &Toy, request: &str) -> String {
    let (method, uri) = request.split_once(' ').unwrap();
    let request = Request::builder().method(method).uri(uri).body(Body::empty()).unwrap();
    match faults.layer(toy.clone()).oneshot(request).await {
        Ok(response) => told(response).await.unwrap_or_else(|error| error.to_string()),
        Err(error) => error.to_string(),
    }
}

async fn told(response: Response<Body>) -> Result<String, BoxError> {
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.map_err(|_| "the stream broke")?;
    if parts.status.is_success() {
        return Ok(String::from_utf8(body.to_vec()).unwrap());
    }
    let status: Value = serde_json::from_slice(&body).unwrap();
    let retry = parts.headers.get("retry-after").map_or("", |seconds| seconds.to_str().unwrap());
    Ok(format!("{} {} {retry}", parts.status.as_u16(), status["reason"].as_str().unwrap()))
}

#[test]
fn requests_are_told_apart() {
    let check = |request: &str, expected: &str| {
        let (method, uri) = request.split_once(' ').unwrap();
        let asked = Asked::of(&Request::builder().method(method).uri(uri).body(()).unwrap());
        let Asked { verb, resource, subresource, namespace, name, write, key: _ } = asked;
        let mark = if write { "!" } else { "" };
        assert_eq!(
            format!("{mark}{verb} {resource} {namespace}/{name}/{subresource}"),
            expected,
            "{request}"
        );
    };
    check("GET /api/v1/pods", "list pods //");
    check("GET /api/v1/pods?watch=true&resourceVersion=3", "watch pods //");
    check("GET /api/v1/namespaces/a/pods/x", "get pods a/x/");
    check("GET /api/v1/namespaces", "list namespaces //");
    check("DELETE /api/v1/namespaces/a", "!delete namespaces /a/");
    check("PUT /api/v1/namespaces/a/finalize", "!update namespaces /a/finalize");
    check("PATCH /apis/apps/v1/namespaces/a/deployments/x/status", "!patch deployments.apps a/x/status");
    check("PATCH /apis/apps/v1/namespaces/a/deployments/x?dryRun=All", "patch deployments.apps a/x/");
    check("DELETE /apis/apps/v1/namespaces/a/deployments", "!deletecollection deployments.apps a//");
    check("POST /apis/rbac.authorization.k8s.io/v1/clusterroles", {
        "!create clusterroles.rbac.authorization.k8s.io //"
    });
    check("POST /apis/authorization.k8s.io/v1/subjectaccessreviews", {
        "create subjectaccessreviews.authorization.k8s.io //"
    });
    check("POST /api/v1/namespaces/a/serviceaccounts/x/token", "create serviceaccounts a/x/token");
    check("GET /apis/apps/v1", "get  //");
    check("GET /version", "get  //");
}

#[tokio::test]
async fn chosen_requests_fail() {
    const WRITE: &str = "POST /api/v1/namespaces/a/pods";
    const READ: &str = "GET /api/v1/namespaces/a/pods";
    let check = async |rule: Rule, answers: [(&str, &str); 4]| {
        let (faults, toy) = (Faults::default(), Toy::default());
        faults.set([rule.clone()]);
        for (request, expected) in answers {
            assert_eq!(send(&faults, &toy, request).await, expected, "{rule:?}");
        }
    };
    let second = |fault| Rule { requests: Requests::writes(), at: 2..=2, fault };
    let closed = "connection closed on purpose";
    check(second(Fault::Before(Act::Close)), [(WRITE, "1"), (READ, "1"), (WRITE, closed), (READ, "1")]).await;
    check(second(Fault::After(Act::Close)), [(WRITE, "1"), (READ, "1"), (WRITE, closed), (READ, "2")]).await;
    for (code, retry_after, expected) in [
        (409, None, "409 Conflict "),
        (410, None, "410 Expired "),
        (429, Some(3), "429 TooManyRequests 3"),
        (500, None, "500 InternalError "),
    ] {
        let answer = || Act::Answer { code, retry_after };
        check(second(Fault::Before(answer())), [(WRITE, "1"), (WRITE, expected), (WRITE, "2"), (READ, "2")])
            .await;
        check(second(Fault::After(answer())), [(WRITE, "1"), (WRITE, expected), (WRITE, "3"), (READ, "3")])
            .await;
    }
    let from_second = Rule {
        requests: Requests { without: &["pods"], ..Requests::default() },
        at: 2..=u64::MAX,
        fault: Fault::Before(Act::Close),
    };
    let other = "GET /api/v1/nodes";
    check(from_second, [(other, "0"), (READ, "0"), (other, closed), (other, closed)]).await;
    let stale = |at| Rule { requests: Requests::of("list", "pods"), at, fault: Fault::Stale };
    check(stale(2..=2), [(READ, "0"), (WRITE, "1"), (READ, "0"), (READ, "1")]).await;
    check(stale(1..=1), [(WRITE, "1"), (READ, "1"), (WRITE, "2"), (READ, "2")]).await;
}

#[tokio::test]
async fn something_comes_between() {
    let (faults, toy) = (Faults::default(), Toy::default());
    let ran = Arc::new(Mutex::new(Vec::new()));
    let hook = |toy: &Toy| {
        let (ran, toy) = (ran.clone(), toy.clone());
        Act::Run(Hook(Arc::new(move || ran.lock().unwrap().push(toy.0.load(Ordering::Relaxed)))))
    };
    let rule = |fault| Rule { requests: Requests::of("update", "pods"), at: 1..=1, fault };
    faults.set([rule(Fault::Before(hook(&toy))), rule(Fault::After(hook(&toy)))]);
    assert_eq!(send(&faults, &toy, "PUT /api/v1/namespaces/a/pods/x").await, "1");
    assert_eq!(*ran.lock().unwrap(), [0, 1]);
}

#[tokio::test]
async fn a_client_crashes_at_a_write_and_is_started_again() {
    const WRITES: [&str; 3] = ["POST /api/v1/nodes", "PUT /api/v1/nodes/x", "DELETE /api/v1/nodes/x"];
    for (fault, reached) in [(Fault::Before(Act::Crash), 1), (Fault::After(Act::Crash), 2)] {
        let (faults, toy) = (Faults::default(), Toy::default());
        faults.set([Rule { requests: Requests::writes(), at: 2..=2, fault }]);
        let client = async {
            for write in WRITES {
                send(&faults, &toy, write).await;
            }
        };
        tokio::select! {
            () = client => panic!("nothing is answered after a crash"),
            () = faults.crashed() => {}
        }
        assert_eq!(toy.0.load(Ordering::Relaxed), reached);
        assert!(send(&faults, &toy, "GET /version").now_or_never().is_none(), "it is down");
        faults.restart();
        assert_eq!(send(&faults, &toy, WRITES[2]).await, (reached + 1).to_string());
        let seen: Vec<_> = faults.writes().iter().map(|seen| (seen.number, seen.asked.verb)).collect();
        assert_eq!(seen, [(1, "create"), (2, "update"), (3, "delete")]);
    }
}

#[tokio::test(start_paused = true)]
async fn events_of_a_watch_are_disturbed() {
    const WATCH: &str = "GET /api/v1/pods?watch=1";
    let [first, second, mark, third] = [
        r#"{"type":"ADDED","object":1}"#,
        r#"{"type":"MODIFIED","object":2}"#,
        r#"{"type":"BOOKMARK"}"#,
        r#"{"type":"DELETED","object":3}"#,
    ]
    .map(|event| format!("{event}\n"));
    let check = async |which, effect, seconds, expected: String| {
        let (faults, toy) = (Faults::default(), Toy::default());
        let fault = Fault::Events(which, effect);
        faults.set([Rule { requests: Requests::of("watch", "pods"), at: 1..=1, fault }]);
        let begun = tokio::time::Instant::now();
        assert_eq!(send(&faults, &toy, WATCH).await, expected, "{effect:?}");
        assert_eq!(begun.elapsed().as_secs(), seconds, "{effect:?}");
        assert_eq!(send(&faults, &toy, WATCH).await, format!("{first}{second}{mark}{third}"));
    };
    check(2..=3, Effect::Drop, 0, format!("{first}{mark}")).await;
    check(1..=2, Effect::Delay(Duration::from_secs(5)), 10, format!("{first}{second}{mark}{third}")).await;
    check(2..=2, Effect::End, 0, first.clone()).await;
    check(3..=3, Effect::Close, 0, "the stream broke".into()).await;
    let expired = r#"{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"too old resource version: on purpose","reason":"Expired","code":410}}"#;
    check(2..=2, Effect::Expire, 0, format!("{first}{expired}\n")).await;
}
