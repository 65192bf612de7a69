//! Services: which pods are behind them (Endpoints and `EndpointSlices`), and addresses for load balancers
//! and ingresses.

use serde_json::{Value, json};

use super::act::{Act, Deletion, MANAGER, Plan};
use super::fields::{
    controller_reference, has_all, holds, is_leaving, label, list, name, namespace, stamp, text, uid,
};
use super::replica_set::is_over;

const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const SLICES: &str = "endpointslice-controller.k8s.io";

/// Decides what a Service needs. `pods` are those of its namespace, `slices` the `EndpointSlices` that belong
/// to it, `address` the one that a load balancer gets.
pub(super) fn plan(
    service: &Value,
    pods: &[Value],
    (endpoints, slices): (Option<&Value>, &[Value]),
    address: &str,
    now: jiff::Timestamp,
) -> Plan {
    let mut plan = Plan::nothing();
    balance(&mut plan, service, address);
    let selector = &service["spec"]["selector"];
    let is_selecting = selector.as_object().is_some_and(|selector| !selector.is_empty());
    if is_leaving(service) || !is_selecting || text(service, "/spec/type") == "ExternalName" {
        return plan;
    }
    let mut behind: Vec<_> =
        pods.iter().filter(|pod| has_all(selector, &pod["metadata"]["labels"])).collect();
    behind.retain(|pod| !is_over(pod) && !text(pod, "/status/podIP").is_empty());
    slice(&mut plan, service, &behind, slices, now);
    old_endpoints(&mut plan, service, &behind, endpoints, now);
    plan
}

/// A Service of type `LoadBalancer` has an address as long as it is one.
fn balance(plan: &mut Plan, service: &Value, address: &str) {
    let ingress = list(service, "/status/loadBalancer/ingress");
    let is_balanced = text(service, "/spec/type") == "LoadBalancer"
        && text(service, "/spec/loadBalancerClass").is_empty()
        && !is_leaving(service);
    if is_balanced != ingress.is_empty() {
        return;
    }
    let mut status = service["status"].clone();
    let wanted = text(service, "/spec/loadBalancerIP");
    let address = if wanted.is_empty() { address } else { wanted };
    status["loadBalancer"] =
        if is_balanced { json!({"ingress": [{"ip": address, "ipMode": "VIP"}]}) } else { json!({}) };
    plan.status("cloud-controller-manager", service, status);
}

fn ports(service: &Value, pod: Option<&Value>) -> Vec<Value> {
    let number = |port: &Value| match &port["targetPort"] {
        Value::String(wanted) => pod.and_then(|pod| {
            let containers = list(pod, "/spec/containers").iter();
            let found = containers.flat_map(|it| list(it, "/ports")).find(|it| it["name"] == **wanted)?;
            Some(found["containerPort"].clone())
        }),
        Value::Null => Some(port["port"].clone()),
        number => Some(number.clone()),
    };
    let of = |port: &Value| {
        let protocol = port["protocol"].as_str().unwrap_or("TCP");
        let mut told = json!({"name": text(port, "/name"), "port": number(port)?, "protocol": protocol});
        if let Some(application) = port["appProtocol"].as_str() {
            told["appProtocol"] = application.into();
        }
        Some(told)
    };
    list(service, "/spec/ports").iter().filter_map(of).collect()
}

fn reference(pod: &Value) -> Value {
    json!({"kind": "Pod", "namespace": namespace(pod), "name": name(pod), "uid": uid(pod)})
}

fn slice(plan: &mut Plan, service: &Value, pods: &[&Value], known: &[Value], now: jiff::Timestamp) {
    let tolerant = service["spec"]["publishNotReadyAddresses"] == true;
    let of = |pod: &&Value| {
        let (serving, leaving) = (holds(pod, "Ready"), is_leaving(pod));
        let ready = tolerant || (serving && !leaving);
        let mut told = json!({
            "addresses": [pod["status"]["podIP"]],
            "conditions": {"ready": ready, "serving": tolerant || serving, "terminating": leaving},
            "targetRef": reference(pod), "nodeName": pod["spec"]["nodeName"],
        });
        if pod["spec"]["subdomain"] == service["metadata"]["name"] {
            told["hostname"] = pod["spec"]["hostname"].clone();
        }
        told
    };
    let endpoints: Vec<_> = pods.iter().map(of).collect();
    let ports = if pods.is_empty() { Vec::new() } else { ports(service, pods.first().copied()) };
    let mut mine = known.iter().filter(|slice| label(slice, MANAGED_BY) == SLICES && !is_leaving(slice));
    let Some(slice) = mine.next() else {
        let mut labels = service["metadata"]["labels"].as_object().cloned().unwrap_or_default();
        labels.insert(MANAGED_BY.into(), SLICES.into());
        labels.insert("kubernetes.io/service-name".into(), name(service).into());
        if service["spec"]["clusterIP"] == "None" {
            labels.insert("service.kubernetes.io/headless".into(), "".into());
        }
        plan.push(Act::Create(json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {
                "generateName": format!("{}-", name(service)), "namespace": namespace(service), "labels": labels,
                "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": stamp(now)},
                "ownerReferences": [controller_reference(service)],
            },
            "addressType": "IPv4", "endpoints": endpoints, "ports": ports,
        })));
        return;
    };
    let is_same = list(slice, "/endpoints") == endpoints && list(slice, "/ports") == ports;
    if !is_same {
        let mut slice = slice.clone();
        slice["endpoints"] = endpoints.into();
        slice["ports"] = ports.into();
        plan.push(Act::Update(slice));
    }
    plan.acts.extend(mine.map(|surplus| Act::Delete(surplus.clone(), Deletion::Plain)));
}

fn old_endpoints(
    plan: &mut Plan,
    service: &Value,
    pods: &[&Value],
    known: Option<&Value>,
    now: jiff::Timestamp,
) {
    let tolerant = service["spec"]["publishNotReadyAddresses"] == true;
    let mut ports = ports(service, pods.first().copied());
    for port in &mut ports {
        if let Some(port) = port.as_object_mut().filter(|port| port["name"] == "") {
            port.remove("name");
        }
    }
    let address = |pod: &&&Value| {
        json!({
            "ip": pod["status"]["podIP"], "nodeName": pod["spec"]["nodeName"], "targetRef": reference(pod),
        })
    };
    let is_ready = |pod: &&&Value| tolerant || (holds(pod, "Ready"));
    let staying = || pods.iter().filter(|pod| tolerant || !is_leaving(pod));
    let ready: Vec<_> = staying().filter(is_ready).map(|pod| address(&pod)).collect();
    let unready: Vec<_> = staying().filter(|pod| !is_ready(pod)).map(|pod| address(&pod)).collect();
    let mut subset = json!({"addresses": ready, "notReadyAddresses": unready, "ports": ports});
    if let Some(subset) = subset.as_object_mut() {
        subset.retain(|_, value| value.as_array().is_none_or(|items| !items.is_empty()));
    }
    let is_empty = ready.is_empty() && unready.is_empty();
    let subsets = if is_empty { Vec::new() } else { vec![subset] };
    let Some(known) = known else {
        let mut labels = service["metadata"]["labels"].as_object().cloned().unwrap_or_default();
        labels.insert("endpoints.kubernetes.io/managed-by".into(), "endpoint-controller".into());
        if service["spec"]["clusterIP"] == "None" {
            labels.insert("service.kubernetes.io/headless".into(), "".into());
        }
        let mut object = json!({
            "apiVersion": "v1", "kind": "Endpoints",
            "metadata": {
                "name": name(service), "namespace": namespace(service), "labels": labels,
                "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": stamp(now)},
            },
        });
        if !is_empty {
            object["subsets"] = subsets.into();
        }
        return plan.push(Act::Create(object));
    };
    if list(known, "/subsets") != subsets && !is_leaving(known) {
        let mut known = known.clone();
        known["subsets"] = subsets.into();
        if let Some(known) = known.as_object_mut().filter(|_| is_empty) {
            known.remove("subsets");
        }
        plan.push(Act::Update(known));
    }
}

/// Endpoints whose Service is gone go as well.
pub(super) fn stray_endpoints(endpoints: &Value) -> Plan {
    let is_ours = label(endpoints, "endpoints.kubernetes.io/managed-by") == "endpoint-controller";
    let acts = is_ours.then(|| Act::Delete(endpoints.clone(), Deletion::Plain));
    Plan::of(acts.into_iter().collect())
}

/// An Ingress has the address of the ingress controller.
pub(super) fn ingress(ingress: &Value, address: &str) -> Plan {
    let mut plan = Plan::nothing();
    if list(ingress, "/status/loadBalancer/ingress").is_empty() && !is_leaving(ingress) {
        plan.status(MANAGER, ingress, json!({"loadBalancer": {"ingress": [{"ip": address}]}}));
    }
    plan
}
