//! The JSONPath of `additionalPrinterColumns`: fields, indexes, `[*]` and filters such as
//! `[?(@.type=="Ready")]`. Anything else finds nothing.

use std::cmp::Ordering;

use serde_json::Value;

/// The first value that a path leads to.
pub(super) fn first<'a>(root: &'a Value, path: &str) -> Option<&'a Value> {
    let mut found = vec![root];
    for step in steps(path)? {
        found = found.into_iter().flat_map(|value| step.of(value)).collect();
    }
    found.first().copied()
}

#[derive(Debug, PartialEq)]
enum Step {
    Field(String),
    Index(i64),
    All,
    /// Items of which this path leads to a value that compares so, or to any value.
    Where(Vec<Step>, Option<(Operator, Value)>),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Step {
    fn of<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        match (self, value) {
            (Self::Field(name), Value::Object(fields)) => fields.get(name).into_iter().collect(),
            (Self::Index(index), Value::Array(items)) => {
                let from_end = usize::try_from(index.unsigned_abs()).ok();
                let index = if *index < 0 {
                    from_end.and_then(|back| items.len().checked_sub(back))
                } else {
                    from_end
                };
                index.and_then(|index| items.get(index)).into_iter().collect()
            }
            (Self::All, Value::Array(items)) => items.iter().collect(),
            (Self::All, Value::Object(fields)) => fields.values().collect(),
            (Self::Where(path, condition), Value::Array(items)) => {
                items.iter().filter(|item| holds(item, path, condition.as_ref())).collect()
            }
            _ => Vec::new(),
        }
    }
}

fn holds(item: &Value, path: &[Step], condition: Option<&(Operator, Value)>) -> bool {
    let found = path.iter().try_fold(item, |value, step| step.of(value).first().copied());
    match (found, condition) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(found), Some((operator, expected))) => operator.holds(found, expected),
    }
}

impl Operator {
    fn holds(self, found: &Value, expected: &Value) -> bool {
        let order = match (found, expected) {
            (Value::String(found), Value::String(expected)) => Some(found.cmp(expected)),
            (Value::Number(found), Value::Number(expected)) => found.as_f64().partial_cmp(&expected.as_f64()),
            (found, expected) => (found == expected).then_some(Ordering::Equal),
        };
        match self {
            Self::Equal => order == Some(Ordering::Equal),
            Self::NotEqual => order != Some(Ordering::Equal),
            Self::Less => order == Some(Ordering::Less),
            Self::LessOrEqual => order.is_some_and(Ordering::is_le),
            Self::Greater => order == Some(Ordering::Greater),
            Self::GreaterOrEqual => order.is_some_and(Ordering::is_ge),
        }
    }
}

fn steps(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix(['$', '@']).unwrap_or(path);
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('[') {
            let end = closing(after)?;
            steps.push(subscript(&after[..end])?);
            rest = &after[end + 1..];
        } else {
            let (name, after) = field(rest.strip_prefix('.')?);
            match (&*name, after.starts_with('[')) {
                ("", true) => {}
                ("", false) => return None,
                ("*", _) => steps.push(Step::All),
                _ => steps.push(Step::Field(name)),
            }
            rest = after;
        }
    }
    Some(steps)
}

/// A field's name, in which a backslash takes away what the next character means.
fn field(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '.' | '[' => return (name, &text[at..]),
            '\\' => name.extend(letters.next().map(|(_, letter)| letter)),
            _ => name.push(letter),
        }
    }
    (name, "")
}

/// Where the bracket that was opened before `text` closes.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut quote) = (0, None);
    for (at, letter) in text.char_indices() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (None, '"' | '\'') => quote = Some(letter),
            (None, '[') => depth += 1,
            (None, ']') if depth == 0 => return Some(at),
            (None, ']') => depth -= 1,
            _ => {}
        }
    }
    None
}

fn subscript(text: &str) -> Option<Step> {
    let text = text.trim();
    if text == "*" {
        return Some(Step::All);
    }
    if let Some(condition) = text.strip_prefix("?(").and_then(|text| text.strip_suffix(')')) {
        return filter(condition);
    }
    match literal(text)? {
        Value::String(name) => Some(Step::Field(name)),
        Value::Number(index) => index.as_i64().map(Step::Index),
        _ => None,
    }
}

fn filter(text: &str) -> Option<Step> {
    const OPERATORS: [(&str, Operator); 6] = [
        ("==", Operator::Equal),
        ("!=", Operator::NotEqual),
        ("<=", Operator::LessOrEqual),
        (">=", Operator::GreaterOrEqual),
        ("<", Operator::Less),
        (">", Operator::Greater),
    ];
    for (sign, operator) in OPERATORS {
        if let Some((path, value)) = text.split_once(sign) {
            return Some(Step::Where(steps(path.trim())?, Some((operator, literal(value.trim())?))));
        }
    }
    Some(Step::Where(steps(text.trim())?, None))
}

/// A number, a Boolean, or text in quotes of either kind.
fn literal(text: &str) -> Option<Value> {
    if let Some(text) = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')) {
        return Some(text.into());
    }
    serde_json::from_str(text).ok()
}
