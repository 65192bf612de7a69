//! What the controller remembers of applications between passes. All of it can be lost: it only saves
//! work, and keeps a pass from acting on a state older than its own last write.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use kube::ResourceExt;

use crate::api::application::{Application, ApplicationSource};
use crate::engine::comparison::Finding;
use crate::manifest::Key;

/// One application's memory; locked for a whole pass.
pub(super) type Shared = Arc<tokio::sync::Mutex<Remembered>>;

/// The memories of all applications, by namespace and name.
#[derive(Default)]
pub(super) struct Memory(Mutex<HashMap<(String, String), Shared>>);

/// What is remembered of one application.
#[derive(Default)]
pub(super) struct Remembered {
    /// The application as the last write returned it.
    written: Option<Arc<Application>>,
    /// What each source rendered to last.
    pub(super) rendered: Vec<Rendering>,
    /// What trial applies told, with the live version and the desired state they were about.
    pub(super) predictions: HashMap<Key, Prediction>,
    /// How often the application failed in a row for reasons outside it.
    pub(super) failures: u32,
}

/// The outcome of rendering one source.
#[derive(Clone)]
pub(super) struct Rendering {
    /// The source that was rendered.
    pub(super) source: ApplicationSource,
    /// The commit it was last found valid for.
    pub(super) commit: String,
    /// Paths that were read, with their object ids; the manifests hold as long as these do.
    pub(super) read: Vec<(String, String)>,
    /// The manifests as JSON, parsed on demand.
    pub(super) manifests: Arc<[Box<str>]>,
    /// `Directory`, `Helm`, …
    pub(super) source_type: String,
    /// What the user should know.
    pub(super) warnings: Vec<String>,
}

/// The outcome of one trial apply.
pub(super) struct Prediction {
    /// Version of the live object.
    pub(super) resource_version: String,
    /// Hash of the desired object and what is ignored.
    pub(super) desired: u64,
    /// What was found.
    pub(super) finding: Finding,
}

impl Memory {
    /// Returns the memory of an application, empty at first.
    pub(super) fn of(&self, application: &Application) -> Shared {
        let mut memories = self.0.lock().expect("no holder panics");
        Arc::clone(memories.entry(id(application)).or_default())
    }

    /// Forgets an application.
    pub(super) fn forget(&self, application: &Application) {
        self.0.lock().expect("no holder panics").remove(&id(application));
    }
}

fn id(application: &Application) -> (String, String) {
    (application.namespace().unwrap_or_default(), application.name_any())
}

impl Remembered {
    /// Returns the newer of `seen` and what was written last: watches may lag behind our own writes.
    pub(super) fn newest(&self, seen: Arc<Application>) -> Arc<Application> {
        let version = |app: &Application| app.metadata.resource_version.as_ref()?.parse::<u64>().ok();
        match &self.written {
            Some(written) if written.uid() == seen.uid() && version(written) > version(&seen) => {
                Arc::clone(written)
            }
            _ => seen,
        }
    }

    /// Keeps what a write returned.
    pub(super) fn wrote(&mut self, application: Application) -> Arc<Application> {
        let application = Arc::new(application);
        self.written = Some(Arc::clone(&application));
        application
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(version: &str, uid: &str) -> Application {
        let mut application = Application::default();
        application.metadata.resource_version = Some(version.into());
        application.metadata.uid = Some(uid.into());
        application
    }

    #[test]
    fn a_lagging_watch_does_not_hide_what_was_written() {
        let mut memory = Remembered::default();
        memory.wrote(version("10", "a"));
        let check = |seen: &Application, expected| {
            let newest = memory.newest(Arc::new(seen.clone()));
            assert_eq!(newest.metadata.resource_version.as_deref(), Some(expected));
        };
        check(&version("9", "a"), "10");
        check(&version("11", "a"), "11");
        check(&version("9", "made anew"), "9");
    }
}
