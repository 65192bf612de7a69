//! Tests that drive `kubectl` and `gitopsd` against a real control plane.

mod access;
mod cluster_citizen;
mod conformance;
mod crash;
mod deletion;
mod demo;
mod differential;
mod flow;
mod ground;
mod harness;
mod hooks;
mod input;
mod kubectl;
mod kubectl_writes;
mod projects;
mod samples;
mod sources;
mod subresources;
