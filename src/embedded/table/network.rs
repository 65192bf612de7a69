//! How workloads are reached.

use serde_json::Value;

use super::text::{defaulted, fields, labels, or_none, scalar, texts, three};
use super::{Row, list, row};

pub(super) fn service(row: &Row<'_>) -> Vec<Value> {
    let ports = row.list("spec.ports").iter().map(|port| {
        let protocol = port["protocol"].as_str().unwrap_or_default();
        match port["nodePort"].as_i64().unwrap_or_default() {
            0 => format!("{}/{protocol}", port["port"]),
            node => format!("{}:{node}/{protocol}", port["port"]),
        }
    });
    row![
        row.name(),
        row.text("spec.type"),
        row.list("spec.clusterIPs").first().and_then(Value::as_str).unwrap_or("<none>"),
        external(row),
        or_none(ports.collect::<Vec<_>>().join(",")),
        row.age(),
        or_none(labels(row.at("spec.selector"))),
    ]
}

/// Where a Service is reached from outside.
fn external(row: &Row<'_>) -> String {
    let stated = texts(row.at("spec.externalIPs"));
    match row.text("spec.type") {
        "ClusterIP" | "NodePort" => or_none(stated.join(",")),
        "LoadBalancer" => {
            let balancer = balancer(row);
            let all: Vec<&str> =
                [balancer.as_str()].into_iter().filter(|told| !told.is_empty()).chain(stated).collect();
            if all.is_empty() { "<pending>".into() } else { all.join(",") }
        }
        "ExternalName" => row.text("spec.externalName").into(),
        _ => "<unknown>".into(),
    }
}

pub(super) fn hosts(rules: &[Value]) -> String {
    let mut told = Vec::new();
    let mut rest = rules.iter();
    while told.len() < 3
        && let Some(rule) = rest.next()
    {
        told.extend(rule["host"].as_str().filter(|host| !host.is_empty()));
    }
    match (told.is_empty(), rest.len()) {
        (true, _) => "*".into(),
        (false, 0) => told.join(","),
        (false, _) => format!("{} + {} more...", told.join(","), rules.len() - 3),
    }
}

/// The addresses at which a load balancer answers, or its names.
pub(super) fn balancer(row: &Row<'_>) -> String {
    let mut told: Vec<&str> = row
        .list("status.loadBalancer.ingress")
        .iter()
        .filter_map(|ingress| {
            let text = |field: &str| ingress[field].as_str().filter(|text| !text.is_empty());
            text("ip").or_else(|| text("hostname"))
        })
        .collect();
    told.sort_unstable();
    told.dedup();
    told.join(",")
}

pub(super) fn ingress_class(row: &Row<'_>) -> Vec<Value> {
    let name = defaulted(row, &["ingressclass.kubernetes.io/is-default-class"]);
    let parameters = match row.at("spec.parameters") {
        Value::Null => "<none>".into(),
        of => {
            let group = of["apiGroup"].as_str().map_or_else(String::new, |group| format!(".{group}"));
            let text = |field: &str| of[field].as_str().unwrap_or_default();
            format!("{}{group}/{}", text("kind"), text("name"))
        }
    };
    row![name, row.text("spec.controller"), parameters, row.age()]
}

pub(super) fn endpoints(subsets: &[Value]) -> String {
    if subsets.is_empty() {
        return "<none>".into();
    }
    let mut told = Vec::new();
    for subset in subsets {
        let addresses = fields(list(&subset["addresses"]), "ip");
        let ports = list(&subset["ports"]);
        if ports.is_empty() {
            told.extend(addresses.iter().map(|ip| (*ip).to_owned()));
        }
        for port in ports {
            told.extend(addresses.iter().map(|ip| {
                if ip.contains(':') {
                    format!("[{ip}]:{}", port["port"])
                } else {
                    format!("{ip}:{}", port["port"])
                }
            }));
        }
    }
    if told.is_empty() { String::new() } else { three(&told) }
}

pub(super) fn port(port: &Value) -> String {
    let name = || port["name"].as_str().unwrap_or("*").to_owned();
    scalar(&port["port"]).unwrap_or_else(name)
}

pub(super) fn parent(row: &Row<'_>) -> String {
    let of = row.at("spec.parentRef");
    if of.is_null() {
        return "<none>".into();
    }
    let text = |field: &str| of[field].as_str().filter(|text| !text.is_empty());
    let group = text("group").map_or_else(String::new, |group| format!(".{group}"));
    let resource = format!("{}{group}", text("resource").unwrap_or_default()).to_lowercase();
    let parts = [Some(resource.as_str()), text("namespace"), Some(text("name").unwrap_or_default())];
    parts.into_iter().flatten().collect::<Vec<_>>().join("/")
}
