//! Sets of fields after the schema of a custom kind changed: what became one value is owned as one.

use super::set::{Branch, Element, Set};
use super::typing::{Form, Type};

/// The set as the schema has it now; nothing, if that changes nothing.
pub(super) fn revise(types: &Type, set: &Set) -> Option<Set> {
    let form = types.only();
    if form.is_none() || form == Some(Form::Scalar) {
        return None;
    }
    let mut changed = false;
    let mut revised = Set::default();
    for node in set.nodes() {
        let below = match &node.element {
            Element::Field(name) if form == Some(Form::Map) => types.field(name),
            _ if form == Some(Form::List) => Some(types.items()),
            _ => None,
        };
        let branch = below.and_then(|types| revise_branch(&types, &node.branch));
        changed |= branch.is_some();
        revised.put(node.element.clone(), branch.unwrap_or_else(|| node.branch.clone()));
    }
    changed.then_some(revised)
}

fn revise_branch(types: &Type, branch: &Branch) -> Option<Branch> {
    if branch.below.is_empty() {
        return None;
    }
    let atomic = match types {
        Type::Deduced => false,
        Type::Untyped => true,
        Type::Known { .. } => match types.only() {
            Some(Form::Map) => types.map_is_atomic(),
            Some(Form::List) => types.list_is_atomic(),
            _ => false,
        },
    };
    if atomic {
        return Some(Branch { member: true, below: Set::default() });
    }
    let below = revise(types, &branch.below)?;
    Some(Branch { member: branch.member, below })
}
