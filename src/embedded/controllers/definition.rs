//! `CustomResourceDefinitions` that are being deleted: their objects go first.

use serde_json::Value;

use super::act::{Act, Deletion, Plan};
use super::fields::{has_finalizer, is_leaving, without_finalizer};

const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Decides the next step of a definition. `objects` are those of its kind.
pub(super) fn plan(definition: &Value, objects: &[Value]) -> Plan {
    if !is_leaving(definition) || !has_finalizer(definition, CLEANUP) {
        return Plan::nothing();
    }
    if objects.is_empty() {
        return Plan::of(vec![Act::Update(without_finalizer(definition, CLEANUP))]);
    }
    let staying = objects.iter().filter(|object| !is_leaving(object));
    Plan::of(staying.map(|object| Act::Delete(object.clone(), Deletion::Plain)).collect())
}
