//! our own objects
