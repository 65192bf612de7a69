//! The paths at which two objects differ, without the values: they may be secret.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::push_field;
use crate::engine::ignore::places::Places;

/// Fields of `metadata` that the server counts or sets by itself.
const BOOKKEEPING: &[&str] =
    &["managedFields", "resourceVersion", "generation", "creationTimestamp", "uid", "selfLink"];

/// Returns the paths, unsorted, at which two objects differ outside of the places to ignore in each.
pub(super) fn paths(objects: [&Value; 2], ignored: [&Places; 2]) -> Vec<String> {
    let mut search = Search { path: String::new(), found: Vec::new() };
    let sides = [0, 1].map(|side| Side { value: Some(objects[side]), ignored: Some(ignored[side]) });
    search.compare(sides, Level::Object);
    search.found
}

/// Where in the object a comparison is; only the top two levels have fields of their own kind.
#[derive(Clone, Copy, PartialEq)]
enum Level {
    Object,
    Metadata,
    Deeper,
}

impl Level {
    fn skips(self, name: &str) -> bool {
        match self {
            Self::Object => name == "status",
            Self::Metadata => BOOKKEEPING.contains(&name),
            Self::Deeper => false,
        }
    }

    fn below(self, name: &str) -> Self {
        if self == Self::Object && name == "metadata" { Self::Metadata } else { Self::Deeper }
    }
}

/// One of the two values, with what to ignore in it.
#[derive(Clone, Copy)]
struct Side<'a> {
    value: Option<&'a Value>,
    ignored: Option<&'a Places>,
}

impl<'a> Side<'a> {
    fn is_ignored(self) -> bool {
        self.ignored.is_some_and(Places::is_whole)
    }

    /// The value where it counts: neither absent, null nor ignored.
    fn present(self) -> Option<&'a Value> {
        self.value.filter(|value| !value.is_null() && !self.is_ignored())
    }

    fn field(self, name: &str) -> Self {
        Self {
            value: self.value.and_then(|value| value.get(name)),
            ignored: self.ignored.and_then(|places| places.field(name)),
        }
    }

    /// The items of a list that are not ignored as a whole.
    fn items(self, items: &'a [Value]) -> Vec<Self> {
        let side = |(index, item)| Self {
            value: Some(item),
            ignored: self.ignored.and_then(|places: &Places| places.item(index)),
        };
        items.iter().enumerate().map(side).filter(|side| !side.is_ignored()).collect()
    }

    fn name(self) -> Option<&'a str> {
        self.value?.get("name")?.as_str()
    }
}

struct Search {
    path: String,
    found: Vec<String>,
}

impl Search {
    fn compare(&mut self, sides: [Side<'_>; 2], level: Level) {
        if sides.iter().any(|side| side.is_ignored()) {
            return;
        }
        match (sides[0].present(), sides[1].present()) {
            (None, None) => {}
            (Some(Value::Object(a)), Some(Value::Object(b))) => self.objects(sides, [a, b], level),
            (Some(Value::Array(a)), Some(Value::Array(b))) => {
                self.lists(&sides[0].items(a), &sides[1].items(b));
            }
            (Some(a), Some(b)) if a == b => {}
            _ => self.found.push(self.path.clone()),
        }
    }

    fn objects(&mut self, sides: [Side<'_>; 2], members: [&Map<String, Value>; 2], level: Level) {
        let only_second = members[1].keys().filter(|name| !members[0].contains_key(*name));
        for name in members[0].keys().chain(only_second).filter(|name| !level.skips(name)) {
            let before = self.path.len();
            push_field(&mut self.path, name);
            self.compare(sides.map(|side| side.field(name)), level.below(name));
            self.path.truncate(before);
        }
    }

    fn lists(&mut self, a: &[Side<'_>], b: &[Side<'_>]) {
        match (by_name(a), by_name(b)) {
            (Some(first), Some(second)) => {
                let found = self.found.len();
                self.named(&first, &second);
                let order = |items: &[Side<'_>]| {
                    items.iter().map(|item| item.name().map(String::from)).collect::<Vec<_>>()
                };
                if self.found.len() == found && order(a) != order(b) {
                    self.found.push(format!("{} (order)", self.path));
                }
            }
            _ => self.positions(a, b),
        }
    }

    fn named(&mut self, first: &BTreeMap<&str, Side<'_>>, second: &BTreeMap<&str, Side<'_>>) {
        let nothing = Side { value: None, ignored: None };
        let only_second = second.keys().filter(|name| !first.contains_key(*name));
        for name in first.keys().chain(only_second) {
            let sides = [first, second].map(|items| items.get(name).copied().unwrap_or(nothing));
            self.item(&format!("[name={name}]"), sides);
        }
    }

    fn positions(&mut self, a: &[Side<'_>], b: &[Side<'_>]) {
        let nothing = Side { value: None, ignored: None };
        for index in 0..a.len().max(b.len()) {
            let sides = [a, b].map(|items| items.get(index).copied().unwrap_or(nothing));
            self.item(&format!("[{index}]"), sides);
        }
    }

    fn item(&mut self, step: &str, sides: [Side<'_>; 2]) {
        let before = self.path.len();
        self.path.push_str(step);
        self.compare(sides, Level::Deeper);
        self.path.truncate(before);
    }
}

/// Orders the items by their names, if every item has one and no two share it.
fn by_name<'a>(items: &[Side<'a>]) -> Option<BTreeMap<&'a str, Side<'a>>> {
    let mut named = BTreeMap::new();
    for item in items {
        if named.insert(item.name()?, *item).is_some() {
            return None;
        }
    }
    Some(named)
}
