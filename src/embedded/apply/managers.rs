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
        let subresource = if self.subresource.is_empty() {
            String::new()
        } else {
            format!(" with subresource {:?}", self.subresource)
        };
        let version = match self.operation {
            Operation::Apply => String::new(),
            Operation::Update => format!(" using {}", self.version),
        };
        format!("{:?}{subresource}{version}", self.manager)
    }
}

/// An entry of `managedFields`.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) identity: Identity,
    pub(super) time: Option<Timestamp>,
    pub(super) set: Set,
    /// The set as it is written, if that is known.
    pub(super) written: Option<Value>,
}

impl Entry {
    pub(super) fn new(identity: Identity, time: Option<Timestamp>, set: Set) -> Self {
        Self { identity, time, set, written: None }
    }
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
        let entries: Vec<_> = self.0.into_iter().map(encode_entry).collect();
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

    /// Everything that somebody owns.
    pub(super) fn owned(&self) -> Set {
        self.0.iter().fold(Set::default(), |all, entry| all.union(&entry.set))
    }

    /// Changes sets to what `revised` gives.
    pub(super) fn revise(&mut self, revised: impl Fn(&Set) -> Option<Set>) {
        for entry in &mut self.0 {
            if let Some(set) = revised(&entry.set) {
                *entry = Entry::new(entry.identity.clone(), entry.time, set);
            }
        }
    }

    /// Who owns some of these fields, and which.
    pub(super) fn owners(&self, fields: &Set) -> Vec<Entry> {
        let owned = self.0.iter().map(|entry| (entry, entry.set.intersection(fields)));
        owned
            .filter(|(_, set)| !set.is_empty())
            .map(|(entry, set)| Entry::new(entry.identity.clone(), None, set))
            .collect()
    }

    /// Takes fields from everybody; who owns nothing is forgotten.
    pub(super) fn lose(&mut self, fields: &Set) {
        if !fields.is_empty() {
            for entry in &mut self.0 {
                let left = entry.set.difference(fields);
                if left != entry.set {
                    *entry = Entry::new(entry.identity.clone(), entry.time, left);
                }
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
            let old = if let Some(bucket) = self.get(&bucket) {
                bucket.set.clone()
            } else {
                self.0.retain(|entry| !entry.identity.is(&known.identity));
                known.set.clone()
            };
            self.0.retain(|other| !other.identity.is(&entry.identity));
            self.put(Entry::new(bucket, entry.time, old.union(&entry.set)));
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
    let time = entry["time"].as_str().and_then(|time| time.parse().ok());
    Ok(Entry { identity, time, set, written: entry.get("fieldsV1").cloned() })
}

fn encode_entry(Entry { identity, time, set, written }: Entry) -> Value {
    let Identity { manager, operation, version, subresource } = identity;
    let mut fields = Map::new();
    if !manager.is_empty() {
        fields.insert("manager".to_owned(), manager.into());
    }
    let operation = if operation == Operation::Apply { "Apply" } else { "Update" };
    fields.insert("operation".to_owned(), operation.into());
    fields.insert("apiVersion".to_owned(), version.into());
    if let Some(time) = time {
        fields.insert("time".to_owned(), time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into());
    }
    fields.insert("fieldsType".to_owned(), json!("FieldsV1"));
    fields.insert("fieldsV1".to_owned(), written.unwrap_or_else(|| encoding::encode(&set)));
    if !subresource.is_empty() {
        fields.insert("subresource".to_owned(), subresource.into());
    }
    fields.into()
}
