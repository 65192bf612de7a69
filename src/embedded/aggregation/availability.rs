//! Whether servers answer, what they serve, and the condition that tells it.

use std::time::Duration;

use axum::body::Body;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::document::Known;
use super::proxy::identify;
use super::route::{Failure, Route};
use super::{Aggregation, Link, RESOURCE, Target, local};
use crate::embedded::access::{MASTERS, User};
use crate::embedded::objects::{Objects, Options};
use crate::embedded::status::Status;
use crate::embedded::storage::{Change, Entry, Expired, Watch};

const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// A server that does not answer is asked again soon, then less and less often.
const SOON: Duration = Duration::from_millis(100);
const USUAL: Duration = Duration::from_secs(5);
const LARGEST: usize = 16 * 1024 * 1024;
const DEFINITIONS: &str = "customresourcedefinitions.apiextensions.k8s.io";

/// What a look at a server came to.
struct Look {
    reason: &'static str,
    message: String,
    known: Known,
}

/// Says whether the server answered when it was last asked.
pub(super) fn is_available(api_service: &Value) -> bool {
    condition(api_service).is_some_and(|condition| condition["status"] == "True")
}

fn condition(api_service: &Value) -> Option<&Value> {
    let conditions = api_service["status"]["conditions"].as_array()?;
    conditions.iter().find(|condition| condition["type"] == "Available")
}

impl Aggregation {
    /// Creates the `APIServices` of the groups that are served here, where they are missing.
    pub fn bootstrap(&self) -> Result<(), Status> {
        local::create(&self.0.objects)
    }

    /// Keeps looking at the servers until `shutdown`: at once, on changes, and every few seconds.
    pub async fn run(&self, shutdown: CancellationToken) {
        let work = async {
            let mut wait = SOON;
            loop {
                let mut changes = Changes::after(self, self.0.objects.storage.version());
                let all_well = self.look().await;
                wait = if all_well { USUAL } else { wait.min(USUAL / 2) * 2 };
                tokio::select! {
                    () = sleep(wait), if !all_well || self.has_distant_servers() => {}
                    () = changes.next() => wait = SOON,
                }
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = work => {}
        }
    }

    /// Says whether there are servers that can end without this process.
    fn has_distant_servers(&self) -> bool {
        let state = self.state();
        let mut targets = state.links.values().filter_map(|link| link.target.as_ref());
        targets.any(|target| !target.route.is_in_process())
    }

    /// Looks at all servers once and writes down what it found. Answers whether all are well.
    pub async fn look(&self) -> bool {
        local::follow(&self.0.objects);
        let entries = self.0.objects.storage.list(RESOURCE, None).entries;
        let names: Vec<Box<str>> = entries.iter().map(|entry| entry.key.name.clone()).collect();
        self.state().known.retain(|name, _| names.contains(name));
        let mut all_well = true;
        for entry in entries {
            let name = &entry.key.name;
            let Some(Target { route, .. }) = self.link(name) else {
                self.state().known.remove(name);
                self.mark_local(&entry);
                continue;
            };
            let look = self.look_at(&route).await;
            all_well &= look.known.resources.is_some();
            let status = if look.known.resources.is_some() { "True" } else { "False" };
            self.state().known.insert(name.clone(), look.known);
            mark(&self.0.objects, name, status, look.reason, &look.message);
        }
        all_well
    }

    /// Marks an `APIService` that leads nowhere, unless it is known to be marked.
    fn mark_local(&self, entry: &Entry) {
        let marked = |link: &Link| link.version == entry.version && link.marked;
        if self.state().links.get(&entry.key.name).is_some_and(marked) {
            return;
        }
        local::mark(&self.0.objects, entry);
        if let Some(link) = self.state().links.get_mut(&entry.key.name) {
            link.marked = link.version == entry.version;
        }
    }

    async fn look_at(&self, route: &Route) -> Look {
        let mut known = Known {
            group: route.spec.group.clone(),
            version: route.spec.version.clone(),
            ..Known::default()
        };
        let failed = |known, reason, message| Look { reason, message, known };
        let path = route.spec.path();
        let list = match self.ask(route, &path, &aggregator(&[MASTERS])).await {
            Ok(list) => list,
            Err(Failure::NoWay(reason, message)) => return failed(known, reason, message),
            Err(error) => {
                let place = route.place(&self.0.objects);
                let place = place
                    .map_or_else(|_| path.clone(), |(host, port)| format!("https://{host}:{port}{path}"));
                let message = format!("failing or missing response from {place}: Get {place:?}: {error}");
                return failed(known, "FailedDiscoveryCheck", message);
            }
        };
        known.resources = Some(list["resources"].as_array().cloned().unwrap_or_default());
        // kube-apiserver asks for this without groups, too.
        if let Ok(index) = self.ask(route, "/openapi/v3", &aggregator(&[])).await {
            let own = &index["paths"][path.trim_start_matches('/')]["serverRelativeURL"];
            known.openapi = own.as_str().map(str::to_owned);
        }
        failed(known, "Passed", "all checks passed".to_owned())
    }

    async fn ask(&self, route: &Route, path: &str, user: &User) -> Result<Value, Failure> {
        let setup = |error: http::Error| Failure::Setup(error.to_string());
        let request = Request::get(path).header(header::ACCEPT, "application/json").body(Body::empty());
        let mut request = request.map_err(setup)?;
        identify(request.headers_mut(), user).map_err(setup)?;
        let answer = async {
            let response = route.send(&self.0.objects, request).await?;
            let status = response.status();
            if !status.is_success() {
                return Err(bad(path, status));
            }
            let body = Limited::new(response.into_body(), LARGEST).collect().await;
            let body = body.map_err(|error| Failure::Setup(error.to_string()))?.to_bytes();
            serde_json::from_slice(&body).map_err(|error| Failure::Setup(error.to_string()))
        };
        timeout(PROBE_TIMEOUT, answer).await.unwrap_or_else(|_| {
            Err(Failure::Setup(
                "context deadline exceeded (Client.Timeout exceeded while awaiting headers)".into(),
            ))
        })
    }
}

fn bad(path: &str, status: StatusCode) -> Failure {
    Failure::Setup(format!("bad status from {path}: {}", status.as_u16()))
}

/// As whom kube-apiserver asks for itself.
fn aggregator(groups: &[&str]) -> User {
    let name = if groups.is_empty() { "system:aggregator" } else { "system:kube-aggregator" };
    let groups = groups.iter().map(|group| (*group).to_owned()).collect();
    User { name: name.into(), groups, ..User::default() }
}

/// Writes the condition, if that changes anything.
pub(super) fn mark(objects: &Objects, name: &str, status: &str, reason: &str, message: &str) {
    if let Err(error) = try_mark(objects, name, [status, reason, message]) {
        tracing::warn!(error = error.message, "cannot write the status of APIService {name}");
    }
}

fn try_mark(objects: &Objects, name: &str, [status, reason, message]: [&str; 3]) -> Result<(), Status> {
    let Some(kind) = objects.kinds.of("apiregistration.k8s.io", "v1", "APIService") else { return Ok(()) };
    let entry = match objects.get(&kind, "", name) {
        Ok(entry) => entry,
        Err(status) if status.code == 404 => return Ok(()),
        Err(status) => return Err(status),
    };
    let Ok(mut object) = serde_json::from_slice::<Value>(&entry.json) else { return Ok(()) };
    let before = condition(&object).filter(|before| before["lastTransitionTime"].is_string());
    let same = |field: &str, value: &str| before.is_some_and(|before| before[field] == value);
    if same("status", status) && same("reason", reason) && same("message", message) {
        return Ok(());
    }
    let since = match before {
        Some(before) if same("status", status) => before["lastTransitionTime"].clone(),
        _ => format!("{:.0}", (objects.clock)()).into(),
    };
    object["status"] = json!({"conditions": [{
        "type": "Available", "status": status, "lastTransitionTime": since, "reason": reason, "message": message,
    }]});
    let options = Options { manager: "kube-apiserver".into(), ..Options::default() };
    match objects.update(&kind, ("", name, "status"), object, &options) {
        // Somebody else wrote meanwhile: the next look is soon.
        Err(status) if status.code != 409 && status.code != 404 => Err(status),
        _ => Ok(()),
    }
}

/// Waits for what makes another look worth it.
struct Changes<'a> {
    aggregation: &'a Aggregation,
    watches: Vec<Watch>,
}

impl<'a> Changes<'a> {
    fn after(aggregation: &'a Aggregation, version: u64) -> Self {
        let watch = |resource| aggregation.0.objects.storage.watch(Some(resource), version).ok();
        let watches = [RESOURCE, "services", DEFINITIONS].into_iter().filter_map(watch).collect();
        Self { aggregation, watches }
    }

    async fn next(&mut self) {
        let Self { aggregation, watches } = self;
        if watches.is_empty() {
            return std::future::pending().await;
        }
        let each = watches.iter_mut().map(|watch| Box::pin(relevant(aggregation, watch)));
        futures::future::select_all(each).await;
    }
}

async fn relevant(aggregation: &Aggregation, watch: &mut Watch) {
    loop {
        match watch.next().await {
            Ok(change) if matters(aggregation, &change) => return,
            Ok(_) => {}
            Err(Expired) => return,
        }
    }
}

fn matters(aggregation: &Aggregation, change: &Change) -> bool {
    let Change { before, after, deleted, .. } = change;
    let key = &after.key;
    if &*key.resource == "services" {
        let state = aggregation.state();
        let mut targets = state.links.values().filter_map(|link| link.target.as_ref());
        return targets.any(|Target { route, .. }| {
            *route.spec.namespace == *key.namespace && *route.spec.service == *key.name
        });
    }
    let Some(before) = before else { return true };
    // Of conditions, most are our own.
    let spec = |json: &[u8]| serde_json::from_slice::<Value>(json).map(|object| object["spec"].clone()).ok();
    &*key.resource != RESOURCE || *deleted || spec(&before.json) != spec(&after.json)
}
