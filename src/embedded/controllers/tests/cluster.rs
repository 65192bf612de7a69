//! What a cluster has by itself, and what it cleans up.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::{Cluster, reason, settled, told, workload};
use crate::embedded::controllers::{Aggregated, Elsewhere, Settings};
use crate::embedded::objects::Patch;

#[tokio::test(start_paused = true)]
async fn a_cluster_has_what_every_cluster_has() {
    let mut cluster = Cluster::start(Settings { ca: "an authority".into(), ..Settings::default() });
    cluster.pass(0).await;
    let names = |resource: &str| {
        told(&cluster.list(resource), |it| it["metadata"]["namespace"].as_str().unwrap_or("").into())
    };
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

fn owned(name: &str, owners: &[(&Value, bool)]) -> Value {
    let owners: Vec<_> = owners
        .iter()
        .map(|(owner, blocks)| {
            json!({
                "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
                "uid": owner["metadata"]["uid"], "blockOwnerDeletion": blocks,
            })
        })
        .collect();
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "ownerReferences": owners}})
}

#[tokio::test(start_paused = true)]
async fn garbage_is_collected() {
    const KIND: (&str, &str) = ("v1", "ConfigMap");
    let mut cluster = Cluster::start(Settings::default());
    cluster.pass(0).await;
    let names = |cluster: &Cluster| {
        let all = cluster
            .list("configmaps")
            .into_iter()
            .filter(|it| it["metadata"]["name"] != "kube-root-ca.crt")
            .collect::<Vec<_>>();
        told(&all, |it| it["metadata"]["ownerReferences"].as_array().map_or(0, Vec::len).to_string())
    };
    let first = cluster.create(owned("first", &[]));
    let second = cluster.create(owned("second", &[]));
    let child = cluster.create(owned("child", &[(&first, true)]));
    cluster.create(owned("grandchild", &[(&child, true)]));
    cluster.create(owned("shared", &[(&first, false), (&second, true)]));
    let mut absent = first.clone();
    absent["metadata"]["uid"] = "another".into();
    cluster.create(owned("stray", &[(&absent, true)]));
    absent["kind"] = "Unheard".into();
    cluster.create(owned("unclear", &[(&absent, true)]));
    cluster.pass(0).await;
    assert_eq!(names(&cluster), ["child 1", "first 0", "grandchild 1", "second 0", "shared 2", "unclear 1"]);
    cluster.delete(KIND, "default", "first", None);
    cluster.pass(0).await;
    assert_eq!(names(&cluster), ["second 0", "shared 1", "unclear 1"]);
    cluster.delete(KIND, "default", "second", Some("Orphan"));
    cluster.pass(0).await;
    assert_eq!(names(&cluster), ["shared 0", "unclear 1"]);
    // In the foreground: the owner goes last.
    let last = cluster.create(owned("last", &[]));
    let mut held = owned("held", &[(&last, true)]);
    held["metadata"]["finalizers"] = json!(["example.test/hold"]);
    let held = cluster.create(held);
    cluster.create(owned("below", &[(&held, true)]));
    cluster.delete(KIND, "default", "last", Some("Foreground"));
    cluster.pass(0).await;
    assert_eq!(names(&cluster), ["held 1", "last 0", "shared 0", "unclear 1"]);
    cluster.patch(KIND, "held", json!({"metadata": {"finalizers": null}}));
    cluster.pass(0).await;
    assert_eq!(names(&cluster), ["shared 0", "unclear 1"]);
    // Two that own each other.
    let one = cluster.create(owned("one", &[]));
    let other = cluster.create(owned("other", &[(&one, true)]));
    let back = owned("one", &[(&other, true)])["metadata"]["ownerReferences"].take();
    cluster.patch(KIND, "one", json!({"metadata": {"ownerReferences": back}}));
    cluster.delete(KIND, "default", "one", Some("Foreground"));
    cluster.pass(1).await;
    assert_eq!(names(&cluster), ["shared 0", "unclear 1"]);
    settled(&mut cluster).await;
}

#[tokio::test(start_paused = true)]
async fn namespaces_end_when_they_are_empty() {
    let answer = Arc::new(Mutex::new(Elsewhere::Failed("the aggregated API is away".into())));
    let asked = Arc::clone(&answer);
    let aggregated: Aggregated = Arc::new(move |_| {
        let answer = asked.lock().unwrap().clone();
        Box::pin(async move { answer })
    });
    let cluster = Cluster::start(Settings { aggregated: Some(aggregated), ..Settings::default() });
    cluster.pass(0).await;
    cluster.create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}}));
    let mut web = workload("Deployment", "web", "web:1", &json!({"replicas": 2}));
    web["metadata"]["namespace"] = "team".into();
    cluster.create(web);
    cluster.create(json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "held", "namespace": "team", "finalizers": ["example.test/hold"]}}));
    cluster.pass(0).await;
    cluster.delete(("v1", "Namespace"), "", "team", None);
    cluster.pass(1).await;
    let conditions = |cluster: &Cluster| cluster.get("namespaces", "team")["status"]["conditions"].clone();
    let told = |conditions: &Value, kind: &str| {
        let found = conditions.as_array().unwrap().iter().find(|it| it["type"] == kind).unwrap();
        format!("{} {}", found["status"].as_str().unwrap(), found["message"].as_str().unwrap())
    };
    let now = conditions(&cluster);
    assert_eq!(told(&now, "NamespaceDeletionDiscoveryFailure"), "True the aggregated API is away");
    assert_eq!(
        told(&now, "NamespaceContentRemaining"),
        "True Some resources are remaining: secrets. has 1 resource instances"
    );
    assert_eq!(
        told(&now, "NamespaceFinalizersRemaining"),
        "True Some content in the namespace has finalizers remaining: example.test/hold in 1 resource instances"
    );
    let kind = cluster.kind("v1", "Secret");
    let released = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    cluster.objects.patch(&kind, ("team", "held", ""), &released, &Cluster::options()).unwrap();
    cluster.pass(1).await;
    assert_eq!(
        told(&conditions(&cluster), "NamespaceContentRemaining"),
        "False All content successfully removed"
    );
    *answer.lock().unwrap() = Elsewhere::Remaining([("applications.gitops".to_owned(), 2)].into());
    cluster.pass(10).await;
    assert_eq!(
        told(&conditions(&cluster), "NamespaceContentRemaining"),
        "True Some resources are remaining: applications.gitops has 2 resource instances"
    );
    *answer.lock().unwrap() = Elsewhere::Remaining([].into());
    cluster.pass(10).await;
    assert!(cluster.get("namespaces", "team").is_null());
    let left: Vec<_> =
        cluster.objects.kinds.all().iter().flat_map(|kind| cluster.list(&kind.resource)).collect();
    assert!(!left.iter().any(|it| it["metadata"]["namespace"] == "team"));
}

#[tokio::test(start_paused = true)]
async fn the_neighbourhood_of_pods_is_told() {
    let mut cluster = Cluster::start(Settings::default());
    cluster.pass(0).await;
    let selector = json!({"app": "web"});
    cluster.create(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"type": "LoadBalancer", "selector": selector, "ports": [{"port": 80, "targetPort": "http"}]}}));
    cluster
        .create(json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "web"},
        "spec": {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}}));
    cluster.create(
        json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"},
        "spec": {"minAvailable": "50%", "selector": {"matchLabels": selector}}}),
    );
    cluster.create(
        json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"},
        "spec": {"minReplicas": 3, "maxReplicas": 5,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}}),
    );
    let mut web = workload("Deployment", "web", "web:1", &json!({"replicas": 1}));
    web["spec"]["template"]["spec"]["containers"][0]["ports"] =
        json!([{"name": "http", "containerPort": 8080}]);
    web["spec"]["template"]["spec"]["containers"][0]["envFrom"] =
        json!([{"configMapRef": {"name": "later"}}]);
    cluster.create(web);
    cluster.pass(1).await;
    let pods = cluster.list("pods");
    assert_eq!(pods.len(), 3, "the autoscaler's least");
    assert_eq!(
        pods[0]["status"]["containerStatuses"][0]["state"]["waiting"]["message"],
        "configmap \"later\" not found"
    );
    cluster.create(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "later"}}));
    cluster.pass(1).await;
    let slice = &cluster.list("endpointslices.discovery.k8s.io")[0];
    let ready = slice["endpoints"].as_array().unwrap().iter().filter(|it| it["conditions"]["ready"] == true);
    assert_eq!((ready.count(), &slice["ports"][0]["port"]), (3, &json!(8080)));
    assert_eq!(cluster.get("endpoints", "web")["subsets"][0]["addresses"].as_array().unwrap().len(), 3);
    for resource in ["services", "ingresses.networking.k8s.io"] {
        let balancer = &cluster.get(resource, "web")["status"]["loadBalancer"];
        assert!(balancer["ingress"][0]["ip"].is_string(), "{resource} in {balancer}");
    }
    let budget = &cluster.get("poddisruptionbudgets.policy", "web")["status"];
    assert_eq!(
        (&budget["currentHealthy"], &budget["desiredHealthy"], &budget["disruptionsAllowed"]),
        (&json!(3), &json!(2), &json!(1))
    );
    let scaler = cluster.get("horizontalpodautoscalers.autoscaling", "web");
    assert_eq!(reason(&scaler, "AbleToScale"), "True:ReadyForNewScale");
    settled(&mut cluster).await;
    cluster.delete(("v1", "Service"), "default", "web", None);
    cluster.pass(1).await;
    assert!(
        cluster.get("endpoints", "web").is_null()
            && cluster.list("endpointslices.discovery.k8s.io").is_empty()
    );
}

#[tokio::test(start_paused = true)]
async fn claims_find_volumes() {
    let mut cluster = Cluster::start(Settings::default());
    cluster.pass(0).await;
    let claim = |name: &str, class: Option<&str>| {
        let mut claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
        if let Some(class) = class {
            claim["spec"]["storageClassName"] = class.into();
        }
        claim
    };
    cluster.create(claim("dynamic", None));
    cluster.create(claim("static", Some("")));
    cluster.create(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "waits"}, "spec": {
        "containers": [{"name": "main", "image": "web:1"}],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "static"}}]}}));
    cluster.pass(0).await;
    let claims = |cluster: &Cluster| {
        told(&cluster.list("persistentvolumeclaims"), |it| it["status"]["phase"].as_str().unwrap().into())
    };
    assert_eq!(claims(&cluster), ["dynamic Bound", "static Pending"]);
    assert_eq!(reason(&cluster.get("pods", "waits"), "PodScheduled"), "False:Unschedulable");
    cluster.create(
        json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "disk"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "2Gi"}, "hostPath": {"path": "/tmp"},
        "persistentVolumeReclaimPolicy": "Retain"}}),
    );
    cluster.pass(0).await;
    assert_eq!(claims(&cluster), ["dynamic Bound", "static Bound"]);
    assert_eq!(cluster.get("pods", "waits")["status"]["phase"], "Running");
    settled(&mut cluster).await;
    cluster.delete(("v1", "PersistentVolumeClaim"), "default", "static", None);
    cluster.pass(0).await;
    assert_eq!(claims(&cluster), ["dynamic Bound", "static Bound"], "a pod uses it");
    cluster.delete(("v1", "Pod"), "default", "waits", None);
    cluster.pass(0).await;
    assert_eq!(claims(&cluster), ["dynamic Bound"]);
    assert_eq!(cluster.get("persistentvolumes", "disk")["status"]["phase"], "Released");
}

/// What there is in the end, without what differs between any two runs.
fn outcome(cluster: &Cluster) -> Vec<String> {
    let resources =
        ["deployments.apps", "replicasets.apps", "statefulsets.apps", "jobs.batch", "persistentvolumeclaims"];
    let tell = |it: &Value| {
        let mut status = it["status"].clone();
        status["observedGeneration"] = Value::Null; // in how many steps it was scaled
        for condition in status["conditions"].as_array_mut().into_iter().flatten() {
            // How far it was when a controller stopped shows in these.
            condition
                .as_object_mut()
                .unwrap()
                .retain(|key, _| matches!(&**key, "type" | "status" | "reason"));
        }
        if let Some(conditions) = status["conditions"].as_array_mut() {
            conditions.sort_by_key(|condition| condition["type"].to_string());
        }
        format!("{} {status}", it["spec"]["replicas"])
    };
    let told = resources.iter().flat_map(|resource| told(&cluster.list(resource), tell));
    let pods = cluster.list("pods").into_iter().map(|pod| {
        let owner = &pod["metadata"]["ownerReferences"][0]["name"];
        format!("{owner} {} {}", pod["spec"]["containers"][0]["image"], pod["status"]["phase"])
    });
    let mut all: Vec<_> = told.chain(pods).collect();
    all.sort();
    all
}

#[tokio::test(start_paused = true)]
async fn controllers_may_stop_at_any_time() {
    let run = async |restarts: bool| {
        let mut cluster = Cluster::start(Settings::default());
        let claim = json!({"metadata": {"name": "data"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
        cluster.pass(0).await;
        cluster.create(workload("Deployment", "web", "web:1", &json!({"replicas": 3})));
        cluster.create(workload(
            "StatefulSet",
            "db",
            "db:1",
            &json!({"replicas": 2, "volumeClaimTemplates": [claim]}),
        ));
        cluster.create(json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once"}, "spec": {
            "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "job:1"}]}}}}));
        let mut stops = 0;
        for image in ["web:2", "web:3"] {
            let mut seen = cluster.objects.storage.version();
            // Some turns without a write mean that all is done.
            let mut idle = 0;
            while idle < 50 {
                tokio::task::yield_now().await;
                idle += 1;
                if cluster.objects.storage.version() > seen {
                    (seen, idle, stops) = (cluster.objects.storage.version(), 0, stops + 1);
                    if restarts {
                        cluster.restart(Settings::default());
                    }
                }
            }
            cluster.patch(
                ("apps/v1", "Deployment"),
                "web",
                json!({"spec": {"template": {"spec": {
                "containers": [{"name": "main", "image": image}]}}}}),
            );
        }
        cluster.pass(1).await;
        (outcome(&cluster), stops)
    };
    let (expected, _) = run(false).await;
    let (found, stops) = run(true).await;
    assert!(stops > 30, "{stops}");
    assert_eq!(expected, found);
}

#[tokio::test(start_paused = true)]
async fn definitions_go_after_their_objects() {
    let mut cluster = Cluster::start(Settings::default());
    cluster.pass(0).await;
    cluster.create(json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "cups.example.test"},
        "spec": {
            "group": "example.test", "scope": "Namespaced", "names": {"plural": "cups", "kind": "Cup"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}],
        },
    }));
    let cup =
        |name: &str| json!({"apiVersion": "example.test/v1", "kind": "Cup", "metadata": {"name": name}});
    let plain = cluster.create(cup("plain"));
    let mut held = cup("held");
    held["metadata"]["finalizers"] = json!(["example.test/hold"]);
    let held = cluster.create(held);
    cluster.create(owned("of-plain", &[(&plain, true)]));
    cluster.create(owned("of-held", &[(&held, true)]));
    cluster.pass(0).await;
    let names = |cluster: &Cluster| {
        let resources = ["customresourcedefinitions.apiextensions.k8s.io", "cups.example.test", "configmaps"];
        let all = resources.iter().flat_map(|resource| cluster.list(resource));
        let names = all.map(|it| it["metadata"]["name"].as_str().unwrap().to_owned());
        names.filter(|name| name != "kube-root-ca.crt").collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(&cluster), "cups.example.test held plain of-held of-plain");
    let kind = ("apiextensions.k8s.io/v1", "CustomResourceDefinition");
    cluster.delete(kind, "", "cups.example.test", None);
    cluster.pass(0).await;
    assert_eq!(names(&cluster), "cups.example.test held of-held");
    cluster.patch(("example.test/v1", "Cup"), "held", json!({"metadata": {"finalizers": null}}));
    cluster.pass(0).await;
    assert_eq!(names(&cluster), "");
    settled(&mut cluster).await;
}
