//! Which fields an object states, and an object without some of its fields.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::set::{Branch, Element, Node, Set};
use super::typing::{Form, Type};

/// The fields that an object states.
pub(super) fn stated(types: &Type, object: &Value) -> Set {
    branch(types, object).below
}

fn branch(types: &Type, value: &Value) -> Branch {
    let whole = || Branch { member: true, below: Set::default() };
    match types.form(value) {
        Form::Scalar => whole(),
        Form::Map if types.map_is_atomic() => whole(),
        Form::List if types.list_is_atomic() => whole(),
        Form::Map => Branch {
            member: false,
            below: value.as_object().map(|map| of_map(types, map)).unwrap_or_default(),
        },
        Form::List => Branch {
            member: false,
            below: value.as_array().map(|list| of_list(types, list)).unwrap_or_default(),
        },
    }
}

fn of_map(types: &Type, map: &Map<String, Value>) -> Set {
    let mut nodes: Vec<_> = map.iter().collect();
    nodes.sort_unstable_by_key(|(name, _)| *name);
    let mut set = Set::default();
    for (name, value) in nodes {
        let mut branch = branch(&types.field(name).unwrap_or(Type::Deduced), value);
        let nothing = value.is_null() || value.as_object().is_some_and(Map::is_empty);
        branch.member |= nothing || !types.declares(name);
        set.put(Element::Field(name.as_str().into()), branch);
    }
    set
}

fn of_list(types: &Type, list: &[Value]) -> Set {
    let mut items: BTreeMap<Element, Option<&Value>> = BTreeMap::new();
    for item in list {
        if let Ok(element) = types.element(item) {
            // Nothing is known below items that are there more than once.
            items.entry(element).and_modify(|known| *known = None).or_insert(Some(item));
        }
    }
    let types = types.items();
    let mut set = Set::default();
    for (element, item) in items {
        let below = item.map(|item| branch(&types, item).below).unwrap_or_default();
        set.put(element, Branch { member: true, below });
    }
    set
}

/// Adds the fields above fields of a set that the schema names. Keys of maps and items of lists are
/// something that is owned for itself; fields are not.
pub(super) fn with_named(set: &Set, types: Option<&Type>) -> Set {
    let mut all = Set::default();
    for Node { element, branch } in set.nodes() {
        let named = match element {
            Element::Field(name) => types.is_some_and(|types| types.declares(name)),
            _ => false,
        };
        let below = match element {
            Element::Field(name) => types.and_then(|types| types.field(name)),
            Element::Key(_) => types.map(Type::items),
            Element::Value(_) | Element::Index(_) => None,
        };
        let below = with_named(&branch.below, below.as_ref());
        let member = branch.member || (named && !below.is_empty());
        all.put(element.clone(), Branch { member, below });
    }
    all
}

/// Takes fields and items out of an object. What has nothing left is null.
pub(super) fn remove(types: &Type, value: &Value, gone: &Set) -> Value {
    if gone.is_empty() {
        return value.clone();
    }
    match (types.form(value), value) {
        (Form::Scalar, _) => value.clone(),
        (Form::Map, Value::Object(map)) if !types.map_is_atomic() => {
            let mut left = Map::with_capacity(map.len());
            for (name, value) in map {
                match gone.field(name) {
                    None => _ = left.insert(name.clone(), value.clone()),
                    Some(branch) if branch.member => {}
                    Some(branch) => {
                        let types = types.field(name).unwrap_or(Type::Deduced);
                        left.insert(name.clone(), remove(&types, value, &branch.below));
                    }
                }
            }
            if left.is_empty() { Value::Null } else { left.into() }
        }
        (Form::List, Value::Array(list)) if !types.list_is_atomic() => {
            let left: Vec<_> = list.iter().filter_map(|item| remove_item(types, item, gone)).collect();
            if left.is_empty() { Value::Null } else { left.into() }
        }
        _ => Value::Null,
    }
}

fn remove_item(types: &Type, item: &Value, gone: &Set) -> Option<Value> {
    match types.element(item).ok().and_then(|element| gone.get(&element)) {
        None => Some(item.clone()),
        Some(branch) if branch.member => None,
        Some(branch) => Some(remove(&types.items(), item, &branch.below)),
    }
}
