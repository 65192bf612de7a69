//! Whole-behaviour tests.
