//! The graph, by what is found along a path.

use std::fmt::Write as _;

use serde_json::json;

use super::*;
use crate::embedded::kinds::Kinds;

/// Follows `spec.containers[].ports[]`.
fn at(root: &Schema, path: &str) -> Schema {
    path.split('.').fold(root.clone(), |schema, step| {
        let lists = step.matches("[]").count();
        let field =
            schema.field(step.trim_end_matches("[]")).unwrap_or_else(|| panic!("no {step} of {path}"));
        (0..lists).fold(field, |list, _| list.items().unwrap())
    })
}

/// What matters of a node, in short.
fn told(schema: &Schema) -> String {
    let node = schema.node();
    let mut told = match &node.shape {
        Shape::Object { fields, values, atomic, required } => {
            let names: Vec<_> = fields.iter().map(|(name, _)| &**name).take(3).collect();
            format!("object {names:?} map={} atomic={atomic} required={required:?}", values.is_some())
        }
        Shape::List { topology, .. } => format!("{topology:?}"),
        shape => format!("{shape:?}"),
    };
    for (name, is) in [
        ("nullable", node.nullable),
        ("preserves", node.preserves_unknown),
        ("embedded", node.embedded_resource),
    ] {
        told += if is { " " } else { "" };
        told += if is { name } else { "" };
    }
    if let Some(default) = &node.default {
        write!(told, " default={default}").unwrap();
    }
    if let Some(rules) = &node.rules {
        write!(told, " rules={rules}").unwrap();
    }
    if !node.patch_strategies.is_empty() {
        write!(told, " {:?} by {:?}", node.patch_strategies, node.patch_merge_key).unwrap();
    }
    told
}

#[test]
fn documents_of_built_in_kinds() {
    let check = |api: (&str, &str), path: &str, expected: &str| {
        let kind = Kinds::builtin().of(api.0, "", api.1).unwrap();
        assert_eq!(told(&at(&kind.schema, path)), expected, "{path} of {}", kind.gvk);
    };
    let deployment = ("apps", "Deployment");
    check(deployment, "spec.replicas", r#"Integer rules={"format":"int32"}"#);
    check(deployment, "spec.template.spec.containers", r#"Map(["name"]) ["merge"] by Some("name")"#);
    check(
        deployment,
        "spec.template.spec.containers[].ports",
        r#"Map(["containerPort", "protocol"]) ["merge"] by Some("containerPort")"#,
    );
    check(
        deployment,
        "spec.template.spec.containers[].ports[].protocol",
        r#"Text default="TCP" rules={"enum":["SCTP","TCP","UDP"]}"#,
    );
    check(deployment, "spec.template.spec.containers[].resources.limits.cpu", "Quantity");
    check(deployment, "spec.strategy.rollingUpdate.maxSurge", "IntOrString");
    check(
        deployment,
        "spec.strategy",
        r#"object ["rollingUpdate", "type"] map=false atomic=false required=[] default={} ["retainKeys"] by None"#,
    );
    check(deployment, "metadata.creationTimestamp", r#"Text rules={"format":"date-time"}"#);
    check(deployment, "metadata.managedFields[].fieldsV1", "Any");
    check(deployment, "metadata.finalizers", r#"Set ["merge"] by None"#);
    check(
        deployment,
        "spec.selector",
        r#"object ["matchExpressions", "matchLabels"] map=false atomic=true required=[]"#,
    );
    check(("apps", "ControllerRevision"), "data", "Any");
    check(
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        "spec.versions[].schema.openAPIV3Schema.properties.a.properties.b.type",
        "Text",
    );
    let deployment = Kinds::builtin().of("apps", "v1", "Deployment").unwrap();
    let names: Vec<_> = deployment.subresources.iter().map(|beneath| &*beneath.name).collect();
    assert_eq!(names, ["scale", "status"]);
    assert_eq!(deployment.schema.node().definition.as_deref(), Some("io.k8s.api.apps.v1.Deployment"));
}

#[test]
fn schemas_of_custom_resources() {
    let schema = Schema::of_custom(&json!({
        "type": "object",
        "properties": {"spec": {
            "type": "object",
            "required": ["size"],
            "properties": {
                "size": {"type": "integer", "default": 3, "minimum": 1},
                "port": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]},
                "list": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}},
                    "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
                "template": {"type": "object", "nullable": true, "x-kubernetes-embedded-resource": true,
                    "x-kubernetes-preserve-unknown-fields": true},
                "labels": {"type": "object", "additionalProperties": {"type": "string"},
                    "x-kubernetes-map-type": "atomic"},
                "any": {"x-kubernetes-preserve-unknown-fields": true},
                "none": {"type": "object"},
            },
        }},
    }));
    let check = |path, expected: &str| assert_eq!(told(&at(&schema, path)), expected, "{path}");
    check("kind", "Text");
    check("metadata.ownerReferences", r#"Map(["uid"]) ["merge"] by Some("uid")"#);
    check("spec", r#"object ["any", "labels", "list"] map=false atomic=false required=["size"]"#);
    check("spec.size", r#"Integer default=3 rules={"minimum":1}"#);
    check("spec.port", "IntOrString");
    check("spec.list", r#"Map(["name"])"#);
    check("spec.list[].name", "Text");
    check(
        "spec.template",
        r#"object ["apiVersion", "kind", "metadata"] map=false atomic=false required=[] nullable preserves embedded"#,
    );
    check("spec.template.metadata.labels", "object [] map=true atomic=false required=[]");
    check("spec.labels", "object [] map=true atomic=true required=[]");
    check("spec.any", "Any preserves");
    check("spec.none", "object [] map=false atomic=false required=[]");
}
