//! What the server itself writes into objects besides what `validate` prepares: what is allocated, what
//! admission adds, and what follows a write.

use serde_json::Value;
use serde_json::json;

use super::super::kinds::Kind;
use super::super::status::Status;
use super::super::storage::Key;
use super::super::validate;
use super::Objects;
use super::definitions;
use super::meta;
use super::services;
use super::write;

impl Objects {
    /// Fills in what a new object gets from the server.
    pub(super) fn fill_new(&self, kind: &Kind, object: &mut Value) -> Result<(), Status> {
        if validate::has_generation(kind) {
            meta::of(object).insert("generation".into(), 1.into());
        }
        validate::prepare_for_create(kind, object);
        match &*kind.resource {
            "services" => services::allocate(self, object)?,
            "pods" => {
                self.find_priority(kind, object)?;
                admit_pod(object);
            }
            definitions::RESOURCE => definitions::store_version(object),
            _ => {}
        }
        Ok(())
    }

    /// Looks up the priority class of a Pod.
    fn find_priority(&self, kind: &Kind, pod: &mut Value) -> Result<(), Status> {
        let class = pod["spec"]["priorityClassName"].as_str().filter(|class| !class.is_empty());
        let Some(class) = class.map(str::to_owned) else { return Ok(()) };
        let resource = "priorityclasses.scheduling.k8s.io".into();
        let key = Key { resource, namespace: "".into(), name: class.as_str().into() };
        let Some(found) = self.storage.get(&key) else {
            let because = format!("no PriorityClass with name {class} was found");
            return Err(write::forbidden(kind, meta::text(pod, "name"), &because));
        };
        let found: Value = serde_json::from_slice(&found.json).unwrap_or_default();
        for (field, value) in
            [("priority", &found["value"]), ("preemptionPolicy", &found["preemptionPolicy"])]
        {
            if !value.is_null() {
                pod["spec"][field] = value.clone();
            }
        }
        Ok(())
    }

    /// Fills in what a changed object gets from the server, and leaves as it is what a write to `subresource`
    /// does not change.
    pub(super) fn fill_changed(
        &self,
        kind: &Kind,
        object: &mut Value,
        live: &Value,
        subresource: &str,
    ) -> Result<(), Status> {
        let part = if subresource == "approval" { "status" } else { subresource };
        validate::prepare_for_update(kind, object, live, part);
        match &*kind.resource {
            "services" => services::allocate(self, object)?,
            definitions::RESOURCE => definitions::store_version(object),
            _ => {}
        }
        Ok(())
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

/// What admission adds to a Pod.
fn admit_pod(object: &mut Value) {
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
            let all =
                toleration["key"].as_str().is_none_or(str::is_empty) && toleration["operator"] == "Exists";
            effect && (all || toleration["key"] == key)
        };
        if !all.iter().any(covers) {
            all.push(json!({
                "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300,
            }));
        }
    }
}

/// Whether nothing but `metadata.finalizers` keeps an object that is being deleted.
pub(super) fn is_finalized(kind: &Kind, object: &Value) -> bool {
    &*kind.resource != "namespaces" || object["spec"]["finalizers"].as_array().is_none_or(Vec::is_empty)
}
