//! The requests, in an order in which later ones meet the objects of earlier ones.

use serde_json::{Value, json};

/// One request to both sides, in our words.
pub(super) struct Row {
    pub(super) line: &'static str,
    pub(super) content_type: &'static str,
    pub(super) headers: &'static [(&'static str, &'static str)],
    pub(super) body: String,
    pub(super) difference: Difference,
}

/// How our answer differs from a CRD's.
pub(super) enum Difference {
    None,
    /// Ours contains this, for that reason.
    Known {
        ours: &'static str,
        why: &'static str,
    },
}

const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
const PATCH: &str = "application/json-patch+json";
const APPLY: &str = "application/apply-patch+yaml";
/// A difference in all refusals of content types.
const NO_PROTOBUF: (&str, &str) =
    ("accepted media types include: application/json, application/yaml\"", "bodies in protobuf are not read");
const TABLE: &[(&str, &str)] = &[("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
const OLD_TABLE: &[(&str, &str)] =
    &[("Accept", "application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json")];
const PARTIAL: &[(&str, &str)] =
    &[("Accept", "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json")];
const PARTIAL_PROTOBUF: &[(&str, &str)] = &[(
    "Accept",
    "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json",
)];
const PARTIAL_ONLY: &[(&str, &str)] =
    &[("Accept", "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1")];
const PARTIAL_LIST: &[(&str, &str)] =
    &[("Accept", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1")];

/// What can be sent: an object, or text that need not be one.
trait Body {
    fn text(self) -> String;
}

impl Body for Value {
    fn text(self) -> String {
        self.to_string()
    }
}

impl Body for &str {
    fn text(self) -> String {
        self.to_owned()
    }
}

impl Body for String {
    fn text(self) -> String {
        self
    }
}

fn row(line: &'static str, content_type: &'static str, body: impl Body) -> Row {
    Row { line, content_type, headers: &[], body: body.text(), difference: Difference::None }
}

fn get(line: &'static str) -> Row {
    row(line, "", "")
}

impl Row {
    fn accepting(self, headers: &'static [(&'static str, &'static str)]) -> Self {
        Self { headers, ..self }
    }

    fn differs(self, ours: &'static str, why: &'static str) -> Self {
        Self { difference: Difference::Known { ours, why }, ..self }
    }
}

/// An application that the controller leaves alone.
fn app(name: &str) -> Value {
    json!({"apiVersion": "gitops/v1", "kind": "Application",
        "metadata": {"name": name, "annotations": {"argocd.argoproj.io/skip-reconcile": "true"}},
        "spec": {"project": "conformance",
            "source": {"repoURL": "https://git.invalid/x.git", "path": "x"},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": "conformance"}}})
}

fn with(name: &str, pointer: &str, value: impl Into<Value>) -> Value {
    let mut app = app(name);
    let (parent, member) = pointer.rsplit_once('/').expect("a pointer has a slash");
    app.pointer_mut(parent).expect("the parent is there")[member] = value.into();
    app
}

fn without(name: &str, member: &str) -> Value {
    let mut app = app(name);
    app.as_object_mut().expect("an object").remove(member);
    app
}

/// All requests.
pub(super) fn rows() -> Vec<Row> {
    [creates(), reads(), watches(), updates(), patches(), applies(), deletes()]
        .into_iter()
        .flatten()
        .collect()
}

macro_rules! all {
    ($method:literal, $rest:literal) => {
        concat!($method, " /apis/gitops/v1/namespaces/conformance/applications", $rest)
    };
}

fn creates() -> Vec<Row> {
    let post = all!("POST", "");
    let strict = all!("POST", "?fieldValidation=Strict");
    vec![
        row(post, JSON, app("oak")),
        row(post, JSON, app("oak")),
        row(all!("POST", "?dryRun=All"), JSON, app("dry")),
        row(all!("POST", "?dryRun=true"), JSON, app("dry")),
        row(all!("POST", "?fieldManager=planter"), JSON, app("elm")),
        row(post, "", app("ash")),
        row(post, "text/plain", app("fir")).differs(NO_PROTOBUF.0, NO_PROTOBUF.1),
        row(post, "application/cbor", app("fir")).differs(NO_PROTOBUF.0, NO_PROTOBUF.1),
        row(post, JSON, "{"),
        row(post, JSON, "[]"),
        row(post, JSON, ""),
        row(post, JSON, without("fir", "kind")).differs(
            "Object 'Kind' is missing in",
            "the message ends with the first bytes of the stored object",
        ),
        row(post, JSON, without("fir", "apiVersion")),
        row(post, JSON, with("fir", "/apiVersion", "gitops/v2")),
        row(post, JSON, with("fir", "/apiVersion", "apps/v1")),
        row(post, JSON, with("fir", "/kind", "App")),
        row(post, JSON, with("fir", "/metadata/name", "")),
        row(post, JSON, with("fir", "/metadata/name", "Not_A_Name")),
        row(post, JSON, with("fir", "/metadata/namespace", "default")),
        row(post, JSON, with("fir", "/metadata/labels", json!({"a": 1}))),
        row(post, JSON, with("fir", "/metadata/labels", json!({"a b": "c"}))),
        row(post, JSON, with("fir", "/metadata/finalizers", json!(["nodomain"]))),
        row(post, JSON, with("fir", "/metadata/ownerReferences", json!([{"kind": "Pod", "name": "x"}]))),
        row(post, JSON, with("fir", "/metadata/resourceVersion", "1")),
        row(post, JSON, with("fir", "/spec/source/repoURL", json!(["a"]))),
        row(post, JSON, with("fir", "/spec/destination", 7)),
        row(post, JSON, without("fir", "spec")),
        row(post, JSON, with("pine", "/spec/bogus", true)),
        row(strict, JSON, with("fir", "/spec/bogus", true)),
        row(all!("POST", "?fieldValidation=Ignore"), JSON, with("yew", "/spec/bogus", true)),
        row(all!("POST", "?fieldValidation=Maybe"), JSON, app("fir")),
        row(
            strict,
            JSON,
            app("fir").to_string().replacen("\"kind\"", "\"kind\":\"Application\",\"kind\"", 1),
        ),
        row(post, "application/yaml", "apiVersion: gitops/v1\nkind: Application\nmetadata: {name: y}\n"),
        row(post, "application/yaml", "a: b: c\n").differs(
            "error decoding YAML",
            "YAML is read before kube-apiserver sees it, and the message names line and column",
        ),
        row(all!("POST", "/oak"), JSON, app("oak")).differs(
            "create is not supported on resources of kind",
            "as for the built-in kinds; a CRD creates by the name in the path",
        ),
        row("POST /apis/gitops/v1/applications", JSON, app("oak")),
        row("POST /apis/gitops/v1/namespaces/no-such-place/applications", JSON, app("oak"))
            .differs("spec.project", "the project is the namespace, and the spec names another one"),
        row(all!("POST", "?timeout=abc"), JSON, app("fir")),
    ]
}

fn reads() -> Vec<Row> {
    vec![
        get(all!("GET", "/oak")),
        get(all!("GET", "/none")),
        get(all!("GET", "/oak/none")).differs(
            "page not found",
            "as for the built-in kinds; a CRD says that the object does not exist",
        ),
        get("GET /apis/gitops/v1/none"),
        get(all!("GET", "/oak?resourceVersion=0")),
        get(all!("GET", "/oak/status")),
        get(all!("GET", "")),
        get("GET /apis/gitops/v1/namespaces/no-such-place/applications"),
        get(all!("GET", "?limit=1")),
        get(all!("GET", "?limit=abc")),
        get(all!("GET", "?continue=garbage")),
        get(all!("GET", "?resourceVersion=abc")),
        get(all!("GET", "?resourceVersionMatch=Exact")),
        get(all!("GET", "?resourceVersion=0&resourceVersionMatch=Exact")),
        get(all!("GET", "?resourceVersion=1&resourceVersionMatch=Sometimes")),
        get(all!("GET", "?sendInitialEvents=true")),
        get(all!("GET", "?labelSelector=a%20b%20c")),
        get(all!("GET", "?labelSelector=tier%3Dnone")),
        get(all!("GET", "?fieldSelector=metadata.name%3Doak")),
        get(all!("GET", "?fieldSelector=spec.project%3Doak")),
        get(all!("GET", "?fieldSelector=abc")),
        get(all!("GET", "/oak")).accepting(TABLE),
        get(all!("GET", "")).accepting(TABLE),
        get(all!("GET", "?limit=1")).accepting(OLD_TABLE),
        get(all!("GET", "?includeObject=Object")).accepting(TABLE),
        get(all!("GET", "?includeObject=None")).accepting(TABLE),
        get(all!("GET", "?includeObject=Some")).accepting(TABLE),
        get(all!("GET", "/none")).accepting(TABLE),
        get(all!("GET", "/oak")).accepting(PARTIAL),
        get(all!("GET", "/oak")).accepting(PARTIAL_PROTOBUF).differs(
            "\"kind\":\"PartialObjectMetadata\"",
            "we speak JSON only, which clients that prefer protobuf name second",
        ),
        get(all!("GET", "")).accepting(PARTIAL_LIST),
        get(all!("GET", "")).accepting(PARTIAL_ONLY),
        get(all!("GET", "/oak")).accepting(&[("Accept", "*/*")]),
        get(all!("GET", "/oak"))
            .accepting(&[("Accept", "text/html")])
            .differs("the following media types are accepted: application/json", "we speak JSON only"),
        get(all!("GET", "/oak"))
            .accepting(&[("Accept", "application/yaml")])
            .differs("the following media types are accepted: application/json", "we speak JSON only"),
        get("GET /apis/gitops/v1/applications?fieldSelector=metadata.namespace%3Dconformance"),
    ]
}

fn watches() -> Vec<Row> {
    vec![
        get(all!("GET", "?watch=true&timeoutSeconds=1&fieldSelector=metadata.name%3Doak")),
        get(all!("GET", "?watch=true&timeoutSeconds=1&resourceVersion=0&labelSelector=tier%3Dnone")),
        get(all!("GET", "?watch=true&timeoutSeconds=1&resourceVersion=1&fieldSelector=metadata.name%3Doak")),
        get(all!("GET", "?watch=true&timeoutSeconds=1&resourceVersion=abc")),
        get(all!("GET", "?watch=true&timeoutSeconds=abc")),
        get(all!(
            "GET",
            "?watch=true&timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&fieldSelector=metadata.name%3Doak"
        )),
        get(all!(
            "GET",
            "?watch=true&timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&fieldSelector=metadata.name%3Doak"
        ))
        .accepting(PARTIAL),
        get(all!(
            "GET",
            "?watch=true&timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&fieldSelector=metadata.name%3Doak"
        ))
        .accepting(TABLE),
        get(all!("GET", "?watch=true&sendInitialEvents=true")),
        get(all!("GET", "?watch=true&resourceVersionMatch=NotOlderThan")),
        get(all!("GET", "?watch=true&sendInitialEvents=true&resourceVersionMatch=Exact")),
        get(all!("GET", "/oak?watch=true")),
        get(all!("GET", "?watch=true&fieldSelector=spec.bogus%3Dx")),
    ]
}

fn updates() -> Vec<Row> {
    let put = all!("PUT", "/oak");
    vec![
        row(put, JSON, with("oak", "/metadata/resourceVersion", "{version}")),
        row(put, JSON, changed("oak", "two")),
        row(put, JSON, with("oak", "/metadata/resourceVersion", "1")),
        row(put, JSON, app("oak")),
        row(put, JSON, with("elm", "/metadata/resourceVersion", "{version}")),
        row(put, JSON, with("oak", "/metadata/namespace", "default")),
        row(put, JSON, wrong_uid("oak")),
        row(all!("PUT", "/none"), JSON, app("none")),
        row(all!("PUT", "/none"), JSON, with("none", "/metadata/resourceVersion", "1")),
        row(all!("PUT", ""), JSON, app("oak")),
        row(all!("PUT", "/oak?dryRun=All"), JSON, changed("oak", "dry")),
        row(all!("PUT", "/oak?fieldValidation=Strict"), JSON, with("oak", "/spec/bogus", 1)),
        row(all!("PUT", "/oak/status"), JSON, status("oak")),
        row(all!("POST", "/oak/status"), JSON, app("oak")),
        row(all!("DELETE", "/oak/status"), "", ""),
    ]
}

fn changed(name: &str, path: &str) -> Value {
    let mut app = with(name, "/spec/source/path", path);
    app["metadata"]["resourceVersion"] = "{version}".into();
    app
}

fn wrong_uid(name: &str) -> Value {
    let mut app = changed(name, "three");
    app["metadata"]["uid"] = "11111111-2222-4333-8444-555555555555".into();
    app
}

fn status(name: &str) -> Value {
    let mut app = changed(name, "four");
    app["status"] = json!({"summary": {"images": ["oak:1"]}});
    app
}

fn patches() -> Vec<Row> {
    let patch = all!("PATCH", "/oak");
    vec![
        row(patch, MERGE, json!({"metadata": {"labels": {"tier": "web"}}})),
        row(patch, MERGE, json!({"metadata": {"labels": {"tier": "web"}}})),
        row(patch, MERGE, json!({"spec": {"source": {"path": "merged"}}})),
        row(patch, MERGE, json!({"spec": {"destination": null}})),
        row(patch, MERGE, json!({"spec": {"bogus": 1}})),
        row(all!("PATCH", "/oak?fieldValidation=Strict"), MERGE, json!({"spec": {"bogus": 1}})),
        row(patch, MERGE, json!({"metadata": {"resourceVersion": "1"}})),
        row(patch, MERGE, json!({"metadata": {"name": "elm"}})),
        row(patch, MERGE, json!({"metadata": {"uid": "11111111-2222-4333-8444-555555555555"}})),
        row(patch, MERGE, json!({"kind": "App"})),
        row(patch, MERGE, "{"),
        row(patch, MERGE, "[]"),
        row(patch, PATCH, json!([{"op": "replace", "path": "/spec/source/path", "value": "jsonned"}])),
        row(patch, PATCH, json!([{"op": "test", "path": "/spec/source/path", "value": "no"}])),
        row(patch, PATCH, json!([{"op": "remove", "path": "/spec/none"}])),
        row(patch, PATCH, json!({"op": "remove"})),
        row(patch, PATCH, "["),
        row(patch, "application/strategic-merge-patch+json", json!({})),
        row(patch, JSON, json!({})),
        row(patch, "", json!({})),
        row(all!("PATCH", "/none"), MERGE, json!({"metadata": {"labels": {"a": "b"}}})),
        row(all!("PATCH", ""), MERGE, json!({})),
        row(all!("PATCH", "/oak?force=true"), MERGE, json!({})),
        row(
            all!("PATCH", "/oak?dryRun=All&fieldManager=dry"),
            MERGE,
            json!({"spec": {"source": {"path": "dry"}}}),
        ),
        row(all!("PATCH", "/oak/status"), MERGE, json!({"status": {"summary": {"images": ["oak:2"]}}})),
        get(all!("GET", "/oak")),
    ]
}

fn applies() -> Vec<Row> {
    let manager = all!("PATCH", "/box?fieldManager=one");
    vec![
        row(all!("PATCH", "/box"), APPLY, app("box")),
        row(manager, APPLY, app("box")),
        row(manager, APPLY, app("box")),
        row(all!("PATCH", "/box?fieldManager=two"), APPLY, with("box", "/spec/source/path", "two")),
        row(
            all!("PATCH", "/box?fieldManager=two&force=true"),
            APPLY,
            with("box", "/spec/source/path", "two"),
        ),
        row(manager, APPLY, with("box", "/spec/bogus", 1)),
        row(manager, APPLY, with("box", "/metadata/managedFields", json!([]))),
        row(manager, APPLY, with("box", "/metadata/managedFields", json!([{"manager": "x"}]))),
        row(manager, APPLY, with("box", "/apiVersion", "gitops/v2")),
        row(manager, APPLY, with("box", "/metadata/uid", "11111111-2222-4333-8444-555555555555")),
        row(
            all!("PATCH", "/none?fieldManager=one"),
            APPLY,
            with("none", "/metadata/uid", "11111111-2222-4333-8444-555555555555"),
        ),
        row(all!("PATCH", "/dry?fieldManager=one&dryRun=All"), APPLY, app("dry")),
        row(
            all!("PATCH", "/box/status?fieldManager=one"),
            APPLY,
            json!({"apiVersion": "gitops/v1", "kind": "Application", "status": {"summary": {"images": ["box:1"]}}}),
        ),
        row(
            all!("PATCH", "/box?fieldManager=one&fieldValidation=Strict"),
            APPLY,
            with("box", "/spec/bogus", 1),
        ),
        get(all!("GET", "/box")),
    ]
}

fn deletes() -> Vec<Row> {
    let elm = all!("DELETE", "/elm");
    let options =
        |member: &str, value: Value| json!({"kind": "DeleteOptions", "apiVersion": "v1", member: value});
    vec![
        row(all!("DELETE", "/none"), "", ""),
        row(elm, JSON, options("propagationPolicy", "Sideways".into())),
        row(elm, JSON, options("preconditions", json!({"uid": "11111111-2222-4333-8444-555555555555"}))),
        row(elm, JSON, options("preconditions", json!({"resourceVersion": "1"}))),
        row(elm, JSON, options("dryRun", json!(["All"]))),
        row(elm, JSON, options("dryRun", json!(["Some"]))),
        row(elm, JSON, json!({"kind": "App", "apiVersion": "v1"})),
        row(elm, JSON, "{"),
        row(elm, "text/plain", "x").differs(NO_PROTOBUF.0, NO_PROTOBUF.1),
        row(all!("DELETE", "/elm?dryRun=All"), "", ""),
        row(elm, JSON, options("preconditions", json!({"uid": "{uid}", "resourceVersion": "{version}"}))),
        row(all!("PATCH", "/ash"), MERGE, json!({"metadata": {"finalizers": ["e2e/hold"]}})),
        row(all!("DELETE", "/ash"), "", ""),
        row(all!("DELETE", "/ash"), "", ""),
        row(all!("POST", ""), JSON, app("ash")),
        row(all!("PATCH", "/ash"), MERGE, json!({"metadata": {"finalizers": ["e2e/hold", "e2e/more"]}})),
        row(all!("PATCH", "/ash"), MERGE, json!({"metadata": {"finalizers": null}})),
        row(all!("GET", "/ash"), "", ""),
        row(all!("DELETE", "?fieldSelector=spec.bogus%3Dx"), "", ""),
        row(all!("DELETE", "?dryRun=All&labelSelector=tier%3Dweb"), "", ""),
        row(all!("DELETE", "?labelSelector=tier%3Dweb"), "", ""),
        row(all!("DELETE", ""), JSON, options("propagationPolicy", "Background".into())),
        get(all!("GET", "")),
        row("DELETE /apis/gitops/v1/applications", "", ""),
    ]
}
