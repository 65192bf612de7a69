//! The verbs on objects, with Kubernetes' meaning, without HTTP. Everything that is written goes through here:
//! what clients send and what the controllers do.

pub(crate) mod beneath;
mod definitions;
pub(crate) mod delete;
mod fill;
pub(crate) mod meta;
mod services;
pub(crate) mod versions;
mod write;

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::kinds::Kind;
use super::kinds::Kinds;
use super::status::Status;
use super::storage::Entry;
use super::storage::Storage;

/// The time.
pub type Clock = Arc<dyn Fn() -> jiff::Timestamp + Send + Sync>;

/// The verbs. Clones share the objects.
#[derive(Clone)]
pub struct Objects {
    /// Where they are kept.
    pub storage: Storage,
    /// What kinds there are.
    pub kinds: Kinds,
    /// The time.
    pub clock: Clock,
}

/// How a write is done.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `fieldManager`.
    pub manager: String,
    /// `dryRun=All`.
    pub dry_run: bool,
    /// `fieldValidation`.
    pub validation: Validation,
    /// `force`, of an apply.
    pub force: bool,
    /// The text that was sent, if it was JSON: it shows fields that are given twice.
    pub text: Bytes,
}

/// `fieldValidation`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Validation {
    /// Unknown and repeated fields are dropped.
    Ignore,
    /// … with a warning.
    #[default]
    Warn,
    /// … are an error.
    Strict,
}

/// A patch, by its media type.
#[derive(Debug, Clone)]
pub enum Patch {
    /// `application/json-patch+json`
    Json(Value),
    /// `application/merge-patch+json`
    Merge(Value),
    /// `application/strategic-merge-patch+json`
    Strategic(Value),
    /// `application/apply-patch+yaml`
    Apply(Value),
}

/// `DeleteOptions`.
#[derive(Debug, Clone, Default)]
pub struct Deletion {
    /// `preconditions.uid`
    pub uid: Option<String>,
    /// `preconditions.resourceVersion`
    pub version: Option<String>,
    /// `propagationPolicy`: `Background`, `Foreground`, `Orphan`.
    pub propagation: Option<String>,
    /// `gracePeriodSeconds`
    pub grace: Option<i64>,
    /// `dryRun=All`
    pub dry_run: bool,
}

/// What a write came to.
#[derive(Debug, Clone)]
pub struct Done {
    /// The object as it is now; of a deletion that is complete, as it was last.
    pub object: Value,
    /// Whether it was created.
    pub created: bool,
    /// Whether it is gone.
    pub gone: bool,
    /// Warnings for the `Warning` header.
    pub warnings: Vec<String>,
}

impl Objects {
    /// The verbs on what is stored.
    #[must_use]
    pub fn new(storage: Storage, kinds: Kinds, clock: Clock) -> Self {
        Self { storage, kinds, clock }
    }

    /// Reads one object, as it is stored.
    pub fn get(&self, kind: &Kind, namespace: &str, name: &str) -> Result<Arc<Entry>, Status> {
        self.storage
            .get(&write::key(kind, namespace, name))
            .ok_or_else(|| Status::not_found(&kind.resource, name))
    }

    /// Creates an object.
    pub fn create(
        &self,
        kind: &Kind,
        namespace: &str,
        object: Value,
        options: &Options,
    ) -> Result<Done, Status> {
        let mut wanted = Self::decode(kind, object, options, false)?;
        write::check_same_namespace(namespace, &mut wanted.object)?;
        if !meta::text(&wanted.object, "resourceVersion").is_empty() {
            let message = "resourceVersion should not be set on objects to be created";
            return Err(Status::new(500, "", message));
        }
        self.insert(kind, namespace, wanted, options)
    }

    /// Replaces an object or a subresource of it (`subresource` is empty for the object itself).
    pub fn update(
        &self,
        kind: &Kind,
        (namespace, name, subresource): (&str, &str, &str),
        object: Value,
        options: &Options,
    ) -> Result<Done, Status> {
        let target = write::Target { kind, namespace, name, subresource };
        if subresource == "scale" {
            return self.replace_scale(target, &object, options);
        }
        self.replace(target, object, options)
    }

    /// Patches an object or a subresource of it.
    pub fn patch(
        &self,
        kind: &Kind,
        (namespace, name, subresource): (&str, &str, &str),
        patch: &Patch,
        options: &Options,
    ) -> Result<Done, Status> {
        let target = write::Target { kind, namespace, name, subresource };
        if subresource == "scale" {
            return self.patch_scale(target, patch, options);
        }
        self.patch_target(target, patch, options)
    }

    /// Deletes an object: at once, or by marking it if finalizers, a grace period or the propagation
    /// policy ask for that.
    pub fn delete(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
        deletion: &Deletion,
    ) -> Result<Done, Status> {
        self.delete_one(kind, namespace, name, deletion)
    }
}

impl Objects {
    /// Reads an object that is not stored: types, unknown fields, defaults.
    pub(crate) fn decoded(kind: &Kind, object: Value, options: &Options) -> Result<Value, Status> {
        Self::decode(kind, object, options, false).map(|wanted| wanted.object)
    }
}
