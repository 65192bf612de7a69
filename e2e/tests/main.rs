//! Tests that drive `kubectl` and `gitopsd` against a real control plane.

mod crash;
mod deletion;
mod flow;
mod ground;
mod harness;
mod hooks;
mod projects;
mod samples;
mod sources;
mod subresources;
