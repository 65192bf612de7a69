//! CustomResourceDefinitions become served kinds.

use serde_json::Value;

use super::kinds::Kind;
use super::status::Cause;

/// The kinds that a CustomResourceDefinition defines, one for each served version.
pub fn kinds(definition: &Value) -> Result<Vec<Kind>, Vec<Cause>> {
    let _ = definition;
    todo!()
}
