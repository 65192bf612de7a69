//! The cluster as the controllers see it, and their only way to change it: reads come straight from the
//! storage, writes go through the verbs.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Settings;
use super::act::{Act, Deletion, Event, MANAGER};
use super::fields::{self, controller_of, controller_reference, name, namespace, stamp, suffix, text, uid};
use super::index::Index;
use super::namespace::Elsewhere;
use super::volume;
use crate::embedded::kinds::Kind;
use crate::embedded::objects::{self, Objects, Options};
use crate::embedded::status::Status;
use crate::embedded::storage::{Entry, Key};
use crate::manifest::Gvk;

/// What the controllers know and remember. Only what may be lost is remembered here.
pub(super) struct World {
    /// The objects.
    pub objects: Objects,
    /// How things go.
    pub settings: Settings,
    /// Who owns whom.
    pub index: Index,
    /// What namespaces that go away hold in aggregated APIs.
    pub elsewhere: BTreeMap<String, Elsewhere>,
    /// Why pods could not be created, by the uid of their controller.
    failures: HashMap<String, String>,
    /// Since when pods have been as they are.
    since: HashMap<String, (String, Instant)>,
    /// The last address that was given to a pod.
    address: Option<u32>,
    /// How many names were made.
    serial: u32,
}

/// Addresses of pods: 10.244.0.0/14.
const FIRST: u32 = 0x0af4_0000;
const RANGE: u32 = 1 << 18;

/// What an object is stored under.
pub(super) fn key(resource: &str, namespace: &str, name: &str) -> Key {
    Key { resource: resource.into(), namespace: namespace.into(), name: name.into() }
}

fn parse(entry: &Entry) -> Option<Value> {
    serde_json::from_slice(&entry.json).ok()
}

impl World {
    /// Knows nothing yet.
    pub(super) fn new(objects: Objects, settings: Settings) -> Self {
        Self {
            objects,
            settings,
            index: Index::default(),
            elsewhere: BTreeMap::new(),
            failures: HashMap::new(),
            since: HashMap::new(),
            address: None,
            serial: 0,
        }
    }

    /// The time.
    pub(super) fn now(&self) -> Timestamp {
        (self.objects.clock)()
    }

    /// Reads an object.
    pub(super) fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        self.read(&key(resource, namespace, name))
    }

    /// Reads an object.
    pub(super) fn read(&self, key: &Key) -> Option<Value> {
        parse(&*self.objects.storage.get(key)?)
    }

    /// Reads all objects of a resource; those of a namespace, unless it is empty.
    pub(super) fn list(&self, resource: &str, namespace: &str) -> Vec<Value> {
        let namespace = Some(namespace).filter(|namespace| !namespace.is_empty());
        self.objects
            .storage
            .list(resource, namespace)
            .entries
            .iter()
            .filter_map(|entry| parse(entry))
            .collect()
    }

    /// Reads what a controller has of a resource, sorted by name.
    pub(super) fn owned(&self, owner: &Value, resource: &str) -> Vec<Value> {
        self.index.controlled(uid(owner), resource).iter().filter_map(|key| self.read(key)).collect()
    }

    /// What a controller should adopt: objects without a controller that its selector fits.
    pub(super) fn adoptions(&self, owner: &Value, resource: &str) -> Vec<Act> {
        if fields::is_leaving(owner) {
            return Vec::new();
        }
        let strays = self.index.strays(resource, namespace(owner));
        let found = strays.iter().filter_map(|key| self.read(key));
        let fits = |it: &Value| fields::selects(&owner["spec"]["selector"], it) && !fields::is_leaving(it);
        let adopted = found.filter(fits).map(|mut it| {
            let mut owners = fields::list(&it, "/metadata/ownerReferences").to_vec();
            owners.push(controller_reference(owner));
            it["metadata"]["ownerReferences"] = owners.into();
            Act::Update(it)
        });
        adopted.collect()
    }

    /// Why the last pod of a controller could not be created.
    pub(super) fn failure(&self, owner: &Value) -> Option<&str> {
        self.failures.get(uid(owner)).map(String::as_str)
    }

    /// How long an object has been in a stage, as far as is known.
    pub(super) fn waited(&mut self, object: &Value, stage: String) -> Duration {
        let now = Instant::now();
        let known = self.since.entry(uid(object).to_owned()).or_insert_with(|| (stage.clone(), now));
        if known.0 != stage {
            *known = (stage, now);
        }
        now - known.1
    }

    /// Forgets what was remembered of an object.
    pub(super) fn forget(&mut self, uid: &str) {
        self.since.remove(uid);
        self.failures.remove(uid);
    }

    /// A number that no other call gets.
    pub(super) fn next_serial(&mut self) -> u32 {
        self.serial += 1;
        self.serial
    }

    /// A free address for a pod.
    pub(super) fn pod_address(&mut self) -> String {
        let last = self.address.unwrap_or_else(|| {
            let pods = self.list("pods", "");
            let taken = pods.iter().filter_map(|pod| text(pod, "/status/podIP").parse::<Ipv4Addr>().ok());
            taken.map(u32::from).filter(|it| (FIRST..FIRST + RANGE).contains(it)).max().unwrap_or(FIRST)
        });
        let next = if last + 1 < FIRST + RANGE { last + 1 } else { FIRST + 1 };
        self.address = Some(next);
        Ipv4Addr::from(next).to_string()
    }

    /// A free address for a load balancer.
    pub(super) fn balancer_address(&self) -> String {
        let services = self.list("services", "");
        let addresses = services.iter().flat_map(|it| fields::list(it, "/status/loadBalancer/ingress"));
        let taken: Vec<_> = addresses.map(|ingress| text(ingress, "/ip").to_owned()).collect();
        let free = (10..u32::from(u16::MAX)).map(|n| format!("198.18.{}.{}", n >> 8, n & 255));
        free.into_iter().find(|address| !taken.contains(address)).unwrap_or_default()
    }

    /// Finds a kind by what an object calls it.
    fn kind(&self, object: &Value) -> Result<Arc<Kind>, Status> {
        let Gvk { group, version, kind } = Gvk::new(text(object, "/apiVersion"), text(object, "/kind"));
        self.objects.kinds.of(&group, &version, &kind).ok_or_else(|| {
            Status::new(404, "NotFound", format!("no matches for kind {kind:?} in version {version:?}"))
        })
    }

    /// Whether objects of a kind are namespaced; nothing, if the kind is not served.
    pub(super) fn is_namespaced(&self, api_version: &str, kind: &str) -> Option<bool> {
        let Gvk { group, kind, .. } = Gvk::new(api_version, kind);
        let found = self.objects.kinds.of(&group, "", &kind)?;
        Some(found.scope == crate::manifest::Scope::Namespaced)
    }

    /// Does one thing that was decided.
    pub(super) fn perform(&mut self, act: Act) -> Result<(), Status> {
        match act {
            Act::Create(object) => self.create(object),
            Act::Update(object) => self.update(&object, "", MANAGER),
            Act::Status(manager, object) => self.update(&object, "status", manager),
            Act::Finalize(object) => self.update(&object, "finalize", MANAGER),
            Act::Bind(pod, node) => self.bind(&pod, &node),
            Act::Delete(object, deletion) => self.delete(&object, deletion),
            Act::Event(event) => {
                // Nothing depends on an event; a namespace that goes away takes none.
                let _lost = self.tell(event);
                Ok(())
            }
        }
    }

    fn create(&mut self, mut object: Value) -> Result<(), Status> {
        let kind = self.kind(&object)?;
        let base = text(&object, "/metadata/generateName").to_owned();
        if name(&object).is_empty() && !base.is_empty() {
            // Not by the verbs: names made of time and number are the same in each run of a test.
            let seed = format!("{base}{}{}", self.now().as_nanosecond(), self.next_serial());
            let end =
                (0..=base.len().min(58)).rev().find(|at| base.is_char_boundary(*at)).unwrap_or_default();
            object["metadata"]["name"] = format!("{}{}", &base[..end], suffix(&seed)).into();
        }
        let owner = controller_of(&object).cloned();
        let is_pod = object["kind"] == "Pod";
        let (within, named) = (namespace(&object).to_owned(), name(&object).to_owned());
        let created = self.objects.create(&kind, &within, object, &options(MANAGER));
        if let Some(owner) = owner.filter(|_| is_pod) {
            self.note_pod(&owner, &within, &named, created.as_ref().err());
        }
        created.map(|_| ())
    }

    /// Tells how the creation of a pod went.
    fn note_pod(&mut self, owner: &Value, namespace: &str, pod: &str, failure: Option<&Status>) {
        let source = match text(owner, "/kind") {
            "ReplicaSet" => "replicaset-controller",
            "DaemonSet" => "daemonset-controller",
            "Job" => "job-controller",
            _ => "",
        };
        let object = json!({
            "apiVersion": owner["apiVersion"], "kind": owner["kind"],
            "metadata": {"name": owner["name"], "namespace": namespace, "uid": owner["uid"]},
        });
        let owner = text(owner, "/uid");
        let event = match failure {
            None => {
                self.failures.remove(owner);
                Act::normal(&object, source, "SuccessfulCreate", format!("Created pod: {pod}"))
            }
            Some(why) => {
                let is_new = self.failures.insert(owner.to_owned(), why.message.clone()).is_none();
                if !is_new {
                    return;
                }
                Act::warning(&object, source, "FailedCreate", format!("Error creating: {}", why.message))
            }
        };
        if !source.is_empty() {
            let _told = self.perform(event);
        }
    }

    fn update(&mut self, object: &Value, subresource: &str, manager: &str) -> Result<(), Status> {
        let kind = self.kind(object)?;
        let target = (namespace(object), name(object), subresource);
        self.objects.update(&kind, target, object.clone(), &options(manager)).map(|_| ())
    }

    fn bind(&mut self, pod: &Value, node: &str) -> Result<(), Status> {
        let kind = self.kind(pod)?;
        self.objects.bind(&kind, (namespace(pod), name(pod)), node, &options("kube-scheduler"))
    }

    fn delete(&mut self, object: &Value, deletion: Deletion) -> Result<(), Status> {
        let kind = self.kind(object)?;
        let mut asked =
            objects::Deletion { uid: Some(uid(object).to_owned()), ..objects::Deletion::default() };
        match deletion {
            Deletion::Plain => {}
            Deletion::Now => asked.grace = Some(0),
            Deletion::Propagate(policy) => asked.propagation = Some(policy.into()),
        }
        match self.objects.delete(&kind, namespace(object), name(object), &asked) {
            // Somebody else was faster; another object of this name is none of our business.
            Err(refused) if refused.code == 404 || refused.reason == "Conflict" => Ok(()),
            other => other.map(|_| ()),
        }
    }

    fn tell(&mut self, event: Event) -> Result<(), Status> {
        let Event { object, severity, reason, message, source } = event;
        let now = self.now();
        let within = match namespace(&object) {
            "" => "default",
            namespace => namespace,
        };
        let number = now.as_nanosecond().unsigned_abs() + u128::from(self.next_serial());
        let told = json!({
            "apiVersion": "v1", "kind": "Event",
            "metadata": {"name": format!("{}.{number:x}", name(&object)), "namespace": within},
            "involvedObject": {
                "apiVersion": object["apiVersion"], "kind": object["kind"], "name": name(&object),
                "namespace": namespace(&object), "uid": uid(&object),
                "resourceVersion": text(&object, "/metadata/resourceVersion"),
            },
            "reason": reason, "message": message, "type": severity, "count": 1,
            "firstTimestamp": stamp(now), "lastTimestamp": stamp(now),
            "source": {"component": source}, "reportingComponent": source, "reportingInstance": "",
        });
        let kind = self.kind(&told)?;
        let mut told = told;
        if let Some(involved) = told["involvedObject"].as_object_mut() {
            involved.retain(|_, value| value != "");
        }
        self.objects.create(&kind, within, told, &options(source)).map(|_| ())
    }

    /// The default `StorageClass` and all others.
    pub(super) fn claim_plan(&self, claim: &Value) -> super::act::Plan {
        let volumes = self.list("persistentvolumes", "");
        let classes = self.list("storageclasses.storage.k8s.io", "");
        let pods = if fields::is_leaving(claim) { self.list("pods", namespace(claim)) } else { Vec::new() };
        volume::claim(claim, &volumes, &classes, &pods, self.now())
    }
}

fn options(manager: &str) -> Options {
    Options { manager: manager.into(), ..Options::default() }
}
