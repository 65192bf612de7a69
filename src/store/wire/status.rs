//! Texts of answers, told in the words that clients know.

use super::members::Members;
use super::{Kind, keep, swap_string, within};
use crate::store::uid;

/// Translates a Status: group, kind and UID in its details, and every text.
pub(super) fn write(members: &Members<'_>, out: &mut String) -> serde_json::Result<()> {
    members.write(out, |key, value, out| match key {
        "message" => swap_string(value, out, served_words),
        "details" => details(value, out),
        _ => keep(value, out),
    })
}

fn details(text: &str, out: &mut String) -> serde_json::Result<()> {
    within(text, out, |key, value, out| match key {
        "group" | "kind" => swap_string(value, out, served_words),
        "uid" => swap_string(value, out, uid::flip),
        "causes" if value.starts_with('[') => causes(value, out),
        _ => keep(value, out),
    })
}

fn causes(text: &str, out: &mut String) -> serde_json::Result<()> {
    let causes: Vec<&serde_json::value::RawValue> = serde_json::from_str(text)?;
    out.push('[');
    for (at, cause) in causes.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        within(cause.get(), out, |key, value, out| match key {
            "message" => swap_string(value, out, served_words),
            _ => keep(value, out),
        })?;
    }
    out.push(']');
    Ok(())
}

/// Puts served names and UIDs in the place of stored ones.
pub(in crate::store) fn served_words(text: &str) -> String {
    let mut words = text.replace("storage.gitops", "gitops");
    for kind in Kind::ALL {
        words = words.replace(kind.stored_plural(), kind.plural()).replace(kind.stored(), kind.served());
    }
    flip_uids(&words)
}

fn flip_uids(text: &str) -> String {
    let mut flipped = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let uid = rest.get(..uid::LENGTH).filter(|head| uid::is_uuid(head.as_bytes()));
        let taken = if let Some(uid) = uid {
            flipped.push_str(&uid::flip(uid));
            uid.len()
        } else {
            flipped.push(next);
            next.len_utf8()
        };
        rest = &rest[taken..];
    }
    flipped
}
