//! How replicas share a certificate, and how kube-apiserver learns of its CA.

use std::sync::Mutex;

use http::Method;
use serde_json::Value;

use super::*;
use crate::server::fake;

fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn secret(material: &Material) -> Value {
    json!({
        "metadata": {"name": "gitopsd-serving-cert", "resourceVersion": "7"},
        "type": "kubernetes.io/tls",
        "data": material.write(),
    })
}

fn made() -> Material {
    material::make(&Settings::of("gitops-system").names, now()).unwrap()
}

fn keeper(client: kube::Client, health: &Health) -> Keeper {
    Keeper {
        secrets: Api::namespaced(client, "gitops-system"),
        settings: Settings::of("gitops-system"),
        serving: Serving::new(),
        installed: health.flag("serving-certificate"),
        bundle: watch::channel(None).0,
    }
}

#[tokio::test]
async fn the_first_replica_makes_the_secret() {
    let written = Arc::new(Mutex::new(Value::Null));
    let kept = written.clone();
    let client = fake::cluster(move |request| {
        assert_eq!(request.method, Method::POST);
        assert_eq!(request.path, "/api/v1/namespaces/gitops-system/secrets");
        assert_eq!(request.body["type"], "kubernetes.io/tls");
        *kept.lock().unwrap() = request.body.clone();
        (201, request.body)
    });
    let health = Health::default();
    let keeper = keeper(client, &health);
    assert!(!health.is_ready());
    keeper.step(&mut None, now()).await.unwrap();
    assert!(health.is_ready());
    let written: Secret = serde_json::from_value(written.lock().unwrap().clone()).unwrap();
    let material = Material::read(&written.data.unwrap()).unwrap();
    assert_eq!(material.next(&Settings::of("gitops-system").names, now()), Next::Keep);
    assert_eq!(*keeper.bundle.borrow(), Some(material.cas));
}

#[tokio::test]
async fn a_replica_that_comes_second_shows_what_the_first_made() {
    let winner = made();
    let answer = secret(&winner);
    let client = fake::cluster(move |request| match request.method {
        Method::POST => (409, fake::status(409, "AlreadyExists", "taken")),
        _ => (200, answer.clone()),
    });
    let health = Health::default();
    let keeper = keeper(client, &health);
    keeper.step(&mut None, now()).await.unwrap();
    assert_eq!(*keeper.bundle.borrow(), Some(winner.cas));
}

#[tokio::test]
async fn renewal_replaces_only_what_was_read() {
    let client = fake::cluster(|request| {
        assert_eq!(request.method, Method::PUT);
        assert_eq!(request.body["metadata"]["resourceVersion"], "7");
        (200, request.body)
    });
    let health = Health::default();
    let keeper = keeper(client, &health);
    let old = made();
    let mut held = Some(serde_json::from_value(secret(&old)).unwrap());
    let later = now() + jiff::SignedDuration::from_hours(61 * 24);
    keeper.step(&mut held, later).await.unwrap();
    let material = Material::read(&held.unwrap().data.unwrap()).unwrap();
    assert_ne!(material.chain, old.chain);
    assert_eq!(material.cas, old.cas);
}

#[tokio::test]
async fn a_good_secret_is_only_read() {
    let client = fake::cluster(|_| panic!("nothing is to be asked"));
    let health = Health::default();
    let mut held = Some(serde_json::from_value(secret(&made())).unwrap());
    keeper(client, &health).step(&mut held, now()).await.unwrap();
    assert!(health.is_ready());
}

#[tokio::test]
async fn without_the_right_to_write_the_server_is_not_ready() {
    let client = fake::cluster(|_| (403, fake::status(403, "Forbidden", "no")));
    let health = Health::default();
    assert!(keeper(client, &health).step(&mut None, now()).await.is_err());
    assert!(!health.is_ready());
}

fn service(bundle: Option<&str>, insecure: bool) -> APIService {
    let bundle = bundle.map(|bundle| ByteString(bundle.as_bytes().to_vec()));
    serde_json::from_value(json!({
        "metadata": {"name": "v1.gitops", "resourceVersion": "3"},
        "spec": {
            "group": "gitops", "version": "v1", "groupPriorityMinimum": 900, "versionPriority": 100,
            "caBundle": bundle, "insecureSkipTLSVerify": insecure,
        },
    }))
    .unwrap()
}

#[test]
fn the_bundle_is_corrected_only_where_a_ca_is_missing() {
    let (ours, other) = (made().cas, made().cas);
    assert!(correction(&service(Some(&ours), false), &ours).is_none());
    assert!(correction(&service(Some(&format!("{other}{ours}")), false), &ours).is_none());
    for wrong in
        [service(None, false), service(Some(&other), false), service(None, true), service(Some(&ours), true)]
    {
        let patch = correction(&wrong, &ours).unwrap();
        assert_eq!(patch["spec"]["insecureSkipTLSVerify"], Value::Null);
        let bundle: ByteString = serde_json::from_value(patch["spec"]["caBundle"].clone()).unwrap();
        assert_eq!(bundle.0, ours.as_bytes());
    }
}

#[tokio::test]
async fn kube_apiserver_is_told_the_ca() {
    let (told, mut patches) = tokio::sync::mpsc::unbounded_channel();
    let client = fake::cluster(move |request| {
        if request.method == Method::PATCH {
            assert_eq!(request.path, "/apis/apiregistration.k8s.io/v1/apiservices/v1.gitops");
            told.send(request.body).unwrap();
            return (200, serde_json::to_value(service(None, false)).unwrap());
        }
        (200, fake::list(&[serde_json::to_value(service(None, true)).unwrap()]))
    });
    let ours = made().cas;
    let (_bundle, announced) = watch::channel(Some(ours.clone()));
    tokio::select! {
        () = announce(client, "v1.gitops".into(), announced) => panic!("it stopped"),
        patch = patches.recv() => {
            let patch = patch.unwrap();
            assert_eq!(patch["spec"]["caBundle"], serde_json::to_value(ByteString(ours.into_bytes())).unwrap());
        }
    }
}
