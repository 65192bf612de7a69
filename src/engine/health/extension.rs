//! Health of what extends the Kubernetes API.

use serde_json::Value;

use super::{Health, conditions, explanation, holds};

pub(super) fn api_service(object: &Value) -> Health {
    match conditions(object).iter().find(|condition| condition["type"] == "Available") {
        Some(condition) if condition["status"] == "True" => Health::healthy(),
        Some(condition) => Health::progressing(explanation(condition)),
        None => Health::progressing("waiting for the API server to look for the service"),
    }
}

pub(super) fn definition(object: &Value) -> Health {
    let conditions = conditions(object);
    if holds(object, "Terminating").is_some() {
        return Health::progressing("the definition is being removed");
    }
    let refused = |condition: &&Value| {
        condition["type"] == "NamesAccepted" && condition["status"] == "False"
            || condition["type"] == "NonStructuralSchema" && condition["status"] == "True"
    };
    if let Some(condition) = conditions.iter().find(refused) {
        return Health::degraded(explanation(condition));
    }
    if holds(object, "Established").is_some() {
        return Health::healthy();
    }
    match conditions.iter().find(|condition| condition["type"] == "Established") {
        Some(condition) if condition["reason"] != "Installing" => Health::degraded(explanation(condition)),
        _ => Health::progressing("waiting for the API server to serve the kind"),
    }
}
