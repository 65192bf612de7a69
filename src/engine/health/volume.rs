//! Health of claims for storage.

use serde_json::Value;

use super::{Health, text};

pub(super) fn claim(object: &Value) -> Health {
    match text(&object["status"]["phase"]) {
        "Bound" => Health::healthy(),
        "Pending" => Health::progressing("waiting for a volume"),
        "Lost" => Health::degraded("the volume is lost"),
        phase => Health::unknown(format!("phase `{phase}`")),
    }
}
