//! Volumes of pods.

use std::collections::HashSet;

use serde_json::Value;

use super::super::findings::Findings;
use super::super::names;
use super::super::view::int;
use super::super::view::items;
use super::super::view::map;
use super::super::view::text;

/// Of several sources, that of the first of these kinds is taken.
const FIRST: [&str; 8] =
    ["emptyDir", "hostPath", "secret", "nfs", "iscsi", "persistentVolumeClaim", "downwardAPI", "configMap"];

/// Checks volumes and answers the names of those that are right.
pub(super) fn check<'a>(found: &mut Findings, spec: &'a Value, field: &str) -> HashSet<&'a str> {
    let mut known = HashSet::new();
    for (index, volume) in items(spec, "volumes").enumerate() {
        let field = format!("{field}[{index}]");
        let before = found.0.len();
        source(found, volume, &field);
        let name = text(volume, "name");
        let at = format!("{field}.name");
        if name.is_empty() {
            found.required(&at, "");
        } else {
            found.invalid_each(&at, name, &names::dns_label(name));
        }
        if known.contains(name) {
            found.duplicate(&at, name);
        }
        if found.0.len() == before {
            known.insert(name);
        }
    }
    known
}

fn source(found: &mut Findings, volume: &Value, field: &str) {
    let mut given: Vec<_> = map(volume).filter(|(name, value)| *name != "name" && !value.is_null()).collect();
    given.sort_by_key(|(name, _)| FIRST.iter().position(|first| first == name).unwrap_or(FIRST.len()));
    let Some((kind, source)) = given.first().copied() else {
        return found.required(field, "must specify a volume type");
    };
    for (more, _) in &given[1..] {
        found.forbidden(&format!("{field}.{more}"), "may not specify more than 1 volume type");
    }
    let field = format!("{field}.{kind}");
    let needed: &[&str] = match kind.as_str() {
        "secret" => &["secretName"],
        "configMap" => &["name"],
        "persistentVolumeClaim" => &["claimName"],
        "nfs" => &["server", "path"],
        "hostPath" => &["path"],
        "csi" => &["driver"],
        _ => &[],
    };
    for name in needed.iter().filter(|name| text(source, name).is_empty()) {
        found.required(&format!("{field}.{name}"), "");
    }
    if kind == "hostPath" {
        no_backsteps(found, text(source, "path"), &format!("{field}.path"));
    }
    if kind == "nfs" && !text(source, "path").is_empty() && !text(source, "path").starts_with('/') {
        found.invalid(&format!("{field}.path"), text(source, "path"), "must be an absolute path");
    }
    mode(found, source, "defaultMode", &field);
    for (index, item) in items(source, "items").enumerate() {
        let field = format!("{field}.items[{index}]");
        for name in ["key", "path"] {
            if kind != "downwardAPI" && text(item, name).is_empty() {
                found.required(&format!("{field}.{name}"), "");
            }
        }
        local_path(found, text(item, "path"), &format!("{field}.path"));
        mode(found, item, "mode", &field);
    }
}

fn mode(found: &mut Findings, value: &Value, name: &str, field: &str) {
    if let Some(mode) = int(value, name).filter(|mode| !(0..=0o777).contains(mode)) {
        let told = "must be a number between 0 and 0777 (octal), both inclusive";
        found.invalid(&format!("{field}.{name}"), mode, told);
    }
}

fn local_path(found: &mut Findings, path: &str, field: &str) {
    if path.starts_with('/') {
        found.invalid(field, path, "must be a relative path");
    }
    no_backsteps(found, path, field);
    if path.starts_with("..") && !path.starts_with("../") {
        found.invalid(field, path, "must not start with '..'");
    }
}

/// Checks that a path does not go up.
pub(super) fn no_backsteps(found: &mut Findings, path: &str, field: &str) {
    if path.split('/').any(|part| part == "..") {
        found.invalid(field, path, "must not contain '..'");
    }
}
