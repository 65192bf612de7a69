//! The kinds that are served: a table of the built-in ones, and those that CustomResourceDefinitions add.

use std::sync::Arc;

use serde_json::Value;

use super::schema::Schema;
use crate::manifest::{Gvk, Scope};

/// A served kind in one version.
pub struct Kind {
    /// Group, version and kind.
    pub gvk: Gvk,
    /// Plural name, as in paths.
    pub plural: Box<str>,
    /// Singular name.
    pub singular: Box<str>,
    /// Short names.
    pub short_names: Vec<Box<str>>,
    /// Categories, such as `all`.
    pub categories: Vec<Box<str>>,
    /// Whether objects live in namespaces.
    pub scope: Scope,
    /// Verbs.
    pub verbs: Vec<Box<str>>,
    /// What is beneath an object.
    pub subresources: Vec<Subresource>,
    /// What objects look like.
    pub schema: Schema,
    /// `deployments.apps`: under this name objects are stored and told of in messages.
    pub resource: Arc<str>,
    /// The version in which objects are stored (`v1`); another one differs in `apiVersion` only, or is
    /// converted by `convert`.
    pub stored_version: Box<str>,
    /// What the CustomResourceDefinition says of this version, for kinds that are not built in:
    /// an item of its `spec.versions`.
    pub custom: Option<Arc<Value>>,
    /// Columns of tables: `additionalPrinterColumns`-like rows for custom kinds, rows of the data file for
    /// built-in ones (see `table`).
    pub columns: Arc<Value>,
}

/// What is beneath an object, such as `status` or `scale`.
pub struct Subresource {
    /// Name, such as `status`.
    pub name: Box<str>,
    /// Kind that it takes and answers.
    pub gvk: Gvk,
    /// Verbs.
    pub verbs: Vec<Box<str>>,
}

impl Kind {
    /// Says whether the kind has this subresource.
    #[must_use]
    pub fn has(&self, subresource: &str) -> bool {
        self.subresources.iter().any(|known| &*known.name == subresource)
    }
}

/// All served kinds. Clones share them.
#[derive(Clone)]
pub struct Kinds(Arc<std::sync::RwLock<Vec<Arc<Kind>>>>);

impl Kinds {
    /// The built-in kinds.
    #[must_use]
    pub fn builtin() -> Self {
        todo!()
    }

    /// Finds what a path means.
    #[must_use]
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Kind>> {
        let _ = (group, version, plural);
        todo!()
    }

    /// Finds a kind by what objects call it. An empty version means the preferred one.
    #[must_use]
    pub fn of(&self, group: &str, version: &str, kind: &str) -> Option<Arc<Kind>> {
        let _ = (group, version, kind);
        todo!()
    }

    /// All of them: sorted by group, the versions of a group by preference, then by plural.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Kind>> {
        todo!()
    }

    /// Replaces the kinds of one CustomResourceDefinition, or removes them (`kinds` is empty). `resource`
    /// is its name: `widgets.example.org`.
    pub fn define(&self, resource: &str, kinds: Vec<Kind>) {
        let _ = (resource, kinds);
        todo!()
    }
}
