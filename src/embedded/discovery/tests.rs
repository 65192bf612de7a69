//! Discovery and OpenAPI, against what a real kube-apiserver said.

use std::io::Read as _;

use flate2::read::GzDecoder;

use super::*;
use crate::embedded::kinds::PACKED;
use crate::embedded::schema::Schema;

fn recorded() -> Value {
    let mut text = String::new();
    GzDecoder::new(PACKED).read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn widgets() -> Kind {
    let schema = json!({
        "type": "object",
        "description": "A widget.",
        "properties": {"spec": {"type": "object", "properties": {
            "port": {"x-kubernetes-int-or-string": true},
            "template": {"type": "object", "x-kubernetes-embedded-resource": true},
        }}},
    });
    let scale = Gvk::new("autoscaling/v1", "Scale");
    let verbs = || ["get", "patch", "update"].map(Into::into).to_vec();
    Kind {
        gvk: Gvk::new("example.org/v1", "Widget"),
        plural: "widgets".into(),
        singular: "widget".into(),
        short_names: vec!["wd".into()],
        categories: vec!["all".into()],
        scope: Scope::Namespaced,
        verbs: ["delete", "get", "list", "patch", "create"].map(Into::into).into(),
        subresources: vec![
            Subresource { name: "status".into(), gvk: Gvk::new("example.org/v1", "Widget"), verbs: verbs() },
            Subresource { name: "scale".into(), gvk: scale, verbs: verbs() },
        ],
        schema: Schema::of_custom(&schema),
        resource: "widgets.example.org".into(),
        stored_version: "v1".into(),
        custom: Some(Arc::new(json!({"name": "v1", "schema": {"openAPIV3Schema": schema}}))),
        columns: Arc::new(json!([])),
    }
}

#[test]
fn aggregated_discovery_is_as_recorded() {
    let kinds = Kinds::builtin();
    let (core, others) = (aggregated(&kinds, true), aggregated(&kinds, false));
    let all: Vec<_> =
        [core, others].iter().flat_map(|list| list["items"].as_array().unwrap().clone()).collect();
    assert_eq!(Value::from(all), recorded()["groups"]);
}

#[test]
fn older_discovery() {
    let kinds = Kinds::builtin();
    let check = |path: &str, pointer: &str, expected: Value| {
        let answer = plain(&kinds, path).unwrap_or_else(|| panic!("{path} is not served"));
        assert_eq!(answer.pointer(pointer).unwrap_or(&Value::Null), &expected, "{pointer} of {path}");
    };
    check("/api", "/versions", json!(["v1"]));
    check("/apis/", "/groups/1/name", json!("apps"));
    let version = json!({"groupVersion": "apps/v1", "version": "v1"});
    check(
        "/apis/apps",
        "",
        json!({"kind": "APIGroup", "apiVersion": "v1", "name": "apps", "versions": [version], "preferredVersion": version}),
    );
    let deployments = json!({
        "name": "deployments", "singularName": "deployment", "namespaced": true, "kind": "Deployment",
        "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        "shortNames": ["deploy"], "categories": ["all"], "storageVersionHash": "8aSe+NMegvE=",
    });
    check("/apis/apps/v1", "/resources/3", deployments);
    let scale = json!({
        "name": "deployments/scale", "singularName": "", "namespaced": true, "group": "autoscaling",
        "version": "v1", "kind": "Scale", "verbs": ["get", "patch", "update"],
    });
    check("/apis/apps/v1", "/resources/4", scale);
    check("/api/v1", "/groupVersion", json!("v1"));
    check("/apis/events.k8s.io/v1", "/resources/0/storageVersionHash", json!("r2yiGXH7wu8="));
    for path in ["/apis/nope", "/apis/apps/v2", "/api/v2", "/", "/version", "/apis/apps/v1/deployments"] {
        assert_eq!(plain(&kinds, path), None, "{path}");
    }
}

#[test]
fn custom_kinds_are_told() {
    let kinds = Kinds::builtin();
    let before = openapi_index(&kinds);
    kinds.define("widgets.example.org", vec![widgets()]);
    let groups = aggregated(&kinds, false);
    assert_eq!(
        groups["items"].as_array().unwrap().last().unwrap(),
        &json!({"metadata": {"name": "example.org"}, "versions": [{"version": "v1", "resources": [{
            "resource": "widgets", "responseKind": {"group": "example.org", "version": "v1", "kind": "Widget"},
            "scope": "Namespaced", "singularResource": "widget",
            "verbs": ["delete", "get", "list", "patch", "create"], "shortNames": ["wd"], "categories": ["all"],
            "subresources": [
                {"subresource": "status",
                    "responseKind": {"group": "example.org", "version": "v1", "kind": "Widget"},
                    "verbs": ["get", "patch", "update"]},
                {"subresource": "scale",
                    "responseKind": {"group": "autoscaling", "version": "v1", "kind": "Scale"},
                    "verbs": ["get", "patch", "update"]},
            ],
        }], "freshness": "Current"}]})
    );
    let document: Value =
        serde_json::from_slice(&openapi(&kinds, "/openapi/v3/apis/example.org/v1").unwrap()).unwrap();
    let check = |pointer: &str, expected: Value| {
        assert_eq!(document.pointer(pointer).unwrap_or(&Value::Null), &expected, "{pointer}");
    };
    check("/components/schemas/org.example.v1.WidgetList/properties/items/items", {
        json!({"$ref": "#/components/schemas/org.example.v1.Widget"})
    });
    let widget = "/components/schemas/org.example.v1.Widget";
    check(
        &format!("{widget}/x-kubernetes-group-version-kind"),
        json!([{"group": "example.org", "kind": "Widget", "version": "v1"}]),
    );
    check(
        &format!("{widget}/properties/spec/properties/port/anyOf"),
        json!([{"type": "integer"}, {"type": "string"}]),
    );
    check(&format!("{widget}/properties/spec/properties/template/required"), json!(["kind", "apiVersion"]));
    let scale = "/paths/~1apis~1example.org~1v1~1namespaces~1{namespace}~1widgets~1{name}~1scale/patch";
    check(&format!("{scale}/operationId"), json!("patchExampleOrgV1NamespacedWidgetScale"));
    check(
        &format!("{scale}/x-kubernetes-group-version-kind"),
        json!({"group": "example.org", "version": "v1", "kind": "Widget"}),
    );

    let index = openapi_index(&kinds);
    let url = |index: &Value, root: &str| index["paths"][root]["serverRelativeURL"].clone();
    assert_eq!(url(&before, "apis/apps/v1"), url(&index, "apis/apps/v1"));
    let mut changed = widgets();
    changed.custom = Some(Arc::new(json!({"name": "v1"})));
    kinds.define("widgets.example.org", vec![changed]);
    assert_ne!(url(&index, "apis/example.org/v1"), url(&openapi_index(&kinds), "apis/example.org/v1"));
    kinds.define("widgets.example.org", Vec::new());
    assert_eq!(openapi_index(&kinds), before);
    assert_eq!(openapi(&kinds, "/openapi/v3/apis/example.org/v1"), None);
}

/// What kubectl looks up before it validates (`fieldValidation` of PATCH) and explains (the kind of GET).
#[test]
fn documents_have_what_kubectl_looks_up() {
    let kinds = Kinds::builtin();
    for kind in kinds.all() {
        let text = openapi(&kinds, &format!("/openapi/v3/{}", kind.root())).unwrap();
        let document: Value = serde_json::from_slice(&text).unwrap();
        let gvk = json!({"group": kind.gvk.group, "version": kind.gvk.version, "kind": kind.gvk.kind});
        let namespace = if kind.scope == Scope::Namespaced { "/namespaces/{namespace}" } else { "" };
        let object = format!("/{}{namespace}/{}/{{name}}", kind.root(), kind.plural);
        if kind.verbs.iter().any(|verb| &**verb == "patch") {
            let patch = &document["paths"][object]["patch"];
            assert_eq!(patch["x-kubernetes-group-version-kind"], gvk, "{}", kind.gvk);
            let named =
                |parameter: &Value| parameter["name"] == "fieldValidation" && parameter["in"] == "query";
            assert!(patch["parameters"].as_array().unwrap().iter().any(named), "{}", kind.gvk);
        }
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let is = |schema: &Value| {
            let kinds = schema["x-kubernetes-group-version-kind"].as_array();
            kinds.is_some_and(|kinds| kinds.contains(&gvk))
        };
        assert!(schemas.values().any(is), "{}", kind.gvk);
    }
}
