//! Credentials of repositories, from secrets with the labels and keys that Argo CD uses. They are
//! followed rather than read: nothing is asked of kube-apiserver when a repository is used, and a new
//! password counts at once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::{WatchStreamExt, reflector, watcher};
use kube::{Api, Client};
use tokio::task::JoinHandle;

use super::watch::Listed;
use super::{Error, Store};
use crate::api::policy::normalize_git_url;

const TYPE_LABEL: &str = "argocd.argoproj.io/secret-type";
const SELECTOR: &str = "argocd.argoproj.io/secret-type in (repository,repo-creds)";
/// How long the first look may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How to be let into a repository. Shown without its secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credential {
    /// User name for HTTP.
    pub username: Option<String>,
    /// Password or token for HTTP.
    pub password: Option<String>,
    /// Token for HTTP instead of user name and password.
    pub bearer_token: Option<String>,
    /// Private key for SSH.
    pub ssh_private_key: Option<String>,
    /// Whether certificates and host keys are believed unseen.
    pub insecure: bool,
}

impl Credential {
    fn is_empty(&self) -> bool {
        let Self { username, password, bearer_token, ssh_private_key, insecure: _ } = self;
        [username, password, bearer_token, ssh_private_key].into_iter().all(Option::is_none)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("insecure", &self.insecure).finish_non_exhaustive()
    }
}

impl Store {
    /// Returns the credentials that applications of `project` use for the repository at `url`; none
    /// where no secret says any. A secret of the repository in the project's namespace wins over one
    /// in gitopsd's namespace that names the project, and that over one that names no project. Where
    /// none has credentials, those of the `repo-creds` secret with the longest matching `url` count.
    pub async fn repository_credentials(
        &self,
        project: &str,
        url: &str,
    ) -> Result<Option<Credential>, Error> {
        let secrets = self.secrets.all().await?;
        let entries: Vec<Entry> =
            secrets.iter().filter_map(|secret| Entry::of(secret, project, &self.namespace)).collect();
        Ok(choose(&entries, url))
    }
}

/// The secrets, followed since they were first asked for.
#[derive(Clone)]
pub(super) struct Secrets {
    client: Client,
    follower: Arc<OnceLock<Follower>>,
}

struct Follower {
    secrets: reflector::Store<Secret>,
    listed: Listed,
    task: JoinHandle<()>,
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Secrets {
    pub(super) fn new(client: Client) -> Self {
        Self { client, follower: Arc::default() }
    }

    async fn all(&self) -> Result<Vec<Arc<Secret>>, Error> {
        let follower = self.follower.get_or_init(|| follow(self.client.clone()));
        match tokio::time::timeout(PATIENCE, follower.listed.wait()).await {
            Ok(()) => Ok(follower.secrets.state()),
            Err(_) => Err(Error::Secrets),
        }
    }
}

fn follow(client: Client) -> Follower {
    let (secrets, writer) = reflector::store();
    let events = watcher(Api::<Secret>::all(client), watcher::Config::default().labels(SELECTOR))
        .modify(|secret| secret.metadata.managed_fields = None)
        .default_backoff();
    let listed = Listed::default();
    let noted = listed.clone();
    let task = tokio::spawn(reflector(writer, events).for_each(move |event| {
        match event {
            Ok(event) => noted.note(&event),
            Err(error) => {
                tracing::warn!(%error, "cannot follow the secrets with credentials of repositories");
            }
        }
        std::future::ready(())
    }));
    Follower { secrets, listed, task }
}

/// A secret that applications of one project may use.
struct Entry {
    rank: Rank,
    kind: EntryKind,
    url: String,
    credential: Credential,
}

/// How close a secret is to the project; the closest wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Everybody,
    NamesProject,
    InProject,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EntryKind {
    Repository,
    Prefix,
}

impl Entry {
    fn of(secret: &Secret, project: &str, system_namespace: &str) -> Option<Self> {
        let labels = secret.metadata.labels.as_ref()?;
        let kind = match labels.get(TYPE_LABEL)?.as_str() {
            "repository" => EntryKind::Repository,
            "repo-creds" => EntryKind::Prefix,
            _ => return None,
        };
        let data = texts(secret);
        let text = |key: &str| data.get(key).cloned().filter(|text| !text.is_empty());
        let namespace = secret.metadata.namespace.as_deref()?;
        let rank = match (namespace, text("project").as_deref()) {
            (namespace, _) if namespace == project => Rank::InProject,
            (namespace, Some(named)) if namespace == system_namespace && named == project => {
                Rank::NamesProject
            }
            (namespace, None) if namespace == system_namespace => Rank::Everybody,
            _ => return None,
        };
        let yes = |key: &str| text(key).is_some_and(|text| text == "true");
        let credential = Credential {
            username: text("username"),
            password: text("password"),
            bearer_token: text("bearerToken"),
            ssh_private_key: text("sshPrivateKey"),
            insecure: yes("insecure") || yes("insecureIgnoreHostKey"),
        };
        Some(Self { rank, kind, url: one_form(&text("url")?), credential })
    }
}

fn texts(secret: &Secret) -> BTreeMap<&str, String> {
    let data = secret.data.iter().flatten();
    data.filter_map(|(key, bytes)| Some((key.as_str(), String::from_utf8(bytes.0.clone()).ok()?))).collect()
}

fn choose(entries: &[Entry], url: &str) -> Option<Credential> {
    let url = one_form(url);
    let repository = entries
        .iter()
        .filter(|entry| entry.kind == EntryKind::Repository && entry.url == url)
        .max_by_key(|entry| entry.rank);
    if let Some(entry) = repository.filter(|entry| !entry.credential.is_empty()) {
        return Some(entry.credential.clone());
    }
    let prefix = entries
        .iter()
        .filter(|entry| entry.kind == EntryKind::Prefix && url.starts_with(&entry.url))
        .max_by_key(|entry| (entry.url.len(), entry.rank));
    prefix.or(repository).map(|entry| entry.credential.clone())
}

fn one_form(url: &str) -> String {
    normalize_git_url(url.trim().trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::ByteString;

    fn secret(namespace: &str, kind: &str, data: &[(&str, &str)]) -> Secret {
        let mut secret = Secret::default();
        secret.metadata.namespace = Some(namespace.into());
        secret.metadata.labels = Some([(TYPE_LABEL.to_owned(), kind.to_owned())].into());
        secret.data = Some(
            data.iter().map(|(key, text)| ((*key).to_owned(), ByteString(text.as_bytes().into()))).collect(),
        );
        secret
    }

    /// The password that project `harbour` uses for `url`.
    fn check(secrets: &[Secret], url: &str, password: Option<&str>) {
        let entries: Vec<Entry> =
            secrets.iter().filter_map(|secret| Entry::of(secret, "harbour", "engine-room")).collect();
        let chosen = choose(&entries, url).and_then(|credential| credential.password);
        assert_eq!(chosen.as_deref(), password, "{url}");
    }

    #[test]
    fn the_closest_secret_wins() {
        let repository = |namespace, password, project| {
            let url = "https://git.example/sea/charts.git";
            secret(namespace, "repository", &[("url", url), ("password", password), ("project", project)])
        };
        let everybody = repository("engine-room", "for-all", "");
        let named = repository("engine-room", "for-harbour", "harbour");
        let own = repository("harbour", "own", "");
        let others = [repository("engine-room", "for-other", "other"), repository("other", "foreign", "")];
        let url = "https://git.example/Sea/charts/";
        check(&others, url, None);
        check(std::slice::from_ref(&everybody), url, Some("for-all"));
        check(&[everybody.clone(), named.clone()], url, Some("for-harbour"));
        check(&[own, everybody, named], url, Some("own"));
    }

    #[test]
    fn prefixes_give_what_a_repository_lacks() {
        let prefix =
            |url, password| secret("engine-room", "repo-creds", &[("url", url), ("password", password)]);
        let secrets = [
            prefix("https://git.example", "wide"),
            prefix("https://git.example/sea", "narrow"),
            secret(
                "harbour",
                "repository",
                &[("url", "https://git.example/sea/charts"), ("insecure", "true")],
            ),
            secret("harbour", "repository", &[("url", "git@git.example:sea/maps.git"), ("password", "ssh")]),
        ];
        check(&secrets, "https://git.example/sea/charts", Some("narrow"));
        check(&secrets, "https://git.example/land", Some("wide"));
        check(&secrets, "ssh://git@git.example/sea/maps", Some("ssh"));
        check(&secrets, "https://elsewhere.example/sea", None);
    }

    #[test]
    fn credentials_are_not_shown() {
        let credential = Credential { password: Some("hush".into()), ..Credential::default() };
        assert_eq!(format!("{credential:?}"), "Credential { insecure: false, .. }");
    }
}
