//! Bad input: each gets a clear message, nothing of it is applied, and what was there stays.

use serde_json::{Value, json};

use crate::harness::{
    app::{App, admin},
    gitopsd::Gitopsd,
    project::{Project, automated, config_map},
    repo::{Change, Repo},
};

/// Commits that must not be applied, and words of the message that says why.
const BAD_COMMITS: [(&str, &str, &[&str]); 7] = [
    ("broken.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: [\n", &["broken.yaml", "line"]),
    (
        "scalar.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n  labels: {a: 1}\n",
        &["labels.a", "quotes"],
    ),
    ("unnamed.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n", &["unnamed.yaml", "metadata.name"]),
    ("two.json", "{\"apiVersion\": \"v1\"}{\"apiVersion\": \"v1\"}", &["two.json"]),
    (
        "laughs.yaml",
        "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
         d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n\
         g: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\nh: [*g,*g,*g,*g,*g,*g,*g,*g,*g]\napiVersion: v1\nkind: ConfigMap\nmetadata: {}\n",
        &["laughs.yaml"],
    ),
    (
        "kind.yaml",
        "apiVersion: example.org/v1\nkind: Gadget\nmetadata: {name: one}\n",
        &["does not serve example.org/v1/Gadget"],
    ),
    (
        "invalid.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: many}\n",
        &["Deployment/web"],
    ),
];

/// Everything that is live of the application.
fn live(project: &Project) -> String {
    project.run("get configmaps,deployments -o name -l gitops/application").out()
}

#[test]
fn bad_commits_change_nothing_until_they_are_mended() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "input-commits");
    let repo = Repo::new();
    let good = repo.commit(&[Change::Put("good.yaml", &config_map("good", "one"))]);
    let app =
        App::apply(&project, admin(gitopsd.cluster()), &automated(project.application("shop", &repo, ".")));
    app.settled_at(&good);
    for (file, text, words) in BAD_COMMITS {
        repo.commit(&[
            Change::Put(file, text),
            Change::Put("new.yaml", &config_map("new", "one")),
            Change::Remove("good.yaml"),
        ]);
        app.refresh();
        let seen = app.promptly(&format!("it tells {words:?}"), |app| {
            let status = app["status"].to_string();
            words.iter().all(|word| status.contains(word))
        });
        assert_ne!(seen["status"]["sync"]["status"], "Synced", "{file}: {seen}");
        assert_eq!(live(&project).trim(), "configmap/good", "{file}");
        let mended = repo.commit(&[
            Change::Remove(file),
            Change::Remove("new.yaml"),
            Change::Put("good.yaml", &config_map("good", file)),
        ]);
        app.refresh();
        app.settled_at(&mended);
        assert!(app.read()["status"]["conditions"].is_null(), "{file}");
    }
}

#[test]
fn a_manifest_of_20_mb_is_refused() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "input-large");
    let repo = Repo::new();
    let large = config_map("large", &"x".repeat(20_000_000));
    repo.commit(&[Change::Put("a.yaml", &config_map("a", "one")), Change::Put("large.yaml", &large)]);
    project.apply(&automated(project.application("shop", &repo, ".")));
    let status = project.says("shop", &["ComparisonError", "10000000 bytes"]);
    assert_eq!(status["sync"]["status"], "Unknown", "{status}");
    assert_eq!(live(&project), "");
}

#[test]
fn sources_that_lead_nowhere_say_so() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "input-sources");
    let repo = Repo::new();
    repo.commit(&[Change::Put("shop/a.yaml", &config_map("a", "one"))]);
    let url = repo.url();
    let missing = url.replace("repo.git", "missing.git");
    let sources = [
        ("path", json!({"repoURL": url, "path": "nowhere"}), "app path does not exist"),
        ("outside", json!({"repoURL": url, "path": "../../etc"}), "app path outside root"),
        ("absolute", json!({"repoURL": url, "path": "/etc"}), "app path is absolute"),
        ("file", json!({"repoURL": url, "path": "shop/a.yaml"}), "app path is not a directory"),
        ("revision", json!({"repoURL": url, "path": "shop", "targetRevision": "nope"}), "nope"),
        ("repository", json!({"repoURL": missing, "path": "."}), "missing.git"),
        ("scheme", json!({"repoURL": "ext::sh -c id", "path": "."}), "ext"),
        ("option", json!({"repoURL": "--upload-pack=id", "path": "."}), "upload-pack"),
    ];
    for (name, source, _) in &sources {
        project.apply(&automated(project.application_of(name, source)));
    }
    for (name, _, words) in &sources {
        let status = project.says(name, &["Error", words]);
        assert_eq!(status["sync"]["status"], "Unknown", "{name}: {status}");
        assert!(status["resources"].is_null(), "{name}: {status}");
    }
    assert_eq!(live(&project), "");
}

#[test]
fn what_makes_no_sense_is_refused_when_it_is_written() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "input-writes");
    let base = project.idle("shop");
    let with = |pointer: &str, value: Value| {
        let mut app = base.clone();
        let (parent, field) = pointer.rsplit_once('/').expect("a pointer");
        app.pointer_mut(parent).expect("it is there")[field] = value;
        app.to_string()
    };
    let check = |app: &str, words: &str| {
        let said = project.run_with("create -f -", app).err();
        assert!(said.contains(words), "{said}");
    };
    check(&with("/spec/bogus", json!(1)), "unknown field \"spec.bogus\"");
    check(&with("/spec/source/path", json!(7)), "spec.source.path");
    check(&with("/spec/project", json!("other")), "spec.project");
    check(&with("/spec/destination/name", json!("in-cluster")), "can't have both name and server");
    check(&with("/spec/source", json!({"repoURL": "https://git.invalid/x.git"})), "spec.source");
    let homeless = with("/metadata/namespace", json!("input-nowhere"));
    let said =
        project.admin().kubectl_with("create -f -", &homeless.replace("input-writes", "input-nowhere")).err();
    assert!(said.contains("namespaces \"input-nowhere\" not found"), "{said}");
    assert_eq!(project.run("get applications.gitops -o name").out(), "");
    let lenient = project.run_with("create --validate=warn -f -", &with("/spec/bogus", json!(1)));
    assert!(lenient.ok && lenient.err.contains("unknown field \"spec.bogus\""), "{}", lenient.err);
}

#[test]
fn an_application_without_a_project_waits_for_one() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "input-orphan");
    let repo = Repo::new();
    let revision = repo.commit(&[Change::Put("a.yaml", &config_map("a", "one"))]);
    let admin_user = project.admin();
    admin_user.kubectl("delete projects.gitops input-orphan").out();
    let object = automated(project.application("shop", &repo, "."));
    let app = App::apply(&project, admin(gitopsd.cluster()), &object);
    project.says("shop", &["InvalidSpecError", "input-orphan which does not exist"]);
    assert_eq!(live(&project), "");
    project.apply(&project.manifest());
    app.settled_at(&revision);
}
