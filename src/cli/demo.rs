//! `gitopsd demo`: the whole of gitopsd at work in one process, told line by line.

mod shop;
mod show;

use std::path::Path;
use std::time::{Duration, Instant};

use kube::Client;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use self::shop::Repository;
use self::show::Show;
use crate::api::names;
use crate::app;
use crate::app::embedded::Embedded;
use crate::config::Serve;

/// Namespace, and so project, of the example.
const PROJECT: &str = "shop";
/// The application.
const APPLICATION: &str = "web";
/// How long each step of a workload's start takes: long enough to be seen.
const PACE: Duration = Duration::from_millis(400);
/// After so long something is wrong, and the demo says so.
const PATIENCE: Duration = Duration::from_mins(1);

/// Shows gitopsd at work, then stays up until a signal.
pub(super) async fn run(config: Serve) -> Result<(), String> {
    let began = Instant::now();
    let shutdown = app::stop_on_signal().map_err(|error| format!("cannot receive signals: {error}"))?;
    let show = Show::new(began);
    let (embedded, parts) = app::start_embedded(config, PACE).await.map_err(|error| error.to_string())?;
    show.step(&format!("Kubernetes API    {} (in this process)", embedded.server));
    let serving = tokio::spawn(app::run(parts, shutdown.clone()));
    let played = tokio::select! {
        played = play(&embedded, &show) => played,
        () = shutdown.cancelled() => Ok(()),
    };
    if played.is_ok() && !shutdown.is_cancelled() {
        farewell(&embedded.kubeconfig);
        shutdown.cancelled().await;
    }
    shutdown.cancel();
    let served = serving.await.map_err(|error| format!("gitopsd broke off: {error}"))?;
    played.and(served.map_err(|error| error.to_string()))
}

/// The play: everything that is shown.
async fn play(embedded: &Embedded, show: &Show) -> Result<(), String> {
    let client = &embedded.admin;
    served(client).await?;
    show.step("gitops/v1         Application and Project are served through it");
    let repository = Repository::create(embedded.cache.join("demo").join("shop"))?;
    show.step(&format!("Git repository    {}", repository.path().display()));
    let watching = CancellationToken::new();
    let told = show::Told::follow(client.clone(), PROJECT, APPLICATION, *show, watching.clone());
    let _ending = watching.drop_guard();

    show.heading("A Project and an Application are applied");
    for object in objects(repository.path()) {
        apply(client, &object).await?;
    }
    let first = repository.commit_id()?;
    told.settled(&first, PATIENCE).await?;

    show.heading("A change is pushed to Git: another greeting, a new image, three replicas");
    repository.replace("config.yaml", "Hello", "Good day")?;
    repository.replace("web.yaml", "web:1.0", "web:1.1")?;
    repository.replace("web.yaml", "replicas: 2", "replicas: 3")?;
    repository.commit("Greet politely")?;
    let second = repository.commit_id()?;
    post(client, &format!("{}/refresh", application_path()), &json!({})).await?;
    told.settled(&second, PATIENCE).await?;

    show.heading("Somebody deletes the Service");
    delete(client, &format!("/api/v1/namespaces/{PROJECT}/services/web")).await?;
    told.healed("Service", PATIENCE).await
}

/// Waits until kube-apiserver's part sends requests for our group to us.
async fn served(client: &Client) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let listed = client.request::<Value>(get("/apis/gitops/v1/projects")?).await;
        match listed {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() > deadline => {
                return Err(format!("gitops/v1 is not served: {error}"));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// What a user would apply. The last part is the right to deploy, which a project does not have by itself.
fn objects(repository: &Path) -> [(String, Value); 3] {
    let url = format!("file://{}", repository.display());
    let destination = json!({"server": "https://kubernetes.default.svc", "namespace": PROJECT});
    let project = json!({
        "apiVersion": names::API_VERSION, "kind": names::PROJECT, "metadata": {"name": PROJECT},
        "spec": {"sourceRepos": [url], "destinations": [destination]},
    });
    let application = json!({
        "apiVersion": names::API_VERSION, "kind": names::APPLICATION,
        "metadata": {"name": APPLICATION, "namespace": PROJECT},
        "spec": {
            "project": PROJECT,
            "source": {"repoURL": url, "path": ".", "targetRevision": "main"},
            "destination": destination,
            "syncPolicy": {"automated": {"prune": true, "selfHeal": true}},
        },
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": names::DEPLOYER, "namespace": PROJECT},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
        "subjects": [{"kind": "ServiceAccount", "name": names::DEPLOYER, "namespace": PROJECT}],
    });
    let bindings = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{PROJECT}/rolebindings");
    [
        (format!("/apis/{}/{}/{PROJECT}", names::API_VERSION, names::PROJECTS), project),
        (application_path(), application),
        (format!("{bindings}/{}", names::DEPLOYER), binding),
    ]
}

fn application_path() -> String {
    format!("/apis/{}/namespaces/{PROJECT}/{}/{APPLICATION}", names::API_VERSION, names::APPLICATIONS)
}

async fn apply(client: &Client, (path, object): &(String, Value)) -> Result<(), String> {
    let request = http::Request::patch(format!("{path}?fieldManager=gitopsd-demo"))
        .header(http::header::CONTENT_TYPE, "application/apply-patch+yaml")
        .body(object.to_string().into_bytes())
        .map_err(|error| error.to_string())?;
    client.request::<Value>(request).await.map(drop).map_err(|error| format!("cannot apply {path}: {error}"))
}

async fn post(client: &Client, path: &str, body: &Value) -> Result<(), String> {
    let request = http::Request::post(path)
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(body.to_string().into_bytes())
        .map_err(|error| error.to_string())?;
    client.request_text(request).await.map(drop).map_err(|error| format!("cannot post {path}: {error}"))
}

async fn delete(client: &Client, path: &str) -> Result<(), String> {
    let request = http::Request::delete(path).body(Vec::new()).map_err(|error| error.to_string())?;
    client.request_text(request).await.map(drop).map_err(|error| format!("cannot delete {path}: {error}"))
}

fn get(path: &str) -> Result<http::Request<Vec<u8>>, String> {
    http::Request::get(path).body(Vec::new()).map_err(|error| error.to_string())
}

/// What to do next.
fn farewell(kubeconfig: &Path) {
    println!("\nIt stays up until you press Ctrl-C. In another terminal:\n");
    println!("  export KUBECONFIG={}", kubeconfig.display());
    for command in [
        "kubectl get applications --all-namespaces -o wide",
        "kubectl get all,configmaps,ingresses -n shop",
        "kubectl events -n shop --for application/web",
        "kubectl explain application.spec.syncPolicy",
        "kubectl scale deployment web -n shop --replicas=0 && kubectl get deployment web -n shop --watch",
    ] {
        println!("  {command}");
    }
}
