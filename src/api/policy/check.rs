//! What is wrong with a project that its schema cannot say.

use std::collections::BTreeSet;

use super::glob::{Glob, Star};
use crate::api::FieldError;
use crate::api::project::{
    DestinationServiceAccount, KindPattern, ProjectDestination, ProjectSpec, SyncWindow,
};

/// Finds what is wrong with a project. Order is that of the fields.
#[must_use]
pub fn validate(project: &ProjectSpec) -> Vec<FieldError> {
    let mut findings = Findings(Vec::new());
    if project.description.as_ref().is_some_and(|text| text.chars().count() > 255) {
        findings.add("spec.description", "is longer than 255 characters");
    }
    findings.source_repos(&project.source_repos);
    findings.destinations(&project.destinations);
    let kinds = [
        ("clusterResourceWhitelist", Some(&project.cluster_resource_whitelist)),
        ("clusterResourceBlacklist", Some(&project.cluster_resource_blacklist)),
        ("namespaceResourceWhitelist", project.namespace_resource_whitelist.as_ref()),
        ("namespaceResourceBlacklist", Some(&project.namespace_resource_blacklist)),
    ];
    for (field, patterns) in kinds {
        findings.kinds(field, patterns.into_iter().flatten());
    }
    findings.sync_windows(&project.sync_windows);
    findings.signature_keys(project);
    findings.service_accounts(&project.destination_service_accounts);
    findings.0
}

struct Findings(Vec<FieldError>);

impl Findings {
    fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(FieldError::new(field, message));
    }

    fn source_repos(&mut self, repos: &[String]) {
        let mut seen = BTreeSet::new();
        for (index, repo) in repos.iter().enumerate() {
            let field = format!("spec.sourceRepos[{index}]");
            self.pattern(&field, repo, Star::StopsAtSlash);
            if !seen.insert(repo) {
                self.add(field, format!("source repository '{repo}' already added"));
            }
        }
    }

    fn destinations(&mut self, destinations: &[ProjectDestination]) {
        let mut seen = BTreeSet::new();
        for (index, destination) in destinations.iter().enumerate() {
            let field = format!("spec.destinations[{index}]");
            let ProjectDestination { server, name, namespace } = destination;
            for (part, pattern) in [("server", server), ("name", name), ("namespace", namespace)] {
                let pattern = pattern.as_deref().unwrap_or_default();
                self.pattern(&format!("{field}.{part}"), pattern, Star::CrossesSlash);
            }
            let given = |text: Option<&str>| text.is_some_and(|text| !text.is_empty());
            let cluster =
                [server, name].into_iter().map(Option::as_deref).find(|text| given(*text)).flatten();
            let Some(cluster) = cluster else {
                self.add(
                    field,
                    "names no cluster: write server (such as https://kubernetes.default.svc) or name",
                );
                continue;
            };
            let key = format!("{cluster}/{}", namespace.as_deref().unwrap_or_default());
            if !seen.insert(key.clone()) {
                self.add(field, format!("destination '{key}' already added"));
            }
        }
    }

    fn kinds<'a>(&mut self, list: &str, patterns: impl Iterator<Item = &'a KindPattern>) {
        for (index, pattern) in patterns.enumerate() {
            let field = format!("spec.{list}[{index}]");
            self.glob(&format!("{field}.group"), &pattern.group, Star::CrossesSlash);
            self.glob(&format!("{field}.kind"), &pattern.kind, Star::CrossesSlash);
            if pattern.kind.is_empty() {
                self.add(format!("{field}.kind"), "is empty: write a kind, or * for all");
            }
            let Some(name) = pattern.name.as_deref().filter(|name| !name.is_empty()) else { continue };
            self.glob(&format!("{field}.name"), name, Star::CrossesSlash);
            if list.starts_with("namespace") {
                self.add(format!("{field}.name"), "only cluster-scoped objects can be listed by name");
            }
        }
    }

    fn sync_windows(&mut self, windows: &[SyncWindow]) {
        for (index, window) in windows.iter().enumerate() {
            let field = format!("spec.syncWindows[{index}]");
            if windows[..index].iter().any(|earlier| same_window(earlier, window)) {
                self.add(&field, "is the same as an earlier window");
            }
            if window.applications.is_empty() && window.namespaces.is_empty() && window.clusters.is_empty() {
                self.add(&field, "requires one of applications, namespaces or clusters");
            }
            if window.schedule.split_whitespace().count() != 5 {
                self.add(
                    format!("{field}.schedule"),
                    format!("'{}' is not a cron schedule of five fields", window.schedule),
                );
            }
            let lists = [
                ("applications", &window.applications),
                ("namespaces", &window.namespaces),
                ("clusters", &window.clusters),
            ];
            for (list, patterns) in lists {
                for (at, pattern) in patterns.iter().enumerate() {
                    self.glob(&format!("{field}.{list}[{at}]"), pattern, Star::CrossesSlash);
                }
            }
        }
    }

    fn signature_keys(&mut self, project: &ProjectSpec) {
        for (index, key) in project.signature_keys.iter().enumerate() {
            if key.key_id.len() != 16 || !key.key_id.chars().all(|c| c.is_ascii_hexdigit()) {
                let message = format!("'{}' is not a key id of 16 hexadecimal digits", key.key_id);
                self.add(format!("spec.signatureKeys[{index}].keyID"), message);
            }
        }
    }

    fn service_accounts(&mut self, accounts: &[DestinationServiceAccount]) {
        let mut seen = BTreeSet::new();
        for (index, account) in accounts.iter().enumerate() {
            let field = format!("spec.destinationServiceAccounts[{index}]");
            let namespace = account.namespace.as_deref().unwrap_or_default();
            for (part, pattern) in [("server", account.server.as_str()), ("namespace", namespace)] {
                self.glob(&format!("{field}.{part}"), pattern, Star::CrossesSlash);
                if pattern.contains('!') {
                    self.add(format!("{field}.{part}"), format!("'{pattern}' must not contain '!'"));
                }
            }
            let name = &account.default_service_account;
            if name.trim().is_empty() || name.contains(['!', '*', '[', ']', '{', '}', '\\', '/']) {
                let message = format!("'{name}' is not a service account: write name or namespace:name");
                self.add(format!("{field}.defaultServiceAccount"), message);
            }
            if !seen.insert((&account.server, namespace)) {
                self.add(field, format!("destination '{}/{namespace}' already added", account.server));
            }
        }
    }

    /// Checks a glob that may begin with `!`.
    fn pattern(&mut self, field: &str, pattern: &str, star: Star) {
        if pattern == "!*" {
            self.add(field, "'!*' permits nothing; leave the entry out instead");
        }
        self.glob(field, pattern.strip_prefix('!').unwrap_or(pattern), star);
    }

    fn glob(&mut self, field: &str, glob: &str, star: Star) {
        if let Err(invalid) = Glob::parse(glob, star) {
            self.add(field, invalid.to_string());
        }
    }
}

/// Two windows are the same if they are open at the same times for the same applications.
fn same_window(one: &SyncWindow, other: &SyncWindow) -> bool {
    let timeless =
        |window: &SyncWindow| SyncWindow { manual_sync: None, description: None, ..window.clone() };
    timeless(one) == timeless(other)
}
