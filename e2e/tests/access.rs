//! Who may do what: RBAC through kube-apiserver on both path families, and nobody else at our own port.

use serde_json::{Value, json};

use crate::harness::{
    api::{Answer, Api, Identity, Request},
    cluster::User,
    gitopsd::Gitopsd,
    patience::eventually,
    project::{Project, config_map},
    repo::{Change, Repo},
};

/// A user of `project`'s namespace with one of the cluster's roles there; the kubeconfig and certificate
/// carry the same name.
fn member(project: &Project, name: &str, role: &str) -> User {
    let user = project.cluster().user(name, &[]);
    project.run(&format!("create rolebinding {name} --clusterrole={role} --user={name}")).out();
    user
}

/// A project with one application that the controller leaves alone.
fn house(gitopsd: &Gitopsd, name: &str) -> Project {
    let project = Project::new(gitopsd.cluster(), name);
    project.apply(&project.idle("shop"));
    project
}

#[track_caller]
fn forbids(answer: &Answer, words: &str) {
    let status = answer.refused(403);
    assert_eq!(status["reason"], "Forbidden", "{status}");
    assert!(status["message"].as_str().is_some_and(|message| message.contains(words)), "{status}");
}

#[test]
fn a_viewer_sees_everything_and_changes_nothing() {
    let gitopsd = Gitopsd::shared();
    let project = house(&gitopsd, "access-view");
    let viewer = member(&project, "vera", "view");
    for seen in [
        "get applications.gitops",
        "get applications.gitops shop -o wide",
        "describe applications.gitops shop",
    ] {
        let said = viewer.kubectl(&format!("-n access-view {seen}")).out();
        assert!(said.contains("shop"), "{said}");
    }
    let events = "/apis/gitops/v1/namespaces/access-view/applications/shop/events";
    viewer.kubectl(&format!("get --raw {events}")).out();
    for (refused, words) in [
        ("delete applications.gitops shop", "cannot delete resource \"applications\""),
        ("label applications.gitops shop a=b", "cannot patch resource \"applications\""),
    ] {
        let said = viewer.kubectl(&format!("-n access-view {refused}")).err();
        assert!(said.contains("Forbidden") && said.contains(words), "{said}");
    }
    let api = Api::kubernetes(gitopsd.cluster(), Identity::Known("vera"));
    for subresource in ["sync", "refresh"] {
        let path = format!("POST /apis/gitops/v1/namespaces/access-view/applications/shop/{subresource}");
        forbids(&api.send(&path, &json!({})), &format!("create resource \"applications/{subresource}\""));
    }
    let other = project.idle("other");
    forbids(
        &api.send("POST /apis/gitops/v1/namespaces/access-view/applications", &other),
        "cannot create resource \"applications\" in API group \"gitops\" in the namespace \"access-view\"",
    );
}

#[test]
fn a_stranger_sees_nothing() {
    let gitopsd = Gitopsd::shared();
    let project = house(&gitopsd, "access-stranger");
    let stranger = project.cluster().user("stan", &[]);
    for command in
        ["-n access-stranger get applications.gitops", "get applications.gitops -A", "get projects.gitops"]
    {
        let said = stranger.kubectl(command).err();
        assert!(said.contains("Forbidden"), "{said}");
    }
    assert!(!stranger.kubectl("-n access-stranger auth can-i create applications.gitops/sync").ok);
    stranger.kubectl("explain application.spec").out();
}

#[test]
fn the_coarse_path_is_no_way_around() {
    let gitopsd = Gitopsd::shared();
    let project = house(&gitopsd, "access-coarse");
    member(&project, "cora", "view");
    let key =
        "create clusterrolebinding access-coarse --clusterrole=gitops-project-paths --user=cora --user=carl";
    project.admin().kubectl(key).out();
    let cora = Api::kubernetes(gitopsd.cluster(), Identity::Known("cora"));
    let base = "/apis/gitops/v1/project/access-coarse/applications";
    // What she may see there she sees here, once the binding has spread.
    eventually("the key fits", || {
        let answer = cora.get(base);
        if answer.code == 200 { Ok(()) } else { Err(answer.body) }
    });
    cora.get(&format!("{base}/shop")).accepted(200);
    cora.get(&format!("{base}/shop/events")).accepted(200);
    // kube-apiserver lets all of these through: for it they are `project/applications`.
    for (request, words) in [
        (format!("POST {base}/shop/sync"), "create resource \"applications/sync\""),
        (format!("POST {base}/shop/refresh"), "create resource \"applications/refresh\""),
        (format!("POST {base}"), "create resource \"applications\""),
        (format!("DELETE {base}/shop"), "delete resource \"applications\""),
    ] {
        forbids(&cora.send(&request, &json!({})), words);
    }
    project.cluster().user("carl", &[]);
    let carl = Api::kubernetes(gitopsd.cluster(), Identity::Known("carl"));
    for path in [base.to_owned(), format!("{base}/shop"), format!("{base}/shop/events")] {
        carl.get(&path).refused(403);
    }
}

#[test]
fn asking_through_the_object_needs_the_right_to_ask() {
    let gitopsd = Gitopsd::shared();
    let project = house(&gitopsd, "access-operation");
    project.run("create role writer --verb=get,create,update,patch --resource=applications.gitops").out();
    project.cluster().user("wanda", &[]);
    project.run("create rolebinding writer --role=writer --user=wanda").out();
    let wanda = Api::kubernetes(gitopsd.cluster(), Identity::Known("wanda"));
    let path = "/apis/gitops/v1/namespaces/access-operation/applications";
    let patch = |kind: &str, body: &Value| {
        let force = if kind.contains("apply") { "&force=true" } else { "" };
        let line = format!("PATCH {path}/shop?fieldManager=wanda{force}");
        wanda.ask(&Request { line: &line, headers: &[("content-type", kind)], body: &body.to_string() })
    };
    let merge = "application/merge-patch+json";
    patch(merge, &json!({"metadata": {"labels": {"a": "b"}}})).accepted(200);
    let sync = json!({"sync": {"prune": true}});
    forbids(&patch(merge, &json!({ "operation": sync })), "applications/sync");
    forbids(
        &patch("application/json-patch+json", &json!([{"op": "add", "path": "/operation", "value": sync}])),
        "applications/sync",
    );
    let mut applied = project.idle("shop");
    applied["operation"] = sync.clone();
    forbids(&patch("application/apply-patch+yaml", &applied), "applications/sync");
    let mut created = project.idle("made");
    created["operation"] = sync;
    forbids(&wanda.send(&format!("POST {path}"), &created), "applications/sync");
    for annotation in ["argocd.argoproj.io/refresh", "gitops/refresh"] {
        let body = json!({"metadata": {"annotations": {annotation: "hard"}}});
        forbids(&patch(merge, &body), "applications/refresh");
    }
    let stored = wanda.get(&format!("{path}/shop")).json();
    assert!(stored["operation"].is_null(), "{stored}");
    // A PUT that leaves all that as it is needs nothing more.
    wanda.send(&format!("PUT {path}/shop"), &stored).accepted(200);
}

#[test]
fn our_own_port_believes_only_what_is_proved() {
    let gitopsd = Gitopsd::shared();
    let project = house(&gitopsd, "access-direct");
    member(&project, "dora", "view");
    let path = "/apis/gitops/v1/namespaces/access-direct/applications";
    let get = |identity, headers: &[(&str, &str)]| {
        let line = format!("GET {path}");
        Api::gitopsd(&gitopsd, identity).ask(&Request { line: &line, headers, body: "" })
    };
    let boss: &[(&str, &str)] = &[("x-remote-user", "boss"), ("x-remote-group", "system:masters")];
    get(Identity::Nobody, boss).refused(403);
    get(Identity::Known("dora"), &[]).accepted(200);
    // A user's certificate makes nobody a proxy: this is still dora, who may not see Projects' storage.
    get(Identity::Known("dora"), boss).accepted(200);
    let line = "GET /apis/gitops/v1/projects";
    let dora = Api::gitopsd(&gitopsd, Identity::Known("dora"));
    forbids(&dora.ask(&Request { line, headers: boss, body: "" }), "User \"dora\"");
    let (certificate, key) = foreign();
    get(Identity::Foreign(&certificate, &key), boss).refused(403);
    get(Identity::Nobody, &[("authorization", "Bearer nonsense")]).refused(401);
    project.run("create rolebinding reader --clusterrole=view --serviceaccount={}:default").out();
    let token = project.run("create token default").out();
    let bearer = format!("Bearer {}", token.trim());
    get(Identity::Nobody, &[("authorization", &bearer)]).accepted(200);
    // To act as somebody else is a right of its own here as well.
    let impersonation: &[(&str, &str)] = &[("authorization", &bearer), ("impersonate-user", "boss")];
    get(Identity::Nobody, impersonation).refused(403);
}

/// A certificate for the front proxy's name, of a CA that nobody knows.
fn foreign() -> (String, String) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).expect("no names");
    parameters.distinguished_name.push(rcgen::DnType::CommonName, "front-proxy-client");
    parameters.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = parameters.self_signed(&key).expect("a certificate");
    (certificate.pem(), key.serialize_pem())
}

#[test]
fn what_is_stored_is_for_gitopsd_alone() {
    let gitopsd = Gitopsd::shared();
    let project = house(&gitopsd, "access-stored");
    let admin = member(&project, "adam", "admin");
    let said = admin.kubectl("-n access-stored get storedapplications.storage.gitops").err();
    assert!(said.contains("Forbidden"), "{said}");
    // Not even who may do everything writes it: names, rights and rules would be gone around.
    let said = project.run("label storedapplications.storage.gitops shop a=b").err();
    assert!(said.contains("denied"), "{said}");
}

#[test]
fn an_editor_deploys() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "access-edit");
    let editor = member(&project, "edda", "edit");
    let repo = Repo::new();
    repo.commit(&[Change::Put("a.yaml", &config_map("settings", "one"))]);
    let app = project.application("shop", &repo, ".").to_string();
    editor.kubectl_with("apply -f -", &app).out();
    let path = "/apis/gitops/v1/namespaces/access-edit/applications/shop/sync";
    editor.kubectl_with(&format!("create --raw {path} -f -"), "{}").out();
    project.settled("shop");
    let said = editor.kubectl_with("apply -f -", &project.manifest().to_string()).err();
    assert!(said.contains("Forbidden"), "an editor writes no projects: {said}");
}
