//! `managedFields`: who owns what of an object.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::encoding;
use super::set::Set;

/// The most entries of updates that are kept apart.
const UPDATERS: usize = 10;
/// Who is said to have made the updates that are no longer kept apart.
const ANCIENT: &str = "ancient-changes";

/// How fields came to be owned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    /// They were applied.
    Apply,
    /// They were changed otherwise.
    Update,
}

/// Whom an entry of `managedFields` is about. Who applies is the same in all versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) manager: String,
    pub(super) operation: Operation,
    pub(super) version: String,
    pub(super) subresource: String,
}

impl Identity {
    /// Says whether both are the same manager.
    fn is(&self, other: &Self) -> bool {
        self.manager == other.manager
            && self.operation == other.operation
            && self.subresource == other.subresource
            && (self.operation == Operation::Apply || self.version == other.version)
    }

    /// What Kubernetes sorts managers by.
    fn text(&self) -> String {
        let mut text = Map::new();
        let operation = if self.operation == Operation::Apply { "Apply" } else { "Update" };
        let version = if self.operation == Operation::Apply { "" } else { &self.version };
        for (name, value) in [
            ("manager", &*self.manager),
            ("operation", operation),
            ("apiVersion", version),
            ("subresource", &*self.subresource),
        ] {
            if !value.is_empty() {
                text.insert(name.to_owned(), value.into());
            }
        }
        Value::from(text).to_string()
    }

    /// Who it is, as conflicts tell.
    pub(super) fn told(&self) -> String {
        let mut told = format!("{:?}", self.manager);
        if !self.subresource.is_empty() {
            told += &format!(" with subresource {:?}", self.subresource);
        }
        if self.operation == Operation::Update {
            told += &format!(" using {}", self.version);
        }
        told
    }
}

/// An entry of `managedFields`.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) identity: Identity,
    pub(super) time: Option<Timestamp>,
    pub(super) set: Set,
}

/// All entries of an object.
#[derive(Debug, Clone, Default)]
pub(super) struct Managers(Vec<Entry>);

impl Managers {
    /// Reads `managedFields`.
    pub(super) fn decode(fields: Option<&Value>) -> Result<Self, String> {
        let mut managers = Self::default();
        for (index, entry) in fields.and_then(Value::as_array).into_iter().flatten().enumerate() {
            managers.put(decode_entry(index, entry)?);
        }
        Ok(managers)
    }

    /// Writes `managedFields`: appliers first, then by time and name. Nothing, if nobody owns anything.
    pub(super) fn encode(mut self) -> Option<Value> {
        self.0.sort_by_cached_key(|Entry { identity, time, .. }| {
            let Identity { manager, operation, version, subresource } = identity.clone();
            (operation, time.map_or(0, Timestamp::as_second), manager, version, subresource)
        });
        let entries: Vec<_> = self.0.iter().map(encode_entry).collect();
        (!entries.is_empty()).then(|| entries.into())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn get(&self, identity: &Identity) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.identity.is(identity))
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.0
    }

    /// Takes the entry of a manager out.
    pub(super) fn take(&mut self, identity: &Identity) -> Option<Entry> {
        let index = self.0.iter().position(|entry| entry.identity.is(identity))?;
        Some(self.0.swap_remove(index))
    }

    /// Adds an entry, even if there is one of the same manager.
    pub(super) fn add(&mut self, entry: Entry) {
        self.0.push(entry);
    }

    /// Adds an entry, or replaces that of the same manager.
    pub(super) fn put(&mut self, entry: Entry) {
        match self.0.iter_mut().find(|known| known.identity.is(&entry.identity)) {
            Some(known) => *known = entry,
            None => self.0.push(entry),
        }
    }

    pub(super) fn others<'a>(&'a self, identity: &'a Identity) -> impl Iterator<Item = &'a Entry> {
        self.0.iter().filter(move |entry| !entry.identity.is(identity))
    }

    /// Everything that somebody owns.
    pub(super) fn owned(&self) -> Set {
        self.0.iter().fold(Set::default(), |all, entry| all.union(&entry.set))
    }

    /// Changes what everybody owns; who owns nothing is forgotten.
    pub(super) fn revise(&mut self, revised: impl Fn(&Entry) -> Option<Set>) {
        for entry in &mut self.0 {
            if let Some(set) = revised(entry) {
                entry.set = set;
            }
        }
        self.0.retain(|entry| !entry.set.is_empty());
    }

    /// Joins the oldest updates, version by version, if there are too many.
    pub(super) fn cap(&mut self) {
        let mut updaters: Vec<_> =
            self.0.iter().filter(|entry| entry.identity.operation == Operation::Update).cloned().collect();
        let mut count = updaters.len();
        if count <= UPDATERS {
            return;
        }
        updaters
            .sort_by_cached_key(|entry| (entry.time.map_or(0, Timestamp::as_second), entry.identity.text()));
        let mut first: Vec<Entry> = Vec::new();
        for entry in updaters {
            if count <= UPDATERS {
                return;
            }
            let version = entry.identity.version.clone();
            let Some(known) = first.iter().find(|known| known.identity.version == version) else {
                first.push(entry);
                continue;
            };
            let bucket = Identity {
                manager: ANCIENT.to_owned(),
                operation: Operation::Update,
                version,
                subresource: String::new(),
            };
            let old = match self.get(&bucket) {
                Some(bucket) => bucket.set.clone(),
                None => {
                    self.0.retain(|entry| !entry.identity.is(&known.identity));
                    known.set.clone()
                }
            };
            self.0.retain(|other| !other.identity.is(&entry.identity));
            self.put(Entry { identity: bucket, time: entry.time, set: old.union(&entry.set) });
            count -= 1;
        }
    }
}

/// The order in which managers are told of.
pub(super) fn sorted(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_by_cached_key(|entry| entry.identity.text());
    entries
}

fn decode_entry(index: usize, entry: &Value) -> Result<Entry, String> {
    let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    let operation = match &*text("operation") {
        "Apply" => Operation::Apply,
        "Update" => Operation::Update,
        _ => return Err("operation must be `Apply` or `Update`".to_owned()),
    };
    if text("apiVersion").is_empty() {
        return Err("apiVersion must not be empty".to_owned());
    }
    match &*text("fieldsType") {
        "FieldsV1" => {}
        "" => return Err(format!("missing fieldsType in managed fields entry {index}")),
        other => return Err(format!("invalid fieldsType {other:?} in managed fields entry {index}")),
    }
    let set = match &entry["fieldsV1"] {
        Value::Null => Set::default(),
        fields => encoding::decode(fields)
            .map_err(|why| format!("error decoding versioned set: error decoding set: {why}"))?,
    };
    let identity = Identity {
        manager: text("manager"),
        operation,
        version: text("apiVersion"),
        subresource: text("subresource"),
    };
    Ok(Entry { identity, time: entry["time"].as_str().and_then(|time| time.parse().ok()), set })
}

fn encode_entry(entry: &Entry) -> Value {
    let Identity { manager, operation, version, subresource } = &entry.identity;
    let mut fields = Map::new();
    if !manager.is_empty() {
        fields.insert("manager".to_owned(), manager.as_str().into());
    }
    let operation = if *operation == Operation::Apply { "Apply" } else { "Update" };
    fields.insert("operation".to_owned(), operation.into());
    fields.insert("apiVersion".to_owned(), version.as_str().into());
    if let Some(time) = entry.time {
        fields.insert("time".to_owned(), time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into());
    }
    fields.insert("fieldsType".to_owned(), json!("FieldsV1"));
    fields.insert("fieldsV1".to_owned(), encoding::encode(&entry.set));
    if !subresource.is_empty() {
        fields.insert("subresource".to_owned(), subresource.as_str().into());
    }
    fields.into()
}
