//! `StatefulSets`: pods with names that stay, one after the other, each with its own volumes.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::act::{Act, Deletion, MANAGER, Plan};
use super::fields::{
    compact, controller_reference, count, count_or, holds, is_leaving, label, list, name, namespace, text,
};
use super::replica_set::{is_over, pod_of, until_available};
use super::revision;

const SOURCE: &str = "statefulset-controller";

/// What a `StatefulSet` consists of.
pub(super) struct Parts<'a> {
    /// Its pods.
    pub pods: &'a [Value],
    /// Its `ControllerRevisions`.
    pub revisions: &'a [Value],
    /// Names of the claims in its namespace.
    pub claims: &'a [String],
}

/// Decides what a `StatefulSet` needs.
pub(super) fn plan(set: &Value, parts: &Parts<'_>, now: Timestamp) -> Plan {
    let live: Vec<_> = parts.pods.iter().map(|pod| label(pod, revision::LABEL)).collect();
    let mut live = live;
    live.push(text(set, "/status/currentRevision"));
    let update = revision::current(set, parts.revisions, revision::STATEFUL, &live);
    let known = text(set, "/status/currentRevision");
    let is_known = parts.revisions.iter().any(|it| name(it) == known);
    let current = if is_known { known.to_owned() } else { update.name.clone() };
    let mut plan = Plan::nothing();
    let this = Set { object: set, parts, current: &current, update: &update.name };
    if !is_leaving(set) {
        plan.acts = update.acts;
        this.step(&mut plan);
    }
    this.status(&mut plan, now);
    plan
}

struct Set<'a> {
    object: &'a Value,
    parts: &'a Parts<'a>,
    current: &'a str,
    update: &'a str,
}

impl Set<'_> {
    fn wanted(&self) -> std::ops::Range<i64> {
        let start = count(self.object, "/spec/ordinals/start");
        start..start + count_or(self.object, "/spec/replicas", 1)
    }

    fn is_rolling(&self) -> bool {
        text(self.object, "/spec/updateStrategy/type") != "OnDelete"
    }

    /// Pods below this ordinal keep the revision they have.
    fn partition(&self) -> i64 {
        self.wanted().start + count(self.object, "/spec/updateStrategy/rollingUpdate/partition")
    }

    fn ordinal(&self, pod: &Value) -> Option<i64> {
        name(pod).strip_prefix(name(self.object))?.strip_prefix('-')?.parse().ok()
    }

    fn pod(&self, ordinal: i64) -> Option<&Value> {
        self.parts.pods.iter().find(|pod| self.ordinal(pod) == Some(ordinal))
    }

    /// One step towards what is wanted: in order, unless pods are managed in parallel.
    fn step(&self, plan: &mut Plan) {
        let parallel = text(self.object, "/spec/podManagementPolicy") == "Parallel";
        for ordinal in self.wanted() {
            let Some(pod) = self.pod(ordinal) else {
                self.create(plan, ordinal);
                if parallel {
                    continue;
                }
                return;
            };
            if is_over(pod) && !is_leaving(pod) {
                self.delete(plan, pod);
            }
            if !parallel && !is_healthy(pod) {
                return;
            }
        }
        let mut surplus: Vec<_> = self
            .parts
            .pods
            .iter()
            .filter(|pod| self.ordinal(pod).is_some_and(|it| !self.wanted().contains(&it)))
            .collect();
        surplus.sort_by_key(|pod| std::cmp::Reverse(self.ordinal(pod)));
        for pod in surplus {
            if !is_leaving(pod) {
                self.delete(plan, pod);
            }
            if !parallel {
                return;
            }
        }
        if self.is_rolling() {
            self.roll(plan);
        }
    }

    /// Replaces the last pod that has not the revision of the template, once all after it work.
    fn roll(&self, plan: &mut Plan) {
        for ordinal in self.wanted().rev().take_while(|ordinal| *ordinal >= self.partition()) {
            let Some(pod) = self.pod(ordinal) else { return };
            if label(pod, revision::LABEL) != self.update && !is_leaving(pod) {
                return self.delete(plan, pod);
            }
            if !is_healthy(pod) {
                return;
            }
        }
    }

    fn create(&self, plan: &mut Plan, ordinal: i64) {
        let set = self.object;
        let named = format!("{}-{ordinal}", name(set));
        let keeps = self.is_rolling() && ordinal < self.partition();
        let revision = if keeps { self.current } else { self.update };
        let template = revision::template(self.parts.revisions, revision)
            .filter(|_| keeps)
            .unwrap_or_else(|| set["spec"]["template"].clone());
        let mut pod = pod_of(set, &template);
        pod["metadata"]["name"] = named.clone().into();
        let labels = &mut pod["metadata"]["labels"];
        labels["apps.kubernetes.io/pod-index"] = ordinal.to_string().into();
        labels["controller-revision-hash"] = revision.into();
        labels["statefulset.kubernetes.io/pod-name"] = named.clone().into();
        pod["spec"]["hostname"] = named.clone().into();
        if !text(set, "/spec/serviceName").is_empty() {
            pod["spec"]["subdomain"] = set["spec"]["serviceName"].clone();
        }
        for claim in list(set, "/spec/volumeClaimTemplates") {
            self.claim(plan, &mut pod, claim, &named);
        }
        plan.push(Act::Create(pod));
        let message = format!("Create Pod {named} in StatefulSet {} successful", name(set));
        plan.push(Act::normal(set, SOURCE, "SuccessfulCreate", message));
    }

    fn claim(&self, plan: &mut Plan, pod: &mut Value, template: &Value, pod_name: &str) {
        let claim_name = format!("{}-{pod_name}", name(template));
        let volume = json!({"name": name(template), "persistentVolumeClaim": {"claimName": claim_name}});
        let volumes = pod["spec"]["volumes"].take();
        let mut volumes = volumes.as_array().cloned().unwrap_or_default();
        volumes.retain(|known| known["name"] != template["metadata"]["name"]);
        volumes.push(volume);
        pod["spec"]["volumes"] = volumes.into();
        if self.parts.claims.contains(&claim_name) {
            return;
        }
        let mut metadata = template["metadata"].clone();
        metadata["name"] = claim_name.clone().into();
        metadata["namespace"] = namespace(self.object).into();
        for (key, value) in self.object["spec"]["selector"]["matchLabels"].as_object().into_iter().flatten() {
            metadata["labels"][key] = value.clone();
        }
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.retain(|_, value| !value.is_null());
        }
        if text(self.object, "/spec/persistentVolumeClaimRetentionPolicy/whenDeleted") == "Delete" {
            let mut owner = controller_reference(self.object);
            owner["controller"] = true.into();
            metadata["ownerReferences"] = json!([owner]);
        }
        plan.push(Act::Create(json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": template["spec"],
        })));
        let message =
            format!("Create Claim {claim_name} Pod {pod_name} in StatefulSet {} success", name(self.object));
        plan.push(Act::normal(self.object, SOURCE, "SuccessfulCreate", message));
    }

    fn delete(&self, plan: &mut Plan, pod: &Value) {
        plan.push(Act::Delete(pod.clone(), Deletion::Plain));
        let message = format!("Delete Pod {} in StatefulSet {} successful", name(pod), name(self.object));
        plan.push(Act::normal(self.object, SOURCE, "SuccessfulDelete", message));
    }

    fn status(&self, plan: &mut Plan, now: Timestamp) {
        let set = self.object;
        let pods = self.parts.pods;
        let min_ready = count(set, "/spec/minReadySeconds");
        let mut available = 0;
        for pod in pods.iter().filter(|pod| is_healthy(pod)) {
            match until_available(pod, min_ready, now) {
                Some(delay) if delay.is_zero() => available += 1,
                Some(delay) => plan.after(delay),
                None => {}
            }
        }
        let of = |revision: &str| {
            pods.iter().filter(|pod| !is_leaving(pod) && label(pod, revision::LABEL) == revision).count()
        };
        let ready =
            pods.iter().filter(|pod| text(pod, "/status/phase") == "Running" && holds(pod, "Ready")).count();
        let (mut current, mut current_replicas, updated) = (self.current, of(self.current), of(self.update));
        let wanted = usize::try_from(count_or(set, "/spec/replicas", 1)).unwrap_or_default();
        if self.is_rolling() && [updated, ready, pods.len()] == [wanted; 3] {
            (current, current_replicas) = (self.update, updated);
        }
        let status = json!({
            "observedGeneration": set["metadata"]["generation"], "replicas": pods.len(), "readyReplicas": ready,
            "currentReplicas": current_replicas, "updatedReplicas": updated, "currentRevision": current,
            "updateRevision": self.update, "collisionCount": count(set, "/status/collisionCount"),
            "availableReplicas": available, "conditions": set["status"]["conditions"],
        });
        plan.status(MANAGER, set, compact(status, &["replicas", "availableReplicas", "collisionCount"]));
    }
}

fn is_healthy(pod: &Value) -> bool {
    text(pod, "/status/phase") == "Running" && holds(pod, "Ready") && !is_leaving(pod)
}
