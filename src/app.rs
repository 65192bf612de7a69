//! where the parts are built and joined
