//! Whether a live object works. One rule per kind, after the rules of Argo CD (`gitops-engine/pkg/health`)
//! without their known defects; kinds without a rule have no health and do not count.

mod app;
mod autoscaling;
mod batch;
mod extension;
mod network;
mod pod;
mod volume;
mod workload;

use serde_json::Value;

use crate::api::application::HealthCode;
use crate::manifest::Gvk;

/// How an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The answer.
    pub code: HealthCode,
    /// Why; may be empty.
    pub message: String,
}

impl Health {
    fn new(code: HealthCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    fn healthy() -> Self {
        Self::new(HealthCode::Healthy, "")
    }

    fn progressing(message: impl Into<String>) -> Self {
        Self::new(HealthCode::Progressing, message)
    }

    fn degraded(message: impl Into<String>) -> Self {
        Self::new(HealthCode::Degraded, message)
    }

    fn unknown(message: impl Into<String>) -> Self {
        Self::new(HealthCode::Unknown, message)
    }
}

/// Judges a live object; `None` where its kind has no rule. An object that is being deleted is on its way,
/// whatever its kind.
#[must_use]
pub fn of(object: &Value) -> Option<Health> {
    if !object["metadata"]["deletionTimestamp"].is_null() {
        return Some(Health::progressing("being deleted"));
    }
    let gvk = Gvk::new(object["apiVersion"].as_str()?, object["kind"].as_str()?);
    rule(&gvk).map(|rule| rule(object))
}

/// Says whether objects of the kind have a health, so that a missing one counts as Missing.
#[must_use]
pub fn has_check(gvk: &Gvk) -> bool {
    rule(gvk).is_some()
}

/// Returns the worst of the codes; Healthy where there are none.
#[must_use]
pub fn worst(codes: impl IntoIterator<Item = HealthCode>) -> HealthCode {
    codes.into_iter().max().unwrap_or(HealthCode::Healthy)
}

type Rule = fn(&Value) -> Health;

fn rule(gvk: &Gvk) -> Option<Rule> {
    Some(match (&*gvk.group, &*gvk.kind) {
        ("", "PersistentVolumeClaim") => volume::claim,
        ("", "Pod") => pod::pod,
        ("", "Service") => network::service,
        ("apiextensions.k8s.io", "CustomResourceDefinition") => extension::definition,
        ("apiregistration.k8s.io", "APIService") => extension::api_service,
        ("apps", "DaemonSet") => workload::daemon_set,
        ("apps", "Deployment") => workload::deployment,
        ("apps", "ReplicaSet") => workload::replica_set,
        ("apps", "StatefulSet") => workload::stateful_set,
        ("argoproj.io", "Workflow") => batch::workflow,
        ("autoscaling", "HorizontalPodAutoscaler") => autoscaling::pod_autoscaler,
        ("batch", "CronJob") => batch::cron_job,
        ("batch", "Job") => batch::job,
        ("extensions" | "networking.k8s.io", "Ingress") => network::ingress,
        ("gitops", "Application") => app::application,
        ("policy", "PodDisruptionBudget") => autoscaling::disruption_budget,
        _ => return None,
    })
}

/// Reads a counter; counters that are zero are left out by most servers.
fn count(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

/// Reads a text; empty where there is none.
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Says whether the object's controller has not seen its latest `spec` yet, so that `status` is old.
fn is_unobserved(object: &Value) -> bool {
    count(&object["metadata"]["generation"]) > count(&object["status"]["observedGeneration"])
}

/// Returns the items of `status.conditions`.
fn conditions(object: &Value) -> &[Value] {
    object["status"]["conditions"].as_array().map_or(&[], Vec::as_slice)
}

/// Returns the condition of the type, if it has the status `True`.
fn holds<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    conditions(object).iter().find(|condition| condition["type"] == kind && condition["status"] == "True")
}

/// Writes a condition's reason and message in one line.
fn explanation(condition: &Value) -> String {
    let parts = [text(&condition["reason"]), text(&condition["message"])];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests;
