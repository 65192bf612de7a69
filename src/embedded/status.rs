//! Failures as Kubernetes words them: `metav1.Status`.

use serde_json::{Map, Value, json};

/// A failure.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// HTTP status code.
    pub code: u16,
    /// `reason`, such as `NotFound`; empty, where Kubernetes gives none.
    pub reason: &'static str,
    /// `message`.
    pub message: String,
    /// `details`, where there are any.
    pub details: Option<Value>,
}

/// One thing that is wrong with an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// `FieldValueInvalid`, `FieldValueRequired`, `FieldValueNotSupported`, `FieldManagerConflict`, …
    pub reason: &'static str,
    /// What is wrong, without the field: `Required value`, `Invalid value: "A": must be …`.
    pub message: String,
    /// The field: `spec.containers[0].image`.
    pub field: String,
}

impl Cause {
    /// A field that must not be given here.
    #[must_use]
    pub fn forbidden(field: &str, why: &str) -> Self {
        Self { reason: "FieldValueForbidden", message: format!("Forbidden: {why}"), field: field.into() }
    }
}

impl Status {
    /// A failure without details.
    #[must_use]
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: None }
    }

    /// 404: `deployments.apps "web" not found`. `resource` is the group resource, such as
    /// `deployments.apps`.
    #[must_use]
    pub fn not_found(resource: &str, name: &str) -> Self {
        Self::about(404, "NotFound", resource, name, format!("{resource} {name:?} not found"))
    }

    /// 409 `AlreadyExists`.
    #[must_use]
    pub fn already_exists(resource: &str, name: &str) -> Self {
        Self::about(409, "AlreadyExists", resource, name, format!("{resource} {name:?} already exists"))
    }

    /// 409 `Conflict`.
    #[must_use]
    pub fn conflict(resource: &str, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {resource} {name:?}: {why}");
        Self::about(409, "Conflict", resource, name, message)
    }

    /// 400 `BadRequest`.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 404 of a path that means nothing in a group that is served.
    #[must_use]
    pub fn unknown_path() -> Self {
        let message = "the server could not find the requested resource";
        Self { details: Some(json!({})), ..Self::new(404, "NotFound", message) }
    }

    /// 405 of a path that means something, but not with this method.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self { details: Some(json!({})), ..Self::new(405, "MethodNotAllowed", message) }
    }

    /// 422 `Invalid`, with its causes. `kind` is `Deployment.apps` in the message, and kind and group of
    /// the details.
    #[must_use]
    pub fn invalid(group: &str, kind: &str, name: &str, causes: &[Cause]) -> Self {
        let qualified = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let mut told: Vec<_> =
            causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
        told.dedup();
        let told = if told.len() == 1 { told.remove(0) } else { format!("[{}]", told.join(", ")) };
        let causes: Vec<_> = causes
            .iter()
            .map(|cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field}))
            .collect();
        let mut details = Map::new();
        for (key, value) in [("name", name), ("group", group), ("kind", kind)] {
            if !value.is_empty() {
                details.insert(key.into(), value.into());
            }
        }
        details.insert("causes".into(), causes.into());
        let message = format!("{qualified} {name:?} is invalid: {told}");
        Self { code: 422, reason: "Invalid", message, details: Some(details.into()) }
    }

    /// A failure about one object of a group resource.
    #[must_use]
    pub fn about(code: u16, reason: &'static str, resource: &str, name: &str, message: String) -> Self {
        let (plural, group) = resource.split_once('.').unwrap_or((resource, ""));
        let mut details = Map::new();
        for (key, value) in [("name", name), ("group", group), ("kind", plural)] {
            if !value.is_empty() {
                details.insert(key.into(), value.into());
            }
        }
        Self { code, reason, message, details: Some(details.into()) }
    }

    /// Returns the object that is answered.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message,
        });
        if !self.reason.is_empty() {
            status["reason"] = self.reason.into();
        }
        if let Some(details) = &self.details {
            status["details"] = details.clone();
        }
        status["code"] = self.code.into();
        status
    }
}
