//! Which request is which, told from its method and address.

use http::{HeaderValue, Method, Request, header};

/// Requests that a rule is about. The default is all; each field that is set leaves fewer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Requests {
    /// Writes only: what changes stored objects.
    pub writes: bool,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: Option<&'static str>,
    /// Group resource: `deployments.apps`, `pods`.
    pub resource: Option<&'static str>,
    /// `status`, …; empty for the object itself.
    pub subresource: Option<&'static str>,
    /// Name of the object.
    pub name: Option<&'static str>,
    /// Group resources that do not count, such as leases, which are written when time passes.
    pub without: &'static [&'static str],
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Kubernetes' verb; of what is no resource, the method in lower case.
    pub verb: &'static str,
    /// Group resource; empty for other paths.
    pub resource: String,
    /// Subresource, or empty.
    pub subresource: String,
    /// Namespace, or empty.
    pub namespace: String,
    /// Name, or empty.
    pub name: String,
    /// Whether it changes stored objects.
    pub write: bool,
    /// What makes two requests equal.
    pub(super) key: String,
}

impl Requests {
    /// All writes.
    #[must_use]
    pub fn writes() -> Self {
        Self { writes: true, ..Self::default() }
    }

    /// Requests with one verb for one group resource.
    #[must_use]
    pub fn of(verb: &'static str, resource: &'static str) -> Self {
        Self { verb: Some(verb), resource: Some(resource), ..Self::default() }
    }

    pub(super) fn contain(&self, asked: &Asked) -> bool {
        let Self { writes, verb, resource, subresource, name, without } = *self;
        (asked.write || !writes)
            && verb.is_none_or(|verb| verb == asked.verb)
            && resource.is_none_or(|resource| resource == asked.resource)
            && subresource.is_none_or(|subresource| subresource == asked.subresource)
            && name.is_none_or(|name| name == asked.name)
            && !without.contains(&&*asked.resource)
    }
}

impl Asked {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
        let mut parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
        let (group, prefix) = match *parts {
            ["api", _, _, ..] => ("", 2),
            ["apis", group, _, _, ..] => (group, 3),
            _ => return Self::elsewhere(request),
        };
        parts.drain(..prefix);
        let mut namespace = "";
        // `namespaces/a/status` is of the namespace itself.
        if let ["namespaces", name, resource, ..] = *parts
            && !matches!(resource, "status" | "finalize")
        {
            namespace = name;
            parts.drain(..2);
        }
        let part = |index: usize| parts.get(index).copied().unwrap_or_default();
        let (name, subresource) = (part(1), part(2));
        let resource = match group {
            "" => part(0).to_owned(),
            group => format!("{}.{group}", part(0)),
        };
        let flag = |flag: &str| form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == flag);
        let watched = flag("watch").is_some_and(|(_, value)| value == "true" || value == "1");
        let verb = verb(request.method(), !name.is_empty(), watched);
        // Reviews and tokens are created, but not stored.
        let stored = !matches!(group, "authentication.k8s.io" | "authorization.k8s.io")
            && (&*resource, subresource) != ("serviceaccounts", "token");
        let write = stored && flag("dryRun").is_none() && !matches!(verb, "get" | "list" | "watch");
        Self {
            verb,
            resource,
            subresource: subresource.into(),
            namespace: namespace.into(),
            name: name.into(),
            write,
            key: key(request),
        }
    }

    fn elsewhere<B>(request: &Request<B>) -> Self {
        let verb = match *request.method() {
            Method::POST => "post",
            Method::PUT => "put",
            Method::PATCH => "patch",
            Method::DELETE => "delete",
            _ => "get",
        };
        Self {
            verb,
            resource: String::new(),
            subresource: String::new(),
            namespace: String::new(),
            name: String::new(),
            write: false,
            key: key(request),
        }
    }
}

fn verb(method: &Method, named: bool, watched: bool) -> &'static str {
    match (method, named) {
        (&Method::POST, _) => "create",
        (&Method::PUT, _) => "update",
        (&Method::PATCH, _) => "patch",
        (&Method::DELETE, true) => "delete",
        (&Method::DELETE, false) => "deletecollection",
        _ if watched => "watch",
        (_, true) => "get",
        (_, false) => "list",
    }
}

fn key<B>(request: &Request<B>) -> String {
    let accept = request.headers().get(header::ACCEPT).map(HeaderValue::as_bytes).unwrap_or_default();
    format!("{} {} {}", request.method(), request.uri(), String::from_utf8_lossy(accept))
}
