//! Health of what traffic comes in through: it works once it has an address.

use serde_json::Value;

use super::Health;

pub(super) fn service(object: &Value) -> Health {
    if object["spec"]["type"] == "LoadBalancer" && !has_address(object) {
        return Health::progressing("waiting for an address from the load balancer");
    }
    Health::healthy()
}

pub(super) fn ingress(object: &Value) -> Health {
    if has_address(object) {
        return Health::healthy();
    }
    Health::progressing("waiting for an address from the ingress controller")
}

fn has_address(object: &Value) -> bool {
    object["status"]["loadBalancer"]["ingress"].as_array().is_some_and(|addresses| !addresses.is_empty())
}
