//! What field ownership needs to know of a schema: where objects and lists are one value, which items of
//! lists belong together, and what holds where the schema says nothing.

use serde_json::{Map, Value};

use super::super::schema::{Schema, Shape, Topology};
use super::set::Element;

const RAW_EXTENSION: &str = "io.k8s.apimachinery.pkg.runtime.RawExtension";

/// The type of a value.
#[derive(Clone)]
pub(super) enum Type {
    /// What a schema says. In a part that preserves unknown fields these are deduced.
    Known { schema: Schema, preserves: bool },
    /// Anything; objects have fields of their own, lists are one value.
    Deduced,
    /// Anything; objects and lists are one value.
    Untyped,
}

/// What a value is, as far as ownership is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Map,
    Scalar,
    List,
}

impl Type {
    /// The type of objects.
    pub(super) fn of(schema: &Schema) -> Self {
        Self::below(schema.clone(), false)
    }

    fn below(schema: Schema, preserves: bool) -> Self {
        let node = schema.node();
        // No type is stated for numbers that may be strings.
        if !matches!(node.shape, Shape::Any | Shape::IntOrString) {
            let preserves = preserves || node.preserves_unknown;
            return Self::Known { schema, preserves };
        }
        if node.definition.as_deref() == Some(RAW_EXTENSION) { Self::Untyped } else { Self::Deduced }
    }

    /// The only form that values may have.
    pub(super) fn only(&self) -> Option<Form> {
        let Self::Known { schema, .. } = self else { return None };
        Some(match schema.node().shape {
            Shape::Object { .. } => Form::Map,
            Shape::List { .. } => Form::List,
            _ => Form::Scalar,
        })
    }

    /// The form of a value. What does not fit is taken for what should be there.
    pub(super) fn form(&self, value: &Value) -> Form {
        self.only().or_else(|| deduce(value)).unwrap_or(Form::Map)
    }

    /// Whether an object is one value.
    pub(super) fn map_is_atomic(&self) -> bool {
        match self {
            Self::Known { schema, .. } => matches!(schema.node().shape, Shape::Object { atomic: true, .. }),
            Self::Deduced => false,
            Self::Untyped => true,
        }
    }

    /// Whether a list is one value.
    pub(super) fn list_is_atomic(&self) -> bool {
        match self {
            Self::Known { schema, .. } => {
                !matches!(&schema.node().shape, Shape::List { topology, .. } if *topology != Topology::Atomic)
            }
            Self::Deduced | Self::Untyped => true,
        }
    }

    /// Whether the schema names this field.
    pub(super) fn declares(&self, name: &str) -> bool {
        let Self::Known { schema, .. } = self else { return false };
        let Shape::Object { fields, .. } = &schema.node().shape else { return false };
        fields.binary_search_by(|(field, _)| (**field).cmp(name)).is_ok()
    }

    /// The type of a field. Nothing, if there must not be one of this name.
    pub(super) fn field(&self, name: &str) -> Option<Self> {
        let Self::Known { schema, preserves } = self else { return Some(self.clone()) };
        if let Some(field) = schema.field(name) {
            return Some(Self::below(field, *preserves));
        }
        let Shape::Object { fields, .. } = &schema.node().shape else { return None };
        (*preserves || fields.is_empty()).then_some(Self::Deduced)
    }

    /// The type of items.
    pub(super) fn items(&self) -> Self {
        let Self::Known { schema, preserves } = self else { return Self::Untyped };
        schema.items().map_or(Self::Untyped, |items| Self::below(items, *preserves))
    }

    /// What tells an item of a list, which is not one value, from the others.
    pub(super) fn element(&self, item: &Value) -> Result<Element, String> {
        let Self::Known { schema, .. } = self else {
            return Err("invalid indexing of non-associative list".to_owned());
        };
        let Shape::List { topology: Topology::Map(keys), .. } = &schema.node().shape else {
            return of_set(item);
        };
        let Value::Object(fields) = item else {
            let what = if item.is_null() { "a null element" } else { "non-map elements" };
            return Err(format!("associative list with keys may not have {what}"));
        };
        let mut key: Vec<_> =
            keys.iter().filter_map(|name| Some((name.clone(), key_of(schema, fields, name)?))).collect();
        if key.is_empty() && !keys.is_empty() {
            let names: Vec<_> = keys.iter().map(|name| format!("{name:?}")).collect();
            return Err(format!(
                "associative list with keys has an element that omits all key fields [{}] (and doesn't have default values for any key fields)",
                names.join(" ")
            ));
        }
        key.sort_by(|(name, _), (other, _)| name.cmp(other));
        Ok(Element::Key(key.into()))
    }
}

/// The form that a value shows, where any is possible.
pub(super) fn deduce(value: &Value) -> Option<Form> {
    match value {
        Value::Null => None,
        Value::Object(_) => Some(Form::Map),
        Value::Array(_) => Some(Form::List),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => Some(Form::Scalar),
    }
}

fn of_set(item: &Value) -> Result<Element, String> {
    let what = match item {
        Value::Object(_) => "associative list without keys has an element that's a map type",
        Value::Array(_) => "not supported: associative list with lists as elements",
        Value::Null => "associative list without keys has an element that's an explicit null",
        scalar => return Ok(Element::Value(scalar.clone())),
    };
    Err(what.to_owned())
}

/// A field by which items of a list are told apart; the schema may have a default for it.
fn key_of(list: &Schema, item: &Map<String, Value>, name: &str) -> Option<Value> {
    let stated = item.get(name).cloned();
    stated.or_else(|| list.items()?.field(name)?.node().default.clone())
}
