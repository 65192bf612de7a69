//! Cluster addresses and node ports of Services.

use std::collections::HashSet;
use std::hash::DefaultHasher;
use std::hash::Hash as _;
use std::hash::Hasher as _;

use serde_json::Value;
use serde_json::json;

use super::super::status::Cause;
use super::super::status::Status;
use super::Objects;
use super::meta;

/// Gives a Service what it asks for: an address, node ports. What it has already it keeps. What is given
/// depends on its name, so that the same objects get the same addresses in every run.
pub(super) fn allocate(objects: &Objects, service: &mut Value, live: Option<&Value>) -> Result<(), Status> {
    let spec = service["spec"].clone();
    let external = spec["type"] == "ExternalName";
    if external {
        if let Some(spec) = service["spec"].as_object_mut() {
            for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
                spec.shift_remove(field);
            }
        }
        return Ok(());
    }
    keep_address(service, live);
    let seed = hash(service);
    let mut taken = None;
    if service["spec"]["clusterIP"].as_str().is_none_or(str::is_empty) {
        let taken = taken.get_or_insert_with(|| Taken::read(objects));
        let free = (0..0xFFF0_u32).map(|step| address(seed.wrapping_add(step))).find(|ip| !taken.has(ip));
        let free = free.ok_or_else(|| {
            Status::new(500, "InternalError", "Internal error occurred: failed to allocate a serviceIP: range is full")
        })?;
        service["spec"]["clusterIP"] = free.into();
    }
    let ip = service["spec"]["clusterIP"].clone();
    service["spec"]["clusterIPs"] = json!([ip]);
    let spec = service["spec"].as_object_mut();
    if let Some(spec) = spec {
        spec.entry("ipFamilies").or_insert(json!(["IPv4"]));
        spec.entry("ipFamilyPolicy").or_insert("SingleStack".into());
    }
    node_ports(objects, service, live, seed, taken);
    Ok(())
}

fn keep_address(service: &mut Value, live: Option<&Value>) {
    let Some(live) = live else { return };
    if service["spec"]["clusterIP"].as_str().is_none_or(str::is_empty) && live["spec"]["type"] != "ExternalName" {
        for field in ["clusterIP", "ipFamilies", "ipFamilyPolicy"] {
            if let Some(value) = live["spec"].get(field) {
                service["spec"][field] = value.clone();
            }
        }
    }
}

fn node_ports(
    objects: &Objects,
    service: &mut Value,
    live: Option<&Value>,
    seed: u32,
    mut taken: Option<Taken>,
) {
    let wants = match service["spec"]["type"].as_str() {
        Some("NodePort") => true,
        Some("LoadBalancer") => service["spec"]["allocateLoadBalancerNodePorts"] != false,
        _ => false,
    };
    let Some(ports) = service["spec"]["ports"].as_array_mut() else { return };
    for port in ports {
        let given = port["nodePort"].as_i64().is_some_and(|port| port > 0);
        if !wants || given {
            if port["nodePort"].is_null()
                && let Some(port) = port.as_object_mut()
            {
                port.shift_remove("nodePort");
            }
            continue;
        }
        let same = |other: &&Value| other["port"] == port["port"] && other["protocol"] == port["protocol"];
        let before = live.and_then(|live| live["spec"]["ports"].as_array());
        let before = before.and_then(|ports| ports.iter().find(same)).map(|port| port["nodePort"].clone());
        if let Some(before) = before.filter(|port| !port.is_null()) {
            port["nodePort"] = before;
            continue;
        }
        let taken = taken.get_or_insert_with(|| Taken::read(objects));
        let free = (0..2768).map(|step| 30_000 + i64::from(seed.wrapping_add(step) % 2768));
        if let Some(free) = free.into_iter().find(|port| !taken.ports.contains(port)) {
            taken.ports.insert(free);
            port["nodePort"] = free.into();
        }
    }
}

/// What Services have already.
struct Taken {
    addresses: HashSet<String>,
    ports: HashSet<i64>,
}

impl Taken {
    fn read(objects: &Objects) -> Self {
        let mut taken = Self { addresses: HashSet::new(), ports: HashSet::new() };
        for entry in objects.storage.list("services", None).entries {
            let service: Value = serde_json::from_slice(&entry.json).unwrap_or_default();
            taken.addresses.extend(service["spec"]["clusterIP"].as_str().map(str::to_owned));
            let ports = service["spec"]["ports"].as_array();
            taken.ports.extend(ports.into_iter().flatten().filter_map(|port| port["nodePort"].as_i64()));
        }
        taken
    }

    fn has(&self, ip: &str) -> bool {
        self.addresses.contains(ip)
    }
}

/// An address of 10.96.0.0/16 other than the first and the last few.
fn address(number: u32) -> String {
    if number == 1 {
        return "10.96.0.1".into();
    }
    let number = 16 + number % 0xFFE0;
    format!("10.96.{}.{}", number >> 8, number & 0xFF)
}

fn hash(service: &Value) -> u32 {
    let (namespace, name) = (meta::text(service, "namespace"), meta::text(service, "name"));
    if namespace == "default" && name == "kubernetes" {
        return 1;
    }
    let mut hasher = DefaultHasher::new();
    (namespace, name).hash(&mut hasher);
    u32::try_from(hasher.finish() & 0x00FF_FFFF).expect("24 bits fit")
}

/// The address of a Service does not change.
pub(super) fn check_change(service: &Value, live: &Value, causes: &mut Vec<Cause>) {
    let external = |service: &Value| service["spec"]["type"] == "ExternalName";
    let (after, before) = (&service["spec"]["clusterIP"], &live["spec"]["clusterIP"]);
    if !external(service) && !external(live) && before.as_str().is_some_and(|ip| !ip.is_empty()) && after != before {
        causes.push(Cause {
            reason: "FieldValueInvalid",
            message: format!("Invalid value: [{after}]: may not change once set"),
            field: "spec.clusterIPs[0]".into(),
        });
    }
}
