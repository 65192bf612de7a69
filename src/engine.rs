//! Pure decisions: what is desired, how it differs from what is live, what to do next, what to
//! record. No I/O, no clock: `now` is a parameter and reasons are returned as data.

pub mod automation;
pub mod compare;
pub mod comparison;
pub mod desired;
pub mod health;
pub mod ignore;
pub mod live;
pub mod operation;
pub mod plan;
pub mod status;
pub mod step;
pub mod subject;
pub mod summary;
#[cfg(test)]
pub(crate) mod testing;
pub mod tracking;
