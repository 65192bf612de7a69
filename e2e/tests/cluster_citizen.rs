//! gitopsd as a part of a cluster: the garbage collector, the namespace controller and the quota
//! controller work with its kinds as with any other, and the cluster gets over its absence.

use serde_json::json;

use crate::harness::{
    app::{App, admin},
    gitopsd::Gitopsd,
    patience::eventually,
    project::{Project, automated, config_map},
    repo::{Change, Repo},
};

#[test]
fn what_an_application_owns_goes_with_it() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "citizen-owner");
    project.apply(&project.idle("shop"));
    let uid = project.get("applications.gitops/shop")["metadata"]["uid"].clone();
    let owned = |name: &str, uid: &serde_json::Value| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "ownerReferences": [
            {"apiVersion": "gitops/v1", "kind": "Application", "name": "shop", "uid": uid}]}})
    };
    project.apply(&owned("kept", &uid));
    project.apply(&owned("orphan", &json!("00000000-0000-4000-8000-000000000000")));
    let gone = |name: &str| {
        eventually(&format!("{name} is collected"), || {
            let said = project.run(&format!("get configmap {name} --ignore-not-found -o name")).out();
            if said.is_empty() { Ok(()) } else { Err(said) }
        });
    };
    // The collector has looked at both when it has taken the one that nobody owns.
    gone("orphan");
    project.get("configmap/kept");
    project.run("delete applications.gitops shop").out();
    gone("kept");
}

#[test]
fn a_namespace_with_applications_can_be_deleted() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "citizen-namespace");
    let repo = Repo::new();
    let revision = repo.commit(&[Change::Put("a.yaml", &config_map("a", "one"))]);
    for finalizer in ["gitops/resources", "resources-finalizer.argocd.argoproj.io", ""] {
        let name = format!("shop-{}", finalizer.len());
        repo.commit(&[Change::Put(&format!("{name}/a.yaml"), &config_map(&name, "one"))]);
        let mut app = automated(project.application(&name, &repo, &name));
        if !finalizer.is_empty() {
            app["metadata"]["finalizers"] = json!([finalizer]);
        }
        project.apply(&app);
        project.settled(&name);
    }
    assert!(!revision.is_empty());
    let admin = project.admin();
    admin.kubectl("delete namespace citizen-namespace --timeout=60s").out();
    admin.kubectl("delete projects.gitops citizen-namespace --timeout=60s").out();
    let left = admin.kubectl("get applications.gitops -A -o name").out();
    assert!(!left.contains("shop-"), "{left}");
}

#[test]
fn namespaces_wait_for_gitopsd_and_no_longer() {
    let mut gitopsd = Gitopsd::alone();
    let admin_user = gitopsd.cluster().admin();
    let project = Project::new(gitopsd.cluster(), "citizen-absence");
    let repo = Repo::new();
    let revision = repo.commit(&[Change::Put("a.yaml", &config_map("a", "one"))]);
    let object = automated(project.application("shop", &repo, "."));
    let app = App::apply(&project, admin(gitopsd.cluster()), &object);
    app.settled_at(&revision);
    assert!(gitopsd.stop(), "it ends by itself and well");
    admin_user.kubectl("create namespace citizen-elsewhere").out();
    let refused = admin_user.kubectl("get projects.gitops").err();
    assert!(!refused.is_empty());
    admin_user.kubectl("delete namespace citizen-elsewhere --wait=false").out();
    gitopsd.start();
    admin_user.kubectl("wait --for=delete namespace/citizen-elsewhere --timeout=90s").out();
    app.settled_at(&revision);
}

#[test]
fn a_lost_certificate_is_made_anew() {
    let gitopsd = Gitopsd::alone();
    let admin_user = gitopsd.cluster().admin();
    let bundle = || admin_user.kubectl("get apiservice v1.gitops -o jsonpath={.spec.caBundle}").out();
    let before = bundle();
    admin_user.kubectl("-n gitops-system delete secret gitopsd-serving-cert").out();
    eventually("another CA is announced", || if bundle() == before { Err(before.clone()) } else { Ok(()) });
    eventually("kube-apiserver believes it", || admin_user.kubectl("get projects.gitops").attempt());
}

#[test]
fn kube_controller_manager_has_no_complaint() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "citizen-quiet");
    project.apply(&project.idle("shop"));
    let log = gitopsd.cluster().dir().join("logs/kube-controller-manager.log");
    let read = || std::fs::read_to_string(&log).expect("kube-controller-manager has a log");
    // It looks for new kinds every 30 seconds; a quota made before would wait for its next full round.
    eventually("the quota controller knows the kind", || {
        let known =
            |line: &str| line.contains("object count evaluator") && line.contains("applications.gitops");
        if read().lines().any(known) { Ok(()) } else { Err(String::new()) }
    });
    project.run("create quota few --hard=count/applications.gitops=5").out();
    eventually("the quota controller counts", || {
        let used = project.get("quota/few")["status"]["used"]["count/applications.gitops"].take();
        if used == "1" { Ok(()) } else { Err(used.to_string()) }
    });
    let log = read();
    let complaint = |line: &&str| {
        (line.starts_with('E') || line.starts_with('W'))
            && line.contains("gitops")
            // While a test has stopped gitopsd, it may be missed.
            && !line.contains("stale GroupVersion discovery")
            && !line.contains("currently unable to handle the request")
            && !line.contains("service unavailable")
            && !line.contains("connection refused")
    };
    let complaints: Vec<_> = log.lines().filter(complaint).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
