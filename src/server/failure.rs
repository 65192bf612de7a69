//! The one translation of everything that can go wrong in the server into the `metav1.Status` that
//! Kubernetes clients read: code, reason, message and details exactly as kube-apiserver words them
//! (`k8s.io/apimachinery/pkg/api/errors`). What went wrong is decided elsewhere.

use std::fmt;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Status, StatusCause, StatusDetails};

use super::request::Resource;
use crate::api::names::GROUP;

/// Media types that bodies and answers may have.
const MEDIA_TYPES: &str = "application/json, application/yaml";

/// A request that is answered with an error.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    body: Body,
}

#[derive(Debug, Clone, PartialEq)]
enum Body {
    Status(Box<Status>),
    /// Paths that no API serves are answered in text, as Go's HTTP library does.
    PageNotFound,
}

/// A resource or kind as messages name it: `applications.gitops`, `Application.gitops`, `namespaces`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject<'a> {
    /// API group; empty for the core group.
    pub group: &'a str,
    /// Plural of a resource, or a kind.
    pub word: &'a str,
}

impl<'a> Subject<'a> {
    /// Names a resource or kind of any group.
    #[must_use]
    pub fn new(word: &'a str, group: &'a str) -> Self {
        Self { group, word }
    }

    /// Names the kind of one of our resources, for messages about the content of objects.
    #[must_use]
    pub fn kind(resource: Resource) -> Subject<'static> {
        Subject { group: GROUP, word: resource.kind() }
    }
}

impl From<Resource> for Subject<'static> {
    fn from(resource: Resource) -> Self {
        Self { group: GROUP, word: resource.plural() }
    }
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word)?;
        if self.group.is_empty() { Ok(()) } else { write!(f, ".{}", self.group) }
    }
}

/// Returns a cause for [`Failure::invalid`]: `reason` is a word of the field errors
/// (`FieldValueRequired`, `FieldValueInvalid`, …), `message` comes without the field.
#[must_use]
pub fn cause(reason: &str, field: &str, message: impl Into<String>) -> StatusCause {
    StatusCause {
        reason: Some(reason.into()).filter(|reason: &String| !reason.is_empty()),
        field: Some(field.into()).filter(|field: &String| !field.is_empty()),
        message: Some(message.into()),
    }
}

impl Failure {
    fn new(code: StatusCode, reason: &str, message: impl Into<String>) -> Self {
        Self::from_status(Status {
            code: Some(i32::from(code.as_u16())),
            reason: Some(reason.into()),
            message: Some(message.into()),
            status: Some("Failure".into()),
            ..Status::default()
        })
    }

    /// Passes on a Status that was made elsewhere, for example by kube-apiserver.
    #[must_use]
    pub fn from_status(status: Status) -> Self {
        Self { body: Body::Status(Box::new(status)) }
    }

    fn details(mut self, change: impl FnOnce(&mut StatusDetails)) -> Self {
        if let Body::Status(status) = &mut self.body {
            change(status.details.get_or_insert_default());
        }
        self
    }

    fn about(self, subject: Subject<'_>, name: &str) -> Self {
        self.details(|details| {
            details.group = Some(subject.group.into()).filter(|group: &String| !group.is_empty());
            details.kind = Some(subject.word.into()).filter(|kind: &String| !kind.is_empty());
            details.name = Some(name.into()).filter(|name: &String| !name.is_empty());
        })
    }

    /// Adds causes.
    #[must_use]
    pub fn with_causes(self, causes: Vec<StatusCause>) -> Self {
        if causes.is_empty() { self } else { self.details(|details| details.causes = Some(causes)) }
    }

    /// Asks the client to come back after `seconds`, in the details and as the header `Retry-After`.
    #[must_use]
    pub fn with_retry_after(self, seconds: i32) -> Self {
        self.details(|details| details.retry_after_seconds = Some(seconds))
    }

    /// 400: the request makes no sense.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// 401: the caller's credentials are not valid.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized")
    }

    /// 403: `why` says which right is missing or what forbids it.
    #[must_use]
    pub fn forbidden<'a>(subject: impl Into<Subject<'a>>, name: &str, why: impl fmt::Display) -> Self {
        let subject = subject.into();
        let message = if name.is_empty() {
            format!("{subject} is forbidden: {why}")
        } else {
            format!("{subject} {name:?} is forbidden: {why}")
        };
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message).about(subject, name)
    }

    /// 403 for something that is not a resource.
    #[must_use]
    pub fn forbidden_path(why: impl fmt::Display) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Forbidden", format!("forbidden: {why}")).details(|_| {})
    }

    /// 403: nothing can be created in a namespace that is going away.
    #[must_use]
    pub fn namespace_terminating<'a>(subject: impl Into<Subject<'a>>, name: &str, namespace: &str) -> Self {
        let why =
            format!("unable to create new content in namespace {namespace} because it is being terminated");
        let cause = cause(
            "NamespaceTerminating",
            "metadata.namespace",
            format!("namespace {namespace} is being terminated"),
        );
        Self::forbidden(subject, name, why).with_causes(vec![cause])
    }

    /// 404: no object of that name.
    #[must_use]
    pub fn not_found<'a>(subject: impl Into<Subject<'a>>, name: &str) -> Self {
        let subject = subject.into();
        Self::new(StatusCode::NOT_FOUND, "NotFound", format!("{subject} {name:?} not found"))
            .about(subject, name)
    }

    /// 404 in text: nothing is served on that path.
    #[must_use]
    pub fn page_not_found() -> Self {
        Self { body: Body::PageNotFound }
    }

    /// 405: `verb` is a word of Kubernetes RBAC.
    #[must_use]
    pub fn method_not_supported<'a>(subject: impl Into<Subject<'a>>, verb: &str) -> Self {
        let subject = subject.into();
        let message = format!("{verb} is not supported on resources of kind \"{subject}\"");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message).about(subject, "")
    }

    /// 406: none of the media types that the client accepts can be made.
    #[must_use]
    pub fn not_acceptable() -> Self {
        Self::not_acceptable_because(format!("only the following media types are accepted: {MEDIA_TYPES}"))
    }

    /// 406 with another text, for example for watches or tables.
    #[must_use]
    pub fn not_acceptable_because(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message)
    }

    /// 409: an object of that name exists.
    #[must_use]
    pub fn already_exists<'a>(subject: impl Into<Subject<'a>>, name: &str) -> Self {
        Self::taken(subject.into(), name, format_args!(""), format_args!(""))
    }

    /// 409: an object of that name exists and is going away.
    #[must_use]
    pub fn already_exists_deleting<'a>(subject: impl Into<Subject<'a>>, name: &str) -> Self {
        Self::taken(subject.into(), name, format_args!("object is being deleted: "), format_args!(""))
    }

    /// 409: no free name was found for `generateName`.
    #[must_use]
    pub fn generated_name_taken<'a>(subject: impl Into<Subject<'a>>, name: &str) -> Self {
        let suffix = format_args!(", the server was not able to generate a unique name for the object");
        Self::taken(subject.into(), name, format_args!(""), suffix).with_retry_after(1)
    }

    fn taken(
        subject: Subject<'_>,
        name: &str,
        prefix: fmt::Arguments<'_>,
        suffix: fmt::Arguments<'_>,
    ) -> Self {
        let message = format!("{prefix}{subject} {name:?} already exists{suffix}");
        Self::new(StatusCode::CONFLICT, "AlreadyExists", message).about(subject, name)
    }

    /// 409: the object is not in the state that the request assumes.
    #[must_use]
    pub fn conflict<'a>(subject: impl Into<Subject<'a>>, name: &str, why: impl fmt::Display) -> Self {
        let subject = subject.into();
        let message = format!("Operation cannot be fulfilled on {subject} {name:?}: {why}");
        Self::new(StatusCode::CONFLICT, "Conflict", message).about(subject, name)
    }

    /// 409: the object has another resource version than the request says.
    #[must_use]
    pub fn modified<'a>(subject: impl Into<Subject<'a>>, name: &str) -> Self {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(subject, name, why)
    }

    /// 409: server-side apply would take fields from other managers.
    #[must_use]
    pub fn apply_conflict(message: impl Into<String>, causes: Vec<StatusCause>) -> Self {
        Self::new(StatusCode::CONFLICT, "Conflict", message).with_causes(causes)
    }

    /// 410: the resource version or continue token is too old.
    #[must_use]
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "Expired", message)
    }

    /// 413: the body has more than `limit` bytes.
    #[must_use]
    pub fn body_too_large(limit: usize) -> Self {
        Self::too_large(format!("limit is {limit}"))
    }

    /// 413 for other reasons, such as a patch of too many operations.
    #[must_use]
    pub fn too_large(why: impl fmt::Display) -> Self {
        let message = format!("Request entity is too large: {why}");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message)
    }

    /// 415: the body is not JSON or YAML.
    #[must_use]
    pub fn unsupported_body() -> Self {
        Self::unsupported_media_type(MEDIA_TYPES)
    }

    /// 415: the body is of another type than `accepted` lists.
    #[must_use]
    pub fn unsupported_media_type(accepted: &str) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {accepted}"
        );
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
    }

    /// 422: the content of an object is not valid; `subject` names its kind.
    #[must_use]
    pub fn invalid(subject: Subject<'_>, name: &str, causes: Vec<StatusCause>) -> Self {
        let message = format!("{subject} {name:?} is invalid: {}", sentence(&causes));
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message)
            .about(subject, name)
            .with_causes(causes)
    }

    /// 422: query parameters are not valid; `kind` is `ListOptions`, `CreateOptions`, ….
    #[must_use]
    pub fn invalid_options(kind: &str, causes: Vec<StatusCause>) -> Self {
        Self::invalid(Subject::new(kind, "meta.k8s.io"), "", causes)
    }

    /// 422: a JSON patch does not fit the object.
    #[must_use]
    pub fn unprocessable_patch() -> Self {
        let message = "the server rejected our request due to an error in our request";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message).details(|_| {})
    }

    /// 429: too many requests are being answered already.
    #[must_use]
    pub fn too_many_requests() -> Self {
        let message = "Too many requests, please try again later.";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message).with_retry_after(1)
    }

    /// 500: the fault is on this side. `why` is shown to the client, so it must carry no secrets.
    #[must_use]
    pub fn internal(why: impl fmt::Display) -> Self {
        let why = why.to_string();
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalError",
            format!("Internal error occurred: {why}"),
        )
        .with_causes(vec![cause("", "", why)])
    }

    /// 503: something that we need does not answer.
    #[must_use]
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", message)
    }

    /// 504: not done in time.
    #[must_use]
    pub fn timeout(why: impl fmt::Display) -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", format!("Timeout: {why}")).details(|_| {})
    }

    /// 504: the asked resource version lies in the future.
    #[must_use]
    pub fn resource_version_too_large(asked: u64, current: u64) -> Self {
        let cause = cause("ResourceVersionTooLarge", "", "Too large resource version");
        Self::timeout(format_args!("Too large resource version: {asked}, current: {current}"))
            .with_causes(vec![cause])
            .with_retry_after(1)
    }

    /// Returns the code of the answer.
    #[must_use]
    pub fn code(&self) -> StatusCode {
        match &self.body {
            Body::Status(status) => status
                .code
                .and_then(|code| u16::try_from(code).ok())
                .and_then(|code| StatusCode::from_u16(code).ok())
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            Body::PageNotFound => StatusCode::NOT_FOUND,
        }
    }

    /// Returns the Status, for example to send it as the `ERROR` event of a watch.
    #[must_use]
    pub fn status(&self) -> Option<&Status> {
        match &self.body {
            Body::Status(status) => Some(status),
            Body::PageNotFound => None,
        }
    }

    fn message(&self) -> &str {
        match &self.body {
            Body::Status(status) => status.message.as_deref().unwrap_or_default(),
            Body::PageNotFound => "404 page not found",
        }
    }

    fn retry_after(&self) -> Option<HeaderValue> {
        let seconds = self.status()?.details.as_ref()?.retry_after_seconds?;
        (seconds > 0).then(|| HeaderValue::from(seconds))
    }
}

/// One finding stands alone, several stand in brackets; the same finding is said once.
fn sentence(causes: &[StatusCause]) -> String {
    let mut findings: Vec<String> = Vec::with_capacity(causes.len());
    for StatusCause { field, message, .. } in causes {
        let message = message.as_deref().unwrap_or_default();
        let finding = match field {
            Some(field) => format!("{field}: {message}"),
            None => message.to_owned(),
        };
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
    match findings.as_slice() {
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for Failure {}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let code = self.code();
        let retry_after = self.retry_after();
        let (content_type, body) = match &self.body {
            Body::Status(status) => ("application/json", serde_json::to_vec(status).unwrap_or_default()),
            Body::PageNotFound => ("text/plain; charset=utf-8", b"404 page not found\n".to_vec()),
        };
        let mut response = (code, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const APPS: Resource = Resource::Applications;

    #[track_caller]
    fn check(failure: &Failure, code: u16, reason: &str, message: &str, details: Value) {
        let response = failure.clone().into_response();
        assert_eq!(response.status().as_u16(), code);
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        assert_eq!(response.headers()["cache-control"], "no-cache, private");
        let mut expected = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": reason, "code": code,
        });
        if !details.is_null() {
            expected["details"] = details;
        }
        assert_eq!(serde_json::to_value(failure.status()).unwrap(), expected);
    }

    #[test]
    fn words_are_those_of_kube_apiserver() {
        let named = json!({"name": "shop", "group": "gitops", "kind": "applications"});
        check(&Failure::unauthorized(), 401, "Unauthorized", "Unauthorized", Value::Null);
        check(
            &Failure::forbidden(APPS, "shop", "no"),
            403,
            "Forbidden",
            "applications.gitops \"shop\" is forbidden: no",
            named.clone(),
        );
        check(
            &Failure::forbidden(APPS, "", "no"),
            403,
            "Forbidden",
            "applications.gitops is forbidden: no",
            json!({"group": "gitops", "kind": "applications"}),
        );
        check(&Failure::forbidden_path("no"), 403, "Forbidden", "forbidden: no", json!({}));
        check(
            &Failure::not_found(APPS, "shop"),
            404,
            "NotFound",
            "applications.gitops \"shop\" not found",
            named.clone(),
        );
        check(
            &Failure::not_found(Subject::new("namespaces", ""), "away"),
            404,
            "NotFound",
            "namespaces \"away\" not found",
            json!({"name": "away", "kind": "namespaces"}),
        );
        check(
            &Failure::method_not_supported(APPS, "create"),
            405,
            "MethodNotAllowed",
            "create is not supported on resources of kind \"applications.gitops\"",
            json!({"group": "gitops", "kind": "applications"}),
        );
        check(
            &Failure::modified(APPS, "shop"),
            409,
            "Conflict",
            "Operation cannot be fulfilled on applications.gitops \"shop\": the object has been modified; \
             please apply your changes to the latest version and try again",
            named.clone(),
        );
        check(
            &Failure::already_exists_deleting(APPS, "shop"),
            409,
            "AlreadyExists",
            "object is being deleted: applications.gitops \"shop\" already exists",
            named,
        );
        check(
            &Failure::body_too_large(3),
            413,
            "RequestEntityTooLarge",
            "Request entity is too large: limit is 3",
            Value::Null,
        );
        check(
            &Failure::internal("no answer"),
            500,
            "InternalError",
            "Internal error occurred: no answer",
            json!({"causes": [{"message": "no answer"}]}),
        );
        check(
            &Failure::resource_version_too_large(99, 7),
            504,
            "Timeout",
            "Timeout: Too large resource version: 99, current: 7",
            json!({
                "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
                "retryAfterSeconds": 1,
            }),
        );
    }

    #[test]
    fn findings_are_listed_once_with_their_fields() {
        let required = || cause("FieldValueRequired", "metadata.name", "Required value: name it");
        let one = Failure::invalid(Subject::kind(APPS), "", vec![required()]);
        assert_eq!(
            one.to_string(),
            "Application.gitops \"\" is invalid: metadata.name: Required value: name it"
        );
        let mixed = vec![required(), required(), cause("FieldValueInvalid", "spec", "Invalid value: 1")];
        let two = Failure::invalid_options("ListOptions", mixed);
        assert_eq!(
            two.to_string(),
            "ListOptions.meta.k8s.io \"\" is invalid: [metadata.name: Required value: name it, spec: Invalid value: 1]"
        );
    }

    #[test]
    fn clients_are_told_when_to_come_back() {
        let response = Failure::too_many_requests().into_response();
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["retry-after"], "1");
        assert!(!Failure::unauthorized().into_response().headers().contains_key("retry-after"));
    }

    #[test]
    fn unknown_paths_are_answered_in_text() {
        let response = Failure::page_not_found().into_response();
        assert_eq!(response.status(), 404);
        assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
    }
}
