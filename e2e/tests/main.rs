//! Tests that drive `kubectl` and `gitopsd` against a real control plane.

mod ground;
mod harness;
