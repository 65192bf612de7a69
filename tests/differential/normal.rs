//! What is left of an answer when everything is taken out that two clusters can never have in common.
//!
//! What the server makes up is named after the step in which it was first seen: `<uid 3>`, `<version 3>`,
//! so that what was equal stays equal and what was not does not. Times are `<time>`.

use std::collections::{BTreeMap, BTreeSet};

use gitopsd::manifest::yaml;
use serde_json::{Map, Value};

use super::run::Answer;

/// Names for what the server made up, for one scenario.
pub(crate) struct Names {
    step: usize,
    is_watch: bool,
    literal: String,
    /// UIDs, generated names and the like: they can be told anywhere in a text.
    words: BTreeMap<String, String>,
    versions: BTreeMap<u64, String>,
    lists: BTreeMap<u64, usize>,
}

/// An answer that can be compared.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Normal {
    /// Status code; 0 for events of a watch.
    pub(crate) code: u16,
    /// Content type.
    pub(crate) media: String,
    /// `Warning` headers.
    pub(crate) warnings: Vec<String>,
    /// The body, or the events.
    pub(crate) bodies: Vec<Value>,
}

impl Names {
    /// No names; UIDs in `literal` stay as they are.
    pub(crate) fn new(literal: &str) -> Self {
        Self {
            step: 0,
            is_watch: false,
            literal: literal.to_owned(),
            words: BTreeMap::new(),
            versions: BTreeMap::new(),
            lists: BTreeMap::new(),
        }
    }

    /// Brings the answer of a step into a form that can be compared.
    pub(crate) fn normal(&mut self, step: usize, answer: &Answer, keep: &[(String, Vec<String>)]) -> Normal {
        self.step = step;
        self.is_watch = answer.code == 0;
        let mut bodies: Vec<Value> = if answer.media == "application/yaml" {
            yaml::documents(answer.body.as_bytes()).unwrap_or_else(|error| vec![format!("not YAML: {error}").into()])
        } else if answer.media.contains("protobuf") {
            vec!["<protobuf>".into()]
        } else if answer.media.starts_with("application/json") {
            let documents = serde_json::Deserializer::from_str(&answer.body).into_iter::<Value>();
            documents
                .map(|document| document.unwrap_or_else(|error| format!("not JSON: {error}").into()))
                .collect()
        } else if answer.body.is_empty() {
            Vec::new()
        } else {
            vec![answer.body.clone().into()]
        };
        for body in &mut bodies {
            if body["type"] == "BOOKMARK" {
                forget_versions(&mut body["object"]);
            }
            for (pointer, names) in keep {
                select(body, pointer, names);
            }
        }
        let mut versions = BTreeSet::new();
        for body in &bodies {
            self.meet(body, &mut versions);
        }
        self.meet_versions(&versions);
        Normal {
            code: answer.code,
            media: answer.media.clone(),
            warnings: answer.warnings.iter().map(|text| self.told(text)).collect(),
            bodies: bodies.into_iter().map(|body| sorted(self.value(body))).collect(),
        }
    }

    /// Notes what is new in an answer.
    fn meet(&mut self, value: &Value, versions: &mut BTreeSet<u64>) {
        match value {
            Value::Object(members) => {
                let text = |name: &str| members.get(name).and_then(Value::as_str).unwrap_or_default();
                let (name, generate) = (text("name"), text("generateName"));
                if !generate.is_empty() && name.len() == generate.len() + 5 && name.starts_with(generate) {
                    self.word(name, "generated name");
                }
                if !name.is_empty()
                    && let Ok(version) = text("resourceVersion").parse()
                {
                    versions.insert(version);
                }
                members.values().for_each(|member| self.meet(member, versions));
            }
            Value::Array(items) => items.iter().for_each(|item| self.meet(item, versions)),
            Value::String(text) => {
                for word in words(text).filter(|word| is_uid(word)) {
                    if !self.literal.contains(word) {
                        self.word(word, "uid");
                    }
                }
            }
            _ => {}
        }
    }

    fn word(&mut self, word: &str, name: &str) {
        if !self.words.contains_key(word) {
            let name = format!("{name} {}", self.step);
            let name = unused(&name, |name| self.words.values().any(|used| used == name));
            self.words.insert(word.to_owned(), name);
        }
    }

    fn meet_versions(&mut self, versions: &BTreeSet<u64>) {
        let newest = self.newest();
        for version in versions {
            let late = if newest.is_some_and(|newest| *version < newest) { "older version" } else { "version" };
            let name = format!("{late} {}", self.step);
            let name = unused(&name, |name| self.versions.values().any(|used| used == name));
            self.versions.entry(*version).or_insert(name);
        }
    }

    fn newest(&self) -> Option<u64> {
        self.versions.last_key_value().map(|(version, _)| *version)
    }

    fn version(&mut self, text: &str, is_object: bool) -> String {
        let Ok(version) = text.parse::<u64>() else { return text.to_owned() };
        if is_object {
            return self.versions.get(&version).cloned().unwrap_or_else(|| "<unknown version>".to_owned());
        }
        if self.is_watch {
            // A table of one row has the version of its object; of a bookmark nobody can tell.
            return self.versions.get(&version).cloned().unwrap_or_else(|| "<version>".to_owned());
        }
        let first = *self.lists.entry(version).or_insert(self.step);
        if self.newest().is_none_or(|newest| version >= newest) {
            "<version now>".to_owned()
        } else {
            format!("<version of step {first}>")
        }
    }

    fn value(&mut self, value: Value) -> Value {
        match value {
            Value::Object(members) => {
                let is_object = members.get("name").is_some_and(|name| name != "");
                let members: BTreeMap<String, Value> = members
                    .into_iter()
                    .map(|(name, member)| {
                        let member = self.member(&name, member, is_object);
                        (self.told(&name), member)
                    })
                    .collect();
                members.into_iter().collect::<Map<_, _>>().into()
            }
            Value::Array(items) => items.into_iter().map(|item| self.value(item)).collect(),
            Value::String(text) => self.told(&text).into(),
            other => other,
        }
    }

    fn member(&mut self, name: &str, member: Value, is_object: bool) -> Value {
        match (name, member) {
            ("resourceVersion", Value::String(text)) => self.version(&text, is_object).into(),
            ("continue", Value::String(text)) if !text.is_empty() => "<continue>".into(),
            ("token", Value::String(text)) if text.len() > 100 => "<token>".into(),
            ("clusterIP", Value::String(text)) if text.starts_with("10.") => "<ip>".into(),
            ("clusterIPs", Value::Array(ips)) => ips
                .into_iter()
                .map(|ip| if ip.as_str().is_some_and(|ip| ip.starts_with("10.")) { "<ip>".into() } else { ip })
                .collect(),
            ("nodePort", Value::Number(port)) if port.as_u64() >= Some(30_000) => "<port>".into(),
            ("message", Value::String(text)) => self.message(&text).into(),
            ("serverAddress", _) => "<address>".into(),
            ("resourceRules" | "nonResourceRules", Value::Array(mut rules)) => {
                rules.sort_by_key(Value::to_string);
                self.value(rules.into())
            }
            ("managedFields", Value::Array(mut entries)) => {
                entries.sort_by_key(|entry| {
                    ["operation", "manager", "subresource", "apiVersion"]
                        .map(|name| entry[name].as_str().unwrap_or_default().to_owned())
                });
                self.value(entries.into())
            }
            ("cells", Value::Array(cells)) => cells
                .into_iter()
                .map(|cell| if cell.as_str().is_some_and(is_age) { "<age>".into() } else { self.value(cell) })
                .collect(),
            (_, member) => self.value(member),
        }
    }

    /// A message that may name versions.
    fn message(&mut self, text: &str) -> String {
        // What follows is the difference between two objects of Go.
        let text = without_objects(text.split("\n@@").next().unwrap_or_default());
        if !text.to_lowercase().replace(' ', "").contains("resourceversion") {
            return self.told(&text);
        }
        let ends_word = |c: char| !c.is_ascii_alphanumeric() && c != '-';
        let words = text.split_inclusive(ends_word);
        let text: String = words
            .map(|word| {
                let digits = word.trim_end_matches(ends_word);
                match digits.parse::<u64>() {
                    Ok(_) if text.contains("Too large") => word.replace(digits, "<a version>"),
                    Ok(version) if version > 0 && !self.literal.contains(&format!("\"{digits}\"")) => {
                        let name = self.versions.get(&version).map_or("<a version>", String::as_str);
                        word.replace(digits, name)
                    }
                    _ => word.to_owned(),
                }
            })
            .collect();
        self.told(&text)
    }

    /// A text without what was made up.
    fn told(&self, text: &str) -> String {
        if let Some(name) = time(text) {
            return name.to_owned();
        }
        let mut told = text.to_owned();
        for (word, name) in &self.words {
            if told.contains(word.as_str()) {
                told = told.replace(word.as_str(), name);
            }
        }
        if let Some(at) = told.find("kube-api-access-")
            && told.len() == at + "kube-api-access-".len() + 5
        {
            told.replace_range(told.len() - 5.., "<random>");
        }
        without_objects(told.split("\n@@").next().unwrap_or_default())
    }
}

/// Of a bookmark nobody can tell which version it has.
fn forget_versions(bookmark: &mut Value) {
    for place in ["/metadata/resourceVersion", "/rows/0/object/metadata/resourceVersion"] {
        if let Some(version) = bookmark.pointer_mut(place) {
            *version = "<version>".into();
        }
    }
}

/// Sorts the causes of a failure, which come in any order.
fn sorted(mut body: Value) -> Value {
    let Some(Value::Array(causes)) = body.pointer_mut("/details/causes") else { return body };
    causes.sort_by_key(Value::to_string);
    let text = |cause: &Value, name: &str| cause[name].as_str().unwrap_or_default().to_owned();
    let mut told: Vec<String> =
        causes.iter().map(|cause| format!("{}: {}", text(cause, "field"), text(cause, "message"))).collect();
    told.sort();
    told.dedup();
    if let Some((start, _)) = body["message"].as_str().and_then(|message| message.split_once(" is invalid: [")) {
        body["message"] = format!("{start} is invalid: [{}]", told.join(", ")).into();
    }
    body
}

/// A message without the objects that it quotes, as JSON or as Go prints them: their fields have an order
/// and sometimes names that only Go knows.
fn without_objects(text: &str) -> String {
    const START: &str = "Invalid value: ";
    let mut parts = text.split(START);
    let mut told = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut depth = 0;
        let end = if part.starts_with(['{', '[']) {
            part.find(|c| {
                depth += i32::from("{[".contains(c)) - i32::from("}]".contains(c));
                depth == 0
            })
        } else if part.starts_with("\"{") || part.starts_with("\"map[") {
            let mut last = '"';
            let is_end = |c| std::mem::replace(&mut last, c) != '\\' && c == '"';
            part[1..].find(is_end).map(|end| end + 1)
        } else {
            None
        };
        told = told + START;
        told += &end.map_or(part.to_owned(), |end| format!("<object>{}", &part[end + 1..]));
    }
    told
}

/// Keeps only the items with these names of the list at a pointer.
fn select(body: &mut Value, pointer: &str, names: &[String]) {
    if let Some(Value::Array(items)) = body.pointer_mut(pointer) {
        items.retain(|item| {
            let name = [&item["name"], &item["metadata"]["name"], &item["resource"], &item["version"]];
            let name = name.into_iter().find_map(Value::as_str).unwrap_or_default();
            names.iter().any(|wanted| wanted == name)
        });
    }
}

/// `<NAME>` or `<NAME.2>` and so on.
fn unused(name: &str, is_used: impl Fn(&str) -> bool) -> String {
    let further = (2..).map(|count| format!("<{name}.{count}>"));
    let mut names = std::iter::once(format!("<{name}>")).chain(further);
    names.find(|name| !is_used(name)).expect("numbers do not end")
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_hexdigit() || c == '-'))
}

fn is_uid(word: &str) -> bool {
    word.len() == 36 && [8, 13, 18, 23].into_iter().all(|at| word.as_bytes()[at] == b'-')
}

fn is_age(cell: &str) -> bool {
    let number = cell.trim_end_matches(|c: char| "smhd".contains(c));
    number.len() + 1 == cell.len() && number.bytes().all(|c| c.is_ascii_digit())
}

/// A time that is not long ago, by its precision.
fn time(text: &str) -> Option<&'static str> {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let year: u32 = text.get(..4)?.parse().ok()?;
    match shape.as_str() {
        "0000-00-00T00:00:00Z" if year > 2025 => Some("<time>"),
        "0000-00-00T00:00:00.000000Z" if year > 2025 => Some("<time in microseconds>"),
        _ => None,
    }
}
