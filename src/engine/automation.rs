//! Whether an application is to be synced by itself now.

use jiff::{SignedDuration, Timestamp};

use super::comparison::Comparison;
use super::operation::{Revisions, Sources};
use super::subject::{Automated, Subject};
use crate::api::application::{
    Operation, OperationInitiator, OperationPhase, OperationState, RetryStrategy, SyncCode, SyncOperation,
    SyncOperationResource,
};

/// How often a failed automated sync is repeated where the Application does not say.
const DEFAULT_RETRIES: i64 = 5;
/// First waiting time before drift is healed again.
const HEAL_FIRST: i64 = 2;
/// By how much that grows.
const HEAL_FACTOR: i64 = 3;
/// Longest waiting time before drift is healed again, in seconds.
const HEAL_LONGEST: i64 = 300;

/// What automated sync does now.
#[expect(clippy::large_enum_variant, reason = "it is taken apart where it is made")]
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Nothing; there is no reason to.
    Rest,
    /// Nothing yet; look again at this time.
    Later(Timestamp),
    /// Nothing, and the user is told why.
    Blocked {
        /// Why, for the condition `SyncError`.
        reason: String,
        /// When it is tried again even if nothing changes.
        until: Option<Timestamp>,
    },
    /// It starts this operation.
    Sync(Operation),
}

/// Decides for an application on which no operation is requested or running.
#[must_use]
pub fn decide(
    subject: &Subject,
    comparison: &Comparison<'_>,
    revisions: &Revisions,
    sources: Sources<'_>,
    last: Option<&OperationState>,
    now: Timestamp,
) -> Decision {
    let Some(automated) = subject.automated else { return Decision::Rest };
    if comparison.sync != SyncCode::OutOfSync || only_prunes_left(comparison, automated) {
        return Decision::Rest;
    }
    let attempted = last.filter(|last| attempted(last, revisions, sources));
    if let Some(last) = attempted {
        return again(subject, automated, comparison, revisions, last, now);
    }
    if automated.prune && !automated.allow_empty && wipes_out(comparison) {
        let revision = revisions.0.join(",");
        let reason = format!(
            "Skipping sync attempt to {revision}: auto-sync will wipe out all resources; \
             set spec.syncPolicy.automated.allowEmpty if that is intended"
        );
        return Decision::Blocked { reason, until: None };
    }
    Decision::Sync(operation(subject, automated, revisions, Vec::new(), 0))
}

/// Without pruning, leftovers alone are no reason to sync.
fn only_prunes_left(comparison: &Comparison<'_>, automated: Automated) -> bool {
    let mut differing = comparison.resources.iter().filter(|resource| resource.sync != SyncCode::Synced);
    !automated.prune && differing.all(|resource| resource.pair.requires_pruning())
}

fn wipes_out(comparison: &Comparison<'_>) -> bool {
    !comparison.resources.is_empty()
        && comparison.resources.iter().all(|resource| resource.pair.requires_pruning())
}

/// Says whether the last operation already was for these revisions and sources.
fn attempted(last: &OperationState, revisions: &Revisions, sources: Sources<'_>) -> bool {
    let Some(result) = &last.sync_result else { return false };
    let dry = last.operation.sync.as_ref().is_some_and(|sync| sync.dry_run == Some(true));
    !dry && result.revision == revisions.single()
        && result.revisions == revisions.several()
        && result.source == sources.single()
        && result.sources == sources.several()
}

/// The revision was synced before: only drift is left to heal, object by object and not too often.
fn again(
    subject: &Subject,
    automated: Automated,
    comparison: &Comparison<'_>,
    revisions: &Revisions,
    last: &OperationState,
    now: Timestamp,
) -> Decision {
    let finished = last.finished_at.as_ref().map_or(now, |time| time.0);
    if last.phase != OperationPhase::Succeeded {
        let until = finished.saturating_add(SignedDuration::from_secs(HEAL_LONGEST)).unwrap_or(now);
        if now >= until {
            return Decision::Sync(operation(subject, automated, revisions, Vec::new(), 0));
        }
        let message = last.message.as_deref().unwrap_or_default();
        let reason = format!("Failed last sync attempt to [{}]: {message}", revisions.0.join(","));
        return Decision::Blocked { reason, until: Some(until) };
    }
    if !automated.self_heal {
        return Decision::Rest;
    }
    let attempts = last.operation.sync.as_ref().and_then(|sync| sync.auto_heal_attempts_count).unwrap_or(0);
    let due = finished.saturating_add(heal_delay(attempts)).unwrap_or(now);
    if now < due {
        return Decision::Later(due);
    }
    // A heal long after the last one is a new story.
    let attempts =
        if now.duration_since(finished) > SignedDuration::from_secs(2 * HEAL_LONGEST) { 0 } else { attempts };
    let drifted = comparison.resources.iter().filter(|resource| {
        resource.sync != SyncCode::Synced && (automated.prune || !resource.pair.requires_pruning())
    });
    let drifted: Vec<_> = drifted
        .map(|resource| SyncOperationResource {
            group: Some(resource.pair.key.group.clone()).filter(|group| !group.is_empty()),
            kind: resource.pair.key.kind.clone(),
            name: resource.pair.key.name.clone(),
            namespace: Some(resource.pair.key.namespace.clone()).filter(|namespace| !namespace.is_empty()),
        })
        .collect();
    if drifted.is_empty() {
        return Decision::Rest;
    }
    Decision::Sync(operation(subject, automated, revisions, drifted, attempts + 1))
}

/// 0 s, then 2, 6, 18, 54, 162 s, then always 300 s.
fn heal_delay(attempts: i64) -> SignedDuration {
    if attempts <= 0 {
        return SignedDuration::ZERO;
    }
    let exponent = u32::try_from(attempts - 1).unwrap_or(u32::MAX).min(10);
    SignedDuration::from_secs((HEAL_FIRST * HEAL_FACTOR.pow(exponent)).min(HEAL_LONGEST))
}

fn operation(
    subject: &Subject,
    automated: Automated,
    revisions: &Revisions,
    resources: Vec<SyncOperationResource>,
    attempts: i64,
) -> Operation {
    let retry = RetryStrategy { limit: Some(DEFAULT_RETRIES), ..RetryStrategy::default() };
    let revision = Some(revisions.single()).filter(|revision| !revision.is_empty());
    Operation {
        initiated_by: Some(OperationInitiator { automated: Some(true), username: None }),
        retry: Some(subject.retry.clone().unwrap_or(retry)),
        sync: Some(SyncOperation {
            prune: Some(automated.prune).filter(|prune| *prune),
            revision,
            revisions: revisions.several(),
            resources,
            auto_heal_attempts_count: Some(attempts).filter(|attempts| *attempts > 0),
            ..SyncOperation::default()
        }),
        ..Operation::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engine::compare::Verdict;
    use crate::engine::comparison::{Finding, conclude, pairs};
    use crate::engine::desired::{Desired, desired};
    use crate::engine::testing::{live, manifest, project, subject};

    const REVISION: &str = "1111111111111111111111111111111111111111";

    fn automated(prune: bool, self_heal: bool) -> Subject {
        Subject { automated: Some(Automated { prune, self_heal, allow_empty: false }), ..subject() }
    }

    fn now() -> Timestamp {
        Timestamp::from_second(1_000).unwrap()
    }

    fn last(phase: OperationPhase, attempts: i64) -> OperationState {
        let operation =
            operation(&subject(), automated(false, true).automated.unwrap(), &revisions(), vec![], attempts);
        let started = crate::engine::operation::start(operation, &revisions(), Sources(&[]), now());
        OperationState {
            retry_count: Some(99),
            ..crate::engine::operation::finish(started, phase, "why", now())
        }
    }

    fn revisions() -> Revisions {
        Revisions(vec![REVISION.into()])
    }

    fn wanted() -> Desired {
        let scope = |_: &_| Some(crate::manifest::Scope::Namespaced);
        desired(&subject(), &project(), vec![manifest("ConfigMap", "settings", &json!({}))], &scope)
    }

    fn decide_on(
        desired: &Desired,
        objects: &[crate::engine::live::Live],
        subject: &Subject,
        last: Option<&OperationState>,
        now: Timestamp,
    ) -> Decision {
        let objects: Vec<_> = objects.iter().cloned().map(std::sync::Arc::new).collect();
        let pairs = pairs(subject, &project(), desired, &objects, &|_| None);
        let comparison = conclude(pairs, &|_| Finding::Compared(Verdict::Synced));
        decide(subject, &comparison, &revisions(), Sources(&[]), last, now)
    }

    #[test]
    fn a_new_revision_is_synced_only_where_asked_for() {
        assert_eq!(decide_on(&wanted(), &[], &subject(), None, now()), Decision::Rest);
        let Decision::Sync(operation) = decide_on(&wanted(), &[], &automated(false, false), None, now())
        else {
            panic!("not synced");
        };
        assert_eq!(operation.sync.unwrap().revision.as_deref(), Some(REVISION));
        assert_eq!(operation.retry.unwrap().limit, Some(5));
    }

    #[test]
    fn drift_is_healed_object_by_object_and_ever_less_often() {
        let succeeded = last(OperationPhase::Succeeded, 0);
        assert_eq!(
            decide_on(&wanted(), &[], &automated(false, false), Some(&succeeded), now()),
            Decision::Rest
        );
        let Decision::Sync(operation) =
            decide_on(&wanted(), &[], &automated(false, true), Some(&succeeded), now())
        else {
            panic!("not healed");
        };
        let sync = operation.sync.unwrap();
        assert_eq!((sync.resources.len(), sync.auto_heal_attempts_count), (1, Some(1)));
        let healed_before = last(OperationPhase::Succeeded, 2);
        let later = Timestamp::from_second(1_006).unwrap();
        assert_eq!(
            decide_on(&wanted(), &[], &automated(false, true), Some(&healed_before), now()),
            Decision::Later(later)
        );
    }

    #[test]
    fn a_failed_revision_is_tried_again_after_a_while_and_says_so() {
        let failed = last(OperationPhase::Failed, 0);
        let decision = decide_on(&wanted(), &[], &automated(false, true), Some(&failed), now());
        let later = Timestamp::from_second(1_300).unwrap();
        let Decision::Blocked { reason, until } = decision else { panic!("{decision:?}") };
        assert!(reason.contains(REVISION) && until == Some(later), "{reason}");
        let decision = decide_on(&wanted(), &[], &automated(false, true), Some(&failed), later);
        assert!(matches!(decision, Decision::Sync(_)), "{decision:?}");
    }

    #[test]
    fn an_empty_revision_does_not_delete_everything() {
        let leftover = [live(&manifest("ConfigMap", "settings", &json!({})), &json!({}))];
        let nothing = Desired::default();
        let decision = decide_on(&nothing, &leftover, &automated(true, true), None, now());
        assert!(matches!(decision, Decision::Blocked { reason, .. } if reason.contains("wipe out")));
        assert_eq!(decide_on(&nothing, &leftover, &automated(false, true), None, now()), Decision::Rest);
    }

    #[test]
    fn delays_follow_the_published_table() {
        let seconds: Vec<_> = (0..8).map(|attempts| heal_delay(attempts).as_secs()).collect();
        assert_eq!(seconds, [0, 2, 6, 18, 54, 162, 300, 300]);
    }
}
