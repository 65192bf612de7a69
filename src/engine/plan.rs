//! What an operation does next. The plan is worked out anew at every turn from the tasks, the recorded
//! results and what is live, so that it can go on after a crash at any point.

mod record;
mod tasks;

use std::collections::BTreeSet;
use std::sync::Arc;

pub use record::{OPERATION_ANNOTATION, observe, record, running_hooks, terminate};
pub use tasks::{NamespacePresence, Scene, Task, Work, tasks};

use super::live::Live;
use super::step::{Action, Propagation, Step};
use crate::api::application::{OperationPhase, ResourceResult, ResultCode, SyncPhase};
use crate::manifest::hints::{HookDeletePolicy, Phase};
use crate::manifest::{Gvk, Key};

/// What is done now.
#[derive(Debug, Clone, PartialEq)]
pub enum Turn {
    /// These steps, which may run side by side.
    Act(Batch),
    /// Nothing until something changes in the cluster.
    Wait {
        /// What is waited for.
        message: String,
    },
    /// The operation is over.
    Done {
        /// Succeeded or Failed.
        phase: OperationPhase,
        /// For people.
        message: String,
    },
}

/// Steps that may run side by side, and what they are for.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Why these steps are run; decides how their outcomes are recorded.
    pub purpose: Purpose,
    /// The phase of the sync they belong to.
    pub phase: Phase,
    /// The writes.
    pub steps: Vec<Step>,
    /// Tasks that are settled without a write.
    pub skipped: Vec<Skipped>,
}

/// A task that is settled without a write.
#[derive(Debug, Clone, PartialEq)]
pub struct Skipped {
    /// The task's object.
    pub key: Key,
    /// Its version.
    pub gvk: Gvk,
    /// How it is recorded.
    pub status: ResultCode,
    /// Why nothing was written.
    pub message: &'static str,
}

/// Why steps are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To find out, before anything is written, whether all of it would be accepted.
    Try,
    /// To delete what is no longer desired.
    Prune,
    /// To delete the objects of hooks that are about to be created again.
    ClearHooks,
    /// To bring objects to their desired state, or to start hooks.
    Apply,
    /// To delete the objects of hooks whose delete policy says so.
    CleanUp,
}

/// How far an operation is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Progress {
    /// Results so far, in the order of their first report: `syncResult.resources`.
    pub results: Vec<ResourceResult>,
    /// Whether the steps were tried in this run of the process.
    pub tried: bool,
    /// Whether something was refused when it was tried; then nothing is written.
    refused: bool,
    /// Objects that the cluster refuses to change and that the user wants replaced by force.
    recreate: BTreeSet<Key>,
    /// Hooks whose objects were cleaned up in this run of the process.
    cleaned: BTreeSet<Key>,
    /// Whether the operation only tries everything.
    dry_run: bool,
}

impl Progress {
    /// Goes on from recorded results.
    #[must_use]
    pub fn of(results: Vec<ResourceResult>, dry_run: bool) -> Self {
        Self { results, dry_run, ..Self::default() }
    }

    fn of_task(&self, task: &Task) -> Option<&ResourceResult> {
        self.results.iter().find(|result| matches(result, &task.key, task.phase))
    }

    fn is_pending(&self, task: &Task) -> bool {
        self.of_task(task).is_none()
    }
}

/// Finds a live object by its key.
pub type Find<'a> = &'a dyn Fn(&Key) -> Option<Arc<Live>>;

/// Decides the next turn. `observe` must have been called before with the same view of the cluster.
#[must_use]
pub fn next(tasks: &[Task], progress: &Progress, find: Find<'_>) -> Turn {
    if progress.dry_run {
        return rehearse(tasks, progress);
    }
    if !progress.tried {
        let doubtful: Vec<_> = tasks.iter().filter(|task| task.try_first).collect();
        if !doubtful.is_empty() {
            return batch(Purpose::Try, &doubtful, |task| task.step(true));
        }
    }
    if progress.refused {
        return failed("one or more objects would be refused, so nothing was applied", &progress.results);
    }
    if let Some(message) = waiting(tasks, progress, find) {
        return Turn::Wait { message };
    }
    let (failures, main): (Vec<_>, Vec<_>) = tasks.iter().partition(|task| task.phase == Phase::SyncFail);
    let failed = main.iter().filter(|task| progress.of_task(task).is_some_and(is_failed));
    let failed_waves: Vec<_> = failed.map(|task| (task.phase, task.wave)).collect();
    let pending = main.iter().find(|task| {
        progress.is_pending(task)
            && (failed_waves.is_empty() || failed_waves.contains(&(task.phase, task.wave)))
    });
    match pending {
        Some(first) => act(&main, first, progress, find),
        None if failed_waves.is_empty() => finish(tasks, progress, find, HookDeletePolicy::HookSucceeded),
        None => match failures.iter().find(|task| progress.is_pending(task)) {
            Some(first) => act(&failures, first, progress, find),
            None => finish(tasks, progress, find, HookDeletePolicy::HookFailed),
        },
    }
}

/// Says which result is that of an object in a phase.
fn matches(result: &ResourceResult, key: &Key, phase: Phase) -> bool {
    let Key { group, kind, namespace, name } = key;
    result.sync_phase == Some(sync_phase(phase))
        && (&result.group, &result.kind, &result.namespace, &result.name) == (group, kind, namespace, name)
}

fn is_failed(result: &ResourceResult) -> bool {
    result.status == Some(ResultCode::SyncFailed)
        || matches!(result.hook_phase, Some(OperationPhase::Failed | OperationPhase::Error))
}

fn sync_phase(phase: Phase) -> SyncPhase {
    match phase {
        Phase::PreSync => SyncPhase::PreSync,
        Phase::Sync => SyncPhase::Sync,
        Phase::PostSync => SyncPhase::PostSync,
        Phase::SyncFail => SyncPhase::SyncFail,
    }
}

/// A dry run tries everything at once and is done.
fn rehearse(tasks: &[Task], progress: &Progress) -> Turn {
    if !progress.tried && !tasks.is_empty() {
        return batch(Purpose::Try, &tasks.iter().collect::<Vec<_>>(), |task| task.step(true));
    }
    if progress.results.iter().any(is_failed) {
        return failed("one or more objects failed to apply (dry run)", &progress.results);
    }
    Turn::Done { phase: OperationPhase::Succeeded, message: "successfully synced (dry run)".into() }
}

/// A sync of one wave without hooks is done when everything is applied; with several, each wave waits
/// until the one before it is healthy.
fn waiting(tasks: &[Task], progress: &Progress, find: Find<'_>) -> Option<String> {
    let running = |task: &&Task| {
        progress.of_task(task).is_some_and(|result| result.hook_phase == Some(OperationPhase::Running))
    };
    let hooks: Vec<_> = tasks.iter().filter(running).filter(|task| task.work.is_hook()).collect();
    if let Some(first) = hooks.first() {
        return Some(sentence("waiting for completion of hook", &first.key, hooks.len(), "hooks"));
    }
    let resources: Vec<_> = tasks.iter().filter(running).collect();
    if let Some(first) = resources.first().filter(|_| several_waves(tasks)) {
        return Some(sentence("waiting for healthy state of", &first.key, resources.len(), "resources"));
    }
    let leaving = |task: &&Task| {
        task.work.is_prune()
            && !progress.is_pending(task)
            && find(&task.key).is_some_and(|live| live.deleting)
    };
    let leaving: Vec<_> = tasks.iter().filter(leaving).collect();
    leaving.first().map(|first| sentence("waiting for deletion of", &first.key, leaving.len(), "resources"))
}

fn sentence(what: &str, key: &Key, count: usize, plural: &str) -> String {
    let Key { group, kind, name, namespace: _ } = key;
    match count - 1 {
        0 => format!("{what} {group}/{kind}/{name}"),
        more => format!("{what} {group}/{kind}/{name} and {more} more {plural}"),
    }
}

fn several_waves(tasks: &[Task]) -> bool {
    let waves: BTreeSet<_> = tasks
        .iter()
        .filter(|task| task.phase != Phase::SyncFail && !task.work.is_keep())
        .map(|task| (task.phase, task.wave))
        .collect();
    waves.len() > 1
}

/// The next batch of the wave in which `first` is: what is to be pruned, then old hook objects, then
/// objects kind by kind.
fn act(tasks: &[&Task], first: &Task, progress: &Progress, find: Find<'_>) -> Turn {
    let in_wave = |task: &&&Task| (task.phase, task.wave) == (first.phase, first.wave);
    let pending: Vec<_> =
        tasks.iter().filter(in_wave).copied().filter(|task| progress.is_pending(task)).collect();
    let of =
        |test: &dyn Fn(&Task) -> bool| pending.iter().copied().filter(|task| test(task)).collect::<Vec<_>>();

    let prunes = of(&|task| task.work.is_prune() || task.work.is_keep());
    if !prunes.is_empty() {
        return batch(Purpose::Prune, &prunes, |task| task.step(false));
    }
    let old: Vec<_> = pending.iter().filter_map(|task| task.old_hook(find)).collect();
    if let Some(live) = old.iter().find(|live| live.deleting) {
        return Turn::Wait { message: sentence("waiting for deletion of", &live.key, 1, "hooks") };
    }
    if !old.is_empty() {
        let steps = old.iter().map(|live| deletion(live)).collect();
        return Turn::Act(Batch {
            purpose: Purpose::ClearHooks,
            phase: first.phase,
            steps,
            skipped: Vec::new(),
        });
    }
    let same_kind = of(&|task| task.settled || task.gvk == pending[0].gvk);
    batch(Purpose::Apply, &same_kind, |task| match &task.work {
        Work::Apply(manifest) if progress.recreate.contains(&task.key) => {
            Some(task.with(Action::Recreate(manifest.clone())))
        }
        _ => task.step(false),
    })
}

/// Makes a batch of tasks, all of one phase or only tried.
fn batch(purpose: Purpose, tasks: &[&Task], step: impl Fn(&Task) -> Option<Step>) -> Turn {
    let phase = tasks.first().map_or(Phase::Sync, |task| task.phase);
    let (steps, skipped) = tasks.iter().fold((Vec::new(), Vec::new()), |(mut steps, mut skipped), task| {
        match step(task) {
            Some(step) => steps.push(step),
            None => skipped.push(task.skipped()),
        }
        (steps, skipped)
    });
    Turn::Act(Batch { purpose, phase, steps, skipped })
}

fn deletion(live: &Live) -> Step {
    let action = Action::Delete { uid: live.uid.clone(), propagation: Propagation::Background };
    Step { key: live.key.clone(), gvk: live.gvk.clone(), action, dry_run: false }
}

/// Deletes the objects of hooks whose policy is `policy`, then ends the operation.
fn finish(tasks: &[Task], progress: &Progress, find: Find<'_>, policy: HookDeletePolicy) -> Turn {
    let spent = tasks.iter().filter_map(|task| match &task.work {
        Work::Hook { policies, .. } if policies.contains(&policy) => find(&task.key),
        _ => None,
    });
    let spent = spent.filter(|live| !live.deleting && !progress.cleaned.contains(&live.key));
    let steps: Vec<_> = spent.map(|live| deletion(&live)).collect();
    if !steps.is_empty() {
        return Turn::Act(Batch {
            purpose: Purpose::CleanUp,
            phase: Phase::PostSync,
            steps,
            skipped: Vec::new(),
        });
    }
    if policy == HookDeletePolicy::HookSucceeded {
        let message = "successfully synced (all tasks run)".into();
        return Turn::Done { phase: OperationPhase::Succeeded, message };
    }
    failed("one or more synchronization tasks completed unsuccessfully", &progress.results)
}

/// Returns the message of an operation that has tasks which can never succeed.
#[must_use]
pub fn invalid_message(invalid: &[ResourceResult]) -> String {
    with_reasons("one or more synchronization tasks are not valid", invalid)
}

/// Ends the operation with the distinct messages of what failed.
fn failed(sentence: &str, results: &[ResourceResult]) -> Turn {
    Turn::Done { phase: OperationPhase::Failed, message: with_reasons(sentence, results) }
}

fn with_reasons(sentence: &str, results: &[ResourceResult]) -> String {
    let mut reasons: Vec<String> = Vec::new();
    for result in results.iter().filter(|result| is_failed(result)) {
        let message = result.message.clone().unwrap_or_default();
        let reason = format!("{}/{}: {message}", result.kind, result.name);
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    let shown = reasons.iter().take(MAX_REASONS).cloned().collect::<Vec<_>>().join("; ");
    let more = match reasons.len().saturating_sub(MAX_REASONS) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    format!("{sentence}, reason: {shown}{more}")
}

/// How many reasons an operation's message lists.
const MAX_REASONS: usize = 5;

impl Task {
    /// Returns the task's write, if it needs one.
    fn step(&self, dry_run: bool) -> Option<Step> {
        let action = match &self.work {
            Work::Keep { .. } => return None,
            Work::Apply(_) if self.settled => return None,
            Work::Apply(manifest) if self.replace => Action::Replace(manifest.clone()),
            Work::Apply(manifest) | Work::Hook { manifest, .. } => Action::Apply(manifest.clone()),
            Work::Prune { uid, propagation } => {
                Action::Delete { uid: uid.clone(), propagation: *propagation }
            }
        };
        Some(Step { dry_run, ..self.with(action) })
    }

    fn skipped(&self) -> Skipped {
        let (status, message) = match &self.work {
            Work::Keep { message } => (ResultCode::PruneSkipped, *message),
            _ => (ResultCode::Synced, "unchanged"),
        };
        Skipped { key: self.key.clone(), gvk: self.gvk.clone(), status, message }
    }

    fn with(&self, action: Action) -> Step {
        Step { key: self.key.clone(), gvk: self.gvk.clone(), action, dry_run: false }
    }

    /// Returns the hook's object of an earlier operation, if it must go before the hook runs.
    fn old_hook(&self, find: Find<'_>) -> Option<Arc<Live>> {
        let Work::Hook { policies, marker, .. } = &self.work else { return None };
        let live = find(&self.key)?;
        let replaced = policies.contains(&HookDeletePolicy::BeforeHookCreation);
        (replaced && record::marker_of(&live).as_deref() != Some(marker)).then_some(live)
    }
}

#[cfg(test)]
mod tests;
