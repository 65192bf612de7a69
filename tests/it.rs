//! One binary for all tests that need no cluster.

mod demo;
mod differential;
mod layers;
mod scenarios;

mod api {
    mod crds;
    mod fields;
    mod round_trip;
}
