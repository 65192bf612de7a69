//! Git becomes an immutable file tree at a resolved revision.
//!
//! Not here: what the files mean (`render`), and whose credentials to use (`controller`).

pub mod git;
pub mod tree;
