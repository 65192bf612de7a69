//! What kube-apiserver fills in where objects of built-in kinds are silent. Most of it is data: defaults of the
//! OpenAPI documents, and `defaults.json` for what those do not state. Here is what depends on other fields.

use std::collections::HashMap;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::fields;
use crate::embedded::schema::Schema;
use crate::embedded::schema::Shape;

static DEFAULTS: LazyLock<HashMap<&str, Map<String, Value>>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../defaults.json")).expect("the file is a map of objects")
});

/// Fills in the defaults of an object and of everything in it.
pub(super) fn fill(schema: &Schema, value: &mut Value) {
    match value {
        Value::Array(items) => {
            if let Some(schema) = schema.items() {
                for item in items {
                    fill(&schema, item);
                }
            }
        }
        Value::Object(object) if !schema.node().definition.as_deref().is_some_and(is_metadata) => {
            let definition = schema.node().definition.as_deref().unwrap_or_default();
            depending_on_absence(definition, object);
            stated(schema, definition, object);
            depending_on_others(definition, object);
            for (name, value) in object.iter_mut() {
                if let Some(schema) = schema.field(name) {
                    fill(&schema, value);
                }
            }
        }
        _ => {}
    }
}

fn is_metadata(definition: &str) -> bool {
    definition == "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
}

/// Defaults of single fields.
fn stated(schema: &Schema, definition: &str, object: &mut Map<String, Value>) {
    for (name, value) in DEFAULTS.get(definition).into_iter().flatten() {
        object.entry(name.as_str()).or_insert_with(|| value.clone());
    }
    let Shape::Object { fields, .. } = &schema.node().shape else { return };
    let known = fields::of(Some(definition));
    for (name, _) in fields {
        if object.contains_key(&**name) {
            continue;
        }
        let Some(field) = schema.field(name) else { continue };
        let special = known.and_then(|known| known.get(&**name));
        match &field.node().default {
            // The zero value of a Go type that is not left out.
            Some(default) if special.is_none_or(|field| !field.omitted) => {
                object.insert(name.to_string(), default.clone());
            }
            // A list or pointer that Go does not leave out.
            None if special.is_some_and(|field| field.null) => {
                object.insert(name.to_string(), Value::Null);
            }
            _ => {}
        }
    }
}

/// What depends on whether a field is there at all, before defaults are filled in.
fn depending_on_absence(definition: &str, object: &mut Map<String, Value>) {
    match definition {
        "io.k8s.api.apps.v1.StatefulSetUpdateStrategy" if !object.contains_key("type") => {
            object.insert("type".into(), "RollingUpdate".into());
            object.entry("rollingUpdate").or_insert_with(|| json!({}));
        }
        "io.k8s.api.core.v1.Container" | "io.k8s.api.core.v1.EphemeralContainer"
            if !object.contains_key("imagePullPolicy") =>
        {
            let policy = pull_policy(object.get("image").and_then(Value::as_str).unwrap_or_default());
            object.insert("imagePullPolicy".into(), policy.into());
        }
        "io.k8s.api.core.v1.ImageVolumeSource" if !object.contains_key("pullPolicy") => {
            let policy = pull_policy(object.get("reference").and_then(Value::as_str).unwrap_or_default());
            object.insert("pullPolicy".into(), policy.into());
        }
        "io.k8s.api.core.v1.Volume" if object.keys().all(|name| name == "name") => {
            object.insert("emptyDir".into(), json!({}));
        }
        "io.k8s.api.networking.v1.NetworkPolicySpec" if !object.contains_key("policyTypes") => {
            let egress =
                object.get("egress").and_then(Value::as_array).is_some_and(|rules| !rules.is_empty());
            let types = if egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) };
            object.insert("policyTypes".into(), types);
        }
        "io.k8s.api.rbac.v1.Subject"
            if matches!(object.get("kind").and_then(Value::as_str), Some("User" | "Group")) =>
        {
            object.entry("apiGroup").or_insert_with(|| "rbac.authorization.k8s.io".into());
        }
        "io.k8s.api.batch.v1.Job" => job(object),
        "io.k8s.api.core.v1.Service" => service(object),
        "io.k8s.api.core.v1.Pod" => pod(object),
        "io.k8s.api.core.v1.Secret" => secret(object),
        "io.k8s.api.core.v1.Namespace" => namespace(object),
        "io.k8s.api.core.v1.ReplicationController" => replication_controller(object),
        "io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerBehavior" => scaling_behavior(object),
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition" => {
            custom_definition(object);
        }
        "io.k8s.api.core.v1.PodSpec" => {
            let account =
                ["serviceAccountName", "serviceAccount"].into_iter().find_map(|name| object.get(name));
            if let Some(account) = account.cloned() {
                object.insert("serviceAccountName".into(), account.clone());
                object.insert("serviceAccount".into(), account);
            }
        }
        _ => {}
    }
}

/// What depends on fields that may have been filled in.
fn depending_on_others(definition: &str, object: &mut Map<String, Value>) {
    match definition {
        "io.k8s.api.apps.v1.DeploymentStrategy" | "io.k8s.api.apps.v1.DaemonSetUpdateStrategy"
            if object.get("type").is_some_and(|kind| kind == "RollingUpdate") =>
        {
            object.entry("rollingUpdate").or_insert_with(|| json!({}));
        }
        "io.k8s.api.core.v1.PodStatus" => {
            for (one, all) in [("podIP", "podIPs"), ("hostIP", "hostIPs")] {
                if let Some(ip) =
                    object.get(one).filter(|ip| ip.as_str().is_some_and(|ip| !ip.is_empty())).cloned()
                {
                    object.entry(all).or_insert_with(|| json!([{"ip": ip}]));
                }
            }
        }
        "io.k8s.api.apps.v1.StatefulSetSpec" => {
            for claim in
                object.get_mut("volumeClaimTemplates").and_then(Value::as_array_mut).into_iter().flatten()
            {
                claim["apiVersion"] = "v1".into();
                claim["kind"] = "PersistentVolumeClaim".into();
            }
        }
        "io.k8s.api.core.v1.LimitRangeItem" if object.get("type").is_some_and(|kind| kind == "Container") => {
            for (from, to) in [("max", "default"), ("default", "defaultRequest"), ("min", "defaultRequest")] {
                inherit(object, from, to);
            }
        }
        _ => {}
    }
}

/// Copies what `to` does not have from `from`.
fn inherit(object: &mut Map<String, Value>, from: &str, to: &str) {
    let Some(Value::Object(from)) = object.get(from).cloned() else { return };
    let to = object.entry(to).or_insert_with(|| json!({}));
    if let Value::Object(to) = to {
        for (name, value) in from {
            to.entry(name).or_insert(value);
        }
    }
}

/// `Always` for the tag `latest`, which is also meant where there is none.
fn pull_policy(image: &str) -> &'static str {
    let (name, digest) = image.split_once('@').map_or((image, false), |(name, _)| (name, true));
    let latest = match name.rsplit('/').next().unwrap_or_default().rsplit_once(':') {
        Some((_, tag)) => tag == "latest",
        None => !digest && !image.is_empty(),
    };
    if latest { "Always" } else { "IfNotPresent" }
}

/// An object within, made if it is not there.
fn within<'a>(object: &'a mut Map<String, Value>, name: &str) -> Option<&'a mut Map<String, Value>> {
    let value = object.entry(name).or_insert_with(|| json!({}));
    if value.is_null() {
        *value = json!({});
    }
    value.as_object_mut()
}

fn labels(object: &Map<String, Value>) -> Option<&Map<String, Value>> {
    object.get("metadata")?.get("labels")?.as_object().filter(|labels| !labels.is_empty())
}

/// Takes over the labels of the template, if there are no others.
fn labels_from_template(object: &mut Map<String, Value>) {
    let template = object.get("spec").and_then(|spec| spec.get("template")).and_then(Value::as_object);
    let Some(template) = template.and_then(labels).cloned() else { return };
    if labels(object).is_none()
        && let Some(metadata) = within(object, "metadata")
    {
        metadata.insert("labels".into(), template.into());
    }
}

fn job(object: &mut Map<String, Value>) {
    labels_from_template(object);
    let Some(spec) = within(object, "spec") else { return };
    if !spec.contains_key("completions") && !spec.contains_key("parallelism") {
        spec.insert("completions".into(), 1.into());
    }
    let limit = if spec.contains_key("backoffLimitPerIndex") { i64::from(i32::MAX) } else { 6 };
    let replacement = if spec.contains_key("podFailurePolicy") { "Failed" } else { "TerminatingOrFailed" };
    for (name, value) in [
        ("parallelism", json!(1)),
        ("backoffLimit", json!(limit)),
        ("completionMode", json!("NonIndexed")),
        ("suspend", json!(false)),
        ("podReplacementPolicy", json!(replacement)),
        ("manualSelector", json!(false)),
    ] {
        spec.entry(name).or_insert(value);
    }
}

fn service(object: &mut Map<String, Value>) {
    let Some(spec) = within(object, "spec") else { return };
    spec.entry("sessionAffinity").or_insert_with(|| "None".into());
    if spec["sessionAffinity"] == "None" {
        spec.remove("sessionAffinityConfig");
    } else if spec["sessionAffinity"] == "ClientIP"
        && spec
            .get("sessionAffinityConfig")
            .is_none_or(|config| config["clientIP"]["timeoutSeconds"].is_null())
    {
        spec.insert("sessionAffinityConfig".into(), json!({"clientIP": {"timeoutSeconds": 10800}}));
    }
    let kind = spec.entry("type").or_insert_with(|| "ClusterIP".into()).clone();
    for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        if port["targetPort"].is_null() || port["targetPort"] == 0 || port["targetPort"] == "" {
            port["targetPort"] = port["port"].clone();
        }
    }
    let balanced = kind == "LoadBalancer";
    let external = spec.get("externalIPs").and_then(Value::as_array).is_some_and(|ips| !ips.is_empty());
    if balanced || kind == "NodePort" || (kind == "ClusterIP" && external) {
        spec.entry("externalTrafficPolicy").or_insert_with(|| "Cluster".into());
    }
    if balanced || kind == "NodePort" || kind == "ClusterIP" {
        spec.entry("internalTrafficPolicy").or_insert_with(|| "Cluster".into());
    }
    if balanced {
        spec.entry("allocateLoadBalancerNodePorts").or_insert(true.into());
        let ingress = object.get_mut("status").and_then(|status| status.pointer_mut("/loadBalancer/ingress"));
        for ingress in ingress.and_then(Value::as_array_mut).into_iter().flatten() {
            if ingress["ip"].is_string() && ingress["ipMode"].is_null() {
                ingress["ipMode"] = "VIP".into();
            }
        }
    }
}

/// What holds for pods, but not for templates of them.
fn pod(object: &mut Map<String, Value>) {
    let Some(spec) = within(object, "spec") else { return };
    if spec.get("terminationGracePeriodSeconds").and_then(Value::as_i64).is_some_and(|seconds| seconds < 0) {
        spec.insert("terminationGracePeriodSeconds".into(), 1.into());
    }
    spec.entry("enableServiceLinks").or_insert(true.into());
    let host = spec.get("hostNetwork").and_then(Value::as_bool).unwrap_or_default();
    for list in ["containers", "initContainers"] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(resources) = container.get_mut("resources").and_then(Value::as_object_mut) {
                inherit(resources, "limits", "requests");
            }
            let ports = container.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten();
            for port in ports.filter(|port| host && port["hostPort"].is_null()) {
                port["hostPort"] = port["containerPort"].clone();
            }
        }
    }
}

fn secret(object: &mut Map<String, Value>) {
    let Some(Value::Object(texts)) = object.remove("stringData") else { return };
    if let Some(data) = within(object, "data") {
        for (name, text) in texts {
            data.insert(name, STANDARD.encode(text.as_str().unwrap_or_default()).into());
        }
    }
}

fn namespace(object: &mut Map<String, Value>) {
    let Some(metadata) = within(object, "metadata") else { return };
    if let Some(name) = metadata.get("name").filter(|name| *name != "").cloned()
        && let Some(labels) = within(metadata, "labels")
    {
        labels.insert("kubernetes.io/metadata.name".into(), name);
    }
}

fn replication_controller(object: &mut Map<String, Value>) {
    labels_from_template(object);
    let template = object.get("spec").and_then(|spec| spec.get("template")).and_then(Value::as_object);
    if let Some(template) = template.and_then(labels).cloned()
        && let Some(spec) = within(object, "spec")
    {
        spec.entry("selector").or_insert_with(|| template.into());
    }
}

fn scaling_behavior(object: &mut Map<String, Value>) {
    let percent = json!({"type": "Percent", "value": 100, "periodSeconds": 15});
    let pods = json!({"type": "Pods", "value": 4, "periodSeconds": 15});
    let up = json!({"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [pods, percent]});
    let down = json!({"selectPolicy": "Max", "policies": [percent]});
    for (name, rules) in [("scaleUp", up), ("scaleDown", down)] {
        let Some(given) = within(object, name) else { continue };
        for (name, value) in rules.as_object().into_iter().flatten() {
            given.entry(name.as_str()).or_insert_with(|| value.clone());
        }
    }
}

/// Fills in the names of a definition, and the version that is stored.
pub(in crate::embedded) fn custom_definition(object: &mut Map<String, Value>) {
    if let Some(names) = within(object, "spec").and_then(|spec| within(spec, "names")) {
        let kind = names.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
        if !kind.is_empty() {
            names.entry("singular").or_insert_with(|| kind.to_lowercase().into());
            names.entry("listKind").or_insert_with(|| format!("{kind}List").into());
        }
    }
    let versions = object.get("spec").and_then(|spec| spec.get("versions")).and_then(Value::as_array);
    let stored = versions.into_iter().flatten().find(|version| version["storage"] == true);
    let stored = stored.map(|version| version["name"].clone());
    if let (Some(stored), Some(status)) = (stored, within(object, "status")) {
        let versions = status.entry("storedVersions").or_insert(Value::Null);
        if versions.as_array().is_none_or(Vec::is_empty) {
            *versions = json!([stored]);
        }
    }
}
