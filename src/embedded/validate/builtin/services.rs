//! Services.

use std::collections::HashSet;
use std::net::IpAddr;

use serde_json::Value;
use serde_json::json;

use super::super::findings::Findings;
use super::super::metadata;
use super::super::names;
use super::super::view::int;
use super::super::view::items;
use super::super::view::text;

/// What names of Services look like.
pub(super) fn name(value: &str) -> Vec<String> {
    names::dns_label(value)
}

/// Checks a Service.
pub(super) fn check(found: &mut Findings, object: &Value, before: Option<&Value>) {
    let spec = &object["spec"];
    let kind = text(spec, "type");
    let headless = spec["clusterIP"] == "None";
    if let Some(before) = before {
        addresses(found, spec, &before["spec"]);
    }
    if items(spec, "ports").next().is_none() && !headless && kind != "ExternalName" {
        found.required("spec.ports", "");
    }
    if headless && (kind == "LoadBalancer" || kind == "NodePort") {
        let told = format!("may not be set to 'None' for {kind} services");
        found.invalid("spec.clusterIPs[0]", "None", &told);
    }
    if kind == "ExternalName" {
        external_name(found, spec);
    }
    ports(found, spec);
    metadata::labels(found, &spec["selector"], "spec.selector");
    found.one_of("spec.sessionAffinity", spec["sessionAffinity"].as_str(), &["ClientIP", "None"]);
    let address = text(spec, "clusterIP");
    if before.is_none() && !address.is_empty() && !headless && address.parse::<IpAddr>().is_err() {
        let told = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
        found.invalid("spec.clusterIPs[0]", address, told);
    }
    let kinds = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    found.one_of("spec.type", spec["type"].as_str(), &kinds);
    repeated(found, spec, kind);
    if kind != "LoadBalancer" {
        if items(spec, "loadBalancerSourceRanges").next().is_some() {
            found
                .forbidden("spec.LoadBalancerSourceRanges", "may only be used when `type` is 'LoadBalancer'");
        }
        if !spec["allocateLoadBalancerNodePorts"].is_null() {
            let told = "may only be used when `type` is 'LoadBalancer'";
            found.forbidden("spec.allocateLoadBalancerNodePorts", told);
        }
        if !spec["loadBalancerClass"].is_null() {
            found.forbidden("spec.loadBalancerClass", "may only be used when `type` is 'LoadBalancer'");
        }
    }
    let policies = ["Cluster", "Local"];
    for name in ["externalTrafficPolicy", "internalTrafficPolicy"] {
        found.known(&format!("spec.{name}"), spec[name].as_str(), &policies);
    }
}

fn external_name(found: &mut Findings, spec: &Value) {
    if !text(spec, "clusterIP").is_empty() || items(spec, "clusterIPs").next().is_some() {
        found.forbidden("spec.clusterIPs", "may not be set for ExternalName services");
    }
    if items(spec, "ipFamilies").next().is_some() {
        found.forbidden("spec.ipFamilies", "may not be set for ExternalName services");
    }
    if !spec["ipFamilyPolicy"].is_null() {
        found.forbidden("spec.ipFamilyPolicy", "may not be set for ExternalName services");
    }
    match text(spec, "externalName").trim_end_matches('.') {
        "" => found.required("spec.externalName", ""),
        name => found.invalid_each("spec.externalName", name, &names::dns_subdomain(name)),
    }
}

/// The first address of a Service stays, unless its type changes from or to `ExternalName`.
fn addresses(found: &mut Findings, spec: &Value, before: &Value) {
    let external = |spec: &Value| text(spec, "type") == "ExternalName";
    let (old, new) = (text(before, "clusterIP"), text(spec, "clusterIP"));
    if !external(spec) && !external(before) && !old.is_empty() && old != new {
        let shown = items(spec, "clusterIPs").collect::<Vec<_>>();
        let shown = if shown.is_empty() { Value::Null } else { json!(shown) };
        found.invalid("spec.clusterIPs[0]", shown, "may not change once set");
    }
}

fn ports(found: &mut Findings, spec: &Value) {
    let named = items(spec, "ports").len() > 1;
    let mut seen = HashSet::new();
    for (index, port) in items(spec, "ports").enumerate() {
        let at = |name: &str| format!("spec.ports[{index}].{name}");
        match text(port, "name") {
            "" if named => found.required(&at("name"), ""),
            "" => {}
            name => {
                found.invalid_each(&at("name"), name, &names::dns_label(name));
                if !seen.insert(name) {
                    found.duplicate(&at("name"), name);
                }
            }
        }
        let number = int(port, "port").unwrap_or_default();
        for wrong in names::port_number(number) {
            found.invalid(&at("port"), number, &wrong);
        }
        found.one_of(&at("protocol"), port["protocol"].as_str(), &["SCTP", "TCP", "UDP"]);
        port_number_or_name(found, &port["targetPort"], &at("targetPort"));
        let protocol = text(port, "appProtocol");
        if !protocol.is_empty() {
            found.invalid_each(&at("appProtocol"), protocol, &names::label_key(protocol));
        }
    }
}

/// Ports are told apart by number and protocol.
fn repeated(found: &mut Findings, spec: &Value, kind: &str) {
    if kind == "ClusterIP" {
        for (index, port) in items(spec, "ports").enumerate() {
            if int(port, "nodePort").is_some_and(|port| port != 0) {
                let field = format!("spec.ports[{index}].nodePort");
                found.forbidden(&field, "may not be used when `type` is 'ClusterIP'");
            }
        }
    }
    let mut seen = HashSet::new();
    for (index, port) in items(spec, "ports").enumerate() {
        if let Some(number) = int(port, "nodePort").filter(|port| *port != 0)
            && !seen.insert((text(port, "protocol"), number))
        {
            found.duplicate(&format!("spec.ports[{index}].nodePort"), number);
        }
    }
    let mut seen = HashSet::new();
    for (index, port) in items(spec, "ports").enumerate() {
        let (protocol, number) = (text(port, "protocol"), int(port, "port").unwrap_or_default());
        if !seen.insert((protocol, number)) {
            // The fields of the internal type.
            let shown = json!({
                "Name": "", "Protocol": protocol, "AppProtocol": null, "Port": number, "TargetPort": 0, "NodePort": 0,
            });
            found.duplicate(&format!("spec.ports[{index}]"), shown);
        }
    }
}

/// Checks the number or name of a port.
pub(super) fn port_number_or_name(found: &mut Findings, port: &Value, field: &str) {
    match port {
        Value::String(name) => found.invalid_each(field, name, &names::port_name(name)),
        port => {
            let number = port.as_i64().unwrap_or_default();
            for wrong in names::port_number(number) {
                found.invalid(field, number, &wrong);
            }
        }
    }
}
