//! Requests for groups that an `APIService` serves are passed on, as kube-apiserver's aggregator does: with the
//! identity of who asks in headers that are believed because of our front-proxy certificate.

mod availability;
mod document;
mod local;
mod proxy;
mod route;

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use http::{Request, Response};
use serde_json::Value;
use tower::util::BoxCloneSyncService;

use super::access::User;
use super::objects::Objects;
use super::storage::Key;
use super::tls::{self, Identity};
use document::Known;
use route::{Route, Spec};

const RESOURCE: &str = "apiservices.apiregistration.k8s.io";

/// A server in this process.
pub type InProcess = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// Where the server of a group is, if not where its Service says.
#[derive(Clone)]
pub enum Upstream {
    /// Under this host and port, over TLS.
    Address(String, u16),
    /// In this process.
    InProcess(InProcess),
}

/// The servers behind this one. Clones share them.
#[derive(Clone)]
pub struct Aggregation(Arc<Shared>);

struct Shared {
    objects: Objects,
    /// What we show to servers.
    proxy: Option<Identity>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By group and version.
    upstreams: HashMap<(String, String), Upstream>,
    /// What was made of each `APIService`, by its name.
    links: HashMap<Box<str>, Link>,
    /// What each server says of itself, by the name of its `APIService`.
    known: BTreeMap<Box<str>, Known>,
}

/// What was made of an `APIService` as it was at one version.
struct Link {
    version: u64,
    target: Option<Target>,
    /// Whether it is known to say that it is available, if it leads nowhere.
    marked: bool,
}

/// Whom requests for a group and version are passed on to.
#[derive(Clone)]
pub struct Target {
    route: Arc<Route>,
    /// Whether it answered when it was last asked.
    available: bool,
}

impl Aggregation {
    /// Follows the `APIServices` among `objects`.
    #[must_use]
    pub fn of(objects: Objects) -> Self {
        Self(Arc::new(Shared { objects, proxy: None, state: Mutex::default() }))
    }

    /// The same, showing this certificate to the servers.
    #[must_use]
    pub fn showing(objects: Objects, proxy: &Identity) -> Self {
        Self(Arc::new(Shared { objects, proxy: Some(proxy.clone()), state: Mutex::default() }))
    }

    /// Says where the server of a group is. It counts from the next request on.
    pub fn upstream(&self, group: &str, version: &str, upstream: Upstream) {
        let mut state = self.state();
        state.upstreams.insert((group.into(), version.into()), upstream);
        state.links.remove(api_service(group, version).as_str());
    }

    /// Finds whom requests for a group and version are passed on to; nothing if we serve them ourselves.
    #[must_use]
    pub fn target(&self, group: &str, version: &str) -> Option<Target> {
        self.link(&api_service(group, version))
    }

    fn link(&self, name: &str) -> Option<Target> {
        let key = Key { resource: RESOURCE.into(), namespace: "".into(), name: name.into() };
        let mut state = self.state();
        let Some(entry) = self.0.objects.storage.get(&key) else {
            state.links.remove(name);
            return None;
        };
        if let Some(link) = state.links.get(name).filter(|link| link.version == entry.version) {
            return link.target.clone();
        }
        let object: Value = serde_json::from_slice(&entry.json).ok()?;
        let target = self.made(&mut state, name, &object);
        state
            .links
            .insert(name.into(), Link { version: entry.version, target: target.clone(), marked: false });
        target
    }

    /// Makes a target, with the connections of before if it leads to the same place.
    fn made(&self, state: &mut State, name: &str, object: &Value) -> Option<Target> {
        let spec = Spec::of(object)?;
        let upstream = state.upstreams.get(&(spec.group.clone(), spec.version.clone())).cloned();
        let available = availability::is_available(object);
        let before = state.links.get(name).and_then(|link| link.target.as_ref());
        let route = match before.filter(|target| target.route.spec == spec) {
            Some(target) => Arc::clone(&target.route),
            None => Arc::new(Route::new(spec, upstream, self.0.proxy.as_ref())),
        };
        Some(Target { route, available })
    }

    /// Passes a request on. `user` is who asks, in effect: whom they impersonate.
    pub async fn forward(&self, target: &Target, user: &User, request: Request<Body>) -> Response<Body> {
        if !target.available && !target.route.is_in_process() {
            return proxy::unavailable("service unavailable");
        }
        proxy::forward(&self.0.objects, &target.route, user, request).await
    }

    /// What the servers serve, for the aggregated form of `/apis`: `APIGroupDiscovery` items. Versions whose
    /// server does not answer are stale.
    #[must_use]
    pub fn discovery(&self) -> Vec<Value> {
        document::discovery(self.state().known.values())
    }

    /// The same for the plain form of `/apis`, and for `/apis/{group}`: `APIGroup` items.
    #[must_use]
    pub fn groups(&self) -> Vec<Value> {
        document::groups(self.state().known.values())
    }

    /// The paths of the servers for `/openapi/v3`, such as `apis/example/v1`, each with its
    /// `serverRelativeURL`. What is under it is asked of the server by [`Aggregation::forward`].
    #[must_use]
    pub fn openapi(&self) -> Vec<(String, String)> {
        self.state().known.values().filter_map(Known::openapi).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name of the `APIService` for a group and version.
fn api_service(group: &str, version: &str) -> String {
    format!("{version}.{group}")
}

#[cfg(test)]
mod tests;
