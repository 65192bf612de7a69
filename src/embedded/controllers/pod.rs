//! Pods: a scheduler that knows one rule for nodes, and a kubelet without containers. Images do nothing,
//! except that one that ends in `:fail` ends with exit code 1 whenever it is started.
//!
//! Pods that are not restarted (`Never`, `OnFailure`) run to their end by themselves, whoever made them.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::act::{Act, Deletion, KUBELET, Plan};
use super::daemon_set::meant_for;
use super::fields::{has_all, is_leaving, list, name, namespace, put_condition, stamp, text, time, uid};
use super::replica_set::is_over;

/// What a pod is among.
pub(super) struct Around<'a> {
    /// The nodes.
    pub nodes: &'a [Value],
    /// The claims of its namespace.
    pub claims: &'a [Value],
    /// The address it gets if it needs one.
    pub address: &'a str,
    /// What its containers need and cannot have, as the kubelet words it: a `ConfigMap` that is not there.
    pub missing: Option<String>,
}

/// How fast things go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tempo {
    /// How long it is since the pod's last step, as far as is known.
    pub waited: Duration,
    /// How long a step takes.
    pub pace: Duration,
    /// How long a container that failed waits at first.
    pub backoff: Duration,
}

/// Decides the next step of a pod.
pub(super) fn plan(pod: &Value, around: &Around<'_>, tempo: Tempo, now: Timestamp) -> Plan {
    if is_leaving(pod) {
        return paced(tempo, || Plan::of(vec![Act::Delete(pod.clone(), Deletion::Now)]));
    }
    if text(pod, "/spec/nodeName").is_empty() {
        return schedule(pod, around, now);
    }
    match text(pod, "/status/phase") {
        "Succeeded" | "Failed" => Plan::nothing(),
        _ if is_crashing(pod) => retry(pod, tempo, now),
        "Running" => run(pod, tempo, now),
        _ => paced(tempo, || start(pod, around, tempo.backoff, now)),
    }
}

fn paced(tempo: Tempo, step: impl FnOnce() -> Plan) -> Plan {
    let left = tempo.pace.saturating_sub(tempo.waited);
    if left.is_zero() { step() } else { Plan { acts: Vec::new(), again: Some(left) } }
}

fn schedule(pod: &Value, around: &Around<'_>, now: Timestamp) -> Plan {
    let mut plan = Plan::nothing();
    match place(pod, around) {
        Ok(node) => {
            plan.push(Act::Bind(pod.clone(), node.to_owned()));
            let message = format!("Successfully assigned {}/{} to {node}", namespace(pod), name(pod));
            plan.push(Act::normal(pod, "default-scheduler", "Scheduled", message));
        }
        Err(why) => {
            let mut conditions = list(pod, "/status/conditions").to_vec();
            let told = json!({
                "type": "PodScheduled", "status": "False", "lastProbeTime": null, "lastTransitionTime": stamp(now),
                "reason": "Unschedulable", "message": why, "observedGeneration": pod["metadata"]["generation"],
            });
            put_condition(&mut conditions, told);
            let mut status = pod["status"].clone();
            status["conditions"] = conditions.into();
            if pod["status"] != status {
                plan.status("kube-scheduler", pod, status);
                plan.push(Act::warning(pod, "default-scheduler", "FailedScheduling", why));
            }
        }
    }
    plan
}

/// Finds a node, or says why there is none.
fn place<'a>(pod: &Value, around: &Around<'a>) -> Result<&'a str, String> {
    let total = around.nodes.len();
    let volumes = list(pod, "/spec/volumes").iter().map(|it| text(it, "/persistentVolumeClaim/claimName"));
    for wanted in volumes.filter(|claim| !claim.is_empty()) {
        let claim = around.claims.iter().find(|claim| name(claim) == wanted && !is_leaving(claim));
        let Some(claim) = claim else {
            return Err(format!(
                "0/{total} nodes are available: persistentvolumeclaim {wanted:?} not found. not found"
            ));
        };
        if text(claim, "/status/phase") != "Bound" {
            return Err(format!(
                "0/{total} nodes are available: pod has unbound immediate PersistentVolumeClaims. not found"
            ));
        }
    }
    let fits = |node: &&Value| {
        has_all(&pod["spec"]["nodeSelector"], &node["metadata"]["labels"])
            && node["spec"]["unschedulable"] != true
            && meant_for(pod).is_none_or(|meant| meant == name(node))
    };
    around.nodes.iter().find(fits).map(name).ok_or_else(|| {
        format!(
            "0/{total} nodes are available: {total} node(s) didn't match Pod's node affinity/selector. preemption: \
             0/{total} nodes are available: {total} Preemption is not helpful for scheduling."
        )
    })
}

fn fails(container: &Value) -> bool {
    text(container, "/image").ends_with(":fail")
}

fn is_restarted(pod: &Value) -> bool {
    text(pod, "/spec/restartPolicy") != "Never"
}

/// Starts the containers.
fn start(pod: &Value, around: &Around<'_>, backoff: Duration, now: Timestamp) -> Plan {
    let mut status = base(pod, around.address, now);
    if let Some(missing) = &around.missing {
        return hold_back(pod, status, missing, now);
    }
    let inits = list(pod, "/spec/initContainers");
    let failing = inits.iter().position(fails);
    let done = |at: usize| failing.is_none_or(|failing| at < failing);
    let told = inits.iter().enumerate().map(|(at, container)| match () {
        () if text(container, "/restartPolicy") == "Always" && done(at) => running(container, now),
        () if done(at) => with_ready(ended(container, 0, now)),
        () if failing == Some(at) && is_restarted(pod) => crashed(pod, container, 1, backoff, now),
        () if failing == Some(at) => ended(container, 1, now),
        () => waiting(container, "PodInitializing", ""),
    });
    let told: Vec<_> = told.collect();
    if !told.is_empty() {
        status["initContainerStatuses"] = told.into();
    }
    let main = list(pod, "/spec/containers");
    let fail = main.iter().any(fails);
    let (phase, told): (_, Vec<_>) = if failing.is_some() {
        let phase = if is_restarted(pod) { "Pending" } else { "Failed" };
        (phase, main.iter().map(|container| waiting(container, "PodInitializing", "")).collect())
    } else if fail && !is_restarted(pod) {
        ("Failed", main.iter().map(|container| ended(container, i64::from(fails(container)), now)).collect())
    } else {
        let of = |container: &Value| {
            if fails(container) { crashed(pod, container, 1, backoff, now) } else { running(container, now) }
        };
        ("Running", main.iter().map(of).collect())
    };
    let ready = phase == "Running" && !fail;
    status["containerStatuses"] = told.into();
    status["phase"] = phase.into();
    conditions(&mut status, pod, (failing.is_none(), ready), now);
    let mut plan = Plan::nothing();
    if pod["status"] != status {
        plan.status(KUBELET, pod, status);
        tell_failure(&mut plan, pod, main.iter().chain(inits).find(|container| fails(container)));
    }
    plan
}

/// Something that the containers need is not there.
fn hold_back(pod: &Value, mut status: Value, missing: &str, now: Timestamp) -> Plan {
    let of = |container: &Value| waiting(container, "CreateContainerConfigError", missing);
    status["containerStatuses"] = list(pod, "/spec/containers").iter().map(of).collect();
    status["phase"] = "Pending".into();
    conditions(&mut status, pod, (true, false), now);
    let mut plan = Plan::nothing();
    if pod["status"] != status {
        plan.status(KUBELET, pod, status);
        plan.push(Act::warning(pod, "kubelet", "Failed", format!("Error: {missing}")));
    }
    plan
}

fn tell_failure(plan: &mut Plan, pod: &Value, failing: Option<&Value>) {
    if let Some(container) = failing.filter(|_| is_restarted(pod)) {
        let message = format!(
            "Back-off restarting failed container {} in pod {}_{}({})",
            name_of(container),
            name(pod),
            namespace(pod),
            uid(pod)
        );
        plan.push(Act::warning(pod, "kubelet", "BackOff", message));
    }
}

/// Whether containers wait to be started again.
fn is_crashing(pod: &Value) -> bool {
    let all = list(pod, "/status/initContainerStatuses").iter().chain(list(pod, "/status/containerStatuses"));
    all.into_iter().any(waits_to_restart)
}

fn waits_to_restart(told: &Value) -> bool {
    text(told, "/state/waiting/reason") == "CrashLoopBackOff"
}

/// Tries failing containers again when their time has come.
fn retry(pod: &Value, tempo: Tempo, now: Timestamp) -> Plan {
    let mut plan = Plan::nothing();
    let mut status = pod["status"].clone();
    for (kind, field) in
        [("/spec/initContainers", "initContainerStatuses"), ("/spec/containers", "containerStatuses")]
    {
        for told in status[field].as_array_mut().into_iter().flatten().filter(|told| waits_to_restart(told)) {
            let Some(container) = list(pod, kind).iter().find(|it| it["name"] == told["name"]) else {
                continue;
            };
            let restarts = told["restartCount"].as_i64().unwrap_or_default().max(1);
            let since = time(told, "/lastState/terminated/finishedAt").unwrap_or(now);
            let passed = Duration::try_from(now.duration_since(since)).unwrap_or_default();
            let left = wait_after(restarts, tempo.backoff).saturating_sub(passed);
            if !fails(container) {
                // Its image was changed.
                let init = field == "initContainerStatuses";
                *told = if init { with_ready(ended(container, 0, now)) } else { running(container, now) };
            } else if left.is_zero() {
                *told = crashed(pod, container, restarts + 1, tempo.backoff, now);
                plan.after(wait_after(restarts + 1, tempo.backoff));
            } else {
                plan.after(left);
            }
        }
    }
    if status["phase"] == "Running" {
        let ready = list(&status, "/containerStatuses").iter().all(|told| told["ready"] == true);
        conditions(&mut status, pod, (true, ready), now);
    }
    plan.status(KUBELET, pod, status);
    plan
}

/// A running pod ends, if it is of those that end.
fn run(pod: &Value, tempo: Tempo, now: Timestamp) -> Plan {
    let ends = matches!(text(pod, "/spec/restartPolicy"), "Never" | "OnFailure");
    if ends { paced(tempo, || succeed(pod, now)) } else { Plan::nothing() }
}

fn succeed(pod: &Value, now: Timestamp) -> Plan {
    let mut status = pod["status"].clone();
    let started = |container: &Value| {
        let known =
            list(pod, "/status/containerStatuses").iter().find(|told| told["name"] == container["name"]);
        known.map(|told| told["state"]["running"]["startedAt"].clone()).filter(Value::is_string)
    };
    let of = |container: &Value| {
        let mut told = ended(container, 0, now);
        if let Some(started) = started(container) {
            told["state"]["terminated"]["startedAt"] = started;
        }
        told
    };
    status["containerStatuses"] = list(pod, "/spec/containers").iter().map(of).collect();
    status["phase"] = "Succeeded".into();
    let mut conditions = list(pod, "/status/conditions").to_vec();
    for kind in ["Initialized", "Ready", "ContainersReady"] {
        let status = if kind == "Initialized" { "True" } else { "False" };
        put_condition(
            &mut conditions,
            json!({"type": kind, "status": status, "lastProbeTime": null, "lastTransitionTime": stamp(now),
                "reason": "PodCompleted", "observedGeneration": pod["metadata"]["generation"]}),
        );
    }
    status["conditions"] = conditions.into();
    let mut plan = Plan::nothing();
    plan.status(KUBELET, pod, status);
    plan
}

/// What the status of a pod on a node says anyway.
fn base(pod: &Value, address: &str, now: Timestamp) -> Value {
    let mut status = pod["status"].clone();
    if status["startTime"].is_null() {
        status["startTime"] = stamp(now);
    }
    let host = HOST;
    status["hostIP"] = host.into();
    status["hostIPs"] = json!([{"ip": host}]);
    if text(pod, "/status/podIP").is_empty() {
        let address = if pod["spec"]["hostNetwork"] == true { host } else { address };
        status["podIP"] = address.into();
        status["podIPs"] = json!([{"ip": address}]);
    }
    if status["qosClass"].is_null() {
        status["qosClass"] = quality(pod).into();
    }
    status["observedGeneration"] = pod["metadata"]["generation"].clone();
    status
}

/// The address of the node.
pub(super) const HOST: &str = "10.0.0.1";

fn conditions(status: &mut Value, pod: &Value, (initialized, ready): (bool, bool), now: Timestamp) {
    let unready = |path: &str| {
        let told = list(status, path).iter().filter(|told| told["ready"] != true);
        format!("[{}]", told.map(name_of).collect::<Vec<_>>().join(" "))
    };
    let (incomplete, unready) = (unready("/initContainerStatuses"), unready("/containerStatuses"));
    let is_over = status["phase"] == "Failed";
    let why = |good: bool, reason: &str, message: String| {
        if good { (Value::Null, Value::Null) } else { (Value::from(reason), Value::from(message)) }
    };
    let not_ready = || {
        if is_over {
            why(false, "PodFailed", String::new())
        } else {
            why(ready, "ContainersNotReady", format!("containers with unready status: {unready}"))
        }
    };
    let incomplete = format!("containers with incomplete status: {incomplete}");
    let all = [
        ("PodReadyToStartContainers", true, (Value::Null, Value::Null)),
        ("Initialized", initialized, why(initialized, "ContainersNotInitialized", incomplete)),
        ("Ready", ready, not_ready()),
        ("ContainersReady", ready, not_ready()),
        ("PodScheduled", true, (Value::Null, Value::Null)),
    ];
    let mut known = list(status, "/conditions").to_vec();
    for (kind, good, (reason, message)) in all {
        if kind == "PodScheduled" && known.iter().any(|it| it["type"] == kind && it["status"] == "True") {
            continue;
        }
        let mut new = json!({
            "type": kind, "status": if good { "True" } else { "False" }, "lastProbeTime": null,
            "lastTransitionTime": stamp(now), "reason": reason, "message": message,
            "observedGeneration": pod["metadata"]["generation"],
        });
        if let Some(new) = new.as_object_mut() {
            new.retain(|key, value| key == "lastProbeTime" || (!value.is_null() && value != ""));
        }
        put_condition(&mut known, new);
    }
    status["conditions"] = known.into();
}

fn name_of(container: &Value) -> &str {
    text(container, "/name")
}

fn told(container: &Value, state: &Value, (ready, started, restarts): (bool, bool, i64)) -> Value {
    json!({
        "name": container["name"], "image": container["image"], "imageID": "", "ready": ready, "started": started,
        "restartCount": restarts, "state": state, "lastState": {},
    })
}

fn running(container: &Value, now: Timestamp) -> Value {
    told(container, &json!({"running": {"startedAt": stamp(now)}}), (true, true, 0))
}

fn waiting(container: &Value, reason: &str, message: &str) -> Value {
    let mut state = json!({"waiting": {"reason": reason}});
    if !message.is_empty() {
        state["waiting"]["message"] = message.into();
    }
    told(container, &state, (false, false, 0))
}

fn terminated(code: i64, now: Timestamp) -> Value {
    let reason = if code == 0 { "Completed" } else { "Error" };
    json!({"terminated": {"exitCode": code, "reason": reason, "startedAt": stamp(now), "finishedAt": stamp(now)}})
}

fn ended(container: &Value, code: i64, now: Timestamp) -> Value {
    told(container, &terminated(code, now), (false, false, 0))
}

/// An init container that is done counts as ready.
fn with_ready(mut told: Value) -> Value {
    told["ready"] = true.into();
    told
}

/// A container that has failed and waits to be started again.
fn crashed(pod: &Value, container: &Value, restarts: i64, backoff: Duration, now: Timestamp) -> Value {
    let message = format!(
        "back-off {} restarting failed container={} pod={}_{}({})",
        minutes(wait_after(restarts, backoff)),
        name_of(container),
        name(pod),
        namespace(pod),
        uid(pod)
    );
    let state = json!({"waiting": {"reason": "CrashLoopBackOff", "message": message}});
    let mut told = told(container, &state, (false, false, restarts));
    told["lastState"] = terminated(1, now);
    told
}

/// How long a container waits that was started so many times: longer each time, five minutes at most.
fn wait_after(restarts: i64, backoff: Duration) -> Duration {
    let doublings = u32::try_from(restarts - 1).unwrap_or_default().min(16);
    backoff.saturating_mul(1 << doublings).min(Duration::from_mins(5))
}

/// A duration as Go writes it: `10s`, `1m20s`.
fn minutes(duration: Duration) -> String {
    match (duration.as_secs() / 60, duration.as_secs() % 60) {
        (0, seconds) => format!("{seconds}s"),
        (minutes, seconds) => format!("{minutes}m{seconds}s"),
    }
}

/// The quality of service that requests and limits make.
fn quality(pod: &Value) -> &'static str {
    let all: Vec<_> = list(pod, "/spec/containers").iter().chain(list(pod, "/spec/initContainers")).collect();
    let of = |container: &Value, kind: &str, resource: &str| container["resources"][kind][resource].clone();
    let is_empty = |container: &&Value| {
        ["requests", "limits"]
            .iter()
            .all(|kind| ["cpu", "memory"].iter().all(|r| of(container, kind, r).is_null()))
    };
    let is_full = |container: &&Value| {
        ["cpu", "memory"].iter().all(|resource| {
            let (request, limit) = (of(container, "requests", resource), of(container, "limits", resource));
            !limit.is_null() && (request.is_null() || request == limit)
        })
    };
    match () {
        () if all.iter().all(is_empty) => "BestEffort",
        () if all.iter().all(is_full) => "Guaranteed",
        () => "Burstable",
    }
}

/// `ConfigMaps` and Secrets that must be there before containers can start: kind and name.
pub(super) fn needs(pod: &Value) -> Vec<(&'static str, String)> {
    let mut needs = Vec::new();
    let mut need = |kind: &'static str, source: &Value, field: &str| {
        if source.is_object() && source["optional"] != true && source[field].is_string() {
            needs.push((kind, text(source, &format!("/{field}")).to_owned()));
        }
    };
    for container in list(pod, "/spec/initContainers").iter().chain(list(pod, "/spec/containers")) {
        for source in list(container, "/envFrom") {
            need("configmap", &source["configMapRef"], "name");
            need("secret", &source["secretRef"], "name");
        }
        for variable in list(container, "/env") {
            need("configmap", &variable["valueFrom"]["configMapKeyRef"], "name");
            need("secret", &variable["valueFrom"]["secretKeyRef"], "name");
        }
    }
    for volume in list(pod, "/spec/volumes") {
        need("configmap", &volume["configMap"], "name");
        need("secret", &volume["secret"], "secretName");
        for source in
            list(volume, "/projected/sources").iter().filter(|_| text(volume, "/name") != "kube-api-access")
        {
            need("configmap", &source["configMap"], "name");
            need("secret", &source["secret"], "name");
        }
    }
    needs
}

/// Whether a pod waits for something that may come.
pub(super) fn is_waiting(pod: &Value) -> bool {
    !is_over(pod) && text(pod, "/status/phase") != "Running"
}
