//! Nobody gives away rights that they do not have: the check that writes of roles and bindings pass besides
//! the one of the verb.

use serde_json::Value;

use super::policy::{Dangling, Policy, RoleRef, joined};
use super::rule::{Rule, missing, quoted};
use super::{Access, Attributes, MASTERS, User, forbidden};
use crate::embedded::status::Status;

const GROUP: &str = "rbac.authorization.k8s.io";

impl Access {
    /// Says whether `user` may make `after` out of `before` (nothing, if it is created). `resource` is a group
    /// resource, such as `roles.rbac.authorization.k8s.io`; others than those of RBAC pass. For patches, ask
    /// with what a dry run came to.
    pub fn guard(
        &self,
        user: &User,
        resource: &str,
        namespace: &str,
        before: Option<&Value>,
        after: &Value,
    ) -> Result<(), Status> {
        let Some(plural) = resource.strip_suffix(GROUP).and_then(|plural| plural.strip_suffix('.')) else {
            return Ok(());
        };
        if user.is_in(MASTERS) || before.is_some_and(|before| is_same_but_for_its_end(before, after)) {
            return Ok(());
        }
        let write = Write { access: self, user, resource, namespace, name: name(after) };
        match plural {
            "roles" | "clusterroles" => write.of_role(plural, before, after),
            "rolebindings" | "clusterrolebindings" => write.of_binding(after),
            _ => Ok(()),
        }
    }
}

/// A write that might give away rights.
struct Write<'a> {
    access: &'a Access,
    user: &'a User,
    resource: &'a str,
    namespace: &'a str,
    name: &'a str,
}

impl Write<'_> {
    fn of_role(&self, plural: &str, before: Option<&Value>, after: &Value) -> Result<(), Status> {
        // The name of an object that is created is not in its path.
        let name = before.map_or("", name);
        if self.may("escalate", plural, name) {
            return Ok(());
        }
        self.holds(&Rule::all(after))?;
        let aggregates = |role: &Value| {
            let selectors = role["aggregationRule"]["clusterRoleSelectors"].as_array();
            selectors.is_some_and(|selectors| !selectors.is_empty())
        };
        if before.into_iter().chain([after]).any(aggregates) {
            let why = "must have cluster-admin privileges to use the aggregationRule";
            return self.holds(&Rule::everything()).map_err(|_| forbidden(self.resource, self.name, why));
        }
        Ok(())
    }

    fn of_binding(&self, after: &Value) -> Result<(), Status> {
        let role = RoleRef::of(after);
        let plural = if role.kind == "Role" { "roles" } else { "clusterroles" };
        if self.may("bind", plural, &role.name) {
            return Ok(());
        }
        let rules = |policy: &Policy| policy.rules_of(&role, self.namespace).map(<[Rule]>::to_vec);
        let rules = self.access.current.ask(rules);
        self.holds(&rules.map_err(|Dangling(role)| Status::not_found(self.resource, &role.name))?)
    }

    fn may(&self, verb: &str, plural: &str, name: &str) -> bool {
        let attributes = Attributes {
            verb: verb.into(),
            group: GROUP.into(),
            version: "*".into(),
            resource: plural.into(),
            namespace: self.namespace.into(),
            name: name.into(),
            ..Attributes::default()
        };
        self.access.may(self.user, &attributes)
    }

    /// Fails unless the user has all these rights.
    fn holds(&self, rules: &[Rule]) -> Result<(), Status> {
        let (held, dangling) = self.access.current.ask(|policy| policy.rules(self.user, self.namespace));
        let missing = missing(&held, rules);
        if missing.is_empty() {
            return Ok(());
        }
        let User { name, groups, .. } = self.user;
        let mut why = format!(
            "user {name:?} (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
            quoted(groups),
            missing.join("\n")
        );
        if !dangling.is_empty() {
            // kube-apiserver tells of missing roles as of the resource that is written.
            let lost =
                dangling.iter().map(|Dangling(role)| Status::not_found(self.resource, &role.name).message);
            why = format!("{why}; resolution errors: [{}]", joined(lost.collect()));
        }
        Err(forbidden(self.resource, self.name, &why))
    }
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// Says whether nothing changes but what lets an object be deleted.
fn is_same_but_for_its_end(before: &Value, after: &Value) -> bool {
    let rest = |object: &Value| {
        let mut object = object.clone();
        if let Some(metadata) = object["metadata"].as_object_mut() {
            for field in ["ownerReferences", "finalizers", "managedFields", "resourceVersion", "generation"] {
                metadata.remove(field);
            }
        }
        object
    };
    rest(before) == rest(after)
}
