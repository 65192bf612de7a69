//! Sets of fields of one object: trees of what may be owned, kept in Kubernetes' order.

use std::cmp::Ordering;
use std::fmt;

use serde_json::Value;

use super::value;

/// One step into an object.
#[derive(Debug, Clone)]
pub(super) enum Element {
    /// A field of an object, or a key of a map.
    Field(Box<str>),
    /// The item of a list that has these fields, which are sorted by name.
    Key(Box<[(Box<str>, Value)]>),
    /// The item of a set that has this value.
    Value(Value),
    /// An item by its place.
    Index(i64),
}

impl Ord for Element {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Field(name), Self::Field(other)) => name.cmp(other),
            (Self::Key(fields), Self::Key(others)) => {
                let different = fields.iter().zip(others).map(|((name, value), (other, others))| {
                    name.cmp(other).then_with(|| value::compare(value, others))
                });
                different.into_iter().find(|order| order.is_ne()).unwrap_or(fields.len().cmp(&others.len()))
            }
            (Self::Value(value), Self::Value(other)) => value::compare(value, other),
            (Self::Index(index), Self::Index(other)) => index.cmp(other),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Element {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Element {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Element {}

impl Element {
    fn rank(&self) -> u8 {
        match self {
            Self::Field(_) => 0,
            Self::Key(_) => 1,
            Self::Value(_) => 2,
            Self::Index(_) => 3,
        }
    }
}

/// As Kubernetes tells of fields: `.spec`, `[name="web"]`, `[="a"]`, `[3]`.
impl fmt::Display for Element {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(formatter, ".{name}"),
            Self::Key(fields) => {
                let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
                write!(formatter, "[{}]", fields.join(","))
            }
            Self::Value(value) => write!(formatter, "[={value}]"),
            Self::Index(index) => write!(formatter, "[{index}]"),
        }
    }
}

/// A set of fields. No part of it is empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Set(Vec<Node>);

/// A field, with what is below it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    /// Which.
    pub(super) element: Element,
    /// What of it is in the set.
    pub(super) branch: Branch,
}

/// What a set says of one field.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Branch {
    /// Whether the field itself is in the set.
    pub(super) member: bool,
    /// What is in the set below it.
    pub(super) below: Set,
}

impl Branch {
    pub(super) fn is_empty(&self) -> bool {
        !self.member && self.below.is_empty()
    }
}

impl Set {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn nodes(&self) -> &[Node] {
        &self.0
    }

    /// Makes a set of paths of fields.
    pub(super) fn of(paths: &[&[&str]]) -> Self {
        let mut set = Self::default();
        for path in paths {
            let mut branch = Branch { member: true, below: Self::default() };
            let mut names = path.iter().rev();
            let Some(mut name) = names.next() else { continue };
            for above in names {
                let mut below = Self::default();
                below.put(Element::Field((*name).into()), branch);
                branch = Branch { member: false, below };
                name = above;
            }
            set.put(Element::Field((*name).into()), branch);
        }
        set
    }

    /// Adds what is known of a field.
    pub(super) fn put(&mut self, element: Element, branch: Branch) {
        if branch.is_empty() {
            return;
        }
        if self.0.last().is_none_or(|last| last.element < element) {
            self.0.push(Node { element, branch });
            return;
        }
        match self.0.binary_search_by(|node| node.element.cmp(&element)) {
            Ok(index) => {
                let known = &mut self.0[index].branch;
                known.member |= branch.member;
                known.below = known.below.union(&branch.below);
            }
            Err(index) => self.0.insert(index, Node { element, branch }),
        }
    }

    /// What the set says of a field of an object.
    pub(super) fn field(&self, name: &str) -> Option<&Branch> {
        let found = self.0.binary_search_by(|node| match &node.element {
            Element::Field(field) => (**field).cmp(name),
            _ => Ordering::Greater,
        });
        found.ok().map(|index| &self.0[index].branch)
    }

    /// What the set says of any element.
    pub(super) fn get(&self, element: &Element) -> Option<&Branch> {
        let found = self.0.binary_search_by(|node| node.element.cmp(element));
        found.ok().map(|index| &self.0[index].branch)
    }

    /// What is in either.
    pub(super) fn union(&self, other: &Self) -> Self {
        if self.is_empty() || other.is_empty() {
            return if self.is_empty() { other.clone() } else { self.clone() };
        }
        let mut all = Vec::with_capacity(self.0.len().max(other.0.len()));
        join(self, other, |element, left, right| {
            let branch = match (left, right) {
                (Some(left), Some(right)) => {
                    Branch { member: left.member || right.member, below: left.below.union(&right.below) }
                }
                (Some(only), None) | (None, Some(only)) => only.clone(),
                (None, None) => return,
            };
            all.push(Node { element: element.clone(), branch });
        });
        Self(all)
    }

    /// What is in both.
    pub(super) fn intersection(&self, other: &Self) -> Self {
        self.combine(other, |left, right| Branch {
            member: left.member && right.is_some_and(|right| right.member),
            below: right.map(|right| left.below.intersection(&right.below)).unwrap_or_default(),
        })
    }

    /// What is not in the other set. A field stays if only something below it is in the other.
    pub(super) fn difference(&self, other: &Self) -> Self {
        self.combine(other, |left, right| match right {
            None => left.clone(),
            Some(right) => {
                Branch { member: left.member && !right.member, below: left.below.difference(&right.below) }
            }
        })
    }

    /// The same, but a field takes everything below it with it.
    pub(super) fn without(&self, other: &Self) -> Self {
        if other.is_empty() {
            return self.clone();
        }
        self.combine(other, |left, right| match right {
            None => left.clone(),
            Some(right) if right.member => Branch::default(),
            Some(right) => Branch { member: left.member, below: left.below.without(&right.below) },
        })
    }

    fn combine(&self, other: &Self, branch: impl Fn(&Branch, Option<&Branch>) -> Branch) -> Self {
        let mut left = Vec::new();
        join(self, other, |element, ours, theirs| {
            let Some(ours) = ours else { return };
            let branch = branch(ours, theirs);
            if !branch.is_empty() {
                left.push(Node { element: element.clone(), branch });
            }
        });
        Self(left)
    }

    /// The paths of all members as text, those of one level before what is below them.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect("", &mut paths);
        paths
    }

    fn collect(&self, above: &str, paths: &mut Vec<String>) {
        paths.extend(
            self.0.iter().filter(|node| node.branch.member).map(|node| format!("{above}{}", node.element)),
        );
        for node in self.0.iter().filter(|node| !node.branch.below.is_empty()) {
            node.branch.below.collect(&format!("{above}{}", node.element), paths);
        }
    }
}

/// Walks two sets side by side.
fn join<'a>(
    left: &'a Set,
    right: &'a Set,
    mut each: impl FnMut(&'a Element, Option<&'a Branch>, Option<&'a Branch>),
) {
    let (mut ours, mut theirs) = (left.0.iter().peekable(), right.0.iter().peekable());
    loop {
        let order = match (ours.peek(), theirs.peek()) {
            (Some(left), Some(right)) => left.element.cmp(&right.element),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return,
        };
        let left = if order.is_le() { ours.next() } else { None };
        let right = if order.is_ge() { theirs.next() } else { None };
        if let Some(node) = left.or(right) {
            each(&node.element, left.map(|node| &node.branch), right.map(|node| &node.branch));
        }
    }
}
