//! One pass over one application: look, decide, act, record. Safe to repeat at any point.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::runtime::controller::Action;

use super::fetch::{self, Demand};
use super::memory::Remembered;
use super::operate::Advanced;
use super::record::{self, Refresh};
use super::resolve::{self, Resolved};
use super::{Context, Error, compare, delete, operate};
use crate::api::application::{Application, ApplicationSource, ApplicationStatus};
use crate::api::names;
use crate::engine::automation::{self, Decision};
use crate::engine::operation::{self, Sources, Standing};
use crate::engine::status::{self, Condition, ConditionKind, Findings};

/// Longest pause after failures that lie outside the application, in seconds.
const LONGEST_PAUSE: u64 = 60;

/// Reconciles one application.
pub(super) async fn application(seen: Arc<Application>, context: Arc<Context>) -> Result<Action, Error> {
    let memory = context.memory.of(&seen);
    let mut memory = memory.lock().await;
    let application = memory.newest(seen);
    if application.metadata.deletion_timestamp.is_some() {
        return delete::application(&context, &mut memory, &application).await;
    }
    if skipped(&application) {
        return Ok(Action::await_change());
    }
    let (project, name) = (application.metadata.namespace.clone(), application.metadata.name.clone());
    tracing::debug!(project, name, version = application.metadata.resource_version, "looking");
    let next = pass(&context, &mut memory, application).await?;
    memory.failures = 0;
    tracing::debug!(project, name, ?next, "looked");
    Ok(next)
}

/// Decides how long to wait after a failure that lies outside the application.
#[expect(clippy::needless_pass_by_value, reason = "the signature is kube's")]
pub(super) fn again(application: Arc<Application>, error: &Error, context: Arc<Context>) -> Action {
    let memory = context.memory.of(&application);
    let failures = match memory.try_lock() {
        Ok(mut memory) => {
            memory.failures = memory.failures.saturating_add(1);
            memory.failures
        }
        Err(_) => 1,
    };
    let name = application.metadata.name.as_deref().unwrap_or_default();
    let project = application.metadata.namespace.as_deref().unwrap_or_default();
    tracing::warn!(project, name, %error, failures, "cannot reconcile the application; trying again");
    Action::requeue(Duration::from_secs((1 << failures.min(6)).min(LONGEST_PAUSE)))
}

fn skipped(application: &Application) -> bool {
    let annotations = application.metadata.annotations.as_ref();
    let skip = annotations.and_then(|annotations| annotations.get(names::ARGO_SKIP_RECONCILE_ANNOTATION));
    skip.is_some_and(|value| value == "true")
}

async fn pass(
    context: &Context,
    memory: &mut Remembered,
    application: Arc<Application>,
) -> Result<Action, Error> {
    let refresh = Refresh::of(&application);
    let demand = match &refresh {
        // Sources that were never compared deserve to be looked up, whatever others just learned.
        None if !resolve::compared(&application) => Demand::Now,
        None => Demand::Recent,
        Some(refresh) if refresh.is_hard() => Demand::Anew,
        Some(_) => Demand::Now,
    };
    let before = status::of(&application);
    let (application, after, next) = match resolve::resolve(context, &application) {
        Err(conditions) => {
            let after = status::failed(&before, &application.spec, &conditions, context.now());
            let application = operate::refuse(context, memory, application, &conditions).await?;
            let operation_state = status::of(&application).operation_state;
            (application, ApplicationStatus { operation_state, ..after }, None)
        }
        Ok(resolved) => sync(context, memory, application, &resolved, demand).await?,
    };
    record::record(context, memory, &application, after, refresh).await?;
    Ok(match next {
        Some(next) => Action::requeue(until(next, context.now())),
        None => Action::requeue(poll(context, &application)),
    })
}

type Passed = (Arc<Application>, ApplicationStatus, Option<Timestamp>);

/// Works on operations and compares, until nothing is left to do now.
async fn sync(
    context: &Context,
    memory: &mut Remembered,
    application: Arc<Application>,
    resolved: &Resolved,
    demand: Demand,
) -> Result<Passed, Error> {
    let mut advanced = match operate::operate(context, memory, &application, resolved, demand).await? {
        Some(advanced) => advanced,
        None => Advanced::as_stored(application, None),
    };
    if demand != Demand::Recent {
        advanced = record::catch_up(context, memory, advanced).await?; // Git may take its time
    }
    let (mut advanced, mut found) = look_after(context, memory, advanced, resolved, demand).await?;
    if let Standing::Idle = operation::standing(&advanced.application)
        && let Some(decision) = found.decision.take()
    {
        match decision {
            Decision::Rest => (),
            Decision::Later(at) => advanced.next = earlier(advanced.next, Some(at)),
            Decision::Blocked { reason, until } => {
                found.conditions.push(Condition { kind: ConditionKind::SyncError, message: reason });
                found.after = look_again(&advanced.application, &found, context.now());
                advanced.next = earlier(advanced.next, until);
            }
            Decision::Sync(operation) => {
                let Advanced { stored, next, .. } = record::catch_up(context, memory, advanced).await?;
                let wanted = resolve::wanted_by_spec(&stored);
                let started =
                    operate::begin(context, memory, &stored, found.after, operation, &wanted).await?;
                let operated = operate::operate(context, memory, &started, resolved, Demand::Recent).await?;
                advanced = operated.unwrap_or_else(|| Advanced::as_stored(started, None));
                advanced.next = earlier(advanced.next, next);
                (advanced, found) = look_after(context, memory, advanced, resolved, Demand::Recent).await?;
            }
        }
    }
    Ok((advanced.stored, found.after, advanced.next))
}

/// Looks at what an operation left. Where that fails, what the operation came to is stored all the same.
async fn look_after(
    context: &Context,
    memory: &mut Remembered,
    advanced: Advanced,
    resolved: &Resolved,
    demand: Demand,
) -> Result<(Advanced, Look), Error> {
    match look(context, memory, &advanced.application, resolved, demand).await {
        Ok(found) => Ok((advanced, found)),
        Err(error) => {
            record::catch_up(context, memory, advanced).await?;
            Err(error)
        }
    }
}

/// What a look at the application tells.
struct Look {
    after: ApplicationStatus,
    conditions: Vec<Condition>,
    decision: Option<Decision>,
}

/// Compares the application's target with what is live.
async fn look(
    context: &Context,
    memory: &mut Remembered,
    application: &Application,
    resolved: &Resolved,
    demand: Demand,
) -> Result<Look, Error> {
    let before = status::of(application);
    let wanted = resolve::wanted_by_spec(application);
    let fetched = match fetch::fetch(context, memory, &resolved.subject, &wanted, demand).await {
        Ok(fetched) => fetched,
        Err(condition) => {
            let conditions = vec![condition];
            let after = status::failed(&before, &application.spec, &conditions, context.now());
            return Ok(Look { after, conditions, decision: None });
        }
    };
    let desired = compare::desired(context, resolved, application, fetched.manifests).await?;
    let rules = &application.spec.ignore_differences;
    let (comparison, mut conditions) = compare::compare(context, memory, resolved, rules, &desired).await;
    conditions.extend(
        fetched
            .warnings
            .into_iter()
            .map(|message| Condition { kind: ConditionKind::UnsupportedWarning, message }),
    );
    let sources: Vec<&ApplicationSource> = wanted.0.iter().collect();
    let findings = Findings {
        spec: &application.spec,
        revisions: &fetched.revisions,
        sources: Sources(&sources),
        source_types: &fetched.source_types,
        comparison: &comparison,
        conditions: &conditions,
    };
    let now = context.now();
    let after = status::compared(&before, &findings, now);
    let last = before.operation_state.as_ref();
    let complete = !conditions.iter().any(|condition| condition.kind == ConditionKind::ComparisonError);
    let decision = complete.then(|| {
        automation::decide(&resolved.subject, &comparison, &fetched.revisions, Sources(&sources), last, now)
    });
    Ok(Look { after, conditions, decision })
}

/// The same status with the conditions that were found since.
fn look_again(application: &Application, look: &Look, now: Timestamp) -> ApplicationStatus {
    let before = status::of(application);
    status::with_conditions(look.after.clone(), &before, &look.conditions, now)
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}

fn until(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or_default().max(Duration::from_millis(10))
}

/// The poll interval, a little longer for each application in its own way, so that they do not all ask
/// at once.
fn poll(context: &Context, application: &Application) -> Duration {
    let interval = context.parts.settings.poll_interval;
    let uid = application.metadata.uid.as_deref().unwrap_or_default();
    let share = uid.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte))) % 100;
    interval + interval.mul_f64(f64::from(share) / 1000.0)
}
