//! List items that are owned one by one: which owned item a desired one is, and which are left over.

use serde_json::{Map, Value};

use super::fields::{Fields, has_key, may_have_key};
use crate::engine::ignore::places::Places;

/// An owned item of a list.
#[derive(Clone, Copy)]
pub(super) enum Slot<'a> {
    Keyed(&'a Map<String, Value>, &'a Fields),
    Value(&'a Value),
}

impl Slot<'_> {
    /// Says whether the live item is this one.
    pub(super) fn is(self, item: &Value) -> bool {
        match self {
            Self::Keyed(key, _) => has_key(item, key),
            Self::Value(value) => item == value,
        }
    }

    /// Says whether the desired item may be this one.
    fn may_be(self, item: &Value) -> bool {
        match self {
            Self::Keyed(key, _) => may_have_key(item, key),
            Self::Value(value) => item == value,
        }
    }

    /// Says whether the key is the default of the one key of built-in kinds that is commonly left out.
    fn has_default_protocol(self) -> bool {
        matches!(self, Self::Keyed(key, _) if key.get("protocol").is_some_and(|protocol| protocol == "TCP"))
    }

    /// Says whether not desiring the item is fine because what we own of it is ignored.
    fn excused(self, live: &[Value], hidden: Option<&Places>) -> bool {
        let Some(index) = live.iter().position(|item| self.is(item)) else { return false };
        let hidden = hidden.and_then(|places| places.item(index));
        match self {
            Self::Keyed(_, fields) => excused(fields, Some(&live[index]), hidden),
            Self::Value(_) => hidden.is_some_and(Places::is_whole),
        }
    }
}

/// The owned items of a list that have not found their desired item yet.
pub(super) struct Unclaimed<'a>(Vec<Slot<'a>>);

impl<'a> Unclaimed<'a> {
    pub(super) fn of(owned: &'a Fields) -> Self {
        let keyed = owned.keyed.iter().map(|(key, fields)| Slot::Keyed(key, fields));
        Self(keyed.chain(owned.values.iter().map(Slot::Value)).collect())
    }

    /// Takes the owned item that a desired item is; `None` where there is none or several may be meant.
    pub(super) fn claim(&mut self, item: &Value) -> Option<Slot<'a>> {
        let fits = |&index: &usize| self.0[index].may_be(item);
        let candidates: Vec<usize> = (0..self.0.len()).filter(fits).collect();
        let index = match candidates[..] {
            [index] => index,
            _ => candidates.into_iter().find(|&index| self.0[index].has_default_protocol())?,
        };
        Some(self.0.swap_remove(index))
    }

    /// Says whether everything that is left is ignored.
    pub(super) fn are_excused(&self, live: &[Value], hidden: Option<&Places>) -> bool {
        self.0.iter().all(|slot| slot.excused(live, hidden))
    }
}

/// Says whether everything that is owned here is ignored.
pub(super) fn excused(owned: &Fields, live: Option<&Value>, hidden: Option<&Places>) -> bool {
    let (Some(hidden), Some(live)) = (hidden, live) else { return false };
    if hidden.is_whole() {
        return true;
    }
    let items = live.as_array().map_or(&[][..], Vec::as_slice);
    !owned.is_leaf()
        && !owned.indexed
        && owned.fields.iter().all(|(name, owned)| excused(owned, live.get(name), hidden.field(name)))
        && owned.keyed.iter().all(|(key, fields)| Slot::Keyed(key, fields).excused(items, Some(hidden)))
        && owned.values.iter().all(|value| Slot::Value(value).excused(items, Some(hidden)))
}
