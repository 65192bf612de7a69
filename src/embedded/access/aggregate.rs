//! `ClusterRoles` that gather the rules of others, as kube-controller-manager fills them in.

use serde_json::{Value, json};

use crate::embedded::objects::{Objects, Options, Patch};
use crate::embedded::status::Status;

const RESOURCE: &str = "clusterroles.rbac.authorization.k8s.io";
const GROUP: &str = "rbac.authorization.k8s.io";
const MANAGER: &str = "clusterrole-aggregation-controller";

/// Fills in all `ClusterRoles` that have an `aggregationRule`, until nothing changes. Answers how many were
/// written.
pub fn aggregate(objects: &Objects) -> Result<usize, Status> {
    // A role that is filled in may be gathered by another: as many rounds as there are such roles suffice.
    let mut written = 0;
    loop {
        let roles = roles(objects);
        let due: Vec<_> = roles.iter().filter_map(|role| Some((role, wanted(role, &roles)?))).collect();
        if due.is_empty() || written > roles.len() {
            return Ok(written);
        }
        for (role, rules) in due {
            write(objects, role, &rules)?;
            written += 1;
        }
    }
}

fn roles(objects: &Objects) -> Vec<Value> {
    let entries = objects.storage.list(RESOURCE, None).entries;
    entries.iter().filter_map(|entry| serde_json::from_slice(&entry.json).ok()).collect()
}

/// Returns the rules that a role should have; nothing if it has them, or does not aggregate.
fn wanted(role: &Value, roles: &[Value]) -> Option<Vec<Value>> {
    let mut rules: Vec<Value> = Vec::new();
    if !role["aggregationRule"].is_object() {
        return None;
    }
    for selector in role["aggregationRule"]["clusterRoleSelectors"].as_array().into_iter().flatten() {
        let others = roles.iter().filter(|other| other["metadata"]["name"] != role["metadata"]["name"]);
        for other in others.filter(|other| selects(selector, &other["metadata"]["labels"])) {
            for rule in other["rules"].as_array().into_iter().flatten() {
                if !rules.contains(rule) {
                    rules.push(rule.clone());
                }
            }
        }
    }
    let current = role["rules"].as_array().map(Vec::as_slice).unwrap_or_default();
    (current != rules).then_some(rules)
}

/// Says whether a `LabelSelector` selects these labels. An empty one selects all.
fn selects(selector: &Value, labels: &Value) -> bool {
    let mut exact = selector["matchLabels"].as_object().into_iter().flatten();
    let mut expressions = selector["matchExpressions"].as_array().into_iter().flatten();
    exact.all(|(key, value)| labels[key] == *value)
        && expressions.all(|expression| {
            let label = &labels[expression["key"].as_str().unwrap_or_default()];
            let listed = || expression["values"].as_array().is_some_and(|values| values.contains(label));
            match expression["operator"].as_str() {
                Some("In") => listed(),
                Some("NotIn") => !listed(),
                Some("Exists") => !label.is_null(),
                Some("DoesNotExist") => label.is_null(),
                _ => false,
            }
        })
}

fn write(objects: &Objects, role: &Value, rules: &[Value]) -> Result<(), Status> {
    let kind = objects.kinds.of(GROUP, "v1", "ClusterRole");
    let kind = kind.ok_or_else(|| Status::new(500, "InternalError", "ClusterRoles are not served"))?;
    let name = role["metadata"]["name"].as_str().unwrap_or_default();
    let applied = json!({
        "kind": "ClusterRole", "apiVersion": format!("{GROUP}/v1"),
        "metadata": {"name": name}, "rules": rules,
    });
    let options = Options { manager: MANAGER.into(), force: true, ..Options::default() };
    objects.patch(&kind, ("", name, ""), &Patch::Apply(applied), &options).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_gathered_by_label_each_once_and_in_the_order_of_names() {
        let rule = |resource: &str| json!({"verbs": ["get"], "apiGroups": [""], "resources": [resource]});
        let role = |name: &str, label: &str, rules: Value| json!({"metadata": {"name": name, "labels": {"to": label}}, "rules": rules});
        let gathers = |rules: Value| {
            json!({
                "metadata": {"name": "m", "labels": {"to": "x"}}, "rules": rules,
                "aggregationRule": {"clusterRoleSelectors": [
                    {"matchLabels": {"to": "x"}},
                    {"matchExpressions": [{"key": "to", "operator": "In", "values": ["y"]}]},
                ]},
            })
        };
        let roles = |rules: Value| {
            [
                role("a", "x", json!([rule("pods")])),
                role("b", "y", json!([rule("pods"), rule("nodes")])),
                role("c", "z", json!([rule("secrets")])),
                gathers(rules),
            ]
        };
        let before = roles(Value::Null);
        let expected = vec![rule("pods"), rule("nodes")];
        assert_eq!(wanted(&before[3], &before), Some(expected.clone()));
        let after = roles(expected.into());
        assert_eq!(wanted(&after[3], &after), None);
        assert_eq!(wanted(&after[0], &after), None);
    }
}
