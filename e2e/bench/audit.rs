//! What gitopsd asked of kube-apiserver, from the audit log.

use std::{collections::BTreeMap, fs::File, io::Read, path::Path};

use jiff::Timestamp;
use serde::Deserialize;

use crate::harness::patience::eventually;

const GITOPSD: &str = "system:serviceaccount:gitops-system:gitopsd";

/// What goes on whether or not there is anything to do: it has nothing to do with applications.
const HOUSEKEEPING: [&str; 3] = ["leases", "tokenreviews", "subjectaccessreviews"];

/// The audit log of a cluster, read as far as it is written.
pub(crate) struct Log {
    file: File,
    rest: Vec<u8>,
    entries: Vec<Entry>,
}

/// A line of it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    stage: String,
    verb: String,
    #[serde(rename = "requestURI")]
    uri: String,
    user: User,
    impersonated_user: Option<User>,
    object_ref: Option<ObjectRef>,
    response_status: Option<Response>,
    request_received_timestamp: Timestamp,
    stage_timestamp: Timestamp,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ObjectRef {
    resource: String,
    subresource: String,
    namespace: String,
}

#[derive(Deserialize)]
struct Response {
    code: u16,
}

impl Log {
    pub(crate) fn open(dir: &Path) -> Self {
        let file = File::open(dir.join("audit.log")).expect("kube-apiserver writes it");
        Self { file, rest: Vec::new(), entries: Vec::new() }
    }

    /// Everything up to now.
    pub(crate) fn read(&mut self) -> &[Entry] {
        self.file.read_to_end(&mut self.rest).expect("the file is readable");
        let whole = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        for line in self.rest.drain(..whole).collect::<Vec<_>>().split(|byte| *byte == b'\n') {
            // Lines without a user are of no interest.
            self.entries.extend(serde_json::from_slice::<Entry>(line));
        }
        &self.entries
    }

    /// gitopsd's requests that ended at or after `since`.
    pub(crate) fn since(&mut self, since: Timestamp) -> impl Iterator<Item = &Entry> {
        self.read()
            .iter()
            .filter(move |entry| entry.is_ours() && entry.counts() && entry.stage_timestamp >= since)
    }

    /// Waits until `count` objects were applied in `namespace` since `since`; returns when the last was.
    pub(crate) fn applied(&mut self, namespace: &str, count: usize, since: Timestamp) -> Timestamp {
        eventually(&format!("{count} objects are applied in {namespace}"), || {
            let mut done: Vec<_> =
                self.since(since).filter(|entry| entry.applies(namespace)).map(Entry::ended).collect();
            done.sort_unstable();
            done.get(count - 1).copied().ok_or_else(|| format!("{} are", done.len()))
        })
    }

    /// Waits for a request to refresh since `since`; returns when it arrived.
    pub(crate) fn refresh(&mut self, since: Timestamp) -> Timestamp {
        eventually("the refresh is in the audit log", || {
            let asks = |entry: &&Entry| {
                entry.object().subresource == "refresh" && entry.request_received_timestamp >= since
            };
            self.read()
                .iter()
                .find(asks)
                .map(|entry| entry.request_received_timestamp)
                .ok_or_else(|| "it is not".into())
        })
    }
}

impl Entry {
    fn is_ours(&self) -> bool {
        self.user.username == GITOPSD
    }

    /// A watch counts when it starts, everything else when it ends.
    fn counts(&self) -> bool {
        match self.verb.as_str() {
            "watch" => self.stage == "ResponseStarted",
            _ => self.stage == "ResponseComplete",
        }
    }

    fn ended(&self) -> Timestamp {
        self.stage_timestamp
    }

    fn applies(&self, namespace: &str) -> bool {
        let accepted = self.response_status.as_ref().is_some_and(|response| response.code < 300);
        self.is_for_others()
            && accepted
            && !self.is_trial()
            && self.verb == "patch"
            && self.object().namespace == namespace
    }

    fn is_for_others(&self) -> bool {
        self.impersonated_user.is_some()
    }

    fn is_trial(&self) -> bool {
        self.uri.contains("dryRun=All")
    }

    fn object(&self) -> &ObjectRef {
        static NONE: ObjectRef =
            ObjectRef { resource: String::new(), subresource: String::new(), namespace: String::new() };
        self.object_ref.as_ref().unwrap_or(&NONE)
    }

    /// Whether it has nothing to do with applications: the lease, the renewal of a watch, reviews of who
    /// calls us.
    pub(crate) fn is_housekeeping(&self) -> bool {
        self.verb == "watch" || HOUSEKEEPING.contains(&self.object().resource.as_str())
    }

    /// What kind of request it is, in words.
    fn name(&self) -> String {
        let ObjectRef { resource, subresource, .. } = self.object();
        let path = self.uri.split('?').next().unwrap_or_default();
        let object = match (resource.as_str(), subresource.as_str()) {
            ("", _) => path.to_owned(),
            (resource, "") => resource.to_owned(),
            (resource, subresource) => format!("{resource}/{subresource}"),
        };
        let trial = if self.is_trial() { " as a trial" } else { "" };
        let actor = if self.is_for_others() { " by the deployer" } else { "" };
        format!("{} {object}{trial}{actor}", self.verb)
    }
}

/// Counts requests by what they are.
pub(crate) fn by_name<'a>(entries: impl Iterator<Item = &'a Entry>) -> BTreeMap<String, usize> {
    let mut counted = BTreeMap::new();
    for entry in entries {
        *counted.entry(entry.name()).or_default() += 1;
    }
    counted
}
