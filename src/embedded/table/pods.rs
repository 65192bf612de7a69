//! What state a Pod is in, in a word.

use jiff::Timestamp;
use serde_json::Value;

use super::{Row, at, human, list};

/// The containers that have ended and begun anew.
#[derive(Default)]
struct Restarts {
    count: i64,
    last: Option<Timestamp>,
}

impl Restarts {
    fn add(&mut self, container: &Value) {
        self.count += container["restartCount"].as_i64().unwrap_or_default();
        let ended = at(container, "lastState.terminated.finishedAt").as_str();
        self.last = self.last.max(ended.and_then(|time| time.parse().ok()));
    }
}

pub(super) fn cells(pod: &Row<'_>) -> Vec<Value> {
    let mut state = State::of(pod);
    if !state.initializing || condition(pod, "Initialized") == Some("True") {
        state.run(pod);
    }
    if !pod.at("metadata.deletionTimestamp").is_null() {
        if pod.text("status.reason") == "NodeLost" {
            state.reason = "Unknown".into();
        } else if !["Succeeded", "Failed"].contains(&pod.text("status.phase")) {
            state.reason = "Terminating".into();
        }
    }
    let restarts = match state.restarts {
        Restarts { count, last: Some(last) } if count != 0 => {
            format!("{count} ({} ago)", human(pod.now.duration_since(last)))
        }
        Restarts { count, .. } => count.to_string(),
    };
    vec![
        pod.name().into(),
        format!("{}/{}", state.ready, state.total).into(),
        state.reason.into(),
        restarts.into(),
        pod.age().into(),
        pod.list("status.podIPs").first().and_then(|ip| ip["ip"].as_str()).unwrap_or("<none>").into(),
        pod.text_or("spec.nodeName", "<none>").into(),
        pod.text_or("status.nominatedNodeName", "<none>").into(),
        gates(pod).into(),
    ]
}

struct State {
    reason: String,
    ready: usize,
    total: usize,
    initializing: bool,
    restarts: Restarts,
    /// Those of init containers that stay.
    sidecars: Restarts,
}

impl State {
    /// Before the containers are looked at: how far the init containers are.
    fn of(pod: &Row<'_>) -> Self {
        let init = pod.list("spec.initContainers");
        let stays = |name: &Value| {
            init.iter().any(|container| container["name"] == *name && container["restartPolicy"] == "Always")
        };
        let mut state = Self {
            reason: pod.text_or("status.reason", pod.text("status.phase")).to_owned(),
            ready: 0,
            total: pod.list("spec.containers").len()
                + init.iter().filter(|container| stays(&container["name"])).count(),
            initializing: false,
            restarts: Restarts::default(),
            sidecars: Restarts::default(),
        };
        let gated = |condition: &&Value| {
            condition["type"] == "PodScheduled" && condition["reason"] == "SchedulingGated"
        };
        if pod.list("status.conditions").iter().any(|condition| gated(&condition)) {
            state.reason = "SchedulingGated".into();
        }
        for (index, container) in pod.list("status.initContainerStatuses").iter().enumerate() {
            state.restarts.add(container);
            let stays = stays(&container["name"]);
            if stays {
                state.sidecars.add(container);
            }
            let ended = at(container, "state.terminated");
            if ended["exitCode"] == 0 {
                continue;
            }
            if stays && container["started"] == true {
                state.ready += usize::from(container["ready"] == true);
                continue;
            }
            let waiting = at(container, "state.waiting.reason").as_str().unwrap_or_default();
            state.initializing = true;
            state.reason = if !ended.is_null() {
                format!("Init:{}", end(ended))
            } else if !["", "PodInitializing"].contains(&waiting) {
                format!("Init:{waiting}")
            } else {
                format!("Init:{index}/{}", init.len())
            };
            break;
        }
        state
    }

    /// What the containers say.
    fn run(&mut self, pod: &Row<'_>) {
        self.restarts = std::mem::take(&mut self.sidecars);
        let (mut running, mut failed) = (false, None);
        for container in pod.list("status.containerStatuses").iter().rev() {
            self.restarts.add(container);
            let ended = at(container, "state.terminated");
            if let Some(reason) =
                at(container, "state.waiting.reason").as_str().filter(|reason| !reason.is_empty())
            {
                reason.clone_into(&mut self.reason);
            } else if !ended.is_null() {
                self.reason = end(ended);
                if ended["exitCode"].as_i64().unwrap_or_default() != 0 {
                    failed = Some(self.reason.clone());
                }
            } else if container["ready"] == true && !at(container, "state.running").is_null() {
                running = true;
                self.ready += 1;
            }
        }
        if self.reason == "Completed" {
            if running && condition(pod, "Ready") == Some("True") {
                self.reason = "Running".into();
            } else if let Some(failed) = failed {
                self.reason = failed;
            } else if running {
                self.reason = "NotReady".into();
            }
        }
    }
}

/// How a container ended.
fn end(ended: &Value) -> String {
    match ended["reason"].as_str().unwrap_or_default() {
        "" => match ended["signal"].as_i64().unwrap_or_default() {
            0 => format!("ExitCode:{}", ended["exitCode"].as_i64().unwrap_or_default()),
            signal => format!("Signal:{signal}"),
        },
        reason => reason.to_owned(),
    }
}

fn condition<'a>(pod: &Row<'a>, name: &str) -> Option<&'a str> {
    let condition = pod.list("status.conditions").iter().find(|condition| condition["type"] == name);
    condition.and_then(|condition| condition["status"].as_str())
}

fn gates(pod: &Row<'_>) -> String {
    let gates = list(pod.at("spec.readinessGates"));
    if gates.is_empty() {
        return "<none>".into();
    }
    let open = gates.iter().filter(|gate| {
        let name = gate["conditionType"].as_str().unwrap_or_default();
        condition(pod, name) == Some("True")
    });
    format!("{}/{}", open.count(), gates.len())
}
