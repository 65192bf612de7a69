//! `DaemonSets`: one pod on each node.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::act::{Act, Deletion, MANAGER, Plan};
use super::fields::{
    Round, annotation, compact, count, has_all, holds, is_leaving, label, list, name, scaled, text,
};
use super::replica_set::{is_over, pod_of, until_available};
use super::revision;

const SOURCE: &str = "daemonset-controller";

/// Decides what a `DaemonSet` needs.
pub(super) fn plan(
    set: &Value,
    pods: &[Value],
    revisions: &[Value],
    nodes: &[Value],
    now: Timestamp,
) -> Plan {
    let live: Vec<_> = pods.iter().map(|pod| label(pod, revision::LABEL)).collect();
    let update = revision::current(set, revisions, revision::LABEL, &live);
    let selector = &set["spec"]["template"]["spec"]["nodeSelector"];
    let nodes: Vec<_> = nodes.iter().filter(|node| has_all(selector, &node["metadata"]["labels"])).collect();
    let is_new = |pod: &Value| label(pod, revision::LABEL) == update.hash;
    let mut plan = Plan::nothing();
    let mut status = Status::default();
    let rolling = text(set, "/spec/updateStrategy/type") != "OnDelete";
    let allowed = &set["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"];
    let desired = i64::try_from(nodes.len()).unwrap_or(i64::MAX);
    let mut spare = scaled(allowed, desired, Round::Up).unwrap_or(1).max(1);
    if !is_leaving(set) {
        plan.acts = update.acts;
    }
    for node in &nodes {
        let Some(pod) = pods.iter().find(|pod| on(pod) == name(node)) else {
            spare -= 1;
            if !is_leaving(set) {
                plan.push(Act::Create(pod_for(set, node, &update.hash)));
            }
            continue;
        };
        status.current += 1;
        let ready = holds(pod, "Ready") && !is_leaving(pod);
        status.ready += i64::from(ready);
        status.updated += i64::from(is_new(pod));
        match until_available(pod, count(set, "/spec/minReadySeconds"), now).filter(|_| ready) {
            Some(delay) if delay.is_zero() => status.available += 1,
            Some(delay) => plan.after(delay),
            None => spare -= 1,
        }
        if is_leaving(set) || is_leaving(pod) {
            continue;
        }
        let replace = rolling && !is_new(pod) && (spare > 0 || !ready);
        if replace || is_over(pod) {
            spare -= i64::from(ready);
            plan.push(Act::Delete(pod.clone(), Deletion::Plain));
            plan.push(Act::normal(set, SOURCE, "SuccessfulDelete", format!("Deleted pod: {}", name(pod))));
        }
    }
    let stray = pods.iter().filter(|pod| !nodes.iter().any(|node| name(node) == on(pod)));
    let mut misscheduled = 0;
    for pod in stray {
        misscheduled += 1;
        if !is_leaving(pod) && !is_leaving(set) {
            plan.push(Act::Delete(pod.clone(), Deletion::Plain));
        }
    }
    let all = json!({
        "currentNumberScheduled": status.current, "numberMisscheduled": misscheduled,
        "desiredNumberScheduled": desired, "numberReady": status.ready,
        "observedGeneration": set["metadata"]["generation"], "updatedNumberScheduled": status.updated,
        "numberAvailable": status.available, "numberUnavailable": desired - status.available,
        "collisionCount": set["status"]["collisionCount"], "conditions": set["status"]["conditions"],
    });
    let keep = ["currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady"];
    plan.status(MANAGER, set, compact(all, &keep));
    plan
}

#[derive(Default)]
struct Status {
    current: i64,
    ready: i64,
    updated: i64,
    available: i64,
}

/// The node that a pod is on, or is meant for.
fn on(pod: &Value) -> &str {
    let bound = text(pod, "/spec/nodeName");
    if bound.is_empty() { meant_for(pod).unwrap_or_default() } else { bound }
}

/// The node that the affinity of a `DaemonSet`'s pod names.
pub(super) fn meant_for(pod: &Value) -> Option<&str> {
    const TERMS: &str =
        "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
    let field = list(pod, TERMS).first()?["matchFields"].get(0)?;
    (field["key"] == "metadata.name").then(|| field["values"][0].as_str())?
}

fn pod_for(set: &Value, node: &Value, hash: &str) -> Value {
    let mut pod = pod_of(set, &set["spec"]["template"]);
    pod["metadata"]["labels"][revision::LABEL] = hash.into();
    let generation = match annotation(set, "deprecated.daemonset.template.generation") {
        "" => count(set, "/metadata/generation").to_string(),
        known => known.to_owned(),
    };
    pod["metadata"]["labels"]["pod-template-generation"] = generation.into();
    let field = json!({"key": "metadata.name", "operator": "In", "values": [name(node)]});
    pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] =
        json!({"nodeSelectorTerms": [{"matchFields": [field]}]});
    let mut tolerations = list(&pod, "/spec/tolerations").to_vec();
    let ills = [
        ("not-ready", "NoExecute"),
        ("unreachable", "NoExecute"),
        ("disk-pressure", "NoSchedule"),
        ("memory-pressure", "NoSchedule"),
        ("pid-pressure", "NoSchedule"),
        ("unschedulable", "NoSchedule"),
    ];
    tolerations.extend(ills.map(|(ill, effect)| {
        json!({"key": format!("node.kubernetes.io/{ill}"), "operator": "Exists", "effect": effect})
    }));
    pod["spec"]["tolerations"] = tolerations.into();
    pod
}
