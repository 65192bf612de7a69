//! The OpenAPI documents of `gitops/v1`, by which `kubectl explain`, `apply` and client generators know us.
//!
//! Version 3 has the shape of the document that kube-apiserver makes for a CRD of the same schema, as
//! clients are used to that; version 2 (Swagger) is derived from it. Both are made from the types alone:
//! kube-apiserver holds a lock while it asks for them, so nothing may be looked up then.

mod components;
mod parameters;
mod paths;
mod v2;

use serde_json::{Value, json};

use super::names;

/// What references within a document of version 3 begin with.
const REFERENCE: &str = "#/components/schemas/";

/// Makes the document of version 3.
#[must_use]
pub fn v3() -> Value {
    json!({
        "openapi": "3.0.0",
        "info": {"title": "gitops", "version": names::VERSION},
        "paths": paths::all(),
        "components": {"schemas": components::all()},
    })
}

/// Makes the document of version 2.
#[must_use]
pub fn v2() -> Value {
    v2::of(&v3())
}

/// Names a kind of ours as the documents do.
fn group_version_kind(kind: &str) -> Value {
    json!({"group": names::GROUP, "kind": kind, "version": names::VERSION})
}

/// Names the component that holds a definition.
fn component(definition: &str) -> String {
    if super::schema::is_ours(definition) {
        format!("{}.{}.{definition}", names::GROUP, names::VERSION)
    } else {
        definition.into()
    }
}

/// Refers to the component that holds a definition.
fn reference(definition: &str) -> Value {
    json!({"$ref": format!("{REFERENCE}{}", component(definition))})
}

#[cfg(test)]
mod tests;
