//! Deployments: one `ReplicaSet` for each template, scaled up and down so that enough pods stay available.

mod progress;
mod scale;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::act::{Act, Deletion, Plan};
use super::fields::{
    annotation, controller_reference, count, count_or, hash, is_leaving, list, name, namespace,
    put_condition, stamp, text,
};
use super::replica_set::is_over;

const SOURCE: &str = "deployment-controller";
const REVISION: &str = "deployment.kubernetes.io/revision";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MAXIMUM: &str = "deployment.kubernetes.io/max-replicas";
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
const HASH: &str = "pod-template-hash";

/// A `ReplicaSet` of a Deployment, and how large it is to be.
#[derive(Debug)]
struct Set {
    object: Value,
    size: i64,
    is_new: bool,
    exists: bool,
}

impl Set {
    fn available(&self) -> i64 {
        count(&self.object, "/status/availableReplicas")
    }

    fn actual(&self) -> i64 {
        count(&self.object, "/status/replicas")
    }

    fn revision(&self) -> i64 {
        annotation(&self.object, REVISION).parse().unwrap_or_default()
    }
}

/// Decides what a Deployment needs. `sets` are its `ReplicaSets`, `pods` theirs.
pub(super) fn plan(deployment: &Value, sets: &[Value], pods: &[Value], now: Timestamp) -> Plan {
    let mut sets: Vec<_> = sets.iter().map(|set| known(deployment, set)).collect();
    sets.sort_by(|a, b| age(&a.object).cmp(&age(&b.object)));
    // Of several that fit the template, the oldest is the new one.
    let mut found = false;
    for set in &mut sets {
        let first = set.is_new && !found;
        found |= set.is_new;
        set.is_new = first;
    }
    let mut plan = Plan::nothing();
    if is_leaving(deployment) {
        progress::status(&mut plan, deployment, deployment.clone(), &sets, progress::Estimate::No, now);
        return plan;
    }
    let paused = deployment["spec"]["paused"] == true;
    let is_scaling = sets.iter().any(|set| {
        set.size > 0
            && annotation(&set.object, DESIRED)
                .parse::<i64>()
                .is_ok_and(|desired| desired != replicas(deployment))
    });
    let mut after = deployment.clone();
    if paused || is_scaling {
        adopt_revision(&mut after, &sets, now);
        scale::proportionally(deployment, &mut sets);
        if paused {
            pause(&mut after, now);
        } else {
            resume(&mut after, now);
        }
    } else {
        resume(&mut after, now);
        let recreate = text(deployment, "/spec/strategy/type") == "Recreate";
        if !recreate || !has_old_pods(&sets, pods) {
            add_new_set(&mut plan, &mut after, &mut sets, now);
        }
        adopt_revision(&mut after, &sets, now);
        if recreate {
            scale::recreate(deployment, &mut sets, pods);
        } else {
            scale::rolling(deployment, &mut sets);
        }
    }
    resize(&mut plan, deployment, &sets, paused || is_scaling);
    if !paused && progress::is_complete(deployment, &deployment["status"]) {
        clean_up(&mut plan, deployment, &sets);
    }
    let estimate = if paused || is_scaling { progress::Estimate::No } else { progress::Estimate::Yes };
    progress::status(&mut plan, deployment, after, &sets, estimate, now);
    plan
}

fn replicas(deployment: &Value) -> i64 {
    count_or(deployment, "/spec/replicas", 1)
}

fn age(set: &Value) -> (&str, &str) {
    (text(set, "/metadata/creationTimestamp"), name(set))
}

fn known(deployment: &Value, set: &Value) -> Set {
    let mut template = set["spec"]["template"].clone();
    if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
        labels.remove(HASH);
    }
    Set {
        size: count_or(set, "/spec/replicas", 1),
        is_new: same_template(&template, &deployment["spec"]["template"]),
        exists: true,
        object: set.clone(),
    }
}

/// Whether two templates mean the same: `creationTimestamp: null` and empty maps in metadata do not count.
fn same_template(one: &Value, other: &Value) -> bool {
    let bare = |template: &Value| {
        let metadata = template["metadata"].as_object().cloned().unwrap_or_default();
        let is_empty = |value: &Value| value.is_null() || value.as_object().is_some_and(Map::is_empty);
        metadata.into_iter().filter(|(_, value)| !is_empty(value)).collect::<Map<_, _>>()
    };
    one["spec"] == other["spec"] && bare(one) == bare(other)
}

fn has_old_pods(sets: &[Set], pods: &[Value]) -> bool {
    let new = sets.iter().find(|set| set.is_new).map(|set| &set.object["metadata"]["uid"]);
    let is_old = |pod: &Value| {
        super::fields::controller_of(pod).is_none_or(|owner| Some(&owner["uid"]) != new) && !is_over(pod)
    };
    sets.iter().any(|set| !set.is_new && set.actual() > 0) || pods.iter().any(is_old)
}

/// Makes the `ReplicaSet` for the template, unless there is one.
fn add_new_set(plan: &mut Plan, after: &mut Value, sets: &mut Vec<Set>, now: Timestamp) {
    if sets.iter().any(|set| set.is_new) {
        return;
    }
    let template = &after["spec"]["template"];
    let mut collisions = count(after, "/status/collisionCount");
    // A name that another template has is left to it.
    let (hash, named) = loop {
        let hash = hash(template, collisions);
        let named = format!("{}-{hash}", name(after));
        if !sets.iter().any(|set| name(&set.object) == named) {
            break (hash, named);
        }
        collisions += 1;
    };
    let mut template = template.clone();
    template["metadata"]["labels"][HASH] = hash.clone().into();
    let mut selector = after["spec"]["selector"].clone();
    selector["matchLabels"][HASH] = hash.into();
    let revision = sets.iter().map(Set::revision).max().unwrap_or_default() + 1;
    let mut annotations = inherited(after);
    annotations.insert(REVISION.into(), revision.to_string().into());
    let mut object = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {
            "name": named, "namespace": namespace(after), "labels": template["metadata"]["labels"],
            "annotations": annotations, "ownerReferences": [controller_reference(after)],
        },
        "spec": {"replicas": 0, "selector": selector, "template": template},
    });
    if count(after, "/spec/minReadySeconds") > 0 {
        object["spec"]["minReadySeconds"] = after["spec"]["minReadySeconds"].clone();
    }
    sets.push(Set { object, size: 0, is_new: true, exists: false });
    let size = scale::new_size(after, sets);
    let set = sets.last_mut().expect("it was just added");
    set.size = size;
    set.object["spec"]["replicas"] = size.into();
    annotate_size(&mut set.object, after);
    plan.push(Act::Create(set.object.clone()));
    if size > 0 {
        plan.push(scaled_event(after, &set.object, 0, size));
    }
    if progress::has_deadline(after) {
        let message = format!("Created new replica set {named:?}");
        put(after, "Progressing", "True", ("NewReplicaSetCreated", &message), now);
    }
}

/// Annotations of a Deployment that its `ReplicaSets` have as well.
fn inherited(deployment: &Value) -> Map<String, Value> {
    let skipped = |key: &str| {
        key == "kubectl.kubernetes.io/last-applied-configuration"
            || key == "deprecated.deployment.rollback.to"
            || [REVISION, DESIRED, MAXIMUM, HISTORY].contains(&key)
    };
    let all = deployment["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
    all.into_iter().filter(|(key, _)| !skipped(key)).collect()
}

/// Gives the Deployment the revision of its newest `ReplicaSet`.
fn adopt_revision(after: &mut Value, sets: &[Set], now: Timestamp) {
    let Some(new) = sets.iter().find(|set| set.is_new) else { return };
    let revision = revision_of_new(sets).to_string();
    if annotation(after, REVISION) != revision {
        after["metadata"]["annotations"][REVISION] = revision.into();
    }
    if progress::has_deadline(after) && progress::find(after, "Progressing").is_none() {
        let message = format!("Found new replica set {:?}", name(&new.object));
        put(after, "Progressing", "True", ("FoundNewReplicaSet", &message), now);
    }
}

/// The revision that the new `ReplicaSet` must have: above all others.
fn revision_of_new(sets: &[Set]) -> i64 {
    let others = sets.iter().filter(|set| !set.is_new).map(Set::revision).max().unwrap_or_default();
    sets.iter().find(|set| set.is_new).map_or(0, Set::revision).max(others + 1)
}

/// Writes sizes and annotations that differ from what the `ReplicaSets` have.
fn resize(plan: &mut Plan, deployment: &Value, sets: &[Set], force: bool) {
    for set in sets.iter().filter(|set| set.exists) {
        let mut object = set.object.clone();
        let before = count_or(&object, "/spec/replicas", 1);
        if before != set.size || (force && set.size > 0) || set.is_new {
            annotate_size(&mut object, deployment);
        }
        object["spec"]["replicas"] = set.size.into();
        if set.is_new {
            follow(&mut object, deployment, revision_of_new(sets));
        }
        if object != set.object {
            plan.push(Act::Update(object));
        }
        if before != set.size {
            plan.push(scaled_event(deployment, &set.object, before, set.size));
        }
    }
}

/// Keeps what the new `ReplicaSet` has from its Deployment up to date.
fn follow(set: &mut Value, deployment: &Value, revision: i64) {
    for (key, value) in inherited(deployment) {
        set["metadata"]["annotations"][key] = value;
    }
    let old = annotation(set, REVISION).to_owned();
    if old.parse::<i64>().unwrap_or_default() < revision {
        set["metadata"]["annotations"][REVISION] = revision.to_string().into();
        if !old.is_empty() {
            let history = annotation(set, HISTORY);
            let history = if history.is_empty() { old } else { format!("{history},{old}") };
            set["metadata"]["annotations"][HISTORY] = history.into();
        }
    }
    let seconds = count(deployment, "/spec/minReadySeconds");
    if count(set, "/spec/minReadySeconds") != seconds {
        set["spec"]["minReadySeconds"] = seconds.into();
    }
}

fn annotate_size(set: &mut Value, deployment: &Value) {
    let wanted = replicas(deployment);
    set["metadata"]["annotations"][DESIRED] = wanted.to_string().into();
    set["metadata"]["annotations"][MAXIMUM] = (wanted + scale::max_surge(deployment)).to_string().into();
}

fn scaled_event(deployment: &Value, set: &Value, from: i64, to: i64) -> Act {
    let way = if from < to { "up" } else { "down" };
    let message = format!("Scaled {way} replica set {} from {from} to {to}", name(set));
    Act::normal(deployment, SOURCE, "ScalingReplicaSet", message)
}

/// Deletes old `ReplicaSets` beyond `revisionHistoryLimit`.
fn clean_up(plan: &mut Plan, deployment: &Value, sets: &[Set]) {
    let limit = count_or(deployment, "/spec/revisionHistoryLimit", 10);
    let mut old: Vec<_> = sets.iter().filter(|set| !set.is_new && !is_leaving(&set.object)).collect();
    old.sort_by_key(|set| set.revision());
    let surplus = old.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
    let is_empty = |set: &&&Set| {
        set.actual() == 0
            && set.size == 0
            && count_or(&set.object, "/spec/replicas", 1) == 0
            && count(&set.object, "/status/observedGeneration") >= count(&set.object, "/metadata/generation")
    };
    for set in old.iter().take(surplus).filter(is_empty) {
        plan.push(Act::Delete(set.object.clone(), Deletion::Plain));
    }
}

fn pause(after: &mut Value, now: Timestamp) {
    let progressing = progress::find(after, "Progressing").map(|known| text(known, "/reason").to_owned());
    let is_told = progressing
        .is_some_and(|reason| reason == "DeploymentPaused" || reason == "ProgressDeadlineExceeded");
    if progress::has_deadline(after) && !is_told {
        put(after, "Progressing", "Unknown", ("DeploymentPaused", "Deployment is paused"), now);
    }
}

fn resume(after: &mut Value, now: Timestamp) {
    let paused =
        progress::find(after, "Progressing").is_some_and(|known| known["reason"] == "DeploymentPaused");
    if paused {
        put(after, "Progressing", "Unknown", ("DeploymentResumed", "Deployment is resumed"), now);
    }
}

/// Sets a condition as kube-controller-manager does: not if status and reason are the same, otherwise at
/// the end of the list.
fn put(after: &mut Value, kind: &str, status: &str, (reason, message): (&str, &str), now: Timestamp) {
    let mut conditions = list(after, "/status/conditions").to_vec();
    let mut new = json!({
        "type": kind, "status": status, "lastUpdateTime": stamp(now), "lastTransitionTime": stamp(now),
        "reason": reason, "message": message,
    });
    if let Some(at) = conditions.iter().position(|old| old["type"] == kind) {
        if conditions[at]["status"] == status && conditions[at]["reason"] == reason {
            return;
        }
        let old = conditions.remove(at);
        if old["status"] == status {
            new["lastTransitionTime"] = old["lastTransitionTime"].clone();
        }
    }
    put_condition(&mut conditions, new);
    after["status"]["conditions"] = conditions.into();
}
