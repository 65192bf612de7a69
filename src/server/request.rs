//! What a request asks for, read once from method, path and query by the rules of kube-apiserver
//! (`k8s.io/apiserver/pkg/endpoints/request/requestinfo.go`). All spellings of a path lead to the same
//! [`RequestInfo`], so that authorization and handlers cannot disagree about what is meant. Who asks is
//! not its business.

use std::borrow::Cow;

use http::{Method, Uri};
use percent_encoding::percent_decode_str;

use super::failure::Failure;
use crate::api::names::{self, GROUP, VERSION};

/// Word that Kubernetes RBAC has for an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Reads one object.
    Get,
    /// Reads a collection.
    List,
    /// Follows a collection.
    Watch,
    /// Makes an object, or starts the action of a subresource.
    Create,
    /// Replaces an object.
    Update,
    /// Changes an object.
    Patch,
    /// Deletes one object.
    Delete,
    /// Deletes a collection.
    DeleteCollection,
}

impl Verb {
    /// Returns the word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }

    /// Says whether the action leaves everything as it is.
    #[must_use]
    pub fn is_read_only(self) -> bool {
        matches!(self, Self::Get | Self::List | Self::Watch)
    }
}

/// A resource that we serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resource {
    /// Namespaced.
    Applications,
    /// Cluster-scoped.
    Projects,
}

impl Resource {
    /// Returns the name in paths and RBAC rules.
    #[must_use]
    pub fn plural(self) -> &'static str {
        match self {
            Self::Applications => names::APPLICATIONS,
            Self::Projects => names::PROJECTS,
        }
    }

    /// Returns the `kind` of its objects.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::Applications => names::APPLICATION,
            Self::Projects => names::PROJECT,
        }
    }

    fn parse(plural: &str) -> Option<Self> {
        [Self::Applications, Self::Projects].into_iter().find(|resource| resource.plural() == plural)
    }
}

/// A part of an object, or an action on it, with a path and an RBAC resource of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subresource {
    /// `status`: what gitopsd found out.
    Status,
    /// `events` of an application and of what it manages.
    Events,
    /// `refresh`: compare again now.
    Refresh,
    /// `sync`: make live what Git says.
    Sync,
}

impl Subresource {
    /// Returns the name in paths and RBAC rules.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Status => names::STATUS,
            Self::Events => names::EVENTS,
            Self::Refresh => names::REFRESH,
            Self::Sync => names::SYNC,
        }
    }

    /// Returns the subresources of `resource`.
    #[must_use]
    pub fn of(resource: Resource) -> &'static [Self] {
        match resource {
            Resource::Applications => &[Self::Status, Self::Events, Self::Refresh, Self::Sync],
            Resource::Projects => &[Self::Status],
        }
    }

    /// Returns what can be done with it.
    #[must_use]
    pub fn verbs(self) -> &'static [Verb] {
        match self {
            Self::Status => &[Verb::Get, Verb::Patch, Verb::Update],
            Self::Events => &[Verb::Get],
            Self::Refresh | Self::Sync => &[Verb::Create],
        }
    }
}

/// Which spelling of a path the client used; some answers differ (204 instead of a body).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathFamily {
    /// `/apis/gitops/v1/namespaces/{namespace}/applications…`, `/apis/gitops/v1/projects…`.
    Canonical,
    /// `…/project/{project}/applications…`, the reference's paths.
    Project,
}

/// A request for one of our resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestInfo {
    /// The true action, whatever the path looks like to kube-apiserver.
    pub verb: Verb,
    /// The spelling of the path.
    pub family: PathFamily,
    /// The resource.
    pub resource: Resource,
    /// The part of the object.
    pub subresource: Option<Subresource>,
    /// The namespace; absent for projects and for applications of all namespaces.
    pub namespace: Option<String>,
    /// The object in the path; absent for collections. Safe to stand in a URL as it is.
    pub name: Option<String>,
    /// The only name that the field selector of a list or watch lets through; RBAC rules with
    /// `resourceNames` apply to it.
    pub selected_name: Option<String>,
}

/// A page that belongs to no resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Page {
    /// `/`
    Index,
    /// `/healthz`, `/livez` or `/readyz`.
    Health(Probe),
    /// `/apis`
    Groups,
    /// `/apis/gitops`
    Group,
    /// `/apis/gitops/v1`
    Resources,
    /// `/openapi/v2`
    OpenApiV2,
    /// `/openapi/v3`
    OpenApiV3,
    /// `/openapi/v3/apis/gitops/v1`
    OpenApiV3Group,
}

/// A question about the server's health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// What is asked.
    pub question: Question,
    /// The one check that is asked for; absent for all.
    pub check: Option<String>,
}

/// What a health probe asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// `/healthz`
    Healthz,
    /// `/livez`
    Livez,
    /// `/readyz`
    Readyz,
}

impl Question {
    /// Returns the word in the path.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthz => "healthz",
            Self::Livez => "livez",
            Self::Readyz => "readyz",
        }
    }
}

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// One of our resources.
    Resource(RequestInfo),
    /// Anything else that we serve.
    Page(Page),
}

impl Target {
    /// Reads a request. Fails with the answer that kube-apiserver gives: 404 in text for paths that
    /// nothing serves, 405 for actions that a resource does not have, 400 for nonsense.
    pub fn parse(method: &Method, uri: &Uri) -> Result<Self, Failure> {
        let segments = segments(uri.path())?;
        let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
        if let Some(page) = page(&segments) {
            return read_only(method).then_some(Self::Page(page)).ok_or_else(Failure::page_not_found);
        }
        let path = Path::parse(&segments)?;
        RequestInfo::new(path, method, &Query::parse(uri)?).map(Self::Resource)
    }
}

impl RequestInfo {
    fn new(path: Path<'_>, method: &Method, query: &Query) -> Result<Self, Failure> {
        let Path { family, resource, subresource, namespace, name } = path;
        let verb = verb(method, path, query)?;
        if let Some(name) = name.filter(|name| !is_safe(name)) {
            return Err(Failure::not_found(resource, name));
        }
        let listed = matches!(verb, Verb::List | Verb::Watch);
        Ok(Self {
            verb,
            family,
            resource,
            subresource,
            namespace: namespace.map(Into::into),
            name: name.map(Into::into),
            selected_name: query.selected_name.clone().filter(|_| listed),
        })
    }

    /// Says whether the request is about a collection, creation in it included.
    #[must_use]
    pub fn is_collection(&self) -> bool {
        self.name.is_none()
    }

    /// Says whether the answer goes on until the client or a timeout ends it.
    #[must_use]
    pub fn is_long_running(&self) -> bool {
        self.verb == Verb::Watch
    }
}

/// Splits a path into decoded segments. Leading and trailing slashes mean nothing; what could be read
/// in two ways (empty segments, `..`, an encoded slash) is served by nobody.
fn segments(path: &str) -> Result<Vec<Cow<'_, str>>, Failure> {
    let trimmed = path.trim_matches('/');
    if trimmed.is_empty() {
        return Ok(Vec::new());
    }
    trimmed.split('/').map(|segment| decode(segment).ok_or_else(Failure::page_not_found)).collect()
}

fn decode(segment: &str) -> Option<Cow<'_, str>> {
    let decoded = percent_decode_str(segment).decode_utf8().ok()?;
    let ambiguous = decoded.is_empty()
        || matches!(decoded.as_ref(), "." | "..")
        || decoded.contains(['/', '%', '\\'])
        || decoded.contains(char::is_control);
    (!ambiguous).then_some(decoded)
}

/// Says whether a name can stand in a URL as it is. All names of Kubernetes objects can.
fn is_safe(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:~".contains(&byte))
}

fn read_only(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn page(segments: &[&str]) -> Option<Page> {
    Some(match segments {
        [] => Page::Index,
        ["healthz", check @ ..] => Page::Health(probe(Question::Healthz, check)?),
        ["livez", check @ ..] => Page::Health(probe(Question::Livez, check)?),
        ["readyz", check @ ..] => Page::Health(probe(Question::Readyz, check)?),
        ["apis"] => Page::Groups,
        ["apis", GROUP] => Page::Group,
        ["apis", GROUP, VERSION] => Page::Resources,
        ["openapi", "v2"] => Page::OpenApiV2,
        ["openapi", "v3"] => Page::OpenApiV3,
        ["openapi", "v3", "apis", GROUP, VERSION] => Page::OpenApiV3Group,
        _ => return None,
    })
}

fn probe(question: Question, check: &[&str]) -> Option<Probe> {
    match check {
        [] => Some(Probe { question, check: None }),
        [check] => Some(Probe { question, check: Some((*check).to_owned()) }),
        _ => None,
    }
}

/// The parts of a path that leads to a resource.
#[derive(Debug, Clone, Copy)]
struct Path<'a> {
    family: PathFamily,
    resource: Resource,
    subresource: Option<Subresource>,
    namespace: Option<&'a str>,
    name: Option<&'a str>,
}

impl<'a> Path<'a> {
    fn parse(segments: &[&'a str]) -> Result<Self, Failure> {
        match *segments {
            ["apis", GROUP, VERSION, "project", project, ref rest @ ..]
            | [GROUP, VERSION, "project", project, ref rest @ ..] => Self::of_project(project, rest),
            ["apis", GROUP, VERSION, "namespaces", namespace, "project", project, ref rest @ ..] => {
                if namespace != project {
                    let message = format!(
                        "project {project:?} lives in namespace {project:?}, not in {namespace:?}: use its namespace in the path"
                    );
                    return Err(Failure::bad_request(message));
                }
                Self::of_project(project, rest)
            }
            ["apis", GROUP, VERSION, "namespaces", namespace, ref rest @ ..] => {
                Self::of_resource(Some(namespace), rest)
            }
            ["apis", GROUP, VERSION, ref rest @ ..] => Self::of_resource(None, rest),
            _ => Err(Failure::page_not_found()),
        }
    }

    fn of_project(project: &'a str, rest: &[&'a str]) -> Result<Self, Failure> {
        let path = Self::of_resource(Some(project), rest)?;
        Ok(Self { family: PathFamily::Project, ..path })
    }

    fn of_resource(namespace: Option<&'a str>, rest: &[&'a str]) -> Result<Self, Failure> {
        let (plural, name, subresource) = match *rest {
            [plural] => (plural, None, None),
            [plural, name] => (plural, Some(name), None),
            [plural, name, subresource] => (plural, Some(name), Some(subresource)),
            _ => return Err(Failure::page_not_found()),
        };
        let resource = Resource::parse(plural).ok_or_else(Failure::page_not_found)?;
        let subresource = subresource
            .map(|word| {
                let mut known = Subresource::of(resource).iter().copied();
                known.find(|known| known.as_str() == word).ok_or_else(Failure::page_not_found)
            })
            .transpose()?;
        let scope_fits = match resource {
            Resource::Applications => {
                namespace.is_some_and(is_safe) || (namespace.is_none() && name.is_none())
            }
            Resource::Projects => namespace.is_none(),
        };
        if !scope_fits {
            return Err(Failure::page_not_found());
        }
        Ok(Self { family: PathFamily::Canonical, resource, subresource, namespace, name })
    }
}

fn verb(method: &Method, path: Path<'_>, query: &Query) -> Result<Verb, Failure> {
    let named = path.name.is_some();
    let verb = match *method {
        Method::GET | Method::HEAD if named => Verb::Get,
        Method::GET | Method::HEAD if query.watch => Verb::Watch,
        Method::GET | Method::HEAD => Verb::List,
        Method::POST => Verb::Create,
        Method::PUT => Verb::Update,
        Method::PATCH => Verb::Patch,
        Method::DELETE if named => Verb::Delete,
        Method::DELETE => Verb::DeleteCollection,
        _ => return Err(Failure::method_not_supported(path.resource, &method.as_str().to_ascii_lowercase())),
    };
    let unsupported = Failure::method_not_supported(path.resource, verb.as_str());
    match path.subresource {
        Some(subresource) if subresource.verbs().contains(&verb) => Ok(verb),
        Some(_) => Err(unsupported),
        None if named && verb == Verb::Create => Err(unsupported),
        None if named => Ok(verb),
        None => verb_of_collection(verb, path),
    }
}

fn verb_of_collection(verb: Verb, path: Path<'_>) -> Result<Verb, Failure> {
    let across_namespaces = path.resource == Resource::Applications && path.namespace.is_none();
    match verb {
        Verb::Update | Verb::Patch => Err(Failure::bad_request("name must be provided")),
        Verb::List | Verb::Watch => Ok(verb),
        _ if across_namespaces => Err(Failure::page_not_found()),
        _ => Ok(verb),
    }
}

/// The parameters that decide what a request is.
struct Query {
    watch: bool,
    selected_name: Option<String>,
}

impl Query {
    /// Refuses what Go would skip: kube-apiserver would else act on other parameters than we authorized.
    fn parse(uri: &Uri) -> Result<Self, Failure> {
        let (mut watch, mut selector) = (None, None);
        for pair in uri.query().unwrap_or_default().split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let malformed = || Failure::bad_request(format!("malformed query parameter {pair:?}"));
            let key = unescape(key).ok_or_else(malformed)?;
            let value = unescape(value).ok_or_else(malformed)?;
            match key.as_str() {
                "watch" => _ = watch.get_or_insert(value),
                "fieldSelector" => _ = selector.get_or_insert(value),
                _ => {}
            }
        }
        Ok(Self {
            watch: watch.is_some_and(|value| is_true(&value)),
            selected_name: selector.as_deref().and_then(exact_name),
        })
    }
}

/// Anything but a plain no is a yes.
fn is_true(value: &str) -> bool {
    value != "0" && !value.eq_ignore_ascii_case("false")
}

fn unescape(text: &str) -> Option<String> {
    let well_formed = !text.contains(';')
        && text
            .split('%')
            .skip(1)
            .all(|escape| escape.len() >= 2 && escape.bytes().take(2).all(|digit| digit.is_ascii_hexdigit()));
    if !well_formed {
        return None;
    }
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(Cow::into_owned)
}

fn exact_name(selector: &str) -> Option<String> {
    selector.split(',').find_map(|term| {
        let value = term.strip_prefix("metadata.name=")?;
        let name = value.strip_prefix('=').unwrap_or(value);
        (!name.is_empty() && is_safe(name)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests;
