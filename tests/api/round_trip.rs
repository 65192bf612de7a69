//! Objects come out as they went in, whatever fields they use.

use gitopsd::api::application::{
    Application, ApplicationSource, ApplicationSourcePluginParameter, ApplicationSpec, HealthCode,
    KustomizeReplica, SyncCode,
};
use gitopsd::api::crd;
use gitopsd::api::project::{Project, ProjectSpec};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Makes a value that uses every field of a schema.
fn full(path: &str, schema: &Value) -> Value {
    if schema["x-kubernetes-int-or-string"] == true {
        return json!(3);
    }
    if schema["x-kubernetes-preserve-unknown-fields"] == true {
        return json!({"image": {"tag": "1.29", "sizes": [1, 2.5, null, {}]}, "": true});
    }
    if let Some(word) = schema["enum"].as_array().and_then(|words| words.last()) {
        return word.clone();
    }
    match schema["type"].as_str() {
        Some("string") if schema["format"] == "date-time" => json!("2026-03-01T23:59:58Z"),
        Some("string") => json!(path),
        Some("integer") => json!(9_007_199_254_740_993_i64),
        Some("boolean") => json!(false),
        Some("array") => json!([full(path, &schema["items"])]),
        Some("object") if path == ".metadata" => {
            json!({"name": "shop", "namespace": "team", "labels": {"a": "b"}})
        }
        Some("object") if schema.get("additionalProperties").is_some() => {
            json!({"key": full(path, &schema["additionalProperties"])})
        }
        Some("object") => {
            let properties = schema["properties"].as_object().expect("objects have properties");
            properties
                .iter()
                .map(|(name, schema)| (name.clone(), full(&format!("{path}.{name}"), schema)))
                .collect()
        }
        other => panic!("{path} has type {other:?}"),
    }
}

fn check<T: Serialize + DeserializeOwned>(definition: &Value, kind: &str) {
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let mut object = full("", schema);
    object["apiVersion"] = "gitops/v1".into();
    object["kind"] = kind.into();
    let typed: T = serde_json::from_value(object.clone()).expect("the type reads what its schema allows");
    assert_eq!(serde_json::to_value(typed).expect("the type can be written"), object);
}

#[test]
fn objects_with_every_field_come_out_as_they_went_in() {
    let definitions = crd::definitions();
    check::<Application>(&definitions[0], "Application");
    check::<Project>(&definitions[1], "Project");
}

#[test]
fn objects_with_few_fields_gain_none() {
    let application = json!({
        "apiVersion": "gitops/v1", "kind": "Application", "metadata": {"name": "shop"},
        "spec": {"destination": {}, "project": "", "source": {"repoURL": "https://h/r", "helm": {}}},
    });
    let typed: Application = serde_json::from_value(application.clone()).unwrap();
    assert_eq!(serde_json::to_value(typed).unwrap(), application);
    let project =
        json!({"apiVersion": "gitops/v1", "kind": "Project", "metadata": {"name": "team"}, "spec": {}});
    let typed: Project = serde_json::from_value(project.clone()).unwrap();
    assert_eq!(serde_json::to_value(typed).unwrap(), project);
}

#[test]
fn empty_parameters_of_plugins_differ_from_absent_ones() {
    for parameter in
        [json!({"name": "a", "array": []}), json!({"name": "m", "map": {}}), json!({"name": "s"})]
    {
        let typed: ApplicationSourcePluginParameter = serde_json::from_value(parameter.clone()).unwrap();
        assert_eq!(serde_json::to_value(typed).unwrap(), parameter);
    }
}

#[test]
fn an_empty_list_of_kinds_differs_from_an_absent_one() {
    for spec in [json!({"namespaceResourceWhitelist": []}), json!({})] {
        let typed: ProjectSpec = serde_json::from_value(spec.clone()).unwrap();
        assert_eq!(serde_json::to_value(typed).unwrap(), spec);
    }
}

#[test]
fn counts_of_replicas_are_numbers_or_strings() {
    for replica in [json!({"name": "web", "count": 2}), json!({"name": "web", "count": "2"})] {
        let typed: KustomizeReplica = serde_json::from_value(replica.clone()).unwrap();
        assert_eq!(serde_json::to_value(typed).unwrap(), replica);
    }
}

#[test]
fn words_on_the_wire_are_exact() {
    let check = |value: Value, word: &str| assert_eq!(value, word);
    check(json!(HealthCode::Progressing), "Progressing");
    check(json!(SyncCode::OutOfSync), "OutOfSync");
    assert!(serde_json::from_value::<SyncCode>(json!("outOfSync")).is_err());
}

#[test]
fn the_source_that_counts_is_chosen_by_precedence() {
    let source = |url: &str| ApplicationSource { repo_url: url.into(), ..ApplicationSource::default() };
    let mut spec = ApplicationSpec { source: Some(source("one")), ..ApplicationSpec::default() };
    let urls = |spec: &ApplicationSpec| {
        spec.sources().iter().map(|source| source.repo_url.clone()).collect::<Vec<_>>()
    };
    assert_eq!(urls(&spec), ["one"]);
    spec.sources = vec![source("two"), source("three")];
    assert_eq!(urls(&spec), ["two", "three"]);
    spec.source_hydrator = Some(gitopsd::api::application::SourceHydrator::default());
    assert_eq!(urls(&spec), Vec::<String>::new());
}
