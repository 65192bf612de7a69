//! What a body would write that has a right of its own: `operation` (the right to `sync`) and the
//! annotations that ask for a refresh (the right to `refresh`). Existing clients write both through
//! the main resource; they may where they could use the subresource.

use serde_json::Value;

use super::body::Form;
use crate::api::application::{Application, Operation};
use crate::server::request::Subresource;
use crate::store::request::REFRESH_ANNOTATIONS;

/// What a body would write of what has a right of its own.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Claims {
    operation: Claim,
    /// Annotations and their new values; null removes.
    refresh: Vec<(String, Value)>,
    refresh_unclear: bool,
}

#[derive(Debug, Default, PartialEq)]
enum Claim {
    /// It is left as it is.
    #[default]
    Nothing,
    /// It becomes this; null removes.
    Becomes(Value),
    /// It changes in a way that only kube-apiserver can work out.
    Unclear,
}

impl Claims {
    /// Reads a body. An object states all of itself, so what it lacks is removed.
    pub(super) fn of(form: Form, body: &Value) -> Self {
        match form {
            Form::Object => Self::of_object(body),
            Form::Apply | Form::Merge => Self::of_partial(body),
            Form::JsonPatch => {
                let mut claims = Self::default();
                for operation in body.as_array().into_iter().flatten() {
                    claims.patched(operation);
                }
                claims
            }
        }
    }

    fn of_object(body: &Value) -> Self {
        Self { operation: Claim::Becomes(body["operation"].clone()), ..Self::of_partial(body) }
    }

    fn of_partial(body: &Value) -> Self {
        let operation = body.get("operation").cloned().map_or(Claim::Nothing, Claim::Becomes);
        Self { operation, refresh: refresh_of(&body["metadata"]["annotations"]), refresh_unclear: false }
    }

    /// Adds what one operation of a JSON patch does.
    fn patched(&mut self, operation: &Value) {
        let verb = operation["op"].as_str().unwrap_or_default();
        let path = tokens(&operation["path"]);
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let from = tokens(&operation["from"]);
        if verb == "move" && from.first().is_some_and(|token| token == "operation") {
            self.operation = Claim::Unclear;
        }
        let becomes = match verb {
            "add" | "replace" => Some(&operation["value"]),
            "remove" => Some(&Value::Null),
            "test" => return,
            _ => None,
        };
        match (path.as_slice(), becomes) {
            ([], Some(value)) => *self = Self::of_object(value),
            ([], None) => (self.operation, self.refresh_unclear) = (Claim::Unclear, true),
            (["operation"], Some(value)) => self.operation = Claim::Becomes(value.clone()),
            (["operation", ..], _) => self.operation = Claim::Unclear,
            (["metadata"], Some(value)) => self.refresh.extend(refresh_of(&value["annotations"])),
            (["metadata", "annotations"], Some(value)) => self.refresh.extend(refresh_of(value)),
            (["metadata"] | ["metadata", "annotations"], None) => self.refresh_unclear = true,
            (["metadata", "annotations", key], becomes) if REFRESH_ANNOTATIONS.contains(key) => match becomes
            {
                Some(value) => self.refresh.push(((*key).to_owned(), value.clone())),
                None => self.refresh_unclear = true,
            },
            _ => {}
        }
    }

    /// Says whether the stored object must be read to see what changes.
    pub(super) fn need_the_stored(&self) -> bool {
        matches!(self.operation, Claim::Becomes(_)) || !self.refresh.is_empty()
    }

    /// Returns the subresources whose right is needed to write this over `stored`. Withdrawing a
    /// request for a refresh needs none.
    pub(super) fn exceeding(&self, stored: Option<&Application>) -> Vec<Subresource> {
        let operation = match &self.operation {
            Claim::Nothing => false,
            Claim::Becomes(value) => !same_operation(value, stored.and_then(|app| app.operation.as_ref())),
            Claim::Unclear => true,
        };
        let annotations = stored.and_then(|app| app.metadata.annotations.as_ref());
        let refresh = self.refresh.iter().any(|(key, value)| {
            let now = annotations.and_then(|annotations| annotations.get(key)).map(String::as_str);
            !value.is_null() && value.as_str() != now
        });
        let needed =
            [(operation, Subresource::Sync), (refresh || self.refresh_unclear, Subresource::Refresh)];
        needed.into_iter().filter_map(|(needed, subresource)| needed.then_some(subresource)).collect()
    }
}

fn same_operation(value: &Value, stored: Option<&Operation>) -> bool {
    match stored {
        None => value.is_null(),
        Some(stored) => {
            serde_json::from_value::<Operation>(value.clone()).is_ok_and(|value| value == *stored)
        }
    }
}

fn refresh_of(annotations: &Value) -> Vec<(String, Value)> {
    let annotations = annotations.as_object().into_iter().flatten();
    annotations
        .filter(|(key, _)| REFRESH_ANNOTATIONS.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// Splits a JSON pointer as kube-apiserver's library does: what stands before the first slash is
/// passed over.
fn tokens(pointer: &Value) -> Vec<String> {
    let tokens = pointer.as_str().unwrap_or_default().split('/').skip(1);
    tokens.map(|token| token.replace("~1", "/").replace("~0", "~")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Subresource::{Refresh, Sync};
    use serde_json::json;

    fn check(form: Form, body: &Value, needed: &[Subresource]) {
        let stored = json!({"metadata": {"annotations": {"gitops/refresh": "hard", "note": "x"}},
            "spec": {"destination": {}, "project": "harbour"},
            "operation": {"sync": {"revision": "v1", "resources": []}}});
        let stored: Application = serde_json::from_value(stored).unwrap();
        assert_eq!(Claims::of(form, body).exceeding(Some(&stored)), needed, "{body}");
    }

    #[test]
    fn objects_need_a_right_for_what_they_change() {
        let same = json!({"metadata": {"annotations": {"gitops/refresh": "hard"}}, "operation": {"sync": {"revision": "v1"}}});
        check(Form::Object, &same, &[]);
        check(Form::Object, &json!({"operation": {"sync": {"revision": "v2"}}}), &[Sync]);
        check(Form::Object, &json!({"spec": {}}), &[Sync]);
        let annotations = json!({"gitops/refresh": "normal", "argocd.argoproj.io/refresh": "hard"});
        check(
            Form::Object,
            &json!({"metadata": {"annotations": annotations}, "operation": same["operation"]}),
            &[Refresh],
        );
    }

    #[test]
    fn new_objects_need_a_right_for_all_they_ask_for() {
        let check = |body: Value, needed: &[Subresource]| {
            assert_eq!(Claims::of(Form::Object, &body).exceeding(None), needed);
        };
        check(json!({"spec": {}}), &[]);
        check(json!({"operation": {"sync": {}}}), &[Sync]);
        check(json!({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}}), &[Refresh]);
    }

    #[test]
    fn partial_bodies_need_a_right_for_what_they_name() {
        for form in [Form::Merge, Form::Apply] {
            check(
                form,
                &json!({"spec": {"project": "harbour"}, "metadata": {"annotations": {"note": "y"}}}),
                &[],
            );
            check(form, &json!({"operation": null}), &[Sync]);
            check(form, &json!({"operation": {"info": []}}), &[Sync]);
            check(form, &json!({"metadata": {"annotations": {"gitops/refresh": "normal"}}}), &[Refresh]);
            check(form, &json!({"metadata": {"annotations": {"gitops/refresh": null}}}), &[]);
            check(
                form,
                &json!({"metadata": {"annotations": {"gitops/refresh-requested-at": "now"}}}),
                &[Refresh],
            );
        }
    }

    #[test]
    fn json_patches_need_a_right_for_where_they_reach() {
        let check = |patch: Value, needed: &[Subresource]| check(Form::JsonPatch, &json!([patch]), needed);
        check(json!({"op": "replace", "path": "/spec/project", "value": "x"}), &[]);
        check(json!({"op": "test", "path": "/operation", "value": {}}), &[]);
        check(json!({"op": "add", "path": "/operation", "value": {"sync": {}}}), &[Sync]);
        check(json!({"op": "add", "path": "/operation", "value": {"sync": {"revision": "v1"}}}), &[]);
        check(json!({"op": "add", "path": "odd/operation", "value": {}}), &[Sync]);
        check(json!({"op": "add", "path": "/operation/sync/prune", "value": true}), &[Sync]);
        check(json!({"op": "remove", "path": "/operation"}), &[Sync]);
        check(json!({"op": "move", "from": "/operation", "path": "/metadata/labels"}), &[Sync]);
        check(json!({"op": "copy", "from": "/spec", "path": "/operation"}), &[Sync]);
        check(json!({"op": "replace", "path": "", "value": {"spec": {}}}), &[Sync]);
        check(json!({"op": "copy", "from": "/spec", "path": ""}), &[Sync, Refresh]);
        check(
            json!({"op": "add", "path": "/metadata/annotations/gitops~1refresh", "value": "normal"}),
            &[Refresh],
        );
        check(json!({"op": "remove", "path": "/metadata/annotations/gitops~1refresh"}), &[]);
        check(
            json!({"op": "copy", "from": "/x", "path": "/metadata/annotations/gitops~1refresh"}),
            &[Refresh],
        );
        check(
            json!({"op": "add", "path": "/metadata/annotations", "value": {"gitops/refresh": "normal"}}),
            &[Refresh],
        );
        check(
            json!({"op": "add", "path": "/metadata", "value": {"annotations": {"gitops/refresh": "normal"}}}),
            &[Refresh],
        );
        check(json!({"op": "move", "from": "/spec", "path": "/metadata/annotations"}), &[Refresh]);
    }
}
