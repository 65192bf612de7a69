//! From OpenAPI to the graph: the documents that describe the built-in kinds, whose definitions refer to
//! each other, and the structural schemas of `CustomResourceDefinition`s, which are trees.

use std::collections::{BTreeMap, VecDeque};
use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::super::kinds;
use super::{Node, Shape, Topology};
use crate::manifest::Gvk;

const REFERENCE: &str = "#/components/schemas/";
const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";
const INT_OR_STRING: &str = "io.k8s.apimachinery.pkg.util.intstr.IntOrString";

/// What becomes a field of `Node` or `Shape`, or says nothing about values. The rest are rules.
const NOT_RULES: [&str; 21] = [
    "$ref",
    "additionalProperties",
    "default",
    "description",
    "example",
    "externalDocs",
    "items",
    "nullable",
    "properties",
    "required",
    "title",
    "type",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-group-version-kind",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
    "x-kubernetes-patch-merge-key",
    "x-kubernetes-patch-strategy",
    "x-kubernetes-preserve-unknown-fields",
];

/// The smallest document that describes `metadata`.
static COMMON: LazyLock<Map<String, Value>> =
    LazyLock::new(|| kinds::definitions("apis/authentication.k8s.io/v1"));

/// Compiles what `roots` need: the node of the first is the first node, and so on.
pub(super) fn document(definitions: &Map<String, Value>, roots: &[Gvk]) -> Vec<Node> {
    let mut compiler = Compiler::of(definitions, false);
    let names = by_kind(definitions);
    for root in roots {
        match names.get(root) {
            Some(name) => compiler.place(name),
            None => compiler.reserve(),
        };
    }
    compiler.finish()
}

/// Compiles the schema of a custom resource, whose node is the first.
pub(super) fn custom(schema: &Value) -> Vec<Node> {
    let mut compiler = Compiler::of(&COMMON, true);
    let root = compiler.reserve();
    let mut node = compiler.node(schema);
    compiler.complete(&mut node);
    compiler.nodes[root] = node;
    compiler.finish()
}

fn by_kind(definitions: &Map<String, Value>) -> BTreeMap<Gvk, &str> {
    let text = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
    let mut names = BTreeMap::new();
    for (name, definition) in definitions {
        for kind in definition["x-kubernetes-group-version-kind"].as_array().into_iter().flatten() {
            let gvk =
                Gvk { group: text(kind, "group"), version: text(kind, "version"), kind: text(kind, "kind") };
            names.insert(gvk, name.as_str());
        }
    }
    names
}

struct Compiler<'a> {
    definitions: &'a Map<String, Value>,
    /// Whether the schema is structural: an object without fields has none, and a list without type is
    /// atomic.
    structural: bool,
    nodes: Vec<Node>,
    /// Where definitions are.
    places: BTreeMap<&'a str, usize>,
    /// Definitions that have a place but no node yet.
    queue: VecDeque<(&'a str, usize)>,
    /// Nodes that are like a definition but for what is stated where it is used.
    uses: Vec<(usize, usize, Value)>,
    /// Nodes that say nothing but a type, which need to be there only once.
    plain: BTreeMap<String, usize>,
}

impl<'a> Compiler<'a> {
    fn of(definitions: &'a Map<String, Value>, structural: bool) -> Self {
        Self {
            definitions,
            structural,
            nodes: Vec::new(),
            places: BTreeMap::new(),
            queue: VecDeque::new(),
            uses: Vec::new(),
            plain: BTreeMap::new(),
        }
    }

    fn reserve(&mut self) -> usize {
        self.nodes.push(Node::default());
        self.nodes.len() - 1
    }

    /// The place of a definition.
    fn place(&mut self, name: &str) -> usize {
        if let Some(&at) = self.places.get(name) {
            return at;
        }
        let at = self.reserve();
        // A definition that is missing may be anything.
        if let Some((name, _)) = self.definitions.get_key_value(name) {
            self.places.insert(name, at);
            self.queue.push_back((name, at));
        }
        at
    }

    /// Compiles what has a place but no node.
    fn finish(mut self) -> Vec<Node> {
        while let Some((name, at)) = self.queue.pop_front() {
            let mut node = self.node(&self.definitions[name]);
            match name {
                QUANTITY => node.shape = Shape::Quantity,
                INT_OR_STRING => node.shape = Shape::IntOrString,
                _ => {}
            }
            if matches!(node.shape, Shape::Any | Shape::Quantity | Shape::IntOrString) {
                node.rules = None;
            }
            node.definition = Some(name.into());
            self.nodes[at] = node;
        }
        for (at, definition, schema) in std::mem::take(&mut self.uses) {
            let mut node = self.nodes[definition].clone();
            state(&mut node, &schema);
            self.nodes[at] = node;
        }
        self.nodes
    }

    /// Compiles a schema where it is used and answers its place.
    fn add(&mut self, schema: &Value) -> usize {
        if let Some(name) = reference(schema) {
            return self.place(name);
        }
        if let Some([only]) = schema["allOf"].as_array().map(Vec::as_slice)
            && let Some(name) = reference(only)
        {
            let definition = self.place(name);
            let at = self.reserve();
            let mut stated = schema.clone();
            stated.as_object_mut().expect("it has a field").shift_remove("description");
            self.uses.push((at, definition, stated));
            return at;
        }
        let scalar = plain(schema);
        if let Some(&at) = scalar.and_then(|name| self.plain.get(name)) {
            return at;
        }
        let at = self.reserve();
        if let Some(name) = scalar {
            self.plain.insert(name.to_owned(), at);
        }
        self.nodes[at] = self.node(schema);
        at
    }

    fn node(&mut self, schema: &Value) -> Node {
        let mut node = Node { shape: self.shape(schema), ..Node::default() };
        state(&mut node, schema);
        node.nullable = schema["nullable"] == true;
        node.preserves_unknown = schema["x-kubernetes-preserve-unknown-fields"] == true;
        node.embedded_resource = schema["x-kubernetes-embedded-resource"] == true;
        node.rules = rules(schema, &node.shape);
        if node.embedded_resource {
            self.complete(&mut node);
        }
        node
    }

    fn shape(&mut self, schema: &Value) -> Shape {
        if schema["x-kubernetes-int-or-string"] == true {
            return Shape::IntOrString;
        }
        match schema["type"].as_str().unwrap_or_default() {
            "object" => self.object(schema),
            "array" => Shape::List { items: self.add(&schema["items"]), topology: topology(schema) },
            "boolean" => Shape::Boolean,
            "integer" => Shape::Integer,
            "number" => Shape::Number,
            "string" => Shape::Text,
            _ => Shape::Any,
        }
    }

    fn object(&mut self, schema: &Value) -> Shape {
        let stated = schema["properties"].as_object();
        let values = match &schema["additionalProperties"] {
            Value::Null | Value::Bool(false) => None,
            Value::Bool(true) => Some(self.reserve()),
            values => Some(self.add(values)),
        };
        // RawExtension, FieldsV1: whatever the object holds.
        if stated.is_none() && values.is_none() && !self.structural {
            return Shape::Any;
        }
        let mut fields: Vec<(Box<str>, usize)> = stated
            .into_iter()
            .flatten()
            .map(|(name, field)| (name.as_str().into(), self.add(field)))
            .collect();
        fields.sort_unstable();
        let required = texts(&schema["required"]);
        Shape::Object { fields, required, values, atomic: schema["x-kubernetes-map-type"] == "atomic" }
    }

    /// Gives an object what every Kubernetes object has.
    fn complete(&mut self, node: &mut Node) {
        let text = self.add(&json!({"type": "string"}));
        let meta = self.place(META);
        if matches!(node.shape, Shape::Any) {
            node.shape =
                Shape::Object { fields: Vec::new(), required: Vec::new(), values: None, atomic: false };
        }
        let Shape::Object { fields, .. } = &mut node.shape else { return };
        for (name, at) in [("apiVersion", text), ("kind", text), ("metadata", meta)] {
            match fields.binary_search_by(|(field, _)| (**field).cmp(name)) {
                Ok(index) if name == "metadata" => fields[index].1 = at,
                Ok(_) => {}
                Err(index) => fields.insert(index, (name.into(), at)),
            }
        }
    }
}

/// Takes over what may be stated where a definition is used.
fn state(node: &mut Node, schema: &Value) {
    if let Some(default) = schema.get("default") {
        node.default = Some(default.clone());
    }
    if let Some(strategies) = schema["x-kubernetes-patch-strategy"].as_str() {
        node.patch_strategies = strategies.split(',').map(Into::into).collect();
    }
    if let Some(key) = schema["x-kubernetes-patch-merge-key"].as_str() {
        node.patch_merge_key = Some(key.into());
    }
    if let Shape::Object { atomic, .. } = &mut node.shape
        && let Some(kind) = schema["x-kubernetes-map-type"].as_str()
    {
        *atomic = kind == "atomic";
    }
}

/// What else a schema says of values. That of a number or string is said by its shape.
fn rules(schema: &Value, shape: &Shape) -> Option<Box<Value>> {
    let told = matches!(shape, Shape::IntOrString);
    let rules: Map<String, Value> = schema
        .as_object()?
        .iter()
        .filter(|(name, _)| !(NOT_RULES.contains(&name.as_str()) || told && name.as_str() == "anyOf"))
        .map(|(name, rule)| (name.clone(), rule.clone()))
        .collect();
    (!rules.is_empty()).then(|| Box::new(rules.into()))
}

fn topology(schema: &Value) -> Topology {
    match schema["x-kubernetes-list-type"].as_str() {
        Some("set") => Topology::Set,
        Some("map") => Topology::Map(texts(&schema["x-kubernetes-list-map-keys"])),
        _ => Topology::Atomic,
    }
}

fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix(REFERENCE)
}

/// The type of a scalar of which nothing else is said.
fn plain(schema: &Value) -> Option<&str> {
    let mut fields = schema.as_object()?.keys().filter(|name| *name != "description");
    let alone = fields.next()? == "type" && fields.next().is_none();
    schema["type"].as_str().filter(|name| alone && !["object", "array"].contains(name))
}

fn texts(list: &Value) -> Vec<Box<str>> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(Into::into).collect()
}
