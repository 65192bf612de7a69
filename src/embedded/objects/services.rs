//! Cluster addresses and node ports of Services.

use std::collections::HashSet;
use std::hash::DefaultHasher;
use std::hash::Hash as _;
use std::hash::Hasher as _;

use serde_json::Value;
use serde_json::json;

use super::super::status::Status;
use super::super::validate;
use super::Objects;
use super::meta;

/// Gives a Service what it asks for and does not have yet: an address, node ports. What is given depends on
/// its name, so that the same objects get the same addresses in every run.
pub(super) fn allocate(objects: &Objects, service: &mut Value) -> Result<(), Status> {
    let address = validate::needs_cluster_ip(service);
    let ports = validate::needs_node_ports(service);
    if !address && ports.is_empty() {
        return Ok(());
    }
    let seed = hash(service);
    let mut taken = Taken::read(objects);
    if address {
        let free = (0..0xFFE0).map(|step| self::address(seed.wrapping_add(step)));
        let free =
            free.into_iter().find(|ip| !taken.addresses.contains(ip)).ok_or_else(|| full("serviceIP"))?;
        service["spec"]["clusterIPs"] = json!([free]);
        service["spec"]["clusterIP"] = free.into();
    }
    for index in ports {
        let free = (0..2768).map(|step| 30_000 + i64::from(seed.wrapping_add(step) % 2768));
        let free =
            free.into_iter().find(|port| !taken.ports.contains(port)).ok_or_else(|| full("nodePort"))?;
        taken.ports.insert(free);
        service["spec"]["ports"][index]["nodePort"] = free.into();
    }
    Ok(())
}

fn full(what: &str) -> Status {
    let message = format!("Internal error occurred: failed to allocate a {what}: range is full");
    Status::new(500, "InternalError", message)
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
}

/// An address of 10.96.0.0/16 other than the first and the last few.
fn address(number: u32) -> String {
    let number = 16 + number % 0xFFE0;
    format!("10.96.{}.{}", number >> 8, number & 0xFF)
}

fn hash(service: &Value) -> u32 {
    let (namespace, name) = (meta::text(service, "namespace"), meta::text(service, "name"));
    let mut hasher = DefaultHasher::new();
    (namespace, name).hash(&mut hasher);
    u32::try_from(hasher.finish() & 0x00FF_FFFF).expect("24 bits fit")
}
