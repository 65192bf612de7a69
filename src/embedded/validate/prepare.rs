//! What kube-apiserver itself writes into objects before they are checked and stored: the strategies of its
//! registry. Clients do not set the status through the object itself, nor anything else through `status`.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::view::items;
use super::view::text;
use crate::embedded::kinds::Kind;

/// Kinds whose objects have a generation, besides custom ones.
const WITH_GENERATION: [&str; 25] = [
    "CronJob",
    "CustomResourceDefinition",
    "DaemonSet",
    "Deployment",
    "EndpointSlice",
    "FlowSchema",
    "HorizontalPodAutoscaler",
    "Ingress",
    "IngressClass",
    "Job",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
    "MutatingWebhookConfiguration",
    "NetworkPolicy",
    "Pod",
    "PodDisruptionBudget",
    "PodTemplate",
    "PriorityClass",
    "PriorityLevelConfiguration",
    "ReplicaSet",
    "ReplicationController",
    "StatefulSet",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
];

/// Kinds that must be updated with a resource version, besides custom ones.
const WITH_VERSION: [&str; 15] = [
    "APIService",
    "CSIDriver",
    "CSINode",
    "CSIStorageCapacity",
    "CustomResourceDefinition",
    "Lease",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
    "MutatingWebhookConfiguration",
    "PodDisruptionBudget",
    "RuntimeClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
    "VolumeAttachment",
];

/// Kinds whose objects are created by an update if they are not there.
const CREATED_ON_UPDATE: [&str; 10] = [
    "ClusterRole",
    "ClusterRoleBinding",
    "Endpoints",
    "Event",
    "Lease",
    "LimitRange",
    "Role",
    "RoleBinding",
    "RuntimeClass",
    "Service",
];

/// Says whether objects of a kind have a generation.
#[must_use]
pub fn has_generation(kind: &Kind) -> bool {
    kind.custom.is_some() || WITH_GENERATION.contains(&kind.gvk.kind.as_str())
}

/// Says whether updates of objects of a kind may leave out the resource version.
#[must_use]
pub fn allows_unconditional_update(kind: &Kind) -> bool {
    kind.custom.is_none() && !WITH_VERSION.contains(&kind.gvk.kind.as_str())
}

/// Says whether an update (`PUT`) of an object that is not there creates it. An apply always does.
#[must_use]
pub fn allows_create_on_update(kind: &Kind) -> bool {
    kind.custom.is_none() && CREATED_ON_UPDATE.contains(&kind.gvk.kind.as_str())
}

/// Says whether an update of an object itself calls for a new generation: something that is not metadata or status has changed.
#[must_use]
pub fn changes_generation(kind: &Kind, before: &Value, after: &Value) -> bool {
    let keeps_status = kind.custom.is_some() && !kind.has("status");
    let told = |name: &str| name != "metadata" && (name != "status" || keeps_status);
    let part = |object: &Value| -> Map<String, Value> {
        let fields = object.as_object().into_iter().flatten();
        fields.filter(|(name, _)| told(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    let annotated = kind.gvk.kind == "Deployment"
        && kind.custom.is_none()
        && before["metadata"]["annotations"] != after["metadata"]["annotations"];
    has_generation(kind) && (annotated || part(before) != part(after))
}

/// Prepares an object that is created, after its defaults are filled in and after it got name, uid and time.
pub fn prepare_for_create(kind: &Kind, object: &mut Value) {
    let Some(fields) = object.as_object_mut() else { return };
    if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
        for name in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"] {
            metadata.shift_remove(name);
        }
    }
    if kind.has("status") && (kind.custom.is_some() || kind.gvk.kind != "Node") {
        fields.shift_remove("status");
    }
    if kind.custom.is_some() {
        return;
    }
    match kind.gvk.kind.as_str() {
        "Job" => {
            // Labels that were taken over from the template share its fate.
            let labels = |object: &Value, from: &str| object.pointer(from).cloned().unwrap_or_default();
            let template = "/spec/template/metadata/labels";
            let shared = labels(object, "/metadata/labels") == labels(object, template);
            generate_selector(object);
            if shared {
                object["metadata"]["labels"] = labels(object, template);
            }
        }
        "Namespace" => {
            let finalizers = object["spec"]["finalizers"].as_array().cloned().unwrap_or_default();
            if !finalizers.iter().any(|finalizer| finalizer == "kubernetes") {
                let ours = [Value::from("kubernetes")];
                object["spec"]["finalizers"] = finalizers.into_iter().chain(ours).collect();
            }
        }
        "Pod" => prepare_pod(object),
        "Service" => addresses(object),
        "APIService" if object["spec"]["service"].is_null() => {
            object["status"] = json!({"conditions": [{
                "type": "Available", "status": "True", "lastTransitionTime": object["metadata"]["creationTimestamp"],
                "reason": "Local", "message": "Local APIServices are always available",
            }]});
        }
        "PersistentVolumeClaim" => {
            let spec = &mut object["spec"];
            if spec["dataSourceRef"].is_null() && spec["dataSource"].is_object() {
                spec["dataSourceRef"] = spec["dataSource"].clone();
            } else if spec["dataSource"].is_null()
                && spec["dataSourceRef"].is_object()
                && text(&spec["dataSourceRef"], "namespace").is_empty()
            {
                spec["dataSource"] = spec["dataSourceRef"].clone();
            }
        }
        "PersistentVolume" => {
            let time = object["metadata"]["creationTimestamp"].clone();
            object["status"] = json!({"phase": "Pending", "lastPhaseTransitionTime": time});
        }
        _ => {}
    }
    super::default(kind, object);
}

/// Writes what a new object has from the first, so that its creator owns it.
pub fn begin(kind: &Kind, object: &mut Value) {
    if &*kind.resource == "daemonsets.apps" {
        object["metadata"]["annotations"][TEMPLATE_GENERATION] = "1".into();
    }
}

const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

/// Prepares an object that replaces `before`. `subresource` is empty for the object itself.
pub fn prepare_for_update(kind: &Kind, object: &mut Value, before: &Value, subresource: &str) {
    take(&mut object["metadata"], &before["metadata"], &["creationTimestamp", "generation", "selfLink"]);
    if !before["metadata"]["deletionTimestamp"].is_null() {
        take(&mut object["metadata"], &before["metadata"], &["deletionTimestamp"]);
    }
    for name in ["uid", "deletionGracePeriodSeconds"] {
        if object["metadata"].get(name).is_none() {
            take(&mut object["metadata"], &before["metadata"], &[name]);
        }
    }
    match subresource {
        "status" => only_status(kind, object, before),
        "finalize" => {
            take(object, before, &["status"]);
        }
        "" => prepare_whole(kind, object, before),
        _ => {}
    }
}

fn prepare_whole(kind: &Kind, object: &mut Value, before: &Value) {
    if kind.has("status") {
        take(object, before, &["status"]);
    }
    if kind.custom.is_some() {
        return;
    }
    match kind.gvk.kind.as_str() {
        "Namespace" => {
            if let Some(finalizers) = before["spec"].get("finalizers") {
                object["spec"]["finalizers"] = finalizers.clone();
            }
        }
        "Service" => keep_allocated(object, before),
        "CustomResourceDefinition" => {
            let versions = items(&object["spec"], "versions").filter(|version| version["storage"] == true);
            let storage: Vec<_> = versions.map(|version| version["name"].clone()).collect();
            if let Some(stored) = object["status"]["storedVersions"].as_array_mut() {
                for version in storage {
                    if !stored.contains(&version) {
                        stored.push(version);
                    }
                }
            }
        }
        "DaemonSet" => {
            let old = &before["metadata"]["annotations"][TEMPLATE_GENERATION];
            let mut generation = old.as_str().and_then(|old| old.parse::<i64>().ok()).unwrap_or(1);
            generation += i64::from(object["spec"]["template"] != before["spec"]["template"]);
            object["metadata"]["annotations"][TEMPLATE_GENERATION] = generation.to_string().into();
        }
        _ => {}
    }
}

/// Takes fields from another version of an object, also if they are not there.
fn take(object: &mut Value, before: &Value, names: &[&str]) {
    let Some(object) = object.as_object_mut() else { return };
    for name in names {
        match before.get(*name) {
            Some(value) => {
                object.insert((*name).to_owned(), value.clone());
            }
            None => {
                object.shift_remove(*name);
            }
        }
    }
}

/// Undoes what an update of `status` must not change.
fn only_status(kind: &Kind, object: &mut Value, before: &Value) {
    let others: Vec<_> = object
        .as_object()
        .into_iter()
        .chain(before.as_object())
        .flat_map(Map::keys)
        .filter(|name| !["apiVersion", "kind", "metadata", "status"].contains(&name.as_str()))
        .cloned()
        .collect();
    take(object, before, &others.iter().map(String::as_str).collect::<Vec<_>>());
    let strict = kind.custom.is_some() || kind.gvk.kind == "CustomResourceDefinition";
    let fields: &[&str] = match kind.gvk.kind.as_str() {
        _ if strict => &["labels", "annotations", "finalizers", "ownerReferences", "generation"],
        "Deployment" => &["labels"],
        "Pod" => &["ownerReferences"],
        _ => &[],
    };
    take(&mut object["metadata"], &before["metadata"], fields);
}

/// Makes pods of a job its own, by labels with its uid.
fn generate_selector(job: &mut Value) {
    if job["spec"]["manualSelector"] == true {
        return;
    }
    let (name, uid) = (job["metadata"]["name"].clone(), job["metadata"]["uid"].clone());
    let labels = &mut job["spec"]["template"]["metadata"]["labels"];
    for (label, value) in [
        ("batch.kubernetes.io/controller-uid", &uid),
        ("batch.kubernetes.io/job-name", &name),
        ("controller-uid", &uid),
        ("job-name", &name),
    ] {
        if labels[label].is_null() {
            labels[label] = value.clone();
        }
    }
    let selected = &mut job["spec"]["selector"]["matchLabels"]["batch.kubernetes.io/controller-uid"];
    if selected.is_null() {
        *selected = uid;
    }
}

fn prepare_pod(pod: &mut Value) {
    let class = service_class(&pod["spec"]);
    pod["status"] = json!({"phase": "Pending", "qosClass": class});
}

/// The quality of service that the resources of a pod's containers amount to.
fn service_class(spec: &Value) -> &'static str {
    let containers = || items(spec, "containers").chain(items(spec, "initContainers"));
    let has = |container: &Value, list: &str, name: &str| !container["resources"][list][name].is_null();
    let any = containers().any(|container| {
        ["cpu", "memory"]
            .iter()
            .any(|name| has(container, "limits", name) || has(container, "requests", name))
    });
    let all = containers().all(|container| {
        ["cpu", "memory"].iter().all(|name| {
            let (limits, requests) = (&container["resources"]["limits"], &container["resources"]["requests"]);
            has(container, "limits", name) && limits[*name] == requests[*name]
        })
    });
    match (any, all) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

/// What a Service says of its addresses, without allocating one.
fn addresses(service: &mut Value) {
    let spec = &mut service["spec"];
    if text(spec, "type") == "ExternalName" {
        return;
    }
    if !text(spec, "clusterIP").is_empty() && spec["clusterIPs"].is_null() {
        spec["clusterIPs"] = json!([spec["clusterIP"]]);
    }
    let has_no_selector = spec["selector"].as_object().is_none_or(serde_json::Map::is_empty);
    if text(spec, "clusterIP") == "None"
        && has_no_selector
        && spec["ipFamilies"].is_null()
        && spec["ipFamilyPolicy"].is_null()
    {
        // Nobody but its owner knows what it stands for, so it may be anything.
        spec["ipFamilies"] = json!(["IPv4", "IPv6"]);
        spec["ipFamilyPolicy"] = "RequireDualStack".into();
    }
    let family = if text(spec, "clusterIP").contains(':') { "IPv6" } else { "IPv4" };
    if spec["ipFamilies"].is_null() {
        spec["ipFamilies"] = json!([family]);
    }
    if spec["ipFamilyPolicy"].is_null() {
        spec["ipFamilyPolicy"] = "SingleStack".into();
    }
}

/// Says whether a Service needs an address that it does not have yet.
#[must_use]
pub fn needs_cluster_ip(service: &Value) -> bool {
    text(&service["spec"], "type") != "ExternalName" && text(&service["spec"], "clusterIP").is_empty()
}

/// The ports of a Service, by index, that need a node port which they do not have yet.
#[must_use]
pub fn needs_node_ports(service: &Value) -> Vec<usize> {
    let spec = &service["spec"];
    if !needs_ports(spec) || spec["allocateLoadBalancerNodePorts"] == false {
        return Vec::new();
    }
    let ports = items(spec, "ports").enumerate();
    ports
        .filter(|(_, port)| port["nodePort"].as_i64().unwrap_or_default() == 0)
        .map(|(index, _)| index)
        .collect()
}

fn needs_ports(spec: &Value) -> bool {
    matches!(text(spec, "type"), "NodePort" | "LoadBalancer")
}

/// Keeps what was allocated if an update is silent about it, and drops what the new type has no use for.
fn keep_allocated(object: &mut Value, before: &Value) {
    let (old, new) = (&before["spec"], &mut object["spec"]);
    let external = |spec: &Value| text(spec, "type") == "ExternalName";
    match (external(old), external(new)) {
        (false, false) => {
            if text(new, "clusterIP").is_empty() {
                take(new, old, &["clusterIP"]);
            }
            if new["clusterIP"] != old["clusterIP"] && new["clusterIPs"] == old["clusterIPs"] {
                new["clusterIPs"] = json!([new["clusterIP"]]);
            }
            if new["clusterIPs"].is_null() && new["clusterIP"] == old["clusterIP"] {
                take(new, old, &["clusterIPs"]);
            }
            for name in ["ipFamilies", "ipFamilyPolicy"] {
                if new.get(name).is_none() {
                    take(new, old, &[name]);
                }
            }
        }
        (false, true) => {
            let names = ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"];
            drop_same(new, old, &names);
        }
        _ => {}
    }
    let (needed, needs) = (needs_ports(old), needs_ports(new));
    for port in new["ports"].as_array_mut().into_iter().flatten() {
        let same = |old: &&Value| old["port"] == port["port"] && old["protocol"] == port["protocol"];
        let Some(old) = items(old, "ports").find(same) else { continue };
        if needed && needs && port["nodePort"].is_null() && !old["nodePort"].is_null() {
            port["nodePort"] = old["nodePort"].clone();
        } else if needed && !needs && port["nodePort"] == old["nodePort"] {
            take(port, &Value::Null, &["nodePort"]);
        }
    }
    if needed && !needs {
        drop_same(new, old, &["externalTrafficPolicy", "healthCheckNodePort"]);
    }
    if text(old, "type") == "LoadBalancer" && text(new, "type") != "LoadBalancer" {
        drop_same(new, old, &["allocateLoadBalancerNodePorts", "loadBalancerClass"]);
    }
}

/// Drops fields that are as they were.
fn drop_same(new: &mut Value, old: &Value, names: &[&str]) {
    for name in names {
        if new.get(*name) == old.get(*name) {
            take(new, &Value::Null, &[name]);
        }
    }
}
