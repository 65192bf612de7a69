//! Runs operations: turn by turn, as far as they can go now.

use std::sync::Arc;

use jiff::Timestamp;

use super::fetch::{self, Demand};
use super::memory::Remembered;
use super::resolve::{self, Resolved, Wanted};
use super::{Context, Error, compare, record};
use crate::api::application::{
    Application, ApplicationSource, ApplicationStatus, Operation, OperationPhase, OperationState,
    SyncOperation,
};
use crate::engine::desired::Desired;
use crate::engine::operation::{self, Sources, Standing};
use crate::engine::plan::{self, NamespacePresence, Progress, Purpose, Scene, Task, Turn};
use crate::engine::status::{self, Condition, ConditionKind};
use crate::engine::step::{Action, Propagation, Step};
use crate::manifest::Key;

/// How far an operation got in this pass.
pub(super) struct Advanced {
    /// The application as it is stored.
    pub(super) stored: Arc<Application>,
    /// The application with what the operation came to. That is stored together with what the next look
    /// finds, so that nobody sees one without the other.
    pub(super) application: Arc<Application>,
    /// When it goes on without anything happening.
    pub(super) next: Option<Timestamp>,
}

impl Advanced {
    /// Nothing has happened that is not stored.
    pub(super) fn as_stored(application: Arc<Application>, next: Option<Timestamp>) -> Self {
        Self { stored: Arc::clone(&application), application, next }
    }

    fn to(stored: &Arc<Application>, status: ApplicationStatus, next: Option<Timestamp>) -> Self {
        let application = Application { status: Some(status), ..Application::clone(stored) };
        Self { stored: Arc::clone(stored), application: Arc::new(application), next }
    }
}

/// Takes up what is requested or running. `None` where there is nothing.
pub(super) async fn operate(
    context: &Context,
    memory: &mut Remembered,
    application: &Arc<Application>,
    resolved: &Resolved,
    demand: Demand,
) -> Result<Option<Advanced>, Error> {
    let (application, state) = match operation::standing(application) {
        Standing::Idle => return Ok(None),
        Standing::Running(state) => (Arc::clone(application), state),
        Standing::Requested(operation) => {
            let sync = operation.sync.clone().unwrap_or_default();
            let wanted = resolve::wanted_by(&sync, application);
            let status = status::of(application);
            // The revision of a request is resolved when it starts and stays the same to its end.
            let demand = if demand == Demand::Recent { Demand::Now } else { demand };
            let pinned = match pin(context, memory, resolved, &wanted, demand).await {
                Ok(pinned) => pinned,
                Err(condition) => {
                    return Ok(Some(reject(context, memory, application, operation, &condition).await?));
                }
            };
            let application = begin(context, memory, application, status, operation, &pinned).await?;
            let state = status::of(&application).operation_state.expect("`begin` wrote it");
            (application, state)
        }
    };
    let application = take_request(context, memory, application, &state).await?;
    go_on(context, memory, &application, resolved, state, demand).await.map(Some)
}

async fn pin(
    context: &Context,
    memory: &mut Remembered,
    resolved: &Resolved,
    wanted: &Wanted,
    demand: Demand,
) -> Result<Wanted, Condition> {
    let fetched = fetch::fetch(context, memory, &resolved.subject, wanted, demand).await?;
    let mut pinned = wanted.clone();
    for (source, revision) in pinned.0.iter_mut().zip(&fetched.revisions.0) {
        source.target_revision = Some(revision.clone());
    }
    Ok(pinned)
}

/// Records that an operation starts. From here on it survives the process.
pub(super) async fn begin(
    context: &Context,
    memory: &mut Remembered,
    application: &Application,
    status: ApplicationStatus,
    operation: Operation,
    wanted: &Wanted,
) -> Result<Arc<Application>, Error> {
    let revisions = revisions_of(&operation, &status, wanted);
    let own = resolve::wanted_by_spec(application);
    let recorded =
        if operation.sync.as_ref().is_some_and(|sync| sync.source.is_some() || !sync.sources.is_empty()) {
            &wanted.0
        } else {
            &own.0
        };
    let sources: Vec<&ApplicationSource> = recorded.iter().collect();
    let state = operation::start(operation, &revisions, Sources(&sources), context.now());
    let after = ApplicationStatus { operation_state: Some(state), ..status };
    record::write(context, memory, application, &after).await
}

/// A request was pinned to revisions; an automated operation is for those that were just compared.
fn revisions_of(operation: &Operation, status: &ApplicationStatus, wanted: &Wanted) -> operation::Revisions {
    let automated = operation.initiated_by.as_ref().is_some_and(|by| by.automated == Some(true));
    let compared = status.sync.as_ref().filter(|_| automated);
    match compared {
        Some(sync) if !sync.revisions.is_empty() => operation::Revisions(sync.revisions.clone()),
        Some(sync) => operation::Revisions(sync.revision.iter().cloned().collect()),
        None => operation::Revisions(
            wanted.0.iter().map(|source| source.target_revision.clone().unwrap_or_default()).collect(),
        ),
    }
}

/// Removes the request that the running operation came from, before anything is done for it.
async fn take_request(
    context: &Context,
    memory: &mut Remembered,
    application: Arc<Application>,
    state: &OperationState,
) -> Result<Arc<Application>, Error> {
    match &application.operation {
        Some(request) if *request == state.operation => {
            match context.parts.store.remove_operation(&application, request).await? {
                Some(written) => Ok(memory.wrote(written)),
                None => Ok(application),
            }
        }
        _ => Ok(application),
    }
}

/// Ends a request that cannot even start.
async fn reject(
    context: &Context,
    memory: &mut Remembered,
    application: &Arc<Application>,
    operation: Operation,
    condition: &Condition,
) -> Result<Advanced, Error> {
    let now = context.now();
    let operation = Operation { retry: None, ..operation };
    let started = operation::start(operation, &operation::Revisions::default(), Sources(&[]), now);
    let state = operation::finish(started, OperationPhase::Error, &condition.message, now);
    let status = ApplicationStatus { operation_state: Some(state), ..status::of(application) };
    let written = record::write(context, memory, application, &status).await?;
    let request = application.operation.as_ref().expect("a request is what is rejected");
    let removed = context.parts.store.remove_operation(&written, request).await?;
    let application = removed.map_or(written, |removed| memory.wrote(removed));
    Ok(Advanced::as_stored(application, None))
}

/// Ends what is requested or running on an application whose spec cannot be acted on.
pub(super) async fn refuse(
    context: &Context,
    memory: &mut Remembered,
    application: Arc<Application>,
    conditions: &[Condition],
) -> Result<Arc<Application>, Error> {
    let messages: Vec<_> = conditions
        .iter()
        .map(|condition| format!("{}: {}", condition.kind.as_str(), condition.message))
        .collect();
    let condition = Condition { kind: ConditionKind::InvalidSpecError, message: messages.join("; ") };
    match operation::standing(&application) {
        Standing::Idle => Ok(application),
        Standing::Requested(operation) => {
            Ok(reject(context, memory, &application, operation, &condition).await?.stored)
        }
        Standing::Running(state) => {
            let now = context.now();
            let state =
                OperationState { operation: Operation { retry: None, ..state.operation.clone() }, ..state };
            let state = operation::finish(state, OperationPhase::Error, &condition.message, now);
            let status = ApplicationStatus { operation_state: Some(state), ..status::of(&application) };
            record::write(context, memory, &application, &status).await
        }
    }
}

/// Goes on with a running operation.
async fn go_on(
    context: &Context,
    memory: &mut Remembered,
    application: &Arc<Application>,
    resolved: &Resolved,
    mut state: OperationState,
    demand: Demand,
) -> Result<Advanced, Error> {
    if let Some(revisions) = newer(context, memory, application, resolved, &state, demand).await {
        let state = operation::give_way(state, &revisions, context.now());
        let status = ApplicationStatus { operation_state: Some(state), ..status::of(application) };
        return Ok(Advanced::to(application, status, None));
    }
    if let Some(at) = operation::repeats_at(&state) {
        if context.now() < at {
            return Ok(Advanced::as_stored(Arc::clone(application), Some(at)));
        }
        state = operation::repeat(state);
    }
    let wanted = resolve::wanted_by_running(&state, application);
    let fetched = fetch::fetch(context, memory, &resolved.subject, &wanted, Demand::Recent).await;
    let state = match fetched {
        Err(condition) => operation::finish(state, OperationPhase::Error, &condition.message, context.now()),
        Ok(fetched) => {
            let revision = fetched.revisions.0.first().cloned().unwrap_or_default();
            let desired = compare::desired(context, resolved, application, fetched.manifests).await?;
            run(context, memory, application, resolved, &desired, &revision, state).await?
        }
    };
    let next = operation::repeats_at(&state);
    let before = status::of(application);
    let history = if operation::is_running(&state) {
        before.history.clone()
    } else {
        operation::history(&resolved.subject, &before.history, &state)
    };
    Ok(Advanced::to(application, ApplicationStatus { operation_state: Some(state), history, ..before }, next))
}

/// Returns what an operation has to give way to. Otherwise a revision that cannot be applied, or never
/// becomes healthy, would hold up the one that mends it.
async fn newer(
    context: &Context,
    memory: &mut Remembered,
    application: &Application,
    resolved: &Resolved,
    state: &OperationState,
    demand: Demand,
) -> Option<operation::Revisions> {
    if !operation::may_give_way(state) {
        return None;
    }
    let wanted = resolve::wanted_by_spec(application);
    let fetched = fetch::fetch(context, memory, &resolved.subject, &wanted, demand).await.ok()?;
    (!operation::is_for(state, &fetched.revisions)).then_some(fetched.revisions)
}

async fn run(
    context: &Context,
    memory: &mut Remembered,
    application: &Application,
    resolved: &Resolved,
    desired: &Desired,
    revision: &str,
    state: OperationState,
) -> Result<OperationState, Error> {
    let rules = &application.spec.ignore_differences;
    let (comparison, conditions) = compare::compare(context, memory, resolved, rules, desired).await;
    let blocking = conditions.iter().find(|condition| condition.kind == ConditionKind::ComparisonError);
    if let Some(condition) = blocking {
        return Ok(operation::finish(state, OperationPhase::Error, &condition.message, context.now()));
    }
    let sync: SyncOperation = state.operation.sync.clone().unwrap_or_default();
    let results = state.sync_result.clone().unwrap_or_default().resources;
    let scene = Scene {
        subject: &resolved.subject,
        project: &resolved.project.spec,
        sync: &sync,
        revision,
        started_at: state.started_at.0,
        repetition: state.retry_count.unwrap_or(0),
        desired,
        comparison: &comparison,
        results: &results,
        namespace: presence(context, resolved, &sync).await?,
    };
    let tasks = match plan::tasks(&scene) {
        Ok(tasks) => tasks,
        Err(invalid) => {
            let message = plan::invalid_message(&invalid);
            let state = operation::advance(state, invalid, "");
            return Ok(operation::finish(state, OperationPhase::Failed, &message, context.now()));
        }
    };
    let progress = Progress::of(results, sync.dry_run == Some(true));
    if state.phase == OperationPhase::Terminating {
        return terminate(context, resolved, &tasks, progress, state).await;
    }
    turns(context, resolved, &tasks, progress, state).await
}

/// Takes turns until there is nothing to do now.
async fn turns(
    context: &Context,
    resolved: &Resolved,
    tasks: &[Task],
    mut progress: Progress,
    state: OperationState,
) -> Result<OperationState, Error> {
    let cluster = &context.parts.cluster;
    let find = |key: &Key| cluster.find(key);
    loop {
        plan::observe(tasks, &mut progress, &find);
        match plan::next(tasks, &progress, &find) {
            // Either is written down next. That is a change of the application, so another pass follows.
            Turn::Wait { message } | Turn::Record { message } => {
                return Ok(operation::advance(state, progress.results, &message));
            }
            Turn::Done { phase, message } => {
                let state = operation::advance(state, progress.results, "");
                return Ok(operation::finish(state, phase, &message, context.now()));
            }
            Turn::Act(batch) => {
                let outcomes = cluster.execute(&resolved.actor, &batch.steps).await;
                if batch.purpose == Purpose::Apply
                    && batch.steps.iter().any(|step| step.key.kind == "CustomResourceDefinition")
                {
                    cluster.relearn().await;
                }
                plan::record(tasks, &mut progress, &batch, outcomes);
            }
        }
    }
}

/// Deletes running hooks and ends the operation.
async fn terminate(
    context: &Context,
    resolved: &Resolved,
    tasks: &[Task],
    mut progress: Progress,
    state: OperationState,
) -> Result<OperationState, Error> {
    let cluster = &context.parts.cluster;
    let find = |key: &Key| cluster.find(key);
    plan::observe(tasks, &mut progress, &find);
    let steps: Vec<_> = plan::running_hooks(tasks, &progress, &find)
        .into_iter()
        .map(|live| Step {
            key: live.key.clone(),
            gvk: live.gvk.clone(),
            action: Action::Delete { uid: live.uid.clone(), propagation: Propagation::Background },
            dry_run: false,
        })
        .collect();
    let outcomes = cluster.execute(&resolved.actor, &steps).await;
    let (phase, message) = match outcomes.iter().find_map(|outcome| outcome.result.as_ref().err()) {
        None => (OperationPhase::Failed, "Operation terminated".to_owned()),
        Some(failure) => {
            (OperationPhase::Error, format!("Operation termination had errors: {}", failure.message))
        }
    };
    plan::terminate(&mut progress);
    let state = operation::advance(state, progress.results, "");
    Ok(operation::finish(state, phase, &message, context.now()))
}

/// Only `CreateNamespace=true` needs to know whether the destination namespace exists.
async fn presence(
    context: &Context,
    resolved: &Resolved,
    sync: &SyncOperation,
) -> Result<NamespacePresence, Error> {
    let namespace = &resolved.subject.destination.namespace;
    if namespace.is_empty() || !resolved.subject.options_for(sync).create_namespace {
        return Ok(NamespacePresence::Present);
    }
    let exists = context.parts.cluster.namespace_exists(namespace).await?;
    Ok(if exists { NamespacePresence::Present } else { NamespacePresence::Absent })
}
