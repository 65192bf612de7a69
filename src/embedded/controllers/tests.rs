//! Whole-behaviour tests: objects are created, virtual time passes, and what has become of them is looked at.

mod cluster;
mod workloads;

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
            told.push(format!(
                "{} {} {}",
                key.resource,
                key.name,
                String::from_utf8_lossy(&change.after.json)
            ));
        }
        told
    }

    /// Lets time pass: everything that is due by then has happened.
    async fn pass(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_millis(seconds * 1000 + 1)).await;
    }
}

fn workload(kind: &str, name: &str, image: &str, more: &Value) -> Value {
    let mut object = json!({
        "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": image}], "terminationGracePeriodSeconds": 30},
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
    found.map_or("none".into(), |it| {
        format!("{}:{}", it["status"].as_str().unwrap(), it["reason"].as_str().unwrap_or(""))
    })
}

fn replicas(object: &Value) -> String {
    let of = |field: &str| object["status"][field].as_i64().unwrap_or(0);
    format!("{}/{}/{}", of("replicas"), of("updatedReplicas"), of("availableReplicas"))
}
