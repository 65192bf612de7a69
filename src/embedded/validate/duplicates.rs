//! Fields that a text gives twice: a parsed value does not show them any more.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use libyaml_safer::EventData;
use libyaml_safer::Parser;
use serde::de::IgnoredAny;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::de::Deserializer;

/// The paths of fields in the order of the text: all of them, and those that are repeated.
#[derive(Debug, Default)]
struct Seen {
    all: Vec<String>,
    repeated: Vec<String>,
}

/// Finds fields that a JSON text repeats: `duplicate field "spec.replicas"`. A text that is not JSON has none.
#[must_use]
pub fn duplicates(text: &[u8]) -> Vec<String> {
    read(text).repeated.iter().map(|path| format!("duplicate field {path:?}")).collect()
}

/// Finds repeated fields and joins them to the unknown ones that `decode` told, in the order of the text, as
/// kube-apiserver tells them.
#[must_use]
pub fn with_duplicates(text: &[u8], unknown: Vec<String>) -> Vec<String> {
    if serde_json::from_slice::<IgnoredAny>(text).is_err() {
        return repeated_keys(text).into_iter().chain(unknown).collect();
    }
    let seen = read(text);
    if seen.repeated.is_empty() {
        return unknown;
    }
    let place = |told: &str| {
        let path = told.split_once('"').map_or("", |(_, path)| path.trim_end_matches('"'));
        let place = if told.starts_with("duplicate") {
            seen.all.iter().rposition(|seen| seen == path)
        } else {
            seen.all.iter().position(|seen| seen == path)
        };
        place.unwrap_or(usize::MAX)
    };
    let repeated = seen.repeated.iter().map(|path| format!("duplicate field {path:?}"));
    let mut told: Vec<_> = unknown.into_iter().chain(repeated).collect();
    told.sort_by_key(|told| place(told));
    told
}

/// Puts what `with_duplicates` told into one sentence, for the strict error.
#[must_use]
pub fn in_one(told: &[String]) -> String {
    let (of_yaml, others): (Vec<&String>, Vec<&String>) =
        told.iter().partition(|told| told.starts_with("line "));
    let lines: String = of_yaml.iter().map(|line| format!("\n  {line}")).collect();
    let of_yaml = (!lines.is_empty()).then(|| format!("yaml: unmarshal errors:{lines}"));
    of_yaml.into_iter().chain(others.into_iter().cloned()).collect::<Vec<_>>().join(", ")
}

/// Finds keys that a YAML text repeats: `line 4: key "k" already set in map`.
fn repeated_keys(text: &[u8]) -> Vec<String> {
    /// What is being read: the keys of a mapping, and whether one comes next; or a sequence.
    enum Place {
        Mapping(HashSet<String>, bool),
        Sequence,
    }
    let mut repeated = Vec::new();
    let mut places: Vec<Place> = Vec::new();
    let mut input = text;
    let mut parser = Parser::new();
    parser.set_input(&mut input);
    // The text was parsed before, in the same way: an error or a panic was told there.
    while let Ok(Ok(event)) = catch_unwind(AssertUnwindSafe(|| parser.parse())) {
        let begins_node = matches!(
            event.data,
            EventData::Scalar { .. }
                | EventData::Alias { .. }
                | EventData::MappingStart { .. }
                | EventData::SequenceStart { .. }
        );
        if begins_node && let Some(Place::Mapping(keys, is_key)) = places.last_mut() {
            if let (EventData::Scalar { value, .. }, true) = (&event.data, *is_key)
                && !keys.insert(value.clone())
            {
                repeated
                    .push(format!("line {}: key {value:?} already set in map", event.start_mark.line + 1));
            }
            *is_key = !*is_key;
        }
        match event.data {
            EventData::MappingStart { .. } => places.push(Place::Mapping(HashSet::new(), true)),
            EventData::SequenceStart { .. } => places.push(Place::Sequence),
            EventData::MappingEnd | EventData::SequenceEnd => drop(places.pop()),
            EventData::StreamEnd => break,
            _ => {}
        }
    }
    repeated
}

fn read(text: &[u8]) -> Seen {
    let mut seen = Seen::default();
    let mut deserializer = Deserializer::from_slice(text);
    // The text was parsed before: an error here was told there.
    let _ = At { path: String::new(), seen: &mut seen }.deserialize(&mut deserializer);
    seen
}

struct At<'a> {
    path: String,
    seen: &'a mut Seen,
}

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for At<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            let path = if self.path.is_empty() { name.clone() } else { format!("{}.{name}", self.path) };
            self.seen.all.push(path.clone());
            if !names.insert(name) {
                self.seen.repeated.push(path.clone());
            }
            map.next_value_seed(At { path, seen: self.seen })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut index = 0;
        while seq
            .next_element_seed(At { path: format!("{}[{index}]", self.path), seen: self.seen })?
            .is_some()
        {
            index += 1;
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}
