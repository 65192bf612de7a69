//! Namespaces: what each one starts with, and how it ends: everything in it goes first.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::act::{Act, Deletion, MANAGER, Plan};
use super::fields::{is_leaving, list, name, put_condition, stamp};

const FINALIZER: &str = "kubernetes";
const DESCRIPTION: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal \
    endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across \
    distributions of Kubernetes clusters.";

/// What a namespace that is going away still holds elsewhere: in aggregated APIs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Elsewhere {
    /// It is not known yet.
    Unknown,
    /// Objects by group resource (`applications.gitops`); nothing, if it is empty.
    Remaining(BTreeMap<String, usize>),
    /// An API could not be asked: why.
    Failed(String),
}

/// Decides what a namespace that stays needs.
pub(super) fn equip(namespace: &Value, account: bool, authority: Option<&Value>, ca: &str) -> Plan {
    let mut plan = Plan::nothing();
    if !account {
        plan.push(Act::Create(json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": name(namespace)},
        })));
    }
    match authority {
        None => plan.push(Act::Create(json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {
                "name": "kube-root-ca.crt", "namespace": name(namespace),
                "annotations": {"kubernetes.io/description": DESCRIPTION},
            },
            "data": {"ca.crt": ca},
        }))),
        Some(known) if known["data"]["ca.crt"] != ca && !is_leaving(known) => {
            let mut known = known.clone();
            known["data"] = json!({"ca.crt": ca});
            plan.push(Act::Update(known));
        }
        Some(_) => {}
    }
    plan
}

/// Decides the next step of a namespace that is going away. `contents` are the objects in it by group
/// resource.
pub(super) fn empty(
    namespace: &Value,
    contents: &BTreeMap<String, Vec<Value>>,
    elsewhere: &Elsewhere,
    now: Timestamp,
) -> Plan {
    if !list(namespace, "/spec/finalizers").iter().any(|finalizer| finalizer == FINALIZER) {
        return Plan::nothing();
    }
    let mut plan = Plan::nothing();
    let staying = contents.values().flatten().filter(|object| !is_leaving(object));
    plan.acts.extend(staying.map(|object| Act::Delete(object.clone(), Deletion::Propagate("Background"))));
    let counted = contents.iter().map(|(resource, objects)| (resource.clone(), objects.len()));
    let mut counts: BTreeMap<String, usize> = counted.filter(|(_, count)| *count > 0).collect();
    if let Elsewhere::Remaining(more) = elsewhere {
        counts.extend(more.clone());
    }
    let is_known = matches!(elsewhere, Elsewhere::Remaining(_));
    if counts.is_empty() && is_known {
        let mut namespace = namespace.clone();
        namespace["spec"]["finalizers"] =
            list(&namespace, "/spec/finalizers").iter().filter(|it| *it != FINALIZER).cloned().collect();
        plan.push(Act::Finalize(namespace));
        return plan;
    }
    let is_waiting =
        plan.acts.is_empty() && (!counts.is_empty() || matches!(elsewhere, Elsewhere::Failed(_)));
    if is_waiting {
        let mut status = namespace["status"].clone();
        status["conditions"] = conditions(namespace, contents, &counts, elsewhere, now).into();
        plan.status(MANAGER, namespace, status);
        // Objects here wake their namespace when they go; others do not.
        plan.after(Duration::from_secs(1));
    }
    plan
}

fn conditions(
    namespace: &Value,
    contents: &BTreeMap<String, Vec<Value>>,
    counts: &BTreeMap<String, usize>,
    elsewhere: &Elsewhere,
    now: Timestamp,
) -> Vec<Value> {
    let discovery = match elsewhere {
        Elsewhere::Failed(why) => Some(("DiscoveryFailed", why.clone())),
        Elsewhere::Unknown | Elsewhere::Remaining(_) => None,
    };
    let told = counts.iter().map(|(resource, count)| {
        // As kube-controller-manager words it, with a dot even where there is no group.
        let dot = if resource.contains('.') { "" } else { "." };
        format!("{resource}{dot} has {count} resource instances")
    });
    let told = told.collect::<Vec<_>>().join(", ");
    let remaining = (!counts.is_empty())
        .then(|| ("SomeResourcesRemain", format!("Some resources are remaining: {told}")));
    let mut finalizers: BTreeMap<&str, usize> = BTreeMap::new();
    for finalizer in contents.values().flatten().flat_map(|object| list(object, "/metadata/finalizers")) {
        *finalizers.entry(finalizer.as_str().unwrap_or_default()).or_default() += 1;
    }
    let told =
        finalizers.iter().map(|(finalizer, count)| format!("{finalizer} in {count} resource instances"));
    let told = told.collect::<Vec<_>>().join(", ");
    let held = (!finalizers.is_empty()).then(|| {
        ("SomeFinalizersRemain", format!("Some content in the namespace has finalizers remaining: {told}"))
    });
    let all = [
        (
            "NamespaceDeletionDiscoveryFailure",
            discovery,
            "ResourcesDiscovered",
            "All resources successfully discovered",
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            None,
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        (
            "NamespaceDeletionContentFailure",
            None,
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        ("NamespaceContentRemaining", remaining, "ContentRemoved", "All content successfully removed"),
        (
            "NamespaceFinalizersRemaining",
            held,
            "ContentHasNoFinalizers",
            "All content-preserving finalizers finished",
        ),
    ];
    let mut conditions = list(namespace, "/status/conditions").to_vec();
    for (kind, bad, good_reason, good_message) in all {
        let status = if bad.is_some() { "True" } else { "False" };
        let (reason, message) = bad.unwrap_or((good_reason, good_message.into()));
        put_condition(
            &mut conditions,
            json!({"type": kind, "status": status, "lastTransitionTime": stamp(now),
                "reason": reason, "message": message}),
        );
    }
    conditions
}
