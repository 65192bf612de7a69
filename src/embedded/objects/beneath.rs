//! What is beneath an object and is neither it nor its status: scale, evictions and bindings of Pods.

use serde_json::Value;
use serde_json::json;

use super::super::kinds::Kind;
use super::super::patch;
use super::super::status::Cause;
use super::super::status::Status;
use super::Deletion;
use super::Done;
use super::Objects;
use super::Options;
use super::Patch;
use super::meta;
use super::versions;
use super::write::Target;
use super::write::Wanted;

/// Where a kind keeps what a Scale tells.
struct Paths {
    wanted: Vec<String>,
    actual: Vec<String>,
    selector: Option<Vec<String>>,
}

impl Paths {
    fn of(kind: &Kind) -> Self {
        let parts = |path: &str| path.split('.').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        let scale = kind.custom.as_ref().map(|custom| &custom["subresources"]["scale"]);
        let told = |field: &str| scale.and_then(|scale| scale[field].as_str());
        Self {
            wanted: parts(told("specReplicasPath").unwrap_or("spec.replicas")),
            actual: parts(told("statusReplicasPath").unwrap_or("status.replicas")),
            selector: told("labelSelectorPath").map(parts),
        }
    }
}

fn at<'a>(object: &'a Value, path: &[String]) -> &'a Value {
    path.iter().fold(object, |value, part| &value[part.as_str()])
}

fn set(object: &mut Value, path: &[String], value: Value) {
    let mut place = object;
    for part in path {
        if !place.is_object() {
            *place = json!({});
        }
        place = &mut place[part.as_str()];
    }
    *place = value;
}

/// The Scale of an object.
fn scale(kind: &Kind, object: &Value) -> Value {
    let paths = Paths::of(kind);
    let mut metadata = json!({});
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = object["metadata"].get(field) {
            metadata[field] = value.clone();
        }
    }
    let mut status = json!({"replicas": at(object, &paths.actual).as_i64().unwrap_or(0)});
    let selector = match &paths.selector {
        Some(path) => at(object, path).as_str().map(str::to_owned),
        None if kind.custom.is_some() => None,
        None => Some(selector(&object["spec"]["selector"])),
    };
    if let Some(selector) = selector.filter(|selector| !selector.is_empty()) {
        status["selector"] = selector.into();
    }
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata,
        "spec": {"replicas": at(object, &paths.wanted).as_i64().unwrap_or(0)}, "status": status,
    })
}

/// A label selector as text.
fn selector(selector: &Value) -> String {
    let labels = selector["matchLabels"].as_object().or_else(|| selector.as_object());
    let mut parts: Vec<_> = labels
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)))
        .collect();
    for requirement in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = requirement["key"].as_str().unwrap_or_default();
        let mut values: Vec<_> =
            requirement["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        values.sort_unstable();
        parts.push(match requirement["operator"].as_str() {
            Some("In") => format!("{key} in ({})", values.join(",")),
            Some("NotIn") => format!("{key} notin ({})", values.join(",")),
            Some("DoesNotExist") => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    parts.sort_unstable();
    parts.join(",")
}

impl Objects {
    /// Reads the Scale of an object.
    pub(crate) fn scale(&self, kind: &Kind, namespace: &str, name: &str) -> Result<Value, Status> {
        let entry = self.get(kind, namespace, name)?;
        Ok(scale(kind, &versions::read(kind, &entry)))
    }

    pub(super) fn replace_scale(
        &self,
        target: Target<'_>,
        sent: &Value,
        options: &Options,
    ) -> Result<Done, Status> {
        self.change_scale(target, options, &|_| Ok(sent.clone()))
    }

    pub(super) fn patch_scale(
        &self,
        target: Target<'_>,
        sent: &Patch,
        options: &Options,
    ) -> Result<Done, Status> {
        if let Patch::Apply(sent) = sent {
            return self.apply_scale(target, sent, options);
        }
        self.change_scale(target, options, &|scale| match sent {
            Patch::Json(sent) => patch::json(scale, sent),
            Patch::Merge(sent) | Patch::Strategic(sent) | Patch::Apply(sent) => Ok(patch::merge(scale, sent)),
        })
    }

    /// Applies a Scale: the number of replicas becomes an applied field of the object itself.
    fn apply_scale(&self, target: Target<'_>, sent: &Value, options: &Options) -> Result<Done, Status> {
        let Target { kind, namespace, name, .. } = target;
        self.get(kind, namespace, name)?;
        let mut applied = json!({
            "apiVersion": kind.gvk.api_version(), "kind": kind.gvk.kind, "metadata": sent["metadata"],
        });
        if let Some(replicas) = sent["spec"].get("replicas") {
            set(&mut applied, &Paths::of(kind).wanted, replicas.clone());
        }
        let mut done = self.apply(target, &applied, options)?;
        done.object = scale(kind, &done.object);
        Ok(done)
    }

    fn change_scale(
        &self,
        target: Target<'_>,
        options: &Options,
        change: &dyn Fn(&Value) -> Result<Value, Status>,
    ) -> Result<Done, Status> {
        let kind = target.kind;
        let mut done = self.change(target, options, false, &mut |live| {
            let live = live.ok_or_else(|| Status::not_found(&kind.resource, target.name))?;
            let before = scale(kind, live);
            let after = change(&before)?;
            let name = meta::text(&after, "name");
            if !name.is_empty() && name != target.name {
                return Err(Status::bad_request(format!(
                    "the name of the object ({name}) does not match the name on the URL ({})",
                    target.name
                )));
            }
            let replicas = after["spec"]["replicas"].as_i64().unwrap_or(0);
            if replicas < 0 {
                let cause = Cause {
                    reason: "FieldValueInvalid",
                    message: format!("Invalid value: {replicas}: must be greater than or equal to 0"),
                    field: "spec.replicas".into(),
                };
                return Err(Status::invalid("autoscaling", "Scale", target.name, &[cause]));
            }
            let mut object = live.clone();
            if !meta::text(&after, "resourceVersion").is_empty() {
                object["metadata"]["resourceVersion"] = after["metadata"]["resourceVersion"].clone();
            }
            set(&mut object, &Paths::of(kind).wanted, replicas.into());
            Ok(Wanted { object, warnings: Vec::new(), owned: false })
        })?;
        done.object = scale(kind, &done.object);
        Ok(done)
    }

    /// Evicts a Pod, if its disruption budgets allow it.
    pub(crate) fn evict(
        &self,
        pods: &Kind,
        (namespace, name): (&str, &str),
        deletion: &Deletion,
    ) -> Result<(), Status> {
        let entry = self.get(pods, namespace, name)?;
        let pod = versions::read(pods, &entry);
        let running = pod["status"]["phase"] == "Running";
        for budget in self.storage.list("poddisruptionbudgets.policy", Some(namespace)).entries {
            let budget: Value = serde_json::from_slice(&budget.json).unwrap_or_default();
            let labels = budget["spec"]["selector"]["matchLabels"].as_object();
            let chosen = labels.is_some_and(|labels| {
                labels.iter().all(|(key, value)| pod["metadata"]["labels"][key] == *value)
            });
            let allowed = budget["status"]["disruptionsAllowed"].as_i64().unwrap_or(0) > 0;
            if chosen && running && !allowed {
                let message = "Cannot evict pod as it would violate the pod's disruption budget.";
                let mut refused = Status::new(429, "TooManyRequests", message);
                refused.details = Some(json!({"causes": [{
                    "reason": "DisruptionBudget",
                    "message": format!("The disruption budget {} does not allow evicting pods currently",
                        meta::text(&budget, "name")),
                }]}));
                return Err(refused);
            }
        }
        self.delete(pods, namespace, name, deletion).map(|_| ())
    }

    /// Binds a Pod to a node.
    pub(crate) fn bind(
        &self,
        pods: &Kind,
        (namespace, name): (&str, &str),
        node: &str,
        options: &Options,
    ) -> Result<(), Status> {
        let now = meta::time((self.clock)());
        let bound = |pod: &Value| {
            Status::conflict(
                "pods/binding",
                name,
                &format!("pod {name} is already assigned to node {}", pod["spec"]["nodeName"]),
            )
        };
        let target = Target { kind: pods, namespace, name, subresource: "binding" };
        self.change(target, options, false, &mut |live| {
            let live = live.ok_or_else(|| Status::not_found(&pods.resource, name))?;
            if live["spec"]["nodeName"].as_str().is_some_and(|node| !node.is_empty()) {
                return Err(bound(live));
            }
            let mut object = live.clone();
            object["spec"]["nodeName"] = node.into();
            Ok(Wanted { object, warnings: Vec::new(), owned: true })
        })?;
        let target = Target { subresource: "status", ..target };
        self.change(target, options, false, &mut |live| {
            let live = live.ok_or_else(|| Status::not_found(&pods.resource, name))?;
            let mut object = live.clone();
            let scheduled = json!({"type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": now});
            let conditions = &mut object["status"]["conditions"];
            let others: Vec<_> = conditions.as_array().into_iter().flatten().cloned().collect();
            let others = others.into_iter().filter(|condition| condition["type"] != "PodScheduled");
            *conditions = others.chain([scheduled]).collect();
            Ok(Wanted { object, warnings: Vec::new(), owned: true })
        })?;
        Ok(())
    }
}
