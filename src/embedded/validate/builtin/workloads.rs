//! Deployments and their kin.

use serde_json::Value;
use serde_json::json;

use super::super::findings::Findings;
use super::super::findings::sorted;
use super::super::names;
use super::super::view::int;
use super::super::view::items;
use super::super::view::text;
use super::pods;
use super::selectors;
use super::storage;

/// Checks a Deployment.
pub(super) fn deployment(found: &mut Findings, object: &Value, before: Option<&Value>) {
    let spec = &object["spec"];
    found.not_negative("spec.replicas", int(spec, "replicas"));
    selector_and_template(found, spec, "deployment", "ReplicaSet");
    strategy(found, &spec["strategy"]);
    found.not_negative("spec.minReadySeconds", int(spec, "minReadySeconds"));
    found.not_negative("spec.revisionHistoryLimit", int(spec, "revisionHistoryLimit"));
    if let Some(deadline) = int(spec, "progressDeadlineSeconds") {
        found.not_negative("spec.progressDeadlineSeconds", Some(deadline));
        if deadline <= int(spec, "minReadySeconds").unwrap_or_default() {
            found.invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds");
        }
    }
    same(found, object, before, &["selector"]);
}

/// Checks a `ReplicaSet`.
pub(super) fn replica_set(found: &mut Findings, object: &Value, before: Option<&Value>) {
    let spec = &object["spec"];
    found.not_negative("spec.replicas", int(spec, "replicas"));
    found.not_negative("spec.minReadySeconds", int(spec, "minReadySeconds"));
    selector_and_template(found, spec, "deployment", "ReplicaSet");
    same(found, object, before, &["selector"]);
}

/// Checks a `ReplicationController`.
pub(super) fn replication_controller(found: &mut Findings, object: &Value) {
    let spec = &object["spec"];
    found.not_negative("spec.minReadySeconds", int(spec, "minReadySeconds"));
    let selector = &spec["selector"];
    if selector.as_object().is_none_or(serde_json::Map::is_empty) {
        found.required("spec.selector", "");
    }
    found.not_negative("spec.replicas", int(spec, "replicas"));
    let template = &spec["template"];
    if template.is_null() {
        return found.required("spec.template", "");
    }
    let labels = &template["metadata"]["labels"];
    let fits = selector.as_object().into_iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
    if !fits {
        mismatch(found, labels);
    }
    pods::template(found, template, "spec.template");
    always(found, template, "ReplicationController");
}

/// Checks a `StatefulSet`.
pub(super) fn stateful_set(found: &mut Findings, object: &Value, before: Option<&Value>) {
    let spec = &object["spec"];
    match text(spec, "podManagementPolicy") {
        "" => found.required("spec.podManagementPolicy", ""),
        "OrderedReady" | "Parallel" => {}
        other => found.invalid("spec.podManagementPolicy", other, "must be 'OrderedReady' or 'Parallel'"),
    }
    let strategy = &spec["updateStrategy"];
    let rolling = &strategy["rollingUpdate"];
    match text(strategy, "type") {
        "" => found.required("spec.updateStrategy", ""),
        "OnDelete" => {
            if !rolling.is_null() {
                let told = "only allowed for updateStrategy 'RollingUpdate'";
                found.invalid("spec.updateStrategy.rollingUpdate", rolling.clone(), told);
            }
        }
        "RollingUpdate" => {
            found.not_negative("spec.updateStrategy.rollingUpdate.partition", int(rolling, "partition"));
            let field = "spec.updateStrategy.rollingUpdate.maxUnavailable";
            let most = &rolling["maxUnavailable"];
            if !most.is_null() {
                int_or_percent(found, most, field);
                if number_or_percent(most) == 0 {
                    found.invalid(field, most.clone(), "cannot be 0");
                }
                at_most_all(found, most, field);
            }
        }
        _ => {
            found.invalid("spec.updateStrategy", internal(strategy), "must be 'RollingUpdate' or 'OnDelete'");
        }
    }
    let retention = &spec["persistentVolumeClaimRetentionPolicy"];
    for name in ["whenDeleted", "whenScaled"] {
        let field = format!("spec.persistentVolumeClaimRetentionPolicy.{name}");
        found.known(&field, retention[name].as_str(), &["Retain", "Delete"]);
    }
    for (index, claim) in items(spec, "volumeClaimTemplates").enumerate() {
        storage::claim_spec(found, &claim["spec"], &format!("spec.volumeClaimTemplates[{index}].spec"));
    }
    found.not_negative("spec.replicas", int(spec, "replicas"));
    found.not_negative("spec.minReadySeconds", int(spec, "minReadySeconds"));
    found.not_negative("spec.ordinals.start", int(&spec["ordinals"], "start"));
    let service = text(spec, "serviceName");
    if !service.is_empty() {
        found.invalid_each("spec.serviceName", service, &names::dns_label(service));
    }
    let selector = &spec["selector"];
    stated_selector(found, selector, "statefulset");
    match selectors::matches(selector, &spec["template"]["metadata"]["labels"]) {
        None => found.invalid("spec.selector", selector.clone(), ""),
        Some(matches) => {
            if !matches && (selector.is_null() || !selectors::is_empty(selector)) {
                mismatch(found, &spec["template"]["metadata"]["labels"]);
            }
            let claims: Vec<_> =
                items(spec, "volumeClaimTemplates").map(|claim| text(&claim["metadata"], "name")).collect();
            pods::template_with(found, &spec["template"], "spec.template", &claims);
        }
    }
    always(found, &spec["template"], "StatefulSet");
    same(found, object, before, &["selector", "volumeClaimTemplates", "serviceName", "podManagementPolicy"]);
}

/// Checks a `DaemonSet`.
pub(super) fn daemon_set(found: &mut Findings, object: &Value, before: Option<&Value>) {
    let spec = &object["spec"];
    same(found, object, before, &["selector"]);
    let selector = &spec["selector"];
    selectors::check(found, selector, "spec.selector");
    if selectors::matches(selector, &spec["template"]["metadata"]["labels"]) == Some(false) {
        mismatch(found, &spec["template"]["metadata"]["labels"]);
    }
    if !selector.is_null() && selectors::is_empty(selector) {
        found.invalid("spec.selector", selector.clone(), "empty selector is invalid for daemonset");
    }
    pods::template(found, &spec["template"], "spec.template");
    always(found, &spec["template"], "DaemonSet");
    found.not_negative("spec.minReadySeconds", int(spec, "minReadySeconds"));
    let strategy = &spec["updateStrategy"];
    match text(strategy, "type") {
        "OnDelete" => {}
        "RollingUpdate" => {
            let rolling = &strategy["rollingUpdate"];
            let (unavailable, surge) = (&rolling["maxUnavailable"], &rolling["maxSurge"]);
            let field = |name: &str| format!("spec.updateStrategy.rollingUpdate.{name}");
            int_or_percent(found, unavailable, &field("maxUnavailable"));
            int_or_percent(found, surge, &field("maxSurge"));
            at_most_all(found, unavailable, &field("maxUnavailable"));
            at_most_all(found, surge, &field("maxSurge"));
            match (number_or_percent(unavailable) != 0, number_or_percent(surge) != 0) {
                (true, true) => {
                    let told = "may not be set when maxUnavailable is non-zero";
                    found.invalid(&field("maxSurge"), surge.clone(), told);
                }
                (false, false) => found.required(&field("maxUnavailable"), "cannot be 0 when maxSurge is 0"),
                _ => {}
            }
        }
        _ => found.unsupported("spec.updateStrategy", internal(strategy), &["RollingUpdate", "OnDelete"]),
    }
    found.not_negative("spec.revisionHistoryLimit", int(spec, "revisionHistoryLimit"));
}

/// Checks a `ControllerRevision`.
pub(super) fn controller_revision(found: &mut Findings, object: &Value, before: Option<&Value>) {
    found.not_negative("revision", int(object, "revision"));
    match before {
        Some(before) => found.immutable("data", before.get("data"), object.get("data")),
        None if object["data"].is_null() => found.required("data", "data is mandatory"),
        None if !object["data"].is_object() => found.required("data", "data must be a valid JSON object"),
        None => {}
    }
}

fn selector_and_template(found: &mut Findings, spec: &Value, told: &str, kind: &str) {
    let selector = &spec["selector"];
    stated_selector(found, selector, told);
    let template = &spec["template"];
    match selectors::matches(selector, &template["metadata"]["labels"]) {
        None => found.invalid("spec.selector", selector.clone(), "invalid label selector"),
        Some(matches) => {
            if !matches {
                mismatch(found, &template["metadata"]["labels"]);
            }
            pods::template(found, template, "spec.template");
            always(found, template, kind);
        }
    }
}

fn stated_selector(found: &mut Findings, selector: &Value, kind: &str) {
    if selector.is_null() {
        return found.required("spec.selector", "");
    }
    selectors::check(found, selector, "spec.selector");
    if selectors::is_empty(selector) {
        found.invalid("spec.selector", selector.clone(), &format!("empty selector is invalid for {kind}"));
    }
}

fn mismatch(found: &mut Findings, labels: &Value) {
    let told = "`selector` does not match template `labels`";
    found.invalid("spec.template.metadata.labels", sorted(labels), told);
}

/// Pods that are to run for ever.
fn always(found: &mut Findings, template: &Value, kind: &str) {
    let policy = text(&template["spec"], "restartPolicy");
    if policy != "Always" {
        found.unsupported("spec.template.spec.restartPolicy", policy, &["Always"]);
    }
    if !template["spec"]["activeDeadlineSeconds"].is_null() {
        let told = format!("activeDeadlineSeconds in {kind} is not Supported");
        found.forbidden("spec.template.spec.activeDeadlineSeconds", &told);
    }
}

fn strategy(found: &mut Findings, strategy: &Value) {
    let rolling = &strategy["rollingUpdate"];
    match text(strategy, "type") {
        "Recreate" => {
            if !rolling.is_null() {
                let told = "may not be specified when strategy `type` is 'Recreate'";
                found.forbidden("spec.strategy.rollingUpdate", told);
            }
        }
        "RollingUpdate" => {
            let (unavailable, surge) = (&rolling["maxUnavailable"], &rolling["maxSurge"]);
            let field = "spec.strategy.rollingUpdate.maxUnavailable";
            int_or_percent(found, unavailable, field);
            int_or_percent(found, surge, "spec.strategy.rollingUpdate.maxSurge");
            if number_or_percent(unavailable) == 0 && number_or_percent(surge) == 0 {
                found.invalid(field, unavailable.clone(), "may not be 0 when `maxSurge` is 0");
            }
            at_most_all(found, unavailable, field);
        }
        _ => found.unsupported("spec.strategy", internal(strategy), &["Recreate", "RollingUpdate"]),
    }
}

/// A strategy as the internal type shows it, whose fields have other names.
fn internal(strategy: &Value) -> Value {
    json!({"Type": text(strategy, "type"), "RollingUpdate": strategy["rollingUpdate"]})
}

/// Checks a number that is not negative, or a percentage.
pub(super) fn int_or_percent(found: &mut Findings, value: &Value, field: &str) {
    match value {
        Value::String(text) => found.invalid_each(field, text, &names::percent(text)),
        value => found.not_negative(field, value.as_i64()),
    }
}

/// Checks that a percentage is not more than everything.
pub(super) fn at_most_all(found: &mut Findings, value: &Value, field: &str) {
    if value.is_string() && number_or_percent(value) > 100 {
        found.invalid(field, value.clone(), "must not be greater than 100%");
    }
}

fn number_or_percent(value: &Value) -> i64 {
    match value {
        Value::String(text) => text.trim_end_matches('%').parse().unwrap_or_default(),
        value => value.as_i64().unwrap_or_default(),
    }
}

/// Checks fields of the spec that never change.
pub(super) fn same(found: &mut Findings, object: &Value, before: Option<&Value>, names: &[&str]) {
    let Some(before) = before else { return };
    for name in names {
        let field = format!("spec.{name}");
        found.immutable(&field, before["spec"].get(name), object["spec"].get(name));
    }
}
