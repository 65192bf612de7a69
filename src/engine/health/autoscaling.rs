//! Health of what watches over the number of pods.

use serde_json::Value;

use super::{Health, HealthCode, conditions, explanation, text};

/// Conditions that say an autoscaler cannot do its work, with their reasons.
const FAILURES: &[(&str, &[&str])] = &[
    ("AbleToScale", &["FailedGetScale", "FailedUpdateScale"]),
    (
        "ScalingActive",
        &[
            "FailedGetResourceMetric",
            "FailedGetObjectMetric",
            "FailedGetPodsMetric",
            "FailedGetExternalMetric",
            "FailedComputeMetricsReplicas",
            "InvalidSelector",
        ],
    ),
];

pub(super) fn pod_autoscaler(object: &Value) -> Health {
    let conditions = autoscaler_conditions(object);
    let fails = |condition: &&Value| {
        let named = |(kind, reasons): &(&str, &[&str])| {
            condition["type"] == *kind && reasons.contains(&text(&condition["reason"]))
        };
        FAILURES.iter().any(named)
    };
    if let Some(failure) = conditions.iter().find(fails) {
        return Health::degraded(text(&failure["message"]));
    }
    let works = |condition: &&Value| {
        matches!(text(&condition["type"]), "AbleToScale" | "ScalingLimited") && condition["status"] == "True"
    };
    match conditions.iter().find(works) {
        Some(condition) => Health::new(HealthCode::Healthy, text(&condition["message"])),
        None => Health::progressing("waiting for the autoscaler"),
    }
}

/// In `autoscaling/v1` the conditions are JSON in an annotation.
fn autoscaler_conditions(object: &Value) -> Vec<Value> {
    let annotation = &object["metadata"]["annotations"]["autoscaling.alpha.kubernetes.io/conditions"];
    match annotation.as_str() {
        Some(json) if object["apiVersion"] == "autoscaling/v1" => {
            serde_json::from_str(json).unwrap_or_default()
        }
        _ => conditions(object).to_vec(),
    }
}

/// Too few pods to disrupt any is what a budget is for, not a fault of it.
pub(super) fn disruption_budget(object: &Value) -> Health {
    let conditions = conditions(object);
    let fails =
        |condition: &&Value| condition["status"] == "False" && condition["reason"] != "InsufficientPods";
    match conditions.iter().find(fails) {
        Some(condition) => Health::degraded(explanation(condition)),
        None if conditions.is_empty() => Health::progressing("waiting for the controller to see the budget"),
        None => Health::healthy(),
    }
}
