//! What is measured, and with what: a cluster, gitopsd in it, and a look at applications that costs
//! gitopsd nothing.

use std::{
    collections::HashMap,
    fmt::Write,
    io::{BufRead, BufReader},
    process::{Child, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use jiff::Timestamp;

use crate::{
    audit::Log,
    harness::{
        cluster::{Cluster, User},
        gitopsd::Gitopsd,
        patience::eventually,
        program::program,
    },
    process::Process,
};

/// How often gitopsd asks Git, so that polls occur while we look.
pub(crate) const POLL: u64 = 5;
/// Objects of an application.
pub(crate) const OBJECTS: usize = 10;

/// Everything that is needed to measure.
pub(crate) struct Rig {
    pub(crate) admin: User,
    pub(crate) gitopsd: Process,
    pub(crate) apiserver: Process,
    pub(crate) audit: Log,
    applications: Arc<Mutex<HashMap<String, Seen>>>,
    watch: Child,
    _running: Gitopsd,
}

/// How an application stands, and since when we know.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) sync: String,
    pub(crate) health: String,
    pub(crate) revision: String,
    pub(crate) phase: String,
    pub(crate) at: Timestamp,
}

impl Seen {
    /// Whether it is at `revision` and nothing goes on.
    pub(crate) fn is_synced(&self, revision: &str) -> bool {
        self.sync == "Synced" && self.revision == revision && self.phase == "Succeeded"
    }
}

#[expect(clippy::disallowed_methods, reason = "a clock is what measures")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// Seconds from one time to another.
pub(crate) fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

impl Rig {
    pub(crate) fn start() -> Self {
        let cluster = Cluster::shared();
        let running = Gitopsd::install_with(cluster, &["--poll-interval", "5s"]);
        let admin = cluster.admin();
        admin.kubectl("wait --for=condition=Available --timeout=60s apiservice/v1.gitops").out();
        let applications = Arc::default();
        Self {
            gitopsd: Process::of(cluster.dir(), "gitopsd"),
            apiserver: Process::of(cluster.dir(), "kube-apiserver"),
            audit: Log::open(cluster.dir()),
            watch: watch(cluster, Arc::clone(&applications)),
            applications,
            admin,
            _running: running,
        }
    }

    /// Makes a project whose applications may put anything into its namespace, except the project itself.
    pub(crate) fn ground(&self, name: &str) {
        self.admin.kubectl(&format!("create namespace {name}")).out();
        self.admin
            .kubectl(&format!(
                "create rolebinding deploy --namespace={name} --clusterrole=admin --serviceaccount={name}:gitops-deployer"
            ))
            .out();
    }

    pub(crate) fn project(&self, name: &str) {
        let project = format!(
            "{{apiVersion: gitops/v1, kind: Project, metadata: {{name: {name}}}, \
             spec: {{sourceRepos: ['*'], destinations: [{{server: '*', namespace: '{name}'}}]}}}}"
        );
        self.admin.kubectl_with("create -f -", &project).out();
    }

    /// How an application stands, according to a watch.
    pub(crate) fn seen(&self, name: &str) -> Option<Seen> {
        self.applications.lock().expect("no holder panics").get(name).cloned()
    }

    /// Waits until an application is synced to `revision`; returns when the watch told.
    pub(crate) fn synced(&self, name: &str, revision: &str) -> Timestamp {
        eventually(&format!("{name} is synced to {revision}"), || match self.seen(name) {
            Some(seen) if seen.is_synced(revision) => Ok(seen.at),
            Some(seen) => Err(format!("it is {} at {}, {}", seen.sync, seen.revision, seen.phase)),
            None => Err("it was never seen".into()),
        })
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = self.watch.kill(); // it ends with the cluster at the latest
        let _ = self.watch.wait();
    }
}

/// Follows the stored objects, which is no work for gitopsd.
fn watch(cluster: &Cluster, applications: Arc<Mutex<HashMap<String, Seen>>>) -> Child {
    let fields = [
        "metadata.name",
        "status.sync.status",
        "status.health.status",
        "status.sync.revision",
        "status.operationState.phase",
    ];
    let mut line = String::new();
    for field in fields {
        let _ = write!(line, "{{.{field}}}{{\"|\"}}");
    }
    let mut child = program(cluster.dir().join("bin/kubectl"))
        .arg("--kubeconfig")
        .arg(cluster.dir().join("kubeconfig"))
        .args(["get", "storedapplications.storage.gitops", "--all-namespaces", "--watch", "-o"])
        .arg(format!("jsonpath={line}{{\"\\n\"}}"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("kubectl starts");
    let stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
    thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            let mut fields = line.split('|').map(str::to_owned);
            let mut field = || fields.next().unwrap_or_default();
            let (name, sync, health, revision, phase) = (field(), field(), field(), field(), field());
            let seen = Seen { sync, health, revision, phase, at: now() };
            let mut applications = applications.lock().expect("no holder panics");
            // The time is that of the first line that says so.
            if applications
                .get(&name)
                .is_none_or(|known| !known.is_synced(&seen.revision) || !seen.is_synced(&seen.revision))
            {
                applications.insert(name, seen);
            } else if let Some(known) = applications.get_mut(&name) {
                known.health = seen.health;
            }
        }
    });
    child
}

/// The files of an application: ten objects of six kinds, all of which change with `round`.
pub(crate) fn files(application: &str, round: usize) -> Vec<(String, String)> {
    let labels = format!("{{app: {application}}}");
    let metadata = |name: &str| {
        format!("metadata: {{name: {name}, annotations: {{round: '{round}'}}, labels: {labels}}}")
    };
    let mut objects = vec![
        format!(
            "apiVersion: apps/v1\nkind: Deployment\n{}\nspec:\n  replicas: 1\n  selector: {{matchLabels: {labels}}}\n  \
             template:\n    metadata: {{labels: {labels}}}\n    spec:\n      serviceAccountName: {application}\n      \
             containers:\n      - name: web\n        image: registry.example/web:1\n        \
             ports: [{{containerPort: 8080}}]\n        resources: {{requests: {{cpu: 10m, memory: 16Mi}}}}\n        \
             env: [{{name: MODE, value: steady}}]\n",
            metadata(application)
        ),
        format!(
            "apiVersion: v1\nkind: Service\n{}\nspec:\n  selector: {labels}\n  ports: [{{port: 80, targetPort: 8080}}]\n",
            metadata(application)
        ),
        format!("apiVersion: v1\nkind: ServiceAccount\n{}\n", metadata(application)),
        format!(
            "apiVersion: v1\nkind: Secret\n{}\nstringData: {{word: sesame-{round}}}\n",
            metadata(application)
        ),
        format!(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n{}\nspec:\n  podSelector: {{matchLabels: {labels}}}\n  \
             policyTypes: [Ingress]\n  ingress: [{{from: [{{podSelector: {{}}}}]}}]\n",
            metadata(application)
        ),
    ];
    while objects.len() < OBJECTS {
        let name = format!("{application}-{}", objects.len());
        objects.push(format!(
            "apiVersion: v1\nkind: ConfigMap\n{}\ndata: {{round: '{round}'}}\n",
            metadata(&name)
        ));
    }
    let path = |index: usize| format!("apps/{application}/{index:02}.yaml");
    objects.into_iter().enumerate().map(|(index, text)| (path(index), text)).collect()
}

/// An application that syncs, prunes and heals by itself.
pub(crate) fn application(namespace: &str, name: &str, repository: &str) -> String {
    format!(
        "---\napiVersion: gitops/v1\nkind: Application\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec:\n  \
         source: {{repoURL: '{repository}', path: apps/{name}, targetRevision: main}}\n  \
         destination: {{server: https://kubernetes.default.svc, namespace: {namespace}}}\n  \
         syncPolicy: {{automated: {{prune: true, selfHeal: true}}}}\n"
    )
}
