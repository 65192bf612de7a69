//! pure decisions
