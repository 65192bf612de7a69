//! Tokens of the service accounts that exist: giving them out, and finding out whose they are.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::tokens::{AUDIENCE, Bound, Claims, Ref, Rejected};
use super::{Access, CREDENTIAL, User, account_groups, account_name};
use crate::embedded::status::{Cause, Status};
use crate::embedded::storage::Key;

const SHORTEST: i64 = 600;
const LONGEST: i64 = 1 << 32;
const USUAL: i64 = 3600;
/// Group resource and kind under which failures of requests are told.
const REQUEST: &str = "TokenRequest.authentication.k8s.io";

/// An object that a token can be bound to.
enum Holder {
    None,
    Pod(Value),
    Node(Value),
    Secret(Value),
}

impl Access {
    /// Answers `POST …/serviceaccounts/NAME/token`: the `TokenRequest` with its token.
    pub fn request_token(&self, namespace: &str, name: &str, request: &Value) -> Result<Value, Status> {
        let now = (self.objects.clock)();
        let asked = |field: &str| request["metadata"][field].as_str().unwrap_or_default().to_owned();
        for (field, expected) in [("name", name), ("namespace", namespace)] {
            let (given, path) = (asked(field), format!("metadata.{field}"));
            if !given.is_empty() && given != expected {
                let message =
                    format!("Invalid value: {given:?}: must match the service account {field} if specified");
                return Err(invalid(name, &path, message));
            }
        }
        let account = self.read("serviceaccounts", namespace, name);
        let account = account.ok_or_else(|| Status::not_found("serviceaccounts", name))?;
        let account = reference(&account);
        let uid = asked("uid");
        if !uid.is_empty() && uid != account.uid {
            let why = format!(
                "the UID in the token request ({uid}) does not match the UID of the service account ({})",
                account.uid
            );
            return Err(Status::conflict(REQUEST, name, &why));
        }
        let spec = &request["spec"];
        let seconds = spec["expirationSeconds"].as_i64().unwrap_or(USUAL);
        let wrong = match seconds {
            ..SHORTEST => "less than 10 minutes",
            SHORTEST..=LONGEST => "",
            _ => "larger than 2^32 seconds",
        };
        if !wrong.is_empty() {
            let message = format!("Invalid value: {seconds}: may not specify a duration {wrong}");
            return Err(invalid("", "spec.expirationSeconds", message));
        }
        let mut audiences: Vec<String> = strings(&spec["audiences"]);
        if audiences.is_empty() {
            audiences.push(AUDIENCE.to_owned());
        }
        let holder = self.holder(namespace, name, &spec["boundObjectRef"])?;
        let bound = bound(namespace, account.clone(), &holder, self);
        let token = self.tokens.sign(&claims(bound, audiences.clone(), seconds, now));
        let spec = json!({
            "audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": request["spec"]["boundObjectRef"],
        });
        let expires = now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX);
        Ok(json!({
            "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
            "metadata": metadata(&request["metadata"], &account, namespace, now), "spec": spec,
            "status": {"token": token, "expirationTimestamp": format!("{expires:.0}")},
        }))
    }

    /// Finds what a request wants its token to be bound to.
    fn holder(&self, namespace: &str, account: &str, wanted: &Value) -> Result<Holder, Status> {
        if wanted.is_null() {
            return Ok(Holder::None);
        }
        let text = |field: &str| wanted[field].as_str().unwrap_or_default();
        let (name, uid, kind) = (text("name"), text("uid"), text("kind"));
        let (group, version) = text("apiVersion").split_once('/').unwrap_or(("", text("apiVersion")));
        let (resource, place) = match (group, kind) {
            ("", "Pod") => ("pods", namespace),
            ("", "Secret") => ("secrets", namespace),
            ("", "Node") => ("nodes", ""),
            _ => {
                let what = format!("cannot bind token to object of type {group}/{version}, Kind={kind}");
                return Err(Status::bad_request(what));
            }
        };
        let object = self.read(resource, place, name).ok_or_else(|| Status::not_found(resource, name))?;
        if kind == "Pod" && object["spec"]["serviceAccountName"] != account {
            return Err(Status::bad_request(format!(
                "cannot bind token for serviceaccount {account:?} to pod running with different serviceaccount name."
            )));
        }
        let own = reference(&object).uid;
        if !uid.is_empty() && uid != own {
            let why = format!(
                "the UID in the bound object reference ({own}) does not match the UID in record. The object might have been deleted and then recreated"
            );
            return Err(Status::conflict(kind, name, &why));
        }
        Ok(match kind {
            "Pod" => Holder::Pod(object),
            "Node" => Holder::Node(object),
            _ => Holder::Secret(object),
        })
    }

    /// Finds out whose token this is.
    pub(super) fn user_of(&self, token: &str, audiences: &[String]) -> Result<User, Rejected> {
        let claims = self.tokens.verify(token, audiences, (self.objects.clock)())?;
        let Bound { namespace, node, pod, secret, account } = &claims.bound;
        let found = self.read("serviceaccounts", namespace, &account.name);
        let found = found
            .ok_or_else(|| Rejected::Bad(Status::not_found("serviceaccounts", &account.name).message))?;
        let uid = reference(&found).uid;
        if uid != account.uid {
            let why = format!("service account UID ({uid}) does not match claim ({})", account.uid);
            return Err(Rejected::Bad(why));
        }
        // The node of a Pod's token only tells where it runs.
        let alone = node.as_ref().filter(|_| pod.is_none());
        let holders = [
            ("pods", namespace.as_str(), pod.as_ref()),
            ("secrets", namespace, secret.as_ref()),
            ("nodes", "", alone),
        ];
        for (resource, place, holder) in holders {
            let gone = |holder: &Ref| {
                self.read(resource, place, &holder.name)
                    .is_none_or(|found| reference(&found).uid != holder.uid)
            };
            if holder.is_some_and(gone) {
                return Err(Rejected::bad("service account token has been invalidated"));
            }
        }
        let mut extra = BTreeMap::from([(CREDENTIAL.to_owned(), vec![format!("JTI={}", claims.id)])]);
        for (what, holder) in [("node", node), ("pod", pod)] {
            if let Some(Ref { name, uid }) = holder {
                extra.insert(format!("authentication.kubernetes.io/{what}-name"), vec![name.clone()]);
                extra.insert(format!("authentication.kubernetes.io/{what}-uid"), vec![uid.clone()]);
            }
        }
        let name = account_name(namespace, &account.name);
        Ok(User { name, uid, groups: account_groups(namespace), extra }.sorted_in())
    }

    fn read(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        let key = Key { resource: resource.into(), namespace: namespace.into(), name: name.into() };
        let entry = self.objects.storage.get(&key)?;
        serde_json::from_slice(&entry.json).ok()
    }
}

fn claims(bound: Bound, audiences: Vec<String>, seconds: i64, now: Timestamp) -> Claims {
    let now = now.as_second();
    Claims {
        audiences,
        expires: now + seconds,
        issued: now,
        issuer: AUDIENCE.into(),
        id: uuid::Uuid::new_v4().to_string(),
        not_before: now,
        subject: account_name(&bound.namespace, &bound.account.name),
        bound,
    }
}

fn bound(namespace: &str, account: Ref, holder: &Holder, access: &Access) -> Bound {
    let mut bound = Bound { namespace: namespace.to_owned(), node: None, pod: None, secret: None, account };
    match holder {
        Holder::None => {}
        Holder::Pod(pod) => {
            bound.pod = Some(reference(pod));
            let node = pod["spec"]["nodeName"].as_str();
            bound.node = node.and_then(|node| access.read("nodes", "", node)).as_ref().map(reference);
        }
        Holder::Node(node) => bound.node = Some(reference(node)),
        Holder::Secret(secret) => bound.secret = Some(reference(secret)),
    }
    bound
}

/// Returns the metadata of an answer.
fn metadata(asked: &Value, account: &Ref, namespace: &str, now: Timestamp) -> Value {
    let mut metadata = json!({
        "name": account.name, "namespace": namespace, "uid": account.uid, "creationTimestamp": format!("{now:.0}"),
    });
    for (field, value) in asked.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        if metadata[field].is_null() {
            metadata[field] = value.clone();
        }
    }
    metadata
}

fn reference(object: &Value) -> Ref {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    Ref { name: text("name"), uid: text("uid") }
}

/// Reads a list of strings.
pub(super) fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn invalid(name: &str, field: &str, message: String) -> Status {
    let cause = Cause { reason: "FieldValueInvalid", message, field: field.to_owned() };
    Status::invalid("authentication.k8s.io", "TokenRequest", name, &[cause])
}
