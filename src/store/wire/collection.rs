//! A list or a Table, translated item by item as the bytes arrive: no more than one item is held.

use std::str::from_utf8;

use super::{object, row, swap_api_version, swap_kind};

/// Splits a list into the text around its items and the items, and translates both.
#[derive(Debug, Default)]
pub(in crate::store) struct Collection {
    /// How many objects and arrays are open.
    depth: usize,
    /// Where the string that is being read stands.
    string: Text,
    /// The string of the outermost object that is being read, quotes included.
    token: Vec<u8>,
    /// The last key of the outermost object.
    key: Vec<u8>,
    /// Whether the next string of the outermost object is a value.
    value: bool,
    /// What is being read.
    place: Place,
    /// The item that is being read.
    item: Vec<u8>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum Text {
    #[default]
    Outside,
    Inside,
    Escaped,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum Place {
    #[default]
    Around,
    Items,
    Rows,
}

/// Translates a list that is complete.
pub(in crate::store) fn whole(text: &str, out: &mut String) -> serde_json::Result<()> {
    let mut collection = Collection::default();
    out.push_str(from_utf8(&collection.push(text.as_bytes())?).map_err(serde::de::Error::custom)?);
    collection.finish()
}

impl Collection {
    /// Takes what arrived, and returns what is complete with it, translated.
    pub(in crate::store) fn push(&mut self, chunk: &[u8]) -> serde_json::Result<Vec<u8>> {
        let mut out = Vec::with_capacity(chunk.len());
        for byte in chunk {
            match self.place {
                Place::Around => self.around(*byte, &mut out)?,
                Place::Items | Place::Rows => self.among_items(*byte, &mut out)?,
            }
        }
        Ok(out)
    }

    /// Says whether the list was complete.
    pub(in crate::store) fn finish(&self) -> serde_json::Result<()> {
        if self.depth == 0 { Ok(()) } else { Err(serde::de::Error::custom("the list ends before its end")) }
    }

    fn around(&mut self, byte: u8, out: &mut Vec<u8>) -> serde_json::Result<()> {
        let outermost = self.depth == 1;
        let was = self.string;
        self.step(byte);
        if outermost && (was != Text::Outside || self.string != Text::Outside) {
            self.token.push(byte);
            if self.string == Text::Outside {
                self.token_ends(out)?;
            }
            return Ok(());
        }
        if outermost && was == Text::Outside {
            match byte {
                b':' => self.value = true,
                b',' => self.value = false,
                b'[' => self.place = self.place_of_key(),
                _ => {}
            }
        }
        out.push(byte);
        Ok(())
    }

    fn place_of_key(&self) -> Place {
        match self.key.as_slice() {
            b"\"items\"" => Place::Items,
            b"\"rows\"" => Place::Rows,
            _ => Place::Around,
        }
    }

    /// A string of the outermost object is complete: a key, or a value that may be one of our names.
    fn token_ends(&mut self, out: &mut Vec<u8>) -> serde_json::Result<()> {
        let token = std::mem::take(&mut self.token);
        let swap = match self.key.as_slice() {
            b"\"apiVersion\"" => Some(swap_api_version as fn(&str) -> String),
            b"\"kind\"" => Some(swap_kind as fn(&str) -> String),
            _ => None,
        };
        match swap {
            Some(swap) if self.value => {
                let name: String = serde_json::from_slice(&token)?;
                out.extend(serde_json::to_vec(&swap(&name))?);
            }
            _ => out.extend_from_slice(&token),
        }
        if !self.value {
            self.key = token;
        }
        Ok(())
    }

    fn among_items(&mut self, byte: u8, out: &mut Vec<u8>) -> serde_json::Result<()> {
        let between = self.depth == 2 && self.string == Text::Outside;
        self.step(byte);
        if !(between && matches!(byte, b',' | b']')) {
            self.item.push(byte);
            return Ok(());
        }
        self.item_ends(out)?;
        out.push(byte);
        if byte == b']' {
            self.place = Place::Around;
        }
        Ok(())
    }

    fn item_ends(&mut self, out: &mut Vec<u8>) -> serde_json::Result<()> {
        let item = from_utf8(&self.item).map_err(serde::de::Error::custom)?.trim();
        let mut translated = String::with_capacity(item.len());
        match self.place {
            _ if !item.starts_with('{') => translated.push_str(item),
            Place::Rows => row(item, &mut translated)?,
            _ => object(item, &mut translated)?,
        }
        out.extend_from_slice(translated.as_bytes());
        self.item.clear();
        Ok(())
    }

    /// Follows strings and nesting over one byte.
    fn step(&mut self, byte: u8) {
        self.string = match (self.string, byte) {
            (Text::Outside, b'"') | (Text::Escaped, _) => Text::Inside,
            (Text::Inside, b'"') => Text::Outside,
            (Text::Inside, b'\\') => Text::Escaped,
            (Text::Outside, b'{' | b'[') => {
                self.depth += 1;
                Text::Outside
            }
            (Text::Outside, b'}' | b']') => {
                self.depth = self.depth.saturating_sub(1);
                Text::Outside
            }
            (state, _) => state,
        };
    }
}
