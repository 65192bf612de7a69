//! The roles and bindings that a cluster has from its start.

use serde_json::Value;

use crate::embedded::objects::{Objects, Options};
use crate::embedded::status::Status;

const MANAGER: &str = "kube-apiserver";

/// Creates the roles and bindings of a new cluster where they are missing. What was changed stays changed.
pub fn bootstrap(objects: &Objects, roles: &[Value]) -> Result<(), Status> {
    roles.iter().try_for_each(|object| create(objects, object))
}

fn create(objects: &Objects, object: &Value) -> Result<(), Status> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (api_version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    let Some(kind) = objects.kinds.of(group, version, &kind) else { return Ok(()) };
    let mut object = object.clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"] {
            metadata.remove(field);
        }
    }
    let namespace = text(&object["metadata"]["namespace"]);
    let options = Options { manager: MANAGER.into(), ..Options::default() };
    match objects.create(&kind, &namespace, object, &options) {
        Err(status) if status.code != 409 => Err(status),
        _ => Ok(()),
    }
}
