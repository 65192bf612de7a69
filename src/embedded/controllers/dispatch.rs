//! Which controller looks at which kind, and with what it is given.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::act::{Act, Deletion, Plan};
use super::fields::{controller_of, count_or, is_leaving, list, name, namespace, selects, text, time};
use super::namespace::Elsewhere;
use super::pod::Tempo;
use super::world::World;
use super::{
    cron_job, daemon_set, definition, deployment, job, namespace as namespaces, pod, policy, replica_set,
    service, stateful_set, volume,
};
use crate::embedded::storage::Key;
use crate::manifest::Scope;

/// How long events are kept, in seconds.
const EVENT_LIFE: i64 = 3600;

/// Whether a controller looks at objects of a resource.
pub(super) fn is_handled(resource: &str) -> bool {
    matches!(
        resource,
        "namespaces"
            | "pods"
            | "services"
            | "endpoints"
            | "persistentvolumeclaims"
            | "persistentvolumes"
            | "events"
            | "deployments.apps"
            | "replicasets.apps"
            | "statefulsets.apps"
            | "daemonsets.apps"
            | "jobs.batch"
            | "cronjobs.batch"
            | "ingresses.networking.k8s.io"
            | "poddisruptionbudgets.policy"
            | "horizontalpodautoscalers.autoscaling"
            | "customresourcedefinitions.apiextensions.k8s.io"
    )
}

/// Decides what an object needs.
pub(super) fn plan(world: &mut World, key: &Key, object: &Value) -> Plan {
    let now = world.now();
    match &*key.resource {
        "namespaces" => of_namespace(world, object, now),
        "pods" => of_pod(world, object, now),
        "deployments.apps" => of_deployment(world, object, now),
        "replicasets.apps" => of_owner(world, object, "pods", |world, pods| {
            replica_set::plan(object, &pods, world.failure(object), now)
        }),
        "statefulsets.apps" => of_owner(world, object, "pods", |world, pods| {
            let revisions = world.owned(object, "controllerrevisions.apps");
            let claims = world.list("persistentvolumeclaims", namespace(object));
            let claims: Vec<_> = claims.iter().map(|claim| name(claim).to_owned()).collect();
            let parts = stateful_set::Parts { pods: &pods, revisions: &revisions, claims: &claims };
            stateful_set::plan(object, &parts, now)
        }),
        "daemonsets.apps" => of_owner(world, object, "pods", |world, pods| {
            let revisions = world.owned(object, "controllerrevisions.apps");
            daemon_set::plan(object, &pods, &revisions, &world.list("nodes", ""), now)
        }),
        "jobs.batch" => of_owner(world, object, "pods", |world, pods| {
            job::plan(object, &pods, world.settings.backoff, now)
        }),
        "cronjobs.batch" => cron_job::plan(object, &world.owned(object, "jobs.batch"), now),
        "services" => of_service(world, object, now),
        "endpoints" if world.get("services", &key.namespace, &key.name).is_none() => {
            service::stray_endpoints(object)
        }
        "ingresses.networking.k8s.io" => service::ingress(object, "198.18.0.1"),
        "persistentvolumeclaims" => world.claim_plan(object),
        "persistentvolumes" => {
            let (within, named) =
                (text(object, "/spec/claimRef/namespace"), text(object, "/spec/claimRef/name"));
            let claim = world.get("persistentvolumeclaims", within, named);
            volume::volume(object, claim.as_ref(), now)
        }
        "poddisruptionbudgets.policy" => of_budget(world, object, now),
        "horizontalpodautoscalers.autoscaling" => {
            let target = scaled(world, object);
            policy::autoscaler(object, target.as_ref(), now)
        }
        "customresourcedefinitions.apiextensions.k8s.io" if is_leaving(object) => {
            definition::plan(object, &world.list(&key.name, ""))
        }
        "events" => of_event(object, now),
        _ => Plan::nothing(),
    }
}

/// Decides what the absence of an object needs.
pub(super) fn gone(world: &World, key: &Key) -> Plan {
    let left =
        (&*key.resource == "services").then(|| world.get("endpoints", &key.namespace, &key.name)).flatten();
    left.map_or_else(Plan::nothing, |left| service::stray_endpoints(&left))
}

/// Adopts first, if there is something to adopt.
fn of_owner(
    world: &mut World,
    owner: &Value,
    resource: &str,
    decide: impl FnOnce(&World, Vec<Value>) -> Plan,
) -> Plan {
    // A Job's selector is made for it alone, so there is nothing to adopt.
    let adoptions = if owner["kind"] == "Job" { Vec::new() } else { world.adoptions(owner, resource) };
    if !adoptions.is_empty() {
        return Plan::of(adoptions);
    }
    let owned = world.owned(owner, resource);
    decide(world, owned)
}

fn of_deployment(world: &mut World, object: &Value, now: Timestamp) -> Plan {
    of_owner(world, object, "replicasets.apps", |world, sets| {
        let recreate = text(object, "/spec/strategy/type") == "Recreate";
        let pods = if recreate {
            sets.iter().flat_map(|set| world.owned(set, "pods")).collect()
        } else {
            Vec::new()
        };
        deployment::plan(object, &sets, &pods, now)
    })
}

fn of_pod(world: &mut World, object: &Value, now: Timestamp) -> Plan {
    let is_new = text(object, "/spec/nodeName").is_empty();
    let is_starting = pod::is_waiting(object) && !is_new && !is_leaving(object);
    let stage = format!("{}/{}/{}", is_leaving(object), text(object, "/status/phase"), is_new);
    let tempo = Tempo {
        waited: world.waited(object, stage),
        pace: world.settings.pace,
        backoff: world.settings.backoff,
    };
    let address = if is_starting && text(object, "/status/podIP").is_empty() {
        world.pod_address()
    } else {
        String::new()
    };
    let has_claims =
        list(object, "/spec/volumes").iter().any(|volume| volume["persistentVolumeClaim"].is_object());
    let around = pod::Around {
        nodes: &if is_new { world.list("nodes", "") } else { Vec::new() },
        claims: &if is_new && has_claims {
            world.list("persistentvolumeclaims", namespace(object))
        } else {
            Vec::new()
        },
        address: &address,
        missing: if is_starting { missing(world, object) } else { None },
    };
    pod::plan(object, &around, tempo, now)
}

/// What a pod's containers need and is not there.
fn missing(world: &World, pod: &Value) -> Option<String> {
    let is_missing = |(kind, named): &(&str, String)| {
        let is_root = named == "kube-root-ca.crt";
        !is_root && world.get(&format!("{kind}s"), namespace(pod), named).is_none()
    };
    let (kind, named) = pod::needs(pod).into_iter().find(is_missing)?;
    Some(format!("{kind} {named:?} not found"))
}

fn of_namespace(world: &World, object: &Value, now: Timestamp) -> Plan {
    let within = name(object);
    if !is_leaving(object) {
        let account = world.get("serviceaccounts", within, "default").is_some();
        let authority = world.get("configmaps", within, "kube-root-ca.crt");
        return namespaces::equip(object, account, authority.as_ref(), &world.settings.ca);
    }
    let mut contents = BTreeMap::new();
    for kind in world.objects.kinds.all() {
        if kind.scope == Scope::Namespaced && !contents.contains_key(&*kind.resource) {
            contents.insert(kind.resource.to_string(), world.list(&kind.resource, within));
        }
    }
    contents.retain(|_, objects: &mut Vec<Value>| !objects.is_empty());
    let nothing = Elsewhere::Remaining(BTreeMap::new());
    let elsewhere = match &world.settings.aggregated {
        Some(_) => world.elsewhere.get(within).unwrap_or(&Elsewhere::Unknown),
        None => &nothing,
    };
    namespaces::empty(object, &contents, elsewhere, now)
}

fn of_service(world: &World, object: &Value, now: Timestamp) -> Plan {
    let within = namespace(object);
    let pods = if object["spec"]["selector"].is_object() { world.list("pods", within) } else { Vec::new() };
    let endpoints = world.get("endpoints", within, name(object));
    let slices = world.owned(object, "endpointslices.discovery.k8s.io");
    let is_balanced = text(object, "/spec/type") == "LoadBalancer";
    let is_open = is_balanced && list(object, "/status/loadBalancer/ingress").is_empty();
    let address = if is_open { world.balancer_address() } else { String::new() };
    service::plan(object, &pods, (endpoints.as_ref(), &slices), &address, now)
}

fn of_budget(world: &World, object: &Value, now: Timestamp) -> Plan {
    let pods = world.list("pods", namespace(object));
    let mine: Vec<_> = pods.iter().filter(|pod| selects(&object["spec"]["selector"], pod)).collect();
    let mut owners: BTreeMap<String, i64> = BTreeMap::new();
    let mut alone = 0;
    for pod in &mine {
        match controller_of(pod) {
            Some(owner) => {
                let resource = match text(owner, "/kind") {
                    "ReplicaSet" => "replicasets.apps",
                    "StatefulSet" => "statefulsets.apps",
                    _ => continue,
                };
                let found = world.get(resource, namespace(pod), text(owner, "/name"));
                let wanted = found.map_or(0, |owner| count_or(&owner, "/spec/replicas", 1));
                owners.insert(text(owner, "/uid").to_owned(), wanted);
            }
            None => alone += 1,
        }
    }
    policy::budget(object, &mine, owners.values().sum::<i64>() + alone, now)
}

fn scaled(world: &World, scaler: &Value) -> Option<Value> {
    let resource = match text(scaler, "/spec/scaleTargetRef/kind") {
        "Deployment" => "deployments.apps",
        "StatefulSet" => "statefulsets.apps",
        "ReplicaSet" => "replicasets.apps",
        _ => return None,
    };
    world.get(resource, namespace(scaler), text(scaler, "/spec/scaleTargetRef/name"))
}

/// Events are kept for an hour.
fn of_event(event: &Value, now: Timestamp) -> Plan {
    let times = ["/lastTimestamp", "/series/lastObservedTime", "/eventTime", "/metadata/creationTimestamp"];
    let last = times.iter().find_map(|path| time(event, path)).unwrap_or(now);
    let left = EVENT_LIFE - now.duration_since(last).as_secs();
    if left <= 0 && !is_leaving(event) {
        return Plan::of(vec![Act::Delete(event.clone(), Deletion::Plain)]);
    }
    let mut plan = Plan::nothing();
    plan.after(std::time::Duration::from_secs(u64::try_from(left).unwrap_or_default().max(1)));
    plan
}
