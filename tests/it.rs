//! One binary for all tests that need no cluster.

mod layers;
mod scenarios;

mod api {
    mod crds;
    mod fields;
    mod round_trip;
}
