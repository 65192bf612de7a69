//! Sets of fields as they stand in `managedFields`: `fieldsV1`.

use serde_json::{Map, Value};

use super::set::{Branch, Element, Set};
use super::value;

/// Writes a set: `{"f:spec":{"f:replicas":{}}}`.
pub(super) fn encode(set: &Set) -> Value {
    encode_below(set, false)
}

fn encode_below(set: &Set, member: bool) -> Value {
    let mut fields = Map::with_capacity(set.nodes().len() + usize::from(member));
    if member && !set.is_empty() {
        fields.insert(".".to_owned(), Map::new().into());
    }
    for node in set.nodes() {
        fields.insert(name(&node.element), encode_below(&node.branch.below, node.branch.member));
    }
    fields.into()
}

fn name(element: &Element) -> String {
    match element {
        Element::Field(name) => format!("f:{name}"),
        Element::Key(fields) => {
            let fields: Vec<_> = fields
                .iter()
                .map(|(name, field)| format!("{}:{}", Value::from(&**name), value::json(field)))
                .collect();
            format!("k:{{{}}}", fields.join(","))
        }
        Element::Value(item) => format!("v:{}", value::json(item)),
        Element::Index(index) => format!("i:{index}"),
    }
}

/// Reads a set. The error says what is wrong.
pub(super) fn decode(fields: &Value) -> Result<Set, String> {
    Ok(decode_below(fields)?.below)
}

/// A field is in the set if `.` is below it or nothing else is.
fn decode_below(fields: &Value) -> Result<Branch, String> {
    let Value::Object(fields) = fields else {
        return if fields.is_null() {
            Ok(Branch { member: true, below: Set::default() })
        } else {
            Err(format!("expect {{ or n, but found {fields}"))
        };
    };
    let mut branch = Branch::default();
    for (name, below) in fields {
        if name == "." {
            branch.member = true;
        } else if let Some(element) = element(name)? {
            branch.below.put(element, decode_below(below)?);
        }
    }
    branch.member |= branch.below.is_empty();
    Ok(branch)
}

/// Reads one step. Kinds of steps that are not known are left out.
fn element(name: &str) -> Result<Option<Element>, String> {
    let Some((kind, content)) = name.split_at_checked(2) else {
        return Err("key must be 2 characters long:".to_owned());
    };
    if !kind.ends_with(':') {
        return Err(format!("missing colon: {name}"));
    }
    let wrong = |error: serde_json::Error| error.to_string();
    Ok(Some(match kind {
        "f:" => Element::Field(content.into()),
        "v:" => Element::Value(serde_json::from_str(content).map_err(wrong)?),
        "k:" => {
            let fields: Map<String, Value> = serde_json::from_str(content).map_err(wrong)?;
            let mut fields: Vec<_> =
                fields.into_iter().map(|(name, value)| (name.into_boxed_str(), value)).collect();
            fields.sort_by(|(name, _), (other, _)| name.cmp(other));
            Element::Key(fields.into())
        }
        "i:" => Element::Index(content.parse().map_err(|error| format!("{content:?}: {error}"))?),
        _ => return Ok(None),
    }))
}
