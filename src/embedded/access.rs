//! Who asks, and whether they may: certificates and tokens, impersonation, RBAC, reviews. Certificates are
//! verified in `tls`; here their holders arrive as users.

mod accounts;
pub mod aggregate;
mod bootstrap;
mod current;
mod escalation;
mod impersonation;
mod policy;
mod reviews;
mod rule;
mod tokens;

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{HeaderMap, header};

use super::objects::Objects;
use super::status::Status;
use current::Current;
use policy::Verdict;
use tokens::Tokens;

pub use bootstrap::bootstrap;
pub use tokens::InvalidKey;

/// Group of everybody who has proved who they are.
pub const AUTHENTICATED: &str = "system:authenticated";
/// Group of everybody who has not.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";
/// Name of everybody who has not proved who they are.
pub const ANONYMOUS: &str = "system:anonymous";
/// Group that may do everything.
pub const MASTERS: &str = "system:masters";

/// What a user's credential was, among their further attributes.
pub(super) const CREDENTIAL: &str = "authentication.kubernetes.io/credential-id";

/// Somebody who asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    /// Name, as bindings say it.
    pub name: String,
    /// Identifier that is not reused; empty where there is none.
    pub uid: String,
    /// Groups, as bindings say them.
    pub groups: Vec<String>,
    /// Further attributes; keys in lower case.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// Returns the one who may do everything.
    #[must_use]
    pub fn admin() -> Self {
        let groups = vec![MASTERS.into(), AUTHENTICATED.into()];
        Self { name: "admin".into(), groups, ..Self::default() }
    }

    /// Returns a service account.
    #[must_use]
    pub fn account(namespace: &str, name: &str) -> Self {
        let groups = account_groups(namespace);
        Self { name: account_name(namespace, name), groups, ..Self::default() }.sorted_in()
    }

    /// Returns the one who showed no credentials.
    #[must_use]
    pub fn anonymous() -> Self {
        Self { name: ANONYMOUS.into(), groups: vec![UNAUTHENTICATED.into()], ..Self::default() }
    }

    /// Says whether the user belongs to `group`.
    #[must_use]
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }

    /// Adds the group that follows from having, or not having, a name.
    fn sorted_in(mut self) -> Self {
        let group = if self.name == ANONYMOUS { UNAUTHENTICATED } else { AUTHENTICATED };
        if !self.is_in(group) && !self.is_in(UNAUTHENTICATED) {
            self.groups.push(group.into());
        }
        self
    }
}

/// What the transport knows of who asks.
#[derive(Debug, Clone, Default)]
pub struct Peer {
    /// The holder of the client certificate, or whom a caller in this process acts for. One without name
    /// showed a certificate that does not count.
    pub user: Option<User>,
}

/// What somebody wants to do. All fields are empty unless they apply.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `get`, `list`, `watch`, `create`, …; of other paths the HTTP method in lower case.
    pub verb: String,
    /// API group.
    pub group: String,
    /// API version.
    pub version: String,
    /// Plural.
    pub resource: String,
    /// What is beneath the object.
    pub subresource: String,
    /// Namespace.
    pub namespace: String,
    /// Name of the object.
    pub name: String,
    /// The path, if it does not mean an object.
    pub path: String,
}

impl Attributes {
    /// Says whether it is done with objects.
    fn is_resource(&self) -> bool {
        self.path.is_empty()
    }

    /// Returns the 403, worded as kube-apiserver does.
    fn forbidden(&self, user: &User, reason: &str) -> Status {
        let Self { verb, group, resource, subresource, name, path, .. } = self;
        let user = &user.name;
        let mut message = if self.is_resource() {
            let (slash, place) = (if subresource.is_empty() { "" } else { "/" }, self.place());
            let resource = format!("{resource}{slash}{subresource}");
            format!("User {user:?} cannot {verb} resource {resource:?} in API group {group:?} {place}")
        } else {
            format!("User {user:?} cannot {verb} path {path:?}")
        };
        message = message.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        if !reason.is_empty() {
            message = format!("{message}: {reason}");
        }
        let dot = if group.is_empty() { "" } else { "." };
        forbidden(&format!("{resource}{dot}{group}"), name, &message)
    }

    fn place(&self) -> String {
        match self.namespace.as_str() {
            "" => "at the cluster scope".to_owned(),
            namespace => format!("in the namespace {namespace:?}"),
        }
    }
}

/// 403: `roles.rbac.authorization.k8s.io "x" is forbidden: …`.
fn forbidden(resource: &str, name: &str, why: &str) -> Status {
    let message = match (resource, name) {
        ("", _) => format!("forbidden: {why}"),
        (_, "") => format!("{resource} is forbidden: {why}"),
        _ => format!("{resource} {name:?} is forbidden: {why}"),
    };
    Status::about(403, "Forbidden", resource, name, message)
}

fn unauthorized() -> Status {
    Status::new(401, "Unauthorized", "Unauthorized")
}

/// The name of a service account as a user.
#[must_use]
pub fn account_name(namespace: &str, name: &str) -> String {
    format!("system:serviceaccount:{namespace}:{name}")
}

/// The groups of a service account, without the one that all users share.
fn account_groups(namespace: &str) -> Vec<String> {
    vec!["system:serviceaccounts".into(), format!("system:serviceaccounts:{namespace}")]
}

/// Splits the user name of a service account into namespace and name.
fn account_of(user: &str) -> Option<(&str, &str)> {
    let (namespace, name) = user.strip_prefix("system:serviceaccount:")?.split_once(':')?;
    (!namespace.is_empty() && !name.is_empty() && !name.contains(':')).then_some((namespace, name))
}

/// Knows who asks and what they may do. Clones share what they know.
#[derive(Clone)]
pub struct Access {
    objects: Objects,
    current: Arc<Current>,
    tokens: Arc<Tokens>,
}

impl Access {
    /// Judges by the roles, bindings and service accounts among `objects`. Tokens are signed with a key
    /// that nobody else has.
    #[must_use]
    pub fn of(objects: Objects) -> Self {
        Self::signing(objects, Tokens::new())
    }

    /// The same, with a key of before, so that tokens stay good. `key` is PEM (PKCS #8, Ed25519).
    pub fn with_key(objects: Objects, key: &str) -> Result<Self, InvalidKey> {
        Ok(Self::signing(objects, Tokens::with_key(key)?))
    }

    fn signing(objects: Objects, tokens: Tokens) -> Self {
        let current = Arc::new(Current::new(objects.storage.clone()));
        Self { objects, current, tokens: Arc::new(tokens) }
    }

    /// Finds out who asks, and whom they ask for: impersonation needs a right, which can be one for certain
    /// requests only.
    pub fn authenticate_for(
        &self,
        peer: &Peer,
        headers: &HeaderMap,
        attributes: Option<&Attributes>,
    ) -> Result<User, Status> {
        let user = self.identify(peer, headers)?;
        match impersonation::wanted(headers)? {
            Some(wanted) => self.impersonate(&user, wanted, attributes),
            None => Ok(user),
        }
    }

    /// A certificate counts before a token, and a token before what this process says of itself.
    fn identify(&self, peer: &Peer, headers: &HeaderMap) -> Result<User, Status> {
        let certified = peer.user.as_ref().filter(|user| user.extra.contains_key(CREDENTIAL));
        if let Some(user) = certified {
            return Ok(user.clone().sorted_in());
        }
        if let Some(token) = bearer(headers) {
            let user = self.user_of(token, &[tokens::AUDIENCE.to_owned()]).map_err(|_| unauthorized())?;
            return Ok(user.sorted_in());
        }
        let user = peer.user.clone().unwrap_or_else(User::anonymous);
        if user.name.is_empty() { Err(unauthorized()) } else { Ok(user.sorted_in()) }
    }

    /// Says whether `user` may do this; if not, with the 403.
    pub fn authorize(&self, user: &User, attributes: &Attributes) -> Result<(), Status> {
        match self.decide(user, attributes) {
            Verdict::Allowed(_) => Ok(()),
            Verdict::Denied(reason) => Err(attributes.forbidden(user, &reason)),
        }
    }

    fn decide(&self, user: &User, attributes: &Attributes) -> Verdict {
        if user.is_in(MASTERS) {
            return Verdict::Allowed(String::new());
        }
        match self.current.ask(|policy| policy.decide(user, attributes)) {
            // kube-apiserver says which of its authorizers gives the reason.
            Verdict::Denied(reason) if !reason.is_empty() => Verdict::Denied(format!("rbac: {reason}")),
            verdict => verdict,
        }
    }

    fn may(&self, user: &User, attributes: &Attributes) -> bool {
        matches!(self.decide(user, attributes), Verdict::Allowed(_))
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim();
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests;
