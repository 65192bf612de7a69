//! Health of an Application that another Application manages: it is healthy once what it describes now is
//! synced and healthy, so that waves over applications wait for the new state, never for the old one.

use serde_json::Value;

use super::{Health, HealthCode, text};

pub(super) fn application(object: &Value) -> Health {
    let status = &object["status"];
    let phase = text(&status["operationState"]["phase"]);
    if object.get("operation").is_some_and(Value::is_object) || matches!(phase, "Running" | "Terminating") {
        return Health::progressing("a sync is running");
    }
    let [sync, health] = ["sync", "health"].map(|name| text(&status[name]["status"]));
    if sync.is_empty() || health.is_empty() || !is_compared(object) {
        return Health::progressing("the application has not been compared yet");
    }
    let because = |what: String| match text(&status["health"]["message"]) {
        "" => what,
        message => format!("{what}: {message}"),
    };
    match (sync, health) {
        ("Unknown", _) => Health::unknown("the application could not be compared"),
        (_, "Degraded") => Health::degraded(because("the application is Degraded".into())),
        (_, "Unknown") => Health::unknown(because("the application's health is Unknown".into())),
        ("Synced", "Healthy") => Health::healthy(),
        ("Synced", "Suspended") => {
            Health::new(HealthCode::Suspended, because("the application is Suspended".into()))
        }
        (_, _) if matches!(phase, "Failed" | "Error") && sync != "Synced" => {
            Health::degraded(format!("the last sync failed: {}", text(&status["operationState"]["message"])))
        }
        (sync, health) => Health::progressing(because(format!("the application is {sync} and {health}"))),
    }
}

/// Says whether the last comparison was of the sources and destination that the application has now. Only
/// fields are compared that are stored as they are written.
fn is_compared(object: &Value) -> bool {
    let (spec, compared) = (&object["spec"], &object["status"]["sync"]["comparedTo"]);
    let fields = |value: &Value, names: &[&str]| -> Vec<String> {
        names.iter().map(|name| text(&value[*name]).to_owned()).collect()
    };
    let sources = |value: &Value| -> Vec<Vec<String>> {
        let several = value["sources"].as_array().filter(|sources| !sources.is_empty());
        let all = several.cloned().unwrap_or_else(|| vec![value["source"].clone()]);
        all.iter()
            .map(|source| fields(source, &["repoURL", "path", "chart", "targetRevision", "ref"]))
            .collect()
    };
    let place = |value: &Value| fields(&value["destination"], &["namespace"]);
    !compared.is_object() || sources(spec) == sources(compared) && place(spec) == place(compared)
}
