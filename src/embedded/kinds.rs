//! The kinds that are served: a table of the built-in ones, and those that `CustomResourceDefinition`s add.

mod convert;
mod data;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, RwLock};

use serde_json::{Value, json};
use tokio::sync::watch;

pub use self::convert::convert;
pub(super) use self::data::PACKED;
pub use self::data::{Data, data, definitions};
use super::schema::Schema;
use crate::manifest::{Gvk, Scope};

/// A served kind in one version.
pub struct Kind {
    /// Group, version and kind.
    pub gvk: Gvk,
    /// Plural name, as in paths.
    pub plural: Box<str>,
    /// Singular name.
    pub singular: Box<str>,
    /// Short names.
    pub short_names: Vec<Box<str>>,
    /// Categories, such as `all`.
    pub categories: Vec<Box<str>>,
    /// Whether objects live in namespaces.
    pub scope: Scope,
    /// Verbs.
    pub verbs: Vec<Box<str>>,
    /// What is beneath an object.
    pub subresources: Vec<Subresource>,
    /// What objects look like.
    pub schema: Schema,
    /// `deployments.apps`: under this name objects are stored and told of in messages.
    pub resource: Arc<str>,
    /// The version in which objects are stored (`v1`); another one differs in `apiVersion` only, or is
    /// converted by `convert`.
    pub stored_version: Box<str>,
    /// What the `CustomResourceDefinition` says of this version, for kinds that are not built in:
    /// an item of its `spec.versions`.
    pub custom: Option<Arc<Value>>,
    /// Columns of tables: `additionalPrinterColumns`-like rows for custom kinds, rows of the data file for
    /// built-in ones (see `table`).
    pub columns: Arc<Value>,
}

/// What is beneath an object, such as `status` or `scale`.
pub struct Subresource {
    /// Name, such as `status`.
    pub name: Box<str>,
    /// Kind that it takes and answers.
    pub gvk: Gvk,
    /// Verbs.
    pub verbs: Vec<Box<str>>,
}

impl Kind {
    /// Says whether the kind has this subresource.
    #[must_use]
    pub fn has(&self, subresource: &str) -> bool {
        self.subresources.iter().any(|known| &*known.name == subresource)
    }

    /// Returns the kind that stored objects have; see `convert`.
    #[must_use]
    pub fn stored(&self) -> Gvk {
        let kind = self.gvk.kind.clone();
        // Events are served in two groups; everything else is stored in its own.
        let group = if self.is_event() { String::new() } else { self.gvk.group.clone() };
        Gvk { group, version: self.stored_version.to_string(), kind }
    }

    fn is_event(&self) -> bool {
        self.custom.is_none() && self.gvk.kind == "Event"
    }

    /// Returns `apps/v1`, or `v1` for the core group, as part of a path: `apis/apps/v1`, `api/v1`.
    #[must_use]
    pub fn root(&self) -> String {
        root(&self.gvk.group, &self.gvk.version)
    }
}

/// All served kinds. Clones share them.
#[derive(Clone)]
pub struct Kinds(Arc<Shared>);

struct Shared {
    served: RwLock<Arc<Served>>,
    /// Counts the changes.
    revision: watch::Sender<u64>,
}

/// The kinds at one time.
struct Served {
    sorted: Vec<Arc<Kind>>,
    by_plural: HashMap<Box<str>, Vec<Arc<Kind>>>,
}

static BUILTIN: LazyLock<Arc<Served>> = LazyLock::new(|| Arc::new(Served::of(builtin())));

impl Kinds {
    /// The built-in kinds.
    #[must_use]
    pub fn builtin() -> Self {
        let served = RwLock::new(Arc::clone(&BUILTIN));
        Self(Arc::new(Shared { served, revision: watch::Sender::new(0) }))
    }

    /// The same kinds. What is defined in one does not show in the other.
    #[must_use]
    pub fn copy(&self) -> Self {
        let served = RwLock::new(self.served());
        Self(Arc::new(Shared { served, revision: watch::Sender::new(0) }))
    }

    /// Finds what a path means.
    #[must_use]
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Kind>> {
        let served = self.served();
        let mut found = served.by_plural.get(plural)?.iter();
        found.find(|kind| kind.gvk.group == group && kind.gvk.version == version).cloned()
    }

    /// Finds a kind by what objects call it. An empty version means the preferred one.
    #[must_use]
    pub fn of(&self, group: &str, version: &str, kind: &str) -> Option<Arc<Kind>> {
        let served = self.served();
        let mut found =
            served.sorted.iter().filter(|known| known.gvk.kind == kind && known.gvk.group == group);
        found.find(|known| version.is_empty() || known.gvk.version == version).cloned()
    }

    /// All of them: sorted by group, the versions of a group by preference, then by plural.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Kind>> {
        self.served().sorted.clone()
    }

    /// Replaces the kinds of one `CustomResourceDefinition`, or removes them (`kinds` is empty). `resource`
    /// is its name: `widgets.example.org`.
    pub fn define(&self, resource: &str, kinds: Vec<Kind>) {
        {
            let mut served = self.0.served.write().expect("nobody panics while holding it");
            let others =
                served.sorted.iter().filter(|kind| &*kind.resource != resource || kind.custom.is_none());
            *served = Arc::new(Served::of(others.cloned().chain(kinds.into_iter().map(Arc::new)).collect()));
        }
        self.0.revision.send_modify(|revision| *revision += 1);
    }

    /// Tells of every change: the value is a number that grows.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.revision.subscribe()
    }

    /// Returns how often there was a change. What is made from the kinds is good for one number.
    #[must_use]
    pub fn revision(&self) -> u64 {
        *self.0.revision.borrow()
    }

    fn served(&self) -> Arc<Served> {
        Arc::clone(&self.0.served.read().expect("nobody panics while holding it"))
    }
}

impl Served {
    fn of(mut kinds: Vec<Arc<Kind>>) -> Self {
        kinds.sort_by(|a, b| order(a).cmp(&order(b)));
        let mut by_plural: HashMap<Box<str>, Vec<Arc<Kind>>> = HashMap::new();
        for kind in &kinds {
            by_plural.entry(kind.plural.clone()).or_default().push(Arc::clone(kind));
        }
        Self { sorted: kinds, by_plural }
    }
}

fn order(kind: &Kind) -> (&str, Reverse<(u8, u64, u64)>, &str, &str) {
    (&kind.gvk.group, Reverse(maturity(&kind.gvk.version)), &kind.gvk.version, &kind.plural)
}

/// How mature a version is: `v2` more than `v1`, that more than `v3beta1`, that more than `v3alpha2`, and
/// any of them more than another name.
#[must_use]
pub fn maturity(version: &str) -> (u8, u64, u64) {
    parsed(version).unwrap_or_default()
}

fn parsed(version: &str) -> Option<(u8, u64, u64)> {
    let (major, rest) = number(version.strip_prefix('v')?)?;
    if rest.is_empty() {
        return Some((3, major, 0));
    }
    let stage = if rest.starts_with("beta") { 2 } else { 1 };
    let (minor, rest) = number(rest.strip_prefix("alpha").or_else(|| rest.strip_prefix("beta"))?)?;
    rest.is_empty().then_some((stage, major, minor))
}

/// Splits a number off that does not begin with a zero.
fn number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    if digits.starts_with('0') { None } else { Some((digits.parse().ok()?, rest)) }
}

/// The path of a group's version without a slash before it: `apis/apps/v1`, `api/v1`.
#[must_use]
pub fn root(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

/// Makes the kinds of the data file.
fn builtin() -> Vec<Arc<Kind>> {
    let mut kinds = Vec::new();
    for group in &data().groups {
        for version in &group.versions {
            let (group, name) = (&group.metadata.name, &version.version);
            let gvks = version.resources.iter().map(|resource| resource.response_kind.under(group, name));
            let document = root(group, name);
            let schemas = Schema::of_document(move || definitions(&document), gvks.collect());
            for (resource, schema) in version.resources.iter().zip(schemas) {
                kinds.push(Arc::new(resource.kind(group, name, schema)));
            }
        }
    }
    kinds
}

impl data::ResponseKind {
    fn under(&self, group: &str, version: &str) -> Gvk {
        let kind = self.kind.clone();
        if self.version.is_empty() {
            Gvk { group: group.into(), version: version.into(), kind }
        } else {
            Gvk { group: self.group.clone(), version: self.version.clone(), kind }
        }
    }
}

impl data::Resource {
    fn kind(&self, group: &str, version: &str, schema: Schema) -> Kind {
        let qualified =
            if group.is_empty() { self.resource.clone() } else { format!("{}.{group}", self.resource) };
        // Events of both groups are the same objects.
        let resource = if self.resource == "events" { "events" } else { &qualified };
        let subresources = self.subresources.iter().map(|beneath| Subresource {
            name: beneath.subresource.as_str().into(),
            gvk: beneath.response_kind.under(group, version),
            verbs: beneath.verbs.clone(),
        });
        let columns = data().tables.get(&qualified).map_or_else(
            || json!([]),
            |table| serde_json::from_str(table.get()).expect("the data file has this form"),
        );
        Kind {
            gvk: self.response_kind.under(group, version),
            plural: self.resource.as_str().into(),
            singular: self.singular_resource.as_str().into(),
            short_names: self.short_names.clone(),
            categories: self.categories.clone(),
            scope: if self.scope == "Namespaced" { Scope::Namespaced } else { Scope::Cluster },
            verbs: self.verbs.clone(),
            subresources: subresources.collect(),
            schema,
            resource: resource.into(),
            stored_version: version.into(),
            custom: None,
            columns: Arc::new(columns),
        }
    }
}
