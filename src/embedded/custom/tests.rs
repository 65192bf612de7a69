//! Definitions become kinds, and get their status.

use serde_json::json;

use super::*;

fn definition() -> Value {
    let version = |name: &str, served: bool, storage: bool| {
        json!({
            "name": name, "served": served, "storage": storage,
            "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas"}},
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                "spec": {"type": "object", "properties": {"replicas": {"type": "integer"}}}}}},
        })
    };
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "lamps.example.org"},
        "spec": {
            "group": "example.org", "scope": "Cluster",
            "names": {"plural": "lamps", "kind": "Lamp", "shortNames": ["la"], "categories": ["all"]},
            "versions": [version("v1", true, true), version("v1beta1", true, false), version("v1alpha1", false, false)],
        },
    })
}

#[test]
fn a_definition_becomes_a_kind_for_each_served_version() {
    let kinds = kinds(&definition());
    let told: Vec<_> = kinds
        .iter()
        .map(|kind| {
            format!("{} {} {} {}", kind.gvk.version, kind.stored_version, kind.resource, kind.singular)
        })
        .collect();
    assert_eq!(told, ["v1 v1 lamps.example.org lamp", "v1beta1 v1 lamps.example.org lamp"]);
    assert!(kinds[0].has("status") && kinds[0].has("scale") && kinds[0].scope == Scope::Cluster);
    assert_eq!(kinds[0].columns[0]["name"], "Age");
    let replicas = kinds[0].schema.field("spec").unwrap().field("replicas");
    assert!(matches!(replicas.unwrap().node().shape, crate::embedded::schema::Shape::Integer));
}

#[test]
fn a_definition_that_cannot_be_served_is_refused() {
    let check = |change: fn(&mut Value), expected: &str| {
        let mut definition = definition();
        change(&mut definition);
        let causes = super::check(&definition, None);
        assert_eq!(format!("{}: {}", causes[0].field, causes[0].message), expected);
    };
    check(
        |definition| definition["metadata"]["name"] = "lamp.example.org".into(),
        "metadata.name: Invalid value: \"lamp.example.org\": must be spec.names.plural+\".\"+spec.group",
    );
    check(|definition| definition["spec"]["scope"] = Value::Null, "spec.scope: Required value");
    check(
        |definition| definition["spec"]["versions"][1]["schema"] = Value::Null,
        "spec.versions[1].schema.openAPIV3Schema: Required value",
    );
}

#[test]
fn the_status_of_a_definition_keeps_its_times() {
    let mut definition = definition();
    definition["status"] = status_of(&definition, "2026-01-02T03:04:05Z".parse().unwrap());
    let later = status_of(&definition, "2027-01-01T00:00:00Z".parse().unwrap());
    assert_eq!(later, definition["status"]);
    assert_eq!(later["storedVersions"], json!(["v1"]));
    assert_eq!(later["conditions"][1]["type"], "Established");
    assert_eq!(later["conditions"][1]["lastTransitionTime"], "2026-01-02T03:04:05Z");
}
