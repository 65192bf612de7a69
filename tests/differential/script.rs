//! Scenarios as text: what is sent to a Kubernetes API, in which order.
//!
//! A file is a sequence of steps with empty lines between them; lines that begin with `#` are comments.
//! A step is one of
//!
//! ```text
//! METHOD PATH [MEDIA]        a request. MEDIA says how the body is sent: nothing means as JSON, `merge`,
//!                            `json-patch`, `strategic` as those patches, `apply` and `yaml` as YAML, and
//!                            a media type or `-` (none) sends the text as it is
//! WATCH NAME PATH            opens a watch
//! READ NAME COUNT            reads that many of its events
//! let NAME TEXT              `$NAME` stands for TEXT from here on
//! ```
//!
//! Between the first line of a request and its body may be lines with
//!
//! ```text
//! > NAME: VALUE              a header
//! = NAME POINTER             `$NAME` stands for this text of the answer from here on
//! | POINTER NAME,NAME        only these items of that list in the answer are looked at
//! ? CODE                     asks until this is the status code of the answer
//! ```
//!
//! A body is YAML, unless it is sent as it is. `$ns` is a namespace that is the scenario's own, and has the
//! service account `default`; `$million` is that many letters.

use std::collections::BTreeMap;

use gitopsd::manifest::yaml;

/// What is sent, in order.
pub(crate) struct Scenario {
    /// The name of its file, and of its namespace.
    pub(crate) name: String,
    /// Its steps.
    pub(crate) steps: Vec<Step>,
    /// The whole text: what stands here was not made up by the server.
    pub(crate) text: String,
}

/// One step.
pub(crate) struct Step {
    /// Its first line.
    pub(crate) title: String,
    /// What happens.
    pub(crate) action: Action,
}

/// What happens in a step.
pub(crate) enum Action {
    /// A request is sent.
    Ask(Draft),
    /// A watch is opened under a name.
    Watch(String, Draft),
    /// Events of a watch are read.
    Read(String, usize),
    /// A variable gets a value.
    Let(String, String),
}

/// A request whose variables have no values yet.
#[derive(Default)]
pub(crate) struct Draft {
    method: String,
    path: String,
    media: String,
    headers: Vec<String>,
    body: String,
    /// Variables that take their values from the answer: name and JSON pointer.
    pub(crate) captures: Vec<(String, String)>,
    /// Lists in the answer of which only some items matter: JSON pointer and names.
    pub(crate) keep: Vec<(String, Vec<String>)>,
    /// The status code to wait for.
    pub(crate) until: Option<u16>,
}

/// A request as it is sent.
#[derive(Debug)]
pub(crate) struct Request {
    /// Method.
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    /// Headers.
    pub(crate) headers: Vec<(String, String)>,
    /// Body.
    pub(crate) body: String,
}

/// Values of variables.
pub(crate) type Variables = BTreeMap<String, String>;

impl Scenario {
    /// Reads a scenario.
    pub(crate) fn parse(name: &str, text: &str) -> Self {
        let paragraphs = text.split("\n\n");
        let steps = paragraphs
            .flat_map(|paragraph| {
                let lines: Vec<&str> = paragraph
                    .lines()
                    .skip_while(|line| line.starts_with('#') || line.is_empty())
                    .collect();
                let (lets, rest): (Vec<&str>, Vec<&str>) = match lines.first() {
                    Some(first) if first.starts_with("let ") => (lines, Vec::new()),
                    _ => (Vec::new(), lines),
                };
                let lets: Vec<Step> = lets.into_iter().map(|line| Step::parse(&[line])).collect();
                lets.into_iter().chain((!rest.is_empty()).then(|| Step::parse(&rest)))
            })
            .collect();
        Self { name: name.to_owned(), steps, text: text.to_owned() }
    }
}

impl Step {
    fn parse(lines: &[&str]) -> Self {
        let title = lines[0].to_owned();
        let words: Vec<&str> = title.split(' ').collect();
        let action = match words[..] {
            ["let", name, ..] => {
                let text = title.splitn(3, ' ').nth(2).expect("a value follows the name");
                Action::Let(name.to_owned(), text.to_owned())
            }
            ["WATCH", name, path] => Action::Watch(name.to_owned(), Draft::parse("GET", path, "", &lines[1..])),
            ["READ", name, count] => {
                Action::Read(name.to_owned(), count.parse().expect("a number of events follows the name"))
            }
            [method, path] => Action::Ask(Draft::parse(method, path, "", &lines[1..])),
            [method, path, media] => Action::Ask(Draft::parse(method, path, media, &lines[1..])),
            _ => panic!("not a step: {title}"),
        };
        Self { title, action }
    }
}

impl Draft {
    fn parse(method: &str, path: &str, media: &str, lines: &[&str]) -> Self {
        let mut draft =
            Self { method: method.into(), path: path.into(), media: media.into(), ..Self::default() };
        let mut body = Vec::new();
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                _ if !body.is_empty() => body.push(*line),
                [">", ..] => draft.headers.push(line[2..].to_owned()),
                ["=", name, pointer] => draft.captures.push((name.to_owned(), pointer.to_owned())),
                ["|", pointer, names] => {
                    draft.keep.push((pointer.to_owned(), names.split(',').map(str::to_owned).collect()));
                }
                ["?", code] => draft.until = Some(code.parse().expect("a status code")),
                _ => body.push(*line),
            }
        }
        draft.body = body.join("\n");
        draft
    }

    /// Puts in the values.
    pub(crate) fn fill(&self, variables: &Variables) -> Request {
        let mut headers = vec![("User-Agent".to_owned(), "e2e/1".to_owned())];
        for header in &self.headers {
            let header = filled(header, variables);
            let (name, value) = header.split_once(": ").expect("a header has a name and a value");
            headers.push((name.to_owned(), value.to_owned()));
        }
        let body = filled(&self.body, variables);
        let (kind, body) = match self.media.as_str() {
            "" if body.is_empty() => ("", body),
            "" => ("application/json", json(&body)),
            "merge" => ("application/merge-patch+json", json(&body)),
            "json-patch" => ("application/json-patch+json", json(&body)),
            "strategic" => ("application/strategic-merge-patch+json", json(&body)),
            "apply" => ("application/apply-patch+yaml", body),
            "yaml" => ("application/yaml", body),
            "-" => ("", body),
            other => (other, body),
        };
        if !kind.is_empty() {
            headers.push(("Content-Type".to_owned(), kind.to_owned()));
        }
        Request { method: self.method.clone(), path: filled(&self.path, variables), headers, body }
    }
}

fn json(text: &str) -> String {
    match yaml::documents(text.as_bytes()) {
        Ok(documents) if documents.len() == 1 => documents[0].to_string(),
        other => panic!("not one YAML document but {other:?}: {text}"),
    }
}

/// Replaces `$name`, where there is such a variable.
fn filled(text: &str, variables: &Variables) -> String {
    let mut parts = text.split('$');
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(part.len());
        match variables.get(&part[..end]) {
            Some(value) => filled = filled + value + &part[end..],
            None => filled = filled + "$" + part,
        }
    }
    filled
}
