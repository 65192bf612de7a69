//! Why an apply is refused, in the words of Kubernetes.

use serde_json::json;

use super::super::status::{Cause, Status};
use super::managers::{self, Entry};

/// Why an apply is refused: fields that others own, each with a cause `FieldManagerConflict`, or a
/// malformed object.
#[derive(Debug, Clone, PartialEq)]
pub enum Refused {
    /// Others own these fields: the message of the 409, and its causes.
    Conflicts(String, Vec<Cause>),
    /// The object does not fit its schema, or must not be applied as it is.
    Malformed(Status),
}

impl From<Refused> for Status {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Malformed(status) => status,
            Refused::Conflicts(message, causes) => {
                let causes: Vec<_> = causes
                    .iter()
                    .map(|cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field}))
                    .collect();
                let details = Some(json!({"causes": causes}));
                Self { code: 409, reason: "Conflict", message, details }
            }
        }
    }
}

impl Refused {
    pub(super) fn internal(message: String) -> Self {
        Self::Malformed(Status::new(500, "", message))
    }

    pub(super) fn by(owners: Vec<Entry>) -> Self {
        let owners: Vec<_> = managers::sorted(owners)
            .into_iter()
            .map(|owner| (owner.identity.told(), owner.set.paths()))
            .collect();
        let count: usize = owners.iter().map(|(_, paths)| paths.len()).sum();
        let message = match owners.as_slice() {
            [(owner, paths)] if count == 1 => {
                format!("Apply failed with 1 conflict: conflict with {owner}: {}", paths[0])
            }
            _ => {
                let lines = owners.iter().flat_map(|(owner, paths)| {
                    let paths = paths.iter().map(|path| format!("- {path}"));
                    std::iter::once(format!("conflicts with {owner}:")).chain(paths)
                });
                format!("Apply failed with {count} conflicts: {}", lines.collect::<Vec<_>>().join("\n"))
            }
        };
        let causes = owners.into_iter().flat_map(|(owner, paths)| {
            paths.into_iter().map(move |field| Cause {
                reason: "FieldManagerConflict",
                message: format!("conflict with {owner}"),
                field,
            })
        });
        Self::Conflicts(message, causes.collect())
    }
}
