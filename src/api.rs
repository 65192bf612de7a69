//! the types of `gitops/v1`
