//! The first step of a pass: who the application is, whether its project lets it be, and what it wants
//! rendered.

use std::sync::Arc;

use super::Context;
use crate::api::application::{self, Application, ApplicationSource, OperationState, SyncOperation};
use crate::api::{names, policy, project::Project};
use crate::cluster::ServiceAccount;
use crate::engine::status::{Condition, ConditionKind};
use crate::engine::subject::Subject;

/// An application that can be acted on.
pub(super) struct Resolved {
    pub(super) subject: Subject,
    pub(super) project: Arc<Project>,
    /// With whose rights objects are written.
    pub(super) actor: ServiceAccount,
}

/// What is to be rendered: sources with the revisions they are wanted at.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted(pub(super) Vec<ApplicationSource>);

/// Checks spec and project. The error is what the user has to put right.
pub(super) fn resolve(context: &Context, application: &Application) -> Result<Resolved, Vec<Condition>> {
    let invalid = |message: String| vec![Condition { kind: ConditionKind::InvalidSpecError, message }];
    let namespace = application.metadata.namespace.as_deref().unwrap_or_default();
    let findings = application::validate(&application.spec, namespace);
    if !findings.is_empty() {
        return Err(findings.into_iter().flat_map(|finding| invalid(finding.message)).collect());
    }
    if application.spec.source_hydrator.is_some() {
        return Err(invalid("spec.sourceHydrator is not supported by this version; use spec.source".into()));
    }
    let subject = Subject::of(application).map_err(|error| invalid(error.to_string()))?;
    let project = context.project(namespace).ok_or_else(|| {
        invalid(format!(
            "Application referencing project {namespace} which does not exist; \
             create the Project {namespace} or move the Application to a project's namespace"
        ))
    })?;
    let refused = refusals(&project, &subject, application);
    if !refused.is_empty() {
        return Err(refused.into_iter().flat_map(invalid).collect());
    }
    let actor = actor(&project, &subject).map_err(invalid)?;
    Ok(Resolved { subject, project, actor })
}

/// Finds out with whose rights objects are deleted; what else is wrong with the spec does not matter.
pub(super) fn for_deletion(context: &Context, application: &Application) -> Result<Resolved, String> {
    let subject = Subject::of(application).map_err(|error| error.to_string())?;
    let project = context.project(&subject.project).ok_or_else(|| {
        format!(
            "the project {} does not exist; create it, or remove the application's finalizers to leave its objects",
            subject.project
        )
    })?;
    let actor = actor(&project, &subject)?;
    Ok(Resolved { subject, project, actor })
}

fn refusals(project: &Project, subject: &Subject, application: &Application) -> Vec<String> {
    let mut refused: Vec<_> = application
        .spec
        .sources()
        .into_iter()
        .filter(|source| !policy::permits_source(&project.spec, &source.repo_url))
        .map(|source| {
            let repository = crate::source::git::redact(&source.repo_url);
            format!("application repo {repository} is not permitted in project '{}'", subject.project)
        })
        .collect();
    let destination = &subject.destination;
    if !policy::permits_destination(
        &project.spec,
        &destination.server,
        &destination.name,
        &destination.namespace,
    ) {
        refused.push(format!(
            "application destination server '{}' and namespace '{}' do not match any of the allowed destinations in project '{}'",
            destination.server, destination.namespace, subject.project
        ));
    }
    refused
}

/// The service account of the project, or the one it names for the destination.
fn actor(project: &Project, subject: &Subject) -> Result<ServiceAccount, String> {
    let destination = &subject.destination;
    let named = policy::service_account(&project.spec, &destination.server, &destination.namespace);
    let (namespace, name) = match named {
        Some(policy::ServiceAccount { namespace, name }) => (namespace, name),
        None => (subject.project.clone(), names::DEPLOYER.to_owned()),
    };
    ServiceAccount::new(&namespace, &name).map_err(|error| error.to_string())
}

/// Returns what the spec wants.
pub(super) fn wanted_by_spec(application: &Application) -> Wanted {
    Wanted(application.spec.sources().into_iter().cloned().collect())
}

/// Says whether the sources of the spec are those that were compared last.
pub(super) fn compared(application: &Application) -> bool {
    let status = application.status.as_ref().and_then(|status| status.sync.as_ref());
    let compared = status.and_then(|sync| sync.compared_to.as_ref());
    compared.is_some_and(|compared| {
        compared.source.iter().chain(&compared.sources).eq(application.spec.sources())
    })
}

/// Returns what an operation wants before it starts: its own sources or revisions win over the spec's.
pub(super) fn wanted_by(sync: &SyncOperation, application: &Application) -> Wanted {
    let own: Vec<_> = sync.source.iter().chain(&sync.sources).cloned().collect();
    let mut sources = if own.is_empty() { wanted_by_spec(application).0 } else { own };
    let revisions: Vec<_> = match &sync.revision {
        Some(revision) if !revision.is_empty() => vec![revision.clone()],
        _ => sync.revisions.clone(),
    };
    pin(&mut sources, &revisions);
    Wanted(sources)
}

/// Returns what a running operation wants: exactly the revisions it started with.
pub(super) fn wanted_by_running(state: &OperationState, application: &Application) -> Wanted {
    let sync = state.operation.sync.clone().unwrap_or_default();
    let mut wanted = wanted_by(&sync, application);
    if let Some(result) = &state.sync_result {
        let recorded: Vec<_> = result.source.iter().chain(&result.sources).cloned().collect();
        if !recorded.is_empty() {
            wanted.0 = recorded;
        }
        let revisions = if result.revisions.is_empty() {
            vec![result.revision.clone()]
        } else {
            result.revisions.clone()
        };
        pin(&mut wanted.0, &revisions);
    }
    wanted
}

fn pin(sources: &mut [ApplicationSource], revisions: &[String]) {
    for (source, revision) in sources.iter_mut().zip(revisions).filter(|(_, revision)| !revision.is_empty()) {
        source.target_revision = Some(revision.clone());
    }
}
