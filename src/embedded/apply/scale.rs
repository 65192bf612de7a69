//! Ownership of the number of replicas when it is written through `scale`: as Kubernetes does, the entries
//! about it are cut out, looked at in the version of Scale, and put back. That loses their times.

use serde_json::Value;

use super::compare::Changes;
use super::fields;
use super::managers::{Entry, Identity, Managers, Operation};
use super::set::Set;
use super::typing::Type;
use super::{BEFORE, Manager, Refused, UNOWNED, put_managers, take_over, text};

/// The subresource.
pub(super) const NAME: &str = "scale";
/// The version of Scale.
const VERSION: &str = "autoscaling/v1";
/// Where most objects have the number of replicas.
const REPLICAS: &[&str] = &["spec", "replicas"];

/// Applies a Scale to the object that it is about. The number of replicas stands in `applied` where it
/// stands in `live`.
pub(super) fn apply(
    types: &Type,
    live: &Value,
    applied: &Value,
    managers: &Managers,
    manager: &Manager<'_>,
    force: bool,
) -> Result<Value, Refused> {
    let mut applied = applied.clone();
    for name in ["apiVersion", "kind"] {
        applied[name] = live[name].clone();
    }
    let replicas = or_usual(&fields::stated(types, &applied));
    let mut owned = cut(managers, &replicas);
    if owned.is_empty() {
        let identity = Identity {
            manager: BEFORE.to_owned(),
            operation: Operation::Update,
            version: VERSION.to_owned(),
            subresource: NAME.to_owned(),
        };
        owned.put(Entry::new(identity, Some(manager.now), replicas.clone()));
    }
    let (mut merged, owned) = take_over(types, live, &applied, owned, manager, VERSION, force)?;
    put_managers(&mut merged, join(managers, owned, &replicas, text(live, "apiVersion")).encode());
    Ok(merged)
}

/// Records a change of the number of replicas, if anybody owns it.
pub(super) fn record(
    types: &Type,
    before: &Value,
    after: &Value,
    managers: Managers,
    manager: &Manager<'_>,
) -> Managers {
    let replicas = or_usual(&Changes::between(types, before, after).set());
    let owned = cut(&managers, &replicas);
    if owned.is_empty() {
        return managers;
    }
    let owned = super::record(types, before, after, owned, manager, VERSION);
    join(&managers, owned, &replicas, text(after, "apiVersion"))
}

fn or_usual(fields: &Set) -> Set {
    let fields = fields.difference(&UNOWNED);
    if fields.is_empty() { Set::of(&[REPLICAS]) } else { fields }
}

/// What is owned of the replicas, which are `replicas`.
fn cut(managers: &Managers, replicas: &Set) -> Managers {
    let mut cut = Managers::default();
    for entry in managers.entries() {
        let set = entry.set.intersection(replicas);
        if !set.is_empty() {
            let mut identity = entry.identity.clone();
            VERSION.clone_into(&mut identity.version);
            cut.put(Entry::new(identity, entry.time, set));
        }
    }
    cut
}

/// Puts back what is now owned of the replicas of an object of the version `version`.
fn join(managers: &Managers, mut cut: Managers, replicas: &Set, version: &str) -> Managers {
    let mut joined = Managers::default();
    for entry in managers.entries() {
        let set = if entry.set.intersection(replicas).is_empty() || cut.take(&entry.identity).is_some() {
            entry.set.clone()
        } else {
            entry.set.difference(replicas)
        };
        if !set.is_empty() {
            joined.put(Entry::new(entry.identity.clone(), entry.time, set));
        }
    }
    for entry in cut.entries() {
        let mut identity = entry.identity.clone();
        version.clone_into(&mut identity.version);
        joined.add(Entry::new(identity, None, replicas.clone()));
    }
    joined
}
