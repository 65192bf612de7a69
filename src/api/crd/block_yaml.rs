//! Writes JSON as block YAML with sorted keys, for files that people read and diff.

use std::fmt::Write;

use serde_json::Value;

/// Writes a document whose root is an object.
pub(super) fn document(value: &Value) -> String {
    let mut out = String::new();
    block(&mut out, value, 0);
    out
}

/// Writes the lines of an object or list at an indentation.
fn block(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(object) => {
            let mut keys: Vec<&String> = object.keys().collect();
            keys.sort_unstable();
            for key in keys {
                let _ = write!(out, "{:indent$}{}:", "", scalar(key));
                rest(out, &object[key], indent);
            }
        }
        Value::Array(items) => {
            for item in items {
                let start = out.len();
                match item {
                    Value::Object(object) if !object.is_empty() => {
                        block(out, item, indent + 2);
                        // The first key stands on the line of the dash.
                        out.replace_range(start + indent..=start + indent, "-");
                    }
                    _ => {
                        let _ = write!(out, "{:indent$}-", "");
                        rest(out, item, indent);
                    }
                }
            }
        }
        _ => {}
    }
}

/// Writes what follows a `key:` or a dash.
fn rest(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(object) if object.is_empty() => out.push_str(" {}\n"),
        Value::Array(items) if items.is_empty() => out.push_str(" []\n"),
        Value::Object(_) => {
            out.push('\n');
            block(out, value, indent + 2);
        }
        Value::Array(_) => {
            out.push('\n');
            block(out, value, indent);
        }
        Value::String(text) => {
            let _ = writeln!(out, " {}", scalar(text));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            let _ = writeln!(out, " {value}");
        }
    }
}

/// Writes a string plainly where no YAML reader can take it for anything else, quoted otherwise.
fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./$".contains(c);
    let begins = |c: char| c.is_ascii_alphabetic() || c == '.' || c == '$';
    let is_plain =
        text.starts_with(begins) && text.chars().all(|c| plain(c) || c == ' ') && !text.ends_with(' ');
    let word = text.to_ascii_lowercase();
    let means_more = ["true", "false", "yes", "no", "on", "off", "y", "n", "null", ".nan", ".inf", "."];
    if is_plain
        && !means_more.contains(&word.as_str())
        && !text.trim_start_matches('.').starts_with(char::is_numeric)
    {
        text.to_owned()
    } else {
        Value::from(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn objects_and_lists_become_blocks() {
        let value = json!({"b": {"x": 1, "empty": {}}, "a": [{"k": true, "j": []}, "text", 7]});
        let expected = "a:\n- j: []\n  k: true\n- text\n- 7\nb:\n  empty: {}\n  x: 1\n";
        assert_eq!(document(&value), expected);
    }

    #[test]
    fn texts_that_could_mean_something_else_are_quoted() {
        let check = |text: &str, expected: &str| assert_eq!(scalar(text), expected);
        check(".spec.project", ".spec.project");
        check("Sync Status", "Sync Status");
        check("no", "\"no\"");
        check("10", "\"10\"");
        check("", "\"\"");
        check("!has(self.name): x", "\"!has(self.name): x\"");
        check("a\"b", "\"a\\\"b\"");
    }
}
