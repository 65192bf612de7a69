//! Translation between the objects that clients see (`gitops/v1`, `Application`) and those that are
//! stored (`storage.gitops/v1`, `StoredApplication`).
//!
//! Everything works on JSON text read one level deep, so the bytes of `spec` and `status` pass
//! through as they came; no object is ever held as a tree of values. Names and UIDs are swapped
//! (stored for served and served for stored), so one function serves requests and answers, and a
//! client that sends a stored name gets the refusal that a wrong name deserves. Only the texts of
//! answers ([`status`]) go one way, from stored to served.

pub(super) mod collection;
pub(super) mod lines;
mod members;
pub(super) mod patch;
pub(super) mod status;

#[cfg(test)]
mod tests;

use serde_json::value::RawValue;

use self::members::{Members, string, write_string};
use super::{Kind, uid};

const SERVED: &str = "gitops/v1";
const STORED: &str = "storage.gitops/v1";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Translates any document of an answer: an object, a list, a Table, a Status.
pub(super) fn document(text: &str, out: &mut String) -> serde_json::Result<()> {
    let members = Members::read(text)?;
    if members.text("kind").as_deref() == Some("Status") {
        return status::write(&members, out);
    }
    if members.has_array("items") || members.has_array("rows") {
        return collection::whole(text, out);
    }
    write_object(&members, out)
}

/// Translates one object, or the body of a merge or apply patch: names, UID and what lies in the
/// metadata.
pub(super) fn object(text: &str, out: &mut String) -> serde_json::Result<()> {
    write_object(&Members::read(text)?, out)
}

/// Translates the body of a DELETE: the UID it insists on, and our group where it names one.
pub(super) fn delete_options(text: &str, out: &mut String) -> serde_json::Result<()> {
    Members::read(text)?.write(out, |key, value, out| match key {
        "apiVersion" => swap_string(value, out, swap_api_version),
        "preconditions" => within(value, out, |key, value, out| match key {
            "uid" => swap_string(value, out, uid::flip),
            _ => keep(value, out),
        }),
        _ => keep(value, out),
    })
}

/// Translates one event of a watch.
pub(super) fn event(text: &str, out: &mut String) -> serde_json::Result<()> {
    Members::read(text)?.write(out, |key, value, out| match key {
        "object" => document(value, out),
        _ => keep(value, out),
    })
}

/// Translates one row of a Table.
fn row(text: &str, out: &mut String) -> serde_json::Result<()> {
    within(text, out, |key, value, out| match key {
        "object" if value.starts_with('{') => object(value, out),
        _ => keep(value, out),
    })
}

fn write_object(members: &Members<'_>, out: &mut String) -> serde_json::Result<()> {
    let ours = members.text("apiVersion").is_none_or(|version| version == SERVED || version == STORED);
    members.write(out, |key, value, out| match key {
        "apiVersion" if ours => swap_string(value, out, swap_api_version),
        "kind" if ours => swap_string(value, out, swap_kind),
        "metadata" => metadata(value, out),
        _ => keep(value, out),
    })
}

fn metadata(text: &str, out: &mut String) -> serde_json::Result<()> {
    within(text, out, |key, value, out| match key {
        "uid" => swap_string(value, out, uid::flip),
        "managedFields" => managed_fields(value, out),
        "annotations" => annotations(value, out),
        _ => keep(value, out),
    })
}

fn managed_fields(text: &str, out: &mut String) -> serde_json::Result<()> {
    if !text.starts_with('[') {
        return keep(text, out);
    }
    let entries: Vec<&RawValue> = serde_json::from_str(text)?;
    out.push('[');
    for (at, entry) in entries.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        managed_fields_entry(entry.get(), out)?;
    }
    out.push(']');
    Ok(())
}

fn managed_fields_entry(text: &str, out: &mut String) -> serde_json::Result<()> {
    within(text, out, |key, value, out| match key {
        "apiVersion" => swap_string(value, out, swap_api_version),
        _ => keep(value, out),
    })
}

fn annotations(text: &str, out: &mut String) -> serde_json::Result<()> {
    within(text, out, |key, value, out| match key {
        LAST_APPLIED => swap_string(value, out, last_applied),
        _ => keep(value, out),
    })
}

/// Swaps the names in the configuration that `kubectl apply` keeps in an annotation. What is not an
/// object stays as it is.
fn last_applied(configuration: &str) -> String {
    let mut swapped = String::with_capacity(configuration.len() + 16);
    let named = Members::read(configuration).and_then(|members| {
        members.write(&mut swapped, |key, value, out| match key {
            "apiVersion" => swap_string(value, out, swap_api_version),
            "kind" => swap_string(value, out, swap_kind),
            _ => keep(value, out),
        })
    });
    match named {
        // kubectl ends the text with a line break.
        Ok(()) => swapped + &configuration[configuration.trim_end().len()..],
        Err(_) => configuration.to_owned(),
    }
}

fn swap_api_version(version: &str) -> String {
    match version {
        SERVED => STORED.into(),
        STORED => SERVED.into(),
        other => other.into(),
    }
}

fn swap_kind(kind: &str) -> String {
    let (base, list) = kind.strip_suffix("List").map_or((kind, ""), |base| (base, "List"));
    let swapped = Kind::ALL.into_iter().find_map(|kind| {
        (base == kind.served()).then_some(kind.stored()).or((base == kind.stored()).then_some(kind.served()))
    });
    format!("{}{list}", swapped.unwrap_or(base))
}

/// Rewrites the members of `text`; what is not an object stays as it is.
fn within(
    text: &str,
    out: &mut String,
    each: impl FnMut(&str, &str, &mut String) -> serde_json::Result<()>,
) -> serde_json::Result<()> {
    if text.starts_with('{') { Members::read(text)?.write(out, each) } else { keep(text, out) }
}

/// Writes the string `text` as `swap` has it; what is not a string stays as it is.
fn swap_string(text: &str, out: &mut String, swap: impl FnOnce(&str) -> String) -> serde_json::Result<()> {
    match string(text) {
        Some(string) => write_string(&swap(&string), out),
        None => keep(text, out),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "an arm of the matches whose other arms can fail")]
fn keep(text: &str, out: &mut String) -> serde_json::Result<()> {
    out.push_str(text);
    Ok(())
}
