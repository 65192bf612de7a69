//! To whom an object belongs: the label by which an application's objects are watched and the
//! annotation that identifies each of them.

use super::live::Live;
use crate::manifest::Key;

/// Longest value of a label.
const LABEL_LIMIT: usize = 63;

/// Whose a live object is, seen from one application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// It is this application's.
    Ours,
    /// Another application applies it: `<project>/<name>`.
    Other(String),
    /// Nobody tracks it, or it is a copy whose identity names another object.
    Nobody,
}

/// Returns the value of the label on every object of an application. `.` occurs in names of
/// Applications but not of namespaces, so the first one separates them. Long ones end in a hash.
#[must_use]
pub fn label_value(project: &str, name: &str) -> String {
    let plain = format!("{project}.{name}");
    if plain.len() <= LABEL_LIMIT {
        return plain;
    }
    let kept = plain[..LABEL_LIMIT - 17].trim_end_matches(['.', '-']);
    format!("{kept}-{:016x}", fnv1a(plain.as_bytes()))
}

/// Returns the identity of an object of an application:
/// `<project>_<name>:<group>/<kind>:<namespace>/<name>`.
#[must_use]
pub fn id(project: &str, name: &str, key: &Key) -> String {
    format!("{project}_{name}:{}/{}:{}/{}", key.group, key.kind, key.namespace, key.name)
}

/// Tells whose `live` is, seen from the application `project`/`name`.
#[must_use]
pub fn owner(live: &Live, project: &str, name: &str) -> Owner {
    let Some(tracking_id) = live.tracking_id.as_deref() else { return Owner::Nobody };
    let Some((instance, object)) = tracking_id.split_once(':') else { return Owner::Nobody };
    let Key { group, kind, namespace, name: object_name } = &live.key;
    if object != format!("{group}/{kind}:{namespace}/{object_name}") {
        return Owner::Nobody;
    }
    match instance.split_once('_') {
        Some(owner) if owner == (project, name) => Owner::Ours,
        Some((project, name)) => Owner::Other(format!("{project}/{name}")),
        None => Owner::Nobody,
    }
}

/// The 64-bit FNV-1a hash: stable for ever, which the standard library's hasher does not promise.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn live(tracking_id: &str) -> Live {
        let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web",
            "namespace": "shop", "annotations": {super::super::live::TRACKING_ANNOTATION: tracking_id}}});
        Live::from_json(&object.to_string()).unwrap()
    }

    #[test]
    fn an_object_is_ours_only_if_its_identity_names_it_and_us() {
        let check = |id, expected| assert_eq!(owner(&live(id), "team", "store"), expected);
        check("team_store:apps/Deployment:shop/web", Owner::Ours);
        check("team_other:apps/Deployment:shop/web", Owner::Other("team/other".into()));
        check("team_store:apps/Deployment:shop/original", Owner::Nobody);
        check("nonsense", Owner::Nobody);
    }

    #[test]
    fn identity_is_read_back_as_written() {
        let ours = live("x");
        assert_eq!(owner(&live(&id("team", "store", &ours.key)), "team", "store"), Owner::Ours);
    }

    #[test]
    fn long_names_give_valid_distinct_labels() {
        let name = "n".repeat(80);
        let (one, two) = (label_value("team", &name), label_value("team", &format!("{name}2")));
        assert!(one.len() <= LABEL_LIMIT && one != two, "{one} {two}");
        assert_eq!(label_value("team", "store"), "team.store");
    }
}
