//! What the objects of a kind look like: an OpenAPI schema, compiled so that it is quick to walk.

mod compile;
#[cfg(test)]
mod tests;

use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value};

use crate::manifest::Gvk;

/// A schema: one node of a compiled graph, which may refer to itself. Cheap to clone; a graph is compiled
/// when it is first looked at.
#[derive(Clone)]
pub struct Schema {
    graph: Arc<Graph>,
    at: usize,
}

type Graph = LazyLock<Arc<Vec<Node>>, Box<dyn FnOnce() -> Arc<Vec<Node>> + Send>>;

/// One node of a schema.
#[derive(Debug, Clone, Default)]
pub struct Node {
    /// What values look like.
    pub shape: Shape,
    /// The OpenAPI definition it comes from, such as `io.k8s.api.core.v1.Container`.
    pub definition: Option<Arc<str>>,
    /// Whether `null` is a value rather than the absence of one.
    pub nullable: bool,
    /// The default that the schema states.
    pub default: Option<Value>,
    /// `x-kubernetes-preserve-unknown-fields`.
    pub preserves_unknown: bool,
    /// `x-kubernetes-embedded-resource`.
    pub embedded_resource: bool,
    /// What else must hold: `enum`, `pattern`, `minimum`, … as the schema writes them.
    pub rules: Option<Box<Value>>,
    /// `x-kubernetes-patch-strategy`: `merge`, `replace`, `retainKeys`.
    pub patch_strategies: Vec<Box<str>>,
    /// `x-kubernetes-patch-merge-key`.
    pub patch_merge_key: Option<Box<str>>,
}

/// What values look like.
#[derive(Debug, Clone, Default)]
pub enum Shape {
    /// Anything: no type is stated.
    #[default]
    Any,
    /// An object with fields, a map, or both.
    Object {
        /// Fields by name, sorted: each with the place of its node.
        fields: Vec<(Box<str>, usize)>,
        /// Names of fields that must be there.
        required: Vec<Box<str>>,
        /// The node of the values of a map.
        values: Option<usize>,
        /// `x-kubernetes-map-type: atomic`.
        atomic: bool,
    },
    /// A list.
    List {
        /// The node of its items.
        items: usize,
        /// How server-side apply merges it.
        topology: Topology,
    },
    /// `true` or `false`.
    Boolean,
    /// A number without fraction.
    Integer,
    /// A number.
    Number,
    /// A string. `format` is among the rules.
    Text,
    /// `x-kubernetes-int-or-string`.
    IntOrString,
    /// A quantity: a number or a string, such as `100m`.
    Quantity,
}

/// `x-kubernetes-list-type`, with `x-kubernetes-list-map-keys`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topology {
    /// One value.
    Atomic,
    /// Scalars without order or duplicates.
    Set,
    /// Objects, told apart by these fields.
    Map(Vec<Box<str>>),
}

impl Schema {
    /// Takes the node `at` of a compiled graph.
    #[must_use]
    pub fn new(nodes: Arc<Vec<Node>>, at: usize) -> Self {
        Self { graph: Arc::new(Graph::new(Box::new(move || nodes))), at }
    }

    /// The schemas of `kinds`, one for each, from the `components.schemas` of an OpenAPI document, which
    /// `definitions` gives when one of them is first looked at. A kind that the document does not have
    /// may be anything.
    pub fn of_document(
        definitions: impl FnOnce() -> Map<String, Value> + Send + 'static,
        kinds: Vec<Gvk>,
    ) -> Vec<Self> {
        let count = kinds.len();
        let compile = move || Arc::new(compile::document(&definitions(), &kinds));
        let graph = Arc::new(Graph::new(Box::new(compile)));
        (0..count).map(|at| Self { graph: Arc::clone(&graph), at }).collect()
    }

    /// The schema of a custom resource: the `openAPIV3Schema` of a `CustomResourceDefinition`, with the
    /// `apiVersion`, `kind` and `metadata` that every object has.
    #[must_use]
    pub fn of_custom(schema: &Value) -> Self {
        Self::new(Arc::new(compile::custom(schema)), 0)
    }

    /// Finds another definition of the graph, such as `io.k8s.api.autoscaling.v1.Scale` beside a
    /// Deployment.
    #[must_use]
    pub fn definition(&self, name: &str) -> Option<Self> {
        let at = self.graph.iter().position(|node| node.definition.as_deref() == Some(name))?;
        Some(self.to(at))
    }

    /// Returns the node.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.graph[self.at]
    }

    fn to(&self, at: usize) -> Self {
        Self { graph: Arc::clone(&self.graph), at }
    }

    /// Returns the schema of a field: a stated one, or that of a map's values.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<Self> {
        let Shape::Object { fields, values, .. } = &self.node().shape else { return None };
        let found = fields.binary_search_by(|(field, _)| (**field).cmp(name)).ok();
        found.map(|index| fields[index].1).or(*values).map(|at| self.to(at))
    }

    /// Returns the schema of a list's items.
    #[must_use]
    pub fn items(&self) -> Option<Self> {
        let Shape::List { items, .. } = &self.node().shape else { return None };
        Some(self.to(*items))
    }
}
