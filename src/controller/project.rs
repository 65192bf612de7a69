//! Reconciles projects: makes their namespace and service account, checks their rules, and keeps them as
//! long as applications refer to them.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;

use super::{Context, Error};
use crate::api::project::{Project, ProjectStatus};
use crate::api::{names, policy};

/// Keeps a project until no application refers to it.
const FINALIZER: &str = "gitops/project";
/// The condition that sums a project up.
const READY: &str = "Ready";

/// Reconciles one project.
pub(super) async fn project(project: Arc<Project>, context: Arc<Context>) -> Result<Action, Error> {
    let store = &context.parts.store;
    if project.metadata.deletion_timestamp.is_some() {
        return delete(&project, &context).await;
    }
    if !project.finalizers().iter().any(|finalizer| finalizer == FINALIZER) {
        store.add_project_finalizer(&project, FINALIZER).await?;
    }
    let findings = policy::validate(&project.spec);
    let (ready, reason, message) = if findings.is_empty() {
        match store.ensure_project_home(&project).await {
            Ok(()) => ("True", "HomeReady", String::new()),
            Err(error) => ("False", "HomeMissing", error.to_string()),
        }
    } else {
        let texts: Vec<_> =
            findings.iter().map(|finding| format!("{}: {}", finding.field, finding.message)).collect();
        ("False", "InvalidSpec", texts.join("; "))
    };
    let failed = ready == "False";
    record(&project, &context, condition(ready, reason, message)).await?;
    // Its rules may have changed, and applications are judged by them.
    for application in context.applications_of(&project.name_any()) {
        let _ = context.wake.send(ObjectRef::from_obj(&*application));
    }
    Ok(if failed { Action::requeue(Duration::from_secs(30)) } else { Action::await_change() })
}

/// Decides how long to wait after a failure.
#[expect(clippy::needless_pass_by_value, reason = "the signature is kube's")]
pub(super) fn again(project: Arc<Project>, error: &Error, _: Arc<Context>) -> Action {
    tracing::warn!(project = project.name_any(), %error, "cannot reconcile the project; trying again");
    Action::requeue(Duration::from_secs(10))
}

async fn delete(project: &Project, context: &Context) -> Result<Action, Error> {
    let name = project.name_any();
    let referring = context.applications_of(&name).len();
    if referring == 0 {
        context.parts.store.remove_project_finalizer(project, FINALIZER).await?;
        return Ok(Action::await_change());
    }
    let message = format!("project is referenced by {referring} applications; it goes when they are gone");
    record(project, context, condition("False", "InUse", message)).await?;
    Ok(Action::requeue(Duration::from_secs(2)))
}

fn condition(status: &str, reason: &str, message: String) -> Condition {
    Condition {
        type_: READY.into(),
        status: status.into(),
        reason: reason.into(),
        message,
        observed_generation: None,
        last_transition_time: Time(jiff::Timestamp::UNIX_EPOCH),
    }
}

/// Writes the status where it tells something new.
async fn record(project: &Project, context: &Context, found: Condition) -> Result<(), Error> {
    let before = project.status.clone().unwrap_or_default();
    let since = before.conditions.iter().find(|known| known.type_ == READY && known.status == found.status);
    let since = since.map_or(Time(context.now()), |known| known.last_transition_time.clone());
    let generation = project.metadata.generation;
    let after = ProjectStatus {
        observed_generation: generation,
        namespace: Some(project.name_any()),
        service_account: Some(names::DEPLOYER.into()),
        conditions: vec![Condition { last_transition_time: since, observed_generation: generation, ..found }],
    };
    if after != before {
        context.parts.store.write_project_status(project, &after).await?;
    }
    Ok(())
}
