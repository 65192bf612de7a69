//! What is recorded of an application: its status, and what is told of it in events.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::comparison::{Comparison, Resource};
use super::operation::{Revisions, Sources};
use super::summary;
use crate::api::application::{
    Application, ApplicationCondition, ApplicationSpec, ApplicationStatus, ApplicationSummary, ComparedTo,
    HealthCode, HealthStatus, OperationPhase, OperationState, ResourceStatus, SyncCode, SyncStatus,
};
use crate::manifest::Manifest;

/// A condition as it was found now; the time it began is added from the status before.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Condition {
    /// What kind of condition it is.
    pub kind: ConditionKind,
    /// For people: what is wrong, on what, what to do.
    pub message: String,
}

/// The conditions that gitopsd sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConditionKind {
    /// The sources could not be rendered, or desired and live state not be compared.
    ComparisonError,
    /// Deleting the application's objects failed.
    DeletionError,
    /// The spec cannot be acted on.
    InvalidSpecError,
    /// An object occurs more than once in the sources.
    RepeatedResourceWarning,
    /// An object is applied by another application as well.
    SharedResourceWarning,
    /// Automated sync does not go on.
    SyncError,
    /// Something in the spec or the sources has no effect in this version.
    UnsupportedWarning,
}

impl ConditionKind {
    /// Returns the `type` of the condition.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ComparisonError => "ComparisonError",
            Self::DeletionError => "DeletionError",
            Self::InvalidSpecError => "InvalidSpecError",
            Self::RepeatedResourceWarning => "RepeatedResourceWarning",
            Self::SharedResourceWarning => "SharedResourceWarning",
            Self::SyncError => "SyncError",
            Self::UnsupportedWarning => "UnsupportedWarning",
        }
    }
}

/// What one pass found out.
#[derive(Debug, Clone, Copy)]
pub struct Findings<'a> {
    /// The application's spec.
    pub spec: &'a ApplicationSpec,
    /// Resolved revisions.
    pub revisions: &'a Revisions,
    /// Sources that were rendered.
    pub sources: Sources<'a>,
    /// Types of the sources, in order: `Directory`, `Helm`, …
    pub source_types: &'a [String],
    /// How desired and live state compare.
    pub comparison: &'a Comparison<'a>,
    /// Whether something kept the comparison from being complete.
    pub conditions: &'a [Condition],
}

/// Makes the status after a pass that got as far as comparing.
#[must_use]
pub fn compared(before: &ApplicationStatus, findings: &Findings<'_>, now: Timestamp) -> ApplicationStatus {
    let comparison = findings.comparison;
    let failed = findings.conditions.iter().any(|condition| condition.kind == ConditionKind::ComparisonError);
    let live = || comparison.resources.iter().filter_map(|resource| resource.pair.live.as_deref());
    let values: Vec<_> = live().map(crate::engine::live::Live::value).collect();
    let single = findings.source_types.len() == 1;
    ApplicationStatus {
        sync: Some(SyncStatus {
            status: if failed { SyncCode::Unknown } else { comparison.sync },
            compared_to: Some(compared_to(findings)),
            revision: Some(findings.revisions.single()).filter(|revision| !revision.is_empty()),
            revisions: findings.revisions.several(),
        }),
        health: Some(health(before.health.as_ref(), comparison.health, comparison, now)),
        resources: comparison.resources.iter().map(resource).collect(),
        conditions: conditions(&before.conditions, findings.conditions, now),
        summary: Some(ApplicationSummary {
            images: summary::images(&values),
            external_urls: summary::external_urls(&values),
            ..ApplicationSummary::default()
        }),
        source_type: findings.source_types.first().cloned().filter(|_| single),
        source_types: if single { Vec::new() } else { findings.source_types.to_vec() },
        ..before.clone()
    }
}

/// Makes the status after a pass that could not compare: what is known of objects stays, the verdict
/// does not.
#[must_use]
pub fn failed(
    before: &ApplicationStatus,
    spec: &ApplicationSpec,
    found: &[Condition],
    now: Timestamp,
) -> ApplicationStatus {
    let invalid = found.iter().any(|condition| condition.kind == ConditionKind::InvalidSpecError);
    let known = before.sync.clone();
    let known = known.unwrap_or_else(|| SyncStatus { status: SyncCode::Unknown, ..SyncStatus::default() });
    let compared_to = ComparedTo { destination: spec.destination.clone(), ..ComparedTo::default() };
    let no_health = || HealthStatus {
        status: Some(HealthCode::Unknown),
        message: None,
        last_transition_time: Some(Time(now)),
    };
    ApplicationStatus {
        sync: Some(SyncStatus {
            status: SyncCode::Unknown,
            compared_to: known.compared_to.clone().or(Some(compared_to)),
            ..known
        }),
        health: match &before.health {
            Some(health) if !invalid || health.status == Some(HealthCode::Unknown) => Some(health.clone()),
            _ => Some(no_health()),
        },
        resources: if invalid { Vec::new() } else { before.resources.clone() },
        conditions: conditions(&before.conditions, found, now),
        ..before.clone()
    }
}

/// Replaces the conditions of `after`; those that `before` had keep the time at which they began.
#[must_use]
pub fn with_conditions(
    after: ApplicationStatus,
    before: &ApplicationStatus,
    found: &[Condition],
    now: Timestamp,
) -> ApplicationStatus {
    ApplicationStatus { conditions: conditions(&before.conditions, found, now), ..after }
}

/// Says whether two statuses tell the same. The time of the last pass is no news.
#[must_use]
pub fn same(one: &ApplicationStatus, other: &ApplicationStatus) -> bool {
    let timeless = |status: &ApplicationStatus| ApplicationStatus { reconciled_at: None, ..status.clone() };
    timeless(one) == timeless(other)
}

fn compared_to(findings: &Findings<'_>) -> ComparedTo {
    ComparedTo {
        destination: findings.spec.destination.clone(),
        ignore_differences: findings.spec.ignore_differences.clone(),
        source: findings.sources.single(),
        sources: findings.sources.several(),
    }
}

fn health(
    before: Option<&HealthStatus>,
    code: HealthCode,
    comparison: &Comparison<'_>,
    now: Timestamp,
) -> HealthStatus {
    let since = before.filter(|before| before.status == Some(code));
    HealthStatus {
        status: Some(code),
        message: cause(code, comparison),
        last_transition_time: since
            .and_then(|before| before.last_transition_time.clone())
            .or(Some(Time(now))),
    }
}

/// Names the objects that make the application less than healthy.
fn cause(code: HealthCode, comparison: &Comparison<'_>) -> Option<String> {
    const SHOWN: usize = 3;
    if matches!(code, HealthCode::Healthy | HealthCode::Suspended) {
        return None;
    }
    let culprits = comparison
        .resources
        .iter()
        .filter(|resource| resource.health.as_ref().is_some_and(|health| health.code == code));
    let names: Vec<_> =
        culprits.map(|resource| format!("{} {}", resource.pair.key.kind, resource.pair.key.name)).collect();
    let more = match names.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!names.is_empty()).then(|| format!("caused by {}{more}", names[..names.len().min(SHOWN)].join(", ")))
}

fn resource(resource: &Resource<'_>) -> ResourceStatus {
    let Resource { pair, sync, differing: _, settled: _, refused: _, health } = resource;
    let hints = pair.desired.map(|desired| desired.hints.clone()).or_else(|| {
        let live = pair.live.as_ref()?;
        Manifest::new(live.value()).ok().map(|manifest| manifest.hints())
    });
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    ResourceStatus {
        group: text(&pair.key.group),
        version: text(&pair.gvk().version),
        kind: text(&pair.key.kind),
        namespace: text(&pair.key.namespace),
        name: text(&pair.key.name),
        status: Some(*sync),
        health: health.as_ref().map(|health| HealthStatus {
            status: Some(health.code),
            message: text(&health.message),
            last_transition_time: None,
        }),
        requires_pruning: Some(pair.requires_pruning()).filter(|requires| *requires),
        sync_wave: hints.map(|hints| hints.wave).filter(|wave| *wave != 0),
        ..ResourceStatus::default()
    }
}

/// Joins what was found with when it began.
fn conditions(
    before: &[ApplicationCondition],
    found: &[Condition],
    now: Timestamp,
) -> Vec<ApplicationCondition> {
    let mut found = found.to_vec();
    found.sort();
    found.dedup();
    let known = |condition: &Condition| {
        before
            .iter()
            .find(|known| known.type_ == condition.kind.as_str() && known.message == condition.message)
    };
    let new = |condition: &Condition| ApplicationCondition {
        type_: condition.kind.as_str().into(),
        message: condition.message.clone(),
        last_transition_time: Some(Time(now)),
    };
    found.iter().map(|condition| known(condition).cloned().unwrap_or_else(|| new(condition))).collect()
}

/// Something that happened to an application, to be told as a Kubernetes Event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// `Normal` or `Warning`.
    pub severity: Severity,
    /// The Event's reason.
    pub reason: &'static str,
    /// The Event's message.
    pub message: String,
}

/// How an Event is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// News.
    Normal,
    /// Trouble.
    Warning,
}

/// Returns what is to be told of the step from one status to the next.
#[must_use]
pub fn notices(before: &ApplicationStatus, after: &ApplicationStatus) -> Vec<Notice> {
    let mut notices = Vec::new();
    let mut normal = |reason, message| notices.push(Notice { severity: Severity::Normal, reason, message });
    let sync = |status: &ApplicationStatus| status.sync.as_ref().map(|sync| sync.status);
    if let Some(new) = sync(after).filter(|_| sync(before) != sync(after)) {
        let old = sync(before).map(|code| format!("{code:?}")).unwrap_or_default();
        normal("ResourceUpdated", format!("Updated sync status: {old} -> {new:?}"));
    }
    let health = |status: &ApplicationStatus| status.health.as_ref().and_then(|health| health.status);
    if let Some(new) = health(after).filter(|_| health(before) != health(after)) {
        let old = health(before).map(|code| format!("{code:?}")).unwrap_or_default();
        normal("ResourceUpdated", format!("Updated health status: {old} -> {new:?}"));
    }
    if let Some(state) = &after.operation_state {
        notices.extend(operation_notice(before.operation_state.as_ref(), state));
    }
    notices
}

fn operation_notice(before: Option<&OperationState>, after: &OperationState) -> Option<Notice> {
    let same_operation = before.filter(|before| before.started_at == after.started_at);
    let sync = after.operation.sync.clone().unwrap_or_default();
    let revision = after.sync_result.as_ref().map(|result| result.revision.clone()).unwrap_or_default();
    let automated = after.operation.initiated_by.as_ref().is_some_and(|by| by.automated == Some(true));
    if same_operation.is_none() && automated && super::operation::is_running(after) {
        let message = format!("Initiated automated sync to '{revision}'");
        return Some(Notice { severity: Severity::Normal, reason: "OperationStarted", message });
    }
    let waited = same_operation.is_some_and(|before| before.retry_count == after.retry_count);
    if super::operation::repeats_at(after).is_some() && !waited {
        let message = after.message.as_deref().unwrap_or_default();
        let message = format!("Sync operation to {revision} failed: {message}");
        return Some(Notice { severity: Severity::Warning, reason: "OperationRetried", message });
    }
    let was_over = same_operation.is_some_and(|before| !super::operation::is_running(before));
    if super::operation::is_running(after) || was_over {
        return None;
    }
    let what = if sync.resources.is_empty() { "Sync operation" } else { "Partial sync operation" };
    let to = if revision.is_empty() { String::new() } else { format!(" to {revision}") };
    let (severity, outcome) = match after.phase {
        OperationPhase::Succeeded => (Severity::Normal, "succeeded".to_owned()),
        _ => (Severity::Warning, format!("failed: {}", after.message.as_deref().unwrap_or_default())),
    };
    let message = format!("{what}{to} {outcome}");
    Some(Notice { severity, reason: "OperationCompleted", message })
}

/// Returns the status of an application, empty where it has none yet.
#[must_use]
pub fn of(application: &Application) -> ApplicationStatus {
    application.status.clone().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn condition(message: &str) -> Condition {
        Condition { kind: ConditionKind::ComparisonError, message: message.into() }
    }

    #[test]
    fn conditions_keep_the_time_at_which_they_began() {
        let first = conditions(&[], &[condition("a")], at(1));
        let second = conditions(&first, &[condition("b"), condition("a")], at(2));
        let times: Vec<_> = second
            .iter()
            .map(|condition| (condition.message.as_str(), condition.last_transition_time.clone().unwrap().0))
            .collect();
        assert_eq!(times, [("a", at(1)), ("b", at(2))]);
        assert!(conditions(&second, &[], at(3)).is_empty());
    }

    #[test]
    fn failing_to_compare_takes_the_verdict_but_not_what_is_known() {
        let before = ApplicationStatus {
            sync: Some(SyncStatus {
                status: SyncCode::Synced,
                revision: Some("r".into()),
                ..Default::default()
            }),
            resources: vec![ResourceStatus { name: Some("web".into()), ..Default::default() }],
            ..Default::default()
        };
        let after = failed(&before, &ApplicationSpec::default(), &[condition("a")], at(1));
        assert_eq!(after.sync.as_ref().unwrap().status, SyncCode::Unknown);
        assert_eq!(after.sync.unwrap().revision.as_deref(), Some("r"));
        assert_eq!(after.resources.len(), 1);
    }

    #[test]
    fn an_invalid_spec_has_no_objects_and_no_health() {
        let before = ApplicationStatus {
            health: Some(HealthStatus { status: Some(HealthCode::Healthy), ..Default::default() }),
            resources: vec![ResourceStatus::default()],
            ..Default::default()
        };
        let invalid = Condition { kind: ConditionKind::InvalidSpecError, message: "no".into() };
        let after = failed(&before, &ApplicationSpec::default(), &[invalid], at(1));
        assert!(after.resources.is_empty());
        assert_eq!(after.health.unwrap().status, Some(HealthCode::Unknown));
    }

    #[test]
    fn the_time_of_the_last_pass_is_no_news() {
        let later = ApplicationStatus { reconciled_at: Some(Time(at(9))), ..Default::default() };
        assert!(same(&ApplicationStatus::default(), &later));
    }

    #[test]
    fn changes_are_told_once() {
        let synced = ApplicationStatus {
            sync: Some(SyncStatus { status: SyncCode::Synced, ..Default::default() }),
            ..Default::default()
        };
        let told = notices(&ApplicationStatus::default(), &synced);
        assert_eq!(told[0].message, "Updated sync status:  -> Synced");
        assert!(notices(&synced, &synced).is_empty());
    }
}
