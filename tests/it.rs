//! One binary for all tests that need no cluster.

mod differential;
mod layers;
mod scenarios;

mod api {
    mod crds;
    mod fields;
    mod round_trip;
}
