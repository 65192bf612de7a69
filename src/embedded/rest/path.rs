//! What a path means.

use http::Method;
use percent_encoding::percent_decode_str;

use super::super::access::Attributes;

/// A path beneath a group version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// API group; empty for the core group.
    pub(super) group: String,
    /// API version.
    pub(super) version: String,
    /// Namespace; empty for all of them, and for what is in none.
    pub(super) namespace: String,
    /// Plural.
    pub(super) resource: String,
    /// Name; empty for all objects.
    pub(super) name: String,
    /// What is beneath the object.
    pub(super) subresource: String,
    /// Whether it is one of the older paths that watch: `/api/v1/watch/…`.
    pub(super) watches: bool,
    /// The only object that such a path watches; empty for all.
    pub(super) only: String,
}

impl Place {
    /// Reads a path; nothing if it is not one of objects.
    pub(super) fn parse(path: &str) -> Option<Self> {
        let parts: Vec<String> = path
            .trim_matches('/')
            .split('/')
            .map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned())
            .collect();
        if parts.iter().any(|part| part.contains('/')) {
            return None;
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let (watches, rest) = match rest {
            ["watch", rest @ ..] if !rest.is_empty() => (true, rest),
            _ => (false, rest),
        };
        let (namespace, rest) = match rest {
            ["namespaces", _, "status" | "finalize"] if group.is_empty() => ("", rest),
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            _ => ("", rest),
        };
        let (resource, name, subresource) = match rest {
            [resource] => (*resource, "", String::new()),
            [resource, name] => (*resource, *name, String::new()),
            [resource, name, beneath @ ..] => (*resource, *name, beneath.join("/")),
            [] => return None,
        };
        let (name, only) = if watches { ("", name.to_owned()) } else { (name, String::new()) };
        Some(Self {
            group: group.into(),
            version: version.into(),
            namespace: namespace.into(),
            resource: resource.into(),
            name: name.into(),
            subresource,
            watches,
            only,
        })
    }

    /// What somebody wants who sends this. `verb` is Kubernetes' word.
    pub(super) fn attributes(&self, verb: &str) -> Attributes {
        let namespace = match (self.group.as_str(), self.resource.as_str()) {
            ("", "namespaces") => self.name.clone(),
            _ => self.namespace.clone(),
        };
        Attributes {
            verb: verb.into(),
            group: self.group.clone(),
            version: self.version.clone(),
            resource: self.resource.clone(),
            subresource: self.subresource.clone(),
            namespace,
            name: self.name.clone(),
            path: String::new(),
        }
    }

    /// Kubernetes' word for what a method does here.
    pub(super) fn verb(&self, method: &Method, watches: bool) -> Option<&'static str> {
        if self.watches {
            return matches!(*method, Method::GET | Method::HEAD).then_some("watch");
        }
        Some(match *method {
            Method::GET | Method::HEAD if !self.name.is_empty() => "get",
            Method::GET | Method::HEAD if watches => "watch",
            Method::GET | Method::HEAD => "list",
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE if self.name.is_empty() => "deletecollection",
            Method::DELETE => "delete",
            _ => return None,
        })
    }
}
