//! The ground itself: whether the cluster, its users and the repositories are what tests take them for.

use crate::harness::{
    cluster::Cluster,
    patience::eventually,
    program::{program, run},
    repo::{Change, Repo},
};

#[test]
fn deployments_become_available_and_jobs_complete() {
    let admin = Cluster::shared().admin();
    admin.kubectl("create namespace ground-ready").out();
    admin.kubectl("-n ground-ready create deployment web --image=web --replicas=3").out();
    admin.kubectl("-n ground-ready create job once --image=once").out();
    admin.kubectl("-n ground-ready rollout status deployment/web --timeout=60s").out();
    admin.kubectl("-n ground-ready wait --for=condition=Complete job/once --timeout=60s").out();
    assert_eq!(admin.get("-n ground-ready deployment/web")["status"]["readyReplicas"], 3);
}

#[test]
fn pods_can_be_made_to_fail() {
    let admin = Cluster::shared().admin();
    admin.kubectl("create namespace ground-fail").out();
    let pod = r#"{"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "sick", "namespace": "ground-fail", "annotations": {"e2e/fail": "true"}},
        "spec": {"containers": [{"name": "main", "image": "main"}]}}"#;
    admin.kubectl_with("create -f -", pod).out();
    eventually("the pod crashes", || {
        let status = &admin.get("-n ground-fail pod/sick")["status"];
        let reason = &status["containerStatuses"][0]["state"]["waiting"]["reason"];
        if reason == "CrashLoopBackOff" { Ok(()) } else { Err(status.to_string()) }
    });
}

#[test]
fn users_have_the_rights_they_were_given() {
    let cluster = Cluster::shared();
    let admin = cluster.admin();
    admin.kubectl("create namespace ground-users").out();
    let dana = cluster.user("dana", &["readers"]);
    let refusal = dana.kubectl("-n ground-users get configmaps").err();
    assert!(refusal.contains(r#"User "dana" cannot list resource "configmaps""#), "{refusal}");
    admin.kubectl("-n ground-users create rolebinding read --clusterrole=view --group=readers").out();
    eventually("dana may read", || dana.kubectl("-n ground-users get configmaps").attempt());
    dana.kubectl("-n ground-users create configmap mine").err();
}

#[test]
fn repositories_can_be_cloned_over_http() {
    let repo = Repo::new();
    let first = repo.commit(&[Change::Put("kept.yaml", "a: 1\n"), Change::Put("sub/gone.yaml", "b: 2\n")]);
    let second = repo.commit(&[Change::Remove("sub/gone.yaml"), Change::Put("kept.yaml", "a: 3\n")]);
    assert_ne!(first, second);
    let clone = tempfile::tempdir().expect("a temporary folder");
    run(program("git").args(["clone", "--quiet", &repo.url(), "."]).current_dir(&clone), b"").out();
    let head = run(program("git").args(["rev-parse", "HEAD"]).current_dir(&clone), b"").out();
    assert_eq!(head.trim(), second);
    let kept = std::fs::read_to_string(clone.path().join("kept.yaml")).expect("it was committed");
    assert_eq!(kept, "a: 3\n");
    assert!(!clone.path().join("sub").exists());
}
