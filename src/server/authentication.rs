//! Who asks. Identity comes from kube-apiserver's front proxy, a client certificate of the cluster or
//! a bearer token, in this order; this room never keeps users of its own. Headers that say who asks
//! are believed from the front proxy only, and nobody after this room sees them.

mod front_proxy;
pub(super) mod impersonation;
mod token;
mod trust;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::{HeaderMap, HeaderName, header};
use rustls::pki_types::UnixTime;

use super::Clock;
use super::failure::Failure;
use super::health::Health;
use super::tls::Peer;
use token::Tokens;

/// Group of everybody who has proved who they are.
pub const AUTHENTICATED: &str = "system:authenticated";
/// Group of everybody who has not.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";
/// Name of everybody who has not proved who they are.
pub const ANONYMOUS: &str = "system:anonymous";
/// Group that may do everything.
pub const MASTERS: &str = "system:masters";

/// The caller of a request, as a request extension.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    /// Name, as RBAC bindings say it.
    pub name: String,
    /// Identifier that is not reused; empty where the cluster gives none.
    pub uid: String,
    /// Groups, as RBAC bindings say them.
    pub groups: Vec<String>,
    /// Further attributes; keys in lower case.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// Returns the caller who showed no credentials.
    #[must_use]
    pub fn anonymous() -> Self {
        Self { name: ANONYMOUS.into(), groups: vec![UNAUTHENTICATED.into()], ..Self::default() }
    }

    /// Says whether the caller has proved who they are.
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        self.is_in(AUTHENTICATED)
    }

    /// Says whether the caller belongs to `group`.
    #[must_use]
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }

    /// Adds the group that follows from having a name. kube-apiserver's own calls for OpenAPI carry no
    /// groups at all and are allowed by it.
    fn proved(mut self) -> Self {
        let known = self.is_in(AUTHENTICATED) || self.is_in(UNAUTHENTICATED);
        if self.name == ANONYMOUS {
            if !known {
                self.groups.push(UNAUTHENTICATED.into());
            }
        } else if !known {
            self.groups.push(AUTHENTICATED.into());
        }
        self
    }
}

/// Finds out who asks. Clones share what they know.
#[derive(Clone)]
pub struct Authenticator {
    trust: trust::Current,
    tokens: Tokens,
    client: kube::Client,
    clock: Clock,
}

impl Authenticator {
    /// Makes one that reads kube-apiserver's CAs and reviews tokens through `client`. It believes no
    /// certificate until [`Authenticator::follow`] runs.
    #[must_use]
    pub fn new(client: kube::Client, clock: Clock) -> Self {
        let trust = Arc::new(ArcSwapOption::empty());
        Self { trust, tokens: Tokens::new(client.clone()), client, clock }
    }

    /// Reads the CAs and header names that kube-apiserver publishes, and follows their changes. Ends
    /// only with the process; readiness of `health` waits for the first success.
    pub fn follow(&self, health: &Health) -> impl Future<Output = ()> + Send + use<> {
        trust::follow(self.client.clone(), self.trust.clone(), health.flag("request-header-ca"))
    }

    /// Finds the caller without asking anybody. `None` if no certificate that counts was shown.
    pub(super) fn by_certificate(&self, peer: &Peer, headers: &HeaderMap) -> Result<Option<User>, Failure> {
        let Some(trust) = self.trust.load_full() else { return Ok(None) };
        let now = (self.clock)();
        let seconds = u64::try_from(now.as_second()).unwrap_or_default();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        if let Some(proxy) = trust.front_proxy.as_ref().filter(|proxy| proxy.is(peer, now)) {
            let user = front_proxy::user(proxy, headers).ok_or_else(Failure::unauthorized)?;
            return Ok(Some(user.proved()));
        }
        let subject = trust.client(peer, now).filter(|subject| !subject.common_name.is_empty());
        Ok(subject.map(|subject| {
            let trust::Subject { common_name, organizations } = subject;
            User { name: common_name, groups: organizations, ..User::default() }.proved()
        }))
    }

    /// Finds the caller. Fails with 401 if credentials are wrong, with 503 if they cannot be checked.
    pub(super) async fn user(&self, peer: &Peer, headers: &HeaderMap) -> Result<User, Failure> {
        if let Some(user) = self.by_certificate(peer, headers)? {
            return Ok(user);
        }
        match bearer(headers) {
            Some(token) => Ok(self.tokens.user(token).await?.proved()),
            None => Ok(User::anonymous()),
        }
    }

    /// Removes everything that says who asks, so that it can neither be believed again nor be logged.
    pub(super) fn forget_credentials(&self, headers: &mut HeaderMap) {
        let trust = self.trust.load();
        let proxy = trust.as_ref().and_then(|trust| trust.front_proxy.as_ref());
        let names: Vec<HeaderName> = headers
            .keys()
            .filter(|name| {
                name.as_str().starts_with("x-remote-")
                    || name.as_str().starts_with("impersonate-")
                    || proxy.is_some_and(|proxy| front_proxy::is_identity(proxy, name))
            })
            .cloned()
            .collect();
        for name in names {
            headers.remove(name);
        }
        headers.remove(header::AUTHORIZATION);
        headers.remove(header::COOKIE);
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
