//! One binary for all tests that need no cluster.
mod layers;
