//! `NetworkPolicies` and Ingresses.

use std::net::IpAddr;

use serde_json::Value;

use super::super::findings::Findings;
use super::super::names;
use super::super::view::int;
use super::super::view::items;
use super::super::view::text;
use super::selectors;
use super::services::port_number_or_name;

/// Checks a `NetworkPolicy`.
pub(super) fn policy(found: &mut Findings, object: &Value) {
    let spec = &object["spec"];
    selectors::check(found, &spec["podSelector"], "spec.podSelector");
    for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
        for (index, rule) in items(spec, direction).enumerate() {
            let field = format!("spec.{direction}[{index}]");
            for (index, port) in items(rule, "ports").enumerate() {
                port_range(found, port, &format!("{field}.ports[{index}]"));
            }
            for (index, peer) in items(rule, peers).enumerate() {
                self::peer(found, peer, &format!("{field}.{peers}[{index}]"));
            }
        }
    }
    if items(spec, "policyTypes").len() > 2 {
        let types = spec["policyTypes"].clone();
        found.invalid("spec.policyTypes", types, "may not specify more than two policyTypes");
    }
    for (index, kind) in items(spec, "policyTypes").enumerate() {
        found.known(&format!("spec.policyTypes[{index}]"), kind.as_str(), &["Ingress", "Egress"]);
    }
}

fn port_range(found: &mut Findings, port: &Value, field: &str) {
    found.known(&format!("{field}.protocol"), port["protocol"].as_str(), &["TCP", "UDP", "SCTP"]);
    let (first, last) = (&port["port"], int(port, "endPort"));
    let end = format!("{field}.endPort");
    if first.is_null() {
        if let Some(last) = last {
            found.invalid(&end, last, "may not be specified when `port` is not specified");
        }
        return;
    }
    port_number_or_name(found, first, &format!("{field}.port"));
    let Some(last) = last else { return };
    match first.as_i64() {
        None => found.invalid(&end, last, "may not be specified when `port` is non-numeric"),
        Some(first) if last < first => found.invalid(&end, last, "must be greater than or equal to `port`"),
        Some(_) => {
            for wrong in names::port_number(last) {
                found.invalid(&end, last, &wrong);
            }
        }
    }
}

fn peer(found: &mut Findings, peer: &Value, field: &str) {
    let mut given = 0;
    for name in ["podSelector", "namespaceSelector"] {
        if !peer[name].is_null() {
            given += 1;
            selectors::check(found, &peer[name], &format!("{field}.{name}"));
        }
    }
    let block = &peer["ipBlock"];
    if !block.is_null() {
        let cidr = text(block, "cidr");
        if cidr.is_empty() {
            found.required(&format!("{field}.ipBlock.cidr"), "");
        } else if !is_cidr(cidr) {
            let told = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
            found.invalid(&format!("{field}.ipBlock.cidr"), cidr, told);
        }
    }
    match (given, block.is_null()) {
        (0, true) => found.required(field, "must specify a peer"),
        (1.., false) => found.forbidden(field, "may not specify both ipBlock and another peer"),
        _ => {}
    }
}

fn is_cidr(text: &str) -> bool {
    let Some((ip, bits)) = text.split_once('/') else { return false };
    let Ok(ip) = ip.parse::<IpAddr>() else { return false };
    bits.parse::<u8>().is_ok_and(|bits| bits <= if ip.is_ipv4() { 32 } else { 128 })
}

/// Checks an Ingress.
pub(super) fn ingress(found: &mut Findings, object: &Value) {
    let spec = &object["spec"];
    if items(spec, "rules").next().is_none() && spec["defaultBackend"].is_null() {
        let told = "either `defaultBackend` or `rules` must be specified";
        found.invalid("spec", spec["rules"].clone(), told);
    }
    if !spec["defaultBackend"].is_null() {
        backend(found, &spec["defaultBackend"], "spec.defaultBackend");
    }
    for (index, rule) in items(spec, "rules").enumerate() {
        let field = format!("spec.rules[{index}]");
        host(found, text(rule, "host"), &format!("{field}.host"), true);
        if rule["http"].is_null() {
            continue;
        }
        let field = format!("{field}.http.paths");
        if items(&rule["http"], "paths").next().is_none() {
            found.required(&field, "");
        }
        for (index, path) in items(&rule["http"], "paths").enumerate() {
            self::path(found, path, &format!("{field}[{index}]"));
        }
    }
    for (index, tls) in items(spec, "tls").enumerate() {
        for (place, name) in items(tls, "hosts").filter_map(Value::as_str).enumerate() {
            host(found, name, &format!("spec.tls[{index}].hosts[{place}]"), false);
        }
        let secret = text(tls, "secretName");
        if !secret.is_empty() {
            let field = format!("spec.tls[{index}].secretName");
            found.invalid_each(&field, secret, &names::dns_subdomain(secret));
        }
    }
    let class = text(spec, "ingressClassName");
    if !class.is_empty() {
        found.invalid_each("spec.ingressClassName", class, &names::dns_subdomain(class));
    }
}

fn host(found: &mut Findings, host: &str, field: &str, no_address: bool) {
    if host.is_empty() {
        return;
    }
    if no_address && host.parse::<IpAddr>().is_ok() {
        found.invalid(field, host, "must be a DNS name, not an IP address");
    }
    let wrong = if host.contains('*') { names::wildcard_subdomain(host) } else { names::dns_subdomain(host) };
    found.invalid_each(field, host, &wrong);
}

fn path(found: &mut Findings, path: &Value, field: &str) {
    let Some(kind) = path["pathType"].as_str() else {
        return found.required(&format!("{field}.pathType"), "pathType must be specified");
    };
    let value = text(path, "path");
    let at = format!("{field}.path");
    match kind {
        "Exact" | "Prefix" => {
            if !value.starts_with('/') {
                found.invalid(&at, value, "must be an absolute path");
            }
            if !value.is_empty() {
                for part in
                    ["//", "/./", "/../", "%2f", "%2F"].into_iter().filter(|part| value.contains(part))
                {
                    found.invalid(&at, value, &format!("must not contain '{part}'"));
                }
                for end in ["/..", "/."].into_iter().filter(|end| value.ends_with(end)) {
                    found.invalid(&at, value, &format!("cannot end with '{end}'"));
                }
            }
        }
        "ImplementationSpecific" => {
            if !value.is_empty() && !value.starts_with('/') {
                found.invalid(&at, value, "must be an absolute path");
            }
        }
        kind => {
            let kinds = ["Exact", "ImplementationSpecific", "Prefix"];
            found.unsupported(&format!("{field}.pathType"), kind, &kinds);
        }
    }
    backend(found, &path["backend"], &format!("{field}.backend"));
}

fn backend(found: &mut Findings, backend: &Value, field: &str) {
    let (service, resource) = (&backend["service"], &backend["resource"]);
    match (service.is_null(), resource.is_null()) {
        (true, true) => found.invalid(field, "", "resource or service backend is required"),
        (false, false) => found.invalid(field, "", "cannot set both resource and service backends"),
        (true, false) => {}
        (false, true) => {
            match text(service, "name") {
                "" => found.required(&format!("{field}.service.name"), ""),
                name => {
                    let wrong = names::dns_label(name);
                    found.invalid_each(&format!("{field}.service.name"), name, &wrong);
                }
            }
            let (name, number) = (text(&service["port"], "name"), int(&service["port"], "number"));
            match (name, number.filter(|number| *number != 0)) {
                ("", None) => found.required(field, "port name or number is required"),
                ("", Some(number)) => {
                    for wrong in names::port_number(number) {
                        found.invalid(&format!("{field}.service.port.number"), number, &wrong);
                    }
                }
                (_, Some(_)) => found.invalid(field, "", "cannot set both port name & port number"),
                (name, None) => {
                    found.invalid_each(&format!("{field}.service.port.name"), name, &names::port_name(name));
                }
            }
        }
    }
}

/// Checks an `IngressClass`.
pub(super) fn ingress_class(found: &mut Findings, object: &Value, before: Option<&Value>) {
    let controller = text(&object["spec"], "controller");
    if let Some(before) = before {
        let before = &before["spec"];
        found.immutable("spec.controller", before.get("controller"), object["spec"].get("controller"));
    } else if controller.is_empty() {
        found.required("spec.controller", "");
    } else if !controller.contains('/') {
        let told = "must be a domain-prefixed path (such as \"acme.io/foo\")";
        found.invalid("spec.controller", controller, told);
    }
}
