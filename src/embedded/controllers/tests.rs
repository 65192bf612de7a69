//! Whole-behaviour tests: objects are created, virtual time passes, and what has become of them is looked at.
#![expect(clippy::unwrap_used, reason = "a test ends with the first thing that goes wrong")]

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Settings, run_with};
use crate::embedded::kinds::Kinds;
use crate::embedded::objects::{Deletion, Objects, Options, Patch};
use crate::embedded::storage::Storage;
use crate::manifest::Gvk;

/// A cluster whose time is that of the runtime, which is paused.
struct Cluster {
    objects: Objects,
    stop: CancellationToken,
}

impl Cluster {
    fn start(settings: Settings) -> Self {
        let start = Instant::now();
        let first: jiff::Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
        let clock = Arc::new(move || first + (Instant::now() - start));
        let storage = Storage::in_memory();
        let objects = Objects { storage, kinds: Kinds::builtin(), clock };
        let mut this = Self { objects, stop: CancellationToken::new() };
        this.restart(settings);
        this
    }

    fn restart(&mut self, settings: Settings) {
        self.stop.cancel();
        self.stop = CancellationToken::new();
        tokio::spawn(run_with(self.objects.clone(), settings, self.stop.clone()));
    }

    fn options() -> Options {
        Options { manager: "tester".into(), ..Options::default() }
    }

    fn kind(&self, api_version: &str, kind: &str) -> Arc<crate::embedded::kinds::Kind> {
        let gvk = Gvk::new(api_version, kind);
        self.objects.kinds.of(&gvk.group, &gvk.version, &gvk.kind).unwrap()
    }

    fn create(&self, mut object: Value) -> Value {
        let kind = self.kind(object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap());
        let within = if kind.scope == crate::manifest::Scope::Namespaced {
            object["metadata"]["namespace"].as_str().unwrap_or("default").to_owned()
        } else {
            String::new()
        };
        object["metadata"]["namespace"] = within.clone().into();
        self.objects.create(&kind, &within, object, &Self::options()).unwrap().object
    }

    fn list(&self, resource: &str) -> Vec<Value> {
        let all = self.objects.storage.list(resource, None).entries;
        all.iter().map(|entry| serde_json::from_slice(&entry.json).unwrap()).collect()
    }

    fn get(&self, resource: &str, name: &str) -> Value {
        let found = self.list(resource).into_iter().find(|it| it["metadata"]["name"] == name);
        found.unwrap_or_default()
    }

    fn patch(&self, (api_version, kind): (&str, &str), name: &str, patch: Value) {
        let kind = self.kind(api_version, kind);
        self.objects.patch(&kind, ("default", name, ""), &Patch::Merge(patch), &Self::options()).unwrap();
    }

    fn delete(&self, (api_version, kind): (&str, &str), within: &str, name: &str, policy: Option<&str>) {
        let kind = self.kind(api_version, kind);
        let deletion = Deletion { propagation: policy.map(Into::into), ..Deletion::default() };
        self.objects.delete(&kind, within, name, &deletion).unwrap();
    }

    /// What was written since a version.
    fn changes(&self, since: u64) -> Vec<String> {
        let mut watch = self.objects.storage.watch(None, since).unwrap();
        let mut told = Vec::new();
        while let Some(change) = watch.ready().unwrap() {
            let key = &change.after.key;
            told.push(format!("{} {} {}", key.resource, key.name, String::from_utf8_lossy(&change.after.json)));
        }
        told
    }

    /// Lets time pass: everything that is due by then has happened.
    async fn pass(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_millis(seconds * 1000 + 1)).await;
    }
}

fn workload(kind: &str, name: &str, image: &str, more: Value) -> Value {
    let mut object = json!({
        "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": image}]},
            },
        },
    });
    for (key, value) in more.as_object().unwrap() {
        object["spec"][key] = value.clone();
    }
    object
}

/// What the objects of a resource come to, a line each.
fn told(objects: &[Value], tell: impl Fn(&Value) -> String) -> Vec<String> {
    objects.iter().map(|it| format!("{} {}", it["metadata"]["name"].as_str().unwrap(), tell(it))).collect()
}

/// Waits until nothing is due, then checks that a restart finds nothing to do.
async fn settled(cluster: &mut Cluster) {
    cluster.pass(0).await;
    let before = cluster.objects.storage.version();
    cluster.restart(Settings::default());
    cluster.pass(0).await;
    let changed: Vec<_> = cluster.changes(before);
    assert_eq!(changed, Vec::<String>::new(), "after a restart");
}

fn reason(object: &Value, kind: &str) -> String {
    let conditions = object["status"]["conditions"].as_array();
    let found = conditions.into_iter().flatten().find(|it| it["type"] == kind);
    found.map_or("none".into(), |it| format!("{}:{}", it["status"].as_str().unwrap(), it["reason"].as_str().unwrap_or("")))
}

fn replicas(object: &Value) -> String {
    let of = |field: &str| object["status"][field].as_i64().unwrap_or(0);
    format!("{}/{}/{}", of("replicas"), of("updatedReplicas"), of("availableReplicas"))
}

#[tokio::test(start_paused = true)]
async fn a_cluster_has_what_every_cluster_has() {
    let mut cluster = Cluster::start(Settings { ca: "an authority".into(), ..Settings::default() });
    cluster.pass(0).await;
    let names = |resource: &str| told(&cluster.list(resource), |it| it["metadata"]["namespace"].as_str().unwrap_or("").into());
    assert_eq!(names("namespaces"), ["default ", "kube-node-lease ", "kube-public ", "kube-system "]);
    assert_eq!(names("serviceaccounts").len(), 4);
    assert_eq!(names("services"), ["kubernetes default"]);
    assert_eq!(names("nodes"), ["embedded "]);
    assert_eq!(names("priorityclasses.scheduling.k8s.io").len(), 2);
    assert_eq!(names("storageclasses.storage.k8s.io"), ["standard "]);
    assert_eq!(cluster.get("configmaps", "kube-root-ca.crt")["data"]["ca.crt"], "an authority");
    cluster.delete(("v1", "ServiceAccount"), "default", "default", None);
    cluster.pass(0).await;
    assert_eq!(cluster.list("serviceaccounts").len(), 4, "it comes back");
    cluster.stop.cancel();
    cluster.restart(Settings { ca: "another".into(), ..Settings::default() });
    cluster.pass(0).await;
    assert_eq!(cluster.get("configmaps", "kube-root-ca.crt")["data"]["ca.crt"], "another");
}

#[tokio::test(start_paused = true)]
async fn deployments_roll_out() {
    const KIND: (&str, &str) = ("apps/v1", "Deployment");
    let mut cluster = Cluster::start(Settings::default());
    cluster.pass(0).await;
    cluster.create(workload("Deployment", "web", "web:1", json!({"replicas": 4, "revisionHistoryLimit": 1})));
    cluster.pass(1).await;
    let web = |cluster: &Cluster| {
        let web = cluster.get("deployments.apps", "web");
        let revision = web["metadata"]["annotations"]["deployment.kubernetes.io/revision"].as_str().unwrap().to_owned();
        assert_eq!(web["status"]["observedGeneration"], web["metadata"]["generation"]);
        format!("{} r{revision} {} {}", replicas(&web), reason(&web, "Available"), reason(&web, "Progressing"))
    };
    let good = "True:MinimumReplicasAvailable True:NewReplicaSetAvailable";
    let sets = |cluster: &Cluster| cluster.list("replicasets.apps").iter().map(|it| it["spec"]["replicas"].as_i64().unwrap()).collect::<Vec<_>>();
    assert_eq!(web(&cluster), format!("4/4/4 r1 {good}"));
    let template = |image: &str| json!({"spec": {"template": {"spec": {"containers": [{"name": "main", "image": image}]}}}});
    for (image, revision) in [("web:2", 2), ("web:3", 3), ("web:2", 4)] {
        cluster.patch(KIND, "web", template(image));
        cluster.pass(1).await;
        assert_eq!(web(&cluster), format!("4/4/4 r{revision} {good}"), "{image}");
        assert_eq!(sets(&cluster).len(), 2, "one is kept for the history");
    }
    cluster.patch(KIND, "web", json!({"spec": {"replicas": 1}}));
    cluster.pass(1).await;
    assert_eq!(web(&cluster), format!("1/1/1 r4 {good}"));
    cluster.patch(KIND, "web", json!({"spec": {"paused": true}}));
    cluster.patch(KIND, "web", template("web:4"));
    cluster.pass(1).await;
    assert_eq!(web(&cluster), "1/0/1 r4 True:MinimumReplicasAvailable Unknown:DeploymentPaused");
    cluster.patch(KIND, "web", json!({"spec": {"paused": false, "strategy": {"type": "Recreate", "rollingUpdate": null}}}));
    cluster.pass(1).await;
    assert_eq!(web(&cluster), format!("1/1/1 r5 {good}"));
    settled(&mut cluster).await;
    cluster.delete(KIND, "default", "web", None);
    cluster.pass(1).await;
    for resource in ["deployments.apps", "replicasets.apps", "pods"] {
        assert!(cluster.list(resource).is_empty(), "{resource} are collected");
    }
}

#[tokio::test(start_paused = true)]
async fn failing_images_show() {
    let mut cluster = Cluster::start(Settings::default());
    cluster.pass(0).await;
    cluster.create(workload("Deployment", "web", "web:1", json!({"replicas": 4, "progressDeadlineSeconds": 60})));
    cluster.pass(1).await;
    let broken = json!({"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "web:fail"}]}}}});
    cluster.patch(("apps/v1", "Deployment"), "web", broken);
    cluster.pass(1).await;
    let web = cluster.get("deployments.apps", "web");
    assert_eq!(format!("{} {}", replicas(&web), reason(&web, "Progressing")), "5/2/3 True:ReplicaSetUpdated");
    cluster.pass(70).await;
    let web = cluster.get("deployments.apps", "web");
    assert_eq!(reason(&web, "Progressing"), "False:ProgressDeadlineExceeded");
    assert_eq!(reason(&web, "Available"), "True:MinimumReplicasAvailable", "the old pods still serve");
    let pods = cluster.list("pods");
    let crashed = pods.iter().map(|pod| &pod["status"]["containerStatuses"][0]).find(|it| it["ready"] == false).unwrap();
    assert_eq!(crashed["state"]["waiting"]["reason"], "CrashLoopBackOff");
    assert_eq!(crashed["restartCount"], 4, "after 10, 20 and 40 seconds");
    let mended = json!({"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "web:2"}]}}}});
    cluster.patch(("apps/v1", "Deployment"), "web", mended);
    cluster.pass(1).await;
    let web = cluster.get("deployments.apps", "web");
    assert_eq!(format!("{} {}", replicas(&web), reason(&web, "Progressing")), "4/4/4 True:NewReplicaSetAvailable");
    settled(&mut cluster).await;
}

#[tokio::test(start_paused = true)]
async fn stateful_sets_go_one_by_one() {
    const KIND: (&str, &str) = ("apps/v1", "StatefulSet");
    let mut cluster = Cluster::start(Settings { pace: Duration::from_secs(1), ..Settings::default() });
    cluster.pass(0).await;
    let claim = json!({"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    cluster.create(workload("StatefulSet", "db", "db:1", json!({"replicas": 2, "serviceName": "db", "volumeClaimTemplates": [claim]})));
    let pods = |cluster: &Cluster| told(&cluster.list("pods"), |pod| {
        let image = pod["spec"]["containers"][0]["image"].as_str().unwrap();
        format!("{image} {}", pod["status"]["phase"].as_str().unwrap())
    });
    cluster.pass(0).await;
    assert_eq!(pods(&cluster), ["db-0 db:1 Pending"]);
    cluster.pass(1).await;
    assert_eq!(pods(&cluster), ["db-0 db:1 Running", "db-1 db:1 Pending"]);
    cluster.pass(1).await;
    let claims = told(&cluster.list("persistentvolumeclaims"), |it| it["status"]["phase"].as_str().unwrap().into());
    assert_eq!(claims, ["data-db-0 Bound", "data-db-1 Bound"]);
    let db = cluster.get("statefulsets.apps", "db");
    assert_eq!((replicas(&db).as_str(), &db["status"]["currentRevision"]), ("2/2/2", &db["status"]["updateRevision"]));
    cluster.patch(KIND, "db", json!({"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "db:2"}]}}}}));
    cluster.pass(1).await;
    let db = cluster.get("statefulsets.apps", "db");
    assert_ne!(db["status"]["currentRevision"], db["status"]["updateRevision"]);
    assert_eq!(pods(&cluster), ["db-0 db:1 Running", "db-1 db:2 Pending"]);
    cluster.pass(4).await;
    assert_eq!(pods(&cluster), ["db-0 db:2 Running", "db-1 db:2 Running"]);
    let db = cluster.get("statefulsets.apps", "db");
    assert_eq!((replicas(&db).as_str(), &db["status"]["currentRevision"]), ("2/2/2", &db["status"]["updateRevision"]));
    cluster.patch(KIND, "db", json!({"spec": {"replicas": 1}}));
    cluster.pass(2).await;
    assert_eq!(pods(&cluster), ["db-0 db:2 Running"]);
    settled(&mut cluster).await;
    cluster.delete(KIND, "default", "db", None);
    for named in ["data-db-0", "data-db-1"] {
        cluster.delete(("v1", "PersistentVolumeClaim"), "default", named, None);
    }
    cluster.pass(3).await;
    for resource in ["pods", "controllerrevisions.apps", "persistentvolumeclaims", "persistentvolumes"] {
        assert!(cluster.list(resource).is_empty(), "{resource}");
    }
}
