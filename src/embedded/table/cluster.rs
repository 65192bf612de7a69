//! What extends a cluster, who may do what, and what happened.

use serde_json::Value;

use super::text::{condition, texts};
use super::{Row, row};

pub(super) fn binding(row: &Row<'_>) -> Vec<Value> {
    let role = format!("{}/{}", row.text("roleRef.kind"), row.text("roleRef.name"));
    let subjects = |kind: &str| {
        let of_kind = row.list("subjects").iter().filter(|subject| subject["kind"] == kind);
        let told = of_kind.map(|subject| {
            let text = |field: &str| subject[field].as_str().unwrap_or_default();
            match kind {
                "ServiceAccount" => format!("{}/{}", text("namespace"), text("name")),
                _ => text("name").to_owned(),
            }
        });
        told.collect::<Vec<_>>().join(", ")
    };
    row![row.name(), role, row.age(), subjects("User"), subjects("Group"), subjects("ServiceAccount")]
}

/// What kind the parameters of an admission policy have.
pub(super) fn parameters(row: &Row<'_>) -> String {
    match row.at("spec.paramKind") {
        Value::Null => "<unset>".into(),
        _ => format!("{}/{}", row.text("spec.paramKind.apiVersion"), row.text("spec.paramKind.kind")),
    }
}

/// What the parameters of an admission policy are where it is bound.
pub(super) fn parameter(row: &Row<'_>) -> String {
    match row.text("spec.paramRef.name") {
        "" => "<unset>".into(),
        name => format!("{}/{name}", row.text_or("spec.paramRef.namespace", "*")),
    }
}

pub(super) fn api_service(row: &Row<'_>) -> String {
    if row.at("spec.service").is_null() {
        return "Local".into();
    }
    format!("{}/{}", row.text("spec.service.namespace"), row.text("spec.service.name"))
}

pub(super) fn availability(row: &Row<'_>) -> String {
    let Some(condition) = condition(row, "Available") else { return "Unknown".into() };
    let text = |field: &str| condition[field].as_str().unwrap_or_default();
    match (text("status"), text("reason")) {
        (status @ "True", _) | (status, "") => status.into(),
        (status, reason) => format!("{status} ({reason})"),
    }
}

pub(super) fn definition(row: &Row<'_>) -> Vec<Value> {
    let served = row.list("spec.versions").iter().filter(|version| version["served"] == true);
    let mut versions: Vec<String> = served
        .map(|version| {
            let name = version["name"].as_str().unwrap_or_default();
            if version["storage"] == true { format!("{name}(storage)") } else { name.to_owned() }
        })
        .collect();
    versions.sort_unstable();
    let established = condition(row, "Established").is_some_and(|condition| condition["status"] == "True");
    row![
        row.name(),
        row.text("spec.scope"),
        versions.join(","),
        row.text("metadata.creationTimestamp"),
        row.text("spec.group"),
        row.text("spec.names.kind"),
        texts(row.at("spec.names.shortNames")).join(","),
        established,
    ]
}

pub(super) fn event(row: &Row<'_>) -> Vec<Value> {
    let first = match row.text("firstTimestamp") {
        "" => row.since("eventTime"),
        _ => row.since("firstTimestamp"),
    };
    let (last, count) = if !row.at("series").is_null() {
        (row.since("series.lastObservedTime"), row.number("series.count"))
    } else if row.text("lastTimestamp").is_empty() {
        (first.clone(), row.number("count").max(1))
    } else {
        (row.since("lastTimestamp"), row.number("count").max(1))
    };
    let kind = row.text("involvedObject.kind").to_lowercase();
    let target = match row.text("involvedObject.name") {
        "" => kind,
        name => format!("{kind}/{name}"),
    };
    let component = row.text_or("source.component", row.text("reportingComponent"));
    let source = match row.text_or("source.host", row.text("reportingInstance")) {
        "" => component.to_owned(),
        host => format!("{component}, {host}"),
    };
    row![
        last,
        row.text("type"),
        row.text("reason"),
        target,
        row.text("involvedObject.fieldPath"),
        source,
        row.text("message").trim(),
        first,
        count,
        row.name(),
    ]
}
