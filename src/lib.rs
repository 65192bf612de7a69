//! GitOps as a native part of Kubernetes. Each module is a room of the house that ARCHITECTURE.md
//! draws; `tests/layers.rs` holds which room may import which.

pub mod api;
pub mod app;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod controller;
pub mod embedded;
pub mod engine;
pub mod manifest;
pub mod render;
pub mod server;
pub mod source;
pub mod store;
pub mod telemetry;
