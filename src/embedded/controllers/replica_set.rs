//! `ReplicaSets` keep a number of pods. Pods count as long as they are neither over nor being deleted.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::act::{Act, Deletion, MANAGER, Plan};
use super::fields::{
    compact, controller_reference, count, count_or, holds, is_leaving, list, name, namespace, put_condition,
    selects, stamp, text, time,
};

const SOURCE: &str = "replicaset-controller";

/// Decides what a `ReplicaSet` needs. `failure` is why a pod could not be created.
pub(super) fn plan(set: &Value, pods: &[Value], failure: Option<&str>, now: Timestamp) -> Plan {
    let mut plan = Plan::nothing();
    let mut active: Vec<_> = pods.iter().filter(|pod| is_active(pod)).collect();
    let wanted = count_or(set, "/spec/replicas", 1);
    let missing = wanted - length(&active);
    if !is_leaving(set) {
        for _ in 0..missing.clamp(0, 500) {
            let pod = pod_of(set, &set["spec"]["template"]);
            plan.push(Act::Create(pod));
        }
        active.sort_by_key(|pod| rank(pod));
        for pod in active.iter().take(usize::try_from(-missing).unwrap_or_default()) {
            plan.push(Act::Delete((*pod).clone(), Deletion::Plain));
            plan.push(Act::normal(set, SOURCE, "SuccessfulDelete", format!("Deleted pod: {}", name(pod))));
        }
    }
    let template = &set["spec"]["template"]["metadata"]["labels"];
    let labeled = json!({"matchLabels": template});
    let fully = active.iter().filter(|pod| selects(&labeled, pod)).count();
    let ready = active.iter().filter(|pod| holds(pod, "Ready")).count();
    let mut available = 0;
    for pod in &active {
        match until_available(pod, count(set, "/spec/minReadySeconds"), now) {
            Some(delay) if delay.is_zero() => available += 1,
            Some(delay) => plan.after(delay),
            None => {}
        }
    }
    let mut conditions = list(set, "/status/conditions").to_vec();
    if failure.is_none() || missing == 0 {
        conditions.retain(|condition| condition["type"] != "ReplicaFailure");
    } else if let Some(failure) = failure {
        let reason = if missing > 0 { "FailedCreate" } else { "FailedDelete" };
        put_condition(
            &mut conditions,
            json!({"type": "ReplicaFailure", "status": "True", "lastTransitionTime": stamp(now),
                "reason": reason, "message": failure}),
        );
    }
    let status = json!({
        "replicas": active.len(), "fullyLabeledReplicas": fully, "readyReplicas": ready,
        "availableReplicas": available, "terminatingReplicas": pods.iter().filter(|pod| is_terminating(pod)).count(),
        "observedGeneration": set["metadata"]["generation"], "conditions": conditions,
    });
    plan.status(MANAGER, set, compact(status, &["replicas", "terminatingReplicas"]));
    plan
}

fn length<T>(items: &[T]) -> i64 {
    i64::try_from(items.len()).unwrap_or(i64::MAX)
}

/// A pod after a template, controlled by `owner`, with a name that is still to be generated.
pub(super) fn pod_of(owner: &Value, template: &Value) -> Value {
    let mut metadata = serde_json::Map::new();
    metadata.insert("generateName".into(), format!("{}-", name(owner)).into());
    metadata.insert("namespace".into(), namespace(owner).into());
    for field in ["labels", "annotations", "finalizers"] {
        if !template["metadata"][field].is_null() {
            metadata.insert(field.into(), template["metadata"][field].clone());
        }
    }
    metadata.insert("ownerReferences".into(), json!([controller_reference(owner)]));
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
}

/// Whether a pod is neither over nor being deleted.
pub(super) fn is_active(pod: &Value) -> bool {
    !is_leaving(pod) && !is_over(pod)
}

/// Whether a pod has run to its end.
pub(super) fn is_over(pod: &Value) -> bool {
    matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
}

/// Whether a pod is being deleted and has not run to its end.
pub(super) fn is_terminating(pod: &Value) -> bool {
    is_leaving(pod) && !is_over(pod)
}

/// How long until a pod counts as available: none as long as it is not ready, zero if it is available.
pub(super) fn until_available(pod: &Value, min_ready_seconds: i64, now: Timestamp) -> Option<Duration> {
    if !holds(pod, "Ready") {
        return None;
    }
    let ready = list(pod, "/status/conditions").iter().find(|condition| condition["type"] == "Ready")?;
    let since = time(ready, "/lastTransitionTime").unwrap_or(now);
    let left = min_ready_seconds - now.duration_since(since).as_secs();
    let left = if min_ready_seconds == 0 { 0 } else { left };
    Some(Duration::from_secs(u64::try_from(left).unwrap_or_default()))
}

/// In which order pods are deleted: first those that are of least use, among equals the newest.
fn rank(pod: &Value) -> (bool, bool, bool, std::cmp::Reverse<String>, String) {
    (
        !text(pod, "/spec/nodeName").is_empty(),
        text(pod, "/status/phase") == "Running",
        holds(pod, "Ready"),
        std::cmp::Reverse(text(pod, "/metadata/creationTimestamp").to_owned()),
        name(pod).to_owned(),
    )
}
