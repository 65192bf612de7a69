//! Kubernetes events about our objects: recording them, and finding those of an application and of
//! what it manages.

mod query;
mod recorder;
mod scope;

pub use query::{EventPage, Filter, Page};
pub(super) use recorder::Recorder;
pub use recorder::{Happening, Severity};
