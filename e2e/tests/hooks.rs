//! Waves and hooks: what waits for what, what runs once, and what happens when one fails.
//!
//! A suspended Job is a hook that runs until the test lets it go.

use serde_json::{Value, json};

use crate::harness::{
    app::{App, admin, result},
    gitopsd::Gitopsd,
    patience::eventually,
    project::{Project, config_map},
    repo::{Change, Repo},
};

/// A Job with these annotations under its metadata, which ends as soon as it may.
fn job(name: &str, annotations: &Value) -> Value {
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "annotations": annotations},
        "spec": {"backoffLimit": 0, "template": {"spec": {
            "restartPolicy": "Never", "containers": [{"name": "main", "image": "registry.invalid/job:1"}]}}}})
}

/// A hook of this phase.
fn hook(name: &str, phase: &str) -> Value {
    job(name, &json!({"argocd.argoproj.io/hook": phase}))
}

fn suspended(mut job: Value) -> String {
    job["spec"]["suspend"] = json!(true);
    job.to_string()
}

fn failing(mut job: Value) -> String {
    job["spec"]["template"]["metadata"] = json!({"annotations": {"e2e/fail": "true"}});
    job.to_string()
}

fn wave(name: &str, wave: &str) -> String {
    let annotations = json!({"argocd.argoproj.io/sync-wave": wave});
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "annotations": annotations}})
        .to_string()
}

fn release(project: &Project, job: &str) {
    project
        .run_with(&format!("patch job {job} --patch-file=/dev/stdin"), r#"{"spec": {"suspend": false}}"#)
        .out();
}

/// The names of the `ConfigMaps` that tests applied.
fn config_maps(project: &Project) -> Vec<String> {
    let said = project.run("get configmaps -o name --selector=gitops/application").out();
    said.lines().map(|line| line.trim_start_matches("configmap/").to_owned()).collect()
}

#[test]
fn phases_and_waves_wait_for_each_other() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "hooks-order");
    let repo = Repo::new();
    let mut middle = hook("middle", "Sync");
    middle["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"] = json!("1");
    let mut after = hook("after", "PostSync");
    after["metadata"]["annotations"]["argocd.argoproj.io/hook-delete-policy"] = json!("HookSucceeded");
    let revision = repo.commit(&[
        Change::Put("a.json", &wave("early", "-5")),
        Change::Put("b.json", &wave("plain", "0")),
        Change::Put("c.json", &wave("late", "2")),
        Change::Put("d.json", &suspended(hook("before", "PreSync"))),
        Change::Put("e.json", &suspended(middle)),
        Change::Put("f.json", &suspended(after)),
    ]);
    let app = App::apply(&project, admin(gitopsd.cluster()), &project.application("shop", &repo, "."));
    let sync = app.start_sync(json!({}));

    sync.waits(&app, "waiting for completion of hook batch/Job/before");
    assert!(config_maps(&project).is_empty(), "PreSync comes before everything");
    release(&project, "before");
    sync.waits(&app, "waiting for completion of hook batch/Job/middle");
    assert_eq!(config_maps(&project), ["early", "plain"]);
    release(&project, "middle");
    sync.waits(&app, "waiting for completion of hook batch/Job/after");
    assert_eq!(config_maps(&project), ["early", "late", "plain"]);
    release(&project, "after");
    let state = sync.over(&app);

    assert_eq!(state["phase"], "Succeeded", "{state}");
    let results = state["syncResult"]["resources"].as_array().expect("the operation has results");
    let order: Vec<_> = results.iter().map(|result| result["name"].as_str().unwrap_or_default()).collect();
    assert_eq!(order, ["before", "early", "plain", "middle", "late", "after"]);
    let told = result(&state, "Job", "before");
    assert_eq!((&told["hookType"], &told["hookPhase"]), (&json!("PreSync"), &json!("Succeeded")));
    app.object_gone("job/after");
    assert!(app.object("job/before").is_some(), "its policy keeps it until it runs again");
    let app = app.settled_at(&revision);
    let listed = app["status"]["resources"].to_string();
    assert!(!listed.contains("\"Job\""), "hooks are no part of the application: {listed}");
}

#[test]
fn a_wave_waits_until_the_one_before_is_healthy() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "hooks-health");
    let repo = Repo::new();
    let pod = json!({"labels": {"app": "slow"}});
    // Its Pod fits on no node until there is one that has the label.
    let slow = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "slow"},
        "spec": {"selector": {"matchLabels": {"app": "slow"}}, "template": {"metadata": pod, "spec": {
            "nodeSelector": {"no": "where"}, "containers": [{"name": "main", "image": "registry.invalid/slow:1"}]}}}});
    repo.commit(&[Change::Put("a.json", &slow.to_string()), Change::Put("b.json", &wave("next", "1"))]);
    let app = App::apply(&project, admin(gitopsd.cluster()), &project.application("shop", &repo, "."));
    let sync = app.start_sync(json!({}));
    sync.waits(&app, "waiting for healthy state of apps/Deployment/slow");
    assert!(config_maps(&project).is_empty());
    let patch = r#"[{"op": "remove", "path": "/spec/template/spec/nodeSelector"}]"#;
    project.run_with("patch deployment slow --type=json --patch-file=/dev/stdin", patch).out();
    assert_eq!(sync.over(&app)["phase"], "Succeeded");
    assert_eq!(config_maps(&project), ["next"]);
}

#[test]
fn a_hook_runs_once_a_sync() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "hooks-once");
    let repo = Repo::new();
    let mut unnamed = hook("", "PostSync");
    unnamed["metadata"]["name"] = Value::Null;
    unnamed["metadata"]["generateName"] = json!("report-");
    repo.commit(&[
        Change::Put("a.yaml", &config_map("settings", "one")),
        Change::Put("b.json", &hook("before", "PreSync").to_string()),
        Change::Put("c.json", &unnamed.to_string()),
    ]);
    let app = App::apply(&project, admin(gitopsd.cluster()), &project.application("shop", &repo, "."));
    let jobs = || project.get("jobs")["items"].as_array().map_or(0, Vec::len);
    let uid = || project.get("job/before")["metadata"]["uid"].as_str().map(str::to_owned);

    assert_eq!(app.sync(json!({}))["phase"], "Succeeded");
    let first = uid();
    assert_eq!(jobs(), 2, "one of each");
    assert_eq!(project.get("job/before")["status"]["succeeded"], 1);

    // A part has no hooks, and neither has applying without them.
    let part = json!({"resources": [{"kind": "ConfigMap", "name": "settings"}]});
    assert_eq!(app.sync(part)["phase"], "Succeeded");
    assert_eq!(app.sync(json!({"strategy": {"apply": {}}}))["phase"], "Succeeded");
    assert_eq!((uid(), jobs()), (first.clone(), 2));

    assert_eq!(app.sync(json!({}))["phase"], "Succeeded");
    assert_ne!(uid(), first, "it is made anew for the next sync");
    assert_eq!(jobs(), 3);
}

#[test]
fn a_failing_hook_fails_the_sync() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "hooks-fail");
    let repo = Repo::new();
    repo.commit(&[
        Change::Put("a.yaml", &config_map("settings", "one")),
        Change::Put("b.json", &failing(hook("check", "PreSync"))),
        Change::Put("c.json", &hook("report", "PostSync").to_string()),
        Change::Put("d.json", &hook("alarm", "SyncFail").to_string()),
    ]);
    let app = App::apply(&project, admin(gitopsd.cluster()), &project.application("shop", &repo, "."));
    let state = app.sync(json!({}));
    assert_eq!(state["phase"], "Failed", "{state}");
    let message = state["message"].as_str().unwrap_or_default();
    assert!(message.contains("one or more synchronization tasks completed unsuccessfully"), "{message}");
    assert!(message.contains("Job/check: "), "{message}");
    assert_eq!(result(&state, "Job", "check")["hookPhase"], "Failed");
    assert_eq!(result(&state, "Job", "alarm")["hookPhase"], "Succeeded");
    assert!(config_maps(&project).is_empty());
    assert!(app.object("job/report").is_none());
    let seen = app.read();
    assert!(seen["status"]["history"].is_null(), "{seen}");
    eventually("an event tells of it", || {
        let events = project.run("events --for=application/shop --types=Warning").attempt()?;
        if events.contains("OperationCompleted") && events.contains("failed:") { Ok(()) } else { Err(events) }
    });
}

#[test]
fn a_failed_hook_runs_again_when_the_sync_is_repeated() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "hooks-retry");
    let repo = Repo::new();
    let mut numbered = hook("", "PreSync");
    numbered["metadata"]["name"] = Value::Null;
    numbered["metadata"]["generateName"] = json!("numbered-");
    numbered["metadata"]["annotations"]["argocd.argoproj.io/hook-delete-policy"] = json!("HookSucceeded");
    repo.commit(&[
        Change::Put("a.yaml", &config_map("settings", "one")),
        Change::Put("b.json", &failing(hook("check", "PreSync"))),
        Change::Put("c.json", &failing(numbered)),
    ]);
    let app = App::apply(&project, admin(gitopsd.cluster()), &project.application("shop", &repo, "."));
    let retry = json!({"retry": {"limit": 1, "backoff": {"duration": "2s"}}});
    let sync = app.start_sync(retry);
    sync.waits(&app, "Retrying attempt #1");
    let first = project.get("job/check")["metadata"]["uid"].as_str().map(str::to_owned);
    let state = sync.over(&app);
    assert_eq!((&state["phase"], &state["retryCount"]), (&json!("Failed"), &json!(1)));
    assert!(
        state["message"].as_str().is_some_and(|message| message.ends_with("(retried 1 times).")),
        "{state}"
    );
    assert_ne!(project.get("job/check")["metadata"]["uid"].as_str().map(str::to_owned), first);
    let jobs = project.run("get jobs -o name").out();
    assert_eq!(jobs.matches("numbered-").count(), 2, "{jobs}");
}
