//! How many pods each `ReplicaSet` of a Deployment is to have.

use serde_json::Value;

use super::{Set, replicas};
use crate::embedded::controllers::fields::{Round, scaled};

pub(super) fn max_surge(deployment: &Value) -> i64 {
    let strategy = &deployment["spec"]["strategy"];
    if strategy["type"] == "Recreate" {
        return 0;
    }
    let surge = &strategy["rollingUpdate"]["maxSurge"];
    let surge = if surge.is_null() { &Value::from("25%") } else { surge };
    scaled(surge, replicas(deployment), Round::Up).unwrap_or_default()
}

pub(super) fn max_unavailable(deployment: &Value) -> i64 {
    let strategy = &deployment["spec"]["strategy"];
    let wanted = replicas(deployment);
    if strategy["type"] == "Recreate" || wanted == 0 {
        return 0;
    }
    let unavailable = &strategy["rollingUpdate"]["maxUnavailable"];
    let unavailable = if unavailable.is_null() { &Value::from("25%") } else { unavailable };
    let unavailable = scaled(unavailable, wanted, Round::Down).unwrap_or_default();
    // Something must give way, or nothing ever moves.
    if unavailable == 0 && max_surge(deployment) == 0 { 1 } else { unavailable.min(wanted) }
}

/// The size that the new `ReplicaSet` may have beside the others.
pub(super) fn new_size(deployment: &Value, sets: &[Set]) -> i64 {
    let wanted = replicas(deployment);
    let size = sets.iter().find(|set| set.is_new).map_or(0, |set| set.size);
    if deployment["spec"]["strategy"]["type"] == "Recreate" {
        return wanted;
    }
    let total: i64 = sets.iter().map(|set| set.size).sum();
    let most = wanted + max_surge(deployment);
    if total >= most { size } else { size + (most - total).min(wanted - size) }
}

/// One step of a rolling update: the new `ReplicaSet` first, then the old ones.
pub(super) fn rolling(deployment: &Value, sets: &mut [Set]) {
    let wanted = replicas(deployment);
    let Some(at) = sets.iter().position(|set| set.is_new) else { return };
    if !sets[at].exists {
        return;
    }
    let size = sets[at].size;
    if size != wanted {
        sets[at].size = if size > wanted { wanted } else { new_size(deployment, sets) };
        if sets[at].size != size {
            return;
        }
    }
    shrink_old(deployment, sets, at);
}

fn shrink_old(deployment: &Value, sets: &mut [Set], new: usize) {
    let least = replicas(deployment) - max_unavailable(deployment);
    let total: i64 = sets.iter().map(|set| set.size).sum();
    let mut spare = total - least - (sets[new].size - sets[new].available());
    if spare <= 0 {
        return;
    }
    // Pods that are of no use go first; they are missed by nobody.
    for set in sets.iter_mut().filter(|set| !set.is_new && set.size > 0) {
        let idle = (set.size - set.available()).clamp(0, spare);
        set.size -= idle;
        spare -= idle;
    }
    let mut spare = sets.iter().map(Set::available).sum::<i64>() - least;
    for set in sets.iter_mut().filter(|set| !set.is_new && set.size > 0) {
        let less = set.size.min(spare.max(0));
        set.size -= less;
        spare -= less;
    }
}

/// One step of a recreation: all old pods go before the first new one comes.
pub(super) fn recreate(deployment: &Value, sets: &mut [Set], pods: &[Value]) {
    let is_old = |set: &&mut Set| !set.is_new && set.size > 0;
    if sets.iter_mut().any(|set| is_old(&set)) {
        sets.iter_mut().filter(is_old).for_each(|set| set.size = 0);
    } else if !super::has_old_pods(sets, pods) {
        sets.iter_mut().filter(|set| set.is_new).for_each(|set| set.size = replicas(deployment));
    }
}

/// Scales what there is, in the proportions it has.
pub(super) fn proportionally(deployment: &Value, sets: &mut [Set]) {
    let wanted = replicas(deployment);
    let active: Vec<_> = (0..sets.len()).filter(|at| sets[*at].size > 0).collect();
    let new = sets.iter().position(|set| set.is_new);
    let only = match active[..] {
        [] => new.or_else(|| sets.len().checked_sub(1)),
        [one] => Some(one),
        _ => None,
    };
    if let Some(only) = only {
        sets[only].size = wanted;
        return;
    }
    let is_saturated = new.is_some_and(|new| sets[new].size == wanted && sets[new].available() == wanted);
    if is_saturated {
        sets.iter_mut().filter(|set| !set.is_new).for_each(|set| set.size = 0);
    } else if deployment["spec"]["strategy"]["type"] != "Recreate" {
        spread(sets, active, if wanted > 0 { wanted + max_surge(deployment) } else { 0 });
    }
}

fn spread(sets: &mut [Set], mut active: Vec<usize>, allowed: i64) {
    let total: i64 = active.iter().map(|at| sets[*at].size).sum();
    let change = allowed - total;
    // The largest first; among equals the newest when there is more, the oldest when there is less.
    active.sort_by_key(|at| (-sets[*at].size, if change > 0 { -index(*at) } else { index(*at) }));
    let mut left = change;
    for at in &active {
        let exact = sets[*at].size * allowed;
        let share = (2 * exact + total).div_euclid(2 * total) - sets[*at].size;
        let share = if change > 0 { share.clamp(0, left) } else { share.clamp(left, 0) };
        sets[*at].size += share;
        left -= share;
    }
    if let Some(first) = active.first() {
        sets[*first].size = (sets[*first].size + left).max(0);
    }
}

fn index(at: usize) -> i64 {
    i64::try_from(at).unwrap_or(i64::MAX)
}
