//! Whether an object fits its schema, as far as ownership needs it, in the words of Kubernetes.

use serde_json::{Map, Value};

use super::super::schema::{Schema, Shape};
use super::set::Element;
use super::typing::{Form, Type};
use super::value;

/// Says what does not fit. Stored objects may have items twice.
pub(super) fn check(types: &Type, object: &Value, twice: Twice) -> Result<(), String> {
    let mut wrong = Vec::new();
    walk(types, object, twice, &mut wrong);
    match wrong.as_slice() {
        [] => Ok(()),
        [only] => Err(only.told()),
        several => {
            let several: Vec<_> = several.iter().map(|wrong| format!("\n  {}", wrong.told())).collect();
            Err(format!("errors:{}", several.concat()))
        }
    }
}

/// Whether lists whose items are told apart may have one twice.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Twice {
    Allowed,
    Refused,
}

/// What is wrong, with the path to it from the inside out.
struct Wrong {
    path: Vec<Element>,
    message: String,
}

impl Wrong {
    fn here(message: impl Into<String>) -> Self {
        Self { path: Vec::new(), message: message.into() }
    }

    fn told(&self) -> String {
        if self.path.is_empty() {
            return self.message.clone();
        }
        let path: String = self.path.iter().rev().map(Element::to_string).collect();
        format!("{path}: {}", self.message)
    }
}

fn walk(types: &Type, value: &Value, twice: Twice, wrong: &mut Vec<Wrong>) {
    // Where no schema says anything, everything fits.
    let Type::Known { schema, .. } = types else { return };
    match (types.only(), value) {
        (_, Value::Null) => {}
        (Some(Form::Map), Value::Object(map)) => walk_map(types, map, twice, wrong),
        (Some(Form::List), Value::Array(list)) => walk_list(types, list, twice, wrong),
        (Some(Form::Map), _) => {
            wrong.push(Wrong::here(format!("expected map, got &{{{}}}", value::plain(value))));
        }
        (Some(Form::List), _) => {
            wrong.push(Wrong::here(format!("expected list, got &{{{}}}", value::plain(value))));
        }
        (Some(Form::Scalar) | None, _) => wrong.extend(scalar(schema, value).map(Wrong::here)),
    }
}

fn walk_map(types: &Type, map: &Map<String, Value>, twice: Twice, wrong: &mut Vec<Wrong>) {
    for (name, value) in map {
        let known = wrong.len();
        let field = types.field(name);
        match &field {
            Some(types) => walk(types, value, twice, wrong),
            None => wrong.push(Wrong::here("field not declared in schema")),
        }
        for wrong in &mut wrong[known..] {
            wrong.path.push(Element::Field(name.as_str().into()));
        }
        // Kubernetes looks no further.
        if field.is_none() {
            return;
        }
    }
}

fn walk_list(types: &Type, list: &[Value], twice: Twice, wrong: &mut Vec<Wrong>) {
    let atomic = types.list_is_atomic();
    let items = types.items();
    let mut seen = std::collections::BTreeSet::new();
    for (index, item) in list.iter().enumerate() {
        let place = || Element::Index(i64::try_from(index).unwrap_or(i64::MAX));
        let element = match types.element(item) {
            _ if atomic => place(),
            Ok(element) => element,
            Err(why) => {
                wrong.push(Wrong::here(format!("element {index}: {why}")));
                return;
            }
        };
        if !atomic && !seen.insert(element.clone()) && twice == Twice::Refused {
            wrong.push(Wrong::here(format!("duplicate entries for key {element}")));
        }
        let known = wrong.len();
        walk(&items, item, twice, wrong);
        for wrong in &mut wrong[known..] {
            wrong.path.push(element.clone());
        }
    }
}

fn scalar(schema: &Schema, value: &Value) -> Option<String> {
    let node = schema.node();
    let formatted = || {
        let format = node.rules.as_ref().and_then(|rules| rules["format"].as_str());
        format.is_some_and(|format| format != "byte")
    };
    let told = value::plain(value);
    match (&node.shape, value) {
        (Shape::Integer | Shape::Number, Value::Number(_))
        | (Shape::Text, Value::String(_))
        | (Shape::Boolean, Value::Bool(_)) => None,
        (Shape::Integer | Shape::Number, _) => {
            Some(format!("expected numeric (int or float), got {}", type_name(value)))
        }
        (Shape::Text, _) if !formatted() => {
            Some(format!("expected string, got &value.valueUnstructured{{Value:{}}}", exact(value)))
        }
        (Shape::Boolean, _) => Some(format!("expected boolean, got &{{{told}}}")),
        (_, Value::Object(_) | Value::Array(_)) => Some(format!("expected any scalar, got &{{{told}}}")),
        _ => None,
    }
}

/// What Go calls the type of a value: its `%T`.
fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// A value as Go would write it in a program: its `%#v`.
fn exact(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::Array(items) => {
            format!("[]interface {{}}{{{}}}", items.iter().map(exact).collect::<Vec<_>>().join(", "))
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> =
                fields.iter().map(|(name, value)| format!("{name:?}:{}", exact(value))).collect();
            fields.sort_unstable();
            format!("map[string]interface {{}}{{{}}}", fields.join(", "))
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}
