//! Who asks. Identity comes from kube-apiserver's front proxy, a client certificate of the cluster or
//! a bearer token; this room never keeps users of its own.

use std::collections::BTreeMap;

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
}
