//! Health of work that ends: `Job`, `CronJob`, Argo's `Workflow`.

use serde_json::Value;

use super::{Health, HealthCode, holds, text};

/// Argo CD takes any `Suspended` condition as a sign of completion; here a resumed Job is still running.
pub(super) fn job(object: &Value) -> Health {
    if let Some(failed) = holds(object, "Failed") {
        return Health::degraded(super::explanation(failed));
    }
    if holds(object, "Complete").is_some() {
        return Health::healthy();
    }
    if holds(object, "Suspended").is_some() {
        return Health::new(HealthCode::Suspended, "the Job is suspended");
    }
    Health::progressing("the Job is running")
}

pub(super) fn cron_job(object: &Value) -> Health {
    let Some(status) = object.get("status") else {
        return Health::progressing("waiting for the controller to see the CronJob");
    };
    if object["spec"]["suspend"] == true {
        return Health::new(HealthCode::Healthy, "the schedule is suspended");
    }
    if status["active"].as_array().is_some_and(|jobs| !jobs.is_empty()) {
        return Health::new(HealthCode::Healthy, "a Job is running");
    }
    // Times of one format and zone, which order as text.
    let [scheduled, succeeded] = ["lastScheduleTime", "lastSuccessfulTime"].map(|name| text(&status[name]));
    if succeeded.is_empty() {
        return Health::new(HealthCode::Healthy, "no Job has succeeded yet");
    }
    if succeeded < scheduled {
        return Health::degraded("the last Job did not succeed");
    }
    Health::healthy()
}

pub(super) fn workflow(object: &Value) -> Health {
    let message = text(&object["status"]["message"]);
    match text(&object["status"]["phase"]) {
        "" | "Pending" | "Running" => Health::progressing(message),
        "Succeeded" => Health::new(HealthCode::Healthy, message),
        "Failed" | "Error" => Health::degraded(message),
        phase => Health::unknown(format!("phase `{phase}`")),
    }
}
