//! What changed between two objects: which fields were added, changed, removed.

use std::collections::BTreeMap;

use serde_json::Value;

use super::set::{Branch, Element, Set};
use super::typing::{Form, Type, deduce};
use super::value;

/// What changed. No field is in two of the sets.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Fields that were not there before.
    pub(super) added: Set,
    /// Fields that were there, with another value.
    pub(super) modified: Set,
    /// Fields that are no longer there.
    pub(super) removed: Set,
}

impl Changes {
    /// Compares two objects.
    pub(super) fn between(types: &Type, before: &Value, after: &Value) -> Self {
        let changed = compare(types, Some(before), Some(after));
        Self { added: changed.added.below, modified: changed.modified.below, removed: changed.removed.below }
    }

    /// What was added or has another value.
    pub(super) fn set(&self) -> Set {
        self.modified.union(&self.added)
    }

    /// Leaves out fields with all that is below them.
    pub(super) fn without(self, ignored: &Set) -> Self {
        if ignored.is_empty() {
            return self;
        }
        Self {
            added: self.added.without(ignored),
            modified: self.modified.without(ignored),
            removed: self.removed.without(ignored),
        }
    }
}

/// What changed of one field.
#[derive(Default)]
struct Changed {
    added: Branch,
    modified: Branch,
    removed: Branch,
}

impl Changed {
    /// Notes a change of the field as a whole.
    fn leaf(before: Option<&Value>, after: Option<&Value>) -> Self {
        let mut changed = Self::default();
        match (before, after) {
            (None, _) => changed.added.member = true,
            (_, None) => changed.removed.member = true,
            (Some(before), Some(after)) => changed.modified.member = !value::same(before, after),
        }
        changed
    }

    fn put(&mut self, element: &Element, below: Self) {
        for (set, branch) in [
            (&mut self.added, below.added),
            (&mut self.modified, below.modified),
            (&mut self.removed, below.removed),
        ] {
            if !branch.is_empty() {
                set.below.put(element.clone(), branch);
            }
        }
    }

    fn merge(&mut self, other: Self) {
        for (branch, other) in [
            (&mut self.added, other.added),
            (&mut self.modified, other.modified),
            (&mut self.removed, other.removed),
        ] {
            branch.member |= other.member;
            branch.below = branch.below.union(&other.below);
        }
    }
}

fn compare(types: &Type, before: Option<&Value>, after: Option<&Value>) -> Changed {
    let Some(form) = after.or(before).map(|value| types.form(value)) else { return Changed::default() };
    let (mut changed, whole) = compare_as(form, types, before, after);
    if let (Some(before), Some(after)) = (before, after)
        && types.only().is_none()
        && deduce(before) != deduce(after)
    {
        changed.merge(compare_as(types.form(before), types, Some(before), Some(after)).0);
    }
    if !whole {
        changed.added.member |= before.is_none();
        changed.removed.member |= before.is_some() && after.is_none();
    }
    changed
}

/// Compares as values of one form. Says whether they were compared as a whole.
fn compare_as(form: Form, types: &Type, before: Option<&Value>, after: Option<&Value>) -> (Changed, bool) {
    match form {
        Form::Scalar => {}
        Form::Map => {
            let (left, right) = (before.and_then(Value::as_object), after.and_then(Value::as_object));
            let empty =
                left.is_none_or(serde_json::Map::is_empty) && right.is_none_or(serde_json::Map::is_empty);
            if !empty && !types.map_is_atomic() {
                let mut changed = Changed::default();
                for (name, value) in left.into_iter().flatten() {
                    let other = right.and_then(|right| right.get(name));
                    compare_field(&mut changed, types, name, Some(value), other);
                }
                for (name, value) in right.into_iter().flatten() {
                    if !left.is_some_and(|left| left.contains_key(name)) {
                        compare_field(&mut changed, types, name, None, Some(value));
                    }
                }
                return (changed, false);
            }
        }
        Form::List => {
            let (left, right) = (before.and_then(Value::as_array), after.and_then(Value::as_array));
            let empty = left.is_none_or(Vec::is_empty) && right.is_none_or(Vec::is_empty);
            if !empty && !types.list_is_atomic() {
                let (left, right) =
                    (left.map_or(&[][..], Vec::as_slice), right.map_or(&[][..], Vec::as_slice));
                return (compare_items(types, left, right), false);
            }
        }
    }
    (Changed::leaf(before, after), true)
}

fn compare_field(
    changed: &mut Changed,
    types: &Type,
    name: &str,
    before: Option<&Value>,
    after: Option<&Value>,
) {
    let below = compare(&types.field(name).unwrap_or(Type::Deduced), before, after);
    if !(below.added.is_empty() && below.modified.is_empty() && below.removed.is_empty()) {
        changed.put(&Element::Field(name.into()), below);
    }
}

/// Items that are there more than once are compared as if they were one value.
fn compare_items(types: &Type, before: &[Value], after: &[Value]) -> Changed {
    let mut items: BTreeMap<Element, (Vec<&Value>, Vec<&Value>)> = BTreeMap::new();
    for item in before {
        if let Ok(element) = types.element(item) {
            items.entry(element).or_default().0.push(item);
        }
    }
    for item in after {
        if let Ok(element) = types.element(item) {
            items.entry(element).or_default().1.push(item);
        }
    }
    let types = types.items();
    let mut changed = Changed::default();
    let whole = || Branch { member: true, below: Set::default() };
    for (element, (before, after)) in items {
        match (before.len(), after.len()) {
            (0 | 1, 0 | 1) => {
                let below = compare(&types, before.first().copied(), after.first().copied());
                changed.put(&element, below);
            }
            (2.., 2..) => {
                let same = before.len() == after.len()
                    && before.iter().zip(&after).all(|(before, after)| value::same(before, after));
                if !same {
                    changed.modified.below.put(element, whole());
                }
            }
            (2.., _) => {
                if let Some(&item) = after.first() {
                    changed.put(&element, compare(&types, None, Some(item)));
                }
                changed.removed.below.put(element, whole());
            }
            _ => {
                if let Some(&item) = before.first() {
                    changed.put(&element, compare(&types, Some(item), None));
                }
                changed.added.below.put(element, whole());
            }
        }
    }
    changed
}
