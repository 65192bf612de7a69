//! Objects of built-in kinds as kube-apiserver's decoder leaves them after a pass through Go's types: unknown
//! fields, nulls and omitted zero values are gone, quantities and times have their canonical form.

use std::fmt::Write as _;

use serde_json::Map;
use serde_json::Value;

use super::fields;
use super::fields::Field;
use super::quantity::Quantity;
use super::times;
use crate::embedded::schema::Schema;
use crate::embedded::schema::Shape;

/// Decodes a value in place. Answers unknown fields, or the message of what cannot be decoded.
pub(super) fn decode(schema: &Schema, value: &mut Value) -> Result<Vec<String>, String> {
    let mut decoder = Decoder::default();
    let root = Place { owner: "", type_name: &type_name(schema) };
    decoder.value(schema, value, root);
    match decoder.error {
        Some(error) => Err(error),
        None => Ok(decoder.unknown),
    }
}

#[derive(Default)]
struct Decoder {
    /// `spec.containers[0]`
    path: String,
    /// `spec.containers`: as Go's decoder tells it.
    fields: String,
    unknown: Vec<String>,
    /// The first error. Go's decoder goes on, too.
    error: Option<String>,
}

/// Where a value is, as far as it matters to error messages.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// The Go type that has the field: `PodSpec`.
    owner: &'a str,
    /// The Go type of the field: `[]v1.Container`.
    type_name: &'a str,
}

impl Decoder {
    fn value(&mut self, schema: &Schema, value: &mut Value, place: Place<'_>) {
        let node = schema.node();
        if node.preserves_unknown {
            return;
        }
        let format = node.rules.as_ref().and_then(|rules| rules["format"].as_str()).unwrap_or_default();
        let definition = node.definition.as_deref().unwrap_or_default();
        match (&node.shape, &mut *value) {
            (Shape::Text, Value::String(text))
                if format == "date-time"
                    || definition.ends_with(".v1.Time")
                    || definition.ends_with(".v1.MicroTime") =>
            {
                let micro = definition.ends_with(".v1.MicroTime");
                match times::canonical(text, micro) {
                    Ok(canonical) => *text = canonical,
                    Err(error) => self.fail(error),
                }
            }
            (Shape::Text, Value::String(text)) if format == "byte" => {
                if let Some(place) = not_base64(text) {
                    self.fail(format!("illegal base64 data at input byte {place}"));
                }
            }
            (Shape::Any, _)
            | (Shape::Text, Value::String(_))
            | (Shape::Boolean, Value::Bool(_))
            | (Shape::Number, Value::Number(_))
            | (Shape::IntOrString, Value::Number(_) | Value::String(_)) => {}
            (Shape::Integer, Value::Number(number)) => {
                let fits = match (number.as_i64(), format) {
                    (Some(number), "int32") => i32::try_from(number).is_ok(),
                    (number, _) => number.is_some(),
                };
                if !fits {
                    let number = format!("number {number}");
                    self.mismatch(&number, place);
                }
            }
            (Shape::IntOrString, other) => {
                let name = json_type(other);
                self.mismatch(name, Place { type_name: "int32", ..place });
            }
            (Shape::Quantity, _) => self.quantity(value),
            (Shape::List { .. }, Value::Array(items)) => {
                if let Some(schema) = schema.items() {
                    self.items(&schema, items, place);
                }
            }
            (Shape::Object { fields, values, .. }, Value::Object(object)) => {
                if fields.is_empty() {
                    if values.is_some() {
                        self.map(schema, object, place);
                    }
                } else {
                    self.object(schema, object);
                }
            }
            (_, other) => {
                let name = json_type(other);
                self.mismatch(name, place);
            }
        }
    }

    fn fail(&mut self, error: String) {
        self.error.get_or_insert(error);
    }

    fn mismatch(&mut self, found: &str, Place { owner, type_name }: Place<'_>) {
        let fields = &self.fields;
        let error = if owner.is_empty() {
            format!("json: cannot unmarshal {found} into Go value of type {type_name}")
        } else {
            format!(
                "json: cannot unmarshal {found} into Go struct field {owner}.{fields} of type {type_name}"
            )
        };
        self.fail(error);
    }

    fn quantity(&mut self, value: &mut Value) {
        let text = match &*value {
            Value::String(text) => text.trim().to_owned(),
            other => other.to_string(),
        };
        match Quantity::read(&text) {
            Ok(quantity) => *value = quantity.canonical().into(),
            Err(error) => self.fail(error.to_owned()),
        }
    }

    fn items(&mut self, schema: &Schema, items: &mut [Value], place: Place<'_>) {
        let own = type_name(schema);
        let type_name = place.type_name.strip_prefix("[]").unwrap_or(&own);
        let length = self.path.len();
        for (index, item) in items.iter_mut().enumerate() {
            if item.is_null() {
                *item = zero(schema);
            }
            write!(self.path, "[{index}]").expect("a String takes everything");
            self.value(schema, item, Place { type_name, ..place });
            self.path.truncate(length);
        }
    }

    fn map(&mut self, schema: &Schema, object: &mut Map<String, Value>, place: Place<'_>) {
        let length = self.path.len();
        for (name, value) in object.iter_mut() {
            let Some(schema) = schema.field(name) else { continue };
            if value.is_null() {
                *value = zero(&schema);
            }
            let own = type_name(&schema);
            let type_name = place.type_name.strip_prefix("map[string]").unwrap_or(&own);
            push(&mut self.path, name);
            self.value(&schema, value, Place { type_name, ..place });
            self.path.truncate(length);
        }
    }

    fn object(&mut self, schema: &Schema, object: &mut Map<String, Value>) {
        let definition = schema.node().definition.clone();
        let known = fields::of(definition.as_deref());
        let owner = definition.as_deref().and_then(|name| name.rsplit('.').next()).unwrap_or("Object");
        let (path, fields) = (self.path.len(), self.fields.len());
        object.retain(|name, value| {
            push(&mut self.path, name);
            push(&mut self.fields, name);
            let keep = match schema.field(name) {
                None => {
                    self.unknown.push(format!("unknown field {:?}", self.path));
                    false
                }
                Some(_) if value.is_null() => false,
                // Field ownership tells apart what Go's types do not; it is read and written elsewhere.
                Some(_) if owner == "ObjectMeta" && name == "managedFields" && value.is_array() => true,
                Some(schema) => {
                    let field = known.and_then(|fields| fields.get(name.as_str()));
                    let type_name = match field {
                        Some(field) if !field.type_name.is_empty() => field.type_name.to_owned(),
                        _ => type_name(&schema),
                    };
                    self.value(&schema, value, Place { owner, type_name: &type_name });
                    !is_omitted(&schema, field.copied(), value)
                }
            };
            self.path.truncate(path);
            self.fields.truncate(fields);
            keep
        });
    }
}

/// Says whether Go leaves out a field of this value.
fn is_omitted(schema: &Schema, field: Option<Field>, value: &Value) -> bool {
    match value {
        // Lists and maps are left out unless the table says otherwise, other values only if it says so.
        Value::Array(items) => items.is_empty() && field.is_none_or(|field| field.omitted),
        Value::Object(object) => {
            object.is_empty() && is_map(schema) && field.is_none_or(|field| field.omitted)
        }
        Value::String(text) => text.is_empty() && field.is_some_and(|field| field.omitted),
        Value::Number(number) => number.as_f64() == Some(0.0) && field.is_some_and(|field| field.omitted),
        Value::Bool(is) => !is && field.is_some_and(|field| field.omitted),
        Value::Null => false,
    }
}

/// Says whether values are maps rather than Go's structs.
fn is_map(schema: &Schema) -> bool {
    matches!(&schema.node().shape, Shape::Object { fields, values: Some(_), .. } if fields.is_empty())
}

fn push(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(name);
}

/// What Go's JSON decoder calls a value.
pub(in crate::embedded) fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// What Go makes of `null` where a value is needed.
fn zero(schema: &Schema) -> Value {
    match &schema.node().shape {
        Shape::Text => "".into(),
        Shape::Integer | Shape::IntOrString | Shape::Number => 0.into(),
        Shape::Quantity => "0".into(),
        Shape::Boolean => false.into(),
        Shape::Object { fields, .. } if !fields.is_empty() => Value::Object(Map::new()),
        Shape::List { .. } | Shape::Object { .. } | Shape::Any => Value::Null,
    }
}

/// The Go type of a value, as far as the schema tells it.
fn type_name(schema: &Schema) -> String {
    let node = schema.node();
    let format = node.rules.as_ref().and_then(|rules| rules["format"].as_str());
    match &node.shape {
        Shape::Any => "interface {}".into(),
        Shape::Boolean => "bool".into(),
        Shape::Integer => format.unwrap_or("int64").into(),
        Shape::Number => "float64".into(),
        Shape::Text if format == Some("byte") => "[]uint8".into(),
        Shape::Text => "string".into(),
        Shape::IntOrString => "intstr.IntOrString".into(),
        Shape::Quantity => "resource.Quantity".into(),
        Shape::List { .. } => {
            format!("[]{}", schema.items().as_ref().map_or_else(|| "interface {}".into(), type_name))
        }
        Shape::Object { fields, values: Some(_), .. } if fields.is_empty() => {
            format!("map[string]{}", schema.field("").as_ref().map_or_else(|| "string".into(), type_name))
        }
        Shape::Object { .. } => {
            let parts: Vec<_> =
                node.definition.as_deref().unwrap_or("v1.Object").rsplit('.').take(2).collect();
            parts.into_iter().rev().collect::<Vec<_>>().join(".")
        }
    }
}

/// Where a text is not base64, as Go's decoder counts.
fn not_base64(text: &str) -> Option<usize> {
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    let text: Vec<_> = text.bytes().filter(|byte| *byte != b'\n' && *byte != b'\r').collect();
    let end = text.iter().position(|byte| !is_digit(*byte)).unwrap_or(text.len());
    let padding = &text[end..];
    match end % 4 {
        0 if padding.is_empty() => None,
        2 if padding == b"==" => None,
        3 if padding == b"=" => None,
        _ => Some(end.min(text.len())),
    }
}
