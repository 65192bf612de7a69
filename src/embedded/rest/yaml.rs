//! Objects as YAML.

use std::fmt::Write as _;

use serde_json::Value;

/// Writes a value as a YAML document.
pub(super) fn write(value: &Value) -> String {
    let mut text = String::new();
    block(&mut text, value, 0, false);
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// Writes a value at an indentation; `inline` if the line was begun already.
fn block(text: &mut String, value: &Value, depth: usize, inline: bool) {
    let indent = |text: &mut String, first: bool| {
        if !(first && inline) {
            text.extend(std::iter::repeat_n(' ', depth));
        }
    };
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_by_key(|(key, _)| key.as_str());
            for (index, (key, value)) in sorted.into_iter().enumerate() {
                indent(text, index == 0);
                text.push_str(&scalar(&Value::from(key.as_str())));
                text.push(':');
                nested(text, value, depth);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                indent(text, index == 0);
                text.push_str("- ");
                match item {
                    Value::Object(fields) if !fields.is_empty() => block(text, item, depth + 2, true),
                    Value::Array(items) if !items.is_empty() => block(text, item, depth + 2, true),
                    _ => {
                        let _ = writeln!(text, "{}", scalar(item));
                    }
                }
            }
        }
        _ => {
            let _ = writeln!(text, "{}", scalar(value));
        }
    }
}

fn nested(text: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            text.push('\n');
            block(text, value, depth + 2, false);
        }
        Value::Array(items) if !items.is_empty() => {
            text.push('\n');
            block(text, value, depth, false);
        }
        _ => {
            let _ = writeln!(text, " {}", scalar(value));
        }
    }
}

/// A scalar on one line; a text that could be read as something else goes into quotes.
fn scalar(value: &Value) -> String {
    let Value::String(text) = value else { return value.to_string() };
    let plain = |sign: char| sign.is_ascii_alphanumeric() || matches!(sign, '-' | '_' | '.' | '/');
    let word = text.chars().all(plain) && text.starts_with(|first: char| first.is_ascii_alphabetic());
    let reserved = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    if word && !reserved.contains(&text.to_lowercase().as_str()) {
        return text.clone();
    }
    value.to_string()
}
