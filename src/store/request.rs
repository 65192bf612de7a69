//! What users ask the controller for: a refresh (annotations) and a sync (`operation`). Both are
//! stored, so that any replica may take the request and any controller may fulfil it.

use serde_json::{Value, json};

use super::forward::Place;
use super::write::Change;
use super::{Error, Store};
use crate::api::application::{Application, Operation, OperationPhase};
use crate::api::requests::RefreshType;

/// Asks for a refresh: `normal` or `hard`.
const REFRESH: &str = "gitops/refresh";
/// When it was asked for. A second request of the same kind differs in this.
const REFRESH_REQUESTED_AT: &str = "gitops/refresh-requested-at";
/// The annotations that ask for a refresh, Argo CD's own included.
pub const REFRESH_ANNOTATIONS: [&str; 3] = [REFRESH, REFRESH_REQUESTED_AT, "argocd.argoproj.io/refresh"];

/// Whether a request is to have an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commit {
    /// It is.
    Store,
    /// `dryRun=All`: only the answer is wanted.
    DryRun,
}

impl Commit {
    pub(super) fn query(self) -> &'static str {
        match self {
            Self::Store => "",
            Self::DryRun => "&dryRun=All",
        }
    }
}

impl Store {
    /// Asks for a refresh of an application. A hard refresh that is pending stays hard.
    pub async fn request_refresh(
        &self,
        namespace: &str,
        name: &str,
        kind: RefreshType,
        commit: Commit,
    ) -> Result<Application, Error> {
        let app = self.read(&Place::application(namespace, name)).await?;
        let now = format!("{:.6}", (self.clock)());
        self.revise(app, commit, |app| Ok(ask_refresh(app, kind, &now))).await
    }

    /// Asks for an operation that `plan` makes from the newest state of the application; `plan` may be
    /// asked again when the state changes, and may refuse. Fails where the application is going away
    /// or another operation is asked for or under way.
    pub async fn request_operation<E: From<Error>>(
        &self,
        namespace: &str,
        name: &str,
        commit: Commit,
        plan: impl Fn(&Application) -> Result<Operation, E>,
    ) -> Result<Application, E> {
        let mut app: Application = self.read(&Place::application(namespace, name)).await?;
        loop {
            let operation = plan(&app)?;
            let seen = app.metadata.resource_version.clone();
            let change = |now: &Application| ask_operation(now, &operation);
            return Ok(self.revise(app, commit, change).await?);
        }
    }
}

fn ask_refresh(app: &Application, kind: RefreshType, now: &str) -> Vec<Value> {
    let mut annotations = app.metadata.annotations.clone().unwrap_or_default();
    let pending = annotations.get(REFRESH).map(String::as_str) == Some(RefreshType::Hard.as_str());
    let kind = if pending { RefreshType::Hard } else { kind };
    annotations.insert(REFRESH.into(), kind.as_str().into());
    annotations.insert(REFRESH_REQUESTED_AT.into(), now.into());
    vec![json!({"op": "add", "path": "/metadata/annotations", "value": annotations})]
}

fn ask_operation(app: &Application, operation: &Operation) -> Change {
    let phase = app.status.as_ref().and_then(|status| status.operation_state.as_ref()).map(|state| state.phase);
    if app.metadata.deletion_timestamp.is_some() {
        let name = app.metadata.name.as_deref().unwrap_or_default();
        return Err(Error::Deleting(format!("application {name}")));
    }
    if app.operation.is_some() || matches!(phase, Some(OperationPhase::Running | OperationPhase::Terminating)) {
        return Err(Error::OperationInProgress);
    }
    Ok(vec![json!({"op": "add", "path": "/operation", "value": operation})])
}
