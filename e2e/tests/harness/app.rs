//! One application, as a test follows it.

use std::{sync::atomic::AtomicU32, sync::atomic::Ordering, time::Duration};

use serde_json::{Value, json};

use super::{
    api::{Answer, Api, Identity},
    patience::{eventually, within},
    project::Project,
};

/// What a refresh may take on a busy machine. It is far below the interval at which Git is polled.
const PROMPT: Duration = Duration::from_secs(20);

/// An application that exists.
pub(crate) struct App<'a> {
    project: &'a Project,
    api: Api,
    name: String,
}

impl<'a> App<'a> {
    /// Applies it.
    #[track_caller]
    pub(crate) fn apply(project: &'a Project, api: Api, object: &Value) -> Self {
        project.apply(object);
        let name = object["metadata"]["name"].as_str().expect("it has a name").to_owned();
        Self { project, api, name }
    }

    /// The path of it or of something below it, in the canonical spelling.
    pub(crate) fn path(&self, below: &str) -> String {
        format!("/apis/gitops/v1/namespaces/{}/applications/{}{below}", self.project.name(), self.name)
    }

    /// It as it is now.
    #[track_caller]
    pub(crate) fn read(&self) -> Value {
        self.project.get(&format!("applications.gitops/{}", self.name))
    }

    /// Waits until the whole object is as wanted, and returns it.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("{}: {what}", self.name), || self.look(&wanted))
    }

    /// The same, where it must come from a request and not from a poll.
    #[track_caller]
    pub(crate) fn promptly(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        within(PROMPT, &format!("{}: {what}", self.name), || self.look(&wanted))
    }

    fn look(&self, wanted: &impl Fn(&Value) -> bool) -> Result<Value, String> {
        let app = self.read();
        if wanted(&app) { Ok(app) } else { Err(format!("{} {}", app["operation"], app["status"])) }
    }

    /// Waits until it is Synced and Healthy at this revision.
    #[track_caller]
    pub(crate) fn settled_at(&self, revision: &str) -> Value {
        self.until(&format!("Synced and Healthy at {revision}"), |app| {
            let status = &app["status"];
            status["sync"]["revision"] == revision
                && status["sync"]["status"] == "Synced"
                && status["health"]["status"] == "Healthy"
                && app["operation"].is_null()
                && status["operationState"]["phase"] != "Running"
        })
    }

    /// Posts to a subresource as admin.
    pub(crate) fn post(&self, subresource: &str, body: &Value) -> Answer {
        self.api.send(&format!("POST {}", self.path(&format!("/{subresource}"))), body)
    }

    /// Asks for a refresh.
    #[track_caller]
    pub(crate) fn refresh(&self) {
        self.post("refresh", &json!({})).accepted(201);
    }

    /// Syncs and returns the status of the operation when it is over.
    #[track_caller]
    pub(crate) fn sync(&self, body: Value) -> Value {
        let started = self.start_sync(body);
        started.over(self)
    }

    /// Starts a sync that can be told from all others.
    #[track_caller]
    pub(crate) fn start_sync(&self, mut body: Value) -> Started {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let mark = COUNT.fetch_add(1, Ordering::Relaxed).to_string();
        body["infos"] = json!([{"name": "mark", "value": mark}]);
        self.post("sync", &body).accepted(201);
        Started { mark }
    }

    /// One object of the project's namespace, if it is there.
    pub(crate) fn object(&self, what: &str) -> Option<Value> {
        let said = self.project.run(&format!("get {what} -o json --ignore-not-found")).out();
        (!said.trim().is_empty()).then(|| serde_json::from_str(&said).expect("kubectl prints JSON"))
    }

    /// Waits until an object of the project's namespace is as wanted.
    #[track_caller]
    pub(crate) fn object_until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("{what} is as wanted"), || match self.object(what) {
            Some(object) if wanted(&object) => Ok(object),
            other => Err(format!("{what}: {other:?}; {}", self.read()["status"])),
        })
    }

    /// Waits until an object of the project's namespace is gone.
    #[track_caller]
    pub(crate) fn object_gone(&self, what: &str) {
        eventually(&format!("{what} is gone"), || match self.object(what) {
            None => Ok(()),
            Some(object) => Err(object.to_string()),
        });
    }
}

/// A sync that was accepted.
pub(crate) struct Started {
    mark: String,
}

impl Started {
    /// Waits until it is over and returns its state.
    #[track_caller]
    pub(crate) fn over(&self, app: &App) -> Value {
        let ends = ["Succeeded", "Failed", "Error"];
        let app = app.until("the sync is over", |app| {
            self.is(app) && ends.iter().any(|end| app["status"]["operationState"]["phase"] == *end)
        });
        app["status"]["operationState"].clone()
    }

    /// Waits until it says that it waits, with these words.
    #[track_caller]
    pub(crate) fn waits(&self, app: &App, words: &str) {
        app.until(&format!("the sync says '{words}'"), |app| {
            let message = &app["status"]["operationState"]["message"];
            self.is(app) && message.as_str().is_some_and(|message| message.contains(words))
        });
    }

    fn is(&self, app: &Value) -> bool {
        app["operation"].is_null()
            && app["status"]["operationState"]["operation"]["info"][0]["value"] == self.mark.as_str()
    }
}

/// What a finished operation says of one object, by kind and name.
#[track_caller]
pub(crate) fn result<'v>(operation: &'v Value, kind: &str, name: &str) -> &'v Value {
    let results = operation["syncResult"]["resources"].as_array().expect("the operation has results");
    let found = results.iter().find(|result| result["kind"] == kind && result["name"] == name);
    found.unwrap_or_else(|| panic!("{kind} {name} is not in {operation}"))
}

/// What a status says of one object, by kind and name.
#[track_caller]
pub(crate) fn resource<'v>(app: &'v Value, kind: &str, name: &str) -> &'v Value {
    let resources = app["status"]["resources"].as_array().expect("the status has resources");
    let found = resources.iter().find(|resource| resource["kind"] == kind && resource["name"] == name);
    found.unwrap_or_else(|| panic!("{kind} {name} is not in {app}"))
}

/// The admin's way to kube-apiserver.
pub(crate) fn admin(cluster: &super::cluster::Cluster) -> Api {
    Api::kubernetes(cluster, Identity::Known("admin"))
}
