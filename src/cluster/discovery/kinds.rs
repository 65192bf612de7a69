//! The kinds of a cluster as a value: what can be looked up, and how it is read from what an API
//! server announces.

use std::collections::HashMap;

use kube::client::{APIGroupDiscovery, APIGroupDiscoveryList, APIResourceDiscovery};

use super::super::request::segment;
use crate::manifest::{Gvk, Scope};

/// How one version of a kind is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Group, version and kind.
    pub gvk: Gvk,
    /// Plural name, as in paths and in rules of access.
    pub plural: String,
    /// Whether objects live in namespaces.
    pub scope: Scope,
    /// What can be done with it, such as `get`, `list`, `watch`, `patch`.
    pub verbs: Vec<String>,
}

impl Resource {
    /// Says whether the API server offers `verb` for this kind.
    #[must_use]
    pub fn allows(&self, verb: &str) -> bool {
        self.verbs.iter().any(|offered| offered == verb)
    }

    /// Returns the name that rules of access use: `deployments.apps`, `pods`.
    #[must_use]
    pub fn qualified(&self) -> String {
        match self.gvk.group.as_str() {
            "" => self.plural.clone(),
            group => format!("{}.{group}", self.plural),
        }
    }

    /// Returns the path of the objects in `namespace`, or of all objects if it is empty.
    #[must_use]
    pub fn collection(&self, namespace: &str) -> String {
        let root = if self.gvk.group.is_empty() { "/api" } else { "/apis" };
        let api_version = self.gvk.api_version();
        match (self.scope, namespace) {
            (Scope::Namespaced, namespace) if !namespace.is_empty() => {
                format!("{root}/{api_version}/namespaces/{}/{}", segment(namespace), self.plural)
            }
            _ => format!("{root}/{api_version}/{}", self.plural),
        }
    }

    /// Returns the path of one object.
    #[must_use]
    pub fn object(&self, namespace: &str, name: &str) -> String {
        format!("{}/{}", self.collection(namespace), segment(name))
    }
}

/// A snapshot of what a cluster serves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kinds {
    resources: HashMap<Gvk, Resource>,
}

impl FromIterator<Resource> for Kinds {
    /// The first resource of a kind counts.
    fn from_iter<I: IntoIterator<Item = Resource>>(resources: I) -> Self {
        let mut kinds = Self::default();
        for resource in resources {
            kinds.resources.entry(resource.gvk.clone()).or_insert(resource);
        }
        kinds
    }
}

impl Kinds {
    /// Returns how the kind is served; `None` if it is not.
    #[must_use]
    pub fn resource(&self, gvk: &Gvk) -> Option<&Resource> {
        self.resources.get(gvk)
    }

    /// Returns whether objects of the kind live in namespaces; `None` if the kind is not served.
    #[must_use]
    pub fn scope(&self, gvk: &Gvk) -> Option<Scope> {
        self.resource(gvk).map(|resource| resource.scope)
    }

    /// Returns how the kind is served, in the version of `gvk` or else in any other.
    #[must_use]
    pub fn in_any_version(&self, gvk: &Gvk) -> Option<&Resource> {
        let same = |other: &&Resource| other.gvk.group == gvk.group && other.gvk.kind == gvk.kind;
        self.resource(gvk).or_else(|| self.resources.values().find(same))
    }

    /// Reads what the API server announces. A group whose own server does not answer is announced
    /// as stale, often without its resources: what was known of it before goes on to count.
    pub(super) fn read(
        core: &APIGroupDiscoveryList,
        groups: &APIGroupDiscoveryList,
        previous: &Self,
    ) -> Self {
        let all = || core.items.iter().chain(&groups.items);
        let mut kinds: Self = all().flat_map(resources).collect();
        for (group, version) in all().flat_map(stale) {
            let of_it = |gvk: &Gvk| gvk.group == group && gvk.version == version;
            for (gvk, resource) in previous.resources.iter().filter(|(gvk, _)| of_it(gvk)) {
                kinds.resources.entry(gvk.clone()).or_insert_with(|| resource.clone());
            }
        }
        kinds
    }
}

fn name(group: &APIGroupDiscovery) -> &str {
    group.metadata.as_ref().and_then(|metadata| metadata.name.as_deref()).unwrap_or_default()
}

fn stale(group: &APIGroupDiscovery) -> impl Iterator<Item = (&str, &str)> {
    let versions = group.versions.iter().filter(|version| version.freshness.as_deref() == Some("Stale"));
    versions.filter_map(|version| Some((name(group), version.version.as_deref()?)))
}

fn resources(group: &APIGroupDiscovery) -> impl Iterator<Item = Resource> {
    group.versions.iter().flat_map(move |version| {
        let version_name = version.version.as_deref().unwrap_or_default();
        version.resources.iter().filter_map(move |resource| read(name(group), version_name, resource))
    })
}

/// A resource can answer with a kind of another group (`Scale`); without one it is the group's own.
fn read(group: &str, version: &str, resource: &APIResourceDiscovery) -> Option<Resource> {
    let kind = resource.response_kind.as_ref()?;
    let or = |given: &Option<String>, own: &str| match given.as_deref() {
        None | Some("") => own.to_owned(),
        Some(given) => given.to_owned(),
    };
    // An object is written where its `apiVersion` says, so a kind of another group has no path here.
    if or(&kind.group, group) != group || or(&kind.version, version) != version {
        return None;
    }
    Some(Resource {
        gvk: Gvk { group: group.into(), version: version.into(), kind: kind.kind.clone()? },
        plural: resource.resource.clone()?,
        scope: match resource.scope.as_deref() {
            Some("Cluster") => Scope::Cluster,
            _ => Scope::Namespaced,
        },
        verbs: resource.verbs.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn groups(items: &Value) -> APIGroupDiscoveryList {
        serde_json::from_value(json!({"items": items})).unwrap()
    }

    fn group(name: &str, freshness: &str, resources: &Value) -> Value {
        json!({"metadata": {"name": name},
            "versions": [{"version": "v1", "freshness": freshness, "resources": resources}]})
    }

    fn resource(plural: &str, kind: &str, scope: &str) -> Value {
        json!({"resource": plural, "responseKind": {"group": "", "version": "", "kind": kind},
            "scope": scope, "verbs": ["get", "list", "watch"]})
    }

    fn core() -> APIGroupDiscoveryList {
        let resources =
            json!([resource("baskets", "Basket", "Namespaced"), resource("plots", "Plot", "Cluster")]);
        groups(&json!([group("", "Current", &resources)]))
    }

    #[test]
    fn paths_follow_group_and_scope() {
        let trees = groups(&json!([group(
            "grove.example",
            "Current",
            &json!([resource("trees", "Tree", "Namespaced")])
        )]));
        let kinds = Kinds::read(&core(), &trees, &Kinds::default());
        let check = |api_version, kind, namespace, expected| {
            let resource = kinds.resource(&Gvk::new(api_version, kind)).unwrap();
            assert_eq!(resource.object(namespace, "a/b"), expected);
        };
        check("v1", "Basket", "east", "/api/v1/namespaces/east/baskets/a%2Fb");
        check("v1", "Plot", "", "/api/v1/plots/a%2Fb");
        check("v1", "Plot", "east", "/api/v1/plots/a%2Fb");
        check("grove.example/v1", "Tree", "east", "/apis/grove.example/v1/namespaces/east/trees/a%2Fb");
        let tree = kinds.resource(&Gvk::new("grove.example/v1", "Tree")).unwrap();
        assert_eq!(tree.collection(""), "/apis/grove.example/v1/trees");
        assert_eq!(tree.qualified(), "trees.grove.example");
        assert!(tree.allows("watch") && !tree.allows("patch"));
        assert_eq!(kinds.scope(&Gvk::new("grove.example/v2", "Tree")), None);
        assert!(kinds.in_any_version(&Gvk::new("grove.example/v2", "Tree")).is_some());
    }

    #[test]
    fn a_stale_group_keeps_what_was_known_and_harms_no_other() {
        let trees = json!([resource("trees", "Tree", "Namespaced")]);
        let well = groups(&json!([group("grove.example", "Current", &trees)]));
        let before = Kinds::read(&core(), &well, &Kinds::default());
        let ill = groups(&json!([group("grove.example", "Stale", &json!([]))]));
        let tree = Gvk::new("grove.example/v1", "Tree");
        assert!(Kinds::read(&core(), &ill, &before).resource(&tree).is_some());
        let gone = Kinds::read(&core(), &groups(&json!([])), &before);
        assert!(gone.resource(&tree).is_none());
        assert!(gone.resource(&Gvk::new("v1", "Basket")).is_some());
    }

    #[test]
    fn kinds_of_other_groups_have_no_path_in_this_one() {
        let scale = json!([{"resource": "scales", "scope": "Namespaced", "verbs": ["get"],
            "responseKind": {"group": "autoscaling", "version": "v1", "kind": "Scale"}}]);
        let kinds = Kinds::read(
            &core(),
            &groups(&json!([group("grove.example", "Current", &scale)])),
            &Kinds::default(),
        );
        assert!(kinds.resource(&Gvk::new("grove.example/v1", "Scale")).is_none());
        assert!(kinds.resource(&Gvk::new("autoscaling/v1", "Scale")).is_none());
    }
}
