//! Objects as tables and as their metadata.

use serde_json::Value;
use serde_json::json;

use super::super::kinds::Kind;
use super::super::status::Status;
use super::super::table;
use super::Call;
use super::media;
use super::media::Form;

/// The metadata of an object.
pub(super) fn metadata(object: &Value, version: &str) -> Value {
    json!({
        "kind": "PartialObjectMetadata", "apiVersion": format!("meta.k8s.io/{version}"),
        "metadata": object["metadata"],
    })
}

/// A table of objects.
pub(super) fn table(
    call: &Call,
    version: &str,
    objects: impl Iterator<Item = Value>,
) -> Result<Value, Status> {
    let rows = objects.map(|object| row(call, version, &object)).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({
        "kind": "Table", "apiVersion": format!("meta.k8s.io/{version}"), "metadata": {},
        "columnDefinitions": table::columns(&call.kind), "rows": rows,
    }))
}

fn row(call: &Call, version: &str, object: &Value) -> Result<Value, Status> {
    let cells = table::cells(&call.kind, object, (call.api.objects.clock)());
    Ok(match call.query.get("includeObject") {
        "" | "Metadata" => json!({"cells": cells, "object": metadata(object, version)}),
        "Object" => json!({"cells": cells, "object": object}),
        "None" => json!({"cells": cells, "object": null}),
        other => {
            return Err(Status::bad_request(format!(
                "Unable to convert to Table as requested: includeObject: Invalid value: {other:?}: must be 'Metadata', \
                 'Object', 'None', or empty"
            )));
        }
    })
}

/// What kube-apiserver's own language calls a kind or a list of it.
pub(super) fn go_type(kind: &Kind, list: &str) -> String {
    if kind.custom.is_some() {
        return format!("*unstructured.Unstructured{list}");
    }
    format!("*{}.{}{list}", go_group(kind), kind.gvk.kind)
}

/// What it calls a group.
pub(super) fn go_group(kind: &Kind) -> &str {
    kind.gvk.group.split('.').next().filter(|group| !group.is_empty()).unwrap_or("core")
}

/// One object in the form that was asked for.
pub(super) fn object(call: &Call, object: Value) -> Result<Value, Status> {
    Ok(match call.accepted.form {
        Form::Whole => object,
        Form::Table(version) => {
            let metadata = json!({"resourceVersion": object["metadata"]["resourceVersion"]});
            let mut table = table(call, version, std::iter::once(object))?;
            table["metadata"] = metadata;
            table
        }
        Form::Metadata(version) => metadata(&object, version),
        Form::MetadataList(_) => {
            return Err(media::unfit(format!(
                "you requested PartialObjectMetadataList, but the requested object is not a list ({})",
                go_type(&call.kind, "")
            )));
        }
    })
}
