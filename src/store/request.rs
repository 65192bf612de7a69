//! What users ask the controller for: a refresh (annotations) and a sync (`operation`). Both are
//! stored, so that any replica may take the request and any controller may fulfil it.

use serde_json::{Value, json};

use super::forward::Place;
use super::write::annotation_path;
use super::{Error, Store};
use crate::api::application::{Application, Operation, OperationPhase};
use crate::api::names::{ARGO_REFRESH_ANNOTATION, REFRESH_ANNOTATION, REFRESH_REQUESTED_AT_ANNOTATION};
use crate::api::requests::RefreshType;

/// The annotations that ask for a refresh, Argo CD's own included.
pub const REFRESH_ANNOTATIONS: [&str; 3] =
    [REFRESH_ANNOTATION, REFRESH_REQUESTED_AT_ANNOTATION, ARGO_REFRESH_ANNOTATION];

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
        let change = |app: &Application| Ok::<_, Error>(ask_refresh(app, kind, &now));
        Ok(self.revise(app, commit, change).await?.object())
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
        let app = self.read(&Place::application(namespace, name)).await?;
        let change = |app: &Application| {
            admits_operation(app)?;
            Ok::<_, E>(vec![json!({"op": "add", "path": "/operation", "value": plan(app)?})])
        };
        Ok(self.revise(app, commit, change).await?.object())
    }
}

fn ask_refresh(app: &Application, kind: RefreshType, now: &str) -> Vec<Value> {
    let annotations = app.metadata.annotations.as_ref();
    let pending = annotations.and_then(|annotations| annotations.get(REFRESH_ANNOTATION));
    let kind =
        if pending.is_some_and(|kind| kind == RefreshType::Hard.as_str()) { RefreshType::Hard } else { kind };
    // Others are left alone: what `app` shows of them is the served view.
    let room =
        annotations.is_none().then(|| json!({"op": "add", "path": "/metadata/annotations", "value": {}}));
    let add = |key: &str, value: &str| json!({"op": "add", "path": annotation_path(key), "value": value});
    let added = [add(REFRESH_ANNOTATION, kind.as_str()), add(REFRESH_REQUESTED_AT_ANNOTATION, now)];
    room.into_iter().chain(added).collect()
}

fn admits_operation(app: &Application) -> Result<(), Error> {
    let phase =
        app.status.as_ref().and_then(|status| status.operation_state.as_ref()).map(|state| state.phase);
    let application = app.metadata.name.clone().unwrap_or_default();
    if app.metadata.deletion_timestamp.is_some() {
        return Err(Error::Deleting { application });
    }
    if app.operation.is_some() || matches!(phase, Some(OperationPhase::Running | OperationPhase::Terminating))
    {
        return Err(Error::OperationInProgress { application });
    }
    Ok(())
}
