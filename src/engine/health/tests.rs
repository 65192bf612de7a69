//! Every rule of every kind.

use super::*;
use serde_json::json;

/// Judges an object of `kind` that has `rest` beside its name.
fn judge(api_version: &str, kind: &str, rest: &Value) -> Health {
    let mut object =
        json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "tea", "generation": 2}});
    for (name, value) in rest.as_object().unwrap() {
        match (object.get_mut(name), value) {
            (Some(Value::Object(known)), Value::Object(more)) => known.extend(more.clone()),
            _ => object[name] = value.clone(),
        }
    }
    of(&object).unwrap()
}

fn check(api_version: &str, kind: &str, cases: &[(Value, HealthCode)]) {
    for (rest, expected) in cases {
        let health = judge(api_version, kind, rest);
        assert_eq!(health.code, *expected, "{kind} {rest}: {health:?}");
    }
}

use HealthCode::{Degraded, Healthy, Missing, Progressing, Suspended, Unknown};

#[test]
fn deployments_follow_their_rollout() {
    let rollout = |replicas, updated, available| {
        json!({"spec": {"replicas": 3}, "status": {"observedGeneration": 2, "replicas": replicas,
            "updatedReplicas": updated, "availableReplicas": available}})
    };
    let mut stuck = rollout(3, 1, 1);
    stuck["status"]["conditions"] = json!([{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]);
    check(
        "apps/v1",
        "Deployment",
        &[
            (rollout(3, 3, 3), Healthy),
            (rollout(3, 2, 2), Progressing),
            (rollout(4, 3, 3), Progressing),
            (rollout(3, 3, 2), Progressing),
            (stuck, Degraded),
            (json!({"spec": {"replicas": 0}, "status": {"observedGeneration": 2}}), Healthy),
            (json!({"spec": {"replicas": 0}, "status": {"observedGeneration": 1}}), Progressing),
            (json!({"spec": {"paused": true}, "status": {"observedGeneration": 1}}), Suspended),
            (json!({}), Progressing),
        ],
    );
}

#[test]
fn stateful_sets_follow_their_strategy() {
    let set = |strategy: Value, status: Value| {
        let mut object = json!({"spec": {"replicas": 3, "updateStrategy": strategy},
            "status": {"observedGeneration": 2, "readyReplicas": 3}});
        object["status"].as_object_mut().unwrap().extend(status.as_object().unwrap().clone());
        object
    };
    let partition = json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 1}});
    let between = json!({"updatedReplicas": 1, "updateRevision": "b", "currentRevision": "a"});
    check(
        "apps/v1",
        "StatefulSet",
        &[
            (
                set(json!({"type": "RollingUpdate"}), json!({"updateRevision": "b", "currentRevision": "b"})),
                Healthy,
            ),
            (set(json!({"type": "RollingUpdate"}), between.clone()), Progressing),
            (set(json!({"type": "OnDelete"}), between.clone()), Healthy),
            (set(partition.clone(), between), Progressing),
            (
                set(partition, json!({"updatedReplicas": 2, "updateRevision": "b", "currentRevision": "a"})),
                Healthy,
            ),
            (set(json!({}), json!({"readyReplicas": 2})), Progressing),
            (set(json!({}), json!({"observedGeneration": 1})), Progressing),
            (set(json!({}), json!({"observedGeneration": 0})), Progressing),
        ],
    );
}

#[test]
fn daemon_sets_and_replica_sets_count_their_pods() {
    let daemon = |strategy, updated, available| {
        json!({"spec": {"updateStrategy": {"type": strategy}}, "status": {"observedGeneration": 2,
            "desiredNumberScheduled": 2, "updatedNumberScheduled": updated, "numberAvailable": available}})
    };
    check(
        "apps/v1",
        "DaemonSet",
        &[
            (daemon("RollingUpdate", 2, 2), Healthy),
            (daemon("RollingUpdate", 1, 2), Progressing),
            (daemon("RollingUpdate", 2, 1), Progressing),
            (daemon("OnDelete", 0, 0), Healthy),
            (json!({"status": {"observedGeneration": 1}}), Progressing),
        ],
    );
    let failure = |status| json!([{"type": "ReplicaFailure", "status": status, "message": "quota"}]);
    let set = |available, failed| {
        json!({"spec": {"replicas": 2}, "status": {"observedGeneration": 2, "availableReplicas": available,
            "conditions": failure(failed)}})
    };
    check(
        "apps/v1",
        "ReplicaSet",
        &[
            (set(2, "False"), Healthy),
            (set(1, "False"), Progressing),
            (set(2, "True"), Degraded),
            (json!({"spec": {"replicas": 0}, "status": {"observedGeneration": 1}}), Progressing),
        ],
    );
}

#[test]
fn pods_follow_phase_and_restarts() {
    let pod = |policy: &str, status: Value| json!({"spec": {"restartPolicy": policy}, "status": status});
    let waiting = |reason: &str| {
        json!({"phase": "Running",
        "containerStatuses": [{"name": "a", "state": {"waiting": {"reason": reason}}}]})
    };
    let restarted = json!({"phase": "Running",
        "containerStatuses": [{"name": "a", "lastState": {"terminated": {"exitCode": 1}}}]});
    let ready = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
    check(
        "v1",
        "Pod",
        &[
            (pod("Always", json!({"phase": "Pending"})), Progressing),
            (pod("Always", json!({"phase": "Succeeded"})), Healthy),
            (pod("Never", json!({"phase": "Failed"})), Degraded),
            (pod("Always", ready), Healthy),
            (pod("Always", restarted), Degraded),
            (pod("Always", waiting("ContainerCreating")), Progressing),
            (pod("Always", waiting("ImagePullBackOff")), Degraded),
            (pod("Always", waiting("CreateContainerConfigError")), Degraded),
            (pod("Always", waiting("ErrImagePull")), Degraded),
            (pod("Never", waiting("ImagePullBackOff")), Progressing),
            (pod("Always", json!({"phase": "Unknown"})), Unknown),
        ],
    );
}

#[test]
fn failed_pods_say_why() {
    let message = |status: Value| judge("v1", "Pod", &json!({"status": status})).message;
    let ended = |end: Value| {
        json!({"phase": "Failed", "initContainerStatuses": [
        {"name": "fine", "state": {"terminated": {"exitCode": 0}}}],
        "containerStatuses": [{"name": "tea", "state": {"terminated": end}}]})
    };
    assert_eq!(message(json!({"phase": "Failed", "message": "evicted"})), "evicted");
    assert_eq!(message(ended(json!({"exitCode": 3}))), "container `tea` failed with exit code 3");
    assert_eq!(message(ended(json!({"exitCode": 1, "message": "no kettle"}))), "no kettle");
    assert!(message(ended(json!({"exitCode": 137, "reason": "OOMKilled"}))).contains("out of memory"));
}

#[test]
fn jobs_end_by_their_conditions() {
    let job =
        |kind: &str, status: &str| json!({"status": {"conditions": [{"type": kind, "status": status}]}});
    check(
        "batch/v1",
        "Job",
        &[
            (json!({}), Progressing),
            (job("Complete", "True"), Healthy),
            (job("Failed", "True"), Degraded),
            (job("Suspended", "True"), Suspended),
            (job("Suspended", "False"), Progressing),
        ],
    );
    let cron = |status: Value| json!({"status": status});
    let [early, late] = ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"];
    check(
        "batch/v1",
        "CronJob",
        &[
            (json!({}), Progressing),
            (json!({"spec": {"suspend": true}, "status": {}}), Healthy),
            (cron(json!({})), Healthy),
            (cron(json!({"lastScheduleTime": late})), Healthy),
            (cron(json!({"lastScheduleTime": early, "lastSuccessfulTime": late})), Healthy),
            (cron(json!({"lastScheduleTime": late, "lastSuccessfulTime": early})), Degraded),
            (cron(json!({"lastScheduleTime": late, "lastSuccessfulTime": early, "active": [{}]})), Healthy),
        ],
    );
    let phase = |phase: &str| json!({"status": {"phase": phase}});
    check(
        "argoproj.io/v1alpha1",
        "Workflow",
        &[
            (json!({}), Progressing),
            (phase("Running"), Progressing),
            (phase("Succeeded"), Healthy),
            (phase("Error"), Degraded),
            (phase("Odd"), Unknown),
        ],
    );
}

#[test]
fn network_and_storage_wait_for_what_they_are_given() {
    let address = json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}});
    check(
        "v1",
        "Service",
        &[
            (json!({"spec": {"type": "ClusterIP"}}), Healthy),
            (json!({"spec": {"type": "LoadBalancer"}}), Progressing),
            (json!({"spec": {"type": "LoadBalancer"}, "status": address}), Healthy),
        ],
    );
    check(
        "networking.k8s.io/v1",
        "Ingress",
        &[(json!({}), Progressing), (json!({"status": address}), Healthy)],
    );
    let phase = |phase: &str| json!({"status": {"phase": phase}});
    check(
        "v1",
        "PersistentVolumeClaim",
        &[
            (phase("Bound"), Healthy),
            (phase("Pending"), Progressing),
            (phase("Lost"), Degraded),
            (json!({}), Unknown),
        ],
    );
}

#[test]
fn autoscalers_and_budgets_have_conditions() {
    let conditions = |kind: &str, status: &str, reason: &str| json!([{"type": kind, "status": status, "reason": reason, "message": "m"}]);
    let new = |conditions: Value| json!({"status": {"conditions": conditions}});
    check(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        &[
            (json!({}), Progressing),
            (new(conditions("AbleToScale", "True", "ReadyForNewScale")), Healthy),
            (new(conditions("ScalingLimited", "True", "TooManyReplicas")), Healthy),
            (new(conditions("AbleToScale", "False", "FailedGetScale")), Degraded),
            (new(conditions("ScalingActive", "False", "InvalidSelector")), Degraded),
            (new(conditions("ScalingActive", "False", "ScalingDisabled")), Progressing),
        ],
    );
    let old = |conditions: Value| json!({"metadata": {"annotations": {"autoscaling.alpha.kubernetes.io/conditions": conditions.to_string()}}});
    check(
        "autoscaling/v1",
        "HorizontalPodAutoscaler",
        &[
            (old(conditions("AbleToScale", "True", "ReadyForNewScale")), Healthy),
            (old(conditions("ScalingActive", "False", "FailedGetPodsMetric")), Degraded),
            (
                json!({"metadata": {"annotations": {"autoscaling.alpha.kubernetes.io/conditions": "{"}}}),
                Progressing,
            ),
        ],
    );
    check(
        "policy/v1",
        "PodDisruptionBudget",
        &[
            (json!({}), Progressing),
            (new(conditions("DisruptionAllowed", "True", "SufficientPods")), Healthy),
            (new(conditions("DisruptionAllowed", "False", "InsufficientPods")), Healthy),
            (new(conditions("DisruptionAllowed", "False", "SyncFailed")), Degraded),
        ],
    );
}

#[test]
fn extensions_of_the_api_wait_until_they_are_served() {
    let status = |conditions: Value| json!({"status": {"conditions": conditions}});
    check(
        "apiregistration.k8s.io/v1",
        "APIService",
        &[
            (json!({}), Progressing),
            (status(json!([{"type": "Available", "status": "True"}])), Healthy),
            (
                status(json!([{"type": "Available", "status": "False", "reason": "ServiceNotFound"}])),
                Progressing,
            ),
        ],
    );
    check(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        &[
            (json!({}), Progressing),
            (status(json!([{"type": "Established", "status": "True"}])), Healthy),
            (
                status(json!([{"type": "Established", "status": "False", "reason": "Installing"}])),
                Progressing,
            ),
            (status(json!([{"type": "Established", "status": "False", "reason": "NotAccepted"}])), Degraded),
            (status(json!([{"type": "NamesAccepted", "status": "False"}])), Degraded),
            (
                status(json!([{"type": "Established", "status": "True"},
            {"type": "NonStructuralSchema", "status": "True"}])),
                Degraded,
            ),
            (
                status(
                    json!([{"type": "Established", "status": "True"}, {"type": "Terminating", "status": "True"}]),
                ),
                Progressing,
            ),
        ],
    );
}

#[test]
fn applications_are_healthy_when_what_they_describe_now_is() {
    let source = json!({"repoURL": "https://git.test/tea", "path": "pot", "targetRevision": "main"});
    let app = |sync: &str, health: &str, phase: &str| {
        json!({"spec": {"source": source, "destination": {"namespace": "tea"}}, "status": {
            "sync": {"status": sync, "comparedTo": {"source": source, "destination": {"namespace": "tea"}}},
            "health": {"status": health}, "operationState": {"phase": phase}}})
    };
    let mut moved = app("Synced", "Healthy", "Succeeded");
    moved["spec"]["source"]["targetRevision"] = "next".into();
    let mut requested = app("Synced", "Healthy", "Succeeded");
    requested["operation"] = json!({"sync": {}});
    check(
        "gitops/v1",
        "Application",
        &[
            (json!({}), Progressing),
            (app("Synced", "Healthy", "Succeeded"), Healthy),
            (app("Synced", "Healthy", "Running"), Progressing),
            (app("OutOfSync", "Healthy", "Succeeded"), Progressing),
            (app("OutOfSync", "Missing", "Failed"), Degraded),
            (app("Synced", "Degraded", "Succeeded"), Degraded),
            (app("Synced", "Suspended", "Succeeded"), Suspended),
            (app("Unknown", "Healthy", ""), Unknown),
            (moved, Progressing),
            (requested, Progressing),
        ],
    );
}

#[test]
fn deletion_comes_first_and_other_kinds_have_no_health() {
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "tea"}});
    assert_eq!(of(&map), None);
    let mut leaving = map;
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    assert_eq!(of(&leaving).unwrap().code, Progressing);
    assert!(has_check(&Gvk::new("apps/v1", "Deployment")) && !has_check(&Gvk::new("v1", "ConfigMap")));
    assert!(!has_check(&Gvk::new("argoproj.io/v1alpha1", "Application")));
}

#[test]
fn the_worst_code_counts() {
    assert_eq!(worst([]), Healthy);
    assert_eq!(worst([Healthy, Suspended, Progressing]), Progressing);
    assert_eq!(worst([Degraded, Missing]), Degraded);
    assert_eq!(worst([Degraded, Unknown, Missing]), Unknown);
}
