//! What the tests stand on: a cluster and its users, gitopsd, Git repositories, and patience.

pub(crate) mod api;
pub(crate) mod app;
pub(crate) mod cluster;
pub(crate) mod gitopsd;
mod http;
pub(crate) mod patience;
pub(crate) mod program;
pub(crate) mod project;
pub(crate) mod repo;
pub(crate) mod ssh;
