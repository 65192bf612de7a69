//! Health of the kinds that keep pods running: a rollout is over when all pods are of the latest template
//! and available.

use serde_json::Value;

use super::{Health, HealthCode, conditions, count, holds, is_unobserved, text};

const UNOBSERVED: &str = "waiting for the controller to see the latest change";

pub(super) fn deployment(object: &Value) -> Health {
    let (spec, status) = (&object["spec"], &object["status"]);
    if spec["paused"] == true {
        return Health::new(HealthCode::Suspended, "the rollout is paused");
    }
    if is_unobserved(object) {
        return Health::progressing(UNOBSERVED);
    }
    if let Some(message) = deadline_exceeded(object) {
        return Health::degraded(message);
    }
    let [replicas, updated, available] =
        ["replicas", "updatedReplicas", "availableReplicas"].map(|name| count(&status[name]));
    let wanted = spec["replicas"].as_i64().unwrap_or(1);
    if updated < wanted {
        return Health::progressing(format!("{updated} of {wanted} pods are updated"));
    }
    if replicas > updated {
        return Health::progressing(format!("{} old pods are still to go", replicas - updated));
    }
    if available < updated {
        return Health::progressing(format!("{available} of {updated} updated pods are available"));
    }
    Health::healthy()
}

fn deadline_exceeded(object: &Value) -> Option<String> {
    let stuck = |condition: &&Value| {
        condition["type"] == "Progressing" && condition["reason"] == "ProgressDeadlineExceeded"
    };
    let condition = conditions(object).iter().find(stuck)?;
    Some(format!("the rollout made no progress within its deadline: {}", text(&condition["message"])))
}

pub(super) fn stateful_set(object: &Value) -> Health {
    let (spec, status) = (&object["spec"], &object["status"]);
    if count(&status["observedGeneration"]) == 0 || is_unobserved(object) {
        return Health::progressing(UNOBSERVED);
    }
    let wanted = spec["replicas"].as_i64().unwrap_or(1);
    let [ready, updated] = ["readyReplicas", "updatedReplicas"].map(|name| count(&status[name]));
    if ready < wanted {
        return Health::progressing(format!("{ready} of {wanted} pods are ready"));
    }
    let strategy = &spec["updateStrategy"];
    if strategy["type"] == "OnDelete" {
        return Health::healthy();
    }
    let partition = count(&strategy["rollingUpdate"]["partition"]);
    if partition > 0 {
        let due = (wanted - partition).max(0);
        return if updated < due {
            Health::progressing(format!("{updated} of {due} pods beyond the partition are updated"))
        } else {
            Health::healthy()
        };
    }
    if status["updateRevision"] != status["currentRevision"] {
        return Health::progressing(format!("{updated} of {wanted} pods are updated"));
    }
    Health::healthy()
}

pub(super) fn daemon_set(object: &Value) -> Health {
    let status = &object["status"];
    if is_unobserved(object) {
        return Health::progressing(UNOBSERVED);
    }
    if object["spec"]["updateStrategy"]["type"] == "OnDelete" {
        return Health::healthy();
    }
    let [wanted, updated, available] =
        ["desiredNumberScheduled", "updatedNumberScheduled", "numberAvailable"]
            .map(|name| count(&status[name]));
    if updated < wanted {
        return Health::progressing(format!("{updated} of {wanted} pods are updated"));
    }
    if available < wanted {
        return Health::progressing(format!("{available} of {wanted} pods are available"));
    }
    Health::healthy()
}

pub(super) fn replica_set(object: &Value) -> Health {
    if is_unobserved(object) {
        return Health::progressing(UNOBSERVED);
    }
    if let Some(failure) = holds(object, "ReplicaFailure") {
        return Health::degraded(text(&failure["message"]));
    }
    let wanted = object["spec"]["replicas"].as_i64().unwrap_or(1);
    let available = count(&object["status"]["availableReplicas"]);
    if available < wanted {
        return Health::progressing(format!("{available} of {wanted} pods are available"));
    }
    Health::healthy()
}
