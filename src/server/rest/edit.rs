//! Small edits of JSON text that leave everything else as it was written.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::value::RawValue;

type Members<'a> = HashMap<Cow<'a, str>, &'a RawValue>;

/// Returns the text of the value at `path`. Of duplicates the last counts, as in Go.
pub(super) fn value<'a>(text: &'a str, path: &[&str]) -> Option<&'a str> {
    let mut value = text;
    for key in path {
        value = members(value)?.get(*key)?.get();
    }
    Some(value)
}

/// Returns `text` with the JSON `value` at `path`; `None` where nothing on the way is an object.
pub(super) fn set(text: &str, path: &[&str], value: &str) -> Option<String> {
    let (last, way) = path.split_last()?;
    let parent = self::value(text, way)?;
    let members = members(parent)?;
    let (start, end, inserted) = if let Some(old) = members.get(*last) {
        let start = offset(text, old.get());
        (start, start + old.get().len(), value.to_owned())
    } else {
        let start = offset(text, parent) + parent.find('{')? + 1;
        let comma = if members.is_empty() { "" } else { "," };
        (start, start, format!("{}:{value}{comma}", serde_json::Value::from(*last)))
    };
    Some([&text[..start], &inserted, &text[end..]].concat())
}

fn members(text: &str) -> Option<Members<'_>> {
    serde_json::from_str(text).ok()
}

/// Returns where `part`, a slice of `text`, begins in it.
fn offset(text: &str, part: &str) -> usize {
    part.as_ptr() as usize - text.as_ptr() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_touch_nothing_else() {
        let check = |text: &str, path: &[&str], expected: Option<&str>| {
            assert_eq!(set(text, path, "\"new\"").as_deref(), expected, "{text}");
        };
        check(r#" { "a" : 1.0 }"#, &["b"], Some(r#" {"b":"new", "a" : 1.0 }"#));
        check("{}", &["b"], Some(r#"{"b":"new"}"#));
        check(r#"{"s":{ "p":"", "x":1,"x":2}}"#, &["s", "p"], Some(r#"{"s":{ "p":"new", "x":1,"x":2}}"#));
        check(r#"{"s":{"x":[{}]}}"#, &["s", "p"], Some(r#"{"s":{"p":"new","x":[{}]}}"#));
        check(r#"{"s":{},"s":{"p":0}}"#, &["s", "p"], Some(r#"{"s":{},"s":{"p":"new"}}"#));
        check(r#"{"s":[]}"#, &["s", "p"], None);
        check(r#"{"t":1}"#, &["s", "p"], None);
        check("[", &["s"], None);
    }
}
