//! What is served: both forms of discovery, OpenAPI, the version.

use serde_json::Value;

use super::kinds::Kinds;

/// `/apis` in the aggregated form (`APIGroupDiscoveryList`, `apidiscovery.k8s.io/v2`), of the core group
/// if `core` (`/api`).
#[must_use]
pub fn aggregated(kinds: &Kinds, core: bool) -> Value {
    let _ = (kinds, core);
    todo!()
}

/// `/api`, `/apis`, `/apis/{group}`, `/api/v1`, `/apis/{group}/{version}` in the older form; nothing if the
/// path is none of these or is not served.
#[must_use]
pub fn plain(kinds: &Kinds, path: &str) -> Option<Value> {
    let _ = (kinds, path);
    todo!()
}

/// `/openapi/v3`.
#[must_use]
pub fn openapi_index(kinds: &Kinds) -> Value {
    let _ = kinds;
    todo!()
}

/// `/openapi/v3/apis/{group}/{version}` and `/openapi/v3/api/v1`.
#[must_use]
pub fn openapi(kinds: &Kinds, path: &str) -> Option<bytes::Bytes> {
    let _ = (kinds, path);
    todo!()
}
