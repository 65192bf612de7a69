//! What became of steps, written into the operation's results, and what the cluster says of running
//! ones.

use std::sync::Arc;

use super::{Batch, Find, Progress, Purpose, Skipped, Task, Work, matches, sync_phase};
use crate::api::application::{HealthCode, OperationPhase, ResourceResult, ResultCode};
use crate::engine::health;
use crate::engine::live::Live;
use crate::engine::step::{Done, Failure, Outcome, Reason};
use crate::manifest::hints::Phase;
use crate::manifest::{Gvk, Key};

/// Annotation on a hook's object: the operation and phase that created it.
pub const OPERATION_ANNOTATION: &str = "gitops/operation";

/// Returns the operation and phase that created a hook's object.
pub(super) fn marker_of(live: &Live) -> Option<String> {
    live.value()["metadata"]["annotations"][OPERATION_ANNOTATION].as_str().map(str::to_owned)
}

/// Makes the result of a task that can never succeed.
pub(super) fn refused(key: &Key, gvk: &Gvk, phase: Phase, message: String) -> ResourceResult {
    let failed = Some(OperationPhase::Failed);
    ResourceResult {
        status: Some(ResultCode::SyncFailed),
        message: Some(message),
        hook_phase: failed,
        ..result(key, gvk, phase)
    }
}

fn result(key: &Key, gvk: &Gvk, phase: Phase) -> ResourceResult {
    ResourceResult {
        group: key.group.clone(),
        version: gvk.version.clone(),
        kind: key.kind.clone(),
        namespace: key.namespace.clone(),
        name: key.name.clone(),
        sync_phase: Some(sync_phase(phase)),
        ..ResourceResult::default()
    }
}

/// Brings running results up to date with what is live, and takes over hooks that this operation had
/// created when the process died.
pub fn observe(tasks: &[Task], progress: &mut Progress, find: Find<'_>) {
    for task in tasks {
        let live = find(&task.key);
        if let (Work::Hook { marker, .. }, Some(live)) = (&task.work, &live)
            && progress.is_pending(task)
            && marker_of(live).as_ref() == Some(marker)
        {
            let started = "created".to_owned();
            progress.results.push(running(task, started));
        }
        let Some(entry) = progress.results.iter_mut().find(|entry| matches(entry, &task.key, task.phase))
        else {
            continue;
        };
        if entry.hook_phase == Some(OperationPhase::Running) {
            progress_of(task, live.as_deref(), entry);
        }
    }
}

fn running(task: &Task, message: String) -> ResourceResult {
    ResourceResult {
        status: Some(ResultCode::Synced),
        message: Some(message),
        hook_phase: Some(OperationPhase::Running),
        hook_type: hook_type(task),
        ..result(&task.key, &task.gvk, task.phase)
    }
}

fn progress_of(task: &Task, live: Option<&Live>, entry: &mut ResourceResult) {
    let Some(live) = live else {
        if task.work.is_hook() {
            entry.hook_phase = Some(OperationPhase::Error);
            entry.message = Some("its object was deleted before it was seen to end".into());
        }
        return;
    };
    let health = health::of(&live.value());
    let (code, message) = match health {
        None => (HealthCode::Healthy, String::new()),
        Some(health) => (health.code, health.message),
    };
    entry.hook_phase = Some(match (code, task.work.is_hook()) {
        (HealthCode::Healthy, _) => OperationPhase::Succeeded,
        (HealthCode::Degraded, _) | (HealthCode::Unknown, true) => OperationPhase::Failed,
        _ => OperationPhase::Running,
    });
    if task.work.is_hook() && !message.is_empty() || entry.hook_phase == Some(OperationPhase::Failed) {
        entry.message = Some(message);
    }
}

/// Writes the outcomes of a batch into the results.
pub fn record(tasks: &[Task], progress: &mut Progress, batch: &Batch, outcomes: Vec<Outcome>) {
    progress.tried = true;
    if batch.purpose == Purpose::CleanUp {
        progress.cleaned.extend(batch.steps.iter().map(|step| step.key.clone()));
        return;
    }
    for outcome in outcomes {
        let of_outcome = |task: &&Task| task.key == outcome.key && in_batch(task, batch);
        let Some(task) = tasks.iter().find(of_outcome) else { continue };
        match batch.purpose {
            Purpose::Try => tried(tasks, task, progress, outcome.result),
            Purpose::ClearHooks => cleared(task, progress, outcome.result),
            Purpose::CleanUp => (),
            Purpose::Prune | Purpose::Apply => done(task, progress, outcome.result),
        }
    }
    let phase = batch.phase;
    for Skipped { key, gvk, status, message } in &batch.skipped {
        let pruning = *status == ResultCode::PruneSkipped;
        let hook_phase =
            if pruning || progress.dry_run { OperationPhase::Succeeded } else { OperationPhase::Running };
        let entry = ResourceResult {
            status: Some(*status),
            message: Some((*message).to_owned()),
            hook_phase: Some(hook_phase),
            ..result(key, gvk, phase)
        };
        progress.results.push(entry);
    }
}

fn in_batch(task: &Task, batch: &Batch) -> bool {
    batch.purpose == Purpose::Try || task.phase == batch.phase
}

/// A failed trial is final; a passed one is recorded only where trying is all that is asked for.
fn tried(tasks: &[Task], task: &Task, progress: &mut Progress, outcome: Result<Done, Failure>) {
    match outcome {
        Err(failure) if !tolerable(&failure, task, tasks) => {
            progress.refused = true;
            fail(task, progress, failure.message);
        }
        _ if progress.dry_run => {
            let (status, message) = match &task.work {
                Work::Prune { .. } => (ResultCode::Pruned, "pruned (dry run)"),
                _ => (ResultCode::Synced, "applied (dry run)"),
            };
            let hook_phase = Some(OperationPhase::Succeeded);
            progress.results.push(ResourceResult {
                status: Some(status),
                hook_phase,
                ..running(task, message.into())
            });
        }
        _ => (),
    }
}

/// A trial may fail for want of something that the operation itself is going to make.
fn tolerable(failure: &Failure, task: &Task, tasks: &[Task]) -> bool {
    let made = |kind: &str, named: &dyn Fn(&Key) -> bool| {
        tasks
            .iter()
            .any(|other| matches!(other.work, Work::Apply(_)) && other.key.kind == kind && named(&other.key))
    };
    match failure.reason {
        Reason::NotFound => made("Namespace", &|key| key.name == task.key.namespace),
        Reason::UnknownKind => made("CustomResourceDefinition", &|_| true),
        Reason::Forbidden => {
            made("ServiceAccount", &|key| failure.message.contains(&format!("/{}", key.name)))
                && failure.message.contains("error looking up service account")
        }
        Reason::Invalid | Reason::Conflict | Reason::Unavailable | Reason::Other => false,
    }
}

fn cleared(task: &Task, progress: &mut Progress, outcome: Result<Done, Failure>) {
    if let Err(failure) = outcome {
        fail(task, progress, format!("its object of an earlier sync cannot be deleted: {}", failure.message));
    }
}

fn done(task: &Task, progress: &mut Progress, outcome: Result<Done, Failure>) {
    let done = match outcome {
        Err(failure)
            if failure.reason == Reason::Invalid && task.force && !progress.recreate.contains(&task.key) =>
        {
            progress.recreate.insert(task.key.clone());
            return;
        }
        Err(failure) => return fail(task, progress, failure.message),
        Ok(done) => done,
    };
    let (message, live) = match done {
        Done::Created(live) => ("created", live),
        Done::Unchanged(live) => ("unchanged", live),
        Done::Configured(live) => ("configured", live),
        Done::Gone | Done::Deleting(_) => {
            progress.results.push(ResourceResult {
                status: Some(ResultCode::Pruned),
                hook_phase: Some(OperationPhase::Succeeded),
                ..running(task, "pruned".into())
            });
            return;
        }
    };
    let mut entry = running(task, message.into());
    progress_of(task, Some(&live), &mut entry);
    progress.results.push(entry);
}

fn hook_type(task: &Task) -> Option<String> {
    task.work.is_hook().then(|| format!("{:?}", task.phase))
}

fn fail(task: &Task, progress: &mut Progress, message: String) {
    let hook_type = hook_type(task);
    let entry = refused(&task.key, &task.gvk, task.phase, message);
    progress.results.push(ResourceResult { hook_type, ..entry });
}

/// Ends what is still running, because the operation was terminated.
pub fn terminate(progress: &mut Progress) {
    let running = |entry: &&mut ResourceResult| entry.hook_phase == Some(OperationPhase::Running);
    for entry in progress.results.iter_mut().filter(running) {
        entry.hook_phase = Some(OperationPhase::Failed);
        entry.message = Some("Terminated".into());
    }
}

/// Returns the live objects of hooks that still run, which termination deletes.
#[must_use]
pub fn running_hooks(tasks: &[Task], progress: &Progress, find: Find<'_>) -> Vec<Arc<Live>> {
    let is_running = |task: &&Task| {
        let result = progress.of_task(task);
        task.work.is_hook() && result.is_some_and(|entry| entry.hook_phase == Some(OperationPhase::Running))
    };
    tasks.iter().filter(is_running).filter_map(|task| find(&task.key)).collect()
}
