//! Kubernetes events about our objects: recording them, and finding those of an application and of
//! what it manages.

mod query;
mod recorder;
mod scope;

pub use query::{EventPage, Filter, Page};
pub use recorder::{Happening, Reason, Recorder, Severity};
