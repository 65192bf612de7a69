//! Claims, volumes and classes of storage.

use serde_json::Value;

use super::super::findings::Findings;
use super::super::names;
use super::super::quantity::Quantity;
use super::super::view::items;
use super::super::view::map;
use super::super::view::text;
use super::selectors;

const MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];

/// Checks a `PersistentVolumeClaim`.
pub(super) fn claim(found: &mut Findings, object: &Value, before: Option<&Value>) {
    claim_spec(found, &object["spec"], "spec");
    let Some(before) = before else { return };
    let (mut new, mut old) = (object["spec"].clone(), before["spec"].clone());
    let bound = object["status"]["phase"] == "Bound";
    for (name, may_change) in [
        ("volumeName", text(&old, "volumeName").is_empty()),
        ("volumeAttributesClassName", bound),
        ("storageClassName", old["storageClassName"].is_null()),
    ] {
        if may_change && let (Some(new), Some(old)) = (new.as_object_mut(), old.as_object_mut()) {
            new.shift_remove(name);
            old.shift_remove(name);
        }
    }
    let size = |spec: &Value| Quantity::read(text(&spec["resources"]["requests"], "storage")).ok();
    let (size_before, size_now) = (size(&old), size(&new));
    if bound && new["resources"]["requests"].is_object() {
        new["resources"]["requests"]["storage"] = old["resources"]["requests"]["storage"].clone();
    }
    if new != old {
        let told = "spec is immutable after creation except resources.requests and volumeAttributesClassName for \
                    bound claims";
        found.forbidden("spec", told);
    }
    if let Some((before, now)) = size_before.zip(size_now)
        && before.exceeds(now)
    {
        let capacity = Quantity::read(text(&object["status"]["capacity"], "storage")).ok();
        if capacity.is_some_and(|capacity| !now.exceeds(capacity)) {
            found.forbidden("spec.resources.requests.storage", "field can not be less than status.capacity");
        }
    }
}

/// Checks what a claim asks for.
pub(super) fn claim_spec(found: &mut Findings, spec: &Value, field: &str) {
    let at = |name: &str| format!("{field}.{name}");
    access_modes(found, spec, &at("accessModes"), "at least 1 access mode is required");
    if !spec["selector"].is_null() {
        selectors::check(found, &spec["selector"], &at("selector"));
    }
    let storage = text(&spec["resources"]["requests"], "storage");
    let field = at("resources[storage]");
    match Quantity::read(storage) {
        Err(_) => found.required(&field, ""),
        Ok(size) if size.is_negative() || size.is_zero() => {
            found.invalid(&field, storage, "must be greater than zero");
        }
        Ok(_) => {}
    }
    let class = text(spec, "storageClassName");
    if !class.is_empty() {
        found.invalid_each(&at("storageClassName"), class, &names::dns_subdomain(class));
    }
    found.known(&at("volumeMode"), spec["volumeMode"].as_str(), &["Block", "Filesystem"]);
}

fn access_modes(found: &mut Findings, spec: &Value, field: &str, required: &str) {
    let modes: Vec<_> = items(spec, "accessModes").filter_map(Value::as_str).collect();
    if modes.is_empty() {
        found.required(field, required);
    }
    for mode in &modes {
        found.known(field, Some(mode), &MODES);
    }
    if modes.contains(&"ReadWriteOncePod") && modes.iter().any(|mode| *mode != "ReadWriteOncePod") {
        found.forbidden(field, "may not use ReadWriteOncePod with other access modes");
    }
}

/// Checks a `PersistentVolume`.
pub(super) fn volume(found: &mut Findings, object: &Value, before: Option<&Value>) {
    const OTHER: [&str; 11] = [
        "capacity",
        "accessModes",
        "claimRef",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "mountOptions",
        "volumeMode",
        "nodeAffinity",
        "volumeAttributesClassName",
        "persistentVolumeSource",
        "volumeSource",
    ];
    let spec = &object["spec"];
    access_modes(found, spec, "spec.accessModes", "");
    if spec["capacity"]["storage"].is_null() {
        if map(&spec["capacity"]).next().is_none() {
            found.required("spec.capacity", "");
        }
        found.unsupported("spec.capacity", spec["capacity"].clone(), &["storage"]);
    }
    let source = |spec: &Value| {
        let mut sources = map(spec).filter(|(name, _)| !OTHER.contains(&name.as_str()));
        sources.next().map(|(name, source)| (name.clone(), source.clone()))
    };
    if source(spec).is_none() {
        found.required("spec", "must specify a volume type");
    }
    let policies = ["Delete", "Recycle", "Retain"];
    let policy = spec["persistentVolumeReclaimPolicy"].as_str();
    found.known("spec.persistentVolumeReclaimPolicy", policy, &policies);
    found.known("spec.volumeMode", spec["volumeMode"].as_str(), &["Block", "Filesystem"]);
    if before.is_some_and(|before| source(&before["spec"]) != source(spec)) {
        let told = "spec.persistentvolumesource is immutable after creation";
        found.forbidden("spec.persistentvolumesource", told);
    }
}

/// Checks a `StorageClass`.
pub(super) fn class(found: &mut Findings, object: &Value, before: Option<&Value>) {
    if let Some(before) = before {
        for name in ["parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"] {
            if object[name] != before[name] {
                found.invalid(name, Value::Null, "field is immutable");
            }
        }
        return;
    }
    match text(object, "provisioner") {
        "" => found.required("provisioner", ""),
        provisioner => {
            let wrong = names::label_key(&provisioner.to_lowercase());
            found.invalid_each("provisioner", provisioner, &wrong);
        }
    }
    found.known("reclaimPolicy", object["reclaimPolicy"].as_str(), &["Delete", "Retain"]);
    let modes = ["Immediate", "WaitForFirstConsumer"];
    found.one_of("volumeBindingMode", object["volumeBindingMode"].as_str(), &modes);
}
