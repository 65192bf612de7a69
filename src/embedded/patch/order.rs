//! The order of lists that are merged item by item: items of the patch stand as the patch has them, the
//! others as they stood.

use serde_json::Value;

use super::strategic::{DELETE, DIRECTIVE, Failure, has_key};

/// What tells items apart.
pub(super) fn key_of<'a>(item: &'a Value, key: &str) -> &'a Value {
    if item.is_object() { &item[key] } else { item }
}

/// Splits a list into the items that another list has too, and the others.
fn partition(list: Vec<Value>, by: &[Value], key: &str) -> Result<(Vec<Value>, Vec<Value>), Failure> {
    let (mut both, mut rest) = (Vec::new(), Vec::new());
    for item in list {
        if !key.is_empty() {
            has_key(&item, key)?;
        }
        let mut found = false;
        for (index, other) in by.iter().enumerate() {
            if item.is_object() && !other.is_object() {
                return Err(Failure::Other(format!("value for key {index} is not a map")));
            }
            found = key_of(other, key) == key_of(&item, key);
            if found {
                break;
            }
        }
        if found { both.push(item) } else { rest.push(item) }
    }
    Ok((both, rest))
}

/// Orders a merged list: items that are in `first` stand as they do there; the others, which stood in
/// `second`, before the items that they stood before.
pub(super) fn order(
    merged: Vec<Value>,
    first: &[Value],
    second: &[Value],
    key: &str,
) -> Result<Vec<Value>, Failure> {
    let (patched, others) = partition(merged, first, key)?;
    let patched = sort(patched, first, key)?;
    let others = sort(others, second, key)?;
    Ok(interleave(others, patched, second, key))
}

fn place(list: &[Value], item: &Value, key: &str) -> Option<usize> {
    list.iter().position(|other| key_of(other, key) == key_of(item, key))
}

fn sort(list: Vec<Value>, by: &[Value], key: &str) -> Result<Vec<Value>, Failure> {
    for item in list.iter().chain(by).filter(|_| !key.is_empty()) {
        has_key(item, key)?;
    }
    let (gone, mut kept): (Vec<_>, Vec<_>) =
        list.into_iter().partition(|item| item.is_object() && item[DIRECTIVE] == DELETE);
    kept.sort_by_key(|item| place(by, item, key).unwrap_or(usize::MAX));
    kept.extend(gone);
    Ok(kept)
}

fn interleave(others: Vec<Value>, patched: Vec<Value>, by: &[Value], key: &str) -> Vec<Value> {
    let mut all = Vec::with_capacity(others.len() + patched.len());
    let (mut others, mut patched) = (others.into_iter().peekable(), patched.into_iter().peekable());
    loop {
        let other_first = match (others.peek(), patched.peek()) {
            (Some(other), Some(patched)) => {
                let (other, patched) = (place(by, other, key), place(by, patched, key));
                other.is_some() && patched.is_some() && other < patched
            }
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => return all,
        };
        all.extend(if other_first { others.next() } else { patched.next() });
    }
}
