//! Health of a pod: of its phase, and of containers that the kubelet keeps restarting.

use serde_json::Value;

use super::{Health, holds, text};

pub(super) fn pod(object: &Value) -> Health {
    let status = &object["status"];
    // Kubernetes defaults the policy to Always.
    let restarts = matches!(text(&object["spec"]["restartPolicy"]), "Always" | "");
    if restarts && let Some(message) = failing(status) {
        return Health::degraded(message);
    }
    match text(&status["phase"]) {
        "Succeeded" => Health::healthy(),
        "Failed" => Health::degraded(failure(status)),
        "Running" if restarts => running(object),
        "Pending" | "Running" => Health::progressing(text(&status["message"])),
        phase => Health::unknown(format!("phase `{phase}`")),
    }
}

fn statuses<'a>(status: &'a Value, field: &str) -> &'a [Value] {
    status[field].as_array().map_or(&[], Vec::as_slice)
}

/// Says what main containers wait for that will not come by itself.
fn failing(status: &Value) -> Option<String> {
    let hopeless = |container: &&Value| {
        let reason = text(&container["state"]["waiting"]["reason"]);
        reason.starts_with("Err") || reason.ends_with("Error") || reason.ends_with("BackOff")
    };
    let describe = |container: &Value| {
        let waiting = &container["state"]["waiting"];
        let message = text(&waiting["message"]);
        if message.is_empty() { text(&waiting["reason"]).to_owned() } else { message.to_owned() }
    };
    let messages: Vec<_> =
        statuses(status, "containerStatuses").iter().filter(hopeless).map(describe).collect();
    (!messages.is_empty()).then(|| messages.join(", "))
}

fn running(object: &Value) -> Health {
    if holds(object, "Ready").is_some() {
        return Health::healthy();
    }
    let restarted = |container: &Value| container["lastState"]["terminated"].is_object();
    match statuses(&object["status"], "containerStatuses").iter().find(|container| restarted(container)) {
        Some(container) => {
            Health::degraded(format!("container `{}` was restarted", text(&container["name"])))
        }
        None => Health::progressing("not all containers are ready"),
    }
}

/// Says why a pod failed: its own message, or that of its first container that failed.
fn failure(status: &Value) -> String {
    if !text(&status["message"]).is_empty() {
        return text(&status["message"]).into();
    }
    let mut all =
        statuses(status, "initContainerStatuses").iter().chain(statuses(status, "containerStatuses"));
    all.find_map(terminated).unwrap_or_default()
}

fn terminated(container: &Value) -> Option<String> {
    let end = container["state"]["terminated"].as_object()?;
    let (message, reason) = (end.get("message").map_or("", text), end.get("reason").map_or("", text));
    let code = end.get("exitCode").map_or(0, super::count);
    match (message, reason) {
        ("", "OOMKilled") => {
            Some(format!("container `{}` ran out of memory (OOMKilled)", text(&container["name"])))
        }
        ("", _) if code == 0 => None,
        ("", _) => Some(format!("container `{}` failed with exit code {code}", text(&container["name"]))),
        (message, _) if code != 0 || reason == "OOMKilled" => Some(message.into()),
        _ => None,
    }
}
