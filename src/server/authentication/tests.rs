//! Who is believed, and what nobody gets to see.

use std::sync::atomic::{AtomicUsize, Ordering};

use http::HeaderValue;
use serde_json::json;

use super::trust::Trust;
use super::*;
use crate::server::fake;
use crate::server::fake::ca::{Ca, Leaf, today};

struct Cluster {
    proxies: Ca,
    people: Ca,
}

impl Cluster {
    fn new() -> Self {
        Self { proxies: Ca::new("front-proxy-ca"), people: Ca::new("kubernetes") }
    }

    fn data(&self) -> BTreeMap<String, String> {
        [
            ("client-ca-file", self.people.pem.as_str()),
            ("requestheader-client-ca-file", &self.proxies.pem),
            ("requestheader-allowed-names", r#"["front-proxy-client"]"#),
            ("requestheader-username-headers", r#"["X-Remote-User"]"#),
            ("requestheader-uid-headers", r#"["X-Remote-Uid"]"#),
            ("requestheader-group-headers", r#"["X-Remote-Group"]"#),
            ("requestheader-extra-headers-prefix", r#"["X-Remote-Extra-"]"#),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
    }

    /// Knows the token `good`, and counts reviews.
    fn authenticator(&self) -> (Authenticator, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = count.clone();
        let client = fake::cluster(move |request| {
            counted.fetch_add(1, Ordering::Relaxed);
            assert_eq!(request.path, "/apis/authentication.k8s.io/v1/tokenreviews");
            let status = match request.body["spec"]["token"].as_str() {
                Some("good") => {
                    json!({"authenticated": true, "user": {"username": "robot", "groups": ["bots"]}})
                }
                Some("down") => return (500, fake::status(500, "InternalError", "no")),
                _ => json!({"authenticated": false, "error": "no such token"}),
            };
            (201, json!({"metadata": {}, "spec": {"token": ""}, "status": status}))
        });
        let authenticator = Authenticator::new(client, today);
        authenticator.trust.store(Some(Arc::new(Trust::parse(&self.data()).unwrap())));
        (authenticator, count)
    }

    async fn user(
        &self,
        leaf: Option<&Leaf>,
        headers: &[(&'static str, &'static str)],
    ) -> Result<User, Failure> {
        let (authenticator, _) = self.authenticator();
        authenticator.user(&peer(leaf), &map(headers)).await
    }
}

fn peer(leaf: Option<&Leaf>) -> Peer {
    leaf.map_or_else(Peer::default, |leaf| Peer::new(std::slice::from_ref(&leaf.der)))
}

fn map(headers: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name: HeaderName = name.parse().unwrap();
        map.append(name, HeaderValue::from_static(value));
    }
    map
}

const ALICE: [(&str, &str); 6] = [
    ("X-Remote-User", "alice"),
    ("X-Remote-Uid", "17"),
    ("X-Remote-Group", "dev"),
    ("X-Remote-Group", "ops"),
    ("X-Remote-Extra-Authentication.kubernetes.io%2fcredential-Id", "X509SHA256=ab"),
    ("X-Remote-Extra-Scopes", "b%"),
];

#[tokio::test]
async fn the_front_proxy_passes_on_users() {
    let cluster = Cluster::new();
    let proxy = cluster.proxies.client("front-proxy-client", None);
    let user = cluster.user(Some(&proxy), &ALICE).await.unwrap();
    assert_eq!((user.name.as_str(), user.uid.as_str()), ("alice", "17"));
    assert_eq!(user.groups, ["dev", "ops", AUTHENTICATED]);
    assert_eq!(user.extra["authentication.kubernetes.io/credential-id"], ["X509SHA256=ab"]);
    assert_eq!(user.extra["scopes"], ["b%"]);
}

#[tokio::test]
async fn a_user_without_groups_is_authenticated_all_the_same() {
    let cluster = Cluster::new();
    let proxy = cluster.proxies.client("front-proxy-client", None);
    let user = cluster.user(Some(&proxy), &[("x-remote-user", "system:aggregator")]).await.unwrap();
    assert!(user.is_authenticated());
    let passed = [("x-remote-user", ANONYMOUS), ("x-remote-group", UNAUTHENTICATED)];
    assert!(!cluster.user(Some(&proxy), &passed).await.unwrap().is_authenticated());
}

#[tokio::test]
async fn the_front_proxy_must_name_a_user() {
    let cluster = Cluster::new();
    let proxy = cluster.proxies.client("front-proxy-client", None);
    for headers in [&[][..], &[("x-remote-user", "")], &[("x-remote-group", "system:masters")]] {
        assert_eq!(cluster.user(Some(&proxy), headers).await.unwrap_err().code(), 401);
    }
}

#[tokio::test]
async fn headers_are_believed_from_nobody_else() {
    let cluster = Cluster::new();
    let other = Ca::new("front-proxy-ca");
    for leaf in [
        None,
        Some(cluster.proxies.client("somebody-else", None)),
        Some(cluster.proxies.not_for_clients("front-proxy-client")),
        Some(other.client("front-proxy-client", None)),
    ] {
        let user = cluster.user(leaf.as_ref(), &ALICE).await.unwrap();
        assert_eq!(user, User::anonymous());
    }
    let bob = cluster.people.client("bob", Some("dev"));
    let user = cluster.user(Some(&bob), &ALICE).await.unwrap();
    assert_eq!(
        (user.name.as_str(), user.groups.as_slice()),
        ("bob", &["dev".into(), AUTHENTICATED.into()][..])
    );
    assert!(user.extra.is_empty() && user.uid.is_empty());
}

#[tokio::test]
async fn certificates_are_good_for_their_time_only() {
    let cluster = Cluster::new();
    let (mut authenticator, _) = cluster.authenticator();
    authenticator.clock = || today() + jiff::SignedDuration::from_hours(48);
    for leaf in [cluster.proxies.client("front-proxy-client", None), cluster.people.client("bob", None)] {
        let user = authenticator.user(&peer(Some(&leaf)), &map(&ALICE)).await.unwrap();
        assert_eq!(user, User::anonymous());
    }
}

#[tokio::test]
async fn another_ca_counts_from_the_next_request_on() {
    let (before, after) = (Cluster::new(), Cluster::new());
    let (authenticator, _) = before.authenticator();
    let proxy = after.proxies.client("front-proxy-client", None);
    assert_eq!(authenticator.by_certificate(&peer(Some(&proxy)), &map(&ALICE)).unwrap(), None);
    authenticator.trust.store(Some(Arc::new(Trust::parse(&after.data()).unwrap())));
    assert!(authenticator.by_certificate(&peer(Some(&proxy)), &map(&ALICE)).unwrap().is_some());
}

#[tokio::test]
async fn tokens_are_reviewed_once() {
    let cluster = Cluster::new();
    let (authenticator, count) = cluster.authenticator();
    let ask = |value: &'static str| {
        let authenticator = authenticator.clone();
        async move { authenticator.user(&Peer::default(), &map(&[("authorization", value)])).await }
    };
    for _ in 0..2 {
        assert_eq!(ask("Bearer good").await.unwrap().groups, ["bots", AUTHENTICATED]);
        assert_eq!(ask("bearer bad").await.unwrap_err(), Failure::unauthorized());
    }
    assert_eq!(count.load(Ordering::Relaxed), 2);
    assert_eq!(ask("Bearer down").await.unwrap_err().code(), 503);
    assert_eq!(ask("Basic Z29vZA==").await.unwrap(), User::anonymous());
    assert_eq!(ask("Bearer ").await.unwrap(), User::anonymous());
    assert_eq!(count.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn nothing_is_believed_before_the_cas_are_known() {
    let cluster = Cluster::new();
    let (authenticator, _) = cluster.authenticator();
    authenticator.trust.store(None);
    let proxy = cluster.proxies.client("front-proxy-client", None);
    assert_eq!(authenticator.user(&peer(Some(&proxy)), &map(&ALICE)).await.unwrap(), User::anonymous());
}

#[test]
fn handlers_see_no_credentials() {
    let cluster = Cluster::new();
    let mut data = cluster.data();
    data.insert("requestheader-username-headers".into(), r#"["X-Proxy-User"]"#.into());
    let (authenticator, _) = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(async { cluster.authenticator() });
    authenticator.trust.store(Some(Arc::new(Trust::parse(&data).unwrap())));
    let mut headers = map(&ALICE);
    for (name, value) in &map(&[
        ("authorization", "Bearer good"),
        ("impersonate-user", "bob"),
        ("x-proxy-user", "alice"),
        ("accept", "application/json"),
    ]) {
        headers.append(name.clone(), value.clone());
    }
    authenticator.forget_credentials(&mut headers);
    let left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    assert_eq!(left, ["accept"]);
}

#[test]
fn a_config_map_that_makes_no_sense_is_an_error() {
    let cluster = Cluster::new();
    let check = |key: &str, value: &str, message: &str| {
        let mut data = cluster.data();
        data.insert(key.into(), value.into());
        assert_eq!(Trust::parse(&data).unwrap_err().to_string(), message);
    };
    check("client-ca-file", "not PEM", "client-ca-file holds no certificate that can be used");
    check(
        "requestheader-allowed-names",
        "front-proxy",
        "requestheader-allowed-names is not a JSON list of strings",
    );
    check(
        "requestheader-group-headers",
        r#"["X Group"]"#,
        "requestheader-group-headers names \"X Group\", which cannot be a header",
    );
    assert!(Trust::parse(&BTreeMap::new()).unwrap().front_proxy.is_none());
}

#[tokio::test]
async fn the_config_map_is_read_and_readiness_follows() {
    let cluster = Cluster::new();
    let data = cluster.data();
    let client = fake::cluster(move |request| {
        assert_eq!(request.path, "/api/v1/namespaces/kube-system/configmaps");
        assert!(request.query.contains("fieldSelector=metadata.name%3Dextension-apiserver-authentication"));
        let metadata = json!({"name": "extension-apiserver-authentication", "resourceVersion": "1"});
        (200, fake::list(&[json!({"metadata": metadata, "data": data})]))
    });
    let health = Health::default();
    let authenticator = Authenticator::new(client, today);
    let mut following = Box::pin(authenticator.follow(&health));
    assert!(!health.is_ready());
    // Polled by hand: it never ends.
    while !health.is_ready() {
        tokio::select! {
            () = &mut following => panic!("it stopped following"),
            () = tokio::task::yield_now() => {}
        }
    }
    let bob = cluster.people.client("bob", None);
    assert_eq!(authenticator.user(&peer(Some(&bob)), &HeaderMap::new()).await.unwrap().name, "bob");
}
