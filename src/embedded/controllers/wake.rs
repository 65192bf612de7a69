//! Who must look again when an object changes.

use super::dispatch;
use super::index::Node;
use super::world::{World, key};
use crate::embedded::storage::Key;

/// The objects to look at after a change of `changed`: itself, its owners and dependents, and those that
/// count it without owning it.
pub(super) fn woken(
    world: &World,
    changed: &Key,
    before: Option<&Node>,
    after: Option<&Node>,
    deleted: bool,
) -> Vec<Key> {
    let mut woken = Vec::new();
    let either = || before.into_iter().chain(after);
    let is_collected = after.is_some_and(|node| node.leaving || !node.owners.is_empty());
    if dispatch::is_handled(&changed.resource) || (is_collected && !deleted) {
        woken.push(changed.clone());
    }
    for owner in either().flat_map(|node| &node.owners) {
        woken.extend(world.index.find(&owner.uid).map(|key| (**key).clone()));
    }
    let releases = deleted || after.is_some_and(|node| node.foreground || node.orphan);
    for uid in either().map(|node| &node.uid).filter(|_| releases) {
        woken.extend(world.index.dependents(uid).map(|key| (**key).clone()));
    }
    woken.extend(beside(world, changed, before.is_none(), deleted));
    if deleted {
        woken.extend(holders(world, changed));
    }
    woken
}

/// What waits for an object to be gone: its namespace, its definition.
fn holders(world: &World, changed: &Key) -> Vec<Key> {
    let definition = key("customresourcedefinitions.apiextensions.k8s.io", "", &changed.resource);
    let namespace = key("namespaces", "", &changed.namespace);
    let is_leaving = |key: &Key| world.index.get(key).is_some_and(|node| node.leaving);
    [definition, namespace].into_iter().filter(is_leaving).collect()
}

/// What looks at objects of a kind in its neighbourhood.
fn beside(world: &World, changed: &Key, is_new: bool, deleted: bool) -> Vec<Key> {
    let all = |resource: &str, namespace: &str| {
        let namespace = Some(namespace).filter(|namespace| !namespace.is_empty());
        let entries = world.objects.storage.list(resource, namespace).entries;
        entries.into_iter().map(|entry| entry.key.clone()).collect::<Vec<_>>()
    };
    let within = &*changed.namespace;
    let named = |resource: &str| key(resource, within, &changed.name);
    match &*changed.resource {
        "pods" => {
            let mut woken = all("services", within);
            woken.extend(all("poddisruptionbudgets.policy", within));
            if deleted {
                woken.extend(all("persistentvolumeclaims", within));
            }
            woken
        }
        "configmaps" | "secrets" => {
            let is_root = deleted && &*changed.name == "kube-root-ca.crt";
            let root = is_root.then(|| key("namespaces", "", within));
            // A pod may wait for it.
            let waiting = if is_new { all("pods", within) } else { Vec::new() };
            waiting.into_iter().chain(root).collect()
        }
        "serviceaccounts" if deleted && &*changed.name == "default" => vec![key("namespaces", "", within)],
        "persistentvolumeclaims" => {
            // Those that wait for it, and those that were made for it.
            all("pods", within).into_iter().chain(all("persistentvolumes", "")).collect()
        }
        "persistentvolumes" | "storageclasses.storage.k8s.io" => all("persistentvolumeclaims", ""),
        "nodes" => all("daemonsets.apps", "").into_iter().chain(all("pods", "")).collect(),
        "endpoints" => vec![named("services")],
        "services" => vec![named("endpoints")],
        "deployments.apps" | "statefulsets.apps" | "replicasets.apps" => {
            let mut woken = all("horizontalpodautoscalers.autoscaling", within);
            woken.extend(all("poddisruptionbudgets.policy", within));
            woken
        }
        _ => Vec::new(),
    }
}
