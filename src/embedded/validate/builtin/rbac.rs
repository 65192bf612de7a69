//! Roles and their bindings.

use serde_json::Value;

use super::super::findings::Findings;
use super::super::names;
use super::super::view::items;
use super::super::view::text;
use super::selectors;

const GROUP: &str = "rbac.authorization.k8s.io";

/// Checks a Role or `ClusterRole`.
pub(super) fn role(found: &mut Findings, object: &Value, kind: &str) {
    for (index, rule) in items(object, "rules").enumerate() {
        let field = format!("rules[{index}]");
        let has = |name: &str| items(rule, name).next().is_some();
        if !has("verbs") {
            found.required(&format!("{field}.verbs"), "");
        }
        if has("nonResourceURLs") {
            let field = format!("{field}.nonResourceURLs");
            if kind == "Role" {
                let told = "namespaced rules cannot apply to non-resource URLs";
                found.invalid(&field, rule["nonResourceURLs"].clone(), told);
            }
            if has("apiGroups") || has("resources") || has("resourceNames") {
                let told = "rules cannot apply to both regular resources and non-resource URLs";
                found.invalid(&field, rule["nonResourceURLs"].clone(), told);
            }
            continue;
        }
        if !has("apiGroups") {
            found
                .required(&format!("{field}.apiGroups"), "resource rules must supply at least one api group");
        }
        if !has("resources") {
            found.required(&format!("{field}.resources"), "resource rules must supply at least one resource");
        }
    }
    let aggregation = &object["aggregationRule"];
    if aggregation.is_null() {
        return;
    }
    let field = "aggregationRule.clusterRoleSelectors";
    if items(aggregation, "clusterRoleSelectors").next().is_none() {
        let told = "at least one clusterRoleSelector required if aggregationRule is non-nil";
        found.required(field, told);
    }
    for (index, selector) in items(aggregation, "clusterRoleSelectors").enumerate() {
        selectors::check(found, selector, &format!("{field}[{index}]"));
    }
}

/// Checks a `RoleBinding` or `ClusterRoleBinding`.
pub(super) fn binding(found: &mut Findings, object: &Value, before: Option<&Value>, kind: &str) {
    let role = &object["roleRef"];
    if text(role, "apiGroup") != GROUP {
        found.unsupported("roleRef.apiGroup", text(role, "apiGroup"), &[GROUP]);
    }
    let namespaced = kind == "RoleBinding";
    let kinds: &[&str] = if namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
    found.known("roleRef.kind", Some(text(role, "kind")), kinds);
    match text(role, "name") {
        "" => found.required("roleRef.name", ""),
        name => found.invalid_each("roleRef.name", name, &names::path_segment(name)),
    }
    for (index, subject) in items(object, "subjects").enumerate() {
        let at = |name: &str| format!("subjects[{index}].{name}");
        let (name, group) = (text(subject, "name"), text(subject, "apiGroup"));
        if name.is_empty() {
            found.required(&at("name"), "");
        }
        match text(subject, "kind") {
            "ServiceAccount" => {
                if !name.is_empty() {
                    found.invalid_each(&at("name"), name, &names::dns_subdomain(name));
                }
                if !group.is_empty() {
                    found.unsupported(&at("apiGroup"), group, &[""]);
                }
                if !namespaced && text(subject, "namespace").is_empty() {
                    found.required(&at("namespace"), "");
                }
            }
            "User" | "Group" => found.known(&at("apiGroup"), Some(group), &[GROUP]),
            kind => found.unsupported(&at("kind"), kind, &["ServiceAccount", "User", "Group"]),
        }
    }
    if let Some(before) = before {
        // The internal type is shown, whose fields have other names.
        if before["roleRef"] != object["roleRef"] {
            let shown = serde_json::json!({
                "APIGroup": role["apiGroup"], "Kind": role["kind"], "Name": role["name"],
            });
            found.invalid("roleRef", shown, "field is immutable");
        }
    }
}
