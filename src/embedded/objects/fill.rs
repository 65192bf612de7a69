//! What the server itself writes into objects, and what a write to one part leaves as it is: the strategies
//! of Kubernetes' registries.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use serde_json::Value;
use serde_json::json;

use super::super::kinds::Kind;
use super::super::status::Cause;
use super::super::status::Status;
use super::Objects;
use super::definitions;
use super::meta;
use super::services;
use super::traits;

/// Turns the `stringData` of a Secret into data.
pub(super) fn texts(kind: &Kind, object: &mut Value) {
    if &*kind.resource != "secrets" {
        return;
    }
    let Some(Value::Object(texts)) = object.as_object_mut().and_then(|fields| fields.shift_remove("stringData"))
    else {
        return;
    };
    if !object["data"].is_object() {
        object["data"] = json!({});
    }
    for (key, text) in texts {
        object["data"][key] = BASE64.encode(text.as_str().unwrap_or_default()).into();
    }
}

/// Prepares a new object before it is recorded who owns its fields.
pub(super) fn first(kind: &Kind, object: &mut Value) {
    if kind.has("status")
        && let Some(fields) = object.as_object_mut()
    {
        fields.shift_remove("status");
    }
    let name = meta::text(object, "name").to_owned();
    if &*kind.resource == "namespaces" && !name.is_empty() {
        label_namespace(object, &name);
    }
}

fn label_namespace(object: &mut Value, name: &str) {
    let labels = &mut object["metadata"]["labels"];
    if !labels.is_object() {
        *labels = json!({});
    }
    labels["kubernetes.io/metadata.name"] = name.into();
}

/// Fills in what depends on the name.
pub(super) fn named(kind: &Kind, object: &mut Value, name: &str) {
    match &*kind.resource {
        "namespaces" => label_namespace(object, name),
        "jobs.batch" if object["spec"]["manualSelector"] != true => {
            let uid = meta::text(object, "uid").to_owned();
            let labels = &mut object["spec"]["template"]["metadata"]["labels"];
            if !labels.is_object() {
                *labels = json!({});
            }
            labels["controller-uid"] = uid.clone().into();
            labels["batch.kubernetes.io/controller-uid"] = uid.clone().into();
            labels["job-name"] = name.into();
            labels["batch.kubernetes.io/job-name"] = name.into();
            let selector = &mut object["spec"]["selector"]["matchLabels"];
            if !selector.is_object() {
                *selector = json!({});
            }
            selector["batch.kubernetes.io/controller-uid"] = uid.into();
        }
        _ => {}
    }
}

impl Objects {
    /// Fills in what a new object gets from the server.
    pub(super) fn fill_new(&self, kind: &Kind, object: &mut Value) -> Result<(), Status> {
        if traits::has_generation(kind) {
            meta::of(object).insert("generation".into(), 1.into());
        }
        if let Some(status) = traits::first_status(kind) {
            object["status"] = status;
        }
        match &*kind.resource {
            "namespaces" => object["spec"] = json!({"finalizers": ["kubernetes"]}),
            "services" => services::allocate(self, object, None)?,
            "pods" => pod(object),
            "daemonsets.apps" => template_generation(object, 1),
            definitions::RESOURCE => definitions::store_version(object),
            _ => {}
        }
        Ok(())
    }

    /// Fills in what a changed object gets from the server.
    pub(super) fn fill_changed(&self, kind: &Kind, object: &mut Value, live: &Value) -> Result<(), Status> {
        match &*kind.resource {
            "services" => services::allocate(self, object, Some(live))?,
            "namespaces" => label_namespace(object, meta::text(live, "name")),
            "daemonsets.apps" => {
                let generation = &live["metadata"]["annotations"][TEMPLATE_GENERATION];
                let generation = generation.as_str().and_then(|text| text.parse().ok()).unwrap_or(1);
                let changed = object["spec"]["template"] != live["spec"]["template"];
                template_generation(object, generation + i64::from(changed));
            }
            definitions::RESOURCE => definitions::store_version(object),
            _ => {}
        }
        Ok(())
    }

    /// Checks what needs more than the schema.
    pub(super) fn check_more(
        &self,
        kind: &Kind,
        object: &Value,
        live: Option<&Value>,
        causes: &mut Vec<Cause>,
    ) {
        if causes.is_empty() && &*kind.resource == definitions::RESOURCE {
            definitions::check(object, causes);
        }
        if let Some(live) = live.filter(|_| &*kind.resource == "services") {
            services::check_change(object, live, causes);
        }
    }

    /// Does what follows a write.
    pub(super) fn written(&self, kind: &Kind, before: Option<&Value>, object: &Value) {
        if &*kind.resource == definitions::RESOURCE
            && before.is_none_or(|before| before["spec"] != object["spec"])
        {
            self.define(object);
        }
    }

    /// Does what follows a removal.
    pub(super) fn removed(&self, kind: &Kind, object: &Value) {
        if &*kind.resource == definitions::RESOURCE {
            self.kinds.define(meta::text(object, "name"), Vec::new());
        } else if kind.custom.is_some() {
            self.finish_definition(&kind.resource);
        }
    }
}

const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

fn template_generation(object: &mut Value, generation: i64) {
    let annotations = &mut object["metadata"]["annotations"];
    if !annotations.is_object() {
        *annotations = json!({});
    }
    annotations[TEMPLATE_GENERATION] = generation.to_string().into();
}

/// What admission adds to a Pod.
fn pod(object: &mut Value) {
    object["status"]["qosClass"] = quality(&object["spec"]).into();
    let Some(spec) = object["spec"].as_object_mut() else { return };
    let account = ["serviceAccountName", "serviceAccount"]
        .into_iter()
        .find_map(|field| spec.get(field).and_then(Value::as_str).filter(|name| !name.is_empty()))
        .unwrap_or("default")
        .to_owned();
    spec.insert("serviceAccountName".into(), account.clone().into());
    spec.insert("serviceAccount".into(), account.into());
    spec.entry("priority").or_insert(0.into());
    spec.entry("preemptionPolicy").or_insert("PreemptLowerPriority".into());
    let tolerations = spec.entry("tolerations").or_insert(json!([]));
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let Some(all) = tolerations.as_array_mut() else { return };
        let covers = |toleration: &Value| {
            let effect = &toleration["effect"];
            let effect = effect.as_str().is_none_or(|effect| effect.is_empty() || effect == "NoExecute");
            let all = toleration["key"].as_str().is_none_or(str::is_empty) && toleration["operator"] == "Exists";
            effect && (all || toleration["key"] == key)
        };
        if !all.iter().any(covers) {
            all.push(json!({
                "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300,
            }));
        }
    }
}

/// `status.qosClass` of a Pod.
fn quality(spec: &Value) -> &'static str {
    let containers = ["containers", "initContainers"].into_iter().filter_map(|list| spec[list].as_array());
    let mut guaranteed = true;
    let mut burstable = false;
    for container in containers.flatten() {
        let resources = &container["resources"];
        for name in ["cpu", "memory"] {
            let (request, limit) = (&resources["requests"][name], &resources["limits"][name]);
            burstable |= !request.is_null() || !limit.is_null();
            guaranteed &= !limit.is_null() && (request.is_null() || request == limit);
        }
    }
    match (burstable, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

/// Leaves as it is what a write to `subresource` does not change.
pub(super) fn limit(kind: &Kind, subresource: &str, object: &mut Value, live: &Value) {
    match subresource {
        "status" | "approval" => {
            if kind.custom.is_some() {
                let metadata = object["metadata"].clone();
                object["metadata"] = live["metadata"].clone();
                copy(object, &metadata, "managedFields");
            }
            if &*kind.resource == "deployments.apps" {
                copy(object, &live["metadata"], "labels");
            }
            let status = object.as_object_mut().and_then(|fields| fields.shift_remove("status"));
            let metadata = object["metadata"].take();
            *object = live.clone();
            object["metadata"] = metadata;
            if let Some(fields) = object.as_object_mut() {
                match status {
                    Some(status) => fields.insert("status".into(), status),
                    None => fields.shift_remove("status"),
                };
            }
        }
        _ => {
            if kind.has("status") || subresource == "finalize" {
                let status = live.get("status").cloned();
                if let Some(fields) = object.as_object_mut() {
                    match status {
                        Some(status) => fields.insert("status".into(), status),
                        None => fields.shift_remove("status"),
                    };
                }
            }
            if &*kind.resource == "namespaces" && subresource != "finalize" {
                object["spec"] = live["spec"].clone();
            }
        }
    }
}

fn copy(object: &mut Value, from: &Value, field: &str) {
    let metadata = meta::of(object);
    match from.get(field) {
        Some(value) => metadata.insert(field.into(), value.clone()),
        None => metadata.remove(field),
    };
}

/// Whether nothing but `metadata.finalizers` keeps an object that is being deleted.
pub(super) fn is_finalized(kind: &Kind, object: &Value) -> bool {
    &*kind.resource != "namespaces" || object["spec"]["finalizers"].as_array().is_none_or(Vec::is_empty)
}
