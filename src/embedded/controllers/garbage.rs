//! Garbage collection: what has no owner left goes; who is deleted in the foreground waits for its
//! dependents; who is deleted with orphans lets them go.

use serde_json::Value;

use super::act::{Act, Deletion};
use super::fields::{list, without_finalizer};
use super::index::{Index, Node, Owner};
use crate::embedded::storage::Key;

/// What is to happen to an object because of who owns it and what it owns.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Verdict {
    /// Writes to the object itself.
    pub step: Step,
    /// Dependents that must be looked at.
    pub look_at: Vec<Key>,
}

/// What is done to the object.
#[derive(Debug, Default, PartialEq)]
pub(super) enum Step {
    /// Nothing.
    #[default]
    None,
    /// It is deleted, with this propagation policy.
    Delete(&'static str),
    /// These owners are gone, or going, while others stay.
    Disown(Vec<Box<str>>),
    /// This finalizer has done its work.
    Release(&'static str),
    /// The dependents lose it as their owner; then its finalizer goes.
    Orphan(Vec<Key>),
    /// It is deleted in the foreground, as its owner is. If `Held::InCircle`, it must not hold up its owner.
    Foreground(Held),
}

/// Whether an object and what it owns may wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    /// They may: a dependent of it is deleted in the foreground as well.
    InCircle,
    /// They do not.
    Free,
}

enum Standing {
    Solid,
    Waiting,
    Dangling,
}

/// Judges an object. `is_known` says whether objects of a kind are among those that are indexed.
pub(super) fn judge(
    key: &Key,
    node: &Node,
    index: &Index,
    is_known: impl Fn(&Owner) -> Option<bool>,
) -> Verdict {
    if node.orphan {
        let dependents = index.dependents(&node.uid).map(|key| (**key).clone()).collect();
        return Verdict { step: Step::Orphan(dependents), look_at: Vec::new() };
    }
    if node.foreground {
        return foreground(node, index);
    }
    if node.leaving || node.owners.is_empty() {
        return Verdict::default();
    }
    let (mut solid, mut waiting, mut dangling) = (0, Vec::new(), Vec::new());
    for owner in &node.owners {
        match standing(key, owner, index, &is_known) {
            Standing::Solid => solid += 1,
            Standing::Waiting => waiting.push(owner.uid.clone()),
            Standing::Dangling => dangling.push(owner.uid.clone()),
        }
    }
    let has_dependents = index.dependents(&node.uid).next().is_some();
    let step = match () {
        () if solid > 0 && waiting.is_empty() && dangling.is_empty() => Step::None,
        () if solid > 0 => Step::Disown(waiting.into_iter().chain(dangling).collect()),
        () if !waiting.is_empty() && has_dependents => {
            let in_circle =
                index.dependents(&node.uid).any(|key| index.get(key).is_some_and(|node| node.foreground));
            Step::Foreground(if in_circle { Held::InCircle } else { Held::Free })
        }
        () => Step::Delete("Background"),
    };
    Verdict { step, look_at: Vec::new() }
}

/// An owner that is deleted in the foreground goes when no dependent holds it up any more.
fn foreground(node: &Node, index: &Index) -> Verdict {
    let blocks = |dependent: &Node| {
        dependent.owners.iter().any(|owner| owner.uid == node.uid && owner.block_owner_deletion == Some(true))
    };
    let all = index.dependents(&node.uid);
    let blocking: Vec<_> =
        all.filter(|key| index.get(key).is_some_and(blocks)).map(|key| (**key).clone()).collect();
    if blocking.is_empty() {
        return Verdict { step: Step::Release("foregroundDeletion"), look_at: Vec::new() };
    }
    Verdict { step: Step::None, look_at: index.dependents(&node.uid).map(|key| (**key).clone()).collect() }
}

fn standing(key: &Key, owner: &Owner, index: &Index, is_known: &impl Fn(&Owner) -> Option<bool>) -> Standing {
    if index.is_absent(&owner.uid) {
        return Standing::Dangling;
    }
    // Nobody knows whether objects of kinds that are not served here exist.
    let Some(is_namespaced) = is_known(owner) else { return Standing::Solid };
    if is_namespaced && key.namespace.is_empty() {
        // Such a reference means nothing; kube-controller-manager leaves the object alone, too.
        return Standing::Solid;
    }
    let namespace = if is_namespaced { &*key.namespace } else { "" };
    let found =
        index.find(&owner.uid).filter(|found| *found.namespace == *namespace && found.name == owner.name);
    match found.and_then(|found| index.get(found)) {
        None => Standing::Dangling,
        Some(node) if node.foreground => Standing::Waiting,
        Some(_) => Standing::Solid,
    }
}

/// Makes writes of a step. `read` reads an object.
pub(super) fn acts(object: &Value, step: &Step, mut read: impl FnMut(&Key) -> Option<Value>) -> Vec<Act> {
    match step {
        Step::None => Vec::new(),
        Step::Delete(policy) => {
            let has =
                |finalizer: &str| list(object, "/metadata/finalizers").iter().any(|known| known == finalizer);
            let policy = match () {
                () if has("orphan") => "Orphan",
                () if has("foregroundDeletion") => "Foreground",
                () => policy,
            };
            vec![Act::Delete(object.clone(), Deletion::Propagate(policy))]
        }
        Step::Disown(uids) => vec![Act::Update(without_owners(object, uids))],
        Step::Release(finalizer) => vec![Act::Update(without_finalizer(object, finalizer))],
        Step::Orphan(dependents) => {
            let uid = Box::from(super::fields::uid(object));
            let free = dependents
                .iter()
                .filter_map(&mut read)
                .map(|it| Act::Update(without_owners(&it, std::slice::from_ref(&uid))));
            free.chain([Act::Update(without_finalizer(object, "orphan"))]).collect()
        }
        Step::Foreground(held) => {
            let delete = Act::Delete(object.clone(), Deletion::Propagate("Foreground"));
            let free = (*held == Held::InCircle).then(|| {
                let mut object = object.clone();
                for owner in object["metadata"]["ownerReferences"].as_array_mut().into_iter().flatten() {
                    owner["blockOwnerDeletion"] = false.into();
                }
                Act::Update(object)
            });
            free.into_iter().chain([delete]).collect()
        }
    }
}

fn without_owners(object: &Value, uids: &[Box<str>]) -> Value {
    let mut object = object.clone();
    let is_left = |owner: &Value| !uids.iter().any(|uid| owner["uid"] == **uid);
    let left: Vec<_> =
        list(&object, "/metadata/ownerReferences").iter().filter(|it| is_left(it)).cloned().collect();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        if left.is_empty() {
            metadata.shift_remove("ownerReferences");
        } else {
            metadata.insert("ownerReferences".into(), left.into());
        }
    }
    object
}
