//! JSON patches (RFC 6902): an operation's value is translated by where its path leads.

use serde_json::value::RawValue;

use super::members::Members;
use super::{
    annotations, keep, last_applied, managed_fields, managed_fields_entry, metadata, object,
    swap_api_version, swap_kind, swap_string,
};
use crate::store::uid;

/// Translates a JSON patch.
pub(in crate::store) fn json_patch(text: &str, out: &mut String) -> serde_json::Result<()> {
    let operations: Vec<&RawValue> = serde_json::from_str(text)?;
    out.push('[');
    for (at, operation) in operations.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        let members = Members::read(operation.get())?;
        let path = members.text("path").unwrap_or_default();
        members.write(out, |key, value, out| match key {
            "value" => at_path(&path, value, out),
            _ => keep(value, out),
        })?;
    }
    out.push(']');
    Ok(())
}

fn at_path(path: &str, value: &str, out: &mut String) -> serde_json::Result<()> {
    match path {
        "" if value.starts_with('{') => object(value, out),
        "/apiVersion" => swap_string(value, out, swap_api_version),
        "/kind" => swap_string(value, out, swap_kind),
        "/metadata" => metadata(value, out),
        "/metadata/uid" => swap_string(value, out, uid::flip),
        "/metadata/annotations" => annotations(value, out),
        "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration" => {
            swap_string(value, out, last_applied)
        }
        "/metadata/managedFields" => managed_fields(value, out),
        _ => match path.strip_prefix("/metadata/managedFields/") {
            Some(entry) if entry.ends_with("/apiVersion") => swap_string(value, out, swap_api_version),
            Some(entry) if !entry.contains('/') => managed_fields_entry(value, out),
            _ => keep(value, out),
        },
    }
}
