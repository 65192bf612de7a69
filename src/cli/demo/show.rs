//! What the demo prints: a line for each thing that happens, with the time since the start.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Event;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::api::application::{Application, ResourceStatus};
use crate::config;

/// Where lines are printed. Clones write to the same place.
#[derive(Clone, Copy)]
pub(super) struct Show {
    began: Instant,
    colours: bool,
}

impl Show {
    /// Begins, at this time.
    pub(super) fn new(began: Instant) -> Self {
        Self { began, colours: std::io::stdout().is_terminal() && !config::no_color() }
    }

    /// Something that was set up.
    pub(super) fn step(&self, text: &str) {
        self.line(&format!("{} {text}", self.paint("32", "✓")));
    }

    /// What the user does now.
    pub(super) fn heading(&self, text: &str) {
        println!();
        self.line(&self.paint("1", text));
    }

    fn line(&self, text: &str) {
        // A reader that went away ends nothing: the cluster stays up until the signal.
        let _ = writeln!(std::io::stdout(), "{:>7.2}s  {text}", self.began.elapsed().as_secs_f64());
    }

    fn state(&self, subject: &str, sync: &str, health: &str, message: &str) {
        let sync = self.padded(sync, 11);
        let health = self.padded(health, 12);
        self.line(format!("{subject:<26} {sync} {health} {message}").trim_end());
    }

    fn padded(&self, word: &str, width: usize) -> String {
        let colour = match word {
            "Synced" | "Healthy" | "Succeeded" => "32",
            "OutOfSync" | "Progressing" | "Running" | "Missing" => "33",
            "Degraded" | "Failed" | "Error" => "31",
            _ => return format!("{word:<width$}"),
        };
        self.paint(colour, &format!("{word:<width$}"))
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// What the watch has told of the application.
pub(super) struct Told {
    latest: watch::Receiver<Option<Application>>,
}

impl Told {
    /// Prints every change of the application, its objects and its events until `ending`.
    pub(super) fn follow(
        client: Client,
        namespace: &str,
        name: &str,
        show: Show,
        ending: CancellationToken,
    ) -> Self {
        let only = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let applications = watcher(Api::<Application>::namespaced(client.clone(), namespace), only);
        let events = watcher(Api::<Event>::namespaced(client, namespace), watcher::Config::default());
        let (tell, latest) = watch::channel(None);
        tokio::spawn(async move {
            let applications = applications.default_backoff().applied_objects();
            let events = events.default_backoff().applied_objects();
            let (mut applications, mut events) = (std::pin::pin!(applications), std::pin::pin!(events));
            let mut printed = Printed::default();
            loop {
                tokio::select! {
                    () = ending.cancelled() => return,
                    Some(Ok(application)) = applications.next() => {
                        printed.application(&application, &show);
                        tell.send_replace(Some(application));
                    }
                    Some(Ok(event)) = events.next() => printed.event(&event, &show),
                    else => return,
                }
            }
        });
        Self { latest }
    }

    /// Waits until the application is at this commit, Synced and Healthy.
    pub(super) async fn settled(&self, commit: &str, patience: Duration) -> Result<(), String> {
        self.until(patience, "Synced and Healthy", |application| is_settled(application, commit)).await
    }

    /// Waits until an object was missed and is there again.
    pub(super) async fn healed(&self, kind: &str, patience: Duration) -> Result<(), String> {
        let of = |application: &Application, status: &str| {
            let mut resources = resources(application).iter();
            resources.any(|resource| {
                resource.kind.as_deref() == Some(kind) && word(resource.status.as_ref()) == status
            })
        };
        self.until(patience, "missed", |application| of(application, "OutOfSync")).await?;
        self.until(patience, "healed", |application| of(application, "Synced")).await
    }

    async fn until(
        &self,
        patience: Duration,
        what: &str,
        met: impl Fn(&Application) -> bool,
    ) -> Result<(), String> {
        let mut latest = self.latest.clone();
        let met = latest.wait_for(|application| application.as_ref().is_some_and(&met));
        match tokio::time::timeout(patience, met).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err("the application is no longer followed".into()),
            Err(_) => Err(format!("not {what} after {} s; see the lines above", patience.as_secs())),
        }
    }
}

fn is_settled(application: &Application, commit: &str) -> bool {
    let Some(status) = &application.status else { return false };
    let sync = status.sync.as_ref();
    let at = sync.and_then(|sync| sync.revision.as_deref()) == Some(commit);
    let over = status.operation_state.as_ref().is_some_and(|state| state.finished_at.is_some());
    let synced = word(sync.map(|sync| &sync.status)) == "Synced";
    at && over
        && synced
        && word(status.health.as_ref().and_then(|health| health.status.as_ref())) == "Healthy"
}

fn resources(application: &Application) -> &[ResourceStatus] {
    application.status.as_ref().map_or(&[], |status| &status.resources)
}

/// A word of the API as it is written there.
fn word<T: serde::Serialize>(value: Option<&T>) -> String {
    let value = value.and_then(|value| serde_json::to_value(value).ok());
    value.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
}

/// What was printed last, so that only changes are.
#[derive(Default)]
struct Printed {
    states: BTreeMap<String, [String; 3]>,
    events: BTreeMap<String, i32>,
}

impl Printed {
    fn application(&mut self, application: &Application, show: &Show) {
        let Some(status) = &application.status else { return };
        for resource in &status.resources {
            let subject = format!(
                "  {}/{}",
                resource.kind.as_deref().unwrap_or_default(),
                resource.name.as_deref().unwrap_or_default()
            );
            let health = resource.health.as_ref();
            let message = health.and_then(|health| health.message.clone()).unwrap_or_default();
            let health = word(health.and_then(|health| health.status.as_ref()));
            self.state(subject, [word(resource.status.as_ref()), health, message], show);
        }
        let sync = word(status.sync.as_ref().map(|sync| &sync.status));
        let health = word(status.health.as_ref().and_then(|health| health.status.as_ref()));
        let operation = status.operation_state.as_ref();
        let message = operation.map(|state| {
            let text = state.message.as_deref().unwrap_or_default();
            format!("{}: {text}", word(Some(&state.phase)))
        });
        let subject = format!("Application/{}", application.name_any());
        self.state(subject, [sync, health, message.unwrap_or_default()], show);
    }

    fn state(&mut self, subject: String, state: [String; 3], show: &Show) {
        if self.states.get(&subject) != Some(&state) {
            let [sync, health, message] = &state;
            show.state(&subject, sync, health, message);
            self.states.insert(subject, state);
        }
    }

    /// Events of the application; those of its objects are left to `kubectl events`.
    fn event(&mut self, event: &Event, show: &Show) {
        let count = event.count.unwrap_or(1);
        let before = self.events.insert(event.name_any(), count);
        if event.involved_object.kind.as_deref() == Some("Application") && before < Some(count) {
            let reason = event.reason.as_deref().unwrap_or_default();
            let message = event.message.as_deref().unwrap_or_default();
            show.line(&format!("  {:<24} {reason}: {message}", "Event"));
        }
    }
}
