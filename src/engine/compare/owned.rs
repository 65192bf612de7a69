//! The comparison that needs no request. Server-side apply records which fields we applied, and takes a
//! field away from us when somebody else changes or removes it. So the object is in sync if the recorded
//! fields are those that are desired and each live value is the desired one.
//!
//! How the record is made: structured-merge-diff, typed/merge.go and fieldpath/set.go. Maps list their
//! members; empty maps, nulls and scalars are leaves; empty lists are recorded only where they are atomic.

use std::borrow::Cow;
use std::collections::HashMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};

use super::builtin::Kind;
use super::document::Document;
use super::fields::Fields;
use super::items::{Slot, Unclaimed, excused};
use super::{push_field, quantity};
use crate::engine::ignore::Ignore;
use crate::engine::ignore::places::Places;
use crate::engine::live::Live;
use crate::manifest::Manifest;

/// Only the API server can tell.
#[derive(Debug)]
pub(super) struct Unclear;

/// Fields of `metadata` that are not recorded, whatever is applied.
const UNRECORDED: &[&str] = &[
    "name",
    "namespace",
    "generateName",
    "creationTimestamp",
    "uid",
    "resourceVersion",
    "generation",
    "managedFields",
    "selfLink",
];

/// Compares; the paths are those of owned fields that are no longer desired. They are the only difference.
pub(super) fn compare(desired: &Manifest, live: &Live, ignore: &Ignore) -> Result<Vec<String>, Unclear> {
    let gvk = desired.gvk();
    if live.gvk != gvk {
        return Err(Unclear);
    }
    let document = Document::of(live).ok_or(Unclear)?;
    let mut owned = document.ours(&gvk.api_version()).ok_or(Unclear)?;
    let kind = Kind::of(&gvk);
    let target = if kind.is_secret() {
        as_stored(desired.value(), &mut owned)
    } else {
        Cow::Borrowed(desired.value())
    };
    let wanted =
        |name: &str| !ignore.is_empty() || target.get(name).is_some() || owned.fields.contains_key(name);
    let current = document.value(wanted).ok_or(Unclear)?;

    let ignored = document.of_managers(&ignore.managers());
    let hidden = [ignore.places(&target, &ignored), ignore.places(&current, &ignored)];
    let here = Here {
        desired: &target,
        live: Some(&current),
        hidden_desired: Some(&hidden[0]),
        hidden_live: Some(&hidden[1]),
    };
    let mut walk = Walk { kind, document: &document, path: Vec::new(), removed: Vec::new() };
    walk.same(Some(&owned), here)?;
    Ok(walk.removed)
}

/// Writes a Secret's `stringData` as the `data` that the server makes of it, in the object and in the record.
/// What is recorded but no longer desired stays where it is: the server does not remove its `data`.
fn as_stored<'a>(desired: &'a Value, owned: &mut Fields) -> Cow<'a, Value> {
    let Some(texts) = desired.get("stringData").and_then(Value::as_object) else {
        return Cow::Borrowed(desired);
    };
    let mut stored = desired.clone();
    let object = stored.as_object_mut().expect("a manifest is an object");
    object.shift_remove("stringData");
    let data = object.entry("data").or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(data) = data {
        for (name, text) in texts {
            let encoded = text.as_str().map_or(Value::Null, |text| BASE64_STANDARD.encode(text).into());
            data.insert(name.clone(), encoded);
        }
    }
    if let Some(recorded) = owned.fields.remove("stringData") {
        let (wanted, rest): (HashMap<_, _>, _) =
            recorded.fields.into_iter().partition(|(name, _)| texts.contains_key(name));
        let rest = Fields { fields: rest, ..Fields::default() };
        if !rest.is_leaf() {
            owned.fields.insert("stringData".into(), rest);
        }
        owned.fields.entry("data".into()).or_default().fields.extend(wanted);
    }
    Cow::Owned(stored)
}

/// One place in both objects, with what to ignore in each.
#[derive(Clone, Copy)]
struct Here<'a> {
    desired: &'a Value,
    live: Option<&'a Value>,
    hidden_desired: Option<&'a Places>,
    hidden_live: Option<&'a Places>,
}

impl<'a> Here<'a> {
    fn is_ignored(self) -> bool {
        [self.hidden_desired, self.hidden_live].into_iter().flatten().any(Places::is_whole)
    }

    fn field(self, name: &str, desired: &'a Value) -> Self {
        Self {
            desired,
            live: self.live.and_then(|live| live.get(name)),
            hidden_desired: self.hidden_desired.and_then(|places| places.field(name)),
            hidden_live: self.hidden_live.and_then(|places| places.field(name)),
        }
    }

    fn item(self, index: usize, desired: &'a Value, live: Option<(usize, &'a Value)>) -> Self {
        Self {
            desired,
            live: live.map(|(_, item)| item),
            hidden_desired: self.hidden_desired.and_then(|places| places.item(index)),
            hidden_live: live.and_then(|(index, _)| self.hidden_live?.item(index)),
        }
    }
}

struct Walk<'a> {
    kind: Kind<'a>,
    document: &'a Document<'a>,
    /// Names of the members that lead here; list items add none.
    path: Vec<&'a str>,
    removed: Vec<String>,
}

impl<'a> Walk<'a> {
    fn same(&mut self, owned: Option<&'a Fields>, here: Here<'a>) -> Result<(), Unclear> {
        if here.is_ignored() {
            return Ok(());
        }
        match (owned, here.desired) {
            (None, _) => self.unowned(here),
            (Some(owned), _) if owned.is_leaf() => self.leaf(here),
            (Some(owned), Value::Object(members)) => self.map(owned, members, here),
            (Some(owned), Value::Array(items)) => self.list(owned, items, here),
            _ => Err(Unclear),
        }
    }

    fn map(
        &mut self,
        owned: &'a Fields,
        members: &'a Map<String, Value>,
        here: Here<'a>,
    ) -> Result<(), Unclear> {
        if owned.indexed || !owned.keyed.is_empty() || !owned.values.is_empty() {
            return Err(Unclear);
        }
        self.members(Some(owned), members, here)?;
        for (name, owned) in owned.fields.iter().filter(|(name, _)| !members.contains_key(*name)) {
            self.undesired(name, owned, here.field(name, &Value::Null))?;
        }
        Ok(())
    }

    fn members(
        &mut self,
        owned: Option<&'a Fields>,
        members: &'a Map<String, Value>,
        here: Here<'a>,
    ) -> Result<(), Unclear> {
        for (name, value) in members {
            let owned = owned.and_then(|owned| owned.fields.get(name));
            if owned.is_none() && self.is_unrecorded(name, value) {
                continue;
            }
            self.path.push(name);
            self.same(owned, here.field(name, value))?;
            self.path.pop();
        }
        Ok(())
    }

    fn is_unrecorded(&self, name: &str, value: &Value) -> bool {
        let empty = value.is_null() || value.as_object().is_some_and(Map::is_empty);
        match self.path[..] {
            [] => matches!(name, "apiVersion" | "kind") || name == "status" && (self.kind.builtin || empty),
            ["metadata"] => UNRECORDED.contains(&name),
            _ => false,
        }
    }

    /// An owned field is not desired any more: applying gives it up, and removes it if nobody else owns it.
    fn undesired(&mut self, name: &str, owned: &Fields, here: Here<'a>) -> Result<(), Unclear> {
        if excused(owned, here.live, here.hidden_live) {
            return Ok(());
        }
        if !self.kind.is_free_map(&self.path) {
            return Err(Unclear);
        }
        let mut path = self.path.clone();
        path.push(name);
        if here.live.is_none() || self.document.others_own(&path).ok_or(Unclear)? {
            return Ok(());
        }
        let mut text = String::new();
        for name in &path {
            push_field(&mut text, name);
        }
        self.removed.push(text);
        Ok(())
    }

    /// A desired field is not recorded. That is as it should be where applying it records nothing.
    fn unowned(&mut self, here: Here<'a>) -> Result<(), Unclear> {
        let absent = here.live.is_none_or(Value::is_null);
        match here.desired {
            Value::Null if absent => Ok(()),
            Value::Array(items) if items.is_empty() => {
                let empty = absent || here.live == Some(here.desired);
                if empty && self.kind.builtin { Ok(()) } else { Err(Unclear) }
            }
            Value::Object(members) if !members.is_empty() => self.members(None, members, here),
            Value::Array(items) => {
                let hidden = |index| here.hidden_desired.and_then(|places| places.item(index));
                let all = (0..items.len()).all(|index| hidden(index).is_some_and(Places::is_whole));
                if all { Ok(()) } else { Err(Unclear) }
            }
            _ => Err(Unclear),
        }
    }

    /// The field is owned as a whole: a scalar, an empty map, or a map or list whose schema is atomic.
    fn leaf(&mut self, here: Here<'a>) -> Result<(), Unclear> {
        let same = match here.live {
            None | Some(Value::Null) => here.desired.is_null() || self.kind.is_zero(here.desired),
            Some(live) => {
                let empty = here.desired.as_object().is_some_and(Map::is_empty);
                empty && live.is_object() && self.kind.is_granular(&self.path) || self.equal(here, live)
            }
        };
        if same { Ok(()) } else { Err(Unclear) }
    }

    /// Compares deeply, without knowing who owns what: nothing but known defaults may have been added.
    fn equal(&mut self, here: Here<'a>, live: &'a Value) -> bool {
        match (here.desired, live) {
            _ if here.is_ignored() => true,
            (Value::Object(desired), Value::Object(live)) => self.equal_maps(desired, live, here),
            (Value::Array(desired), Value::Array(live)) => self.equal_lists(desired, live, here),
            (desired, live) if desired == live => true,
            (Value::Number(desired), Value::Number(live)) => desired.as_f64() == live.as_f64(),
            (desired, live) => self.kind.is_quantity(&self.path) && quantity::same(desired, live),
        }
    }

    fn equal_maps(
        &mut self,
        desired: &'a Map<String, Value>,
        live: &'a Map<String, Value>,
        here: Here<'a>,
    ) -> bool {
        let added = |(name, value): (&String, &Value)| {
            let hidden = here.hidden_live.and_then(|places| places.field(name)).is_some_and(Places::is_whole);
            desired.contains_key(name) || hidden || self.kind.is_default(name, value)
        };
        live.iter().all(added)
            && desired.iter().all(|(name, value)| {
                let here = here.field(name, value);
                self.path.push(name);
                let same = match live.get(name) {
                    Some(live) => self.equal(here, live),
                    None => here.is_ignored() || self.kind.is_dropped(value),
                };
                self.path.pop();
                same
            })
    }

    fn equal_lists(&mut self, desired: &'a [Value], live: &'a [Value], here: Here<'a>) -> bool {
        let shown = |items: &'a [Value], hidden: Option<&'a Places>| {
            let whole =
                move |index| hidden.and_then(|places| places.item(index)).is_some_and(Places::is_whole);
            items.iter().enumerate().filter(move |(index, _)| !whole(*index)).collect::<Vec<_>>()
        };
        let (desired, live) = (shown(desired, here.hidden_desired), shown(live, here.hidden_live));
        desired.len() == live.len()
            && desired
                .into_iter()
                .zip(live)
                .all(|((index, item), live)| self.equal(here.item(index, item, Some(live)), live.1))
    }

    /// A list whose items are owned one by one. Applying puts our items in our order, so their order counts.
    fn list(&mut self, owned: &'a Fields, items: &'a [Value], here: Here<'a>) -> Result<(), Unclear> {
        if owned.indexed || !owned.fields.is_empty() {
            return Err(Unclear);
        }
        let live = here.live.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let mut unclaimed = Unclaimed::of(owned);
        let mut last = None;
        for (index, item) in items.iter().enumerate() {
            let Some(slot) = unclaimed.claim(item) else {
                if here.item(index, item, None).is_ignored() {
                    continue;
                }
                return Err(Unclear);
            };
            let position = live.iter().position(|live| slot.is(live));
            let here = here.item(index, item, position.map(|position| (position, &live[position])));
            if here.is_ignored() {
                continue;
            }
            if position.is_none() || position <= last {
                return Err(Unclear);
            }
            last = position;
            if let Slot::Keyed(_, fields) = slot {
                self.same(Some(fields), here)?;
            }
        }
        if unclaimed.are_excused(live, here.hidden_live) { Ok(()) } else { Err(Unclear) }
    }
}
