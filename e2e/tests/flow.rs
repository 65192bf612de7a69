//! The main job: what Git says becomes live, and stays so.

use serde_json::{Value, json};

use crate::harness::{
    app::{App, admin, resource, result},
    gitopsd::Gitopsd,
    patience::eventually,
    project::{Project, automated, config_map},
    repo::{Change, Repo},
};

const WEB: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {tier: front}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: "registry.invalid/web:1"}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80}]
"#;

/// The `ConfigMap` `settings` with this value.
fn settings(value: &str) -> String {
    config_map("settings", value)
}

fn value(object: &Value) -> &Value {
    &object["data"]["value"]
}

#[test]
fn what_is_committed_becomes_live_and_follows() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "flow-main");
    let repo = Repo::new();
    let first = repo.commit(&[Change::Put("app/web.yaml", WEB), Change::Put("app/a.yaml", &settings("one"))]);
    let wanted = automated(project.application("shop", &repo, "app"));
    let app = App::apply(&project, admin(gitopsd.cluster()), &wanted);
    for condition in ["{.status.sync.status}=Synced", "{.status.health.status}=Healthy"] {
        project.run(&format!("wait applications.gitops/shop --for=jsonpath={condition} --timeout=90s")).out();
    }
    let status = app.settled_at(&first)["status"].take();
    assert_eq!(status["operationState"]["phase"], "Succeeded", "{status}");
    assert_eq!(status["summary"]["images"], json!(["registry.invalid/web:1"]));
    assert_eq!(status["sourceType"], "Directory");
    assert_eq!(status["history"][0]["revision"], first.as_str());
    assert_eq!(project.get("deployment/web")["status"]["readyReplicas"], 2);
    let live = project.get("configmap/settings");
    assert_eq!(value(&live), "one");
    assert_eq!(live["metadata"]["labels"]["gitops/application"], "flow-main.shop");
    assert_eq!(
        live["metadata"]["annotations"]["gitops/tracking-id"],
        "flow-main_shop:/ConfigMap:flow-main/settings"
    );

    let second = repo.commit(&[Change::Put("app/a.yaml", &settings("two"))]);
    app.refresh();
    app.promptly("the commit is synced", |app| app["status"]["sync"]["revision"] == second.as_str());
    app.settled_at(&second);
    assert_eq!(value(&project.get("configmap/settings")), "two");

    let third = repo.commit(&[Change::Remove("app/a.yaml")]);
    app.refresh();
    app.promptly("the removal is synced", |app| app["status"]["sync"]["revision"] == third.as_str());
    let status = app.settled_at(&third)["status"].take();
    app.object_gone("configmap/settings");
    assert_eq!(result(&status["operationState"], "ConfigMap", "settings")["status"], "Pruned");
    let history = status["history"].as_array().expect("there is a history");
    let revisions: Vec<_> =
        history.iter().map(|entry| entry["revision"].as_str().unwrap_or_default()).collect();
    assert_eq!(revisions, [&first, &second, &third]);
    assert!(app.object("deployment/web").is_some(), "what stayed in Git stays");
}

#[test]
fn drift_is_healed_and_nothing_else_is_touched() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "flow-drift");
    let repo = Repo::new();
    let revision = repo.commit(&[Change::Put("web.yaml", WEB), Change::Put("a.yaml", &settings("one"))]);
    let wanted = automated(project.application("shop", &repo, "."));
    let app = App::apply(&project, admin(gitopsd.cluster()), &wanted);
    app.settled_at(&revision);

    project.run("delete configmap settings").out();
    app.object_until("configmap/settings", |live| value(live) == "one");
    project.run("delete deployment web").out();
    app.object_until("deployment/web", |live| live["status"]["readyReplicas"] == 2);

    // One patch of somebody else: a field that Git has, and fields that nobody desires.
    let patch = r#"{"metadata": {"labels": {"team": "blue"}}, "data": {"value": "theirs", "more": "kept"}}"#;
    project.run_with("patch configmap settings --patch-file=/dev/stdin", patch).out();
    let live = app.object_until("configmap/settings", |live| value(live) == "one");
    assert_eq!(live["data"]["more"], "kept");
    assert_eq!(live["metadata"]["labels"]["team"], "blue");
    app.settled_at(&revision);

    let scaled = r#"{"spec": {"replicas": 5}, "metadata": {"annotations": {"seen-by": "somebody"}}}"#;
    project.run_with("patch deployment web --patch-file=/dev/stdin", scaled).out();
    let live = app.object_until("deployment/web", |live| live["spec"]["replicas"] == 2);
    assert_eq!(live["metadata"]["annotations"]["seen-by"], "somebody");
    let status = app.settled_at(&revision)["status"].take();
    let history = status["history"].as_array().map(Vec::len);
    assert_eq!(history, Some(1), "healing is no deployment: {status}");
}

#[test]
fn what_left_git_stays_unless_it_may_be_pruned() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "flow-prune");
    let repo = Repo::new();
    let first = repo.commit(&[Change::Put("web.yaml", WEB), Change::Put("a.yaml", &settings("one"))]);
    let mut wanted = project.application("shop", &repo, ".");
    wanted["spec"]["syncPolicy"] = json!({"automated": {"selfHeal": true}});
    let app = App::apply(&project, admin(gitopsd.cluster()), &wanted);
    app.settled_at(&first);

    let second = repo.commit(&[Change::Remove("a.yaml")]);
    app.refresh();
    let seen = app.promptly("the leftover is reported", |app| {
        app["status"]["sync"]["revision"] == second.as_str() && app["status"]["sync"]["status"] == "OutOfSync"
    });
    let leftover = resource(&seen, "ConfigMap", "settings");
    assert_eq!((&leftover["requiresPruning"], &leftover["status"]), (&json!(true), &json!("OutOfSync")));
    let synced = &seen["status"]["operationState"]["syncResult"]["revision"];
    assert_eq!(synced, first.as_str(), "there is nothing that the automation may do");

    let kept = app.sync(json!({}));
    assert_eq!(kept["phase"], "Succeeded", "{kept}");
    let told = result(&kept, "ConfigMap", "settings");
    assert_eq!(told["status"], "PruneSkipped");
    assert_eq!(told["message"], "ignored (requires pruning)");
    assert_eq!(value(&project.get("configmap/settings")), "one");

    let pruned = app.sync(json!({"prune": true}));
    assert_eq!(result(&pruned, "ConfigMap", "settings")["status"], "Pruned", "{pruned}");
    app.object_gone("configmap/settings");
    app.settled_at(&second);
}

#[test]
fn without_automation_nothing_happens_until_a_sync() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "flow-manual");
    let repo = Repo::new();
    let first = repo.commit(&[Change::Put("web.yaml", WEB), Change::Put("a.yaml", &settings("one"))]);
    let app = App::apply(&project, admin(gitopsd.cluster()), &project.application("shop", &repo, "."));
    let seen = app.until("it is compared", |app| app["status"]["sync"]["status"] == "OutOfSync");
    assert_eq!(seen["status"]["health"]["status"], "Missing");
    assert_eq!(resource(&seen, "Service", "web")["status"], "OutOfSync");
    assert!(seen["status"]["operationState"].is_null(), "{seen}");
    assert!(app.object("configmap/settings").is_none());

    let state = app.sync(json!({}));
    assert_eq!(state["phase"], "Succeeded", "{state}");
    assert_eq!(state["operation"]["initiatedBy"]["username"], "admin");
    assert_eq!(result(&state, "ConfigMap", "settings")["message"], "created");
    app.settled_at(&first);

    // Drift is told, not healed.
    project.run("delete configmap settings").out();
    app.until("the drift is reported", |app| app["status"]["sync"]["status"] == "OutOfSync");
    repo.commit(&[Change::Put("b.yaml", &config_map("further", "new"))]);
    app.refresh();
    app.promptly("the new object is reported", |app| {
        app["status"]["resources"].to_string().contains("further")
    });
    assert!(app.object("configmap/settings").is_none() && app.object("configmap/further").is_none());
    app.sync(json!({}));
    eventually("both are there", || project.run("get configmap settings further").attempt());
}

#[test]
fn a_revision_that_empties_everything_is_not_followed() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "flow-empty");
    let repo = Repo::new();
    let first =
        repo.commit(&[Change::Put("app/a.yaml", &settings("one")), Change::Put("app/notes.txt", "x\n")]);
    let mut wanted = automated(project.application("shop", &repo, "app"));
    let app = App::apply(&project, admin(gitopsd.cluster()), &wanted);
    app.settled_at(&first);

    let second = repo.commit(&[Change::Remove("app/a.yaml")]);
    app.refresh();
    let seen = app.promptly("the danger is reported", |app| {
        app["status"]["conditions"].to_string().contains("auto-sync will wipe out all resources")
    });
    assert_eq!(seen["status"]["conditions"][0]["type"], "SyncError");
    assert_eq!(value(&project.get("configmap/settings")), "one");

    wanted["spec"]["syncPolicy"]["automated"]["allowEmpty"] = json!(true);
    project.apply(&wanted);
    app.object_gone("configmap/settings");
    let status = app.settled_at(&second)["status"].take();
    assert!(status["conditions"].is_null(), "{status}");
}
