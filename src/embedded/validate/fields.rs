//! What the OpenAPI documents do not say of the fields of built-in kinds, but Go's types do: whether a zero value is
//! left out, and what error messages call the type. `fields.json` is made from those types: for each definition, the
//! fields that matter, separated by spaces: `name` (left out if zero), `name:v1.Type` (the same, with the name of
//! its type), `name:=v1.Type` (kept if zero), `name:*` and `name:*v1.Type` (`null` rather than absent).

use std::collections::HashMap;
use std::sync::LazyLock;

/// A field of a Go type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    /// Zero values are left out.
    pub(super) omitted: bool,
    /// It is there, if only as `null`.
    pub(super) null: bool,
    /// The name of its type, where it is not told by the schema.
    pub(super) type_name: &'static str,
}

/// The fields of a definition.
pub(super) type Fields = HashMap<&'static str, Field>;

static TABLE: LazyLock<HashMap<&str, Fields>> = LazyLock::new(|| {
    let text: HashMap<&str, &str> =
        serde_json::from_str(include_str!("fields.json")).expect("the file is a map of texts");
    text.into_iter()
        .map(|(definition, fields)| (definition, fields.split(' ').map(field).collect()))
        .collect()
});

fn field(text: &'static str) -> (&'static str, Field) {
    let (name, rest) = text.split_once(':').unwrap_or((text, ""));
    let null = rest.starts_with('*');
    let type_name = rest.trim_start_matches(['=', '*']);
    // A `*` is not part of these names: lists are `[]v1.Type`, maps `map[string]v1.Type`.
    (name, Field { omitted: type_name == rest, null, type_name })
}

/// What is known of the fields of a definition.
pub(super) fn of(definition: Option<&str>) -> Option<&'static Fields> {
    TABLE.get(definition?)
}
