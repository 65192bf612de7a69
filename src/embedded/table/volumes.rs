//! Volumes.

use serde_json::Value;

use super::text::{defaulted, fields, or_none, scalar, texts};
use super::{Row, row};

pub(super) fn volume(row: &Row<'_>) -> Vec<Value> {
    let claim = match row.at("spec.claimRef") {
        Value::Null => String::new(),
        _ => format!("{}/{}", row.text("spec.claimRef.namespace"), row.text("spec.claimRef.name")),
    };
    row![
        row.name(),
        scalar(row.at("spec.capacity.storage")).unwrap_or_else(|| "0".into()),
        modes(row.at("spec.accessModes")),
        row.text("spec.persistentVolumeReclaimPolicy"),
        phase(row),
        claim,
        class(row),
        row.text_or("spec.volumeAttributesClassName", "<unset>"),
        row.text("status.reason"),
        row.age(),
        row.text_or("spec.volumeMode", "<unset>"),
    ]
}

pub(super) fn claim(row: &Row<'_>) -> Vec<Value> {
    let volume = row.text("spec.volumeName");
    let (mut capacity, mut access) = (String::new(), String::new());
    if !volume.is_empty() {
        capacity = scalar(row.at("status.capacity.storage")).unwrap_or_else(|| "0".into());
        access = modes(row.at("status.accessModes"));
    }
    row![
        row.name(),
        phase(row),
        volume,
        capacity,
        access,
        class(row),
        row.text_or("spec.volumeAttributesClassName", "<unset>"),
        row.age(),
        row.text_or("spec.volumeMode", "<unset>"),
    ]
}

fn phase<'a>(row: &Row<'a>) -> &'a str {
    if row.at("metadata.deletionTimestamp").is_null() { row.text("status.phase") } else { "Terminating" }
}

/// The storage class of a volume or claim.
fn class<'a>(row: &Row<'a>) -> &'a str {
    let annotation = row.at("metadata.annotations")["volume.beta.kubernetes.io/storage-class"].as_str();
    annotation.unwrap_or(row.text("spec.storageClassName"))
}

fn modes(modes: &Value) -> String {
    const SHORT: [(&str, &str); 4] = [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ];
    let modes = texts(modes);
    let told: Vec<&str> =
        SHORT.into_iter().filter(|(mode, _)| modes.contains(mode)).map(|(_, short)| short).collect();
    told.join(",")
}

pub(super) fn storage_class(row: &Row<'_>) -> Vec<Value> {
    let marks =
        ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
    row![
        defaulted(row, &marks),
        row.text("provisioner"),
        row.text_or("reclaimPolicy", "Delete"),
        row.text_or("volumeBindingMode", "Immediate"),
        row.flag("allowVolumeExpansion"),
        row.age(),
    ]
}

pub(super) fn csi_driver(row: &Row<'_>) -> Vec<Value> {
    let tokens = match row.at("spec.tokenRequests").as_array() {
        Some(requests) => fields(requests, "audience").join(","),
        None => "<unset>".into(),
    };
    row![
        row.name(),
        row.at("spec.attachRequired") != false,
        row.flag("spec.podInfoOnMount"),
        row.flag("spec.storageCapacity"),
        tokens,
        row.flag("spec.requiresRepublish"),
        or_none(texts(row.at("spec.volumeLifecycleModes")).join(",")),
        row.age(),
    ]
}
