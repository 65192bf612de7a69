//! Asking for somebody else: the `Impersonate-*` headers, and the rights that they need. Besides the plain
//! right to impersonate there is the one for certain requests only, which is looked at first
//! (<https://kep.k8s.io/5284>); its modes for nodes other than a Pod's own are among them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use http::HeaderMap;
use percent_encoding::percent_decode_str;

use super::{Access, Attributes, MASTERS, User, account_groups, account_of};
use crate::embedded::status::Status;

const GROUP: &str = "authentication.k8s.io";
const EXTRA: &str = "impersonate-extra-";
const NODE: &str = "system:node:";

/// How somebody is impersonated: the end of the verbs that stand for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Node,
    ServiceAccount,
    Other,
}

impl Mode {
    /// Returns the mode for a user; nodes and service accounts have groups of their own only.
    fn of(wanted: &User) -> Option<Self> {
        let User { name, uid, groups, extra } = wanted;
        let mode = if name.strip_prefix(NODE).is_some_and(|node| !node.is_empty()) {
            Self::Node
        } else if account_of(name).is_some() {
            Self::ServiceAccount
        } else {
            return Some(Self::Other);
        };
        (uid.is_empty() && groups.is_empty() && extra.is_empty()).then_some(mode)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Node => "arbitrary-node",
            Self::ServiceAccount => "serviceaccount",
            Self::Other => "user-info",
        }
    }
}

/// Reads whom the headers ask for; their groups are those that the headers say.
pub(super) fn wanted(headers: &HeaderMap) -> Result<Option<User>, Status> {
    let first = |name: &str| headers.get(name).map(text).unwrap_or_default();
    let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in headers {
        if let Some(key) = name.as_str().strip_prefix(EXTRA) {
            let decoded = percent_decode_str(key).decode_utf8();
            let key = decoded.map_or_else(|_| key.to_owned(), std::borrow::Cow::into_owned);
            extra.entry(key).or_default().push(text(value));
        }
    }
    let user = User {
        name: first("impersonate-user"),
        uid: first("impersonate-uid"),
        groups: headers.get_all("impersonate-group").iter().map(text).collect(),
        extra,
    };
    if !user.name.is_empty() {
        return Ok(Some(user));
    }
    if user == User::default() {
        return Ok(None);
    }
    Err(Status::bad_request(format!("requested {} without impersonating a user name", go_syntax(&user))))
}

fn text(value: &http::HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

/// Writes the user as Go's `%#v` does, which clients get to see.
fn go_syntax(user: &User) -> String {
    let list = |values: &[String]| {
        if values.is_empty() {
            return "[]string(nil)".to_owned();
        }
        let values: Vec<_> = values.iter().map(|value| format!("{value:?}")).collect();
        format!("[]string{{{}}}", values.join(", "))
    };
    let User { name, uid, groups, extra } = user;
    let groups = list(groups);
    let mut told = format!("&user.DefaultInfo{{Name:{name:?}, UID:{uid:?}, Groups:{groups}, Extra:");
    if extra.is_empty() {
        told += "map[string][]string(nil)";
    } else {
        let extra: Vec<_> = extra.iter().map(|(key, values)| format!("{key:?}:{}", list(values))).collect();
        _ = write!(told, "map[string][]string{{{}}}", extra.join(", "));
    }
    told + "}"
}

impl Access {
    /// Lets `user` ask as `wanted`, if they may. The first refusal is the one that is told.
    pub(super) fn impersonate(
        &self,
        user: &User,
        wanted: User,
        attributes: Option<&Attributes>,
    ) -> Result<User, Status> {
        let constrained = match (Mode::of(&wanted), attributes) {
            (Some(mode), Some(attributes)) => Some(self.impersonate_on(user, mode, &wanted, attributes)),
            _ => None,
        };
        match constrained {
            Some(Ok(found)) => Ok(found),
            refused => self.impersonate_as(user, None, wanted).map_err(|plain| match refused {
                Some(Err(first)) => first,
                _ => plain,
            }),
        }
    }

    /// With a right for this request and a right for this user.
    fn impersonate_on(
        &self,
        user: &User,
        mode: Mode,
        wanted: &User,
        attributes: &Attributes,
    ) -> Result<User, Status> {
        let verb = format!("impersonate-on:{}:{}", mode.name(), attributes.verb);
        self.authorize(user, &Attributes { verb, ..attributes.clone() })?;
        self.impersonate_as(user, Some(mode), wanted.clone())
    }

    /// With rights for all that the headers say.
    fn impersonate_as(&self, user: &User, mode: Option<Mode>, mut wanted: User) -> Result<User, Status> {
        let verb =
            mode.map_or_else(|| "impersonate".to_owned(), |mode| format!("impersonate:{}", mode.name()));
        let group = if mode.is_some() { GROUP } else { "" };
        let about = |group: &str, resource: &str, name: &str| Attributes {
            verb: verb.clone(),
            group: group.into(),
            version: "v1".into(),
            resource: resource.into(),
            name: name.into(),
            ..Attributes::default()
        };
        let mut who = about(group, "users", &wanted.name);
        let account =
            account_of(&wanted.name).map(|(namespace, name)| (namespace.to_owned(), name.to_owned()));
        let mut own_groups = wanted.groups.clone();
        if let Some((namespace, name)) = account {
            if own_groups.is_empty() {
                own_groups = account_groups(&namespace);
            }
            who = Attributes { namespace, ..about(group, "serviceaccounts", &name) };
        } else if mode == Some(Mode::Node) {
            own_groups = vec!["system:nodes".into()];
            who = about(group, "nodes", wanted.name.trim_start_matches(NODE));
        }
        self.authorize(user, &who)?;
        if !wanted.uid.is_empty() {
            self.authorize(user, &about(GROUP, "uids", &wanted.uid))?;
        }
        for name in &wanted.groups {
            let attributes = about(group, "groups", name);
            if mode.is_some() && name == MASTERS {
                let why = "impersonating the system:masters group is not allowed";
                return Err(attributes.forbidden(user, why));
            }
            self.authorize(user, &attributes)?;
        }
        for (key, values) in &wanted.extra {
            for value in values {
                let about = about(GROUP, "userextras", value);
                self.authorize(user, &Attributes { subresource: key.clone(), ..about })?;
            }
        }
        wanted.groups = own_groups;
        Ok(wanted.sorted_in())
    }
}
