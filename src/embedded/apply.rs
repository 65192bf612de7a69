//! Field ownership: server-side apply, and the record of who set what when objects are written otherwise.
//! What is meant by it is what `sigs.k8s.io/structured-merge-diff` and `k8s.io/apimachinery`'s
//! `managedfields` do. Versions of a kind are taken to have the same fields.

mod check;
mod compare;
mod encoding;
mod fields;
mod last_applied;
mod managers;
mod merge;
mod refused;
mod reset;
mod revise;
mod scale;
mod set;
#[cfg(test)]
pub(super) mod tests;
mod typing;
pub(super) mod value;
mod zero;

use std::sync::LazyLock;

use jiff::Timestamp;
use serde_json::{Map, Value};

use check::{Twice, check};
use compare::Changes;
use managers::{Entry, Identity, Managers, Operation};
pub use refused::Refused;
pub use reset::reset;
use set::Set;
use typing::Type;

use super::kinds::Kind;
use super::schema::Schema;
use super::status::Status;

/// Who is said to own what was there before anything was applied.
const BEFORE: &str = "before-first-apply";

/// What every object has and nobody owns.
static UNOWNED: LazyLock<Set> = LazyLock::new(|| {
    Set::of(&[
        &["apiVersion"],
        &["kind"],
        &["metadata"],
        &["metadata", "clusterName"],
        &["metadata", "creationTimestamp"],
        &["metadata", "generation"],
        &["metadata", "managedFields"],
        &["metadata", "name"],
        &["metadata", "namespace"],
        &["metadata", "resourceVersion"],
        &["metadata", "selfLink"],
        &["metadata", "uid"],
    ])
});

/// Who writes.
#[derive(Debug, Clone)]
pub struct Manager<'a> {
    /// `fieldManager`, or what stands for it.
    pub name: &'a str,
    /// The subresource that is written; empty for the object itself.
    pub subresource: &'a str,
    /// The time.
    pub now: Timestamp,
    /// Fields that this write leaves as they are, whatever is sent: see [`reset`].
    pub ignored: &'a [&'a [&'a str]],
}

impl<'a> Manager<'a> {
    /// Who writes an object of `kind`, or a subresource of it, with the fields that such a write leaves alone.
    #[must_use]
    pub fn of(kind: &Kind, subresource: &'a str, name: &'a str, now: Timestamp) -> Self {
        Self { name, subresource, now, ignored: reset(kind, subresource) }
    }
}

/// Applies `applied` to `live`. Answers the merged object with `metadata.managedFields` brought up to date;
/// nothing else about it is filled in. Both objects have the same `apiVersion`.
pub fn apply(
    schema: &Schema,
    live: Option<&Value>,
    applied: &Value,
    manager: &Manager<'_>,
    force: bool,
) -> Result<Value, Refused> {
    let types = Type::of(schema);
    let mut live = live.cloned().unwrap_or_else(|| Value::Object(Map::new()));
    let managers = take_managers(&mut live);
    let mut managers = Managers::decode(managers.as_ref())
        .map_err(|why| Refused::internal(format!("failed to decode managed fields: {why}")))?;
    if applied["metadata"]["managedFields"].is_array() {
        let message = "metadata.managedFields must be nil";
        return Err(Refused::Malformed(Status::bad_request(message)));
    }
    if manager.subresource == scale::NAME {
        return scale::apply(&types, &live, applied, &managers, manager, force);
    }
    check(&types, applied, Twice::Refused).map_err(|why| {
        Refused::internal(format!("failed to create typed patch object ({}): {why}", told(applied)))
    })?;
    if is_custom(schema) {
        check(&types, &live, Twice::Allowed).map_err(|why| {
            Refused::internal(format!("failed to create typed live object ({}): {why}", told(&live)))
        })?;
        managers.revise(|set| revise::revise(&types, set));
    }
    let version = text(applied, "apiVersion");
    if managers.is_empty() {
        let before = Manager { name: BEFORE, ..manager.clone() };
        managers = record(&types, &zero::object(schema, &live), &live, managers, &before, version);
    }
    let (mut merged, managers) = take_over(&types, &live, applied, managers, manager, version, force)?;
    if manager.name == "kubectl" {
        last_applied::note(&mut merged, applied);
    }
    put_managers(&mut merged, managers.encode());
    Ok(merged)
}

/// Merges. kubectl may take over what it applied by itself.
fn take_over(
    types: &Type,
    live: &Value,
    applied: &Value,
    managers: Managers,
    manager: &Manager<'_>,
    version: &str,
    force: bool,
) -> Result<(Value, Managers), Refused> {
    let again = (manager.name == "kubectl").then(|| managers.clone());
    let outcome = apply_to(types, live, applied, managers, manager, version, force);
    let owners = match outcome {
        Ok(merged) => return Ok(merged),
        Err(owners) => owners,
    };
    let Some((managers, allowed)) = again.zip(last_applied::taken_over(types, live, version)) else {
        return Err(Refused::by(owners));
    };
    let left: Vec<_> = owners
        .into_iter()
        .map(|owner| Entry::new(owner.identity, None, owner.set.difference(&allowed)))
        .filter(|owner| !owner.set.is_empty())
        .collect();
    if !left.is_empty() {
        return Err(Refused::by(left));
    }
    apply_to(types, live, applied, managers, manager, version, true).map_err(Refused::by)
}

/// Brings `metadata.managedFields` of `after` up to date when `before` (nothing, if it is created) was
/// changed to it by an update or another kind of patch. Takes note of `managedFields` that the writer sent
/// (`[]` or `[{}]` resets it).
pub fn update(schema: &Schema, before: Option<&Value>, after: &mut Value, manager: &Manager<'_>) {
    let sent = take_managers(after);
    let known = before.and_then(|before| before["metadata"].get("managedFields"));
    let decoded = |fields: Option<&Value>| Managers::decode(fields).unwrap_or_default();
    let mut managers = if manager.subresource.is_empty() && sent.as_ref().is_some_and(resets) {
        Managers::default()
    } else {
        let sent = if manager.subresource.is_empty() { decoded(sent.as_ref()) } else { Managers::default() };
        if sent.is_empty() { decoded(known) } else { sent }
    };
    // Nobody is told of an object of which nobody was.
    if managers.is_empty() && before.is_some() {
        return;
    }
    let types = Type::of(schema);
    let zero;
    let before = if let Some(before) = before {
        before
    } else {
        zero = zero::object(schema, after);
        &zero
    };
    if is_custom(schema) {
        let fits = check(&types, after, Twice::Allowed).and_then(|()| check(&types, before, Twice::Allowed));
        if fits.is_err() {
            put_managers(after, known.cloned());
            return;
        }
        managers.revise(|set| revise::revise(&types, set));
    }
    let managers = if manager.subresource == scale::NAME {
        scale::record(&types, before, after, managers, manager)
    } else {
        record(&types, before, after, managers, manager, text(after, "apiVersion"))
    };
    put_managers(after, managers.encode());
}

/// Takes the times of `before` over into `after` if nothing but times is different, so that a write that
/// changes nothing is one. Everything else about `after` must be decided.
pub fn keep_times(before: &Value, after: &mut Value) {
    let fields = |object: &Value| object["metadata"]["managedFields"].as_array().cloned();
    let (Some(known), Some(new)) = (fields(before), fields(after)) else { return };
    let timeless = |entries: &[Value]| {
        let mut entries = entries.to_vec();
        for entry in &mut entries {
            entry.as_object_mut().and_then(|entry| entry.shift_remove("time"));
        }
        entries
    };
    if known == new || timeless(&known) != timeless(&new) {
        return;
    }
    let managers = take_managers(after);
    let mut timeless = before.clone();
    take_managers(&mut timeless);
    put_managers(after, if *after == timeless { Some(known.into()) } else { managers });
}

/// Merges, and decides who owns what. Answers the owners of what would have to be taken from them if that
/// is not forced.
fn apply_to(
    types: &Type,
    live: &Value,
    applied: &Value,
    mut managers: Managers,
    manager: &Manager<'_>,
    version: &str,
    force: bool,
) -> Result<(Value, Managers), Vec<Entry>> {
    let ignored = Set::of(manager.ignored);
    let identity = Identity {
        manager: manager.name.to_owned(),
        operation: Operation::Apply,
        version: version.to_owned(),
        subresource: manager.subresource.to_owned(),
    };
    let mut merged = merge::merge(types, live, applied);
    let last = managers.take(&identity);
    let set = fields::stated(types, applied).without(&ignored);
    if let Some(last) = &last
        && !last.set.difference(&set).is_empty()
    {
        merged = prune(types, merged, &last.set, &managers.owned().union(&set));
    }
    let same = value::same(live, &merged);
    let changes = if same { Changes::default() } else { Changes::between(types, live, &merged) };
    let changes = changes.without(&ignored);
    let changed = changes.set();
    if !force && !changed.is_empty() {
        let owners = managers.owners(&changed);
        if !owners.is_empty() {
            return Err(owners);
        }
    }
    managers.lose(&changed);
    managers.lose(&changes.removed);
    let set = set.difference(&UNOWNED);
    if !set.is_empty() {
        let time = if same { last.as_ref().and_then(|last| last.time) } else { Some(manager.now) };
        let written = last.filter(|last| last.set == set).and_then(|last| last.written);
        managers.put(Entry { identity, time, set, written });
    }
    Ok((merged, managers))
}

/// Takes away what the manager applied last time but not now, unless somebody else owns it. What is below
/// it and owned by nobody goes with it.
fn prune(types: &Type, merged: Value, last: &Set, owned: &Set) -> Value {
    let named = |set: &Set| fields::with_named(set, Some(types));
    let stated = |object: &Value| named(&fields::stated(types, object));
    let (last, all) = (named(last), stated(&merged));
    let kept = stated(&fields::remove(types, &merged, &last)).union(&named(owned));
    let pruned = fields::remove(types, &merged, &all.difference(&kept));
    let gone = all.difference(&stated(&pruned)).intersection(&last);
    if gone.is_empty() { merged } else { fields::remove(types, &merged, &gone) }
}

/// Records an update.
fn record(
    types: &Type,
    before: &Value,
    after: &Value,
    mut managers: Managers,
    manager: &Manager<'_>,
    version: &str,
) -> Managers {
    let changes = Changes::between(types, before, after).without(&Set::of(manager.ignored));
    let changed = changes.set();
    managers.lose(&changed);
    managers.lose(&changes.removed);
    let set = changed.difference(&UNOWNED);
    if !set.is_empty() {
        let name = if manager.name.is_empty() { "unknown" } else { manager.name };
        let identity = Identity {
            manager: name.to_owned(),
            operation: Operation::Update,
            version: version.to_owned(),
            subresource: manager.subresource.to_owned(),
        };
        let set = managers.get(&identity).map(|known| known.set.union(&set)).unwrap_or(set);
        managers.put(Entry::new(identity, Some(manager.now), set));
    }
    managers.cap();
    managers
}

/// Whether a kind is not built in: what is stored may be older than its schema.
fn is_custom(schema: &Schema) -> bool {
    schema.node().definition.is_none()
}

fn take_managers(object: &mut Value) -> Option<Value> {
    object.get_mut("metadata")?.as_object_mut()?.shift_remove("managedFields")
}

fn put_managers(object: &mut Value, managers: Option<Value>) {
    if let Some(managers) = managers
        && let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut)
    {
        meta.insert("managedFields".to_owned(), managers);
    }
}

fn resets(sent: &Value) -> bool {
    match sent.as_array().map(Vec::as_slice) {
        Some([]) => true,
        Some([only]) => only.as_object().is_some_and(Map::is_empty),
        _ => false,
    }
}

fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object[name].as_str().unwrap_or_default()
}

/// Which object it is: `default/web; apps/v1, Kind=Deployment`.
fn told(object: &Value) -> String {
    let meta = &object["metadata"];
    let version = text(object, "apiVersion");
    // The core group has no name, but is told of.
    let group = if version.contains('/') { "" } else { "/" };
    format!(
        "{}/{}; {group}{version}, Kind={}",
        text(meta, "namespace"),
        text(meta, "name"),
        text(object, "kind")
    )
}
