//! What a project permits: sources, destinations, kinds, and the service account to apply with.
//!
//! Pure questions about a [`ProjectSpec`]. The rules are Argo CD's, so that an `AppProject` means the same here; where
//! they leave a hole (a pattern that is no pattern, a URL that climbs with `..`), the answer is no.

mod check;
pub mod glob;

pub use check::validate;

use self::glob::{Glob, Star};
use super::project::{KindPattern, ProjectDestination, ProjectSpec};

/// Where an object lives, as far as kinds are permitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'a> {
    /// In a namespace.
    Namespaced,
    /// In the cluster. Projects may permit single objects by name.
    Cluster {
        /// Name of the object.
        name: &'a str,
    },
}

/// A service account.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServiceAccount {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// Writes the URL of a repository in the one form in which two URLs of the same repository are equal:
/// lower case, `git@host:path` as `git@host/path`, without `.git`.
#[must_use]
pub fn normalize_git_url(url: &str) -> String {
    let url = url.trim().to_lowercase();
    let url = url.strip_suffix(".git").unwrap_or(&url);
    match url.strip_prefix("ssh://") {
        Some(rest) => rest.to_owned(),
        None if is_scp_like(url) => url.replacen(':', "/", 1),
        None => url.to_owned(),
    }
}

/// Recognises `user@host:path`, the form without a scheme.
fn is_scp_like(url: &str) -> bool {
    url.split_once('@').is_some_and(|(user, rest)| !user.contains(['/', ':']) && rest.contains(':'))
}

/// Says whether applications may use this repository.
#[must_use]
pub fn permits_source(project: &ProjectSpec, repo_url: &str) -> bool {
    let url = normalize_git_url(repo_url);
    if climbs(&url) {
        return false;
    }
    let mut permitted = false;
    for pattern in &project.source_repos {
        let verdict = Pattern::of(pattern).check(|pattern| {
            let pattern = normalize_git_url(pattern);
            if pattern == "*" { Some(true) } else { hits(&pattern, &url, Star::StopsAtSlash) }
        });
        match verdict {
            Verdict::Denied => return false,
            Verdict::Matched => permitted = true,
            Verdict::Unmatched => {}
        }
    }
    permitted
}

/// Git's HTTP client resolves `..` before it asks, so `https://host/ours/../theirs` would match a pattern
/// for ours and fetch theirs.
fn climbs(url: &str) -> bool {
    url.split(['/', '\\']).any(|part| matches!(part.replace("%2e", ".").as_str(), "." | ".."))
}

/// Says whether applications may put objects into this namespace of this cluster. `name` is empty where
/// the cluster has none, `namespace` where the application names none.
#[must_use]
pub fn permits_destination(project: &ProjectSpec, server: &str, name: &str, namespace: &str) -> bool {
    let mut permitted = false;
    for item in &project.destinations {
        match destination(item, server, name, namespace) {
            Verdict::Denied => return false,
            Verdict::Matched => permitted = true,
            Verdict::Unmatched => {}
        }
    }
    permitted
}

fn destination(item: &ProjectDestination, server: &str, name: &str, namespace: &str) -> Verdict {
    let field = |pattern: Option<&str>, text: &str| {
        Pattern::of(pattern.unwrap_or_default()).check(|pattern| hits(pattern, text, Star::CrossesSlash))
    };
    let of_server = if server.is_empty() {
        absent(item.server.as_deref())
    } else {
        field(item.server.as_deref(), server)
    };
    let of_name =
        if name.is_empty() { absent(item.name.as_deref()) } else { field(item.name.as_deref(), name) };
    let of_namespace = field(item.namespace.as_deref(), namespace);
    let cluster = of_server == Verdict::Matched || of_name == Verdict::Matched;
    if cluster && of_namespace == Verdict::Matched {
        return Verdict::Matched;
    }
    let denied = of_name == Verdict::Denied
        || of_server == Verdict::Denied && of_namespace == Verdict::Matched
        || of_namespace == Verdict::Denied && of_server == Verdict::Matched
        || of_namespace == Verdict::Denied && of_name == Verdict::Matched;
    if denied { Verdict::Denied } else { Verdict::Unmatched }
}

/// What a pattern says about something that is not there: a deny pattern denies, to be safe.
fn absent(pattern: Option<&str>) -> Verdict {
    match Pattern::of(pattern.unwrap_or_default()) {
        Pattern::Deny(_) => Verdict::Denied,
        Pattern::Allow(_) => Verdict::Unmatched,
    }
}

/// Says whether applications may manage objects of this kind. The core group is `""`.
#[must_use]
pub fn permits_kind(project: &ProjectSpec, group: &str, kind: &str, scope: Scope<'_>) -> bool {
    let any = |patterns: &[KindPattern], on_error| {
        patterns.iter().any(|pattern| kind_hits(pattern, group, kind, scope).unwrap_or(on_error))
    };
    match scope {
        Scope::Namespaced => {
            let allowed = project.namespace_resource_whitelist.as_ref();
            allowed.is_none_or(|patterns| any(patterns, false))
                && !any(&project.namespace_resource_blacklist, true)
        }
        Scope::Cluster { .. } => {
            any(&project.cluster_resource_whitelist, false) && !any(&project.cluster_resource_blacklist, true)
        }
    }
}

fn kind_hits(pattern: &KindPattern, group: &str, kind: &str, scope: Scope<'_>) -> Option<bool> {
    let of_kind =
        hits(&pattern.group, group, Star::CrossesSlash)? && hits(&pattern.kind, kind, Star::CrossesSlash)?;
    let of_name = match (scope, pattern.name.as_deref()) {
        (Scope::Cluster { name }, Some(pattern)) if !pattern.is_empty() => {
            hits(pattern, name, Star::CrossesSlash)?
        }
        _ => true,
    };
    Some(of_kind && of_name)
}

/// Returns the service account that the project sets for a destination: the first that matches. `None`
/// means the project's own, `gitops-deployer` in its namespace.
#[must_use]
pub fn service_account(project: &ProjectSpec, server: &str, namespace: &str) -> Option<ServiceAccount> {
    let item = project.destination_service_accounts.iter().find(|item| {
        let of_namespace = item.namespace.as_deref().unwrap_or_default();
        hits(&item.server, server, Star::CrossesSlash) == Some(true)
            && hits(of_namespace, namespace, Star::CrossesSlash) == Some(true)
    })?;
    let (namespace, name) = match item.default_service_account.split_once(':') {
        Some((namespace, name)) => (namespace, name),
        None => (namespace, item.default_service_account.as_str()),
    };
    Some(ServiceAccount { namespace: namespace.into(), name: name.into() })
}

/// An entry of a list of patterns.
enum Pattern<'a> {
    Allow(&'a str),
    /// Written with `!`.
    Deny(&'a str),
}

/// What an entry says about a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Matched,
    Unmatched,
    Denied,
}

impl<'a> Pattern<'a> {
    fn of(text: &'a str) -> Self {
        text.strip_prefix('!').map_or(Self::Allow(text), Self::Deny)
    }

    /// A deny entry that does not hit matches: a list of nothing but deny entries permits the rest.
    /// A pattern that cannot be read never matches, and denies where it was to deny.
    fn check(&self, hits: impl Fn(&str) -> Option<bool>) -> Verdict {
        match self {
            Self::Allow(pattern) if hits(pattern) == Some(true) => Verdict::Matched,
            Self::Allow(_) => Verdict::Unmatched,
            Self::Deny(pattern) if hits(pattern) == Some(false) => Verdict::Matched,
            Self::Deny(_) => Verdict::Denied,
        }
    }
}

/// Says whether `text` is what the glob describes; `None` where it is no glob.
fn hits(glob: &str, text: &str, star: Star) -> Option<bool> {
    Glob::parse(glob, star).ok().map(|glob| glob.matches(text))
}

#[cfg(test)]
mod tests;
