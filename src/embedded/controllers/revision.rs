//! `ControllerRevisions`: the history of the templates of `StatefulSets` and `DaemonSets`.

use serde_json::{Map, Value, json};

use super::act::{Act, Deletion};
use super::fields::{controller_reference, count, count_or, hash, name, namespace};

/// Label of the hash on the revisions of a `StatefulSet`.
pub(super) const STATEFUL: &str = "controller.kubernetes.io/hash";
/// Label of the revision on pods, and of the hash on the revisions of a `DaemonSet`.
pub(super) const LABEL: &str = "controller-revision-hash";

/// What an owner's template is called, and what must be written for that.
pub(super) struct Current {
    /// Name of the revision of the template as it is now.
    pub name: String,
    /// Its hash.
    pub hash: String,
    /// Writes.
    pub acts: Vec<Act>,
}

/// Finds or makes the revision of the owner's template. `live` are names (or hashes) that pods still have.
pub(super) fn current(owner: &Value, known: &[Value], label: &str, live: &[&str]) -> Current {
    let mut template = owner["spec"]["template"].clone();
    template["$patch"] = "replace".into();
    let data = json!({"spec": {"template": template}});
    let newest = known.iter().map(|it| count(it, "/revision")).max().unwrap_or_default();
    let equal = known.iter().filter(|it| it["data"] == data).max_by_key(|it| count(it, "/revision"));
    let mut acts = Vec::new();
    let (named, hashed) = if let Some(equal) = equal {
        if count(equal, "/revision") < newest {
            let mut object = equal.clone();
            object["revision"] = (newest + 1).into();
            acts.push(Act::Update(object));
        }
        (name(equal).to_owned(), super::fields::label(equal, label).to_owned())
    } else {
        let mut collisions = count(owner, "/status/collisionCount");
        let (named, hashed) = loop {
            let hashed = hash(&data, collisions);
            let named = format!("{}-{hashed}", name(owner));
            if !known.iter().any(|it| name(it) == named) {
                break (named, hashed);
            }
            collisions += 1;
        };
        let mut labels =
            owner["spec"]["template"]["metadata"]["labels"].as_object().cloned().unwrap_or_default();
        labels.insert(label.into(), hashed.clone().into());
        acts.push(Act::Create(revision(owner, &named, &labels, &data, newest + 1)));
        (named, hashed)
    };
    let is_live =
        |it: &&Value| name(it) == named || live.iter().any(|l| *l == name(it) || name(it).ends_with(*l));
    let mut old: Vec<_> = known.iter().filter(|it| !is_live(it)).collect();
    old.sort_by_key(|it| count(it, "/revision"));
    let limit = usize::try_from(count_or(owner, "/spec/revisionHistoryLimit", 10)).unwrap_or(usize::MAX);
    let surplus = old.len().saturating_sub(limit);
    acts.extend(old.into_iter().take(surplus).map(|it| Act::Delete(it.clone(), Deletion::Plain)));
    Current { name: named, hash: hashed, acts }
}

fn revision(owner: &Value, named: &str, labels: &Map<String, Value>, data: &Value, number: i64) -> Value {
    let mut object = json!({
        "apiVersion": "apps/v1", "kind": "ControllerRevision",
        "metadata": {
            "name": named, "namespace": namespace(owner), "labels": labels,
            "ownerReferences": [controller_reference(owner)],
        },
        "data": data, "revision": number,
    });
    if owner["kind"] == "DaemonSet" {
        let generation = count(owner, "/metadata/generation").to_string();
        object["metadata"]["annotations"] = json!({"deprecated.daemonset.template.generation": generation});
    }
    object
}

/// The template that a revision recorded.
pub(super) fn template(known: &[Value], named: &str) -> Option<Value> {
    let mut template = known.iter().find(|it| name(it) == named)?["data"]["spec"]["template"].clone();
    template.as_object_mut()?.remove("$patch");
    Some(template)
}
