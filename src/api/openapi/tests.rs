//! What kube-apiserver and kubectl look for in the documents.

use super::*;

fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &'_ Value)| {
        let path = path.clone();
        let methods =
            item.as_object().unwrap().keys().filter(|key| *key != "parameters").cloned().collect::<Vec<_>>();
        methods.into_iter().map(move |method| (format!("{method} {path}"), method)).collect::<Vec<_>>()
    };
    paths
        .iter()
        .flat_map(|(path, item)| {
            of_path((path, item)).into_iter().map(move |(name, method)| (name, &item[method]))
        })
        .collect()
}

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get("$ref").and_then(Value::as_str).map(str::to_owned));
            object.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn every_endpoint_is_described() {
    let document = v3();
    let mut found: Vec<String> = operations(&document).into_iter().map(|(name, _)| name).collect();
    found.sort_unstable();
    let in_namespace = "/apis/gitops/v1/namespaces/{namespace}/applications";
    let mut expected = vec!["get /apis/gitops/v1/applications".to_owned()];
    for collection in [in_namespace, "/apis/gitops/v1/projects"] {
        expected.extend(["get", "post", "delete"].map(|method| format!("{method} {collection}")));
        expected.extend(
            ["get", "put", "patch", "delete"].map(|method| format!("{method} {collection}/{{name}}")),
        );
        expected
            .extend(["get", "put", "patch"].map(|method| format!("{method} {collection}/{{name}}/status")));
    }
    let own = ["get events", "post refresh", "post sync"].map(|own| {
        let (method, subresource) = own.split_once(' ').unwrap();
        format!("{method} {in_namespace}/{{name}}/{subresource}")
    });
    expected.extend(own);
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn references_lead_somewhere() {
    for (document, prefix) in [(v3(), REFERENCE), (v2(), "#/definitions/")] {
        let schemas =
            if prefix == REFERENCE { &document["components"]["schemas"] } else { &document["definitions"] };
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 100, "{}", found.len());
        for reference in found {
            let name = reference
                .strip_prefix(prefix)
                .unwrap_or_else(|| panic!("{reference} does not begin with {prefix}"));
            assert!(schemas[name].is_object(), "{name} is not there");
        }
    }
}

#[test]
fn kinds_are_found_by_group_version_and_kind() {
    let document = v3();
    let list = &document["paths"]["/apis/gitops/v1/applications"]["get"];
    let kind = json!({"group": "gitops", "kind": "Application", "version": "v1"});
    assert_eq!(list["x-kubernetes-group-version-kind"], kind);
    let schema = &document["components"]["schemas"]["gitops.v1.Application"];
    assert_eq!(schema["x-kubernetes-group-version-kind"], json!([kind]));
    let ids: Vec<&Value> =
        operations(&document).into_iter().map(|(_, operation)| &operation["operationId"]).collect();
    let distinct: std::collections::BTreeSet<String> = ids.iter().map(ToString::to_string).collect();
    assert_eq!(distinct.len(), ids.len(), "{ids:?}");
}

#[test]
fn every_patch_takes_what_kubectl_looks_for_and_no_strategic_merge() {
    let document = v3();
    let mut count = 0;
    for (name, operation) in operations(&document).into_iter().filter(|(name, _)| name.starts_with("patch "))
    {
        count += 1;
        let parameters = operation["parameters"].as_array().unwrap();
        let names: Vec<&str> = parameters.iter().filter_map(|parameter| parameter["name"].as_str()).collect();
        assert_eq!(names, ["dryRun", "fieldManager", "fieldValidation", "force"], "{name}");
        let types: Vec<&String> = operation["requestBody"]["content"].as_object().unwrap().keys().collect();
        let expected =
            ["application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json"];
        assert_eq!(types, expected, "{name}");
    }
    assert_eq!(count, 4);
}

#[test]
fn references_have_no_neighbours_in_version_3() {
    fn walk(value: &Value) {
        match value {
            Value::Object(object) => {
                assert!(!object.contains_key("$ref") || object.len() == 1, "{value}");
                object.values().for_each(walk);
            }
            Value::Array(items) => items.iter().for_each(walk),
            _ => {}
        }
    }
    walk(&v3());
}

#[test]
fn version_2_says_the_same_in_its_words() {
    let document = v2();
    assert_eq!(document["swagger"], "2.0");
    let patch = &document["paths"]["/apis/gitops/v1/projects/{name}"]["patch"];
    assert_eq!(patch["parameters"][0]["in"], "body");
    assert_eq!(
        patch["parameters"][1],
        json!({
            "name": "dryRun", "in": "query", "description": "`All` goes through all checks and stores nothing.",
            "type": "string", "uniqueItems": true,
        })
    );
    assert_eq!(patch["consumes"].as_array().map(Vec::len), Some(3));
    assert_eq!(patch["responses"]["200"]["schema"]["$ref"], "#/definitions/gitops.v1.Project");
    let helm = &document["definitions"]["gitops.v1.ApplicationSource"]["properties"]["helm"];
    assert_eq!(helm["$ref"], "#/definitions/gitops.v1.ApplicationSourceHelm");
    assert_eq!(helm["description"], "How to render a Helm chart.");
    let replicas = &document["definitions"]["io.k8s.apimachinery.pkg.util.intstr.IntOrString"];
    assert_eq!((&replicas["type"], &replicas["format"]), (&json!("string"), &json!("int-or-string")));
}
