//! Acting as somebody else, for callers that reach us directly (kube-apiserver resolves it for its
//! own). Each part of the other identity needs the right `impersonate` on it. A request that asks for
//! it is never served as its own user: that would do more than was asked for.

use http::HeaderMap;

use super::front_proxy::decode;
use super::{ANONYMOUS, User};
use crate::server::authorization::{Access, Attributes, Authorizer};
use crate::server::failure::Failure;

const IDENTITY_GROUP: &str = "authentication.k8s.io";
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";
const SERVICE_ACCOUNTS: &str = "system:serviceaccounts";

/// Returns the user that the request acts as: `caller`, unless headers say otherwise.
pub(in crate::server) async fn resolve(
    caller: User,
    headers: &HeaderMap,
    authorizer: &Authorizer,
) -> Result<User, Failure> {
    let Some(other) = asked(headers)? else { return Ok(caller) };
    for attributes in needed(&other) {
        authorizer.check(&caller, &attributes).await?;
    }
    Ok(complete(other))
}

/// Reads the headers as they are, without the groups that follow from the name.
fn asked(headers: &HeaderMap) -> Result<Option<User>, Failure> {
    let mut other = User::default();
    let mut present = false;
    for (name, value) in headers {
        let Some(part) = name.as_str().strip_prefix("impersonate-") else { continue };
        present = true;
        let value = String::from_utf8(value.as_bytes().to_vec())
            .map_err(|_| Failure::bad_request(format!("header {name} is not UTF-8")))?;
        match part.strip_prefix("extra-") {
            Some(key) => other.extra.entry(decode(key)).or_default().push(value),
            None => match part {
                "user" => other.name = value,
                "uid" => other.uid = value,
                "group" => other.groups.push(value),
                _ => return Err(Failure::bad_request(format!("header {name} is not known"))),
            },
        }
    }
    if present && other.name.is_empty() {
        return Err(Failure::bad_request(
            "the request asks to impersonate groups, a uid or extra attributes without Impersonate-User",
        ));
    }
    Ok(present.then_some(other))
}

fn needed(other: &User) -> Vec<Attributes> {
    let User { name, uid, groups, extra } = other;
    let mut needed = vec![match service_account(name) {
        Some((namespace, name)) => Access::impersonate("", "serviceaccounts", name).namespace(namespace),
        None => Access::impersonate("", "users", name),
    }];
    needed.extend(groups.iter().map(|group| Access::impersonate("", "groups", group)));
    if !uid.is_empty() {
        needed.push(Access::impersonate(IDENTITY_GROUP, "uids", uid));
    }
    for (key, values) in extra {
        needed.extend(
            values
                .iter()
                .map(|value| Access::impersonate(IDENTITY_GROUP, "userextras", value).part(key.clone())),
        );
    }
    needed.into_iter().map(Into::into).collect()
}

fn complete(mut other: User) -> User {
    if other.groups.is_empty()
        && let Some((namespace, _)) = service_account(&other.name)
    {
        other.groups = vec![SERVICE_ACCOUNTS.into(), format!("{SERVICE_ACCOUNTS}:{namespace}")];
    }
    if other.name == ANONYMOUS && other.groups.is_empty() {
        return User { groups: User::anonymous().groups, ..other };
    }
    other.proved()
}

fn service_account(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix(SERVICE_ACCOUNT)?.split_once(':').filter(|(_, name)| !name.contains(':'))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use http::{HeaderName, HeaderValue};
    use serde_json::json;

    use super::*;
    use crate::server::fake;

    type Asked = Arc<Mutex<Vec<String>>>;

    /// Allows everything but acting as `root`, and notes what it is asked.
    fn authorizer() -> (Authorizer, Asked) {
        let asked = Asked::default();
        let noted = asked.clone();
        let client = fake::cluster(move |request| {
            let attributes = &request.body["spec"]["resourceAttributes"];
            let word = |field: &str| attributes[field].as_str().unwrap_or("-").to_owned();
            let line = ["verb", "group", "resource", "subresource", "namespace", "name"].map(word).join(" ");
            noted.lock().unwrap().push(line);
            let allowed = word("name") != "root";
            (201, json!({"metadata": {}, "spec": {}, "status": {"allowed": allowed}}))
        });
        (Authorizer::new(client), asked)
    }

    async fn act(headers: &[(&'static str, &'static str)]) -> (Result<User, Failure>, Vec<String>) {
        let (authorizer, asked) = authorizer();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let caller = User { name: "alice".into(), ..User::default() };
        let user = resolve(caller, &map, &authorizer).await;
        let asked = asked.lock().unwrap().clone();
        (user, asked)
    }

    #[tokio::test]
    async fn without_headers_the_caller_stays() {
        let (user, asked) = act(&[("x-other", "1")]).await;
        assert_eq!(user.unwrap().name, "alice");
        assert!(asked.is_empty());
    }

    #[tokio::test]
    async fn every_part_of_the_identity_needs_a_right() {
        let (user, asked) = act(&[
            ("impersonate-user", "bob"),
            ("impersonate-group", "dev"),
            ("impersonate-group", "ops"),
            ("impersonate-uid", "7"),
            ("impersonate-extra-acme.com%2fscope", "small"),
        ])
        .await;
        let user = user.unwrap();
        assert_eq!(user.name, "bob");
        assert_eq!(user.groups, ["dev", "ops", "system:authenticated"]);
        assert_eq!(user.extra["acme.com/scope"], ["small"]);
        assert_eq!(
            asked,
            [
                "impersonate - users - - bob",
                "impersonate - groups - - dev",
                "impersonate - groups - - ops",
                "impersonate authentication.k8s.io uids - - 7",
                "impersonate authentication.k8s.io userextras acme.com/scope - small",
            ]
        );
    }

    #[tokio::test]
    async fn service_accounts_are_asked_for_in_their_namespace() {
        let (user, asked) = act(&[("impersonate-user", "system:serviceaccount:team:robot")]).await;
        assert_eq!(
            user.unwrap().groups,
            ["system:serviceaccounts", "system:serviceaccounts:team", "system:authenticated"]
        );
        assert_eq!(asked, ["impersonate - serviceaccounts - team robot"]);
    }

    #[tokio::test]
    async fn what_is_not_allowed_or_not_clear_is_refused() {
        let (refused, _) = act(&[("impersonate-user", "root")]).await;
        assert_eq!(
            refused.unwrap_err().to_string(),
            "users \"root\" is forbidden: User \"alice\" cannot impersonate resource \"users\" in API group \"\" \
             at the cluster scope"
        );
        let (nobody, _) = act(&[("impersonate-group", "system:masters")]).await;
        assert_eq!(nobody.unwrap_err().code(), 400);
        let (unknown, _) = act(&[("impersonate-user", "bob"), ("impersonate-shoe-size", "44")]).await;
        assert_eq!(unknown.unwrap_err().code(), 400);
    }
}
