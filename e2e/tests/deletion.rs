//! What becomes of an application's objects when it goes.

use serde_json::{Value, json};

use crate::harness::{
    app::{App, admin},
    gitopsd::Gitopsd,
    project::{Project, automated, config_map},
    repo::{Change, Repo},
};

/// An application of its own `ConfigMap`, which keeps this list of finalizers.
fn application(project: &Project, repo: &Repo, name: &str, finalizers: &Value) -> Value {
    let mut app = automated(project.application(name, repo, name));
    app["metadata"]["finalizers"] = finalizers.clone();
    app
}

fn repo(names: &[&str]) -> (Repo, String) {
    let repo = Repo::new();
    let files: Vec<_> =
        names.iter().map(|name| (format!("{name}/a.yaml"), config_map(name, "one"))).collect();
    let changes: Vec<_> = files.iter().map(|(path, text)| Change::Put(path, text)).collect();
    let revision = repo.commit(&changes);
    (repo, revision)
}

#[test]
fn finalizers_take_the_objects_along() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "deletion-finalizers");
    let cases = [
        ("argos", json!(["resources-finalizer.argocd.argoproj.io"])),
        ("argos-foreground", json!(["resources-finalizer.argocd.argoproj.io/foreground"])),
        ("argos-background", json!(["resources-finalizer.argocd.argoproj.io/background"])),
        ("ours", json!(["gitops/resources"])),
        ("none", json!([])),
    ];
    let names = cases.each_ref().map(|(name, _)| *name);
    let (repo, revision) = repo(&names);
    let apps = cases.each_ref().map(|(name, finalizers)| {
        App::apply(&project, admin(gitopsd.cluster()), &application(&project, &repo, name, finalizers))
    });
    for (app, name) in apps.iter().zip(names) {
        app.settled_at(&revision);
        project.run(&format!("delete applications.gitops/{name} --timeout=60s")).out();
        let is_left = app.object(&format!("configmap/{name}")).is_some();
        assert_eq!(is_left, name == "none", "{name}");
    }
    let left = project.get("configmap/none");
    assert_eq!(left["data"]["value"], "one");
}

#[test]
fn deleting_goes_wave_by_wave_and_spares_what_is_not_ours() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "deletion-waves");
    let repo = Repo::new();
    let object = |name: &str, annotations: &Value| {
        json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "annotations": annotations, "finalizers": ["e2e/held"]}})
        .to_string()
    };
    let mut kept: Value = json!({"apiVersion": "v1", "kind": "ConfigMap"});
    kept["metadata"] =
        json!({"name": "kept", "annotations": {"argocd.argoproj.io/sync-options": "Delete=false"}});
    let revision = repo.commit(&[
        Change::Put("a.json", &object("low", &json!({}))),
        Change::Put("b.json", &object("high", &json!({"argocd.argoproj.io/sync-wave": "3"}))),
        Change::Put("c.json", &kept.to_string()),
    ]);
    let mut wanted = automated(project.application("shop", &repo, "."));
    wanted["metadata"]["finalizers"] = json!(["gitops/resources"]);
    let app = App::apply(&project, admin(gitopsd.cluster()), &wanted);
    app.settled_at(&revision);
    project.run("create configmap foreign").out();

    project.run("delete applications.gitops/shop --wait=false").out();
    let let_go = |name: &str| {
        app.object_until(&format!("configmap/{name}"), |live| {
            !live["metadata"]["deletionTimestamp"].is_null()
        });
        let patch = r#"{"metadata": {"finalizers": null}}"#;
        project.run_with(&format!("patch configmap {name} --patch-file=/dev/stdin"), patch).out();
    };
    app.object_until("configmap/high", |live| !live["metadata"]["deletionTimestamp"].is_null());
    let low = app.object("configmap/low").expect("its wave comes later");
    assert!(low["metadata"]["deletionTimestamp"].is_null(), "{low}");
    let_go("high");
    let_go("low");
    project.run("wait applications.gitops/shop --for=delete --timeout=60s").out();
    assert!(app.object("configmap/kept").is_some() && app.object("configmap/foreign").is_some());
}

#[test]
fn a_deletion_that_is_refused_says_why() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "deletion-refused");
    let (repo, revision) = repo(&["shop"]);
    let wanted = application(&project, &repo, "shop", &json!(["gitops/resources"]));
    let app = App::apply(&project, admin(gitopsd.cluster()), &wanted);
    app.settled_at(&revision);
    project.run("delete rolebinding deployer").out();
    project.run("create rolebinding reads --clusterrole=view --serviceaccount={}:gitops-deployer").out();
    crate::harness::patience::eventually("the right is gone", || {
        let account = "--as=system:serviceaccount:{}:gitops-deployer";
        let said = project.run(&format!("auth can-i delete configmaps {account}"));
        if said.out.trim() == "no" { Ok(()) } else { Err(said.out) }
    });
    project.run("delete applications.gitops/shop --wait=false").out();
    let seen = app.until("the refusal is told", |app| {
        app["status"]["conditions"].to_string().contains("may not delete configmaps")
    });
    assert_eq!(seen["status"]["conditions"][0]["type"], "DeletionError");
    project.run("create rolebinding deployer --clusterrole=admin --serviceaccount={}:gitops-deployer").out();
    project.run("wait applications.gitops/shop --for=delete --timeout=80s").out();
    assert!(app.object("configmap/shop").is_none());
}
