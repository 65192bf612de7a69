//! Jobs and what starts them by the clock.

use serde_json::Value;
use serde_json::json;

use super::super::findings::Findings;
use super::super::findings::sorted;
use super::super::view::int;
use super::super::view::text;
use super::pods;
use super::selectors;
use super::workloads::same;

/// Checks a Job.
pub(super) fn job(found: &mut Findings, object: &Value, before: Option<&Value>) {
    let spec = &object["spec"];
    if before.is_none() && spec["manualSelector"] != true && !spec["selector"].is_null() {
        generated(found, object);
    }
    job_spec(found, spec, "spec");
    let selector = &spec["selector"];
    if selector.is_null() {
        found.required("spec.selector", "");
    } else {
        selectors::check(found, selector, "spec.selector");
    }
    let labels = &spec["template"]["metadata"]["labels"];
    if selectors::matches(selector, labels) == Some(false) {
        let told = "`selector` does not match template `labels`";
        found.invalid("spec.template.metadata.labels", sorted(labels), told);
    }
    let Some(before) = before else { return };
    let indexed = text(spec, "completionMode") == "Indexed";
    if spec["completions"] != before["spec"]["completions"]
        && !(indexed && spec["completions"] == spec["parallelism"])
    {
        found.invalid("spec.completions", spec["completions"].clone(), "field is immutable");
    }
    same(found, object, Some(before), &["selector"]);
    let mut template = before["spec"]["template"].clone();
    if before["spec"]["suspend"] == true {
        // Where the pods of a suspended job go may change.
        let new = &spec["template"];
        for field in ["affinity", "nodeSelector", "tolerations", "schedulingGates"] {
            take(&mut template["spec"], &new["spec"], field);
        }
        for field in ["labels", "annotations"] {
            take(&mut template["metadata"], &new["metadata"], field);
        }
    }
    found.immutable("spec.template", Some(&template), spec.get("template"));
    same(
        found,
        object,
        Some(before),
        &["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"],
    );
}

fn take(into: &mut Value, from: &Value, field: &str) {
    match from.get(field) {
        Some(value) => into[field] = value.clone(),
        None => {
            if let Some(into) = into.as_object_mut() {
                into.shift_remove(field);
            }
        }
    }
}

/// Checks what kube-apiserver itself writes into a job whose selector it generates.
fn generated(found: &mut Findings, object: &Value) {
    let labels = &object["spec"]["template"]["metadata"]["labels"];
    let uid = object["metadata"]["uid"].clone();
    let name = object["metadata"]["name"].clone();
    let expected = json!({
        "controller-uid": uid, "job-name": name,
        "batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": name,
    });
    for (key, value) in expected.as_object().into_iter().flatten() {
        let field = format!("spec.template.metadata.labels[{key}]");
        match labels.get(key) {
            None => found.required(&field, &format!("must be '{}'", value.as_str().unwrap_or_default())),
            Some(given) if given != value => {
                let told = format!("must be '{}'", value.as_str().unwrap_or_default());
                found.invalid(&field, sorted(labels), &told);
            }
            Some(_) => {}
        }
    }
    if selectors::matches(&object["spec"]["selector"], &expected) == Some(false) {
        let selector = object["spec"]["selector"].clone();
        found.invalid("spec.selector", selector, "`selector` not auto-generated");
    }
}

fn job_spec(found: &mut Findings, spec: &Value, field: &str) {
    for name in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ] {
        found.not_negative(&format!("{field}.{name}"), int(spec, name));
    }
    let mode = spec["completionMode"].as_str();
    found.known(&format!("{field}.completionMode"), mode, &["NonIndexed", "Indexed"]);
    if mode == Some("Indexed") {
        if spec["completions"].is_null() {
            found.required(&format!("{field}.completions"), "when completion mode is Indexed");
        }
    } else {
        for name in ["backoffLimitPerIndex", "maxFailedIndexes"] {
            if let Some(value) = int(spec, name) {
                found.invalid(&format!("{field}.{name}"), value, "requires indexed completion mode");
            }
        }
    }
    pods::template(found, &spec["template"], &format!("{field}.template"));
    let policy = text(&spec["template"]["spec"], "restartPolicy");
    let field = format!("{field}.template.spec.restartPolicy");
    match policy {
        "Always" | "" => found.required(&field, "valid values: \"OnFailure\", \"Never\""),
        "Never" => {}
        "OnFailure" => {
            if !spec["podFailurePolicy"].is_null() {
                let told = "only \"Never\" is supported when podFailurePolicy is specified";
                found.invalid(&field, policy, told);
            }
        }
        policy => found.unsupported(&field, policy, &["OnFailure", "Never"]),
    }
}

/// Checks a `CronJob`.
pub(super) fn cron_job(found: &mut Findings, object: &Value, created: bool) {
    let spec = &object["spec"];
    match text(spec, "schedule") {
        "" => found.required("spec.schedule", ""),
        schedule if schedule.contains("TZ") => {
            let told = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
            found.invalid("spec.schedule", schedule, told);
        }
        schedule if schedule.starts_with('@') => {}
        schedule => {
            let fields = schedule.split_whitespace().count();
            if fields != 5 {
                let told = format!("expected exactly 5 fields, found {fields}: [{schedule}]");
                found.invalid("spec.schedule", schedule, &told);
            }
        }
    }
    found.not_negative("spec.startingDeadlineSeconds", int(spec, "startingDeadlineSeconds"));
    if spec["timeZone"].as_str().is_some_and(str::is_empty) {
        found.invalid("spec.timeZone", "", "timeZone must be nil or non-empty string");
    }
    let policy = spec["concurrencyPolicy"].as_str();
    found.one_of("spec.concurrencyPolicy", policy, &["Allow", "Forbid", "Replace"]);
    let template = &spec["jobTemplate"]["spec"];
    job_spec(found, template, "spec.jobTemplate.spec");
    if !template["selector"].is_null() {
        let selector = template["selector"].clone();
        found.invalid("spec.jobTemplate.spec.selector", selector, "`selector` will be auto-generated");
    }
    if template["manualSelector"] == true {
        found.unsupported("spec.jobTemplate.spec.manualSelector", true, &["nil", "false"]);
    }
    found.not_negative("spec.successfulJobsHistoryLimit", int(spec, "successfulJobsHistoryLimit"));
    found.not_negative("spec.failedJobsHistoryLimit", int(spec, "failedJobsHistoryLimit"));
    let name = text(&object["metadata"], "name");
    if created && name.len() > 52 {
        found.invalid("metadata.name", name, "must be no more than 52 characters");
    }
}
