//! Answers as the text that is recorded.

use std::fmt::Write as _;

use serde_json::Value;

use super::{normal::Normal, run::Outcome};

const WIDTH: usize = 110;

/// Writes the outcomes of a scenario down.
pub(super) fn write(outcomes: &[Outcome]) -> String {
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
                between(at, '{', &inner, out);
                out.push_str(&name);
                print(member, indent + 1, name.len(), out);
            }
            out.push('}');
        }
        Value::Array(items) if !items.is_empty() => {
            for (at, item) in items.iter().enumerate() {
                between(at, '[', &inner, out);
                print(item, indent + 1, 0, out);
            }
            out.push(']');
        }
        _ => out.push_str(&line),
    }
}

/// Writes what stands before the item number `at`.
fn between(at: usize, start: char, inner: &str, out: &mut String) {
    if at == 0 {
        out.push(start);
    } else {
        out.push_str(",\n");
        out.push_str(inner);
    }
}
