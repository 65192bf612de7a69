//! What is left of an answer when everything is taken out that two objects can never have in common.

use serde_json::{Map, Value, json};

use crate::harness::api::Answer;

/// Names of one side and what takes their place: group, kind, plural.
#[derive(Clone, Copy)]
pub(super) struct Words<'a> {
    pub(super) from: [&'a str; 3],
    pub(super) to: [&'a str; 3],
}

/// Members whose values are made up by the server.
const MADE_UP: &[&str] =
    &["uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "time", "continue"];

/// Brings an answer into a form that can be compared: code, content type, warnings, body.
pub(super) fn normal(answer: &Answer, words: Words) -> Value {
    let warnings: Vec<String> = answer.all("warning").into_iter().map(|text| told(text, words)).collect();
    let body: Vec<Value> = if answer.header("content-type").starts_with("application/json") {
        let documents = serde_json::Deserializer::from_str(&answer.body).into_iter::<Value>();
        documents.map(|document| value(document.expect("it is JSON"), words)).collect()
    } else {
        vec![told(&answer.body, words).into()]
    };
    let body: Vec<Value> = body.into_iter().filter(|event| !is_idle_bookmark(event)).collect();
    json!({"code": answer.code, "type": answer.header("content-type"), "warnings": warnings, "body": body})
}

/// Bookmarks come when they come, but for the one that ends the initial events.
fn is_idle_bookmark(event: &Value) -> bool {
    event["type"] == "BOOKMARK" && !event.to_string().contains("initial-events-end")
}

fn value(value: Value, words: Words) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .map(|(name, member)| {
                let made_up = MADE_UP.contains(&name.as_str()) && member.is_string() && member != "";
                let member = if made_up { "*".into() } else { self::value(member, words) };
                (name, member)
            })
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.into_iter().map(|item| self::value(item, words)).collect(),
        Value::String(text) => told(&text, words).into(),
        other => other,
    }
}

/// Replaces names, UIDs, numbers with several digits, and ages.
fn told(text: &str, words: Words) -> String {
    let mut text = text.to_owned();
    for (from, to) in words.from.into_iter().zip(words.to) {
        text = text.replace(from, to);
    }
    let is_age =
        text.strip_suffix('s').is_some_and(|age| !age.is_empty() && age.bytes().all(|c| c.is_ascii_digit()));
    if is_age {
        return "*s".into();
    }
    let words = text.split_inclusive(|c: char| !(c.is_ascii_hexdigit() || c == '-'));
    words
        .map(|word| {
            let bare = word.trim_end_matches(|c: char| !(c.is_ascii_hexdigit() || c == '-'));
            let is_uid = bare.len() == 36 && bare.matches('-').count() == 4;
            let is_version = bare.len() > 1 && bare.bytes().all(|c| c.is_ascii_digit());
            if is_uid || is_version { word.replace(bare, "*") } else { word.to_owned() }
        })
        .collect()
}
