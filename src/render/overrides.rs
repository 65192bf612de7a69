//! `.argocd-source.yaml` and `.argocd-source-<application>.yaml` in the directory of a source: files
//! by which a repository changes the options of the source that reads it.

use serde_json::{Map, Value};

use super::follow::{Read, follow};
use super::{Error, Request};
use crate::api::application::ApplicationSource;
use crate::manifest::yaml;

/// What the files may change. Where to read from stays the choice of the Application.
const FIELDS: &[&str] = &["directory", "helm", "kustomize", "plugin"];
/// How large such a file may be.
const LIMIT: u64 = 1 << 20;

/// Returns the source as the files in `directory` change it.
pub(super) fn apply(
    request: &Request<'_>,
    directory: &str,
    read: &mut Read,
) -> Result<ApplicationSource, Error> {
    let mut source = request.source.clone();
    for name in names(request.application) {
        let path = if directory.is_empty() { name } else { format!("{directory}/{name}") };
        // Only what is there is noted: the id of the directory stands for what is not.
        if request.tree.entry(&path)?.is_none() {
            continue;
        }
        let Some((end, _)) = follow(request.tree, &path, read)? else { continue };
        let bytes = request.tree.read(&end, LIMIT)?;
        source = patched(&source, &bytes).map_err(|detail| Error::File { file: path, detail })?;
    }
    Ok(source)
}

/// Says whether a file of the directory is such a file, by its name.
pub(super) fn is_override(name: &str) -> bool {
    name.starts_with(".argocd-source") && name.ends_with(".yaml")
}

fn names(application: &str) -> [String; 2] {
    [".argocd-source.yaml".to_owned(), format!(".argocd-source-{application}.yaml")]
}

fn patched(source: &ApplicationSource, bytes: &[u8]) -> Result<ApplicationSource, String> {
    let documents = yaml::documents(bytes).map_err(|error| error.to_string())?;
    let Some(document) = documents.into_iter().next() else { return Ok(source.clone()) };
    let Value::Object(mut patch) = document else { return Err("it is not an object".into()) };
    patch.retain(|field, _| FIELDS.contains(&field.as_str()));
    let mut value = serde_json::to_value(source).map_err(|error| error.to_string())?;
    merge(&mut value, Value::Object(patch));
    serde_json::from_value(value).map_err(|error| error.to_string())
}

/// RFC 7396.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return };
    for (field, value) in patch {
        if value.is_null() {
            target.shift_remove(&field);
        } else {
            merge(target.entry(field).or_insert(Value::Null), value);
        }
    }
}
