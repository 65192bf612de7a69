//! The life of an operation: how it starts, is repeated and ends, as written in
//! `status.operationState`.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::subject::Subject;
use crate::api::application::{
    Application, ApplicationSource, Operation, OperationPhase, OperationState, ResourceResult, RetryStrategy,
    RevisionHistory, SyncOperation, SyncOperationResult,
};

/// Waiting time before the first repetition where the retry strategy does not say.
const RETRY_DURATION: SignedDuration = SignedDuration::from_secs(5);
/// Longest waiting time between repetitions where the retry strategy does not say.
const RETRY_MAX: SignedDuration = SignedDuration::from_mins(3);
/// By how much the waiting time grows where the retry strategy does not say.
const RETRY_FACTOR: i64 = 2;

/// What there is to do about operations.
#[expect(clippy::large_enum_variant, reason = "it is taken apart where it is made")]
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// Nothing is asked for and nothing runs.
    Idle,
    /// A request waits in `.operation`.
    Requested(Operation),
    /// An operation runs, or waits for its next repetition.
    Running(OperationState),
}

/// Reads how an application stands. A request that is the running operation itself, left over from a
/// crash between starting it and removing it, is not a second one.
#[must_use]
pub fn standing(application: &Application) -> Standing {
    let state = application.status.as_ref().and_then(|status| status.operation_state.as_ref());
    match (state, &application.operation) {
        (Some(state), _) if is_running(state) => Standing::Running(state.clone()),
        (_, Some(operation)) => Standing::Requested(operation.clone()),
        (_, None) => Standing::Idle,
    }
}

/// Says whether an operation is not over.
#[must_use]
pub fn is_running(state: &OperationState) -> bool {
    matches!(state.phase, OperationPhase::Running | OperationPhase::Terminating)
}

/// Starts an operation for the resolved revisions. `sources` are those it renders.
#[must_use]
pub fn start(
    operation: Operation,
    revisions: &Revisions,
    sources: Sources<'_>,
    now: Timestamp,
) -> OperationState {
    let sync_result = SyncOperationResult {
        revision: revisions.single(),
        revisions: revisions.several(),
        source: sources.single(),
        sources: sources.several(),
        ..SyncOperationResult::default()
    };
    OperationState {
        operation,
        phase: OperationPhase::Running,
        message: None,
        retry_count: None,
        started_at: Time(now),
        finished_at: None,
        sync_result: Some(sync_result),
    }
}

/// Resolved revisions, one for each source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Revisions(pub Vec<String>);

impl Revisions {
    /// Returns the revision as single-source applications write it; empty for several sources.
    #[must_use]
    pub fn single(&self) -> String {
        if let [only] = self.0.as_slice() { only.clone() } else { String::new() }
    }

    /// Returns the revisions as multi-source applications write them; none for a single source.
    #[must_use]
    pub fn several(&self) -> Vec<String> {
        if self.0.len() > 1 { self.0.clone() } else { Vec::new() }
    }
}

/// The sources of an application or operation, in order.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a>(pub &'a [&'a ApplicationSource]);

impl Sources<'_> {
    /// Returns the source as single-source applications write it.
    #[must_use]
    pub fn single(&self) -> Option<ApplicationSource> {
        if let [only] = self.0 { Some((*only).clone()) } else { None }
    }

    /// Returns the sources as multi-source applications write them.
    #[must_use]
    pub fn several(&self) -> Vec<ApplicationSource> {
        if self.0.len() > 1 { self.0.iter().map(|source| (*source).clone()).collect() } else { Vec::new() }
    }
}

/// Records how far a running operation is.
#[must_use]
pub fn advance(mut state: OperationState, results: Vec<ResourceResult>, message: &str) -> OperationState {
    state.sync_result.get_or_insert_default().resources = results;
    state.message = (!message.is_empty()).then(|| message.to_owned());
    state.finished_at = None;
    state
}

/// Ends an operation, or makes it wait for its next repetition.
#[must_use]
pub fn finish(
    mut state: OperationState,
    phase: OperationPhase,
    message: &str,
    now: Timestamp,
) -> OperationState {
    state.finished_at = Some(Time(now));
    let repeats = matches!(phase, OperationPhase::Failed | OperationPhase::Error);
    let count = state.retry_count.unwrap_or(0);
    let limit = state.operation.retry.as_ref().and_then(|retry| retry.limit).unwrap_or(0);
    if repeats && state.phase == OperationPhase::Running && (limit < 0 || count < limit) {
        state.retry_count = Some(count + 1);
        state.message = Some(format!("{message}. Retrying attempt #{}.", count + 1));
        return state;
    }
    let retried = if repeats && count > 0 { format!(" (retried {count} times).") } else { String::new() };
    state.phase = phase;
    state.message = Some(format!("{message}{retried}"));
    state
}

/// Says whether an operation may give way to a newer revision: it was not asked for by a person, and no
/// hook of it is at work.
#[must_use]
pub fn may_give_way(state: &OperationState) -> bool {
    let automated = state.operation.initiated_by.as_ref().is_some_and(|by| by.automated == Some(true));
    let results = state.sync_result.as_ref().map_or(&[][..], |result| &result.resources);
    let at_work = |result: &ResourceResult| {
        result.hook_type.is_some() && result.hook_phase == Some(OperationPhase::Running)
    };
    automated && state.phase == OperationPhase::Running && !results.iter().any(at_work)
}

/// Ends an operation for good because Git has moved on.
#[must_use]
pub fn give_way(mut state: OperationState, revisions: &Revisions, now: Timestamp) -> OperationState {
    let so_far =
        state.message.take().map(|message| format!("; it had come to: {message}")).unwrap_or_default();
    state.message = Some(format!("superseded by {}{so_far}", revisions.0.join(",")));
    state.phase = OperationPhase::Failed;
    state.finished_at = Some(Time(now));
    state
}

/// Says whether an operation is for these revisions.
#[must_use]
pub fn is_for(state: &OperationState, revisions: &Revisions) -> bool {
    state.sync_result.as_ref().is_some_and(|result| {
        result.revision == revisions.single() && result.revisions == revisions.several()
    })
}

/// Returns when a failed operation is repeated, if it waits for that: it runs, yet has an end.
#[must_use]
pub fn repeats_at(state: &OperationState) -> Option<Timestamp> {
    let finished = state.finished_at.as_ref().filter(|_| state.phase == OperationPhase::Running)?;
    let delay = backoff(state.operation.retry.as_ref(), state.retry_count.unwrap_or(1) - 1);
    Some(finished.0.saturating_add(delay).unwrap_or(finished.0))
}

/// Forgets the results of a failed attempt.
#[must_use]
pub fn repeat(mut state: OperationState) -> OperationState {
    state.finished_at = None;
    if let Some(result) = &mut state.sync_result {
        result.resources.clear();
    }
    state
}

fn backoff(retry: Option<&RetryStrategy>, repetition: i64) -> SignedDuration {
    let backoff = retry.and_then(|retry| retry.backoff.as_ref());
    let given = |text: Option<&String>| text.and_then(|text| duration(text));
    let first = given(backoff.and_then(|backoff| backoff.duration.as_ref())).unwrap_or(RETRY_DURATION);
    let longest = given(backoff.and_then(|backoff| backoff.max_duration.as_ref())).unwrap_or(RETRY_MAX);
    let factor = backoff.and_then(|backoff| backoff.factor).unwrap_or(RETRY_FACTOR).max(1);
    let mut delay = first;
    for _ in 0..repetition.clamp(0, 64) {
        if delay >= longest {
            break;
        }
        delay = delay.saturating_mul(i32::try_from(factor).unwrap_or(i32::MAX));
    }
    delay.min(longest)
}

/// Reads a duration as the API writes them: a number of seconds, or Go's `1h2m3s`.
#[must_use]
pub fn duration(text: &str) -> Option<SignedDuration> {
    if let Ok(seconds) = text.parse::<i64>() {
        return Some(SignedDuration::from_secs(seconds));
    }
    let mut total = SignedDuration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let unit = &rest[digits..];
        let length = unit.find(|c: char| c.is_ascii_digit()).unwrap_or(unit.len());
        let seconds = match &unit[..length] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            "us" | "µs" => 0.000_001,
            "ns" => 0.000_000_001,
            _ => return None,
        };
        total = total.checked_add(SignedDuration::try_from_secs_f64(number * seconds).ok()?)?;
        rest = &unit[length..];
    }
    (!text.is_empty()).then_some(total)
}

/// Adds a finished operation to the history, oldest first. Selective and dry-run operations leave
/// none.
#[must_use]
pub fn history(subject: &Subject, past: &[RevisionHistory], state: &OperationState) -> Vec<RevisionHistory> {
    let mut history = past.to_vec();
    let sync = state.operation.sync.clone().unwrap_or_default();
    let full = sync.resources.is_empty() && sync.dry_run != Some(true);
    if let (true, OperationPhase::Succeeded, Some(result), Some(finished)) =
        (full, state.phase, &state.sync_result, &state.finished_at)
    {
        history.push(RevisionHistory {
            id: past.last().map_or(0, |last| last.id + 1),
            revision: Some(result.revision.clone()).filter(|revision| !revision.is_empty()),
            revisions: result.revisions.clone(),
            source: result.source.clone(),
            sources: result.sources.clone(),
            deploy_started_at: Some(state.started_at.clone()),
            deployed_at: finished.clone(),
            initiated_by: state.operation.initiated_by.clone(),
        });
    }
    let surplus = history.len().saturating_sub(subject.history_limit);
    history.drain(..surplus);
    history
}

/// Returns the sync part of an operation; one without it cannot run.
#[must_use]
pub fn sync_of(state: &OperationState) -> Option<&SyncOperation> {
    state.operation.sync.as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::application::Backoff;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn started(limit: i64) -> OperationState {
        let retry = RetryStrategy { limit: Some(limit), ..RetryStrategy::default() };
        let operation =
            Operation { retry: Some(retry), sync: Some(SyncOperation::default()), ..Operation::default() };
        start(operation, &Revisions(vec!["a".into()]), Sources(&[]), at(100))
    }

    #[test]
    fn durations_are_seconds_or_go_durations() {
        let check = |text, expected| {
            assert_eq!(duration(text).map(|d| d.as_millis()), expected, "{text}");
        };
        check("5", Some(5_000));
        check("1m30s", Some(90_000));
        check("1.5h", Some(5_400_000));
        check("250ms", Some(250));
        check("", None);
        check("soon", None);
        check("3 s", None);
    }

    #[test]
    fn failures_repeat_up_to_the_limit() {
        let failed = finish(started(1), OperationPhase::Failed, "no", at(110));
        assert_eq!(failed.phase, OperationPhase::Running);
        assert_eq!(repeats_at(&failed), Some(at(115)));
        let failed = finish(repeat(failed), OperationPhase::Failed, "no", at(120));
        assert_eq!(failed.phase, OperationPhase::Failed);
        assert_eq!(failed.message.as_deref(), Some("no (retried 1 times)."));
        assert_eq!(repeats_at(&failed), None);
    }

    #[test]
    fn only_what_nobody_asked_for_gives_way_and_never_a_hook_at_work() {
        let mut state = started(5);
        assert!(!may_give_way(&state));
        state.operation.initiated_by =
            Some(crate::api::application::OperationInitiator { automated: Some(true), username: None });
        assert!(may_give_way(&state) && is_for(&state, &Revisions(vec!["a".into()])));
        let hook = ResourceResult {
            hook_type: Some("PreSync".into()),
            hook_phase: Some(OperationPhase::Running),
            ..ResourceResult::default()
        };
        let busy = advance(state.clone(), vec![hook], "");
        assert!(!may_give_way(&busy));
        let failed = finish(state, OperationPhase::Failed, "no", at(110));
        let ended = give_way(failed, &Revisions(vec!["b".into()]), at(111));
        assert_eq!((ended.phase, repeats_at(&ended)), (OperationPhase::Failed, None));
        assert!(
            ended.message.is_some_and(|message| message.starts_with("superseded by b; it had come to: no"))
        );
    }

    #[test]
    fn waiting_times_grow_to_their_limit() {
        let retry = RetryStrategy {
            backoff: Some(Backoff {
                duration: Some("10s".into()),
                factor: Some(3),
                max_duration: Some("1m".into()),
            }),
            ..RetryStrategy::default()
        };
        let seconds: Vec<_> = (0..4).map(|n| backoff(Some(&retry), n).as_secs()).collect();
        assert_eq!(seconds, [10, 30, 60, 60]);
        assert_eq!(backoff(None, 1_000).as_secs(), 180);
    }

    #[test]
    fn history_keeps_the_newest_successes() {
        let subject = Subject { history_limit: 2, ..crate::engine::testing::subject() };
        let done = finish(started(0), OperationPhase::Succeeded, "ok", at(110));
        let mut past = Vec::new();
        for _ in 0..3 {
            past = history(&subject, &past, &done);
        }
        assert_eq!(past.iter().map(|entry| entry.id).collect::<Vec<_>>(), [1, 2]);
        let failed = finish(started(0), OperationPhase::Failed, "no", at(110));
        assert_eq!(history(&subject, &past, &failed).len(), 2);
    }
}
