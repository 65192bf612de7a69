//! What we serve, for `kubectl api-resources`, the garbage collector and every client that maps kinds
//! to paths. Only what is fully served is listed: the namespace, garbage and quota controllers act on
//! every listed verb, so the `project` of the reference's paths does not appear.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, header};
use serde_json::{Value, json};

use super::document::Document;
use super::failure::Failure;
use super::request::{Resource, Subresource, Verb};
use crate::api::names::{self, CATEGORY, GROUP, VERSION};

const JSON: &str = "application/json";
const AGGREGATED_V2: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const AGGREGATED_V2BETA1: &str = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";

const RESOURCES: [Resource; 2] = [Resource::Applications, Resource::Projects];
/// In alphabetical order, as kube-apiserver lists them.
const VERBS: [Verb; 8] = [
    Verb::Create,
    Verb::Delete,
    Verb::DeleteCollection,
    Verb::Get,
    Verb::List,
    Verb::Patch,
    Verb::Update,
    Verb::Watch,
];

/// All forms of the list of what we serve.
#[derive(Debug)]
pub(super) struct Discovery {
    v2: Document,
    v2beta1: Document,
    groups: Document,
    group: Document,
    resources: Document,
    index: Document,
}

/// The forms of `/apis` that a client can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    V2,
    V2beta1,
    Groups,
}

impl Discovery {
    pub(super) fn new() -> Self {
        Self {
            v2: Document::new(&aggregated("v2"), AGGREGATED_V2),
            v2beta1: Document::new(&aggregated("v2beta1"), AGGREGATED_V2BETA1),
            groups: Document::new(
                &json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [group()]}),
                JSON,
            ),
            group: Document::new(&with_type("APIGroup", group()), JSON),
            resources: Document::new(&resource_list(), JSON),
            index: Document::new(&index(), JSON),
        }
    }

    /// Answers `/apis` in the form that the client prefers.
    pub(super) fn groups(&self, headers: &HeaderMap) -> Response {
        let accept: Vec<_> =
            headers.get_all(header::ACCEPT).iter().filter_map(|it| it.to_str().ok()).collect();
        let document = match preferred(&accept.join(",")) {
            Some(Form::V2) => &self.v2,
            Some(Form::V2beta1) => &self.v2beta1,
            Some(Form::Groups) => &self.groups,
            None => return Failure::not_acceptable().into_response(),
        };
        let mut response = document.answer(headers);
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public"));
        response
    }

    /// Answers `/apis/gitops`.
    pub(super) fn group(&self, headers: &HeaderMap) -> Response {
        self.group.answer(headers)
    }

    /// Answers `/apis/gitops/v1`.
    pub(super) fn resources(&self, headers: &HeaderMap) -> Response {
        self.resources.answer(headers)
    }

    /// Answers `/`.
    pub(super) fn index(&self, headers: &HeaderMap) -> Response {
        self.index.answer(headers)
    }
}

/// Takes the first clause of an `Accept` header that we can answer; parameters that we do not know
/// change nothing.
fn preferred(accept: &str) -> Option<Form> {
    if accept.trim().is_empty() {
        return Some(Form::Groups);
    }
    accept.split(',').find_map(|clause| {
        let mut parts = clause.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default();
        if !matches!(media_type, JSON | "application/*" | "*/*") {
            return None;
        }
        let (mut version, mut form) = (None, None);
        for parameter in parts {
            match parameter.split_once('=') {
                Some(("v", value)) => version = Some(value),
                Some(("as", value)) => form = Some(value),
                _ => {}
            }
        }
        match (form, version) {
            (None, _) => Some(Form::Groups),
            (Some("APIGroupDiscoveryList"), Some("v2")) => Some(Form::V2),
            (Some("APIGroupDiscoveryList"), Some("v2beta1")) => Some(Form::V2beta1),
            _ => None,
        }
    })
}

fn is_namespaced(resource: Resource) -> bool {
    match resource {
        Resource::Applications => true,
        Resource::Projects => false,
    }
}

fn singular(resource: Resource) -> &'static str {
    match resource {
        Resource::Applications => names::APPLICATION_SINGULAR,
        Resource::Projects => names::PROJECT_SINGULAR,
    }
}

fn short_name(resource: Resource) -> &'static str {
    match resource {
        Resource::Applications => names::APPLICATION_SHORT,
        Resource::Projects => names::PROJECT_SHORT,
    }
}

/// What a subresource answers with or is sent.
fn kind(resource: Resource, subresource: Subresource) -> (&'static str, &'static str, &'static str) {
    match subresource {
        Subresource::Status => (GROUP, VERSION, resource.kind()),
        Subresource::Events => ("", "v1", "Event"),
        Subresource::Refresh => (GROUP, VERSION, "RefreshRequest"),
        Subresource::Sync => (GROUP, VERSION, "SyncRequest"),
    }
}

fn words(verbs: &[Verb]) -> Vec<&'static str> {
    verbs.iter().map(|verb| verb.as_str()).collect()
}

fn with_type(kind: &str, mut value: Value) -> Value {
    value["kind"] = kind.into();
    value["apiVersion"] = "v1".into();
    value
}

fn group() -> Value {
    let version = json!({"groupVersion": format!("{GROUP}/{VERSION}"), "version": VERSION});
    json!({"name": GROUP, "versions": [version], "preferredVersion": version})
}

fn aggregated(version: &str) -> Value {
    let resources: Vec<Value> = RESOURCES
        .into_iter()
        .map(|resource| {
            let subresources: Vec<Value> = Subresource::of(resource)
                .iter()
                .map(|&subresource| {
                    let (group, version, kind) = kind(resource, subresource);
                    json!({
                        "subresource": subresource.as_str(),
                        "responseKind": {"group": group, "version": version, "kind": kind},
                        "verbs": words(subresource.verbs()),
                    })
                })
                .collect();
            json!({
                "resource": resource.plural(),
                "responseKind": {"group": GROUP, "version": VERSION, "kind": resource.kind()},
                "scope": if is_namespaced(resource) { "Namespaced" } else { "Cluster" },
                "singularResource": singular(resource),
                "verbs": words(&VERBS),
                "shortNames": [short_name(resource)],
                "categories": [CATEGORY],
                "subresources": subresources,
            })
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": format!("apidiscovery.k8s.io/{version}"),
        "metadata": {},
        "items": [{
            "metadata": {"name": GROUP},
            "versions": [{"version": VERSION, "freshness": "Current", "resources": resources}],
        }],
    })
}

fn resource_list() -> Value {
    let resources: Vec<Value> = RESOURCES.into_iter().flat_map(listed).collect();
    json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": format!("{GROUP}/{VERSION}"),
        "resources": resources,
    })
}

/// A subresource must have its parent's scope, or clients take the whole group for broken.
fn listed(resource: Resource) -> Vec<Value> {
    let mut listed = vec![json!({
        "name": resource.plural(),
        "singularName": singular(resource),
        "namespaced": is_namespaced(resource),
        "kind": resource.kind(),
        "verbs": words(&VERBS),
        "shortNames": [short_name(resource)],
        "categories": [CATEGORY],
    })];
    for &subresource in Subresource::of(resource) {
        let (group, version, kind) = kind(resource, subresource);
        let mut entry = json!({
            "name": format!("{}/{}", resource.plural(), subresource.as_str()),
            "singularName": "",
            "namespaced": is_namespaced(resource),
            "kind": kind,
            "verbs": words(subresource.verbs()),
        });
        if group != GROUP {
            entry["group"] = group.into();
            entry["version"] = version.into();
        }
        listed.push(entry);
    }
    listed
}

fn index() -> Value {
    json!({"paths": [
        "/apis",
        format!("/apis/{GROUP}"),
        format!("/apis/{GROUP}/{VERSION}"),
        "/healthz",
        "/livez",
        "/openapi/v2",
        "/openapi/v3",
        format!("/openapi/v3/apis/{GROUP}/{VERSION}"),
        "/readyz",
    ]})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(accept: &str, expected: Option<Form>) {
        assert_eq!(preferred(accept), expected, "{accept}");
    }

    #[test]
    fn the_first_clause_that_can_be_answered_wins() {
        let (v2, v2beta1) = (AGGREGATED_V2, AGGREGATED_V2BETA1);
        check("", Some(Form::Groups));
        check("*/*", Some(Form::Groups));
        check("application/json", Some(Form::Groups));
        check(v2, Some(Form::V2));
        check(&format!("{v2},application/json"), Some(Form::V2));
        check(&format!("{v2beta1},application/json"), Some(Form::V2beta1));
        check(&format!("{v2};profile=nopeer, {v2beta1}"), Some(Form::V2));
        check("application/json; g=apidiscovery.k8s.io; v=v3; as=APIGroupDiscoveryList", None);
        check("application/vnd.kubernetes.protobuf, application/json", Some(Form::Groups));
        check("application/vnd.kubernetes.protobuf", None);
        check("text/html, */*;q=0.8", Some(Form::Groups));
    }

    #[test]
    fn every_kind_is_named_and_scopes_agree() {
        let list = resource_list();
        for entry in list["resources"].as_array().unwrap() {
            let name = entry["name"].as_str().unwrap();
            assert!(!entry["kind"].as_str().unwrap().is_empty(), "{name}");
            assert_eq!(entry["namespaced"], json!(name.starts_with("applications")), "{name}");
            let verbs: Vec<_> =
                entry["verbs"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
            assert!(verbs.is_sorted(), "{name}");
        }
        let names: Vec<_> =
            list["resources"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
        assert_eq!(
            names,
            [
                "applications",
                "applications/status",
                "applications/events",
                "applications/refresh",
                "applications/sync",
                "projects",
                "projects/status"
            ]
        );
    }

    #[test]
    fn the_aggregated_form_says_the_same() {
        let list = aggregated("v2");
        assert_eq!(list["apiVersion"], "apidiscovery.k8s.io/v2");
        let apps = &list["items"][0]["versions"][0]["resources"][0];
        assert_eq!(apps["shortNames"], json!(["gapp"]));
        assert_eq!(apps["scope"], "Namespaced");
        assert_eq!(
            apps["subresources"][1],
            json!({
                "subresource": "events", "verbs": ["get"],
                "responseKind": {"group": "", "version": "v1", "kind": "Event"},
            })
        );
    }
}
