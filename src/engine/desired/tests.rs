//! Desired sets of small applications.

use serde_json::json;

use super::*;
use crate::api::project::ProjectDestination;
use crate::engine::testing::{project, subject};

fn scopes(gvk: &Gvk) -> Option<Scope> {
    match gvk.kind.as_str() {
        "Namespace" | "ClusterRole" => Some(Scope::Cluster),
        "Widget" => None,
        _ => Some(Scope::Namespaced),
    }
}

fn manifest(kind: &str, name: &str, namespace: Option<&str>) -> Manifest {
    let mut metadata = json!({ "name": name });
    if let Some(namespace) = namespace {
        metadata["namespace"] = namespace.into();
    }
    Manifest::new(json!({"apiVersion": "v1", "kind": kind, "metadata": metadata})).unwrap()
}

fn of(rendered: Vec<Manifest>, project: &ProjectSpec) -> Desired {
    desired(&subject(), project, rendered, &scopes)
}

#[test]
fn namespaces_follow_the_scope_of_the_kind() {
    let rendered = vec![
        manifest("ConfigMap", "settings", None),
        manifest("ConfigMap", "elsewhere", Some("other")),
        manifest("ClusterRole", "reader", Some("shop")),
    ];
    let desired = of(rendered, &project());
    let keys: Vec<_> = desired.resources.iter().map(|object| object.key.to_string()).collect();
    assert_eq!(keys, ["ClusterRole/reader", "ConfigMap/other/elsewhere", "ConfigMap/shop/settings"]);
}

#[test]
fn every_object_is_tracked() {
    let desired = of(vec![manifest("ConfigMap", "settings", None)], &project());
    let manifest = &desired.resources[0].manifest;
    assert_eq!(manifest.label(APPLICATION_LABEL), Some("team.store"));
    assert_eq!(manifest.annotation(TRACKING_ANNOTATION), Some("team_store:/ConfigMap:shop/settings"));
}

#[test]
fn text_of_secrets_becomes_data() {
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"},
        "data": {"old": "b2xk"}, "stringData": {"word": "open"}});
    let desired = of(vec![Manifest::new(secret).unwrap()], &project());
    let value = desired.resources[0].manifest.value();
    assert_eq!(value["data"], json!({"old": "b2xk", "word": "b3Blbg=="}));
    assert!(value.get("stringData").is_none());
}

#[test]
fn the_last_of_repeated_objects_counts() {
    let mut last = manifest("ConfigMap", "settings", Some("shop"));
    last.set_label("which", "last");
    let desired = of(vec![manifest("ConfigMap", "settings", None), last], &project());
    assert_eq!(desired.resources.len(), 1);
    assert_eq!(desired.resources[0].manifest.label("which"), Some("last"));
    assert_eq!(desired.repeated[0].1, 2);
}

#[test]
fn what_the_project_forbids_is_refused_with_the_reason() {
    let narrow = ProjectSpec {
        destinations: vec![ProjectDestination {
            server: Some("*".into()),
            name: None,
            namespace: Some("shop".into()),
        }],
        cluster_resource_whitelist: Vec::new(),
        ..project()
    };
    let rendered = vec![
        manifest("ClusterRole", "reader", None),
        manifest("ConfigMap", "elsewhere", Some("kube-system")),
        manifest("ConfigMap", "settings", None),
    ];
    let refusals: Vec<_> = of(rendered, &narrow).resources.into_iter().map(|object| object.refusal).collect();
    assert_eq!(refusals[0].as_deref(), Some("resource :ClusterRole is not permitted in project team."));
    assert_eq!(refusals[1].as_deref(), Some("namespace kube-system is not permitted in project 'team'."));
    assert_eq!(refusals[2], None);
}

#[test]
fn kinds_the_cluster_does_not_serve_are_marked() {
    let desired = of(vec![manifest("Widget", "one", None)], &project());
    assert!(!desired.resources[0].kind_known);
    assert_eq!(desired.resources[0].key.namespace, "shop");
}
