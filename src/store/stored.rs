//! The stored kinds as the controller's watches read them: whatever is in the cluster can be read, and
//! an object that makes no sense does not hide the others.

use std::fmt::Debug;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::{ClusterResourceScope, Metadata, NamespaceResourceScope, Resource, ResourceScope};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _};
use serde_json::value::RawValue;

use super::wire;
use crate::api::application::Application;
use crate::api::project::Project;

/// A kind that is stored, as the served view has it.
pub(super) trait Kept:
    DeserializeOwned + Metadata<Ty = ObjectMeta> + Default + Clone + Debug + Send + 'static
{
    type Reach: ResourceScope;
    const WHICH: super::Kind;
    const STORED: &'static str;
    const PATH: &'static str;
}

impl Kept for Application {
    type Reach = NamespaceResourceScope;
    const WHICH: super::Kind = super::Kind::Application;
    const STORED: &'static str = super::Kind::Application.stored();
    const PATH: &'static str = super::Kind::Application.stored_plural();
}

impl Kept for Project {
    type Reach = ClusterResourceScope;
    const WHICH: super::Kind = super::Kind::Project;
    const STORED: &'static str = super::Kind::Project.stored();
    const PATH: &'static str = super::Kind::Project.stored_plural();
}

/// An object as it is stored, read into the served view without its `managedFields`.
#[derive(Debug, Clone)]
pub(super) enum Stored<T> {
    /// It makes sense.
    Readable(T),
    /// It does not; why, and what it is called.
    Unreadable { metadata: Box<ObjectMeta>, why: String },
}

impl<'de, T: Kept> Deserialize<'de> for Stored<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Bare {
            metadata: ObjectMeta,
        }
        let stored = Box::<RawValue>::deserialize(deserializer)?;
        let mut text = String::with_capacity(stored.get().len());
        wire::object(stored.get(), &mut text).map_err(D::Error::custom)?;
        let mut stored = match serde_json::from_str(&text) {
            Ok(object) => Self::Readable(object),
            Err(error) => {
                let Bare { metadata } = serde_json::from_str(&text).map_err(D::Error::custom)?;
                Self::Unreadable { metadata: Box::new(metadata), why: error.to_string() }
            }
        };
        stored.metadata_mut().managed_fields = None;
        Ok(stored)
    }
}

impl<T: Kept> Resource for Stored<T> {
    const API_VERSION: &'static str = "storage.gitops/v1";
    const GROUP: &'static str = "storage.gitops";
    const KIND: &'static str = T::STORED;
    const VERSION: &'static str = "v1";
    const URL_PATH_SEGMENT: &'static str = T::PATH;
    type Scope = T::Reach;
}

impl<T: Kept> Metadata for Stored<T> {
    type Ty = ObjectMeta;

    fn metadata(&self) -> &ObjectMeta {
        match self {
            Self::Readable(object) => object.metadata(),
            Self::Unreadable { metadata, .. } => metadata,
        }
    }

    fn metadata_mut(&mut self) -> &mut ObjectMeta {
        match self {
            Self::Readable(object) => object.metadata_mut(),
            Self::Unreadable { metadata, .. } => metadata,
        }
    }
}
