//! What differs between kinds in how they are written, in Kubernetes' registries: rows of tables.

use serde_json::Value;
use serde_json::json;

use super::super::kinds::Kind;

/// Built-in kinds that have `metadata.generation`. All custom kinds have it.
const WITH_GENERATION: [&str; 24] = [
    "mutatingadmissionpolicies.admissionregistration.k8s.io",
    "mutatingadmissionpolicybindings.admissionregistration.k8s.io",
    "mutatingwebhookconfigurations.admissionregistration.k8s.io",
    "validatingadmissionpolicies.admissionregistration.k8s.io",
    "validatingadmissionpolicybindings.admissionregistration.k8s.io",
    "validatingwebhookconfigurations.admissionregistration.k8s.io",
    "customresourcedefinitions.apiextensions.k8s.io",
    "daemonsets.apps",
    "deployments.apps",
    "replicasets.apps",
    "statefulsets.apps",
    "horizontalpodautoscalers.autoscaling",
    "cronjobs.batch",
    "jobs.batch",
    "pods",
    "podtemplates",
    "replicationcontrollers",
    "endpointslices.discovery.k8s.io",
    "flowschemas.flowcontrol.apiserver.k8s.io",
    "ingresses.networking.k8s.io",
    "ingressclasses.networking.k8s.io",
    "networkpolicies.networking.k8s.io",
    "poddisruptionbudgets.policy",
    "priorityclasses.scheduling.k8s.io",
];

/// Whether objects count the changes of what is asked for.
pub(super) fn has_generation(kind: &Kind) -> bool {
    kind.custom.is_some() || WITH_GENERATION.contains(&&*kind.resource)
}

/// Whether an update of an object that is not there creates it.
pub(super) fn creates_on_update(kind: &Kind) -> bool {
    let named = ["leases.coordination.k8s.io", "endpoints", "events", "limitranges", "services"];
    kind.gvk.group == "rbac.authorization.k8s.io"
        || named.contains(&&*kind.resource)
        || &*kind.resource == "runtimeclasses.node.k8s.io"
}

/// Whether an update may leave out `metadata.resourceVersion`.
pub(super) fn updates_unconditionally(kind: &Kind) -> bool {
    const NOT: [&str; 13] = [
        "runtimeclasses.node.k8s.io",
        "poddisruptionbudgets.policy",
        "csidrivers.storage.k8s.io",
        "csistoragecapacities.storage.k8s.io",
        "volumeattachments.storage.k8s.io",
        "csinodes.storage.k8s.io",
        "leases.coordination.k8s.io",
        "leasecandidates.coordination.k8s.io",
        "apiservices.apiregistration.k8s.io",
        "customresourcedefinitions.apiextensions.k8s.io",
        "clustertrustbundles.certificates.k8s.io",
        "podcertificaterequests.certificates.k8s.io",
        "storageversionmigrations.storagemigration.k8s.io",
    ];
    kind.custom.is_none()
        && kind.gvk.group != "admissionregistration.k8s.io"
        && !NOT.contains(&&*kind.resource)
}

/// Whether a deletion that is complete answers the object rather than a `Status`.
pub(crate) fn deletion_answers_object(kind: &Kind) -> bool {
    const YES: [&str; 14] = [
        "csidrivers.storage.k8s.io",
        "storageclasses.storage.k8s.io",
        "volumeattachments.storage.k8s.io",
        "csinodes.storage.k8s.io",
        "volumeattributesclasses.storage.k8s.io",
        "resourcequotas",
        "persistentvolumes",
        "serviceaccounts",
        "persistentvolumeclaims",
        "namespaces",
        "pods",
        "services",
        "podtemplates",
        "deviceclasses.resource.k8s.io",
    ];
    YES.contains(&&*kind.resource)
}

/// The status that a new object has, whatever its writer sent. Nothing, if the kind has none.
pub(super) fn first_status(kind: &Kind) -> Option<Value> {
    if !kind.has("status") || kind.custom.is_some() {
        return None;
    }
    Some(match &*kind.resource {
        "namespaces" => json!({"phase": "Active"}),
        "pods" => json!({"phase": "Pending"}),
        "persistentvolumeclaims" | "persistentvolumes" => json!({"phase": "Pending"}),
        "services" | "ingresses.networking.k8s.io" => json!({"loadBalancer": {}}),
        "replicasets.apps" | "replicationcontrollers" => json!({"replicas": 0}),
        "statefulsets.apps" => json!({"replicas": 0, "availableReplicas": 0}),
        "daemonsets.apps" => json!({
            "currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0,
        }),
        "horizontalpodautoscalers.autoscaling" => json!({"desiredReplicas": 0, "currentMetrics": null}),
        "poddisruptionbudgets.policy" => json!({
            "disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0,
        }),
        "customresourcedefinitions.apiextensions.k8s.io" => json!({
            "conditions": null, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": null,
        }),
        _ => json!({}),
    })
}

/// Whether a change of the annotations counts as a change of what is asked for.
pub(super) fn counts_annotations(kind: &Kind) -> bool {
    &*kind.resource == "deployments.apps"
}
