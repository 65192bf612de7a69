//! Workloads come up, change and end.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Cluster, reason, replicas, settled, told, workload};
use crate::embedded::controllers::Settings;
use crate::embedded::objects::Patch;

#[tokio::test(start_paused = true)]
async fn deployments_roll_out() {
    const KIND: (&str, &str) = ("apps/v1", "Deployment");
    let mut cluster = Cluster::start(Settings::default());
    cluster.pass(0).await;
    cluster.create(workload(
        "Deployment",
        "web",
        "web:1",
        &json!({"replicas": 4, "revisionHistoryLimit": 1}),
    ));
    cluster.pass(1).await;
    let web = |cluster: &Cluster| {
        let web = cluster.get("deployments.apps", "web");
        let revision =
            web["metadata"]["annotations"]["deployment.kubernetes.io/revision"].as_str().unwrap().to_owned();
        assert_eq!(web["status"]["observedGeneration"], web["metadata"]["generation"]);
        format!(
            "{} r{revision} {} {}",
            replicas(&web),
            reason(&web, "Available"),
            reason(&web, "Progressing")
        )
    };
    let good = "True:MinimumReplicasAvailable True:NewReplicaSetAvailable";
    let sets = |cluster: &Cluster| {
        cluster
            .list("replicasets.apps")
            .iter()
            .map(|it| it["spec"]["replicas"].as_i64().unwrap())
            .collect::<Vec<_>>()
    };
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
    cluster.patch(
        KIND,
        "web",
        json!({"spec": {"paused": false, "strategy": {"type": "Recreate", "rollingUpdate": null}}}),
    );
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
    cluster.create(workload(
        "Deployment",
        "web",
        "web:1",
        &json!({"replicas": 4, "progressDeadlineSeconds": 60}),
    ));
    cluster.pass(1).await;
    let broken =
        json!({"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "web:fail"}]}}}});
    cluster.patch(("apps/v1", "Deployment"), "web", broken);
    cluster.pass(1).await;
    let web = cluster.get("deployments.apps", "web");
    assert_eq!(format!("{} {}", replicas(&web), reason(&web, "Progressing")), "5/2/3 True:ReplicaSetUpdated");
    cluster.pass(70).await;
    let web = cluster.get("deployments.apps", "web");
    assert_eq!(reason(&web, "Progressing"), "False:ProgressDeadlineExceeded");
    assert_eq!(reason(&web, "Available"), "True:MinimumReplicasAvailable", "the old pods still serve");
    let pods = cluster.list("pods");
    let crashed = pods
        .iter()
        .map(|pod| &pod["status"]["containerStatuses"][0])
        .find(|it| it["ready"] == false)
        .unwrap();
    assert_eq!(crashed["state"]["waiting"]["reason"], "CrashLoopBackOff");
    assert_eq!(crashed["restartCount"], 4, "after 10, 20 and 40 seconds");
    let mended =
        json!({"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "web:2"}]}}}});
    cluster.patch(("apps/v1", "Deployment"), "web", mended);
    cluster.pass(1).await;
    let web = cluster.get("deployments.apps", "web");
    assert_eq!(
        format!("{} {}", replicas(&web), reason(&web, "Progressing")),
        "4/4/4 True:NewReplicaSetAvailable"
    );
    settled(&mut cluster).await;
}

#[tokio::test(start_paused = true)]
async fn stateful_sets_go_one_by_one() {
    const KIND: (&str, &str) = ("apps/v1", "StatefulSet");
    let mut cluster = Cluster::start(Settings { pace: Duration::from_secs(1), ..Settings::default() });
    cluster.pass(0).await;
    let claim = json!({"metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    cluster.create(workload(
        "StatefulSet",
        "db",
        "db:1",
        &json!({"replicas": 2, "serviceName": "db", "volumeClaimTemplates": [claim]}),
    ));
    let pods = |cluster: &Cluster| {
        told(&cluster.list("pods"), |pod| {
            let image = pod["spec"]["containers"][0]["image"].as_str().unwrap();
            format!("{image} {}", pod["status"]["phase"].as_str().unwrap())
        })
    };
    cluster.pass(0).await;
    assert_eq!(pods(&cluster), ["db-0 db:1 Pending"]);
    cluster.pass(1).await;
    assert_eq!(pods(&cluster), ["db-0 db:1 Running", "db-1 db:1 Pending"]);
    cluster.pass(1).await;
    let claims =
        told(&cluster.list("persistentvolumeclaims"), |it| it["status"]["phase"].as_str().unwrap().into());
    assert_eq!(claims, ["data-db-0 Bound", "data-db-1 Bound"]);
    let db = cluster.get("statefulsets.apps", "db");
    assert_eq!(
        (replicas(&db).as_str(), &db["status"]["currentRevision"]),
        ("2/2/2", &db["status"]["updateRevision"])
    );
    cluster.patch(
        KIND,
        "db",
        json!({"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "db:2"}]}}}}),
    );
    cluster.pass(1).await;
    let db = cluster.get("statefulsets.apps", "db");
    assert_ne!(db["status"]["currentRevision"], db["status"]["updateRevision"]);
    assert_eq!(pods(&cluster), ["db-0 db:1 Running", "db-1 db:2 Pending"]);
    cluster.pass(4).await;
    assert_eq!(pods(&cluster), ["db-0 db:2 Running", "db-1 db:2 Running"]);
    let db = cluster.get("statefulsets.apps", "db");
    assert_eq!(
        (replicas(&db).as_str(), &db["status"]["currentRevision"]),
        ("2/2/2", &db["status"]["updateRevision"])
    );
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

#[tokio::test(start_paused = true)]
async fn daemon_sets_have_a_pod_on_each_node() {
    const KIND: (&str, &str) = ("apps/v1", "DaemonSet");
    let mut cluster = Cluster::start(Settings::default());
    cluster.pass(0).await;
    cluster.create(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "second"}}));
    cluster.create(workload("DaemonSet", "log", "log:1", &json!({})));
    cluster.pass(0).await;
    let pods = |cluster: &Cluster| {
        let mut pods: Vec<_> = cluster
            .list("pods")
            .iter()
            .map(|pod| {
                format!(
                    "{} {}",
                    pod["spec"]["nodeName"].as_str().unwrap(),
                    pod["spec"]["containers"][0]["image"].as_str().unwrap()
                )
            })
            .collect();
        pods.sort();
        pods
    };
    assert_eq!(pods(&cluster), ["embedded log:1", "second log:1"]);
    cluster.patch(
        KIND,
        "log",
        json!({"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "log:2"}]}}}}),
    );
    cluster.pass(1).await;
    assert_eq!(pods(&cluster), ["embedded log:2", "second log:2"]);
    cluster.delete(("v1", "Node"), "", "second", None);
    cluster.pass(1).await;
    assert_eq!(pods(&cluster), ["embedded log:2"]);
    let status = &cluster.get("daemonsets.apps", "log")["status"];
    for field in
        ["desiredNumberScheduled", "currentNumberScheduled", "updatedNumberScheduled", "numberAvailable"]
    {
        assert_eq!(status[field], 1, "{field} in {status}");
    }
    settled(&mut cluster).await;
}

fn job(name: &str, image: &str, more: &Value) -> Value {
    let mut object = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
        "spec": {
            "completions": 1, "parallelism": 1,
            "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": image}]}},
        },
    });
    for (key, value) in more.as_object().unwrap() {
        object["spec"][key] = value.clone();
    }
    object
}

#[tokio::test(start_paused = true)]
async fn jobs_end() {
    let mut cluster = Cluster::start(Settings { pace: Duration::from_secs(1), ..Settings::default() });
    cluster.pass(0).await;
    cluster.create(job("good", "job:1", &json!({"completions": 3, "parallelism": 2})));
    cluster.create(job("bad", "job:fail", &json!({"backoffLimit": 1})));
    cluster.create(job("indexed", "job:1", &json!({"completions": 2, "completionMode": "Indexed"})));
    cluster.create(job("brief", "job:1", &json!({"ttlSecondsAfterFinished": 60})));
    cluster.create(job("asleep", "job:1", &json!({"suspend": true})));
    cluster.create(job("slow", "job:fail", &json!({"activeDeadlineSeconds": 5, "backoffLimit": 9})));
    let jobs = |cluster: &Cluster| {
        told(&cluster.list("jobs.batch"), |it| {
            let of = |field: &str| it["status"][field].as_i64().unwrap_or(0);
            let end = ["Complete", "Failed", "Suspended"]
                .map(|kind| reason(it, kind))
                .into_iter()
                .find(|it| it != "none");
            format!("{}/{}/{} {}", of("active"), of("succeeded"), of("failed"), end.unwrap_or_default())
        })
    };
    cluster.pass(0).await;
    assert_eq!(
        jobs(&cluster),
        [
            "asleep 0/0/0 True:JobSuspended",
            "bad 1/0/0 ",
            "brief 1/0/0 ",
            "good 2/0/0 ",
            "indexed 1/0/0 ",
            "slow 1/0/0 "
        ]
    );
    cluster.pass(8).await;
    assert_eq!(
        jobs(&cluster),
        [
            "asleep 0/0/0 True:JobSuspended",
            "bad 0/0/1 ",
            "brief 0/1/0 True:CompletionsReached",
            "good 0/3/0 True:CompletionsReached",
            "indexed 0/2/0 True:CompletionsReached",
            "slow 0/0/1 True:DeadlineExceeded",
        ]
    );
    assert_eq!(cluster.get("jobs.batch", "indexed")["status"]["completedIndexes"], "0,1");
    cluster.patch(("batch/v1", "Job"), "asleep", json!({"spec": {"suspend": false}}));
    cluster.pass(60).await;
    assert_eq!(
        jobs(&cluster),
        [
            "asleep 0/1/0 True:CompletionsReached",
            "bad 0/0/2 True:BackoffLimitExceeded",
            "good 0/3/0 True:CompletionsReached",
            "indexed 0/2/0 True:CompletionsReached",
            "slow 0/0/1 True:DeadlineExceeded",
        ]
    );
    assert!(
        !cluster.list("pods").iter().any(|pod| pod["metadata"]["labels"]["job-name"] == "brief"),
        "pods go with their Job"
    );
    settled(&mut cluster).await;
}

#[tokio::test(start_paused = true)]
async fn cron_jobs_make_jobs() {
    let mut cluster = Cluster::start(Settings::default());
    cluster.pass(0).await;
    let template = job("", "job:1", &json!({}))["spec"].take();
    for (named, schedule) in [("often", "*/10 * * * *"), ("nightly", "30 2 * * tue"), ("never", "0 0 30 2 *")]
    {
        cluster.create(json!({
            "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": named},
            "spec": {"schedule": schedule, "jobTemplate": {"spec": template}, "successfulJobsHistoryLimit": 2},
        }));
    }
    cluster.pass(3 * 3600).await;
    let jobs = told(&cluster.list("jobs.batch"), |job| reason(job, "Complete"));
    let minutes = |hours: i64, minutes: i64| 31_557_600 + hours * 60 + minutes;
    assert_eq!(
        jobs,
        [
            format!("nightly-{} True:CompletionsReached", minutes(2, 30)),
            format!("often-{} True:CompletionsReached", minutes(2, 50)),
            format!("often-{} True:CompletionsReached", minutes(3, 0)),
        ]
    );
    let often = cluster.get("cronjobs.batch", "often");
    assert_eq!(often["status"]["lastScheduleTime"], "2030-01-01T03:00:00Z");
    assert_eq!(often["status"]["lastSuccessfulTime"], "2030-01-01T03:00:00Z");
    settled(&mut cluster).await;
}

#[tokio::test(start_paused = true)]
async fn two_runs_are_the_same() {
    let run = async || {
        let cluster = Cluster::start(Settings::default());
        cluster.pass(0).await;
        cluster.create(workload("Deployment", "web", "web:1", &json!({"replicas": 3})));
        cluster.create(job("once", "job:1", &json!({})));
        cluster.pass(5).await;
        cluster.patch(
            ("apps/v1", "Deployment"),
            "web",
            json!({"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 1}}}}),
        );
        cluster.pass(5).await;
        cluster
            .changes(1)
            .into_iter()
            .map(|it| it.split(' ').take(2).collect::<Vec<_>>().join(" "))
            .collect::<Vec<_>>()
    };
    let first = run().await;
    assert!(first.len() > 50);
    assert_eq!(first, run().await);
}

#[tokio::test(start_paused = true)]
async fn pods_do_what_their_images_say() {
    let mut cluster = Cluster::start(Settings::default());
    cluster.pass(0).await;
    let cases = [
        ("always", "", &["web:1"][..], "Running running"),
        ("always-fails", "", &["web:1", "web:fail"], "Running running CrashLoopBackOff"),
        ("never", "Never", &["web:1"], "Succeeded Completed"),
        ("never-fails", "Never", &["web:1", "web:fail"], "Failed Completed Error"),
        ("on-failure", "OnFailure", &["web:1"], "Succeeded Completed"),
        ("on-failure-fails", "OnFailure", &["web:fail"], "Running CrashLoopBackOff"),
    ];
    let pod = |name: &str, policy: &str, images: &[&str]| {
        let all =
            images.iter().enumerate().map(|(at, image)| json!({"name": format!("c{at}"), "image": image}));
        let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"containers": all.collect::<Vec<_>>()}});
        if !policy.is_empty() {
            pod["spec"]["restartPolicy"] = policy.into();
        }
        pod
    };
    let state = |it: &Value| {
        let of = |kind: &str| it["state"][kind]["reason"].as_str().map(str::to_owned);
        of("waiting").or_else(|| of("terminated")).unwrap_or_else(|| "running".into())
    };
    let tell = |cluster: &Cluster, name: &str, field: &str| {
        let status = cluster.get("pods", name)["status"].take();
        let states = status[field].as_array().unwrap().iter().map(state).collect::<Vec<_>>().join(" ");
        format!("{} {states}", status["phase"].as_str().unwrap())
    };
    for (name, policy, images, _) in cases {
        cluster.create(pod(name, policy, images));
        let mut pod = pod(&format!("{name}-first"), policy, &["web:1"]);
        pod["spec"]["initContainers"] = pod_inits(images);
        cluster.create(pod);
    }
    cluster.pass(1).await;
    for (name, _, _, expected) in cases {
        assert_eq!(tell(&cluster, name, "containerStatuses"), expected, "{name}");
    }
    for (name, expected) in [
        ("always", "Running Completed"),
        ("always-fails", "Pending Completed CrashLoopBackOff"),
        ("never", "Succeeded Completed"),
        ("never-fails", "Failed Completed Error"),
        ("on-failure-fails", "Pending CrashLoopBackOff"),
    ] {
        assert_eq!(
            tell(&cluster, &format!("{name}-first"), "initContainerStatuses"),
            expected,
            "{name}-first"
        );
    }
    settled(&mut cluster).await;
    let mended =
        json!({"spec": {"containers": [{"name": "c0", "image": "web:1"}, {"name": "c1", "image": "web:2"}]}});
    let kind = cluster.kind("v1", "Pod");
    let patch = Patch::Strategic(mended);
    cluster.objects.patch(&kind, ("default", "always-fails", ""), &patch, &Cluster::options()).unwrap();
    cluster.pass(1).await;
    assert_eq!(tell(&cluster, "always-fails", "containerStatuses"), "Running running running");
    assert_eq!(reason(&cluster.get("pods", "always-fails"), "Ready"), "True:");
}

fn pod_inits(images: &[&str]) -> Value {
    images.iter().enumerate().map(|(at, image)| json!({"name": format!("i{at}"), "image": image})).collect()
}
