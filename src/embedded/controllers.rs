//! What a control plane does by itself: namespaces, garbage collection, service accounts, workloads that
//! come up. Nothing runs anywhere: pods become ready because it is said of them.
//!
//! Each controller is a pure function from objects to a `Plan`: what to write, and when to look again. One
//! loop follows the storage, looks at what changed and at what depends on it, and does what was planned.
//! At the start it looks at everything, so nothing that happened before is missed. Only what may be lost
//! is kept outside of objects. All time is that of the `Clock` and of `tokio::time`.
//!
//! Deliberately absent: adopted objects are not released when their labels change; pod failure policies
//! of Jobs; measuring, so an autoscaler only keeps its limits; quotas.

mod act;
mod bootstrap;
mod cron_job;
mod daemon_set;
mod definition;
mod deployment;
mod dispatch;
mod fields;
mod garbage;
mod index;
mod job;
mod namespace;
mod pod;
mod policy;
mod queue;
mod replica_set;
mod revision;
mod service;
mod stateful_set;
mod volume;
mod wake;
mod world;

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use serde_json::Value;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use self::act::Plan;
use self::fields::{is_leaving, name, namespace, uid};
use self::index::Node;
pub use self::namespace::Elsewhere;
use self::queue::Queue;
use self::world::{World, key};
use super::access;
use super::objects::{Objects, Options};
use super::status::Status;
use super::storage::{Change, Expired, Key, Watch};

/// Deletes what aggregated APIs hold in a namespace, and tells what is left.
pub type Aggregated = Arc<dyn Fn(String) -> BoxFuture<'static, Elsewhere> + Send + Sync>;

/// How the simulated cluster behaves.
#[derive(Clone)]
pub struct Settings {
    /// How long each step of a pod takes: to start, to run to its end, to stop.
    pub pace: Duration,
    /// How long a container that failed, or a Job's next pod, waits at first. The wait doubles each time.
    pub backoff: Duration,
    /// Certificate of the authority that signed the server's, for `kube-root-ca.crt`.
    pub ca: String,
    /// Empties namespaces in aggregated APIs. Without it, nothing is looked for there.
    pub aggregated: Option<Aggregated>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { pace: Duration::ZERO, backoff: Duration::from_secs(10), ca: String::new(), aggregated: None }
    }
}

/// Creates what every cluster has from its start, where it is missing: namespaces, a node, a `StorageClass`,
/// `PriorityClasses`, the Service `kubernetes`.
pub fn bootstrap(objects: &Objects) -> Result<(), Status> {
    let options = Options { manager: "kube-apiserver".into(), ..Options::default() };
    for object in bootstrap::objects() {
        let gvk =
            crate::manifest::Gvk::new(fields::text(&object, "/apiVersion"), fields::text(&object, "/kind"));
        let Some(kind) = objects.kinds.of(&gvk.group, &gvk.version, &gvk.kind) else { continue };
        let (within, named) = (namespace(&object).to_owned(), name(&object).to_owned());
        match objects.create(&kind, &within, object, &options) {
            Err(refused) if refused.reason != "AlreadyExists" => return Err(refused),
            _ => {}
        }
        if &*kind.resource == "nodes" {
            let mut node: Value =
                serde_json::from_slice(&objects.get(&kind, "", &named)?.json).unwrap_or_default();
            if !node["status"]["conditions"].is_null() {
                continue;
            }
            let version = super::kinds::data().version["gitVersion"].as_str().unwrap_or_default();
            node["status"] = bootstrap::node_status(version, (objects.clock)());
            let manager = Options { manager: act::KUBELET.into(), ..Options::default() };
            objects.update(&kind, ("", &named, "status"), node, &manager)?;
        }
    }
    Ok(())
}

/// Runs all controllers with the default settings.
pub async fn run(objects: Objects, shutdown: CancellationToken) {
    run_with(objects, Settings::default(), shutdown).await;
}

/// Runs all controllers until `shutdown`.
pub async fn run_with(objects: Objects, settings: Settings, shutdown: CancellationToken) {
    tokio::select! {
        biased;
        () = shutdown.cancelled() => {}
        () = work(objects, settings) => {}
    }
}

async fn work(objects: Objects, settings: Settings) {
    if let Err(refused) = bootstrap(&objects) {
        tracing::warn!(message = refused.message, "cannot create what a cluster has from its start");
    }
    loop {
        // A watch that did not keep up begins anew; nothing is lost by that.
        let Err(Expired) = Control::new(objects.clone(), settings.clone()).follow().await;
        tokio::task::yield_now().await;
    }
}

struct Control {
    world: World,
    queue: Queue,
    /// Questions to aggregated APIs that are on their way, and when the last ones were asked.
    asking: FuturesUnordered<BoxFuture<'static, (String, Elsewhere)>>,
    asked: HashMap<String, Instant>,
    /// Whether `ClusterRoles` that are made of others may be out of date.
    roles_changed: bool,
}

impl Control {
    fn new(objects: Objects, settings: Settings) -> Self {
        Self {
            world: World::new(objects, settings),
            queue: Queue::default(),
            asking: FuturesUnordered::new(),
            asked: HashMap::new(),
            roles_changed: true,
        }
    }

    async fn follow(mut self) -> Result<std::convert::Infallible, Expired> {
        let storage = self.world.objects.storage.clone();
        let mut seen = storage.version();
        let mut watch = storage.watch(None, seen)?;
        self.look_at_everything();
        loop {
            self.catch_up(&mut watch, &mut seen).await?;
            while let Some(key) = self.queue.pop() {
                self.handle(&key);
                self.catch_up(&mut watch, &mut seen).await?;
                // Others on this thread want to get on as well.
                tokio::task::yield_now().await;
            }
            if std::mem::take(&mut self.roles_changed) {
                self.aggregate_roles();
                continue;
            }
            let due = self.queue.due();
            tokio::select! {
                biased;
                change = watch.next() => {
                    let change = change?;
                    seen = seen.max(change.version);
                    self.note(&change);
                }
                Some((namespace, found)) = self.asking.next() => {
                    self.world.elsewhere.insert(namespace.clone(), found);
                    self.queue.push(key("namespaces", "", &namespace));
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.queue.wake(Instant::now()),
            }
        }
    }

    fn look_at_everything(&mut self) {
        let storage = self.world.objects.storage.clone();
        let kinds = self.world.objects.kinds.all();
        let resources: BTreeSet<_> = kinds.iter().map(|kind| Arc::clone(&kind.resource)).collect();
        for resource in &resources {
            for entry in storage.list(resource, None).entries {
                if let Some(node) = Node::of(&entry) {
                    let needs_look =
                        dispatch::is_handled(resource) || node.leaving || !node.owners.is_empty();
                    if needs_look {
                        self.queue.push(entry.key.clone());
                    }
                    self.world.index.put(&entry.key, node);
                }
            }
        }
        for key in self.world.index.orphaned() {
            self.queue.push((*key).clone());
        }
    }

    fn aggregate_roles(&self) {
        if let Err(refused) = access::aggregate::aggregate(&self.world.objects) {
            tracing::debug!(message = refused.message, "cannot aggregate roles");
        }
    }

    /// Takes note of everything that was written until now: decisions must not be made on less, or pods
    /// would be created twice.
    async fn catch_up(&mut self, watch: &mut Watch, seen: &mut u64) -> Result<(), Expired> {
        let target = self.world.objects.storage.version();
        while *seen < target {
            let change = watch.next().await?;
            *seen = change.version;
            self.note(&change);
        }
        Ok(())
    }

    fn note(&mut self, change: &Change) {
        let key = &change.after.key;
        self.roles_changed |= &*key.resource == "clusterroles.rbac.authorization.k8s.io";
        let before = self.world.index.remove(key);
        let after = Node::of(&change.after);
        if let Some(node) = after.clone().filter(|_| !change.deleted) {
            self.world.index.put(key, node);
        }
        if change.deleted {
            if let Some(node) = &before {
                self.world.forget(&node.uid);
                self.world.index.bury(&node.uid);
            }
            if &*key.resource == "namespaces" {
                self.world.elsewhere.remove(&*key.name);
                self.asked.remove(&*key.name);
            }
        }
        let woken = wake::woken(&self.world, key, before.as_ref(), after.as_ref(), change.deleted);
        for key in woken {
            self.queue.push(key);
        }
    }

    /// Looks at one object and does what it needs.
    fn handle(&mut self, key: &Key) {
        let object = self.world.read(key);
        if let Some(object) = &object
            && self.collect(key, object)
        {
            return;
        }
        let plan = match &object {
            Some(object) => dispatch::plan(&mut self.world, key, object),
            None => dispatch::gone(&self.world, key),
        };
        self.perform(key, plan);
        if &*key.resource == "namespaces" && object.is_some_and(|object| is_leaving(&object)) {
            self.ask(&key.name);
        }
    }

    /// Does what ownership asks for. Answers whether that changed the object.
    fn collect(&mut self, key: &Key, object: &Value) -> bool {
        let Some(node) = self.world.index.get(key).filter(|node| *node.uid == *uid(object)) else {
            return false;
        };
        let verdict = {
            let world = &self.world;
            let is_known = |owner: &index::Owner| world.is_namespaced(&owner.api_version, &owner.kind);
            garbage::judge(key, node, &world.index, is_known)
        };
        for key in verdict.look_at {
            self.queue.push(key);
        }
        let acts = garbage::acts(object, &verdict.step, |key| self.world.read(key));
        if acts.is_empty() {
            return false;
        }
        self.perform(key, Plan::of(acts));
        true
    }

    fn perform(&mut self, key: &Key, plan: Plan) {
        for act in plan.acts {
            if let Err(refused) = self.world.perform(act) {
                tracing::debug!(
                    ?key,
                    reason = refused.reason,
                    message = refused.message,
                    "a controller's write was refused"
                );
                return self.queue.retry(key);
            }
        }
        self.queue.done(key);
        if let Some(delay) = plan.again {
            self.queue.push_at(Instant::now() + delay, key);
        }
    }

    /// Asks the aggregated APIs what they hold in a namespace that goes away, once a second at most.
    fn ask(&mut self, namespace: &str) {
        let Some(aggregated) = &self.world.settings.aggregated else { return };
        let known = self.world.elsewhere.get(namespace);
        let is_empty = matches!(known, Some(Elsewhere::Remaining(left)) if left.is_empty());
        let now = Instant::now();
        let next = self.asked.get(namespace).map_or(now, |at| *at + Duration::from_secs(1));
        if is_empty {
            return;
        }
        if next > now {
            return self.queue.push_at(next, &key("namespaces", "", namespace));
        }
        self.asked.insert(namespace.into(), now);
        let (answer, namespace) = (aggregated(namespace.into()), namespace.to_owned());
        self.asking.push(Box::pin(async move { (namespace, answer.await) }));
    }
}
