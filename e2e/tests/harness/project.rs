//! Projects and applications as the tests need them.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{
    cluster::{Cluster, User},
    patience::eventually,
    repo::Repo,
};

/// A project that may deploy anything that its own namespace can hold.
pub(crate) struct Project {
    name: String,
    admin: User,
    cluster: &'static Cluster,
}

impl Project {
    /// Makes it and waits until its namespace is there.
    pub(crate) fn new(cluster: &'static Cluster, name: &str) -> Self {
        let project = Self { name: name.to_owned(), admin: cluster.admin(), cluster };
        project.admin.kubectl_with("apply -f -", &project.manifest().to_string()).out();
        project
            .admin
            .kubectl(&format!("wait projects.gitops/{name} --for=condition=Ready --timeout=60s"))
            .out();
        project
            .run("create rolebinding deployer --clusterrole=admin --serviceaccount={}:gitops-deployer")
            .out();
        project
    }

    /// What is applied to make it.
    pub(crate) fn manifest(&self) -> Value {
        json!({"apiVersion": "gitops/v1", "kind": "Project", "metadata": {"name": self.name}, "spec": {
            "sourceRepos": ["*"],
            "destinations": [{"server": "https://kubernetes.default.svc", "namespace": self.name}],
        }})
    }

    /// Its name, which is also that of its namespace.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The cluster it is in.
    pub(crate) fn cluster(&self) -> &'static Cluster {
        self.cluster
    }

    /// Somebody who may do everything in it.
    pub(crate) fn admin(&self) -> &User {
        &self.admin
    }

    /// Runs `kubectl` in its namespace, as admin; `{}` stands for its name.
    pub(crate) fn run(&self, arguments: &str) -> super::program::Said {
        self.run_with(arguments, "")
    }

    /// The same with a standard input.
    pub(crate) fn run_with(&self, arguments: &str, input: &str) -> super::program::Said {
        let arguments = arguments.replace("{}", &self.name);
        self.admin.kubectl_with(&format!("-n {} {arguments}", self.name), input)
    }

    /// One object of its namespace as JSON.
    #[track_caller]
    pub(crate) fn get(&self, arguments: &str) -> Value {
        self.admin.get(&format!("-n {} {arguments}", self.name))
    }

    /// An application of a directory of `repo`.
    pub(crate) fn application(&self, name: &str, repo: &Repo, path: &str) -> Value {
        self.application_of(name, &json!({"repoURL": repo.url(), "path": path}))
    }

    /// An application of this source.
    pub(crate) fn application_of(&self, name: &str, source: &Value) -> Value {
        json!({"apiVersion": "gitops/v1", "kind": "Application",
            "metadata": {"name": name, "namespace": self.name},
            "spec": {"project": self.name, "source": source, "destination":
                {"server": "https://kubernetes.default.svc", "namespace": self.name}}})
    }

    /// An application that the controller leaves alone, so that only the test writes it.
    pub(crate) fn idle(&self, name: &str) -> Value {
        let mut app =
            self.application_of(name, &json!({"repoURL": "https://git.invalid/x.git", "path": "x"}));
        app["metadata"]["annotations"] = json!({"argocd.argoproj.io/skip-reconcile": "true"});
        app
    }

    /// Applies one object.
    #[track_caller]
    pub(crate) fn apply(&self, object: &Value) {
        self.run_with("apply -f -", &object.to_string()).out();
    }

    /// Waits until an application is Synced and Healthy.
    #[track_caller]
    pub(crate) fn settled(&self, name: &str) {
        eventually(&format!("{name} is Synced and Healthy"), || {
            let status = self.get(&format!("applications.gitops/{name}"))["status"].take();
            let found = (status["sync"]["status"].as_str(), status["health"]["status"].as_str());
            if found == (Some("Synced"), Some("Healthy")) { Ok(()) } else { Err(status.to_string()) }
        });
    }

    /// Waits until the status of an application tells all of `words`.
    #[track_caller]
    pub(crate) fn says(&self, name: &str, words: &[&str]) -> Value {
        eventually(&format!("the status of {name} tells {words:?}"), || {
            let status = self.get(&format!("applications.gitops/{name}"))["status"].take();
            let text = status.to_string();
            if words.iter().all(|word| text.contains(word)) { Ok(status) } else { Err(text) }
        })
    }
}

/// Lets an application sync by itself.
pub(crate) fn automated(mut app: Value) -> Value {
    app["spec"]["syncPolicy"] = json!({"automated": {"prune": true, "selfHeal": true}});
    app
}

/// A manifest of a `ConfigMap` with one value.
pub(crate) fn config_map(name: &str, value: &str) -> String {
    let mut text = String::new();
    write!(text, "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  value: \"{value}\"\n")
        .expect("writing to a String");
    text
}
