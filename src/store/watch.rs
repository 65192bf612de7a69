//! Following our own objects.

use std::sync::Arc;

use futures::{Stream, StreamExt};
use kube::Api;
use kube::runtime::watcher::{self, Event};
use tokio::sync::SetOnce;

use super::Store;
use super::stored::{Kept, Stored};
use crate::api::application::Application;
use crate::api::project::Project;

/// Whether a watch has told all that was there when it began. Clones share it.
///
/// `reflector::Store::wait_until_ready` answers the same question, but of several that wait it wakes only
/// the last.
#[derive(Debug, Clone, Default)]
pub struct Listed(Arc<SetOnce<()>>);

impl Listed {
    /// Takes note of what the watch told. Whoever waits finds in a reflector's store only what was
    /// reflected before this is called.
    pub fn note<T>(&self, event: &Event<T>) {
        if matches!(event, Event::InitDone) {
            let _ = self.0.set(()); // again after every relist
        }
    }

    /// Waits until everything was told.
    pub async fn wait(&self) {
        self.0.wait().await;
    }

    /// Says whether everything was told.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.0.initialized()
    }
}

impl Store {
    /// Follows the applications of all projects, in the served view without `managedFields`. Errors do
    /// not end the stream: poll on after a pause (`WatchStreamExt::default_backoff`). An application
    /// that cannot be read is logged and left out.
    pub fn watch_applications(
        &self,
    ) -> impl Stream<Item = Result<Event<Application>, watcher::Error>> + Send + use<> {
        self.watch()
    }

    /// Follows the projects, as [`Store::watch_applications`] does.
    pub fn watch_projects(
        &self,
    ) -> impl Stream<Item = Result<Event<Project>, watcher::Error>> + Send + use<> {
        self.watch()
    }

    fn watch<T: Kept>(&self) -> impl Stream<Item = Result<Event<T>, watcher::Error>> + Send + use<T>
    where
        Stored<T>: kube::Resource<DynamicType = ()>,
    {
        let api = Api::<Stored<T>>::all(self.client.clone());
        watcher::watcher(api, watcher::Config::default())
            .filter_map(|event| std::future::ready(event.map(readable).transpose()))
    }
}

/// Returns the event of an object that can be read.
///
/// One that turned unreadable keeps its last readable state for whoever follows, until it is deleted.
fn readable<T: Kept>(event: Event<Stored<T>>) -> Option<Event<T>> {
    Some(match event {
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
        Event::InitApply(stored) => Event::InitApply(object(stored)?),
        Event::Apply(stored) => Event::Apply(object(stored)?),
        Event::Delete(stored) => Event::Delete(deleted(stored)),
    })
}

/// What is gone is known by its metadata.
fn deleted<T: Kept>(stored: Stored<T>) -> T {
    match stored {
        Stored::Readable(object) => object,
        Stored::Unreadable { metadata, .. } => {
            let mut object = T::default();
            *object.metadata_mut() = *metadata;
            object
        }
    }
}

fn object<T: Kept>(stored: Stored<T>) -> Option<T> {
    match stored {
        Stored::Readable(object) => Some(object),
        Stored::Unreadable { metadata, why } => {
            tracing::error!(
                kind = T::WHICH.served(),
                namespace = metadata.namespace,
                name = metadata.name,
                why,
                "the stored object cannot be read and is passed over; put it right with kubectl edit"
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn everybody_who_waits_is_woken() {
        let listed = Listed::default();
        let waiters: Vec<_> = (0..3)
            .map(|_| listed.clone())
            .map(|listed| tokio::spawn(async move { listed.wait().await }))
            .collect();
        tokio::task::yield_now().await;
        listed.note(&Event::<()>::Init);
        assert!(!listed.is_done() && pin!(listed.wait()).now_or_never().is_none());
        listed.note(&Event::<()>::InitDone);
        listed.note(&Event::<()>::InitDone);
        for waiter in waiters {
            waiter.await.unwrap();
        }
    }
}
