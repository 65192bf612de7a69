//! What an object is after somebody applied fields to it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::set::Element;
use super::typing::{Form, Type};

/// Merges `applied` into `live`. Nothing is removed. Lists have the order of `applied`, with what is only
/// in `live` between.
pub(super) fn merge(types: &Type, live: &Value, applied: &Value) -> Value {
    let form = types.form(applied);
    match form {
        Form::Map if !types.map_is_atomic() => {
            let (left, right) = (live.as_object(), applied.as_object());
            if left.is_some_and(|left| !left.is_empty()) || right.is_some_and(|right| !right.is_empty()) {
                return merge_maps(types, left, right).into();
            }
        }
        Form::List if !types.list_is_atomic() => {
            let (left, right) = (live.as_array(), applied.as_array());
            let (left, right) = (left.map_or(&[][..], Vec::as_slice), right.map_or(&[][..], Vec::as_slice));
            if !(left.is_empty() && right.is_empty()) {
                return merge_lists(types, left, right);
            }
        }
        _ => {}
    }
    applied.clone()
}

fn merge_maps(
    types: &Type,
    live: Option<&Map<String, Value>>,
    applied: Option<&Map<String, Value>>,
) -> Map<String, Value> {
    let mut merged = Map::with_capacity(live.map_or(0, Map::len).max(applied.map_or(0, Map::len)));
    for (name, value) in live.into_iter().flatten() {
        let value = match applied.and_then(|applied| applied.get(name)) {
            Some(applied) => merge(&types.field(name).unwrap_or(Type::Deduced), value, applied),
            None => value.clone(),
        };
        merged.insert(name.clone(), value);
    }
    for (name, value) in applied.into_iter().flatten() {
        if !merged.contains_key(name) {
            merged.insert(name.clone(), value.clone());
        }
    }
    merged
}

/// The items of a list with what tells them apart, and where each is; nothing, where there are several.
struct Items<'a> {
    list: Vec<(Element, &'a Value)>,
    places: BTreeMap<Element, Option<usize>>,
}

impl<'a> Items<'a> {
    fn of(types: &Type, list: &'a [Value]) -> Self {
        let list: Vec<_> = list.iter().filter_map(|item| Some((types.element(item).ok()?, item))).collect();
        let mut places = BTreeMap::new();
        for (place, (element, _)) in list.iter().enumerate() {
            places.entry(element.clone()).and_modify(|known| *known = None).or_insert(Some(place));
        }
        Self { list, places }
    }

    fn has(&self, element: &Element) -> bool {
        self.places.contains_key(element)
    }

    fn only(&self, element: &Element) -> Option<&'a Value> {
        self.places.get(element).copied().flatten().map(|place| self.list[place].1)
    }
}

/// Walks both lists. Items of both stand where `applied` has them; an item that is only live stays before
/// the items that it was before, as far as that is possible.
fn merge_lists(types: &Type, live: &[Value], applied: &[Value]) -> Value {
    let (live, applied) = (Items::of(types, live), Items::of(types, applied));
    let types = types.items();
    let item = |element: &Element, value: &Value| match live.only(element) {
        Some(live) => merge(&types, live, value),
        None => value.clone(),
    };
    let mut shared =
        applied.list.iter().map(|(element, _)| element).filter(|element| live.has(element)).peekable();
    let mut done = std::collections::BTreeSet::new();
    let mut merged = Vec::with_capacity(live.list.len().max(applied.list.len()));
    let (mut left, mut right) = (0, 0);
    while left < live.list.len() || right < applied.list.len() {
        if let (Some((mine, _)), Some((theirs, value))) = (live.list.get(left), applied.list.get(right)) {
            if mine == theirs {
                done.insert(theirs);
                merged.push(item(theirs, value));
                (left, right) = (left + 1, right + 1);
                shared.next();
                continue;
            }
            if applied.has(mine) && shared.peek().is_some_and(|next| *next != mine) {
                // It comes later.
                left += 1;
                continue;
            }
        }
        if let Some((mine, value)) = live.list.get(left) {
            if !applied.has(mine) {
                merged.push((*value).clone());
                left += 1;
                continue;
            }
            if done.contains(mine) {
                left += 1;
            }
        }
        if let Some((theirs, value)) = applied.list.get(right) {
            done.insert(theirs);
            merged.push(item(theirs, value));
            right += 1;
            if shared.peek() == Some(&theirs) {
                shared.next();
            }
        }
    }
    merged.into()
}
