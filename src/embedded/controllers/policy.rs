//! Disruption budgets and autoscalers. Nothing is measured, so an autoscaler only keeps its target within
//! its limits.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::act::{Act, MANAGER, Plan};
use super::fields::{Round, count_or, holds, is_leaving, list, put_condition, scaled, stamp, text};
use super::replica_set::is_over;

/// Decides what a `PodDisruptionBudget` says. `expected` is how many pods the owners of its pods want.
pub(super) fn budget(budget: &Value, pods: &[&Value], expected: i64, now: Timestamp) -> Plan {
    let counted = pods.iter().filter(|pod| !is_leaving(pod) && !is_over(pod));
    let healthy =
        i64::try_from(counted.clone().filter(|pod| holds(pod, "Ready")).count()).unwrap_or(i64::MAX);
    let present = i64::try_from(counted.count()).unwrap_or(i64::MAX);
    let unavailable = &budget["spec"]["maxUnavailable"];
    let (expected, desired) = if unavailable.is_null() {
        let least = &budget["spec"]["minAvailable"];
        let expected = if least.is_string() { expected } else { present };
        (expected, scaled(least, expected, Round::Up).unwrap_or(1))
    } else {
        (expected, expected - scaled(unavailable, expected, Round::Up).unwrap_or(1))
    };
    let desired = desired.max(0);
    let allowed = if expected <= 0 || healthy < desired { 0 } else { healthy - desired };
    let (status, reason) =
        if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
    let generation = &budget["metadata"]["generation"];
    let mut conditions = list(budget, "/status/conditions").to_vec();
    let new = json!({
        "type": "DisruptionAllowed", "status": status, "observedGeneration": generation,
        "lastTransitionTime": stamp(now), "reason": reason, "message": "",
    });
    put_condition(&mut conditions, new);
    let mut plan = Plan::nothing();
    let told = json!({
        "observedGeneration": generation, "disruptionsAllowed": allowed, "currentHealthy": healthy,
        "desiredHealthy": desired, "expectedPods": expected, "conditions": conditions,
    });
    plan.status(MANAGER, budget, told);
    plan
}

/// Decides what a `HorizontalPodAutoscaler` says: that it is content with what its target has.
pub(super) fn autoscaler(scaler: &Value, target: Option<&Value>, now: Timestamp) -> Plan {
    let mut conditions = list(scaler, "/status/conditions").to_vec();
    let mut put = |kind: &str, status: &str, reason: &str, message: &str| {
        let new = json!({
            "type": kind, "status": status, "lastTransitionTime": stamp(now), "reason": reason, "message": message,
        });
        put_condition(&mut conditions, new);
    };
    let mut status = json!({"observedGeneration": scaler["metadata"]["generation"]});
    let mut plan = Plan::nothing();
    if let Some(target) = target {
        let has = target["spec"]["replicas"].as_i64().unwrap_or(1);
        let (least, most) =
            (count_or(scaler, "/spec/minReplicas", 1), count_or(scaler, "/spec/maxReplicas", 1));
        let wanted = if has == 0 { 0 } else { has.clamp(least, most.max(least)) };
        if wanted != has && !is_leaving(target) && !is_leaving(scaler) {
            let mut target = target.clone();
            target["spec"]["replicas"] = wanted.into();
            plan.push(Act::Update(target));
            status["lastScaleTime"] = stamp(now);
        } else {
            status["lastScaleTime"] = scaler["status"]["lastScaleTime"].clone();
        }
        put("AbleToScale", "True", "ReadyForNewScale", "recommended size matches current size");
        if wanted == 0 {
            put(
                "ScalingActive",
                "False",
                "ScalingDisabled",
                "scaling is disabled since the replica count of the target is zero",
            );
        } else {
            put(
                "ScalingActive",
                "True",
                "ValidMetricFound",
                "the HPA was able to successfully calculate a replica count",
            );
            put(
                "ScalingLimited",
                "False",
                "DesiredWithinRange",
                "the desired count is within the acceptable range",
            );
        }
        status["currentReplicas"] = target["status"]["replicas"].as_i64().unwrap_or(0).into();
        status["desiredReplicas"] = wanted.into();
    } else {
        let (kind, named) =
            (text(scaler, "/spec/scaleTargetRef/kind"), text(scaler, "/spec/scaleTargetRef/name"));
        let message = format!(
            "the HPA controller was unable to get the target's current scale: {}s.apps {named:?} not found",
            kind.to_lowercase()
        );
        put("AbleToScale", "False", "FailedGetScale", &message);
        status["desiredReplicas"] = 0.into();
    }
    status["currentMetrics"] = scaler["status"]["currentMetrics"].clone();
    status["conditions"] = conditions.into();
    if let Some(status) = status.as_object_mut() {
        status.retain(|_, value| !value.is_null());
    }
    plan.status(MANAGER, scaler, status);
    plan
}
