//! Git in every way it is reached, and what happens when it is not.

use serde_json::{Value, json};

use crate::harness::{
    app::{App, admin},
    gitopsd::Gitopsd,
    project::{Project, automated, config_map},
    repo::{Change, Repo},
    ssh::Sshd,
};

fn source(url: &str) -> Value {
    json!({"repoURL": url, "path": "."})
}

/// A Secret with the credentials of a repository, as Argo CD knows them.
fn credentials(name: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "stringData": data,
        "metadata": {"name": name, "labels": {"argocd.argoproj.io/secret-type": "repository"}}})
}

fn one_file() -> (Repo, String) {
    let repo = Repo::new();
    let revision = repo.commit(&[Change::Put("a.yaml", &config_map("settings", "one"))]);
    (repo, revision)
}

#[test]
fn repositories_in_the_file_system() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "sources-file");
    let (repo, revision) = one_file();
    let url = format!("file://{}", repo.path().display());
    let wanted = automated(project.application_of("shop", &source(&url)));
    App::apply(&project, admin(gitopsd.cluster()), &wanted).settled_at(&revision);
}

#[test]
fn repositories_behind_a_password() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "sources-password");
    let repo = Repo::locked("jane", "pass word/1");
    let revision = repo.commit(&[Change::Put("a.yaml", &config_map("settings", "one"))]);
    let wanted = automated(project.application_of("shop", &source(&repo.url())));
    let app = App::apply(&project, admin(gitopsd.cluster()), &wanted);
    let comparison_error = |app: &Value| app["status"]["conditions"][0]["type"] == "ComparisonError";
    app.until("it is refused without a password", comparison_error);

    let wrong = json!({"type": "git", "url": repo.url(), "username": "jane", "password": "a wrong guess"});
    project.apply(&credentials("repo", &wrong));
    app.refresh();
    let seen = app.promptly("a wrong password is refused", |app| {
        comparison_error(app) && !app["metadata"]["annotations"].to_string().contains("gitops/refresh")
    });
    assert!(!seen.to_string().contains("a wrong guess"), "{seen}");

    let right = json!({"type": "git", "url": repo.url(), "username": "jane", "password": "pass word/1"});
    project.apply(&credentials("repo", &right));
    let seen = crate::harness::patience::eventually("the password counts", || {
        app.refresh();
        let seen = app.read();
        if comparison_error(&seen) { Err(seen["status"].to_string()) } else { Ok(seen) }
    });
    assert!(!seen.to_string().contains("pass word/1"), "{seen}");
    app.settled_at(&revision);
}

#[test]
fn repositories_over_ssh() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "sources-ssh");
    let (repo, revision) = one_file();
    let sshd = Sshd::start();
    let url = sshd.url(&repo);
    project.apply(&credentials("repo", &json!({"url": url, "sshPrivateKey": sshd.key()})));
    let wanted = automated(project.application_of("shop", &source(&url)));
    let app = App::apply(&project, admin(gitopsd.cluster()), &wanted);
    app.settled_at(&revision);
    let next = repo.commit(&[Change::Put("a.yaml", &config_map("settings", "two"))]);
    app.refresh();
    app.settled_at(&next);
}

#[test]
fn while_git_is_away_nothing_is_lost() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "sources-away");
    let repo = Repo::new();
    let first = repo.commit(&[
        Change::Put("a.yaml", &config_map("settings", "one")),
        Change::Put("b.yaml", &config_map("further", "one")),
    ]);
    let app =
        App::apply(&project, admin(gitopsd.cluster()), &automated(project.application("shop", &repo, ".")));
    app.settled_at(&first);
    let away = |what: &str| {
        for kind in ["normal", "hard"] {
            app.post("refresh", &json!({"type": kind})).accepted(201);
            let seen = app.promptly(what, |app| {
                !app["metadata"]["annotations"].to_string().contains("gitops/refresh")
                    && app["status"]["conditions"][0]["type"] == "ComparisonError"
            });
            let status = &seen["status"];
            assert_eq!(status["sync"]["status"], "Unknown", "{status}");
            assert_eq!(
                status["resources"].as_array().map(Vec::len),
                Some(2),
                "what is known stays: {status}"
            );
            let message = status["conditions"][0]["message"].as_str().unwrap_or_default();
            assert!(message.starts_with("Failed to load target state: "), "{message}");
            assert!(message.contains(&repo.url()), "{message}");
            project.run("get configmaps settings further").out();
        }
    };

    repo.unplug();
    away("the server is down");
    let state = app.sync(json!({"prune": true}));
    assert_eq!(state["phase"], "Error", "{state}");
    project.run("get configmaps settings further").out();
    repo.plug_in();
    repo.hide();
    away("the repository is gone");
    repo.show();

    let second =
        repo.commit(&[Change::Remove("b.yaml"), Change::Put("a.yaml", &config_map("settings", "two"))]);
    app.refresh();
    let seen = app.settled_at(&second);
    assert!(seen["status"]["conditions"].is_null(), "{seen}");
    app.object_gone("configmap/further");
    assert_eq!(project.get("configmap/settings")["data"]["value"], "two");
}
