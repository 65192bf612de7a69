//! Questions about rights, asked as objects that are created and never stored.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::accounts::strings;
use super::policy::{Dangling, Verdict, joined};
use super::rule::Rule;
use super::{Access, Attributes, User, tokens};
use crate::embedded::status::{Cause, Status};

const GROUP: &str = "authorization.k8s.io";

impl Access {
    /// Answers a review; nothing if `kind` is not one. `body` was decoded; of a `LocalSubjectAccessReview`, it
    /// says the namespace of the request.
    #[must_use]
    pub fn review(&self, kind: &str, body: &Value, user: &User) -> Option<Result<Value, Status>> {
        Some(match kind {
            "TokenReview" => self.review_token(body),
            "SelfSubjectReview" => Ok(self.review_self(body, user)),
            "SelfSubjectRulesReview" => self.review_rules(body, user),
            "SelfSubjectAccessReview" => found(&own_faults(body)).map(|()| self.review_access(body, user)),
            "SubjectAccessReview" | "LocalSubjectAccessReview" => {
                let faults = if kind.starts_with("Local") { local_faults(body) } else { faults(body) };
                found(&faults).map(|()| self.review_access(body, &subject(&body["spec"])))
            }
            _ => return None,
        })
    }

    fn review_token(&self, body: &Value) -> Result<Value, Status> {
        let token = body["spec"]["token"].as_str().unwrap_or_default();
        if token.is_empty() {
            return Err(Status::bad_request("token is required for TokenReview in authentication"));
        }
        let mut audiences = strings(&body["spec"]["audiences"]);
        if audiences.is_empty() {
            audiences.push(tokens::AUDIENCE.to_owned());
        }
        let status = match self.user_of(token, &audiences) {
            Ok(user) => json!({"authenticated": true, "user": user_info(&user), "audiences": audiences}),
            Err(rejected) => json!({"user": {}, "error": rejected.described()}),
        };
        Ok(answered(body, &status))
    }

    fn review_self(&self, body: &Value, user: &User) -> Value {
        let now = format!("{:.0}", (self.objects.clock)());
        json!({
            "kind": body["kind"], "apiVersion": body["apiVersion"],
            "metadata": {"creationTimestamp": now}, "status": {"userInfo": user_info(user)},
        })
    }

    fn review_rules(&self, body: &Value, user: &User) -> Result<Value, Status> {
        let namespace = body["spec"]["namespace"].as_str().unwrap_or_default();
        if namespace.is_empty() {
            return Err(Status::bad_request("no namespace on request"));
        }
        let (rules, dangling) = self.current.ask(|policy| policy.rules(user, namespace));
        let told = |part: fn(&Rule) -> bool| rules.iter().filter(move |rule| part(rule)).map(Rule::to_json);
        let mut status = json!({
            "resourceRules": told(|rule| !rule.resources.is_empty()).collect::<Vec<_>>(),
            "nonResourceRules": told(|rule| !rule.urls.is_empty()).collect::<Vec<_>>(),
            "incomplete": false,
        });
        if !dangling.is_empty() {
            status["evaluationError"] = joined(dangling.iter().map(Dangling::described).collect()).into();
        }
        Ok(json!({
            "kind": body["kind"], "apiVersion": body["apiVersion"],
            "metadata": {}, "spec": {}, "status": status,
        }))
    }

    fn review_access(&self, body: &Value, user: &User) -> Value {
        let (allowed, reason) = match self.decide(user, &attributes(&body["spec"])) {
            Verdict::Allowed(reason) => (true, reason),
            Verdict::Denied(reason) => (false, reason),
        };
        let mut status = json!({"allowed": allowed});
        if !reason.is_empty() {
            status["reason"] = reason.into();
        }
        answered(body, &status)
    }
}

/// Returns the review with its answer, in the order of fields that Kubernetes writes.
fn answered(body: &Value, status: &Value) -> Value {
    let metadata = if body["metadata"].is_object() { body["metadata"].clone() } else { json!({}) };
    json!({
        "kind": body["kind"], "apiVersion": body["apiVersion"],
        "metadata": metadata, "spec": body["spec"], "status": status,
    })
}

fn user_info(user: &User) -> Value {
    let User { name, uid, groups, extra } = user;
    let mut info = Map::new();
    info.insert("username".into(), name.as_str().into());
    if !uid.is_empty() {
        info.insert("uid".into(), uid.as_str().into());
    }
    if !groups.is_empty() {
        info.insert("groups".into(), json!(groups));
    }
    if !extra.is_empty() {
        info.insert("extra".into(), json!(extra));
    }
    info.into()
}

/// Reads the user whose rights are asked for.
fn subject(spec: &Value) -> User {
    let text = |field: &str| spec[field].as_str().unwrap_or_default().to_owned();
    let extra = spec["extra"].as_object().into_iter().flatten();
    let extra: BTreeMap<_, _> = extra.map(|(key, values)| (key.to_lowercase(), strings(values))).collect();
    User { name: text("user"), uid: text("uid"), groups: strings(&spec["groups"]), extra }
}

fn attributes(spec: &Value) -> Attributes {
    let (resource, other) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
    let of = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
    if resource.is_object() {
        return Attributes {
            verb: of(resource, "verb"),
            group: of(resource, "group"),
            version: of(resource, "version"),
            resource: of(resource, "resource"),
            subresource: of(resource, "subresource"),
            namespace: of(resource, "namespace"),
            name: of(resource, "name"),
            path: String::new(),
        };
    }
    Attributes { verb: of(other, "verb"), path: of(other, "path"), ..Attributes::default() }
}

fn found(faults: &[Cause]) -> Result<(), Status> {
    if faults.is_empty() { Ok(()) } else { Err(Status::invalid(GROUP, "", "", faults)) }
}

/// What is wrong with a review of somebody's rights.
fn faults(body: &Value) -> Vec<Cause> {
    let mut faults = spec_faults(body);
    faults.extend(metadata_fault(body, &[], "must be empty"));
    faults
}

fn own_faults(body: &Value) -> Vec<Cause> {
    let mut faults = Vec::from_iter(union_fault(&body["spec"]));
    faults.extend(metadata_fault(body, &[], "must be empty"));
    faults
}

fn local_faults(body: &Value) -> Vec<Cause> {
    let (spec, namespace) = (&body["spec"], body["metadata"]["namespace"].as_str().unwrap_or_default());
    let mut faults = spec_faults(body);
    faults.extend(metadata_fault(body, &["namespace"], "must be empty except for namespace"));
    if spec["resourceAttributes"].is_object() {
        let asked = spec["resourceAttributes"]["namespace"].as_str().unwrap_or_default();
        if asked != namespace {
            let message = format!("Invalid value: {asked:?}: must match metadata.namespace");
            faults.push(fault("spec.resourceAttributes.namespace", message));
        }
    }
    if spec["nonResourceAttributes"].is_object() {
        let message = format!("Invalid value: {}: disallowed on this kind of request", other(spec));
        faults.push(fault("spec.nonResourceAttributes", message));
    }
    faults
}

fn spec_faults(body: &Value) -> Vec<Cause> {
    let spec = &body["spec"];
    let mut faults = Vec::from_iter(union_fault(spec));
    let nobody = spec["user"].as_str().is_none_or(str::is_empty) && strings(&spec["groups"]).is_empty();
    if nobody {
        let message = "Invalid value: \"\": at least one of user or group must be specified";
        faults.push(fault("spec.user", message.into()));
    }
    faults
}

fn union_fault(spec: &Value) -> Option<Cause> {
    let wrong = spec["resourceAttributes"].is_object() == spec["nonResourceAttributes"].is_object();
    let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
    wrong.then(|| fault("spec", format!("Invalid value: {}: {why}", other(spec))))
}

fn metadata_fault(body: &Value, allowed: &[&str], why: &str) -> Option<Cause> {
    let fields = body["metadata"].as_object().into_iter().flatten();
    let wrong = fields
        .filter(|(field, value)| {
            !value.is_null() && *field != "managedFields" && !allowed.contains(&field.as_str())
        })
        .count();
    (wrong > 0).then(|| fault("metadata", format!("Invalid value: {}: {why}", body["metadata"])))
}

/// Writes `nonResourceAttributes` as Go does, whose type has other names for its fields.
fn other(spec: &Value) -> String {
    let other = &spec["nonResourceAttributes"];
    if !other.is_object() {
        return "null".to_owned();
    }
    let text = |field: &str| other[field].as_str().unwrap_or_default();
    json!({"Path": text("path"), "Verb": text("verb")}).to_string()
}

fn fault(field: &str, message: String) -> Cause {
    Cause { reason: "FieldValueInvalid", message, field: field.to_owned() }
}
