//! The paths of the document with their operations.

use serde_json::{Map, Value, json};

use super::{group_version_kind, parameters, reference};
use crate::api::names;

const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
const PATCH: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";
const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";

/// What objects travel as.
const MEDIA_TYPES: [&str; 2] = ["application/json", "application/yaml"];
/// What patches travel as. Strategic merge is absent on purpose: kubectl would choose it.
const PATCH_TYPES: [&str; 3] =
    ["application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json"];

/// A kind as its paths see it.
struct Resource {
    kind: &'static str,
    plural: &'static str,
    scope: Scope,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Namespaced,
    Cluster,
}

/// Makes all paths.
pub(super) fn all() -> Map<String, Value> {
    let applications =
        Resource { kind: names::APPLICATION, plural: names::APPLICATIONS, scope: Scope::Namespaced };
    let projects = Resource { kind: names::PROJECT, plural: names::PROJECTS, scope: Scope::Cluster };
    let mut paths = Map::new();
    applications.add_all_namespaces(&mut paths);
    applications.add_standard(&mut paths);
    applications.add_own(&mut paths);
    projects.add_standard(&mut paths);
    paths
}

impl Resource {
    fn collection(&self) -> String {
        let scope = if self.scope == Scope::Namespaced { "/namespaces/{namespace}" } else { "" };
        format!("/apis/{}{scope}/{}", names::API_VERSION, self.plural)
    }

    fn add(&self, paths: &mut Map<String, Value>, path: String, operations: Vec<(&str, Value)>) {
        let mut item: Map<String, Value> =
            operations.into_iter().map(|(method, operation)| (method.to_owned(), operation)).collect();
        item.insert("parameters".into(), parameters::of_path(&path, self.kind));
        paths.insert(path, item.into());
    }

    /// The list over all namespaces.
    fn add_all_namespaces(&self, paths: &mut Map<String, Value>) {
        let path = format!("/apis/{}/{}", names::API_VERSION, self.plural);
        let mut list = self.list();
        list["operationId"] = format!("listGitopsV1{}ForAllNamespaces", self.kind).into();
        self.add(paths, path, vec![("get", list)]);
    }

    /// What every kind has: the collection, the object, and its status.
    fn add_standard(&self, paths: &mut Map<String, Value>) {
        let collection = self.collection();
        let item = format!("{collection}/{{name}}");
        let status = format!("{item}/{}", names::STATUS);
        let of_collection =
            vec![("get", self.list()), ("post", self.create()), ("delete", self.delete_collection())];
        self.add(paths, collection, of_collection);
        let mut of_item = self.access(Part::Object);
        of_item.push(("delete", self.delete()));
        self.add(paths, item, of_item);
        self.add(paths, status, self.access(Part::Status));
    }

    /// What only applications have.
    fn add_own(&self, paths: &mut Map<String, Value>) {
        let item = format!("{}/{{name}}", self.collection());
        self.add(paths, format!("{item}/{}", names::EVENTS), vec![("get", self.events())]);
        for (subresource, body, what) in [
            (names::REFRESH, "RefreshRequest", "compare the specified Application with its source again"),
            (names::SYNC, "SyncRequest", "sync the specified Application"),
        ] {
            self.add(paths, format!("{item}/{subresource}"), vec![("post", self.ask(body, what))]);
        }
    }

    fn list(&self) -> Value {
        let answer = [("200", reference(&format!("{}List", self.kind)))];
        let text = format!("list or watch objects of kind {}", self.kind);
        self.operation("list", &format!("list{}", self.id()), &text, &parameters::list(), &answer)
    }

    fn create(&self) -> Value {
        let answers = ["200", "201", "202"].map(|code| (code, reference(self.kind)));
        let text = format!("create a {}", self.kind);
        let mut operation =
            self.operation("post", &format!("create{}", self.id()), &text, &parameters::write(), &answers);
        operation["requestBody"] =
            json!({"content": content(&MEDIA_TYPES, &reference(self.kind)), "required": true});
        operation
    }

    fn delete_collection(&self) -> Value {
        let scope = if self.scope == Scope::Namespaced { "Namespaced" } else { "" };
        let id = format!("deleteGitopsV1Collection{scope}{}", self.kind);
        let text = format!("delete a collection of objects of kind {}", self.kind);
        self.operation("deletecollection", &id, &text, &parameters::list(), &[("200", reference(STATUS))])
    }

    fn delete(&self) -> Value {
        let answers = ["200", "202"].map(|code| (code, reference(STATUS)));
        let text = format!("delete a {}", self.kind);
        let mut operation =
            self.operation("delete", &format!("delete{}", self.id()), &text, &parameters::delete(), &answers);
        operation["requestBody"] = json!({"content": content(&MEDIA_TYPES, &reference(DELETE_OPTIONS))});
        operation
    }

    /// Reading, replacing and patching of an object or its status.
    fn access(&self, part: Part) -> Vec<(&'static str, Value)> {
        let (suffix, of) = match part {
            Part::Object => ("", ""),
            Part::Status => ("Status", "status of the "),
        };
        let id = |verb: &str| format!("{verb}{}{suffix}", self.id());
        let text = |verb: &str| format!("{verb} {of}the specified {}", self.kind);
        let object = reference(self.kind);
        let ok = [("200", object.clone())];
        let read = self.operation("get", &id("read"), &text("read"), &parameters::read(), &ok);
        let replaced = [("200", object.clone()), ("201", object.clone())];
        let mut replace =
            self.operation("put", &id("replace"), &text("replace"), &parameters::write(), &replaced);
        replace["requestBody"] = json!({"content": content(&MEDIA_TYPES, &object), "required": true});
        let mut patch =
            self.operation("patch", &id("patch"), &text("partially update"), &parameters::patch(), &ok);
        patch["requestBody"] = json!({"content": content(&PATCH_TYPES, &reference(PATCH)), "required": true});
        vec![("get", read), ("put", replace), ("patch", patch)]
    }

    fn events(&self) -> Value {
        let id = format!("read{}Events", self.id());
        let text = "read events of the specified Application and its objects, newest first";
        self.operation("get", &id, text, &parameters::events(), &[("200", reference("EventList"))])
    }

    fn ask(&self, body: &str, text: &str) -> Value {
        let id = format!("create{}{}", self.id(), body.trim_end_matches("Request"));
        let answers = [("201", reference(body)), ("409", reference(STATUS))];
        let mut operation = self.operation("post", &id, text, &parameters::ask(), &answers);
        operation["requestBody"] = json!({"content": content(&MEDIA_TYPES, &reference(body))});
        operation["x-kubernetes-group-version-kind"] = group_version_kind(body);
        operation
    }

    /// The part of an operation's id that names the kind.
    fn id(&self) -> String {
        let scope = if self.scope == Scope::Namespaced { "Namespaced" } else { "" };
        format!("GitopsV1{scope}{}", self.kind)
    }

    fn operation(
        &self,
        action: &str,
        id: &str,
        text: &str,
        parameters: &Value,
        answers: &[(&str, Value)],
    ) -> Value {
        let mut responses: Map<String, Value> = answers
            .iter()
            .map(|(code, schema)| {
                let answer = json!({"description": meaning(code), "content": content(&MEDIA_TYPES, schema)});
                ((*code).to_owned(), answer)
            })
            .collect();
        responses.insert("401".into(), json!({"description": "Unauthorized"}));
        json!({
            "tags": ["gitops_v1"],
            "description": text,
            "operationId": id,
            "parameters": parameters,
            "responses": responses,
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": group_version_kind(self.kind),
        })
    }
}

/// What of an object is read and written.
#[derive(Clone, Copy)]
enum Part {
    Object,
    Status,
}

fn meaning(code: &str) -> &'static str {
    match code {
        "201" => "Created",
        "202" => "Accepted",
        "409" => "Conflict",
        _ => "OK",
    }
}

fn content(media_types: &[&str], schema: &Value) -> Value {
    media_types.iter().map(|media_type| ((*media_type).to_owned(), json!({"schema": schema}))).collect()
}
