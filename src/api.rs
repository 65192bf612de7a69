//! The types of `gitops/v1`: what users write and read, how it is checked, what a project permits,
//! and the schemas and OpenAPI documents made from the types.
//!
//! The types are the wire format, 1:1, and decide nothing. Deliberately absent: I/O of any kind, and
//! everything that needs to know a cluster or a repository.

pub mod application;
pub mod crd;
pub mod names;
pub mod openapi;
pub mod policy;
pub mod project;
pub mod requests;
pub mod schema;

/// Something wrong with one field of an object a user wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct FieldError {
    /// Path of the field, such as `spec.sources[1].ref`.
    pub field: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl FieldError {
    /// Names the field and what is wrong with it.
    #[must_use]
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}
