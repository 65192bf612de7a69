//! What people read with `kubectl`, on both kinds and through kube-apiserver.

use std::sync::RwLockReadGuard;

use serde_json::json;

use crate::harness::{
    gitopsd::Gitopsd,
    project::{Project, automated, config_map},
    repo::{Change, Repo},
};

/// A project with the idle applications `ash`, `birch` and `cedar`; `birch` has the label `tier=web`.
fn grove(name: &str) -> (RwLockReadGuard<'static, Gitopsd>, Project) {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), name);
    for tree in ["ash", "birch", "cedar"] {
        let mut app = project.idle(tree);
        if tree == "birch" {
            app["metadata"]["labels"] = json!({"tier": "web"});
        }
        project.apply(&app);
    }
    (gitopsd, project)
}

#[test]
fn api_resources_lists_both_kinds() {
    let gitopsd = Gitopsd::shared();
    let admin = gitopsd.cluster().admin();
    let table = admin.kubectl("api-resources --api-group=gitops --no-headers -o wide").out();
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    let verbs = "create,delete,deletecollection,get,list,patch,update,watch";
    assert_eq!(
        rows,
        [
            ["applications", "gapp", "gitops/v1", "true", "Application", verbs, "gitops"],
            ["projects", "gproj", "gitops/v1", "false", "Project", verbs, "gitops"],
        ]
    );
    let stored = admin.kubectl("api-resources --api-group=storage.gitops --no-headers").out();
    assert_eq!(stored.lines().count(), 2);
    // Short names and categories belong to what people use.
    assert!(stored.lines().all(|line| line.split_whitespace().count() == 4), "{stored}");
}

#[test]
fn discovery_can_be_read_raw() {
    let gitopsd = Gitopsd::shared();
    let admin = gitopsd.cluster().admin();
    let raw = |path: &str| -> serde_json::Value {
        serde_json::from_str(&admin.kubectl(&format!("get --raw {path}")).out()).expect("it is JSON")
    };
    let resources = raw("/apis/gitops/v1");
    let names: Vec<_> =
        resources["resources"].as_array().expect("a list").iter().map(|one| &one["name"]).collect();
    let expected = [
        "applications",
        "applications/status",
        "applications/events",
        "applications/refresh",
        "applications/sync",
        "projects",
        "projects/status",
    ];
    assert_eq!(names, expected);
    assert_eq!(raw("/apis/gitops")["preferredVersion"]["groupVersion"], "gitops/v1");
    let index = raw("/openapi/v3");
    let url = index["paths"]["apis/gitops/v1"]["serverRelativeURL"].as_str().expect("we are listed");
    let document = raw(url);
    assert!(document["paths"]["/apis/gitops/v1/namespaces/{namespace}/applications/{name}/sync"].is_object());
    assert!(
        raw("/openapi/v2")["definitions"]
            .as_object()
            .expect("definitions")
            .keys()
            .any(|name| { name.ends_with("Application") })
    );
}

#[test]
fn explain_prints_our_doc_comments() {
    let gitopsd = Gitopsd::shared();
    let admin = gitopsd.cluster().admin();
    let check = |path: &str, words: &[&str]| {
        let text = admin.kubectl(&format!("explain {path}")).out();
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for word in words {
            assert!(flat.contains(word), "{path} does not tell {word:?}:\n{text}");
        }
    };
    check("applications.gitops", &["KIND: Application", "spec <ApplicationSpec>", "operation <Operation>"]);
    check("gapp.spec.source", &["One place manifests come from", "repoURL <string> -required-"]);
    check("gapp.spec.source.directory.recurse", &["FIELD: recurse <boolean>", "DESCRIPTION:"]);
    check("gapp.spec.syncPolicy.automated.selfHeal", &["FIELD: selfHeal <boolean>", "DESCRIPTION:"]);
    check("gapp.status.operationState.syncResult.resources", &["hookPhase <string>"]);
    check(
        "gapp --recursive",
        &["conditions <[]ApplicationCondition>", "retry <RetryStrategy>", "limit <integer>"],
    );
    check("projects.gitops", &["Project `shop` owns namespace `shop`", "spec <ProjectSpec>"]);
    check("gproj.spec.sourceRepos", &["Empty permits none"]);
    check("gproj --recursive", &["syncWindows <[]SyncWindow>", "status <ProjectStatus>"]);
    let refusal = admin.kubectl("explain gapp.spec.sorce").err();
    assert!(refusal.contains(r#"field "sorce" does not exist"#), "{refusal}");
}

#[test]
fn get_knows_every_form_of_output() {
    let (_gitopsd, grove) = grove("kubectl-forms");
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let table = grove.run("get applications.gitops").out();
    assert!(table.starts_with("NAME    SYNC STATUS   HEALTH STATUS   AGE\n"), "{table}");
    assert_eq!(table.lines().count(), 4);
    let wide = grove.run("get gapp ash -o wide").out();
    let columns = "NAME SYNC STATUS HEALTH STATUS REVISION PROJECT OPERATION MESSAGE CONDITION AGE";
    assert_eq!(words(wide.lines().next().expect("a header")), words(columns));
    assert!(wide.contains("kubectl-forms"), "{wide}");
    assert_eq!(
        grove.run("get gapp -o name").out(),
        "application.gitops/ash\napplication.gitops/birch\napplication.gitops/cedar\n"
    );
    assert_eq!(grove.run("get gapp birch ash -o name").out().lines().count(), 2);
    assert_eq!(grove.run("get gapp -o jsonpath={.items[*].metadata.name}").out(), "ash birch cedar");
    assert_eq!(grove.run("get gapp ash -o jsonpath={.apiVersion}/{.kind}").out(), "gitops/v1/Application");
    let yaml = grove.run("get gapp ash -o yaml --show-managed-fields").out();
    assert!(yaml.contains("kind: Application") && yaml.contains("- apiVersion: gitops/v1"), "{yaml}");
    assert!(!yaml.contains("storage.gitops") && !yaml.contains("Stored"), "{yaml}");
    let list = grove.get("gapp");
    assert_eq!((&list["kind"], list["items"].as_array().map(Vec::len)), (&json!("List"), Some(3)));
    let cells = grove.run("get gapp -o custom-columns=N:.metadata.name,P:.spec.project --no-headers").out();
    assert_eq!(words(&cells)[..2], ["ash", "kubectl-forms"]);
    assert_eq!(grove.run("get gapp --sort-by={.metadata.name} -o name").out().lines().count(), 3);

    let projects = grove.admin().kubectl("get gproj kubectl-forms").out();
    assert_eq!(words(&projects)[..5], ["NAME", "READY", "AGE", "kubectl-forms", "True"]);
    assert_eq!(
        grove.admin().kubectl("get gproj kubectl-forms -o name").out(),
        "project.gitops/kubectl-forms\n"
    );
    assert_eq!(
        grove.admin().kubectl("get projects.gitops kubectl-forms -o jsonpath={.status.namespace}").out(),
        "kubectl-forms"
    );
    let missing = grove.run("get gapp oak").err();
    assert!(missing.contains(r#"(NotFound): applications.gitops "oak" not found"#), "{missing}");
}

#[test]
fn get_selects() {
    let (_gitopsd, grove) = grove("kubectl-select");
    let names = |arguments: &str| {
        let out = grove.run(&format!("get {arguments} -o jsonpath={{.items[*].metadata.name}}")).out();
        out.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(names("gapp -l tier=web"), ["birch"]);
    assert_eq!(names("gapp -l tier!=web"), ["ash", "cedar"]);
    assert_eq!(names("gapp --field-selector=metadata.name=cedar"), ["cedar"]);
    assert_eq!(names("gapp --field-selector=metadata.name!=cedar"), ["ash", "birch"]);
    assert_eq!(
        names("gapp -A --field-selector=metadata.namespace=kubectl-select"),
        ["ash", "birch", "cedar"]
    );
    assert_eq!(names("gproj --field-selector=metadata.name=kubectl-select"), ["kubectl-select"]);
    let everywhere = grove.admin().kubectl("get gapp -A --no-headers").out();
    assert_eq!(everywhere.lines().filter(|line| line.starts_with("kubectl-select ")).count(), 3);
    let category = grove.admin().kubectl("get gitops -A -o name").out();
    assert!(category.contains("application.gitops/birch"), "{category}");
    assert!(category.contains("project.gitops/kubectl-select"), "{category}");
    let refusal = grove.run("get gapp --field-selector=spec.nothing=x").err();
    assert!(refusal.contains("field label not supported: spec.nothing"), "{refusal}");
}

#[test]
fn long_lists_come_in_chunks() {
    let (gitopsd, grove) = grove("kubectl-chunks");
    let whole = grove.run("get gapp -o name").out();
    let chunked = grove.run("get gapp -o name --chunk-size=1 -v=6");
    assert_eq!(chunked.out, whole);
    let requests: Vec<_> = chunked.err.lines().filter(|line| line.contains("limit=1")).collect();
    assert_eq!(requests.len(), 3, "{requests:?}");
    assert_eq!(requests.iter().filter(|line| line.contains("continue=")).count(), 2, "{requests:?}");
    assert_eq!(grove.run("get gapp --chunk-size=2 --no-headers").out().lines().count(), 3);
    let projects = gitopsd.cluster().admin().kubectl("get gproj -o name --chunk-size=1").out();
    assert!(projects.contains("project.gitops/kubectl-chunks\n"), "{projects}");
}

#[test]
fn get_watch_prints_each_change() {
    let (_gitopsd, grove) = grove("kubectl-watch");
    let admin = grove.admin();
    let mut list = admin.follow("-n kubectl-watch get gapp -w --output-watch-events");
    let mut one = admin.follow("-n kubectl-watch get gapp birch -w -o jsonpath={.metadata.labels}{\"\\n\"}");
    let mut projects = admin.follow("get gproj kubectl-watch -w --output-watch-events --show-labels");
    list.until(&["EVENT", "NAME", "SYNC STATUS", "HEALTH STATUS", "AGE"]);
    list.until(&["ADDED", "cedar"]);
    one.until(&[r#""tier":"web""#]);
    projects.until(&["kubectl-watch", "<none>"]);
    grove.run("label gapp birch tier=db --overwrite").out();
    list.until(&["MODIFIED", "birch"]);
    one.until(&[r#""tier":"db""#]);
    grove.run("delete gapp cedar").out();
    list.until(&["DELETED", "cedar"]);
    grove.run("label gproj kubectl-watch kept=true").out();
    projects.until(&["MODIFIED", "kubectl-watch", "kept=true"]);
}

#[test]
fn describe_shows_the_events_of_an_application() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "kubectl-describe");
    let repo = Repo::new();
    repo.commit(&[Change::Put("web/config.yaml", &config_map("web", "1"))]);
    project.apply(&automated(project.application("web", &repo, "web")));
    project.settled("web");
    let told = project.run("describe gapp web").out();
    for line in ["Kind:         Application", "API Version:  gitops/v1", "Health:", "Events:"] {
        assert!(told.contains(line), "{line:?} is not in\n{told}");
    }
    let (_, events) = told.split_once("Events:").expect("it was found above");
    assert!(events.contains("OperationCompleted") && events.contains("gitopsd"), "{told}");
    let events = project.run("events --for applications.gitops/web").out();
    assert!(events.contains("OperationCompleted"), "{events}");
    let told = project.admin().kubectl("describe gproj kubectl-describe").out();
    assert!(told.contains("Reason:                HomeReady") && told.contains("gitops-deployer"), "{told}");
}

#[test]
fn auth_can_i_knows_subresources() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "kubectl-can-i");
    let rita = gitopsd.cluster().user("rita", &[]);
    project.run("create role press --verb=create --resource=applications.gitops/sync").out();
    project.run("create rolebinding rita --role=press --user=rita").out();
    let can = |user: &crate::harness::cluster::User, what: &str| {
        let said = user.kubectl(&format!("-n kubectl-can-i auth can-i {what}"));
        assert!(!said.err.contains("doesn't have a resource type"), "{}", said.err);
        said.out.trim() == "yes"
    };
    crate::harness::patience::eventually("rita may sync", || {
        can(&rita, "create applications.gitops --subresource=sync").then_some(()).ok_or_else(String::new)
    });
    assert!(can(&rita, "create gapp/oak --subresource=sync"));
    assert!(!can(&rita, "create gapp --subresource=refresh"));
    assert!(!can(&rita, "create applications.gitops"));
    assert!(!can(&rita, "get applications.gitops --subresource=events"));
    assert!(can(project.admin(), "patch applications.gitops --subresource=status"));
    assert!(!can(&rita, "create projects.gitops"));
    let listed = project.admin().kubectl("-n kubectl-can-i auth can-i --list").out();
    assert!(listed.contains("*.*"), "{listed}");
}
