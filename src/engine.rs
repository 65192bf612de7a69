//! Pure decisions: what is desired, how it differs from what is live, what to do next, what to
//! record. No I/O, no clock: `now` is a parameter and reasons are returned as data.

pub mod live;
pub mod step;
