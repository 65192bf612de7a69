//! What people write with `kubectl`, on both kinds and through kube-apiserver.

use serde_json::{Value, json};

use crate::harness::{
    gitopsd::Gitopsd,
    patience::eventually,
    project::{Project, automated, config_map},
    repo::{Change, Repo},
};

const OWN: &str = "gitops/v1";

fn with_path(mut app: Value, path: &str) -> String {
    app["spec"]["source"]["path"] = path.into();
    app.to_string()
}

#[test]
fn create_replace_and_their_refusals() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "kubectl-create");
    let app = project.idle("oak");
    let tried = project.run_with("create --dry-run=server -o json -f -", &app.to_string()).out();
    let tried: Value = serde_json::from_str(&tried).expect("kubectl prints JSON");
    assert!(tried["metadata"]["uid"].is_string(), "{tried}");
    project.run("get gapp oak").err();
    assert_eq!(project.run_with("create -f -", &app.to_string()).out(), "application.gitops/oak created\n");
    let again = project.run_with("create -f -", &app.to_string()).err();
    assert!(again.contains(
        r#"(AlreadyExists): error when creating "STDIN": applications.gitops "oak" already exists"#
    ));
    assert_eq!(
        project.run_with("replace -f -", &with_path(app.clone(), "two")).out(),
        "application.gitops/oak replaced\n"
    );
    assert_eq!(project.get("gapp/oak")["spec"]["source"]["path"], "two");
    let mut stale = project.get("gapp/oak");
    project.run("label gapp oak a=b").out();
    stale["spec"]["source"]["path"] = "three".into();
    let refusal = project.run_with("replace -f -", &stale.to_string()).err();
    assert!(
        refusal.contains("the object has been modified; please apply your changes to the latest version")
    );
    let mut nameless = app;
    nameless["metadata"]["name"].take();
    nameless["metadata"]["generateName"] = "oak-".into();
    let made = project.run_with("create -o name -f -", &nameless.to_string()).out();
    assert!(
        made.starts_with("application.gitops/oak-")
            && made.trim().len() == "application.gitops/oak-".len() + 5
    );
}

#[test]
fn apply_and_diff() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "kubectl-apply");
    let app = project.idle("oak");
    let one = with_path(app.clone(), "one");
    let two = with_path(app, "two");
    let missing = project.run_with("diff -f -", &one);
    assert_eq!(missing.code, Some(1), "{missing:?}");
    assert_eq!(project.run_with("apply -f -", &one).out(), "application.gitops/oak created\n");
    assert_eq!(project.run_with("apply -f -", &one).out(), "application.gitops/oak unchanged\n");
    let same = project.run_with("diff -f -", &one);
    assert_eq!((same.code, same.out.as_str()), (Some(0), ""), "{same:?}");
    let differs = project.run_with("diff -f -", &two);
    assert_eq!(differs.code, Some(1), "{differs:?}");
    assert!(differs.out.contains("-    path: one") && differs.out.contains("+    path: two"), "{differs:?}");
    assert_eq!(project.run_with("apply -f -", &two).out(), "application.gitops/oak configured\n");
    let annotation = &project.get("gapp/oak")["metadata"]["annotations"];
    let last: Value = serde_json::from_str(
        annotation["kubectl.kubernetes.io/last-applied-configuration"].as_str().expect("apply writes it"),
    )
    .expect("it is JSON");
    assert_eq!((&last["apiVersion"], &last["kind"]), (&json!(OWN), &json!("Application")));
    let view = project.run("apply view-last-applied gapp/oak -o json").out();
    assert!(view.contains(r#""path": "two""#), "{view}");
}

#[test]
fn apply_may_stop_naming_the_project() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "kubectl-unnamed");
    let named = project.idle("oak");
    let mut unnamed = named.clone();
    unnamed["spec"].as_object_mut().expect("a spec").remove("project");
    project.apply(&named);
    let said = project.run_with("diff -f -", &unnamed.to_string());
    assert_eq!(said.code, Some(0), "{said:?}");
    project.apply(&unnamed);
    assert_eq!(project.get("gapp/oak")["spec"]["project"], "kubectl-unnamed");
    project.run_with("apply --server-side -f -", &named.to_string()).out();
    project.run_with("apply --server-side -f -", &unnamed.to_string()).out();
    project.run("patch gapp oak --type=merge -p {\"spec\":{\"project\":null}}").out();
    project.run("patch gapp oak --type=merge -p {\"spec\":{\"project\":\"\"}}").out();
    assert_eq!(project.get("gapp/oak")["spec"]["project"], "kubectl-unnamed");
}

#[test]
fn server_side_apply_and_its_conflicts() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "kubectl-ssa");
    let app = project.idle("oak");
    let one = with_path(app.clone(), "one");
    let two = with_path(app.clone(), "two");
    let applied = "application.gitops/oak serverside-applied\n";
    assert_eq!(project.run_with("apply --server-side -f -", &one).out(), applied);
    let version = |project: &Project| project.get("gapp/oak")["metadata"]["resourceVersion"].take();
    let before = version(&project);
    assert_eq!(project.run_with("apply --server-side -f -", &one).out(), applied);
    assert_eq!(version(&project), before, "nothing changed");
    let said = project.run_with("diff --server-side -f -", &one);
    assert_eq!(said.code, Some(0), "{said:?}");

    let refusal = project.run_with("apply --server-side --field-manager=rival -f -", &two).err();
    assert!(
        refusal.contains(r#"Apply failed with 1 conflict: conflict with "kubectl": .spec.source.path"#),
        "{refusal}"
    );
    let said = project.run_with("diff --server-side --field-manager=rival -f -", &two);
    assert!(said.code > Some(1) && said.err.contains("conflict with \"kubectl\""), "{said:?}");
    let forced = "--server-side --force-conflicts --field-manager=rival -f -";
    assert_eq!(project.run_with(&format!("diff {forced}"), &two).code, Some(1));
    assert_eq!(project.run_with(&format!("apply {forced}"), &two).out(), applied);
    let fields = project.run("get gapp oak --show-managed-fields -o json").out();
    let fields: Value = serde_json::from_str(&fields).expect("kubectl prints JSON");
    let fields = fields["metadata"]["managedFields"].as_array().expect("they were asked for");
    let rival = fields.iter().find(|entry| entry["manager"] == "rival").expect("it took over");
    assert_eq!((&rival["apiVersion"], &rival["operation"]), (&json!(OWN), &json!("Apply")));
    assert!(rival["fieldsV1"]["f:spec"]["f:source"]["f:path"].is_object());

    // What was applied in the old way changes over, managed fields and all.
    let elm = project.idle("elm");
    project.apply(&elm);
    project.run_with("apply --server-side -f -", &with_path(elm.clone(), "two")).out();
    assert_eq!(project.get("gapp/elm")["spec"]["source"]["path"], "two");
    let said = project.run_with("apply -f -", &with_path(elm, "three"));
    assert!(said.ok, "{said:?}");
}

#[test]
fn patches_of_each_type() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "kubectl-patch");
    project.apply(&project.idle("oak"));
    let patch = |arguments: &str| project.run(&format!("patch gapp oak {arguments}"));
    let merged = r#"{"spec":{"source":{"path":"merged"}}}"#;
    assert_eq!(patch(&format!("--type=merge -p {merged}")).out(), "application.gitops/oak patched\n");
    assert_eq!(
        patch(&format!("--type=merge -p {merged}")).out(),
        "application.gitops/oak patched (no change)\n"
    );
    patch(r#"--type=json -p [{"op":"replace","path":"/spec/source/path","value":"jsonned"}]"#).out();
    assert_eq!(project.get("gapp/oak")["spec"]["source"]["path"], "jsonned");
    let refusal = patch(&format!("-p {merged}")).err();
    assert!(
        refusal.contains("strategic-merge-patch+json is not supported by gitops/v1, Kind=Application"),
        "{refusal}"
    );
    assert!(refusal.contains("accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"), "{refusal}");
    let refusal = patch(r#"--type=json -p [{"op":"test","path":"/spec/source/path","value":"no"}]"#).err();
    assert!(refusal.contains("the server rejected our request due to an error in our request"), "{refusal}");
    let refusal = patch(r#"--type=merge -p {"spec":{"destination":7}}"#).err();
    assert!(refusal.contains("spec.destination in body must be of type object"), "{refusal}");
    let refusal = patch(r#"--type=merge -p {"metadata":{"name":"elm"}}"#).err();
    assert!(
        refusal.contains("the name of the object (elm) does not match the name on the URL (oak)"),
        "{refusal}"
    );

    patch(r#"--subresource=status --type=merge -p {"status":{"summary":{"images":["web:1"]}},"spec":{"source":{"path":"no"}}}"#).out();
    let stored = project.run("get gapp oak --subresource=status -o json").out();
    let stored: Value = serde_json::from_str(&stored).expect("kubectl prints JSON");
    assert_eq!(stored["status"]["summary"]["images"], json!(["web:1"]));
    assert_eq!(stored["spec"]["source"]["path"], "jsonned");
    patch(r#"--type=merge -p {"status":{"summary":{"images":["web:2"]}}}"#).out();
    assert_eq!(project.get("gapp/oak")["status"]["summary"]["images"], json!(["web:1"]));
}

#[test]
fn edit_label_and_annotate() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "kubectl-edit");
    project.apply(&project.idle("oak"));
    let admin = project.admin();
    let said = admin.kubectl_edit("-n kubectl-edit edit gapp oak", "sed -i s/path:.x/&-edited/").out();
    assert_eq!(said, "application.gitops/oak edited\n");
    assert_eq!(project.get("gapp/oak")["spec"]["source"]["path"], "x-edited");
    let said = admin.kubectl_edit("-n kubectl-edit edit gapp oak", "true");
    assert!(said.err.contains("Edit cancelled, no changes made."), "{said:?}");
    assert_eq!(project.run("label gapp oak tier=web").out(), "application.gitops/oak labeled\n");
    assert_eq!(project.run("label gapp --all tier-").out(), "application.gitops/oak unlabeled\n");
    assert_eq!(project.run("annotate gapp oak note=old").out(), "application.gitops/oak annotated\n");
    let refusal = project.run("annotate gapp oak note=new").err();
    assert!(refusal.contains("already has a value (old)"), "{refusal}");
    project.run("annotate gapp oak note=new --overwrite").out();
    assert_eq!(project.get("gapp/oak")["metadata"]["annotations"]["note"], "new");
}

#[test]
fn projects_are_written_like_applications() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "kubectl-project");
    let admin = project.admin();
    let mut changed = project.manifest();
    changed["spec"]["description"] = "changed".into();
    let changed = changed.to_string();
    assert_eq!(admin.kubectl_with("diff -f -", &changed).code, Some(1));
    assert_eq!(
        admin.kubectl_with("apply -f -", &changed).out(),
        "project.gitops/kubectl-project configured\n"
    );
    assert_eq!(admin.kubectl_with("diff -f -", &changed).code, Some(0));
    let conflict = admin
        .kubectl_with("apply --server-side --field-manager=rival -f -", &changed.replace("changed", "rival"));
    assert!(conflict.err().contains(".spec.description"));
    admin
        .kubectl_with(
            "apply --server-side --field-manager=rival --force-conflicts -f -",
            &changed.replace("changed", "rival"),
        )
        .out();
    admin.kubectl(r#"patch gproj kubectl-project --type=json -p [{"op":"replace","path":"/spec/description","value":"oak"}]"#).out();
    admin.kubectl_edit("edit gproj kubectl-project", "sed -i s/oak/elm/").out();
    admin.kubectl("label gproj kubectl-project tier=web").out();
    admin.kubectl("annotate gproj kubectl-project note=x").out();
    let stored = admin.get("gproj kubectl-project --subresource=status");
    assert_eq!(stored["metadata"]["labels"]["tier"], "web");
    assert_eq!(stored["spec"]["description"], "elm");
    assert_eq!(stored["status"]["conditions"][0]["type"], "Ready");
    let mut replacement = stored;
    replacement["spec"]["description"] = "ash".into();
    replacement["metadata"].as_object_mut().expect("metadata").remove("resourceVersion");
    admin.kubectl_with("replace -f -", &replacement.to_string()).out();
    let refusal =
        admin.kubectl(r#"patch gproj kubectl-project --type=merge -p {"spec":{"sourceRepos":"*"}}"#).err();
    assert!(refusal.contains("spec.sourceRepos in body must be of type array"), "{refusal}");
    admin.kubectl("delete gproj kubectl-project --timeout=30s").out();
    admin.kubectl("get gproj kubectl-project").err();
}

#[test]
fn wait_sees_what_becomes_true() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "kubectl-wait");
    let repo = Repo::new();
    repo.commit(&[Change::Put("web/config.yaml", &config_map("web", "1"))]);
    project.apply(&automated(project.application("web", &repo, "web")));
    project.run("wait gapp/web --for=jsonpath={.status.sync.status}=Synced --timeout=60s").out();
    project.run("wait gapp/web --for=jsonpath={.status.health.status}=Healthy --timeout=60s").out();
    project.run("wait gapp --all --for=jsonpath={.status.sync.status}=Synced --timeout=60s").out();
    project.run("wait gproj/kubectl-wait --for=condition=Ready --timeout=60s").out();
    let refusal =
        project.run("wait gapp/web --for=jsonpath={.status.sync.status}=OutOfSync --timeout=1s").err();
    assert!(refusal.contains("timed out waiting for the condition on applications/web"), "{refusal}");
    project.run("delete gapp web --wait=false").out();
    project.run("wait gapp/web --for=delete --timeout=60s").out();
    project.run("get configmap web").out();
}

#[test]
fn delete_cascades_as_it_is_told() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "kubectl-delete");
    for (policy, survives) in [("background", false), ("foreground", false), ("orphan", true)] {
        let app = project.idle(policy);
        project.apply(&app);
        let uid = project.get(&format!("gapp/{policy}"))["metadata"]["uid"].take();
        let owned = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": policy,
            "ownerReferences": [{"apiVersion": OWN, "kind": "Application", "name": policy, "uid": uid,
                "blockOwnerDeletion": true}]}});
        project.run_with("create -f -", &owned.to_string()).out();
        let said = project.run(&format!("delete gapp {policy} --cascade={policy} --timeout=60s")).out();
        assert!(said.contains(&format!(r#"application.gitops "{policy}" deleted"#)), "{said}");
        project.run(&format!("get gapp {policy}")).err();
        let look = || project.run(&format!("get configmap {policy} -o json"));
        if survives {
            let left: Value = serde_json::from_str(&look().out()).expect("kubectl prints JSON");
            assert!(left["metadata"]["ownerReferences"].is_null(), "{left}");
        } else {
            eventually("the owned object goes", || if look().ok { Err(String::new()) } else { Ok(()) });
        }
    }
    for name in ["ash", "elm"] {
        project.apply(&project.idle(name));
    }
    let said = project.run("delete gapp --all --dry-run=server").out();
    assert!(said.contains("(server dry run)") && said.lines().count() == 2, "{said}");
    assert_eq!(project.run("delete gapp --all --timeout=60s").out().lines().count(), 2);
    let missing = project.run("delete gapp ash").err();
    assert!(missing.contains(r#"(NotFound): applications.gitops "ash" not found"#), "{missing}");
}
