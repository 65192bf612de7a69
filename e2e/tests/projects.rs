//! Projects: the home they get, the rules they set, and the rights that applications are applied with.

use serde_json::{Value, json};

use crate::harness::{
    app::{App, admin, result},
    cluster::Cluster,
    gitopsd::Gitopsd,
    patience::eventually,
    project::{Project, automated, config_map},
    repo::{Change, Repo},
};

/// Changes the spec of a project.
fn set_rules(project: &Project, rules: &Value) {
    let patch = json!({"spec": rules}).to_string();
    let command = format!("patch projects.gitops/{} --type=merge --patch-file=/dev/stdin", project.name());
    project.run_with(&command, &patch).out();
}

#[test]
fn a_project_gets_a_home() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "projects-home");
    let namespace = project.admin().get("namespace/projects-home");
    assert_eq!(namespace["metadata"]["labels"]["gitops/project"], "projects-home");
    project.get("serviceaccount/gitops-deployer");
    let status = project.admin().get("projects.gitops/projects-home")["status"].take();
    assert_eq!(status["namespace"], "projects-home");
    assert_eq!(status["serviceAccount"], "gitops-deployer");
    assert_eq!(status["conditions"][0]["reason"], "HomeReady");

    // A namespace that was there before keeps what it has.
    let admin = project.admin();
    admin.kubectl("create namespace projects-adopted").out();
    admin.kubectl("label namespace projects-adopted team=blue").out();
    let adopted = Project::new(gitopsd.cluster(), "projects-adopted");
    assert_eq!(adopted.admin().get("namespace/projects-adopted")["metadata"]["labels"]["team"], "blue");
    adopted.get("serviceaccount/gitops-deployer");
}

#[test]
fn missing_rights_are_told_with_the_remedy() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "projects-rights");
    project.run("delete rolebinding deployer").out();
    let repo = Repo::new();
    repo.commit(&[Change::Put("a.yaml", &config_map("settings", "one"))]);
    let app = App::apply(&project, admin(gitopsd.cluster()), &project.application("shop", &repo, "."));
    // The right goes a moment after its binding.
    let state = eventually("the sync is refused", || {
        let state = app.sync(json!({}));
        if state["phase"] == "Failed" { Ok(state) } else { Err(state.to_string()) }
    });
    let message = result(&state, "ConfigMap", "settings")["message"].as_str().unwrap_or_default().to_owned();
    let told = r#"service account "gitops-deployer" of namespace "projects-rights" may not patch configmaps"#;
    assert!(message.starts_with(told), "{message}");
    let (_, remedy) = message.split_once(": kubectl ").expect("it says what to do");
    assert!(state["message"].as_str().is_some_and(|message| message.contains(told)), "{state}");

    project.run(&remedy.replace("<role>", "admin")).out();
    eventually("the sync is allowed", || {
        let state = app.sync(json!({}));
        if state["phase"] == "Succeeded" { Ok(()) } else { Err(state.to_string()) }
    });
}

#[test]
fn sources_and_destinations_are_enforced() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "projects-places");
    let repo = Repo::new();
    let revision = repo.commit(&[Change::Put("a.yaml", &config_map("settings", "one"))]);
    set_rules(&project, &json!({"sourceRepos": ["https://git.example/ours/*"]}));
    let wanted = automated(project.application("shop", &repo, "."));
    let app = App::apply(&project, admin(gitopsd.cluster()), &wanted);
    let refused = |text: &str| {
        let seen = app.until(text, |app| app["status"]["conditions"][0]["message"] == text);
        assert_eq!(seen["status"]["conditions"][0]["type"], "InvalidSpecError");
        assert_eq!(seen["status"]["sync"]["status"], "Unknown");
        assert!(app.object("configmap/settings").is_none());
    };
    refused(&format!("application repo {} is not permitted in project 'projects-places'", repo.url()));
    let state = app.sync(json!({}));
    assert_eq!(state["phase"], "Error", "{state}");
    assert!(state["message"].as_str().is_some_and(|message| message.contains("is not permitted")), "{state}");

    let elsewhere = json!([{"server": "https://kubernetes.default.svc", "namespace": "elsewhere-*"}]);
    set_rules(&project, &json!({"sourceRepos": ["*"], "destinations": elsewhere}));
    refused(
        "application destination server 'https://kubernetes.default.svc' and namespace 'projects-places' do not \
         match any of the allowed destinations in project 'projects-places'",
    );

    let here = json!([{"name": "in-cluster", "namespace": "projects-*"}]);
    set_rules(&project, &json!({"destinations": here}));
    app.settled_at(&revision);
}

#[test]
fn kinds_and_namespaces_of_objects_are_enforced() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "projects-kinds");
    let repo = Repo::new();
    let mut stray: Value = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "stray"}});
    stray["metadata"]["namespace"] = json!("default");
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "projects-kinds"}, "rules": []});
    set_rules(&project, &json!({"namespaceResourceBlacklist": [{"group": "", "kind": "Service"}]}));
    let service = r#"{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}"#;
    repo.commit(&[
        Change::Put("a.yaml", &config_map("settings", "one")),
        Change::Put("b.json", &stray.to_string()),
        Change::Put("c.json", &role.to_string()),
        Change::Put("d.json", service),
    ]);
    let app = App::apply(&project, admin(gitopsd.cluster()), &project.application("shop", &repo, "."));
    let state = app.sync(json!({}));
    assert_eq!(state["phase"], "Failed", "{state}");
    let message = state["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("one or more synchronization tasks are not valid"), "{message}");
    let says = |kind: &str, name: &str, text: &str| {
        let told = result(&state, kind, name)["message"].as_str().unwrap_or_default();
        assert!(told.contains(text), "{told}");
    };
    says("ConfigMap", "stray", "namespace default is not permitted in project 'projects-kinds'");
    says("ClusterRole", "projects-kinds", "resource rbac.authorization.k8s.io:ClusterRole is not permitted");
    says("Service", "web", "resource :Service is not permitted in project projects-kinds");
    assert!(app.object("configmap/settings").is_none(), "one refused object keeps all from being applied");
    assert!(app.object("clusterrole/projects-kinds").is_none());

    repo.commit(&[Change::Remove("b.json"), Change::Remove("c.json"), Change::Remove("d.json")]);
    assert_eq!(app.sync(json!({}))["phase"], "Succeeded");
}

#[test]
fn a_namespace_is_made_where_the_project_permits_it() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "projects-spaces");
    let repo = Repo::new();
    let revision = repo.commit(&[Change::Put("a.yaml", &config_map("settings", "one"))]);
    let anywhere = json!([{"server": "*", "namespace": "projects-spaces-*"}]);
    set_rules(&project, &json!({"destinations": anywhere}));
    let binding = "create clusterrolebinding projects-spaces --clusterrole=cluster-admin";
    project.run(&format!("{binding} --serviceaccount={{}}:gitops-deployer")).out();
    let mut wanted = project.application("shop", &repo, ".");
    wanted["spec"]["destination"]["namespace"] = json!("projects-spaces-new");
    let app = App::apply(&project, admin(gitopsd.cluster()), &wanted);
    let namespace = || app.object("namespace/projects-spaces-new");

    let state = app.sync(json!({}));
    assert_eq!(state["phase"], "Failed", "{state}");
    let told = result(&state, "ConfigMap", "settings")["message"].as_str().unwrap_or_default();
    assert!(told.contains("set the sync option CreateNamespace=true"), "{told}");

    wanted["spec"]["syncPolicy"] = json!({"syncOptions": ["CreateNamespace=true"]});
    project.apply(&wanted);
    let state = app.sync(json!({}));
    let told = result(&state, "Namespace", "projects-spaces-new");
    assert_eq!(told["message"], "resource :Namespace is not permitted in project projects-spaces.");
    assert!(namespace().is_none());

    set_rules(&project, &json!({"clusterResourceWhitelist": [{"group": "", "kind": "Namespace"}]}));
    let state = eventually("the new rules count", || {
        let state = app.sync(json!({}));
        if state["phase"] == "Succeeded" { Ok(state) } else { Err(state.to_string()) }
    });
    assert_eq!(result(&state, "Namespace", "projects-spaces-new")["syncPhase"], "PreSync");
    app.settled_at(&revision);
    let labels = namespace().expect("it was made")["metadata"]["labels"].take();
    assert!(labels["gitops/application"].is_null(), "it is not the application's: {labels}");

    wanted["spec"]["syncPolicy"]["managedNamespaceMetadata"] = json!({"labels": {"team": "blue"}});
    project.apply(&wanted);
    app.sync(json!({}));
    assert_eq!(namespace().expect("it is there")["metadata"]["labels"]["team"], "blue");
}

#[test]
fn a_project_waits_for_its_applications() {
    let gitopsd = Gitopsd::shared();
    let cluster: &Cluster = gitopsd.cluster();
    let project = Project::new(cluster, "projects-leaving");
    let repo = Repo::new();
    repo.commit(&[Change::Put("a.yaml", &config_map("settings", "one"))]);
    App::apply(&project, admin(cluster), &project.application("shop", &repo, "."));
    project.run("delete projects.gitops/projects-leaving --wait=false").out();
    eventually("the project says what it waits for", || {
        let condition =
            project.admin().get("projects.gitops/projects-leaving")["status"]["conditions"][0].take();
        let text = "project is referenced by 1 applications; it goes when they are gone";
        if condition["message"] == text { Ok(()) } else { Err(condition.to_string()) }
    });
    project.run("delete applications.gitops/shop --timeout=60s").out();
    project.run("wait projects.gitops/projects-leaving --for=delete --timeout=60s").out();
    project.admin().get("namespace/projects-leaving");
}
