//! `CronJobs`: a Job each time their schedule says so.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};
use serde_json::{Value, json};

use super::act::{Act, Deletion, MANAGER, Plan};
use super::fields::{
    compact, controller_reference, count_or, holds, is_leaving, list, name, namespace, stamp, text, time, uid,
};

const SOURCE: &str = "cronjob-controller";

/// Decides what a `CronJob` needs. `jobs` are its own.
pub(super) fn plan(cron: &Value, jobs: &[Value], now: Timestamp) -> Plan {
    let mut plan = Plan::nothing();
    let is_over = |job: &Value| holds(job, "Complete") || holds(job, "Failed");
    let known = |job: &Value| list(cron, "/status/active").iter().any(|active| active["uid"] == *uid(job));
    let mut status = cron["status"].clone();
    for job in jobs.iter().filter(|job| is_over(job) && known(job)) {
        let end = if holds(job, "Complete") { "Complete" } else { "Failed" };
        let message = format!("Saw completed job: {}, condition: {end}", name(job));
        plan.push(Act::normal(cron, SOURCE, "SawCompletedJob", message));
    }
    let done = jobs
        .iter()
        .filter(|job| holds(job, "Complete"))
        .filter_map(|job| job["status"]["completionTime"].as_str());
    if let Some(last) = done.max().filter(|last| *last > text(cron, "/status/lastSuccessfulTime")) {
        status["lastSuccessfulTime"] = last.into();
    }
    let mut active: Vec<_> = jobs.iter().filter(|job| !is_over(job)).map(reference).collect();
    forget(&mut plan, cron, jobs, ("Complete", count_or(cron, "/spec/successfulJobsHistoryLimit", 3)));
    forget(&mut plan, cron, jobs, ("Failed", count_or(cron, "/spec/failedJobsHistoryLimit", 1)));
    let is_off = is_leaving(cron) || cron["spec"]["suspend"] == true;
    if let Some(schedule) = Schedule::parse(text(cron, "/spec/schedule")).filter(|_| !is_off) {
        let zone = TimeZone::get(text(cron, "/spec/timeZone")).unwrap_or(TimeZone::UTC);
        let since =
            time(cron, "/status/lastScheduleTime").or_else(|| time(cron, "/metadata/creationTimestamp"));
        let due = schedule.last_between(since.unwrap_or(now), now, &zone);
        let forbids = text(cron, "/spec/concurrencyPolicy") == "Forbid" && !active.is_empty();
        let late = cron["spec"]["startingDeadlineSeconds"].as_i64();
        let is_missed = |due: &Timestamp| late.is_some_and(|late| now.duration_since(*due).as_secs() > late);
        if let Some(due) = due.filter(|due| !forbids && !is_missed(due)) {
            if text(cron, "/spec/concurrencyPolicy") == "Replace" {
                for job in jobs.iter().filter(|job| !is_over(job) && !is_leaving(job)) {
                    plan.push(Act::Delete(job.clone(), Deletion::Propagate("Background")));
                }
                active.clear();
            }
            let job = job_of(cron, due);
            if !jobs.iter().any(|known| name(known) == name(&job)) {
                let message = format!("Created job {}", name(&job));
                plan.push(Act::Create(job));
                plan.push(Act::normal(cron, SOURCE, "SuccessfulCreate", message));
            }
            status["lastScheduleTime"] = stamp(due);
        }
        if let Some(next) = schedule.next_after(now, &zone) {
            plan.after(
                Duration::try_from(next.duration_since(now)).unwrap_or_default() + Duration::from_millis(1),
            );
        }
    }
    status["active"] = active.into();
    plan.status(MANAGER, cron, compact(status, &[]));
    plan
}

fn reference(job: &Value) -> Value {
    json!({
        "apiVersion": "batch/v1", "kind": "Job", "namespace": namespace(job), "name": name(job), "uid": uid(job),
        "resourceVersion": job["metadata"]["resourceVersion"],
    })
}

/// Deletes the oldest finished Jobs beyond the limit.
fn forget(plan: &mut Plan, cron: &Value, jobs: &[Value], (end, limit): (&str, i64)) {
    let mut over: Vec<_> = jobs.iter().filter(|job| holds(job, end) && !is_leaving(job)).collect();
    over.sort_by_key(|job| text(job, "/status/startTime").to_owned());
    let surplus = over.len().saturating_sub(usize::try_from(limit).unwrap_or_default());
    for job in over.into_iter().take(surplus) {
        plan.push(Act::Delete(job.clone(), Deletion::Propagate("Background")));
        plan.push(Act::normal(cron, SOURCE, "SuccessfulDelete", format!("Deleted job {}", name(job))));
    }
}

fn job_of(cron: &Value, due: Timestamp) -> Value {
    let template = &cron["spec"]["jobTemplate"];
    let mut annotations = template["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
    annotations.insert("batch.kubernetes.io/cronjob-scheduled-timestamp".into(), stamp(due));
    let mut metadata = json!({
        "name": format!("{}-{}", name(cron), due.as_second() / 60), "namespace": namespace(cron),
        "annotations": annotations, "ownerReferences": [controller_reference(cron)],
    });
    if template["metadata"]["labels"].is_object() {
        metadata["labels"] = template["metadata"]["labels"].clone();
    }
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"]})
}

/// When a `CronJob` is due: minutes, hours, days of the month, months and days of the week, as bits.
#[derive(Debug, PartialEq)]
struct Schedule {
    fields: [u64; 5],
    /// Whether days of the month and of the week both restrict: then either is enough.
    either_day: bool,
}

const RANGES: [(u32, u32); 5] = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)];
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Schedule {
    fn parse(text: &str) -> Option<Self> {
        let text = match text.trim() {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            other => other,
        };
        let parts: Vec<_> = text.split_whitespace().collect();
        let parts: [&str; 5] = parts.try_into().ok()?;
        let mut fields = [0; 5];
        for (at, part) in parts.iter().enumerate() {
            fields[at] = field(part, at)?;
        }
        // Sunday is 0 as well as 7.
        fields[4] = (fields[4] | (fields[4] >> 7)) & 0x7f;
        let is_open = |at: usize| parts[at].starts_with(['*', '?']);
        Some(Self { fields, either_day: !is_open(2) && !is_open(4) })
    }

    fn fits(&self, at: &Zoned) -> bool {
        let has = |field: usize, value: i8| self.fields[field] >> u8::try_from(value).unwrap_or(63) & 1 == 1;
        let (month_day, week_day) = (has(2, at.day()), has(4, at.weekday().to_sunday_zero_offset()));
        let day = if self.either_day { month_day || week_day } else { month_day && week_day };
        day && has(3, at.month()) && has(1, at.hour()) && has(0, at.minute())
    }

    /// The last due time after `since`, up to `now`. Looks back a day at most.
    fn last_between(&self, since: Timestamp, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut minute = Timestamp::from_second(now.as_second() / 60 * 60).ok()?;
        for _ in 0..1440 {
            if minute <= since {
                return None;
            }
            if self.fits(&minute.to_zoned(zone.clone())) {
                return Some(minute);
            }
            minute = minute.checked_sub(Span::new().minutes(1)).ok()?;
        }
        None
    }

    /// The first due time after `now`. Looks a day ahead; after that it is time to look again.
    fn next_after(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut minute = Timestamp::from_second(now.as_second() / 60 * 60).ok()?;
        for _ in 0..1440 {
            minute = minute.checked_add(Span::new().minutes(1)).ok()?;
            if self.fits(&minute.to_zoned(zone.clone())) {
                return Some(minute);
            }
        }
        Some(minute)
    }
}

fn field(text: &str, at: usize) -> Option<u64> {
    let (least, most) = RANGES[at];
    let number = |text: &str| -> Option<u32> {
        let lower = text.to_lowercase();
        let named = match at {
            3 => MONTHS.iter().position(|name| *name == lower).map(|found| found + 1),
            4 => DAYS.iter().position(|name| *name == lower),
            _ => None,
        };
        named.and_then(|found| u32::try_from(found).ok()).or_else(|| text.parse().ok())
    };
    let mut bits = 0;
    for part in text.split(',') {
        let (range, step) = part.split_once('/').unwrap_or((part, "1"));
        let step: u32 = step.parse().ok().filter(|step| *step > 0)?;
        let (from, to) = match range.split_once('-') {
            _ if matches!(range, "*" | "?") => (least, if at == 4 { 6 } else { most }),
            Some((from, to)) => (number(from)?, number(to)?),
            None if part.contains('/') => (number(range)?, most),
            None => (number(range)?, number(range)?),
        };
        if from < least || to > most || from > to {
            return None;
        }
        (from..=to).step_by(step as usize).for_each(|value| bits |= 1_u64 << value);
    }
    Some(bits)
}
