//! Answers as text, and what differs between two of them.

use std::fmt;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{normal::Normal, run::Outcome};

const WIDTH: usize = 110;

/// Writes the outcomes of a scenario down.
pub(crate) fn write(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    for outcome in outcomes {
        let Normal { code, media, warnings, bodies } = &outcome.answer;
        let _ = writeln!(text, "--- {}\n{code} {media}", outcome.title);
        for warning in warnings {
            let _ = writeln!(text, "warning: {warning}");
        }
        for body in bodies {
            print(body, 0, 0, &mut text);
            text.push('\n');
        }
    }
    text
}

/// Reads them again.
pub(crate) fn read(text: &str) -> Vec<Outcome> {
    let text = text.strip_prefix("--- ").unwrap_or(text);
    text.split("\n--- ")
        .filter(|part| !part.is_empty())
        .map(|part| {
            let mut lines = part.lines();
            let title = lines.next().unwrap_or_default().to_owned();
            let (code, media) = lines.next().and_then(|line| line.split_once(' ')).expect("a code and a type");
            let (warnings, rest): (Vec<&str>, Vec<&str>) = lines.partition(|line| line.starts_with("warning: "));
            let rest = rest.join("\n");
            let bodies = serde_json::Deserializer::from_str(&rest).into_iter();
            let answer = Normal {
                code: code.parse().expect("the code is a number"),
                media: media.to_owned(),
                warnings: warnings.into_iter().map(|line| line["warning: ".len()..].to_owned()).collect(),
                bodies: bodies.map(|body| body.expect("a recorded body is JSON")).collect(),
            };
            Outcome { title, answer }
        })
        .collect()
}

/// Breaks what does not fit on a line.
fn print(value: &Value, indent: usize, used: usize, out: &mut String) {
    let line = value.to_string();
    if line.len() + indent + used < WIDTH {
        out.push_str(&line);
        return;
    }
    let inner = " ".repeat(indent + 1);
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (at, (name, member)) in members.iter().enumerate() {
                let name = format!("{}:", Value::from(name.as_str()));
                out.push_str(&if at == 0 { "{".to_owned() } else { format!(",\n{inner}") });
                out.push_str(&name);
                print(member, indent + 1, name.len(), out);
            }
            out.push('}');
        }
        Value::Array(items) if !items.is_empty() => {
            for (at, item) in items.iter().enumerate() {
                out.push_str(&if at == 0 { "[".to_owned() } else { format!(",\n{inner}") });
                print(item, indent + 1, 0, out);
            }
            out.push(']');
        }
        _ => out.push_str(&line),
    }
}

/// Something that is not the same in two answers.
#[derive(Debug)]
pub(crate) struct Difference {
    /// Where: JSON pointer into code, media, warnings, body.
    pub(crate) place: String,
    /// What the recording says.
    pub(crate) recorded: Option<Value>,
    /// What was answered.
    pub(crate) answered: Option<Value>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &Option<Value>| value.as_ref().map_or("nothing".to_owned(), Value::to_string);
        write!(f, "  {}\n    recorded {}\n", self.place, text(&self.recorded))?;
        write!(f, "    answered {}", text(&self.answered))
    }
}

/// Compares two answers.
pub(crate) fn differences(recorded: &Normal, answered: &Normal) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", Some(&whole(recorded)), Some(&whole(answered)), &mut found);
    found
}

fn whole(normal: &Normal) -> Value {
    let Normal { code, media, warnings, bodies } = normal;
    let bodies = if let [body] = &bodies[..] { body.clone() } else { bodies.clone().into() };
    json!({"code": code, "media": media, "warnings": warnings, "body": bodies})
}

fn compare(place: &str, recorded: Option<&Value>, answered: Option<&Value>, found: &mut Vec<Difference>) {
    match (recorded, answered) {
        (recorded, answered) if recorded == answered => {}
        (Some(Value::Object(recorded)), Some(Value::Object(answered))) => {
            let more = answered.keys().filter(|name| !recorded.contains_key(*name));
            for name in recorded.keys().chain(more) {
                let place = format!("{place}/{}", name.replace('~', "~0").replace('/', "~1"));
                compare(&place, recorded.get(name), answered.get(name), found);
            }
        }
        (Some(Value::Array(recorded)), Some(Value::Array(answered))) => {
            for at in 0..recorded.len().max(answered.len()) {
                compare(&format!("{place}/{at}"), recorded.get(at), answered.get(at), found);
            }
        }
        _ => found.push(Difference {
            place: place.to_owned(),
            recorded: recorded.cloned(),
            answered: answered.cloned(),
        }),
    }
}
