//! Claims for storage get a volume: one that is there and fits, or one that is made for the storage class.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::act::{Act, Deletion, MANAGER, Plan};
use super::fields::{
    annotation, has_finalizer, is_leaving, list, name, namespace, stamp, text, uid, with_finalizer,
    without_finalizer,
};
use super::replica_set::is_over;

const SOURCE: &str = "persistentvolume-controller";
const IN_USE: &str = "kubernetes.io/pvc-protection";
const IN_USE_VOLUME: &str = "kubernetes.io/pv-protection";
/// The provisioner that is played here.
pub(super) const PROVISIONER: &str = "embedded.gitops/volumes";

/// Decides what a claim needs. `pods` are those of its namespace.
pub(super) fn claim(
    claim: &Value,
    volumes: &[Value],
    classes: &[Value],
    pods: &[Value],
    now: Timestamp,
) -> Plan {
    if is_leaving(claim) {
        let uses = |pod: &Value| {
            let named = |it: &Value| it["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"];
            !is_over(pod) && list(pod, "/spec/volumes").iter().any(named)
        };
        let is_free = has_finalizer(claim, IN_USE) && !pods.iter().any(uses);
        return Plan::of(
            is_free.then(|| Act::Update(without_finalizer(claim, IN_USE))).into_iter().collect(),
        );
    }
    if !has_finalizer(claim, IN_USE) {
        return Plan::of(vec![Act::Update(with_finalizer(claim, IN_USE))]);
    }
    let bound = text(claim, "/spec/volumeName");
    if let Some(volume) = volumes.iter().find(|volume| name(volume) == bound) {
        return bind(claim, volume, now);
    }
    if !bound.is_empty() {
        let mut plan = Plan::nothing();
        let phase = if text(claim, "/status/phase") == "Bound" { "Lost" } else { "Pending" };
        plan.status(MANAGER, claim, with_phase(claim, phase));
        return plan;
    }
    let class = class_of(claim, classes);
    if let Some(volume) = volumes.iter().find(|volume| fits(volume, claim, class.map_or("", name))) {
        return bind(claim, volume, now);
    }
    match class {
        Some(class) => provision(claim, class),
        None => wait(claim),
    }
}

fn class_of<'a>(claim: &Value, classes: &'a [Value]) -> Option<&'a Value> {
    match claim["spec"]["storageClassName"].as_str() {
        Some(wanted) => classes.iter().find(|class| name(class) == wanted),
        None => classes
            .iter()
            .find(|class| annotation(class, "storageclass.kubernetes.io/is-default-class") == "true"),
    }
}

fn fits(volume: &Value, claim: &Value, class: &str) -> bool {
    let meant = text(volume, "/spec/claimRef/name");
    let is_meant = meant == name(claim) && text(volume, "/spec/claimRef/namespace") == namespace(claim);
    let holder = text(volume, "/spec/claimRef/uid");
    let modes = list(volume, "/spec/accessModes");
    !is_leaving(volume)
        && text(volume, "/spec/storageClassName") == class
        && (meant.is_empty() || is_meant)
        && (holder.is_empty() || holder == uid(claim))
        && list(claim, "/spec/accessModes").iter().all(|mode| modes.contains(mode))
        && bytes(&volume["spec"]["capacity"]["storage"])
            >= bytes(&claim["spec"]["resources"]["requests"]["storage"])
}

/// A quantity as a number of bytes, roughly.
fn bytes(quantity: &Value) -> f64 {
    let Some(text) = quantity.as_str() else { return quantity.as_f64().unwrap_or_default() };
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "Ki" => 1024_f64,
        "Mi" => 1024_f64.powi(2),
        "Gi" => 1024_f64.powi(3),
        "Ti" => 1024_f64.powi(4),
        "Pi" => 1024_f64.powi(5),
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "m" => 1e-3,
        _ => 1.0,
    };
    digits.parse::<f64>().unwrap_or_default() * unit
}

fn wait(claim: &Value) -> Plan {
    let mut plan = Plan::nothing();
    if text(claim, "/status/phase") != "Pending" {
        plan.status(MANAGER, claim, with_phase(claim, "Pending"));
        let class = text(claim, "/spec/storageClassName");
        let (reason, message) = if class.is_empty() {
            let message = "no persistent volumes available for this claim and no storage class is set";
            ("FailedBinding", message.to_owned())
        } else {
            ("ProvisioningFailed", format!("storageclass.storage.k8s.io {class:?} not found"))
        };
        plan.push(Act::warning(claim, SOURCE, reason, message));
    }
    plan
}

fn with_phase(claim: &Value, phase: &str) -> Value {
    let mut status = claim["status"].clone();
    status["phase"] = phase.into();
    status
}

fn reference(claim: &Value) -> Value {
    json!({
        "kind": "PersistentVolumeClaim", "namespace": namespace(claim), "name": name(claim), "uid": uid(claim),
        "apiVersion": "v1", "resourceVersion": claim["metadata"]["resourceVersion"],
    })
}

fn provision(claim: &Value, class: &Value) -> Plan {
    let named = format!("pvc-{}", uid(claim));
    let reclaim = class["reclaimPolicy"].as_str().unwrap_or("Delete");
    let volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {
            "name": named, "annotations": {"pv.kubernetes.io/provisioned-by": class["provisioner"]},
            "finalizers": [IN_USE_VOLUME],
        },
        "spec": {
            "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
            "accessModes": claim["spec"]["accessModes"], "claimRef": reference(claim),
            "persistentVolumeReclaimPolicy": reclaim, "storageClassName": name(class),
            "volumeMode": claim["spec"]["volumeMode"].as_str().unwrap_or("Filesystem"),
            "hostPath": {"path": format!("/var/lib/embedded/{named}"), "type": "DirectoryOrCreate"},
        },
    });
    let message = format!("Successfully provisioned volume {named}");
    Plan::of(vec![Act::Create(volume), Act::normal(claim, SOURCE, "ProvisioningSucceeded", message)])
}

/// Volume and claim name each other: first the volume the claim, then the claim the volume, then both say so.
fn bind(claim: &Value, volume: &Value, now: Timestamp) -> Plan {
    let mut plan = Plan::nothing();
    if text(volume, "/spec/claimRef/uid") != uid(claim) {
        let mut volume = volume.clone();
        volume["spec"]["claimRef"] = reference(claim);
        volume["metadata"]["annotations"]["pv.kubernetes.io/bound-by-controller"] = "yes".into();
        plan.push(Act::Update(volume));
        return plan;
    }
    if text(volume, "/status/phase") != "Bound" {
        plan.status(MANAGER, volume, json!({"phase": "Bound", "lastPhaseTransitionTime": stamp(now)}));
    }
    if text(claim, "/spec/volumeName") != name(volume) {
        let mut claim = claim.clone();
        claim["spec"]["volumeName"] = name(volume).into();
        if claim["spec"]["storageClassName"].is_null() {
            claim["spec"]["storageClassName"] = volume["spec"]["storageClassName"].clone();
        }
        for (key, value) in bound_annotations(volume) {
            claim["metadata"]["annotations"][key] = value.into();
        }
        plan.push(Act::Update(claim));
        return plan;
    }
    let mut status = claim["status"].clone();
    status["phase"] = "Bound".into();
    status["accessModes"] = volume["spec"]["accessModes"].clone();
    status["capacity"] = volume["spec"]["capacity"].clone();
    plan.status(MANAGER, claim, status);
    plan
}

fn bound_annotations(volume: &Value) -> Vec<(&'static str, &str)> {
    let mut all =
        vec![("pv.kubernetes.io/bind-completed", "yes"), ("pv.kubernetes.io/bound-by-controller", "yes")];
    let provisioner = annotation(volume, "pv.kubernetes.io/provisioned-by");
    if !provisioner.is_empty() {
        all.push(("volume.kubernetes.io/storage-provisioner", provisioner));
    }
    all
}

/// Decides what a volume needs. `claim` is the one it is bound to.
pub(super) fn volume(volume: &Value, claim: Option<&Value>, now: Timestamp) -> Plan {
    let is_held = claim.is_some_and(|claim| uid(claim) == text(volume, "/spec/claimRef/uid"));
    if is_leaving(volume) {
        let is_free = has_finalizer(volume, IN_USE_VOLUME) && !is_held;
        return Plan::of(
            is_free.then(|| Act::Update(without_finalizer(volume, IN_USE_VOLUME))).into_iter().collect(),
        );
    }
    if !has_finalizer(volume, IN_USE_VOLUME) {
        return Plan::of(vec![Act::Update(with_finalizer(volume, IN_USE_VOLUME))]);
    }
    let mut plan = Plan::nothing();
    let phase = match text(volume, "/spec/claimRef/uid") {
        "" => "Available",
        _ if is_held => "Bound",
        _ if text(volume, "/spec/persistentVolumeReclaimPolicy") == "Delete" => {
            plan.push(Act::Delete(volume.clone(), Deletion::Plain));
            return plan;
        }
        _ => "Released",
    };
    if text(volume, "/status/phase") != phase {
        plan.status(MANAGER, volume, json!({"phase": phase, "lastPhaseTransitionTime": stamp(now)}));
    }
    plan
}
