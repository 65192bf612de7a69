//! Repositories as people have them: Argo CD's example applications that are plain YAML, and what
//! becomes of the kinds of sources that this version does not render.

use serde_json::{Value, json};

use crate::harness::{
    app::{App, admin, result},
    gitopsd::Gitopsd,
    project::{Project, automated},
    repo::{Change, Repo},
};

/// An application of one of the sample folders.
struct Sample {
    gitopsd: std::sync::RwLockReadGuard<'static, Gitopsd>,
    project: Project,
    repo: Repo,
    revision: String,
    path: String,
}

impl Sample {
    fn new(folder: &str) -> Self {
        let gitopsd = Gitopsd::shared();
        let project = Project::new(gitopsd.cluster(), &format!("samples-{folder}"));
        let repo = Repo::new();
        let path = format!("argocd-example-apps/{folder}");
        let revision = repo.commit_sample(&path);
        Self { gitopsd, project, repo, revision, path }
    }

    fn app(&self, directory: &Value) -> App<'_> {
        let source = json!({"repoURL": self.repo.url(), "path": self.path, "directory": directory});
        let wanted = automated(self.project.application_of("sample", &source));
        App::apply(&self.project, admin(self.gitopsd.cluster()), &wanted)
    }

    /// The kinds and names of what it consists of.
    fn listed(app: &Value) -> Vec<String> {
        let resources = app["status"]["resources"].as_array().cloned().unwrap_or_default();
        let name = |resource: &Value| format!("{} {}", resource["kind"], resource["name"]).replace('"', "");
        resources.iter().map(name).collect()
    }
}

#[test]
fn guestbook() {
    let sample = Sample::new("guestbook");
    let app = sample.app(&json!({})).settled_at(&sample.revision);
    assert_eq!(Sample::listed(&app), ["Service guestbook-ui", "Deployment guestbook-ui"]);
    assert_eq!(app["status"]["summary"]["images"], json!(["gcr.io/google-samples/gb-frontend:v5"]));
}

#[test]
fn sync_waves() {
    let sample = Sample::new("sync-waves");
    let app = sample.app(&json!({})).settled_at(&sample.revision);
    let mut listed = Sample::listed(&app);
    listed.sort();
    assert_eq!(listed, ["ReplicaSet backend", "ReplicaSet frontend", "Service backend", "Service frontend"]);
    let results = app["status"]["operationState"]["syncResult"]["resources"].as_array().cloned();
    let results = results.expect("the operation has results");
    let place = |name: &str| {
        let place = results
            .iter()
            .position(|result| result["name"].as_str().is_some_and(|found| found.starts_with(name)));
        place.unwrap_or_else(|| panic!("{name} is not in {results:?}"))
    };
    let order = ["upgrade-sql-schema", "backend", "maint-page-up", "frontend", "maint-page-down"].map(place);
    assert!(order.is_sorted(), "{order:?} in {results:?}");
}

#[test]
fn helm_hooks() {
    let sample = Sample::new("helm-hooks");
    let app = sample.app(&json!({})).settled_at(&sample.revision);
    let state = &app["status"]["operationState"];
    assert_eq!(result(state, "Job", "maint-page-up")["hookType"], "PreSync");
    assert_eq!(result(state, "Job", "maint-page-down")["hookType"], "PostSync");
    let mut listed = Sample::listed(&app);
    listed.sort();
    assert_eq!(listed, ["ReplicaSet frontend", "Service frontend"]);
}

#[test]
fn sock_shop() {
    let sample = Sample::new("sock-shop");
    let app = sample.app(&json!({"recurse": true}));
    let seen = app.until("it is synced", |app| {
        let status = &app["status"];
        status["sync"]["status"] == "Synced" && status["operationState"]["phase"] == "Succeeded"
    });
    assert_eq!(Sample::listed(&seen).len(), 29);
    // No ingress controller runs here, so nobody gives the Ingress an address until this does.
    let seen = app.until("all but the Ingress is healthy", |app| {
        app["status"]["health"]["message"] == "caused by Ingress front-end-ingress"
    });
    assert_eq!(seen["status"]["health"]["status"], "Progressing");
    let address = r#"{"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}"#;
    let patch = "patch ingress front-end-ingress --subresource=status --patch-file=/dev/stdin";
    sample.project.run_with(patch, address).out();
    let app = app.settled_at(&sample.revision);
    let urls = &app["status"]["summary"]["externalURLs"];
    assert_eq!(*urls, json!(["http://sockshop.apps.argoproj.io/"]));
}

const CONFIG_MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: never\n";

#[test]
fn what_is_not_rendered_is_told_and_not_applied() {
    let gitopsd = Gitopsd::shared();
    let project = Project::new(gitopsd.cluster(), "samples-foreign");
    let repo = Repo::new();
    repo.commit(&[
        Change::Put("chart/Chart.yaml", "apiVersion: v2\nname: shop\nversion: 0.1.0\n"),
        Change::Put("chart/templates/a.yaml", CONFIG_MAP),
        Change::Put("chart/plain.yaml", CONFIG_MAP),
        Change::Put("kustomize/kustomization.yaml", "resources: [a.yaml]\nnamePrefix: my-\n"),
        Change::Put("kustomize/a.yaml", CONFIG_MAP),
        Change::Put(
            "jsonnet/a.jsonnet",
            "{apiVersion: 'v1', kind: 'ConfigMap', metadata: {name: 'never'}}\n",
        ),
        Change::Put("jsonnet/b.yaml", CONFIG_MAP),
        Change::Put("plain/a.yaml", CONFIG_MAP),
    ]);
    let url = repo.url();
    let at = |path: &str| json!({"repoURL": url, "path": path});
    let with = |member: &str, block: Value| {
        let mut source = at("plain");
        source[member] = block;
        source
    };
    let cases = [
        ("chart", at("chart"), "chart: Helm sources are not rendered by this version"),
        ("kustomize", at("kustomize"), "kustomize: Kustomize sources are not rendered by this version"),
        ("jsonnet", at("jsonnet"), "jsonnet/a.jsonnet: Jsonnet files are not rendered by this version"),
        (
            "plugin",
            with("plugin", json!({"name": "x"})),
            "plain: sources of config management plugins are not rendered",
        ),
        ("values", with("helm", json!({"values": "a: 1"})), "plain: Helm sources are not rendered"),
        (
            "prefix",
            with("kustomize", json!({"namePrefix": "a-"})),
            "plain: Kustomize sources are not rendered",
        ),
        (
            "registry",
            json!({"repoURL": "https://charts.invalid", "chart": "shop", "targetRevision": "1.0.0"}),
            "the chart shop is in a Helm repository, and those are not rendered by this version",
        ),
    ];
    let apps = cases.each_ref().map(|(name, source, _)| {
        App::apply(&project, admin(gitopsd.cluster()), &automated(project.application_of(name, source)))
    });
    for (app, (name, _, text)) in apps.iter().zip(&cases) {
        let seen = app.until(name, |app| app["status"]["conditions"].to_string().contains(text));
        assert_eq!(seen["status"]["conditions"][0]["type"], "ComparisonError");
        assert_eq!(seen["status"]["sync"]["status"], "Unknown", "{name}");
        assert!(seen["status"]["operationState"].is_null(), "{name}: {seen}");
    }
    let applied = project.run("get configmaps -o name --selector=gitops/application").out();
    assert_eq!(applied, "", "nothing of them is applied");
}
