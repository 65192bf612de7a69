//! What the status of a Deployment says: counts, whether it is available, how its rollout goes.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Set, put, replicas, scale};
use crate::embedded::controllers::act::{Act, MANAGER, Plan};
use crate::embedded::controllers::fields::{compact, condition, count, list, name, text, time};

/// Whether the progress of a rollout is estimated.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Estimate {
    /// It is.
    Yes,
    /// Not while pods are only scaled, or paused.
    No,
}

/// Finds a condition.
pub(super) fn find<'a>(deployment: &'a Value, kind: &str) -> Option<&'a Value> {
    condition(deployment, kind)
}

/// Whether a rollout may take only so long.
pub(super) fn has_deadline(deployment: &Value) -> bool {
    deadline(deployment).is_some()
}

fn deadline(deployment: &Value) -> Option<i64> {
    let seconds = deployment["spec"]["progressDeadlineSeconds"].as_i64().unwrap_or(600);
    (seconds != i64::from(i32::MAX)).then_some(seconds)
}

/// Whether a status says that all pods are new and available.
pub(super) fn is_complete(deployment: &Value, status: &Value) -> bool {
    let wanted = replicas(deployment);
    ["updatedReplicas", "replicas", "availableReplicas"]
        .iter()
        .all(|field| status[*field].as_i64().unwrap_or(0) == wanted)
        && status["observedGeneration"].as_i64() >= deployment["metadata"]["generation"].as_i64()
}

/// Writes the status, if it is not what it was. `after` is the Deployment with the conditions and the
/// annotation that were decided already.
pub(super) fn status(
    plan: &mut Plan,
    deployment: &Value,
    mut after: Value,
    sets: &[Set],
    estimate: Estimate,
    now: Timestamp,
) {
    let sum =
        |field: &str| sets.iter().map(|set| count(&set.object, &format!("/status/{field}"))).sum::<i64>();
    let available = sum("availableReplicas");
    let total: i64 = sets.iter().map(|set| set.size).sum();
    let updated = sets.iter().filter(|set| set.is_new).map(Set::actual).sum::<i64>();
    if available >= replicas(deployment) - scale::max_unavailable(deployment) {
        let told = ("MinimumReplicasAvailable", "Deployment has minimum availability.");
        put(&mut after, "Available", "True", told, now);
    } else {
        let told = ("MinimumReplicasUnavailable", "Deployment does not have minimum availability.");
        put(&mut after, "Available", "False", told, now);
    }
    let mut status = json!({
        "observedGeneration": deployment["metadata"]["generation"], "replicas": sum("replicas"),
        "updatedReplicas": updated, "readyReplicas": sum("readyReplicas"), "availableReplicas": available,
        "unavailableReplicas": (total - available).max(0), "terminatingReplicas": sum("terminatingReplicas"),
        "collisionCount": deployment["status"]["collisionCount"], "conditions": after["status"]["conditions"],
    });
    if !has_deadline(deployment) {
        let conditions = status["conditions"].as_array_mut().expect("there is at least Available");
        conditions.retain(|known| known["type"] != "Progressing");
    } else if estimate == Estimate::Yes {
        rollout(plan, deployment, &mut status, sets, now);
    }
    failures(&mut status, sets, now);
    after["status"] = compact(status, &["terminatingReplicas"]);
    if after != *deployment {
        plan.push(Act::Status(MANAGER, after));
    }
}

fn rollout(plan: &mut Plan, deployment: &Value, status: &mut Value, sets: &[Set], now: Timestamp) {
    let new = sets.iter().find(|set| set.is_new);
    let subject = new.map_or_else(
        || format!("Deployment {:?}", name(deployment)),
        |set| format!("ReplicaSet {:?}", name(&set.object)),
    );
    let known = find(deployment, "Progressing");
    let is_over = known.is_some_and(|known| known["reason"] == "NewReplicaSetAvailable");
    if is_over && status["replicas"] == status["updatedReplicas"] {
        return;
    }
    let mut holder = json!({"status": {"conditions": status["conditions"]}});
    if is_complete(deployment, status) {
        let message = format!("{subject} has successfully progressed.");
        put(&mut holder, "Progressing", "True", ("NewReplicaSetAvailable", &message), now);
    } else if has_moved(&deployment["status"], status) {
        let message = format!("{subject} is progressing.");
        // The time of the last update is to be new even if the condition says the same.
        if let Some(old) = holder["status"]["conditions"]
            .as_array_mut()
            .and_then(|all| all.iter_mut().find(|old| old["type"] == "Progressing"))
        {
            old["reason"] = "".into();
        }
        put(&mut holder, "Progressing", "True", ("ReplicaSetUpdated", &message), now);
    } else if let Some(known) = find(&holder, "Progressing")
        && !matches!(text(known, "/reason"), "NewReplicaSetAvailable" | "ProgressDeadlineExceeded")
    {
        let since = time(known, "/lastUpdateTime").unwrap_or(now);
        if now.duration_since(since).as_secs() > deadline(deployment).unwrap_or_default() {
            let message = format!("{subject} has timed out progressing.");
            put(&mut holder, "Progressing", "False", ("ProgressDeadlineExceeded", &message), now);
        }
    }
    if let Some(told) = find(&holder, "Progressing")
        && !matches!(text(told, "/reason"), "NewReplicaSetAvailable" | "ProgressDeadlineExceeded")
    {
        let since = time(told, "/lastUpdateTime").unwrap_or(now);
        let left = deadline(deployment).unwrap_or_default() - now.duration_since(since).as_secs();
        plan.after(Duration::from_secs(u64::try_from(left).unwrap_or_default() + 1));
    }
    status["conditions"] = holder["status"]["conditions"].take();
}

/// Whether more pods are new, ready or available than before, or fewer are old.
fn has_moved(before: &Value, after: &Value) -> bool {
    let of = |status: &Value, field: &str| status[field].as_i64().unwrap_or(0);
    let old = |status: &Value| of(status, "replicas") - of(status, "updatedReplicas");
    ["updatedReplicas", "readyReplicas", "availableReplicas"]
        .iter()
        .any(|field| of(after, field) > of(before, field))
        || old(after) < old(before)
}

/// Takes over why `ReplicaSets` cannot create pods.
fn failures(status: &mut Value, sets: &[Set], now: Timestamp) {
    let found = |set: &Set| {
        list(&set.object, "/status/conditions")
            .iter()
            .find(|known| known["type"] == "ReplicaFailure")
            .cloned()
    };
    let new = sets.iter().filter(|set| set.is_new).find_map(found);
    let mut holder = json!({"status": {"conditions": status["conditions"]}});
    if let Some(failure) = new.or_else(|| sets.iter().find_map(found)) {
        let told = (text(&failure, "/reason"), text(&failure, "/message"));
        put(&mut holder, "ReplicaFailure", text(&failure, "/status"), told, now);
    } else if let Some(conditions) = holder["status"]["conditions"].as_array_mut() {
        conditions.retain(|known| known["type"] != "ReplicaFailure");
    }
    status["conditions"] = holder["status"]["conditions"].take();
}
