//! Whether a `CustomResourceDefinition` can be served.
//! <https://github.com/kubernetes/apiextensions-apiserver/tree/master/pkg/apis/apiextensions/validation>

use std::collections::HashSet;

use serde_json::Value;
use serde_json::json;

use super::list;
use super::structure;
use super::text;
use crate::embedded::status::Cause;
use crate::embedded::validate::Findings;
use crate::embedded::validate::names;

/// Tells what is wrong with a definition, besides its metadata. `before` is what it replaces.
#[must_use]
pub fn check(definition: &Value, before: Option<&Value>) -> Vec<Cause> {
    let mut found = Findings::default();
    let spec = &definition["spec"];
    let name = text(&definition["metadata"]["name"]);
    if before.is_none() && name != format!("{}.{}", text(&spec["names"]["plural"]), text(&spec["group"])) {
        found.invalid("metadata.name", name, "must be spec.names.plural+\".\"+spec.group");
    }
    check_group(&mut found, text(&spec["group"]));
    found.one_of("spec.scope", spec["scope"].as_str(), &["Cluster", "Namespaced"]);
    versions(&mut found, spec);
    names_of(&mut found, &spec["names"], "spec.names");
    conversion(&mut found, &spec["conversion"]);
    if let Some(before) = before {
        unchanged(&mut found, definition, before);
    }
    stored_versions(&mut found, definition);
    if spec["preserveUnknownFields"] == true {
        let told = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in \
                    spec.versions[*].schema instead";
        found.invalid("spec.preserveUnknownFields", true, told);
    }
    found.0
}

fn check_group(found: &mut Findings, group: &str) {
    let wrong = names::dns_subdomain(group);
    if group.is_empty() {
        found.required("spec.group", "");
    } else if !wrong.is_empty() {
        found.invalid("spec.group", group, &wrong.join(","));
    } else if !group.contains('.') {
        found.invalid("spec.group", group, "should be a domain with at least one dot");
    }
}

fn versions(found: &mut Findings, spec: &Value) {
    let mut seen = HashSet::new();
    let mut unique = true;
    // What all versions have in common is told of as if the definition said it once.
    let first = &spec["versions"][0];
    let common = |name: &str| list(&spec["versions"]).all(|version| version[name] == first[name]);
    let at = |name: &str, index: usize, top: &str| match common(name) {
        true if index > 0 => None,
        true => Some(format!("spec.{top}")),
        false => Some(format!("spec.versions[{index}].{name}")),
    };
    for (index, version) in list(&spec["versions"]).enumerate() {
        let field = format!("spec.versions[{index}]");
        let name = text(&version["name"]);
        unique &= seen.insert(name);
        let wrong = names::dns_1035_label(name);
        if !wrong.is_empty() {
            found.invalid(&format!("{field}.name"), name, &wrong.join(","));
        }
        let schema = &version["schema"]["openAPIV3Schema"];
        if schema.is_null() {
            found.required(&format!("{field}.schema.openAPIV3Schema"), "");
        } else if let Some(field) = at("schema", index, "validation") {
            let field = format!("{field}.openAPIV3Schema");
            let kind = text(&schema["type"]);
            if version["subresources"]["status"].is_object() && kind != "object" && !kind.is_empty() {
                let told = "only \"object\" is allowed as the type at the root of the schema if the status \
                            subresource is enabled";
                found.invalid(&format!("{field}.type"), kind, told);
            }
            structure::check(found, schema, &field);
        }
        if let Some(field) = at("subresources", index, "subresources") {
            scale(found, &version["subresources"]["scale"], &field);
        }
        if let Some(field) = at("additionalPrinterColumns", index, "additionalPrinterColumns") {
            columns(found, version, &field);
        }
    }
    let shown: Value = list(&spec["versions"]).map(internal).collect();
    if !unique {
        found.invalid("spec.versions", shown.clone(), "must contain unique version names");
    }
    let stored = list(&spec["versions"]).filter(|version| version["storage"] == true).count();
    if stored != 1 {
        let told = "must have exactly one version marked as storage version";
        found.invalid("spec.versions", shown, told);
    }
}

/// A version as the internal type shows it, without what all versions have in common.
fn internal(version: &Value) -> Value {
    json!({
        "Name": version["name"], "Served": version["served"], "Storage": version["storage"],
        "Deprecated": version["deprecated"] == true, "DeprecationWarning": version["deprecationWarning"],
        "Schema": null, "Subresources": null, "AdditionalPrinterColumns": null, "SelectableFields": null,
    })
}

fn scale(found: &mut Findings, scale: &Value, field: &str) {
    if scale.is_null() {
        return;
    }
    for (name, under) in [("specReplicasPath", ".spec"), ("statusReplicasPath", ".status")] {
        let field = format!("{field}.scale.{name}");
        match text(&scale[name]) {
            "" => found.required(&field, ""),
            path if !path.starts_with(&format!("{under}.")) => {
                found.invalid(&field, path, &format!("should be a json path under {under}"));
            }
            _ => {}
        }
    }
    let selector = text(&scale["labelSelectorPath"]);
    if !selector.is_empty() && !selector.starts_with(".spec.") && !selector.starts_with(".status.") {
        let field = format!("{field}.scale.labelSelectorPath");
        found.invalid(&field, selector, "should be a json path under either .spec or .status");
    }
}

fn columns(found: &mut Findings, version: &Value, field: &str) {
    const TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];
    for (index, column) in list(&version["additionalPrinterColumns"]).enumerate() {
        let at = |name: &str| format!("{field}[{index}].{name}");
        if text(&column["name"]).is_empty() {
            found.required(&at("name"), "");
        }
        let told = format!("must be one of {}", TYPES.join(","));
        match text(&column["type"]) {
            "" => found.required(&at("type"), &told),
            kind if !TYPES.contains(&kind) => found.invalid(&at("type"), kind, &told),
            _ => {}
        }
        if text(&column["jsonPath"]).is_empty() {
            found.required(&at("JSONPath"), "");
        }
    }
}

fn names_of(found: &mut Findings, given: &Value, field: &str) {
    for name in ["plural", "singular", "kind", "listKind"] {
        if text(&given[name]).is_empty() {
            found.required(&format!("{field}.{name}"), "");
        }
    }
    for name in ["plural", "singular", "kind", "listKind"] {
        let value = text(&given[name]);
        let mixed = name.ends_with("ind");
        let wrong = names::dns_1035_label(&if mixed { value.to_lowercase() } else { value.to_owned() });
        if !value.is_empty() && !wrong.is_empty() {
            let prefix = if mixed { "may have mixed case, but should otherwise match: " } else { "" };
            found.invalid(&format!("{field}.{name}"), value, &format!("{prefix}{}", wrong.join(",")));
        }
    }
    for list_of in ["shortNames", "categories"] {
        for (index, name) in list(&given[list_of]).filter_map(Value::as_str).enumerate() {
            let wrong = names::dns_1035_label(name);
            if !wrong.is_empty() {
                found.invalid(&format!("{field}.{list_of}[{index}]"), name, &wrong.join(","));
            }
        }
    }
    let kind = text(&given["kind"]);
    if !kind.is_empty() && given["kind"] == given["listKind"] {
        found.invalid(&format!("{field}.listKind"), kind, "kind and listKind may not be the same");
    }
}

fn conversion(found: &mut Findings, conversion: &Value) {
    let strategy = conversion["strategy"].as_str();
    match strategy {
        None if conversion.is_null() => {}
        Some("Webhook") if conversion["webhook"].is_null() => {
            found.required("spec.conversion.webhookClientConfig", "required when strategy is set to Webhook");
        }
        strategy => found.one_of("spec.conversion.strategy", strategy, &["None", "Webhook"]),
    }
}

fn unchanged(found: &mut Findings, definition: &Value, before: &Value) {
    let (new, old) = (&definition["spec"], &before["spec"]);
    let established = list(&before["status"]["conditions"])
        .any(|condition| condition["type"] == "Established" && condition["status"] == "True");
    if established {
        found.immutable("spec.scope", old.get("scope"), new.get("scope"));
        found.immutable("spec.names.kind", old["names"].get("kind"), new["names"].get("kind"));
    }
    found.immutable("spec.group", old.get("group"), new.get("group"));
    found.immutable("spec.names.plural", old["names"].get("plural"), new["names"].get("plural"));
}

fn stored_versions(found: &mut Findings, definition: &Value) {
    let field = "status.storedVersions";
    let stored = &definition["status"]["storedVersions"];
    if list(stored).next().is_none() {
        return found.invalid(field, stored.clone(), "must have at least one stored version");
    }
    let versions = || list(&definition["spec"]["versions"]);
    let mut left: Vec<_> = list(stored).collect();
    for version in versions() {
        let known = left.iter().position(|name| **name == version["name"]).map(|place| left.remove(place));
        if version["storage"] == true && known.is_none() {
            let told = format!("must have the storage version {}", text(&version["name"]));
            found.invalid(field, stored.clone(), &told);
        }
    }
    for (index, name) in list(stored).filter_map(Value::as_str).enumerate() {
        if !versions().any(|version| version["name"] == name) {
            let told = format!(
                "missing from spec.versions; {name} was previously a storage version, and must remain in \
                 spec.versions until a storage migration ensures no data remains persisted in {name} and removes \
                 {name} from status.storedVersions"
            );
            found.invalid(&format!("{field}[{index}]"), name, &told);
        }
    }
}
