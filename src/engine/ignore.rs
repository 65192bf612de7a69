//! `spec.ignoreDifferences`: which fields of which objects a comparison leaves out.
//!
//! Rules are compiled once per application; an object's share of them is [`Ignore`]. Nothing here decides
//! whether ignored fields are applied: that is the sync option `RespectIgnoreDifferences`.

mod jq;
pub(crate) mod places;

use std::sync::Arc;

use globset::{Glob, GlobMatcher};
use serde_json::Value;

use self::places::Places;
use super::compare::document::{Document, of_managers};
use super::compare::fields::Fields;
use super::live::Live;
use crate::api::application::ResourceIgnoreDifferences;
use crate::manifest::{Key, Manifest};

/// Why a rule cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The group or kind is not a glob.
    #[error("ignoreDifferences: `{glob}` is not a glob: {reason}")]
    Glob {
        /// As written in the rule.
        glob: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The pointer is not a JSON pointer to a field.
    #[error("ignoreDifferences: JSON pointer `{0}` does not start with `/`; write it like /spec/replicas")]
    Pointer(String),
    /// The jq expression does not compile or is not allowed.
    #[error("ignoreDifferences: jq expression `{expression}`: {reason}")]
    Expression {
        /// As written in the rule.
        expression: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// The compiled rules of one application.
#[derive(Debug, Clone, Default)]
pub struct Rules(Vec<Arc<Rule>>);

#[derive(Debug)]
struct Rule {
    group: GlobMatcher,
    kind: GlobMatcher,
    namespace: Option<String>,
    name: Option<String>,
    pointers: Vec<Vec<String>>,
    expressions: Vec<jq::Expression>,
    managers: Vec<String>,
}

impl Rules {
    /// Compiles the rules of an application.
    pub fn new(entries: &[ResourceIgnoreDifferences]) -> Result<Self, Error> {
        entries.iter().map(|entry| Rule::new(entry).map(Arc::new)).collect::<Result<_, _>>().map(Self)
    }

    /// Returns what is ignored of one object.
    #[must_use]
    pub fn of(&self, key: &Key) -> Ignore {
        let rules = self.0.iter().filter(|rule| rule.matches(key)).cloned().collect();
        Ignore { rules, aggregated: key.kind == "ClusterRole" && key.group == "rbac.authorization.k8s.io" }
    }
}

impl Rule {
    fn new(entry: &ResourceIgnoreDifferences) -> Result<Self, Error> {
        let ResourceIgnoreDifferences {
            group,
            kind,
            name,
            namespace,
            json_pointers,
            jq_path_expressions,
            managed_fields_managers,
        } = entry;
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        Ok(Self {
            group: glob(group.as_deref().unwrap_or_default())?,
            kind: glob(kind)?,
            namespace: given(namespace),
            name: given(name),
            pointers: json_pointers.iter().map(|text| pointer(text)).collect::<Result<_, _>>()?,
            expressions: jq_path_expressions.iter().map(|text| expression(text)).collect::<Result<_, _>>()?,
            managers: managed_fields_managers.clone(),
        })
    }

    fn matches(&self, key: &Key) -> bool {
        self.group.is_match(&key.group)
            && self.kind.is_match(&key.kind)
            && self.namespace.as_ref().is_none_or(|namespace| *namespace == key.namespace)
            && self.name.as_ref().is_none_or(|name| *name == key.name)
    }
}

fn glob(text: &str) -> Result<GlobMatcher, Error> {
    let glob = Glob::new(text)
        .map_err(|error| Error::Glob { glob: text.into(), reason: error.kind().to_string() })?;
    Ok(glob.compile_matcher())
}

/// Splits a JSON pointer (RFC 6901). The empty pointer, which means the whole object, is refused.
fn pointer(text: &str) -> Result<Vec<String>, Error> {
    let tokens = text.strip_prefix('/').ok_or_else(|| Error::Pointer(text.into()))?;
    Ok(tokens.split('/').map(|token| token.replace("~1", "/").replace("~0", "~")).collect())
}

fn expression(text: &str) -> Result<jq::Expression, Error> {
    jq::Expression::compile(text).map_err(|reason| Error::Expression { expression: text.into(), reason })
}

/// What is ignored of one object. The default ignores nothing.
#[derive(Debug, Clone, Default)]
pub struct Ignore {
    rules: Vec<Arc<Rule>>,
    /// Whether the object may be a `ClusterRole` whose rules a controller gathers from others.
    aggregated: bool,
}

impl Ignore {
    /// Says whether nothing is ignored of any object with this key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && !self.aggregated
    }

    /// Removes what is ignored. Field managers are looked up in the object's own `managedFields`.
    pub fn strip(&self, object: &mut Value) {
        let owned = of_managers(object, &self.managers());
        self.places(object, &owned).remove_from(object);
    }

    /// Leaves what is ignored out of what will be applied to an object that exists (sync option
    /// `RespectIgnoreDifferences`). Ignored fields that our field manager owns are applied with their live
    /// value instead: leaving them out would remove them from the object, or reset them to their defaults.
    pub fn omit(&self, desired: &mut Manifest, live: &Live) {
        let Some(document) = Document::of(live).filter(|_| !self.is_empty()) else { return };
        let object = live.value();
        let owned = document.of_managers(&self.managers());
        let mut value = desired.value().clone();
        self.places(&value, &owned).remove_from(&mut value);
        if let Some(ours) = document.ours(&desired.gvk().api_version()) {
            self.places(&object, &owned).keep_owned(&ours, &object, &mut value);
        }
        // A rule that takes the object's name or kind away is not followed: there is nothing to apply then.
        if let Ok(rest) = Manifest::new(value) {
            *desired = rest;
        }
    }

    /// Returns the names of the field managers whose fields are ignored.
    pub(crate) fn managers(&self) -> Vec<&str> {
        self.rules.iter().flat_map(|rule| &rule.managers).map(String::as_str).collect()
    }

    /// Finds what is ignored in `value`; `owned` is what the ignored field managers own.
    pub(crate) fn places(&self, value: &Value, owned: &[Fields]) -> Places {
        let mut places = Places::default();
        for rule in &self.rules {
            for pointer in &rule.pointers {
                places.add_pointer(pointer, value);
            }
            for expression in &rule.expressions {
                expression.find(value, &mut places);
            }
        }
        for fields in owned.iter().filter(|fields| !fields.is_leaf()) {
            places.add_fields(fields, value);
        }
        if self.aggregated && value.get("aggregationRule").is_some_and(Value::is_object) {
            places.add_pointer(&["rules".to_owned()], value);
        }
        places
    }
}

#[cfg(test)]
mod tests;
