//! Watches: what there is, if it is asked for, then every change as it comes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use serde_json::Value;
use serde_json::json;
use tokio::time::Instant;

use super::super::objects::versions;
use super::super::status::Cause;
use super::super::status::Status;
use super::super::storage::Change;
use super::super::storage::Entry;
use super::super::storage::Expired;
use super::super::storage::Watch;
use super::Call;
use super::answer::Answer;
use super::answer::Content;
use super::form;
use super::list;
use super::media::Form;
use super::select::Selector;

/// How long a watch lasts that does not say so itself.
const USUAL: i64 = 1800;

/// How often a watch is told the version that it has reached.
const BOOKMARK: Duration = Duration::from_mins(1);

/// Tells that all that there was at the start has been told.
const INITIAL_END: &str = "k8s.io/initial-events-end";

/// A running watch.
struct Running {
    call: Call,
    selector: Selector,
    waiting: VecDeque<Bytes>,
    changes: Option<Watch>,
    bookmarks: Option<Instant>,
    end: Instant,
    /// Changes up to this version are known.
    after: u64,
    /// How objects begin that are told as they are stored.
    head: String,
    /// Columns are told once.
    columns_told: bool,
}

impl Call {
    /// Answers a watch.
    pub(super) fn watch(&self) -> Result<Answer, Status> {
        let selector = self.selector()?;
        let initial = self.check_watch_options()?;
        let told = self.query.get("resourceVersion");
        let version = list::parse_version(told)?;
        let seconds = self.query.number("timeoutSeconds")?.filter(|seconds| *seconds > 0).unwrap_or(USUAL);
        let allows_bookmarks = self.query.flag("allowWatchBookmarks");
        let now = Instant::now();
        let mut running = Running {
            call: self.clone(),
            selector,
            waiting: VecDeque::new(),
            changes: None,
            bookmarks: allows_bookmarks.then(|| now + BOOKMARK),
            end: now + Duration::from_secs(seconds.unsigned_abs()),
            after: version,
            head: versions::head(&self.kind),
            columns_told: false,
        };
        running.begin(version, initial);
        let events = stream::unfold(running, async |mut running| {
            let bytes = running.next().await?;
            Some((Ok::<_, std::convert::Infallible>(bytes), running))
        });
        Ok(Answer::of(200, Content::Events(Body::from_stream(events))))
    }

    /// Whether everything that there is comes first, followed by a bookmark (`Some(true)`); or not at all
    /// (`Some(false)`); by default it depends on the version.
    fn check_watch_options(&self) -> Result<Option<bool>, Status> {
        let told = self.query.get("sendInitialEvents");
        let matching = self.query.get("resourceVersionMatch");
        let mut causes = Vec::new();
        let mut forbidden = |field: &str, why: &str| causes.push(Cause::forbidden(field, why));
        let field = "resourceVersionMatch";
        if told.is_empty() {
            if !matching.is_empty() {
                forbidden(
                    field,
                    "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
                );
            }
        } else if matching != "NotOlderThan" {
            forbidden(field, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
        }
        if !told.is_empty() && !matches!(matching, "" | "NotOlderThan") {
            causes.push(Cause {
                reason: "FieldValueNotSupported",
                message: format!("Unsupported value: {matching:?}: supported values: \"NotOlderThan\""),
                field: field.into(),
            });
        }
        if !causes.is_empty() {
            return Err(Status::invalid("meta.k8s.io", "ListOptions", "", &causes));
        }
        Ok((!told.is_empty()).then(|| self.query.flag("sendInitialEvents")))
    }
}

impl Running {
    /// Puts what comes first.
    fn begin(&mut self, version: u64, initial: Option<bool>) {
        let storage = self.call.api.objects.storage.clone();
        let resource = self.call.kind.resource.clone();
        let all = initial.unwrap_or(version == 0);
        let mut after = version;
        if all {
            let namespace = Some(&*self.call.place.namespace).filter(|namespace| !namespace.is_empty());
            let snapshot = storage.list(&resource, namespace);
            after = snapshot.version;
            for entry in snapshot.entries {
                if self.selector.is_empty() || self.selector.picks_entry(&self.call.kind, &entry) {
                    let event = self.event("ADDED", &entry, None);
                    self.waiting.push_back(event);
                }
            }
            if initial == Some(true) && self.bookmarks.is_some() {
                let event = self.bookmark(after, true);
                self.waiting.push_back(event);
            }
        } else if version == 0 {
            after = storage.version();
        }
        // What is not written yet is waited for.
        let after = after.min(storage.version());
        if let Ok(watch) = storage.watch(Some(&*resource), after) {
            self.changes = Some(watch);
        } else {
            let oldest = storage.version();
            let message = format!("too old resource version: {after} ({oldest})");
            self.fail(&Status::new(410, "Expired", message));
        }
    }

    fn fail(&mut self, status: &Status) {
        self.waiting.push_back(line("ERROR", &status.to_json()));
        self.changes = None;
    }

    /// The next lines; nothing at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(bytes) = self.waiting.pop_front() {
                return Some(bytes);
            }
            let changes = self.changes.as_mut()?;
            let pause = self.bookmarks.map_or(self.end, |at| at.min(self.end));
            match tokio::time::timeout_at(pause, changes.next()).await {
                Ok(Ok(change)) => self.tell(&change),
                Ok(Err(Expired)) => {
                    let version = changes.version();
                    let current = self.call.api.objects.storage.version();
                    let message = format!("too old resource version: {version} ({current})");
                    self.fail(&Status::new(410, "Expired", message));
                }
                Err(_) => self.pause(),
            }
        }
    }

    /// A bookmark is due, or the end is reached.
    fn pause(&mut self) {
        let Some(changes) = &self.changes else { return };
        let (version, now) = (changes.version(), Instant::now());
        if self.bookmarks.is_some() {
            let event = self.bookmark(version, false);
            self.waiting.push_back(event);
            self.bookmarks = Some(now + BOOKMARK);
        }
        if now >= self.end {
            self.changes = None;
        }
    }

    /// Tells a change, as it looks through the selector.
    fn tell(&mut self, change: &Arc<Change>) {
        let namespace = &*self.call.place.namespace;
        if change.version <= self.after {
            return;
        }
        if !namespace.is_empty() && *change.after.key.namespace != *namespace {
            return;
        }
        let kind = &self.call.kind;
        let picks = |entry: &Entry| self.selector.is_empty() || self.selector.picks_entry(kind, entry);
        let before = change.before.as_deref().is_some_and(picks);
        let after = !change.deleted && picks(&change.after);
        let event = match (before, after) {
            (false, false) => return,
            (false, true) => self.event("ADDED", &change.after, None),
            (true, true) => self.event("MODIFIED", &change.after, None),
            (true, false) => match &change.before {
                Some(before) => self.event("DELETED", before, Some(change.version)),
                None => return,
            },
        };
        self.waiting.push_back(event);
    }

    /// An event about a stored object; `version` stands in for its own.
    fn event(&mut self, event: &str, entry: &Entry, version: Option<u64>) -> Bytes {
        let kind = &self.call.kind;
        let whole = self.call.accepted.form == Form::Whole;
        if whole && version.is_none() && entry.json.starts_with(self.head.as_bytes()) {
            let mut text = Vec::with_capacity(entry.json.len() + 40);
            text.extend_from_slice(format!(r#"{{"type":"{event}","object":"#).as_bytes());
            text.extend_from_slice(&entry.json);
            text.extend_from_slice(b"}\n");
            return text.into();
        }
        let mut object = versions::read(kind, entry);
        if let Some(version) = version {
            object["metadata"]["resourceVersion"] = version.to_string().into();
        }
        let object = self.formed(object);
        line(event, &object)
    }

    fn formed(&mut self, object: Value) -> Value {
        let mut formed = match self.call.accepted.form {
            Form::MetadataList(version) => form::metadata(&object, version),
            _ => form::object(&self.call, object).unwrap_or_else(|status| status.to_json()),
        };
        if matches!(self.call.accepted.form, Form::Table(_)) {
            if self.columns_told {
                formed["columnDefinitions"] = Value::Null;
            }
            self.columns_told = true;
        }
        formed
    }

    fn bookmark(&mut self, version: u64, ends_initial: bool) -> Bytes {
        let mut metadata = json!({"resourceVersion": version.to_string()});
        if ends_initial {
            metadata["annotations"] = json!({INITIAL_END: "true"});
        }
        let gvk = &self.call.kind.gvk;
        let object = json!({"kind": gvk.kind, "apiVersion": gvk.api_version(), "metadata": metadata});
        let object = match self.call.accepted.form {
            Form::Whole => object,
            _ => self.formed(object),
        };
        line("BOOKMARK", &object)
    }
}

fn line(event: &str, object: &Value) -> Bytes {
    let mut text = json!({"type": event, "object": object}).to_string();
    text.push('\n');
    text.into()
}
