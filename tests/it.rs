//! One binary for all tests that need no cluster.

mod api {
    mod crds;
    mod fields;
    mod round_trip;
}
