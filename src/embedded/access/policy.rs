//! Roles and bindings in a form that answers quickly who may do what. It is fed with the objects of the four
//! RBAC kinds, one at a time, and does no I/O.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::rule::Rule;
use super::{Attributes, User};

/// The four RBAC resources, as objects of them are stored.
pub(super) const RESOURCES: [&str; 4] = [
    "clusterroles.rbac.authorization.k8s.io",
    "roles.rbac.authorization.k8s.io",
    "clusterrolebindings.rbac.authorization.k8s.io",
    "rolebindings.rbac.authorization.k8s.io",
];

/// Rules by the names of roles.
type Roles = HashMap<Box<str>, Box<[Rule]>>;

/// All roles and bindings.
#[derive(Debug, Default)]
pub(super) struct Policy {
    /// By namespace (empty for `ClusterRoles`) and name.
    roles: HashMap<Box<str>, Roles>,
    /// What is bound in each namespace, and (under the empty name) in all of them.
    scopes: HashMap<Box<str>, Scope>,
}

/// The bindings of a namespace: by their names, and by whom they are for.
#[derive(Debug, Default)]
struct Scope {
    bindings: HashMap<Box<str>, Arc<Binding>>,
    users: HashMap<Box<str>, Vec<Arc<Binding>>>,
    groups: HashMap<Box<str>, Vec<Arc<Binding>>>,
}

#[derive(Debug)]
struct Binding {
    namespace: Box<str>,
    name: Box<str>,
    role: RoleRef,
    subjects: Vec<Subject>,
}

/// `roleRef`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RoleRef {
    pub(super) kind: String,
    pub(super) name: String,
}

#[derive(Debug)]
struct Subject {
    kind: SubjectKind,
    /// Of a service account that is bound without namespace, the binding's.
    namespace: String,
    name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SubjectKind {
    User,
    Group,
    ServiceAccount,
}

/// What was decided, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// With the binding that says so.
    Allowed(String),
    /// With the bindings that lead nowhere, if there are any.
    Denied(String),
}

/// A role that a binding refers to and that does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dangling(pub(super) RoleRef);

impl RoleRef {
    /// Reads the `roleRef` of a binding.
    pub(super) fn of(binding: &Value) -> Self {
        let text = |field: &str| binding["roleRef"][field].as_str().unwrap_or_default().to_owned();
        Self { kind: text("kind"), name: text("name") }
    }
}

impl Dangling {
    /// Writes the failure as the authorizer does.
    pub(super) fn described(&self) -> String {
        let RoleRef { kind, name } = &self.0;
        format!("{}.rbac.authorization.k8s.io {name:?} not found", kind.to_lowercase())
    }
}

impl Policy {
    /// Takes an object in, in place of what it was before.
    pub(super) fn put(&mut self, resource: &str, object: &Value) {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
        let (namespace, name) = (text("namespace"), text("name"));
        if resource.contains("bindings") {
            self.unbind(namespace, name);
            self.bind(Arc::new(Binding::of(namespace, name, object)));
        } else {
            let roles = self.roles.entry(namespace.into()).or_default();
            roles.insert(name.into(), Rule::all(object).into());
        }
    }

    /// Forgets an object.
    pub(super) fn remove(&mut self, resource: &str, namespace: &str, name: &str) {
        if resource.contains("bindings") {
            self.unbind(namespace, name);
        } else if let Some(roles) = self.roles.get_mut(namespace) {
            roles.remove(name);
        }
    }

    fn bind(&mut self, binding: Arc<Binding>) {
        let scope = self.scopes.entry(binding.namespace.clone()).or_default();
        for subject in &binding.subjects {
            let holders = scope.holders(subject.kind).entry(subject.holder().into()).or_default();
            if !holders.iter().any(|held| held.name == binding.name) {
                holders.push(Arc::clone(&binding));
            }
        }
        scope.bindings.insert(binding.name.clone(), binding);
    }

    fn unbind(&mut self, namespace: &str, name: &str) {
        let Some(scope) = self.scopes.get_mut(namespace) else { return };
        let Some(binding) = scope.bindings.remove(name) else { return };
        for subject in &binding.subjects {
            let (holders, holder) = (scope.holders(subject.kind), subject.holder());
            if let Some(held) = holders.get_mut(&*holder) {
                held.retain(|held| *held.name != *name);
                if held.is_empty() {
                    holders.remove(&*holder);
                }
            }
        }
        if scope.bindings.is_empty() {
            self.scopes.remove(namespace);
        }
    }

    /// Decides whether `user` may do this.
    pub(super) fn decide(&self, user: &User, attributes: &Attributes) -> Verdict {
        let mut dangling = Vec::new();
        for binding in self.bindings(user, &attributes.namespace) {
            match self.rules_of(&binding.role, &binding.namespace) {
                Ok(rules) if rules.iter().any(|rule| rule.allows(attributes)) => {
                    return Verdict::Allowed(format!("RBAC: allowed by {}", binding.described(user)));
                }
                Ok(_) => {}
                Err(error) => dangling.push(error.described()),
            }
        }
        Verdict::Denied(if dangling.is_empty() {
            String::new()
        } else {
            format!("RBAC: {}", joined(dangling))
        })
    }

    /// Returns everything that `user` may do in a namespace, and what could not be found out.
    pub(super) fn rules(&self, user: &User, namespace: &str) -> (Vec<Rule>, Vec<Dangling>) {
        let (mut rules, mut dangling) = (Vec::new(), Vec::new());
        for binding in self.bindings(user, namespace) {
            match self.rules_of(&binding.role, &binding.namespace) {
                Ok(more) => rules.extend_from_slice(more),
                Err(error) => dangling.push(error),
            }
        }
        (rules, dangling)
    }

    /// Returns the rules of the role that a binding in `namespace` refers to.
    pub(super) fn rules_of(&self, role: &RoleRef, namespace: &str) -> Result<&[Rule], Dangling> {
        let namespace = if role.kind == "Role" { namespace } else { "" };
        let found = self.roles.get(namespace).and_then(|roles| roles.get(role.name.as_str()));
        found.map(|rules| &**rules).ok_or_else(|| Dangling(role.clone()))
    }

    /// Returns the bindings for a user: first those of the cluster, then those of the namespace, by name.
    fn bindings(&self, user: &User, namespace: &str) -> Vec<&Binding> {
        let mut all = Vec::new();
        let namespaces = if namespace.is_empty() { &[""][..] } else { &["", namespace] };
        for scope in namespaces.iter().filter_map(|namespace| self.scopes.get(*namespace)) {
            let begin = all.len();
            let groups = user.groups.iter().filter_map(|group| scope.groups.get(group.as_str()));
            let held = scope.users.get(user.name.as_str()).into_iter().chain(groups);
            all.extend(held.flatten().map(|binding| &**binding));
            all[begin..].sort_by(|one, other| one.name.cmp(&other.name));
        }
        all.dedup_by(|one, other| std::ptr::eq(*one, *other));
        all
    }
}

impl Scope {
    fn holders(&mut self, kind: SubjectKind) -> &mut HashMap<Box<str>, Vec<Arc<Binding>>> {
        if kind == SubjectKind::Group { &mut self.groups } else { &mut self.users }
    }
}

impl Binding {
    fn of(namespace: &str, name: &str, object: &Value) -> Self {
        let subjects = object["subjects"].as_array().into_iter().flatten();
        Self {
            namespace: namespace.into(),
            name: name.into(),
            role: RoleRef::of(object),
            subjects: subjects.filter_map(|subject| Subject::of(namespace, subject)).collect(),
        }
    }

    /// Writes what allows something to `user`, as reviews do.
    fn described(&self, user: &User) -> String {
        let Self { namespace, name, role, subjects } = self;
        let subject = subjects.iter().find(|subject| subject.is(user)).map(Subject::described);
        let (kind, name) = match &**namespace {
            "" => ("ClusterRoleBinding", name.to_string()),
            namespace => ("RoleBinding", format!("{name}/{namespace}")),
        };
        format!("{kind} {name:?} of {} {:?} to {}", role.kind, role.name, subject.unwrap_or_default())
    }
}

impl Subject {
    /// Reads an item of `subjects`; nothing if it means nobody.
    fn of(binding_namespace: &str, subject: &Value) -> Option<Self> {
        let text = |field: &str| subject[field].as_str().unwrap_or_default();
        let kind = match text("kind") {
            "User" => SubjectKind::User,
            "Group" => SubjectKind::Group,
            "ServiceAccount" => SubjectKind::ServiceAccount,
            _ => return None,
        };
        let namespace = if text("namespace").is_empty() { binding_namespace } else { text("namespace") };
        if kind == SubjectKind::ServiceAccount && namespace.is_empty() {
            return None;
        }
        Some(Self { kind, namespace: namespace.to_owned(), name: text("name").to_owned() })
    }

    /// Returns the name of the user or group.
    fn holder(&self) -> String {
        match self.kind {
            SubjectKind::User | SubjectKind::Group => self.name.clone(),
            SubjectKind::ServiceAccount => super::account_name(&self.namespace, &self.name),
        }
    }

    fn is(&self, user: &User) -> bool {
        if self.kind == SubjectKind::Group { user.is_in(&self.name) } else { self.holder() == user.name }
    }

    fn described(&self) -> String {
        match self.kind {
            SubjectKind::User => format!("User {:?}", self.name),
            SubjectKind::Group => format!("Group {:?}", self.name),
            SubjectKind::ServiceAccount => {
                format!("ServiceAccount {:?}", format!("{}/{}", self.name, self.namespace))
            }
        }
    }
}

/// Writes several failures as Go's aggregates do: each once.
pub(super) fn joined(all: Vec<String>) -> String {
    let mut failures = Vec::new();
    for failure in all {
        if !failures.contains(&failure) {
            failures.push(failure);
        }
    }
    if failures.len() == 1 { failures.remove(0) } else { format!("[{}]", failures.join(", ")) }
}
