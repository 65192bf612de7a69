//! Writes what a pass found into the application's status, tells of it in events, and takes back the
//! request to refresh that it served.

use std::sync::Arc;

use super::memory::Remembered;
use super::operate::Advanced;
use super::{Context, Error};
use crate::api::application::{Application, ApplicationStatus};
use crate::api::names;
use crate::engine::status;
use crate::store::events::{Happening, Severity};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// A request to refresh, as found in the annotations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refresh {
    kind: String,
}

impl Refresh {
    /// Reads the request, in either spelling.
    pub(super) fn of(application: &Application) -> Option<Self> {
        let annotations = application.metadata.annotations.as_ref()?;
        let ours = annotations.get(names::REFRESH_ANNOTATION);
        let kind = ours.or_else(|| annotations.get(names::ARGO_REFRESH_ANNOTATION))?;
        Some(Self { kind: kind.clone() })
    }

    /// Says whether everything is to be rendered anew.
    pub(super) fn is_hard(&self) -> bool {
        self.kind == "hard"
    }
}

/// Records the end of a pass. Nothing is written where nothing changed and nobody asked.
pub(super) async fn record(
    context: &Context,
    memory: &mut Remembered,
    application: &Arc<Application>,
    mut after: ApplicationStatus,
    refresh: Option<Refresh>,
) -> Result<(), Error> {
    let mut application = Arc::clone(application);
    if refresh.is_some() || !status::same(&status::of(&application), &after) {
        after.reconciled_at = Some(Time(context.now()));
        after.controller_namespace = Some(context.parts.settings.namespace.clone());
        application = write(context, memory, &application, &after).await?;
    }
    if refresh.is_some() {
        let cleared = context.parts.store.clear_refresh(&application).await?;
        if let Some(cleared) = cleared {
            memory.wrote(cleared);
        }
    }
    Ok(())
}

/// Stores what an operation came to where that cannot wait for what else the pass finds.
pub(super) async fn catch_up(
    context: &Context,
    memory: &mut Remembered,
    advanced: Advanced,
) -> Result<Advanced, Error> {
    let Advanced { stored, application, next } = advanced;
    if stored.status == application.status {
        return Ok(Advanced { stored, application, next });
    }
    let stored = write(context, memory, &stored, &status::of(&application)).await?;
    Ok(Advanced::as_stored(stored, next))
}

/// Writes the status, tells of what changed, and returns the application as it is then.
pub(super) async fn write(
    context: &Context,
    memory: &mut Remembered,
    application: &Application,
    status: &ApplicationStatus,
) -> Result<Arc<Application>, Error> {
    let written = context.parts.store.write_status(application, status).await?;
    for notice in status::notices(&status::of(application), status) {
        tell(context, application, &notice).await;
    }
    Ok(memory.wrote(written))
}

/// Publishes an event. One that cannot be published is no reason to stop.
pub(super) async fn tell(context: &Context, application: &Application, notice: &status::Notice) {
    let severity = match notice.severity {
        status::Severity::Normal => Severity::Normal,
        status::Severity::Warning => Severity::Warning,
    };
    let happening = Happening { severity, reason: notice.reason, message: notice.message.clone() };
    if let Err(error) = context.parts.store.publish(application, &happening).await {
        tracing::warn!(%error, reason = notice.reason, "cannot publish an event");
    }
}
