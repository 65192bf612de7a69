//! Jobs: pods that run to their end, as many as are to succeed, and not more failures than allowed.
//!
//! Pods are counted as they are: there are no tracking finalizers, so a finished pod that somebody deletes
//! before its Job is over runs again. Pod failure policies, success policies and back-off limits per index
//! are not looked at.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::act::{Act, Deletion, MANAGER, Plan};
use super::fields::{
    annotation, compact, condition, count, count_or, holds, is_leaving, list, name, put_condition, stamp,
    text, time,
};
use super::replica_set::{is_active, is_terminating, pod_of};

const SOURCE: &str = "job-controller";
const INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// Decides what a Job needs. A failed pod is replaced after `backoff`, which doubles with each failure.
pub(super) fn plan(job: &Value, pods: &[Value], backoff: Duration, now: Timestamp) -> Plan {
    if holds(job, "Complete") || holds(job, "Failed") {
        return after_the_end(job, now);
    }
    let mut job = Job { object: job, pods, conditions: list(job, "/status/conditions").to_vec(), now };
    let mut plan = Plan::nothing();
    if is_leaving(job.object) {
        job.status(&mut plan, None);
        return plan;
    }
    if let Some((reason, message)) = job.failure(&mut plan) {
        job.fail(&mut plan, reason, message);
    } else if job.is_complete() {
        job.complete(&mut plan);
    } else if job.object["spec"]["suspend"] == true {
        job.suspend(&mut plan);
    } else {
        job.run(&mut plan, backoff);
    }
    plan
}

/// A finished Job goes `ttlSecondsAfterFinished` after its end.
fn after_the_end(job: &Value, now: Timestamp) -> Plan {
    let mut plan = Plan::nothing();
    let Some(ttl) = job["spec"]["ttlSecondsAfterFinished"].as_i64().filter(|_| !is_leaving(job)) else {
        return plan;
    };
    let finished = condition(job, "Complete").or_else(|| condition(job, "Failed"));
    let end = finished.and_then(|finished| time(finished, "/lastTransitionTime")).unwrap_or(now);
    let left = ttl - now.duration_since(end).as_secs();
    if left <= 0 {
        plan.push(Act::Delete(job.clone(), Deletion::Propagate("Foreground")));
    } else {
        plan.after(Duration::from_secs(u64::try_from(left).unwrap_or_default()));
    }
    plan
}

struct Job<'a> {
    object: &'a Value,
    pods: &'a [Value],
    conditions: Vec<Value>,
    now: Timestamp,
}

impl Job<'_> {
    fn in_phase(&self, phase: &str) -> impl Iterator<Item = &Value> {
        self.pods.iter().filter(move |pod| text(pod, "/status/phase") == phase)
    }

    fn active(&self) -> impl Iterator<Item = &Value> {
        self.pods.iter().filter(|pod| is_active(pod))
    }

    fn failed(&self) -> usize {
        self.in_phase("Failed").count()
    }

    fn succeeded(&self) -> i64 {
        let indexes = self.is_indexed().then(|| self.done_indexes().len());
        i64::try_from(indexes.unwrap_or_else(|| self.in_phase("Succeeded").count())).unwrap_or(i64::MAX)
    }

    fn is_indexed(&self) -> bool {
        text(self.object, "/spec/completionMode") == "Indexed"
    }

    fn done_indexes(&self) -> BTreeSet<i64> {
        let done = self.in_phase("Succeeded").filter_map(|pod| annotation(pod, INDEX).parse().ok());
        done.filter(|index| *index < count(self.object, "/spec/completions")).collect()
    }

    fn is_complete(&self) -> bool {
        match self.object["spec"]["completions"].as_i64() {
            Some(wanted) => self.succeeded() >= wanted,
            // A work queue: over when one pod succeeded and all have ended.
            None => self.succeeded() > 0 && self.active().next().is_none(),
        }
    }

    /// Why the Job has failed, if it has.
    fn failure(&self, plan: &mut Plan) -> Option<(&'static str, &'static str)> {
        if let Some(known) = self.conditions.iter().find(|known| known["type"] == "FailureTarget") {
            return Some(if known["reason"] == "DeadlineExceeded" { DEADLINE } else { LIMIT });
        }
        let limit = count_or(self.object, "/spec/backoffLimit", 6);
        let restarts = || {
            let each = |pod: &Value| -> i64 {
                list(pod, "/status/containerStatuses").iter().map(|it| count(it, "/restartCount")).sum()
            };
            self.active().filter(|pod| text(pod, "/status/phase") == "Running").map(each).sum::<i64>()
        };
        let on_failure = text(self.object, "/spec/template/spec/restartPolicy") == "OnFailure";
        if i64::try_from(self.failed()).is_ok_and(|failed| failed > limit)
            || (on_failure && restarts() > limit)
        {
            return Some(LIMIT);
        }
        let deadline = self.object["spec"]["activeDeadlineSeconds"].as_i64()?;
        let left = deadline - self.now.duration_since(time(self.object, "/status/startTime")?).as_secs();
        if left <= 0 {
            return Some(DEADLINE);
        }
        plan.after(Duration::from_secs(u64::try_from(left).unwrap_or_default()));
        None
    }

    fn fail(&mut self, plan: &mut Plan, reason: &str, message: &str) {
        self.delete_active(plan);
        self.put("FailureTarget", "True", (reason, message));
        if self.active().next().is_none() && !self.pods.iter().any(is_terminating) {
            self.put("Failed", "True", (reason, message));
            let reason = if reason == LIMIT.0 { LIMIT.0 } else { DEADLINE.0 };
            plan.push(Act::warning(self.object, SOURCE, reason, message.into()));
        }
        self.status(plan, None);
    }

    fn complete(&mut self, plan: &mut Plan) {
        const WHY: (&str, &str) = ("CompletionsReached", "Reached expected number of succeeded pods");
        self.delete_active(plan);
        self.put("SuccessCriteriaMet", "True", WHY);
        if self.active().next().is_none() && !self.pods.iter().any(is_terminating) {
            self.put("Complete", "True", WHY);
            plan.push(Act::normal(self.object, SOURCE, "Completed", "Job completed".into()));
            return self.status(plan, Some(self.now));
        }
        self.status(plan, None);
    }

    fn suspend(&mut self, plan: &mut Plan) {
        self.delete_active(plan);
        if self.put("Suspended", "True", ("JobSuspended", "Job suspended")) {
            plan.push(Act::normal(self.object, SOURCE, "Suspended", "Job suspended".into()));
        }
        self.status(plan, None);
    }

    fn run(&mut self, plan: &mut Plan, backoff: Duration) {
        let was_suspended =
            self.conditions.iter().any(|known| known["type"] == "Suspended" && known["status"] == "True");
        if was_suspended && self.put("Suspended", "False", ("JobResumed", "Job resumed")) {
            plan.push(Act::normal(self.object, SOURCE, "Resumed", "Job resumed".into()));
        }
        let parallelism = count_or(self.object, "/spec/parallelism", 1);
        let active = i64::try_from(self.active().count()).unwrap_or(i64::MAX);
        let open = self.object["spec"]["completions"].as_i64().map(|wanted| wanted - self.succeeded());
        // A work queue starts no new pods once one of them has succeeded.
        let wanted = open
            .map_or(if self.succeeded() > 0 { active } else { parallelism }, |open| open.min(parallelism));
        let terminating =
            i64::try_from(self.pods.iter().filter(|pod| is_terminating(pod)).count()).unwrap_or(0);
        let replaces_failed = text(self.object, "/spec/podReplacementPolicy") == "Failed";
        let missing = wanted - active - if replaces_failed { terminating } else { 0 };
        for pod in self.active().take(usize::try_from(-missing).unwrap_or_default()) {
            delete(plan, self.object, pod);
        }
        if missing > 0 {
            let wait = self.wait(backoff);
            if wait.is_zero() {
                self.create(plan, missing);
            } else {
                plan.after(wait);
            }
        }
        self.status(plan, None);
    }

    /// How long the next pod must wait because of those that failed.
    fn wait(&self, backoff: Duration) -> Duration {
        let failures = u32::try_from(self.failed()).unwrap_or(u32::MAX);
        let ends = self.in_phase("Failed").filter_map(|pod| {
            let finished = |it: &Value| time(it, "/state/terminated/finishedAt");
            list(pod, "/status/containerStatuses").iter().filter_map(finished).max()
        });
        let Some(last) = ends.max() else { return Duration::ZERO };
        let whole = backoff
            .saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)))
            .min(Duration::from_mins(10));
        let passed = Duration::try_from(self.now.duration_since(last)).unwrap_or_default();
        whole.saturating_sub(passed)
    }

    fn create(&self, plan: &mut Plan, missing: i64) {
        let template = &self.object["spec"]["template"];
        if !self.is_indexed() {
            (0..missing).for_each(|_| plan.push(Act::Create(pod_of(self.object, template))));
            return;
        }
        let mut taken = self.done_indexes();
        taken.extend(self.active().filter_map(|pod| annotation(pod, INDEX).parse::<i64>().ok()));
        let open = (0..count(self.object, "/spec/completions")).filter(|index| !taken.contains(index));
        for index in open.take(usize::try_from(missing).unwrap_or_default()) {
            plan.push(Act::Create(indexed(pod_of(self.object, template), name(self.object), index)));
        }
    }

    fn delete_active(&self, plan: &mut Plan) {
        self.active().for_each(|pod| delete(plan, self.object, pod));
    }

    /// Sets a condition; says whether that changes anything.
    fn put(&mut self, kind: &str, status: &str, (reason, message): (&str, &str)) -> bool {
        if self.conditions.iter().any(|known| known["type"] == kind && known["status"] == status) {
            return false;
        }
        let now = stamp(self.now);
        put_condition(
            &mut self.conditions,
            json!({"type": kind, "status": status, "lastProbeTime": now, "lastTransitionTime": now,
                "reason": reason, "message": message}),
        );
        true
    }

    fn status(&self, plan: &mut Plan, completion: Option<Timestamp>) {
        let old = &self.object["status"];
        let is_suspended = self.object["spec"]["suspend"] == true;
        let start = match &old["startTime"] {
            _ if is_suspended => Value::Null,
            Value::Null => stamp(self.now),
            known => known.clone(),
        };
        let ready = self.active().filter(|pod| holds(pod, "Ready")).count();
        let status = json!({
            "conditions": self.conditions, "startTime": start, "completionTime": completion.map(stamp),
            "active": self.active().count(), "succeeded": self.succeeded(), "failed": self.failed(),
            "terminating": self.pods.iter().filter(|pod| is_terminating(pod)).count(), "ready": ready,
            "completedIndexes": self.is_indexed().then(|| ranges(&self.done_indexes())),
            "uncountedTerminatedPods": {},
        });
        plan.status(MANAGER, self.object, compact(status, &["ready", "terminating"]));
    }
}

const LIMIT: (&str, &str) = ("BackoffLimitExceeded", "Job has reached the specified backoff limit");
const DEADLINE: (&str, &str) = ("DeadlineExceeded", "Job was active longer than specified deadline");

fn delete(plan: &mut Plan, job: &Value, pod: &Value) {
    plan.push(Act::Delete(pod.clone(), Deletion::Plain));
    plan.push(Act::normal(job, SOURCE, "SuccessfulDelete", format!("Deleted pod: {}", name(pod))));
}

fn indexed(mut pod: Value, job: &str, index: i64) -> Value {
    let text = Value::from(index.to_string());
    pod["metadata"]["generateName"] = format!("{job}-{index}-").into();
    pod["metadata"]["annotations"][INDEX] = text.clone();
    pod["metadata"]["labels"][INDEX] = text;
    pod["spec"]["hostname"] = format!("{job}-{index}").into();
    let path = format!("metadata.labels['{INDEX}']");
    let field = json!({"fieldRef": {"apiVersion": "v1", "fieldPath": path}});
    let variable = json!({"name": "JOB_COMPLETION_INDEX", "valueFrom": field});
    for kind in ["initContainers", "containers"] {
        for container in pod["spec"][kind].as_array_mut().into_iter().flatten() {
            let mut env = list(container, "/env").to_vec();
            env.push(variable.clone());
            container["env"] = env.into();
        }
    }
    pod
}

/// `0-2,4`.
fn ranges(indexes: &BTreeSet<i64>) -> String {
    let mut runs: Vec<(i64, i64)> = Vec::new();
    for index in indexes {
        match runs.last_mut() {
            Some(run) if run.1 + 1 == *index => run.1 = *index,
            _ => runs.push((*index, *index)),
        }
    }
    let told = runs.into_iter().map(|(from, to)| match to - from {
        0 => from.to_string(),
        1 => format!("{from},{to}"),
        _ => format!("{from}-{to}"),
    });
    told.collect::<Vec<_>>().join(",")
}
