//! Disruption budgets, autoscalers, priorities, leases, webhooks and `APIServices`.

use serde_json::Value;

use super::super::findings::Findings;
use super::super::names;
use super::super::view::int;
use super::super::view::items;
use super::super::view::text;
use super::selectors;
use super::workloads::at_most_all;
use super::workloads::int_or_percent;

/// Checks a `PodDisruptionBudget`.
pub(super) fn disruption_budget(found: &mut Findings, object: &Value) {
    let spec = &object["spec"];
    if !spec["minAvailable"].is_null() && !spec["maxUnavailable"].is_null() {
        // The internal type is shown, whose fields have other names.
        let shown = serde_json::json!({
            "MinAvailable": spec["minAvailable"], "Selector": spec["selector"],
            "MaxUnavailable": spec["maxUnavailable"],
            "UnhealthyPodEvictionPolicy": spec["unhealthyPodEvictionPolicy"],
        });
        found.invalid("spec", shown, "minAvailable and maxUnavailable cannot be both set");
    }
    for name in ["minAvailable", "maxUnavailable"] {
        let (value, field) = (&spec[name], format!("spec.{name}"));
        if !value.is_null() {
            int_or_percent(found, value, &field);
            at_most_all(found, value, &field);
        }
    }
    selectors::check(found, &spec["selector"], "spec.selector");
    let policy = spec["unhealthyPodEvictionPolicy"].as_str();
    found.known("spec.unhealthyPodEvictionPolicy", policy, &["AlwaysAllow", "IfHealthyBudget"]);
}

/// Checks a `HorizontalPodAutoscaler`.
pub(super) fn autoscaler(found: &mut Findings, object: &Value) {
    let spec = &object["spec"];
    let least = int(spec, "minReplicas");
    if let Some(least) = least.filter(|least| *least < 0) {
        found.invalid("spec.minReplicas", least, "must be greater than or equal to 0");
    }
    let outside = |metric: &Value| matches!(text(metric, "type"), "Object" | "External");
    if least == Some(0) && !items(spec, "metrics").any(outside) {
        let told = "must specify at least one Object or External metric to support scaling to zero replicas";
        found.forbidden("spec.metrics", told);
    }
    let most = int(spec, "maxReplicas").unwrap_or_default();
    match most {
        0 => found.required("spec.maxReplicas", ""),
        ..0 => found.invalid("spec.maxReplicas", most, "must be greater than 0"),
        _ => {}
    }
    if least.is_some_and(|least| most < least) {
        found.invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`");
    }
    let target = &spec["scaleTargetRef"];
    for name in ["kind", "name"] {
        let (value, field) = (text(target, name), format!("spec.scaleTargetRef.{name}"));
        if value.is_empty() {
            found.required(&field, "");
        } else {
            found.invalid_each(&field, value, &names::path_segment(value));
        }
    }
    if text(target, "apiVersion").is_empty() {
        found.invalid("spec.scaleTargetRef.apiVersion", "", "apiVersion must specify API group");
    }
}

/// Checks a `PriorityClass`.
pub(super) fn priority_class(found: &mut Findings, object: &Value, before: Option<&Value>) {
    const MOST: i64 = 1_000_000_000;
    let value = int(object, "value").unwrap_or_default();
    if let Some(before) = before {
        if int(before, "value").unwrap_or_default() != value {
            found.forbidden("value", "may not be changed in an update.");
        }
        found.immutable("preemptionPolicy", before.get("preemptionPolicy"), object.get("preemptionPolicy"));
        return;
    }
    let name = text(&object["metadata"], "name");
    let known = ["system-node-critical", "system-cluster-critical"];
    if name.starts_with("system-") {
        if !known.contains(&name) {
            let told = "priority class names with 'system-' prefix are reserved for system use only. error:";
            let told = format!("{told} {name} is not a known system priority class");
            found.forbidden("metadata.name", &told);
        }
    } else if value > MOST {
        let told = format!("maximum allowed value of a user defined priority is {MOST}");
        found.forbidden("value", &told);
    }
    let policies = ["Never", "PreemptLowerPriority"];
    found.known("preemptionPolicy", object["preemptionPolicy"].as_str(), &policies);
}

/// Checks a Lease.
pub(super) fn lease(found: &mut Findings, object: &Value) {
    let spec = &object["spec"];
    if let Some(seconds) = int(spec, "leaseDurationSeconds").filter(|seconds| *seconds <= 0) {
        found.invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0");
    }
    found.not_negative("spec.leaseTransitions", int(spec, "leaseTransitions"));
    if spec["holderIdentity"].as_str().is_some_and(str::is_empty) {
        found.invalid("spec.holderIdentity", "", "must not be empty");
    }
}

/// Checks a configuration of webhooks.
pub(super) fn webhooks(found: &mut Findings, object: &Value) {
    for (index, hook) in items(object, "webhooks").enumerate() {
        let at = |name: &str| format!("webhooks[{index}].{name}");
        match text(hook, "name") {
            "" => found.required(&at("name"), ""),
            name => {
                let wrong = names::dns_subdomain(name);
                if !wrong.is_empty() {
                    found.invalid(&at("name"), name, &wrong.join(","));
                } else if name.split('.').count() < 3 {
                    let told = "should be a domain with at least three segments separated by dots";
                    found.invalid(&at("name"), name, told);
                }
            }
        }
        found.known(&at("failurePolicy"), hook["failurePolicy"].as_str(), &["Fail", "Ignore"]);
        found.known(&at("matchPolicy"), hook["matchPolicy"].as_str(), &["Equivalent", "Exact"]);
        match hook["sideEffects"].as_str() {
            None => found.required(&at("sideEffects"), "must specify one of None, NoneOnDryRun"),
            effects => found.known(&at("sideEffects"), effects, &["None", "NoneOnDryRun"]),
        }
        if items(hook, "admissionReviewVersions").next().is_none() {
            let told = "must specify one of v1, v1beta1";
            found.required(&at("admissionReviewVersions"), told);
        }
        let client = &hook["clientConfig"];
        if client["url"].is_null() == client["service"].is_null() {
            found.required(&at("clientConfig"), "exactly one of url or service is required");
        }
        if let Some(seconds) = int(hook, "timeoutSeconds").filter(|seconds| !(1..=30).contains(seconds)) {
            let told = "the timeout value must be between 1 and 30 seconds";
            found.invalid(&at("timeoutSeconds"), seconds, told);
        }
    }
}

/// Checks an `APIService`.
pub(super) fn api_service(found: &mut Findings, object: &Value) {
    let spec = &object["spec"];
    let (group, version) = (text(spec, "group"), text(spec, "version"));
    let name = text(&object["metadata"], "name");
    let needed = format!("{version}.{group}");
    if name != needed && !name.is_empty() {
        let told = format!("must be `spec.version+\".\"+spec.group`: {needed:?}");
        found.invalid("metadata.name", name, &told);
    }
    if group.is_empty() && version != "v1" {
        let told = "only v1 may have an empty group and it better be legacy kube";
        found.required("spec.group", told);
    }
    if !group.is_empty() {
        found.invalid_each("spec.group", group, &names::dns_subdomain(group));
    }
    found.invalid_each("spec.version", version, &names::dns_1035_label(version));
    for (name, most) in [("groupPriorityMinimum", 20_000), ("versionPriority", 1_000)] {
        let value = int(spec, name).unwrap_or_default();
        if !(1..=most).contains(&value) {
            let told = format!("must be positive and less than {most}");
            found.invalid(&format!("spec.{name}"), value, &told);
        }
    }
    let service = &spec["service"];
    if service.is_null() {
        if spec["insecureSkipTLSVerify"] == true {
            let told = "local APIServices may not have insecureSkipTLSVerify";
            found.invalid("spec.insecureSkipTLSVerify", true, told);
        }
        return;
    }
    for name in ["namespace", "name"] {
        if text(service, name).is_empty() {
            found.required(&format!("spec.service.{name}"), "");
        }
    }
    if spec["insecureSkipTLSVerify"] == true && !text(spec, "caBundle").is_empty() {
        found.invalid("spec.insecureSkipTLSVerify", true, "may not be true if caBundle is present");
    }
}
