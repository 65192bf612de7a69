//! What a refused write means: the class that decisions need, and a text that says to a person what
//! to do. Pure. API servers quote rejected values, so that for Secrets only field names are kept.

use kube::core::Status;

use crate::cluster::ServiceAccount;
use crate::cluster::discovery::kinds::Resource;
use crate::cluster::request::Refusal;
use crate::engine::step::{Failure, Reason};
use crate::manifest::{Gvk, Key};

/// A request that was refused.
pub(crate) struct Attempt<'a> {
    /// The verb of rules of access, such as `patch`.
    pub(crate) verb: &'static str,
    pub(crate) resource: &'a Resource,
    pub(crate) key: &'a Key,
    /// On whose behalf it was made; `None` for ourselves.
    pub(crate) account: Option<&'a ServiceAccount>,
}

/// The cluster serves no such kind.
pub(crate) fn unknown_kind(gvk: &Gvk) -> Failure {
    let message = format!(
        "the cluster serves no {} in {}; install its CustomResourceDefinition or change the apiVersion",
        gvk.kind,
        gvk.api_version()
    );
    Failure { reason: Reason::UnknownKind, message }
}

/// Checks that the names can stand in a path; Kubernetes has the same rule.
pub(crate) fn check_names(key: &Key) -> Result<(), Failure> {
    for (field, name) in [("metadata.name", &key.name), ("metadata.namespace", &key.namespace)] {
        if [".", ".."].contains(&name.as_str()) || name.contains(['/', '%']) {
            let message = format!("{field}: {name:?} may not be . or .. and may not contain / or %");
            return Err(Failure { reason: Reason::Invalid, message });
        }
    }
    Ok(())
}

impl Attempt<'_> {
    /// Says why the request failed.
    pub(crate) fn failure(&self, refusal: &Refusal) -> Failure {
        match refusal {
            Refusal::Unreachable(cause) => Failure {
                reason: Reason::Unavailable,
                message: format!("the cluster did not answer: {cause}"),
            },
            Refusal::Status(status) if is_unserved(status) => unknown_kind(&self.resource.gvk),
            Refusal::Status(status) => Failure { reason: reason(status), message: self.message(status) },
        }
    }

    fn message(&self, status: &Status) -> String {
        if lacks_right(status) {
            return if status.message.contains("cannot impersonate") {
                self.missing_impersonation()
            } else {
                self.missing_right()
            };
        }
        if let Some(namespace) = missing_namespace(status) {
            return format!(
                "namespace {namespace:?} does not exist; create it or set the sync option CreateNamespace=true"
            );
        }
        if self.key.group.is_empty() && self.key.kind == "Secret" {
            return redacted(status);
        }
        match self.without_preamble(&status.message) {
            "" => format!("the API server answered {} {}", status.code, status.reason).trim_end().into(),
            message => message.into(),
        }
    }

    /// Drops what only names the object: its name stands beside the message.
    fn without_preamble<'m>(&self, message: &'m str) -> &'m str {
        let refused = ["invalid", "forbidden"]
            .iter()
            .find_map(|state| message.split_once(&format!("{:?} is {state}: ", self.key.name)))
            .filter(|(before, _)| !before.contains(": "));
        let untyped = message.starts_with(MISTYPED[0]).then(|| message.split_once("): ")).flatten();
        let unread = message.split_once(MISTYPED[1]).and_then(|(_, rest)| rest.split_once(": "));
        refused.or(untyped).or(unread).map_or(message, |(_, rest)| rest).trim()
    }

    fn missing_impersonation(&self) -> String {
        let name = self.account.map(ServiceAccount::name).unwrap_or_default();
        format!(
            "gitopsd itself may not act as service account {name:?}; its ClusterRole has to allow impersonate on \
             serviceaccounts"
        )
    }

    fn missing_right(&self) -> String {
        let resource = self.resource.qualified();
        let namespace = self.key.namespace.as_str();
        let place = if namespace.is_empty() { String::new() } else { format!(" in namespace {namespace:?}") };
        let Some(account) = self.account else {
            return format!("gitopsd itself may not {} {resource}{place}; extend its ClusterRole", self.verb);
        };
        let (home, name) = (account.namespace(), account.name());
        let grant = if namespace.is_empty() {
            format!(
                "kubectl create clusterrolebinding {home}-{name} --clusterrole=<role> --serviceaccount={home}:{name}"
            )
        } else {
            format!(
                "kubectl create rolebinding {name} --clusterrole=<role> --serviceaccount={home}:{name} -n {namespace}"
            )
        };
        let verb = self.verb;
        format!(
            "service account {name:?} of namespace {home:?} may not {verb} {resource}{place}; grant it a role \
             that allows this: {grant}"
        )
    }
}

/// Server-side apply reports what does not fit the schema as an internal error.
const MISTYPED: [&str; 2] =
    ["failed to create typed patch object", "unable to convert unstructured object to "];

fn reason(status: &Status) -> Reason {
    match (status.code, status.reason.as_str()) {
        (500, _) if MISTYPED.iter().any(|text| status.message.contains(text)) => Reason::Invalid,
        (403, _) if has_cause(status, "NamespaceTerminating") => Reason::NotFound,
        (403, _) => Reason::Forbidden,
        (404, _) => Reason::NotFound,
        (409, _) => Reason::Conflict,
        (400 | 413 | 415 | 422, _) => Reason::Invalid,
        (429 | 500..=599, _) => Reason::Unavailable,
        _ => Reason::Other,
    }
}

fn has_cause(status: &Status, reason: &str) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes.into_iter().any(|cause| cause.reason == reason)
}

/// An authorizer refuses with `User "x" cannot patch …`; quota and admission use the same code.
fn lacks_right(status: &Status) -> bool {
    status.code == 403 && status.message.contains("User \"") && status.message.contains("\" cannot ")
}

/// A path that nothing serves is answered without naming an object, by some servers as bare text.
fn is_unserved(status: &Status) -> bool {
    let names_something = status.details.as_ref().is_some_and(|details| !details.name.is_empty());
    status.code == 404 && !names_something
}

fn missing_namespace(status: &Status) -> Option<&str> {
    let details = status.details.as_ref()?;
    (status.code == 404 && details.kind == "namespaces").then_some(details.name.as_str())
}

/// Names the fields at fault without any value.
fn redacted(status: &Status) -> String {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let fields: Vec<_> = causes
        .filter(|cause| !cause.field.is_empty())
        .map(|cause| format!("{} ({})", cause.field, cause.reason))
        .collect();
    if !fields.is_empty() {
        return format!("the API server refused these fields: {}", fields.join(", "));
    }
    if let Some(field) = undeclared(&status.message) {
        return format!("{field}: field not declared in schema");
    }
    if status.message.contains("illegal base64 data") {
        return "a value under data is not base64; write plain text under stringData instead".into();
    }
    let word = if status.reason.is_empty() { "failure" } else { &status.reason };
    format!(
        "the API server answered {} {word}; its text is withheld, as it can quote the Secret",
        status.code
    )
}

/// Returns the path of a field that the schema does not have, if the message says nothing else.
fn undeclared(message: &str) -> Option<&str> {
    let (_, field) = message.strip_suffix(": field not declared in schema")?.split_once("): ")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    field.chars().all(plain).then_some(field)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Scope;
    use serde_json::json;

    fn check(kind: &str, status: serde_json::Value, reason: Reason, message: &str) {
        let resource = Resource {
            gvk: Gvk::new("v1", kind),
            plural: format!("{}s", kind.to_lowercase()),
            scope: Scope::Namespaced,
            verbs: Vec::new(),
        };
        let key =
            Key { group: String::new(), kind: kind.into(), namespace: "east".into(), name: "plums".into() };
        let account = ServiceAccount::new("orchard", "picker").unwrap();
        let attempt = Attempt { verb: "patch", resource: &resource, key: &key, account: Some(&account) };
        let refusal = Refusal::Status(serde_json::from_value(status).unwrap());
        assert_eq!(attempt.failure(&refusal), Failure { reason, message: message.into() });
    }

    #[test]
    fn invalid_objects_keep_the_reason_without_their_name() {
        let status = json!({"code": 422, "reason": "Invalid",
            "message": "Basket \"plums\" is invalid: spec.size: Invalid value: -1: must not be negative"});
        check("Basket", status, Reason::Invalid, "spec.size: Invalid value: -1: must not be negative");
        let status = json!({"code": 400, "reason": "BadRequest",
            "message": "strict decoding error: unknown field \"spec.sise\""});
        check("Basket", status, Reason::Invalid, "strict decoding error: unknown field \"spec.sise\"");
        let status = json!({"code": 500, "message":
            "failed to create typed patch object (east/plums; v1, Kind=Basket): .spec.sise: field not declared \
            in schema"});
        check("Basket", status, Reason::Invalid, ".spec.sise: field not declared in schema");
        let status = json!({"code": 500, "message": "failed to convert new object (east/plums; /v1, Kind=Basket) to \
            proper version: unable to convert unstructured object to /v1, Kind=Basket: quantities must match: a"});
        check("Basket", status, Reason::Invalid, "quantities must match: a");
    }

    #[test]
    fn a_missing_right_says_whose_and_how_to_grant_it() {
        let status = json!({"code": 403, "reason": "Forbidden", "message": "baskets \"plums\" is forbidden: \
            User \"system:serviceaccount:orchard:picker\" cannot patch resource \"baskets\" in API group \"\" \
            in the namespace \"east\""});
        let text = "service account \"picker\" of namespace \"orchard\" may not patch baskets in namespace \
                    \"east\"; grant it a role that allows this: kubectl create rolebinding picker \
                    --clusterrole=<role> --serviceaccount=orchard:picker -n east";
        check("Basket", status, Reason::Forbidden, text);
    }

    #[test]
    fn a_missing_right_of_our_own_is_not_blamed_on_the_account() {
        let status = json!({"code": 403, "reason": "Forbidden", "message": "serviceaccounts \"picker\" is forbidden: \
            User \"gitopsd\" cannot impersonate resource \"serviceaccounts\" in API group \"\" \
            in the namespace \"orchard\""});
        let text = "gitopsd itself may not act as service account \"picker\"; its ClusterRole has to allow \
                    impersonate on serviceaccounts";
        check("Basket", status, Reason::Forbidden, text);
    }

    #[test]
    fn other_prohibitions_keep_their_own_words() {
        let status = json!({"code": 403, "reason": "Forbidden",
            "message": "baskets \"plums\" is forbidden: exceeded quota: few-baskets"});
        check("Basket", status, Reason::Forbidden, "exceeded quota: few-baskets");
        let status = json!({"code": 403, "reason": "Forbidden", "message": "baskets \"plums\" is forbidden: unable \
            to create new content in namespace east because it is being terminated",
            "details": {"causes": [{"reason": "NamespaceTerminating", "field": "metadata.namespace"}]}});
        let text = "unable to create new content in namespace east because it is being terminated";
        check("Basket", status, Reason::NotFound, text);
    }

    #[test]
    fn what_is_not_found_is_told_apart() {
        let status = json!({"code": 404, "reason": "NotFound", "message": "namespaces \"east\" not found",
            "details": {"name": "east", "kind": "namespaces"}});
        let text = "namespace \"east\" does not exist; create it or set the sync option CreateNamespace=true";
        check("Basket", status, Reason::NotFound, text);
        let text = "the cluster serves no Basket in v1; install its CustomResourceDefinition or change the apiVersion";
        let status = json!({"code": 404, "reason": "NotFound",
            "message": "the server could not find the requested resource", "details": {}});
        check("Basket", status, Reason::UnknownKind, text);
        check("Basket", json!({"code": 404, "message": "404 page not found"}), Reason::UnknownKind, text);
    }

    #[test]
    fn a_secret_is_never_quoted() {
        let status = json!({"code": 422, "reason": "Invalid",
            "message": "Secret \"plums\" is invalid: data[pin]: Invalid value: \"hunter2\": bad",
            "details": {"causes": [{"reason": "FieldValueInvalid", "field": "data[pin]",
                "message": "Invalid value: \"hunter2\": bad"}]}});
        let text = "the API server refused these fields: data[pin] (FieldValueInvalid)";
        check("Secret", status, Reason::Invalid, text);
        let status = json!({"code": 500,
            "message": "failed to create typed patch object: .data: expected map, got hunter2"});
        let text = "the API server answered 500 failure; its text is withheld, as it can quote the Secret";
        check("Secret", status, Reason::Invalid, text);
        let status = json!({"code": 500, "message": "failed to create typed patch object (east/plums; /v1, \
            Kind=Secret): .dataa: field not declared in schema"});
        check("Secret", status, Reason::Invalid, ".dataa: field not declared in schema");
        let status = json!({"code": 500, "message": "failed to convert new object (east/plums; /v1, Kind=Secret) to \
            proper version: unable to convert unstructured object to /v1, Kind=Secret: error decoding from json: \
            illegal base64 data at input byte 3"});
        let text = "a value under data is not base64; write plain text under stringData instead";
        check("Secret", status, Reason::Invalid, text);
    }

    #[test]
    fn names_that_would_change_a_path_are_refused() {
        let check = |namespace: &str, name: &str, expected| {
            let key = Key {
                group: String::new(),
                kind: "Basket".into(),
                namespace: namespace.into(),
                name: name.into(),
            };
            assert_eq!(check_names(&key).is_ok(), expected, "{key}");
        };
        check("east", "system:plums.v1", true);
        check("", "plums", true);
        check("east", "../plums", false);
        check("..", "plums", false);
        check("east", "plums%2Fpears", false);
    }

    #[test]
    fn what_may_pass_is_unavailable() {
        let busy = json!({"code": 429, "reason": "TooManyRequests", "message": "too many requests"});
        check("Basket", busy, Reason::Unavailable, "too many requests");
        let silent = json!({"code": 503, "message": ""});
        check("Basket", silent, Reason::Unavailable, "the API server answered 503");
    }
}
