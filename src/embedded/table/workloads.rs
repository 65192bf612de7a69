//! Workloads and where they run.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::text::{condition, containers, labels, of, or_none, scalar, selector};
use super::{Row, human, row};

/// A `ReplicaSet` or `ReplicationController`.
pub(super) fn replicas(row: &Row<'_>) -> Vec<Value> {
    let (names, images) = containers(row.at("spec.template.spec.containers"));
    let of = row.at("spec.selector");
    let selector = if row.text("kind") == "ReplicaSet" { selector(of) } else { labels(of) };
    row![
        row.name(),
        row.number("spec.replicas"),
        row.number("status.replicas"),
        row.number("status.readyReplicas"),
        row.age(),
        names,
        images,
        or_none(selector),
    ]
}

pub(super) fn quota(row: &Row<'_>) -> Vec<Value> {
    let (mut requests, mut limits) = (Vec::new(), Vec::new());
    let hard: BTreeMap<_, _> = row.at("status.hard").as_object().into_iter().flatten().collect();
    for (resource, hard) in hard {
        let told = |value: &Value| scalar(value).unwrap_or_else(|| "0".into());
        let used = told(&row.at("status.used")[resource]);
        let column = if resource.starts_with("limits.") { &mut limits } else { &mut requests };
        column.push(format!("{resource}: {used}/{}", told(hard)));
    }
    row![row.name(), requests.join(", "), limits.join(", "), row.age()]
}

pub(super) fn controller(row: &Row<'_>) -> String {
    let owners = row.list("metadata.ownerReferences");
    let Some(owner) = owners.iter().find(|owner| owner["controller"] == true) else {
        return "<none>".into();
    };
    let text = |field: &str| owner[field].as_str().unwrap_or_default();
    let group =
        text("apiVersion").rsplit_once('/').map_or_else(String::new, |(group, _)| format!(".{group}"));
    format!("{}{group}/{}", text("kind").to_lowercase(), text("name"))
}

pub(super) fn cron_job(row: &Row<'_>) -> Vec<Value> {
    let suspended = match row.at("spec.suspend").as_bool() {
        Some(true) => "True",
        Some(false) => "False",
        None => "<unset>",
    };
    let last = row.at("status.lastScheduleTime");
    let last = if last.is_null() { "<none>".into() } else { row.since("status.lastScheduleTime") };
    let (names, images) = containers(row.at("spec.jobTemplate.spec.template.spec.containers"));
    row![
        row.name(),
        row.text("spec.schedule"),
        row.text_or("spec.timeZone", "<none>"),
        suspended,
        row.list("status.active").len(),
        last,
        row.age(),
        names,
        images,
        or_none(selector(row.at("spec.jobTemplate.spec.selector"))),
    ]
}

pub(super) fn daemon_set(row: &Row<'_>) -> Vec<Value> {
    let (names, images) = containers(row.at("spec.template.spec.containers"));
    row![
        row.name(),
        row.number("status.desiredNumberScheduled"),
        row.number("status.currentNumberScheduled"),
        row.number("status.numberReady"),
        row.number("status.updatedNumberScheduled"),
        row.number("status.numberAvailable"),
        or_none(labels(row.at("spec.template.spec.nodeSelector"))),
        row.age(),
        names,
        images,
        or_none(selector(row.at("spec.selector"))),
    ]
}

pub(super) fn job(row: &Row<'_>) -> Vec<Value> {
    let done = row.number("status.succeeded");
    let completions = match (row.at("spec.completions").as_i64(), row.number("spec.parallelism")) {
        (Some(wanted), _) => of(done, wanted),
        (None, parallel @ 2..) => format!("{done}/1 of {parallel}"),
        (None, _) => of(done, 1),
    };
    let time = |path| row.text(path).parse::<Timestamp>().ok();
    let took = time("status.startTime").map_or_else(String::new, |start| {
        human(time("status.completionTime").unwrap_or(row.now).duration_since(start))
    });
    let is = |name| condition(row, name).is_some_and(|condition| condition["status"] == "True");
    let status = match () {
        () if is("Complete") => "Complete",
        () if is("Failed") => "Failed",
        () if !row.at("metadata.deletionTimestamp").is_null() => "Terminating",
        () if is("Suspended") => "Suspended",
        () if is("FailureTarget") => "FailureTarget",
        () if is("SuccessCriteriaMet") => "SuccessCriteriaMet",
        () => "Running",
    };
    let (names, images) = containers(row.at("spec.template.spec.containers"));
    let selector = or_none(selector(row.at("spec.selector")));
    row![row.name(), status, completions, took, row.age(), names, images, selector]
}

pub(super) fn autoscaler(row: &Row<'_>) -> Vec<Value> {
    let reference =
        format!("{}/{}", row.text("spec.scaleTargetRef.kind"), row.text("spec.scaleTargetRef.name"));
    let current = row.list("status.currentMetrics");
    let metrics: Vec<String> = row
        .list("spec.metrics")
        .iter()
        .enumerate()
        .map(|(index, spec)| metric(spec, current.get(index).unwrap_or(&Value::Null)))
        .collect();
    let targets = match metrics.len() {
        0 => "<none>".into(),
        1 | 2 => metrics.join(", "),
        count => format!("{} + {} more...", metrics[..2].join(", "), count - 2),
    };
    row![
        row.name(),
        reference,
        targets,
        scalar(row.at("spec.minReplicas")).unwrap_or_else(|| "<unset>".into()),
        row.number("spec.maxReplicas"),
        row.number("status.currentReplicas"),
        row.age(),
    ]
}

fn metric(spec: &Value, status: &Value) -> String {
    let (source, of_resource) = match spec["type"].as_str().unwrap_or_default() {
        "External" => ("external", false),
        "Pods" => ("pods", false),
        "Object" => ("object", false),
        "Resource" => ("resource", true),
        "ContainerResource" => ("containerResource", true),
        _ => return "<unknown type>".into(),
    };
    let (target, current) = (&spec[source]["target"], &status[source]["current"]);
    let unknown = || "<unknown>".to_owned();
    let told = if let Some(average) = scalar(&target["averageValue"]) {
        let suffix = if ["external", "object"].contains(&source) { " (avg)" } else { "" };
        format!("{}/{average}{suffix}", scalar(&current["averageValue"]).unwrap_or_else(unknown))
    } else if of_resource {
        let percent = |value: &Value| value.as_i64().map(|percent| format!("{percent}%"));
        let target = percent(&target["averageUtilization"]).unwrap_or_else(|| "<auto>".into());
        format!("{}/{target}", percent(&current["averageUtilization"]).unwrap_or_else(unknown))
    } else {
        let target = scalar(&target["value"]).unwrap_or_else(|| "0".into());
        format!("{}/{target}", scalar(&current["value"]).unwrap_or_else(unknown))
    };
    let name = spec[source]["name"].as_str().unwrap_or_default();
    if of_resource { format!("{name}: {told}") } else { told }
}

pub(super) fn node(row: &Row<'_>) -> Vec<Value> {
    let mut status = vec![match condition(row, "Ready") {
        Some(condition) if condition["status"] == "True" => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }];
    if row.flag("spec.unschedulable") {
        status.push("SchedulingDisabled");
    }
    let labels = row.at("metadata.labels").as_object();
    let mut roles: Vec<&str> = labels
        .into_iter()
        .flatten()
        .filter_map(|(label, value)| match label.strip_prefix("node-role.kubernetes.io/") {
            None if label == "kubernetes.io/role" => value.as_str(),
            role => role,
        })
        .filter(|role| !role.is_empty())
        .collect();
    roles.sort_unstable();
    roles.dedup();
    let address = |kind: &str| {
        let found = row.list("status.addresses").iter().find(|address| address["type"] == kind);
        found.and_then(|address| address["address"].as_str()).unwrap_or("<none>")
    };
    let kernel = row.text_or("status.nodeInfo.kernelVersion", "<unknown>");
    let kernel = match row.text("status.nodeInfo.architecture") {
        "" => kernel.to_owned(),
        architecture => format!("{kernel} ({architecture})"),
    };
    row![
        row.name(),
        status.join(","),
        or_none(roles.join(",")),
        row.age(),
        row.text("status.nodeInfo.kubeletVersion"),
        address("InternalIP"),
        address("ExternalIP"),
        row.text_or("status.nodeInfo.osImage", "<unknown>"),
        kernel,
        row.text_or("status.nodeInfo.containerRuntimeVersion", "<unknown>"),
    ]
}
