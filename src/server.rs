//! The aggregated API server: TLS, who asks, what for, whether they may, and the answers. What is
//! asked for is kept in objects of the store; nothing here acts on a cluster.

pub mod authentication;
pub mod authorization;
mod cache;
pub mod failure;
pub mod request;
pub mod rest;
mod subresources;

#[cfg(test)]
pub(crate) mod fake;
