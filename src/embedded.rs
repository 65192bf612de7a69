//! A Kubernetes API in this process, for trying gitopsd out and for tests. It is reached through the same
//! client as any other cluster; no other room knows it.

pub mod access;
pub mod aggregation;
pub mod apply;
pub mod controllers;
pub mod custom;
pub mod discovery;
pub mod faults;
pub mod kinds;
pub mod objects;
pub mod patch;
pub mod rest;
pub mod schema;
pub mod status;
pub mod storage;
pub mod table;
pub mod tls;
pub mod validate;
