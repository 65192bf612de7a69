//! gitopsd killed in the middle of a sync, and restarted: the end is the same as without.

use std::thread;

use serde_json::{Value, json};

use crate::harness::{
    app::{App, admin, result},
    gitopsd::Gitopsd,
    patience::eventually,
    project::{Project, automated, config_map},
    repo::{Change, Repo},
};

/// Objects of one application.
const OBJECTS: usize = 50;

/// When gitopsd is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// The request is stored; it may have been taken up or not.
    Requested,
    /// The hook that comes first exists.
    FirstHook,
    /// So many of the objects exist.
    Objects(usize),
    /// The hook that comes last exists.
    LastHook,
}

/// A hook that is deleted when the sync has succeeded.
fn hook(name: &Value, phase: &str, policy: &str) -> String {
    let annotations =
        json!({"argocd.argoproj.io/hook": phase, "argocd.argoproj.io/hook-delete-policy": policy});
    let mut metadata = name.clone();
    metadata["annotations"] = annotations;
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": {"spec": {
        "restartPolicy": "Never", "containers": [{"name": "main", "image": "registry.invalid/job:1"}]}}}})
    .to_string()
}

/// One folder with the objects and two hooks, all named after it.
fn commit(repo: &Repo, folder: &str) -> String {
    let mut files = vec![
        (
            format!("{folder}/first.json"),
            hook(&json!({"generateName": format!("{folder}-first-")}), "PreSync", "HookFailed"),
        ),
        (
            format!("{folder}/last.json"),
            hook(&json!({"name": format!("{folder}-last")}), "PostSync", "HookSucceeded"),
        ),
    ];
    for number in 0..OBJECTS {
        files.push((format!("{folder}/{number}.yaml"), config_map(&format!("{folder}-{number}"), "one")));
    }
    let changes: Vec<_> = files.iter().map(|(path, text)| Change::Put(path, text)).collect();
    repo.commit(&changes)
}

fn names(project: &Project, kind: &str, prefix: &str) -> Vec<String> {
    let said = project.run(&format!("get {kind} -o name")).out();
    let names = said.lines().filter_map(|line| line.split_once('/'));
    names.map(|(_, name)| name.to_owned()).filter(|name| name.starts_with(prefix)).collect()
}

fn has_come(moment: Moment, project: &Project, folder: &str) -> bool {
    match moment {
        Moment::Requested => true,
        Moment::FirstHook => !names(project, "jobs", &format!("{folder}-first-")).is_empty(),
        Moment::Objects(count) => names(project, "configmaps", &format!("{folder}-")).len() >= count,
        Moment::LastHook => !names(project, "jobs", &format!("{folder}-last")).is_empty(),
    }
}

/// How often requests made an object of this name, by kube-apiserver's own record.
fn creations(gitopsd: &Gitopsd, project: &Project, kind: &str, name: &str) -> usize {
    let log =
        std::fs::read_to_string(gitopsd.cluster().dir().join("audit.log")).expect("there is an audit log");
    let of_it = format!("/namespaces/{}/{kind}/{name}?", project.name());
    let made =
        |line: &&str| line.contains(&of_it) && line.contains(r#""code":201"#) && !line.contains("dryRun");
    log.lines().filter(made).count()
}

#[test]
fn a_sync_survives_being_killed() {
    let mut gitopsd = Gitopsd::alone();
    let project = Project::new(gitopsd.cluster(), "crash-sync");
    let repo = Repo::new();
    let moments = [
        ("requested", Moment::Requested),
        ("hook", Moment::FirstHook),
        ("one", Moment::Objects(1)),
        ("twenty", Moment::Objects(20)),
        ("all", Moment::Objects(OBJECTS)),
        ("last", Moment::LastHook),
    ];
    for (folder, moment) in moments {
        let revision = commit(&repo, folder);
        let app = App::apply(&project, admin(gitopsd.cluster()), &project.application(folder, &repo, folder));
        app.until("it is compared", |app| app["status"]["sync"]["status"] == "OutOfSync");
        let sync = app.start_sync(json!({}));
        while !has_come(moment, &project, folder) {
            thread::yield_now();
        }
        gitopsd.kill();
        gitopsd.start();
        let state = sync.over(&app);
        assert_eq!(state["phase"], "Succeeded", "{moment:?}: {state}");
        let seen = app.settled_at(&revision);
        assert_eq!(seen["status"]["history"].as_array().map(Vec::len), Some(1), "{moment:?}: {seen}");
        assert_eq!(names(&project, "configmaps", &format!("{folder}-")).len(), OBJECTS, "{moment:?}");
        assert_eq!(
            state["syncResult"]["resources"].as_array().map(Vec::len),
            Some(OBJECTS + 2),
            "{moment:?}"
        );
        assert_eq!(names(&project, "jobs", &format!("{folder}-first-")).len(), 1, "{moment:?}");
        app.object_gone(&format!("job/{folder}-last"));
        eventually("the record is written", || {
            match creations(&gitopsd, &project, "jobs", &format!("{folder}-last")) {
                1 => Ok(()),
                count => Err(format!("{moment:?}: the last hook was made {count} times")),
            }
        });
    }
}

#[test]
fn a_sync_that_waits_survives_being_killed() {
    let mut gitopsd = Gitopsd::alone();
    let project = Project::new(gitopsd.cluster(), "crash-wait");
    let repo = Repo::new();
    let gate = json!({"apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "gate", "annotations":
            {"argocd.argoproj.io/hook": "Sync", "argocd.argoproj.io/sync-wave": "1"}},
        "spec": {"suspend": true, "template": {"spec": {"restartPolicy": "Never",
            "containers": [{"name": "main", "image": "registry.invalid/gate:1"}]}}}});
    let late = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "late", "annotations": {"argocd.argoproj.io/sync-wave": "2"}}});
    let revision = repo.commit(&[
        Change::Put("a.yaml", &config_map("early", "one")),
        Change::Put("b.json", &gate.to_string()),
        Change::Put("c.json", &late.to_string()),
    ]);
    let app = App::apply(&project, admin(gitopsd.cluster()), &project.application("shop", &repo, "."));
    let sync = app.start_sync(json!({}));
    sync.waits(&app, "waiting for completion of hook batch/Job/gate");
    let uid = || project.get("job/gate")["metadata"]["uid"].as_str().map(str::to_owned);
    let first = uid();

    gitopsd.kill();
    // While it is away, the hook ends and Git moves on.
    project.run_with("patch job gate --patch-file=/dev/stdin", r#"{"spec": {"suspend": false}}"#).out();
    project.run("wait job/gate --for=condition=Complete --timeout=60s").out();
    let newer = repo.commit(&[Change::Put("a.yaml", &config_map("early", "two"))]);
    gitopsd.start();

    let state = sync.over(&app);
    assert_eq!(state["phase"], "Succeeded", "{state}");
    assert_eq!(state["syncResult"]["revision"], revision.as_str(), "it goes on with what it began");
    assert_eq!(result(&state, "ConfigMap", "late")["message"], "created");
    assert_eq!(uid(), first, "the hook did not run again");
    assert_eq!(project.get("configmap/early")["data"]["value"], "one");
    app.until("the newer commit is seen", |app| app["status"]["sync"]["revision"] == newer.as_str());
}

#[test]
fn git_is_polled() {
    let mut gitopsd = Gitopsd::alone();
    gitopsd.restart_with(&["--poll-interval", "1s"]);
    let project = Project::new(gitopsd.cluster(), "crash-poll");
    let repo = Repo::new();
    let first = repo.commit(&[Change::Put("a.yaml", &config_map("settings", "one"))]);
    let wanted = automated(project.application("shop", &repo, "."));
    let app = App::apply(&project, admin(gitopsd.cluster()), &wanted);
    app.settled_at(&first);
    let second = repo.commit(&[Change::Put("a.yaml", &config_map("settings", "two"))]);
    app.promptly("the commit is found", |app| app["status"]["sync"]["revision"] == second.as_str());
    app.settled_at(&second);
    assert_eq!(project.get("configmap/settings")["data"]["value"], "two");
    gitopsd.restart_with(&[]);
}
