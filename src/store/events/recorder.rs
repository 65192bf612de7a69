//! Recording events. Saying the same thing again counts up the event that says it, so that an
//! application that flaps does not fill the cluster's storage.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::{Metadata, Resource};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;

use crate::api::application::Application;
use crate::api::project::Project;
use crate::store::home::failed;
use crate::store::{Clock, Error, MANAGER, Store};

/// How long an event is counted up instead of made anew.
const SAME_STORY: jiff::SignedDuration = jiff::SignedDuration::from_mins(10);
/// How many events are remembered.
const MEMORY: usize = 2048;
/// Bytes that an event's message may have.
const MESSAGE: usize = 1024;
/// Where events about objects without a namespace are.
const CLUSTER_SCOPED: &str = "default";

/// What happened to an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Happening {
    /// Whether it needs attention.
    pub severity: Severity,
    /// What happened, in a word; the words are Argo CD's, such as `OperationStarted`.
    pub reason: &'static str,
    /// What happened, in a sentence.
    pub message: String,
}

/// Whether an event needs attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// It does not.
    Normal,
    /// It does.
    Warning,
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

impl Happening {
    /// Tells something that needs no attention.
    #[must_use]
    pub fn normal(reason: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Normal, reason, message: message.into() }
    }

    /// Tells something that needs attention.
    #[must_use]
    pub fn warning(reason: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, reason, message: message.into() }
    }
}

/// Writes events, and knows which it wrote. Clones share what they know.
#[derive(Clone)]
pub(in crate::store) struct Recorder {
    client: Client,
    clock: Clock,
    told: Arc<Mutex<HashMap<(String, Happening), Told>>>,
}

/// An event that exists.
#[derive(Debug, Clone)]
struct Told {
    name: String,
    count: i32,
    last: Timestamp,
}

impl Store {
    /// Publishes an event about an application. Saying the same again counts up the event that says it.
    pub async fn publish(&self, app: &Application, happening: &Happening) -> Result<(), Error> {
        self.recorder.record(reference(app), happening).await
    }

    /// Publishes an event about a project, as [`Store::publish`] does.
    pub async fn publish_about_project(&self, project: &Project, happening: &Happening) -> Result<(), Error> {
        self.recorder.record(reference(project), happening).await
    }
}

impl Recorder {
    pub(in crate::store) fn new(client: Client, clock: Clock) -> Self {
        Self { client, clock, told: Arc::default() }
    }

    async fn record(&self, regarding: ObjectReference, happening: &Happening) -> Result<(), Error> {
        let now = (self.clock)();
        let key = (regarding.uid.clone().unwrap_or_default(), happening.clone());
        let namespace = regarding.namespace.as_deref().unwrap_or(CLUSTER_SCOPED);
        let events = Api::<Event>::namespaced(self.client.clone(), namespace);
        let counted = match self.told_lately(&key, now) {
            Some(told) => count_up(&events, told, now).await?,
            None => None,
        };
        let told = match counted {
            Some(told) => told,
            None => tell(&events, &regarding, happening, now).await?,
        };
        self.remember(key, told);
        Ok(())
    }

    fn told_lately(&self, key: &(String, Happening), now: Timestamp) -> Option<Told> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.get(key).filter(|told| now.duration_since(told.last) < SAME_STORY).cloned()
    }

    fn remember(&self, key: (String, Happening), event: Told) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= MEMORY {
            let now = event.last;
            told.retain(|_, told| now.duration_since(told.last) < SAME_STORY);
        }
        if told.len() < MEMORY {
            told.insert(key, event);
        }
    }
}

/// Counts up an event; `None` if it is gone, as events expire.
async fn count_up(events: &Api<Event>, told: Told, now: Timestamp) -> Result<Option<Told>, Error> {
    let told = Told { count: told.count.saturating_add(1), last: now, ..told };
    let patch = json!({"count": told.count, "lastTimestamp": Time(now)});
    let parameters = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
    match events.patch(&told.name, &parameters, &Patch::Merge(patch)).await {
        Ok(_) => Ok(Some(told)),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

async fn tell(
    events: &Api<Event>,
    regarding: &ObjectReference,
    happening: &Happening,
    now: Timestamp,
) -> Result<Told, Error> {
    let event = event(regarding, happening, now);
    let parameters = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
    let made = events.create(&parameters, &event).await.map_err(failed)?;
    Ok(Told { name: made.metadata.name.unwrap_or_default(), count: 1, last: now })
}

fn event(regarding: &ObjectReference, happening: &Happening, now: Timestamp) -> Event {
    let Happening { severity, reason, message } = happening;
    let object = regarding.name.as_deref().unwrap_or_default();
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{object}.{:x}", now.as_nanosecond())),
            namespace: Some(regarding.namespace.clone().unwrap_or_else(|| CLUSTER_SCOPED.into())),
            ..ObjectMeta::default()
        },
        involved_object: regarding.clone(),
        reason: Some((*reason).into()),
        message: Some(shortened(message)),
        type_: Some(severity.as_str().into()),
        source: Some(EventSource { component: Some(MANAGER.into()), host: None }),
        reporting_component: Some(MANAGER.into()),
        count: Some(1),
        first_timestamp: Some(Time(now)),
        last_timestamp: Some(Time(now)),
        ..Event::default()
    }
}

fn shortened(message: &str) -> String {
    let end = message
        .char_indices()
        .map(|(at, letter)| at + letter.len_utf8())
        .take_while(|end| *end <= MESSAGE)
        .last();
    message[..end.unwrap_or(0)].to_owned()
}

fn reference<T: Resource + Metadata<Ty = ObjectMeta>>(object: &T) -> ObjectReference {
    let ObjectMeta { name, namespace, uid, resource_version, .. } = object.metadata().clone();
    ObjectReference {
        api_version: Some(T::API_VERSION.into()),
        kind: Some(T::KIND.into()),
        name,
        namespace,
        uid,
        resource_version,
        field_path: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_say_whom_they_are_about() {
        let mut app = Application::default();
        app.metadata.name = Some("tide".into());
        app.metadata.namespace = Some("harbour".into());
        app.metadata.uid = Some("u-1".into());
        let happening = Happening::warning("OperationCompleted", "é".repeat(MESSAGE));
        let made = event(&reference(&app), &happening, Timestamp::from_second(1).unwrap());
        let value = serde_json::to_value(&made).unwrap();
        assert_eq!(
            value["involvedObject"],
            json!({"apiVersion": "gitops/v1", "kind": "Application", "name": "tide", "namespace": "harbour", "uid": "u-1"})
        );
        assert_eq!(value["metadata"], json!({"name": "tide.3b9aca00", "namespace": "harbour"}));
        assert_eq!(value["source"], json!({"component": "gitopsd"}));
        assert_eq!(value["message"].as_str().unwrap(), "é".repeat(MESSAGE / 2));
        assert_eq!((&value["type"], &value["reason"]), (&json!("Warning"), &json!("OperationCompleted")));
    }

    #[test]
    fn projects_have_their_events_in_the_default_namespace() {
        let mut project = Project::default();
        project.metadata.name = Some("harbour".into());
        let happening = Happening::normal("ResourceUpdated", "made its home");
        let made = event(&reference(&project), &happening, Timestamp::UNIX_EPOCH);
        assert_eq!(made.metadata.namespace.as_deref(), Some("default"));
        assert_eq!(made.involved_object.namespace, None);
    }
}
