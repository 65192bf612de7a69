//! Strategic merge patches: lists are merged item by item where the schema says so, and the patch may hold
//! directives.

use serde_json::{Map, Value};

use super::super::apply::value::plain;
use super::super::schema::{Schema, Shape};
use super::order::{key_of, order};

/// Says what is to be done with the object that it is in.
pub(super) const DIRECTIVE: &str = "$patch";
/// The object is not to be there.
pub(super) const DELETE: &str = "delete";
const REPLACE: &str = "replace";
const MERGE: &str = "merge";
/// Lists the only fields that an object shall have.
const RETAIN: &str = "$retainKeys";
/// Lists what is to be taken out of a list of scalars.
const DELETE_FROM: &str = "$deleteFromPrimitiveList";
/// Says how a list is to be ordered.
const SET_ORDER: &str = "$setElementOrder";

/// Why a patch cannot be applied.
#[derive(Debug)]
pub(super) enum Failure {
    /// It is not a strategic merge patch.
    Format(&'static str),
    /// Lists of lists cannot be merged.
    Lists,
    /// It does not fit the object.
    Other(String),
}

type Fields = Map<String, Value>;

/// Says what is wrong with an item that cannot be told from others by this field.
pub(super) fn has_key(item: &Value, key: &str) -> Result<(), Failure> {
    let Value::Object(fields) = item else { return Err(mismatch(MAP, item)) };
    if fields.contains_key(key) { Ok(()) } else { Err(no_key(item, key)) }
}

/// An item does not have the field that tells it from others.
fn no_key(item: &Value, key: &str) -> Failure {
    Failure::Other(format!("map: {} does not contain declared merge key: {key}", plain(item)))
}

fn mismatch(expected: &str, received: &Value) -> Failure {
    Failure::Other(format!("expected a {expected}, but received a {}", go_type(received)))
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "%!s(<nil>)",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => LIST,
        Value::Object(_) => MAP,
    }
}

const LIST: &str = "[]interface {}";
const MAP: &str = "map[string]interface {}";

/// The type of an object, and how it is to be merged.
#[derive(Clone)]
pub(super) struct Types {
    schema: Option<Schema>,
    strategy: Option<Box<str>>,
    key: Box<str>,
}

impl Types {
    pub(super) fn of(schema: &Schema) -> Self {
        Self { schema: Some(schema.clone()), strategy: None, key: "".into() }
    }

    /// The type of a field, or of the items of the list that it is.
    fn field(&self, name: &str, items: bool) -> Result<Self, Failure> {
        let unknown = Self { schema: None, strategy: None, key: "".into() };
        let Some(schema) = &self.schema else { return Ok(unknown) };
        let Some(field) = schema.field(name) else {
            let Shape::Object { .. } = schema.node().shape else { return Ok(unknown) };
            let kind = schema.node().definition.as_deref().unwrap_or_default();
            let kind = kind.rsplit('.').next().unwrap_or_default();
            return Err(Failure::Other(format!(
                "unable to find api field in struct {kind} for the json field {name:?}"
            )));
        };
        let node = field.node();
        let strategy = node.patch_strategies.iter().find(|strategy| &***strategy != "retainKeys").cloned();
        let key = node.patch_merge_key.clone().unwrap_or_default();
        let schema = if items { field.items() } else { Some(field) };
        Ok(Self { schema, strategy, key })
    }

    fn is(&self, strategy: &str) -> bool {
        self.strategy.as_deref() == Some(strategy)
    }
}

/// Merges a patch into an object.
pub(super) fn merge(mut original: Fields, mut patch: Fields, types: &Types) -> Result<Fields, Failure> {
    if let Some(directive) = patch.get(DIRECTIVE) {
        return match directive.as_str() {
            Some(REPLACE) => {
                patch.shift_remove(DIRECTIVE);
                Ok(patch)
            }
            Some(DELETE) => Ok(Fields::new()),
            _ => Err(unknown_directive(&patch)),
        };
    }
    retain(&mut original, &mut patch)?;
    merge_ordered(&mut original, &mut patch, types)?;
    for (name, value) in patch {
        let (name, deletes) = match name.strip_prefix(DELETE_FROM) {
            Some(name) => {
                let name = name.strip_prefix('/');
                (name.ok_or(Failure::Format("invalid patch format of primitive list"))?.to_owned(), true)
            }
            None => (name, false),
        };
        merge_field(&mut original, name, value, deletes, types)?;
    }
    Ok(original)
}

fn unknown_directive(patch: &Fields) -> Failure {
    let directive = plain(&patch[DIRECTIVE]);
    Failure::Other(format!("unknown patch type: {directive} in map: {}", plain(&patch.clone().into())))
}

fn merge_field(
    original: &mut Fields,
    name: String,
    value: Value,
    deletes: bool,
    types: &Types,
) -> Result<(), Failure> {
    if value.is_null() {
        original.shift_remove(&name);
        return Ok(());
    }
    let merged = match (original.get_mut(&name).map(Value::take), value) {
        (Some(Value::Object(known)), Value::Object(patch)) => {
            let types = types.field(&name, false)?;
            Some(if types.is(REPLACE) { patch } else { merge(known, patch, &types)? }.into())
        }
        (Some(Value::Array(known)), Value::Array(patch)) => {
            let types = types.field(&name, true)?;
            Some(merge_lists(known, patch, &types, deletes)?.into())
        }
        (known, _) if deletes => known,
        (_, mut value) => {
            super::prune(&mut value);
            without_directives(value)
        }
    };
    match merged {
        Some(merged) => _ = original.insert(name, merged),
        None => _ = original.shift_remove(&name),
    }
    Ok(())
}

/// Takes away what `$retainKeys` does not list.
fn retain(original: &mut Fields, patch: &mut Fields) -> Result<(), Failure> {
    let Some(kept) = patch.shift_remove(RETAIN) else { return Ok(()) };
    let wrong = Failure::Format("invalid patch format of retainKeys");
    let Value::Array(kept) = kept else { return Err(wrong) };
    let listed = |name: &str| kept.iter().any(|kept| kept == name);
    let directive = |name: &str| name.starts_with(DELETE_FROM) || name.starts_with(SET_ORDER);
    if patch.iter().any(|(name, value)| !value.is_null() && !directive(name) && !listed(name)) {
        return Err(wrong);
    }
    original.retain(|name, _| listed(name));
    Ok(())
}

/// Merges the lists that have a `$setElementOrder`.
fn merge_ordered(original: &mut Fields, patch: &mut Fields, types: &Types) -> Result<(), Failure> {
    let ordered: Vec<_> = patch.keys().filter(|name| name.starts_with(SET_ORDER)).cloned().collect();
    for directive in ordered {
        let list = |value: Option<Value>| match value {
            None => Ok(None),
            Some(Value::Array(list)) => Ok(Some(list)),
            Some(other) => Err(mismatch(LIST, &other)),
        };
        let wanted = list(patch.shift_remove(&directive))?.unwrap_or_default();
        let name = directive[SET_ORDER.len()..]
            .strip_prefix('/')
            .ok_or(Failure::Format("invalid patch format of setElementOrder list"))?;
        let known = list(original.get(name).cloned())?;
        let patched = list(patch.shift_remove(name))?;
        let types = types.field(name, true)?;
        in_order(patched.as_deref().unwrap_or_default(), &wanted, &types.key)?;
        let merged = match (known.clone(), patched.clone()) {
            (None, None) => continue,
            (Some(known), None) => known,
            (None, Some(patched)) => patched.into_iter().filter_map(without_directives).collect(),
            (Some(known), Some(patched)) => merge_lists(known, patched, &types, false)?,
        };
        let (known, patched) = (known.unwrap_or_default(), patched.unwrap_or_default());
        if first_of_type(&known, &patched)?.is_none() {
            return Err(Failure::Other("no elements in any of the given slices".to_owned()));
        }
        let merged = order(merged, &wanted, &stood(known, &patched, &types.key), &types.key)?;
        original.insert(name.to_owned(), merged.into());
    }
    Ok(())
}

/// The order that items of a list had. Kubernetes deletes items in place, and then adds those of the patch
/// in the places that became free, so that they seem to have been there.
fn stood(known: Vec<Value>, patched: &[Value], key: &str) -> Vec<Value> {
    let directive = |item: &Value| item.get(DIRECTIVE).and_then(Value::as_str).map(str::to_owned);
    let same = |item: &Value, other: &Value| key_of(item, key) == key_of(other, key);
    let deleted = |item: &Value| {
        patched.iter().any(|other| directive(other).as_deref() == Some(DELETE) && same(item, other))
    };
    let count = known.len();
    let mut stood: Vec<_> = known.into_iter().filter(|item| key.is_empty() || !deleted(item)).collect();
    if !patched.iter().any(|item| directive(item).as_deref() == Some(REPLACE)) {
        for item in patched.iter().filter(|item| directive(item).is_none()) {
            if stood.len() < count && !stood.iter().any(|other| same(item, other)) {
                stood.push(item.clone());
            }
        }
    }
    stood
}

/// Whether a patch has its items in the order that it asks for.
fn in_order(patched: &[Value], wanted: &[Value], key: &str) -> Result<(), Failure> {
    if patched.is_empty() || wanted.is_empty() {
        return Ok(());
    }
    if let Some(item) = patched.iter().find(|item| !key.is_empty() && !item.is_object()) {
        return Err(mismatch(MAP, item));
    }
    let directive = |item: &Value| item.as_object().and_then(|fields| fields.get(DIRECTIVE)).cloned();
    let deletes = |item: &Value| !key.is_empty() && directive(item).is_some_and(|found| found == DELETE);
    let mut items = patched.iter().filter(|item| !deletes(item)).peekable();
    let mut left = wanted.iter();
    while let Some(item) = items.peek() {
        // Kubernetes looks for other directives only where there is more to compare with.
        let Some(other) = left.as_slice().first() else { break };
        if directive(item).is_some() {
            items.next();
            continue;
        }
        if !key.is_empty() {
            has_key(item, key)?;
            has_key(other, key)?;
        }
        if key_of(item, key) == key_of(other, key) {
            items.next();
        }
        left.next();
    }
    if items.peek().is_some() && left.as_slice().is_empty() {
        return Err(Failure::Other(format!(
            "The order in patch list:\n{}\n doesn't match {SET_ORDER} list:\n{}\n",
            plain(&patched.into()),
            plain(&wanted.into()),
        )));
    }
    Ok(())
}

fn merge_lists(
    original: Vec<Value>,
    patch: Vec<Value>,
    types: &Types,
    deletes: bool,
) -> Result<Vec<Value>, Failure> {
    if !types.is(MERGE) && !deletes {
        return Ok(patch);
    }
    let Some(first) = first_of_type(&original, &patch)? else { return Ok(original) };
    let key = &*types.key;
    if !first.is_object() {
        if deletes {
            return Ok(original.into_iter().filter(|item| !patch.contains(item)).collect());
        }
        let merged = unique(original.iter().chain(&patch).cloned().collect());
        return order(merged, &patch, &original, key);
    }
    if key.is_empty() {
        return Err(Failure::Other("cannot merge lists without merge key for struct".to_owned()));
    }
    let (original, patch) = obey(original, patch, key)?;
    let mut merged = original.clone();
    for item in &patch {
        let Value::Object(fields) = item else { continue };
        if !fields.contains_key(key) {
            return Err(no_key(item, key));
        }
        match merged.iter_mut().find(|known| known.get(key) == item.get(key)) {
            Some(known) => {
                let Value::Object(known_fields) = known.take() else { continue };
                *known = merge(known_fields, fields.clone(), types)?.into();
            }
            None => merged.push(item.clone()),
        }
    }
    order(merged, &patch, &original, key)
}

/// The first item of two lists whose items are all of its type.
fn first_of_type<'a>(original: &'a [Value], patch: &'a [Value]) -> Result<Option<&'a Value>, Failure> {
    let mut all = original.iter().chain(patch);
    let Some(first) = all.next() else { return Ok(None) };
    if first.is_array() {
        return Err(Failure::Lists);
    }
    if all.any(|item| go_type(item) != go_type(first)) {
        let lists = plain(&Value::from(vec![Value::from(original), patch.into()]));
        return Err(Failure::Other(format!("list element types are not identical: {lists}")));
    }
    Ok(Some(first))
}

/// Does what items of a patch that hold directives say, and takes them out.
fn obey(mut original: Vec<Value>, patch: Vec<Value>, key: &str) -> Result<(Vec<Value>, Vec<Value>), Failure> {
    let mut left = Vec::with_capacity(patch.len());
    let mut replaces = false;
    for item in patch {
        match item.get(DIRECTIVE).map(Value::as_str) {
            None => left.push(item),
            Some(Some(DELETE)) => {
                let gone = item.get(key).ok_or_else(|| no_key(&item, key))?;
                original.retain(|known| known.get(key) != Some(gone));
            }
            Some(Some(REPLACE)) => replaces = true,
            Some(Some(MERGE)) => {
                let why = "merging lists cannot yet be specified in the patch";
                return Err(Failure::Other(why.to_owned()));
            }
            Some(_) => return Err(unknown_directive(item.as_object().unwrap_or(&Fields::new()))),
        }
    }
    Ok(if replaces { (left, Vec::new()) } else { (original, left) })
}

/// Takes items out that are there already. The last item takes the place of each.
fn unique(mut list: Vec<Value>) -> Vec<Value> {
    let mut at = 0;
    while at + 1 < list.len() {
        let mut other = at + 1;
        while other < list.len() {
            if list[at] == list[other] {
                list.swap_remove(other);
            } else {
                other += 1;
            }
        }
        at += 1;
    }
    list
}

/// A value of a patch as it is stored.
fn without_directives(value: Value) -> Option<Value> {
    match value {
        Value::Object(fields) if fields.contains_key(DIRECTIVE) => None,
        Value::Object(fields) => {
            let kept =
                fields.into_iter().filter_map(|(name, value)| Some((name, without_directives(value)?)));
            Some(Value::Object(kept.collect()))
        }
        Value::Array(items) => Some(items.into_iter().filter_map(without_directives).collect()),
        scalar => Some(scalar),
    }
}
