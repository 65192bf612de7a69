//! Pods and templates of them.

use std::collections::HashSet;

use serde_json::Value;

use super::super::findings::Findings;
use super::super::metadata;
use super::super::names;
use super::super::view::int;
use super::super::view::items;
use super::super::view::text;
use super::containers;
use super::containers::Pod;
use super::volumes;

const UPDATABLE: &str = "`spec.containers[*].image`,`spec.initContainers[*].image`,\
    `spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),\
    `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// Checks a Pod.
pub(super) fn pod(found: &mut Findings, object: &Value, before: Option<&Value>) {
    let new = &object["spec"];
    spec(found, new, "spec", &[]);
    for list in ["containers", "initContainers"] {
        for (index, container) in items(new, list).enumerate() {
            let image = text(container, "image");
            if image.trim() != image {
                let told = "must not have leading or trailing whitespace";
                found.invalid(&format!("spec.{list}[{index}].image"), image, told);
            }
        }
    }
    let Some(before) = before else {
        if items(new, "ephemeralContainers").next().is_some() {
            found.forbidden("spec.ephemeralContainers", "cannot be set on create");
        }
        return;
    };
    update(found, new, &before["spec"]);
}

fn update(found: &mut Findings, new: &Value, before: &Value) {
    for list in ["containers", "initContainers"] {
        if items(new, list).len() != items(before, list).len() {
            return found.forbidden(&format!("spec.{list}"), "pod updates may not add or remove containers");
        }
    }
    match (int(before, "activeDeadlineSeconds"), int(new, "activeDeadlineSeconds")) {
        (Some(before), Some(new)) if before < new => {
            let told = "must be less than or equal to previous value";
            return found.invalid("spec.activeDeadlineSeconds", new, told);
        }
        (Some(_), None) => {
            let told = "must not update from a positive integer to nil value";
            found.invalid("spec.activeDeadlineSeconds", Value::Null, told);
        }
        _ => {}
    }
    if items(before, "tolerations").any(|toleration| !items(new, "tolerations").any(|new| new == toleration))
    {
        let told = "existing toleration can not be modified except its tolerationSeconds";
        found.forbidden("spec.tolerations", told);
    }
    let mut munged = new.clone();
    for list in ["containers", "initContainers"] {
        for (index, container) in items(before, list).enumerate() {
            munged[list][index]["image"] = container["image"].clone();
        }
    }
    for name in ["activeDeadlineSeconds", "schedulingGates", "tolerations"] {
        munged[name] = before[name].clone();
    }
    if int(before, "terminationGracePeriodSeconds").is_some_and(|seconds| seconds < 0) {
        munged["terminationGracePeriodSeconds"] = before["terminationGracePeriodSeconds"].clone();
    }
    if let Some(munged) = munged.as_object_mut() {
        munged.retain(|_, value| !value.is_null());
    }
    if munged != *before {
        found.forbidden("spec", &format!("pod updates may not change fields other than {UPDATABLE}"));
    }
}

/// Checks a template.
pub(super) fn template(found: &mut Findings, template: &Value, field: &str) {
    template_with(found, template, field, &[]);
}

/// Checks a template whose pods are given more volumes than it states.
pub(super) fn template_with(found: &mut Findings, template: &Value, field: &str, volumes: &[&str]) {
    metadata::labels(found, &template["metadata"]["labels"], &format!("{field}.labels"));
    metadata::annotations(found, &template["metadata"]["annotations"], &format!("{field}.annotations"));
    spec(found, &template["spec"], &format!("{field}.spec"), volumes);
    if items(&template["spec"], "ephemeralContainers").next().is_some() {
        let told = "ephemeral containers not allowed in pod template";
        found.forbidden(&format!("{field}.spec.ephemeralContainers"), told);
    }
}

fn spec(found: &mut Findings, spec: &Value, field: &str, more_volumes: &[&str]) {
    let at = |name: &str| format!("{field}.{name}");
    let mut names_of_volumes = volumes::check(found, spec, &at("volumes"));
    names_of_volumes.extend(more_volumes.iter().copied());
    let pod = Pod { volumes: names_of_volumes };
    let mut names = HashSet::new();
    if items(spec, "containers").next().is_none() {
        found.required(&at("containers"), "");
    }
    for list in ["containers", "initContainers"] {
        for (index, container) in items(spec, list).enumerate() {
            let field = format!("{field}.{list}[{index}]");
            containers::check(found, &pod, container, &field);
            let name = text(container, "name");
            if !names.insert(name) {
                found.duplicate(&format!("{field}.name"), name);
            }
            let lasting = list == "containers" || container["restartPolicy"] == "Always";
            containers::hooks(found, container, &field, lasting);
        }
    }
    let policy = spec["restartPolicy"].as_str();
    found.one_of(&at("restartPolicy"), policy, &["Always", "OnFailure", "Never"]);
    let policies = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    found.one_of(&at("dnsPolicy"), spec["dnsPolicy"].as_str(), &policies);
    metadata::labels(found, &spec["nodeSelector"], &at("nodeSelector"));
    for name in ["serviceAccountName", "nodeName", "priorityClassName"] {
        let value = text(spec, name);
        if !value.is_empty() {
            found.invalid_each(&at(name), value, &names::dns_subdomain(value));
        }
    }
    if let Some(deadline) =
        int(spec, "activeDeadlineSeconds").filter(|seconds| !(1..=2_147_483_647).contains(seconds))
    {
        found.invalid(&at("activeDeadlineSeconds"), deadline, "must be between 1 and 2147483647, inclusive");
    }
    for name in ["hostname", "subdomain"] {
        let value = text(spec, name);
        if !value.is_empty() {
            found.invalid_each(&at(name), value, &names::dns_label(value));
        }
    }
    for (index, toleration) in items(spec, "tolerations").enumerate() {
        tolerate(found, toleration, &format!("{}[{index}]", at("tolerations")));
    }
}

fn tolerate(found: &mut Findings, toleration: &Value, field: &str) {
    let (key, operator, effect) =
        (text(toleration, "key"), text(toleration, "operator"), text(toleration, "effect"));
    let at = |name: &str| format!("{field}.{name}");
    if key.is_empty() {
        if operator != "Exists" {
            let told =
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            found.invalid(&at("operator"), operator, told);
        }
    } else {
        found.invalid_each(&at("key"), key, &names::label_key(key));
    }
    if !toleration["tolerationSeconds"].is_null() && effect != "NoExecute" {
        let told = "effect must be 'NoExecute' when `tolerationSeconds` is set";
        found.invalid(&at("effect"), effect, told);
    }
    let value = text(toleration, "value");
    match operator {
        "" | "Equal" => {
            let wrong = names::label_value(value);
            if !wrong.is_empty() {
                found.invalid(&at("operator"), value, &wrong.join(";"));
            }
        }
        "Exists" => {
            if !value.is_empty() {
                found.invalid(&at("operator"), value, "value must be empty when `operator` is 'Exists'");
            }
        }
        "Lt" | "Gt" => found.unsupported(&at("operator"), operator, &["Equal", "Exists", "Lt", "Gt"]),
        _ => found.unsupported(&at("operator"), operator, &["Equal", "Exists"]),
    }
    if !effect.is_empty() {
        found.known(&at("effect"), Some(effect), &["NoSchedule", "PreferNoSchedule", "NoExecute"]);
    }
}
