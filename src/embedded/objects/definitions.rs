//! Definitions of custom kinds: they are served as soon as they are written, and their objects go before
//! they do.

use serde_json::Value;
use serde_json::json;

use super::super::apply;
use super::super::custom;
use super::super::storage::Key;
use super::super::storage::Write;
use super::Deletion;
use super::Objects;
use super::meta;

/// Resource under which they are stored.
pub(super) const RESOURCE: &str = "customresourcedefinitions.apiextensions.k8s.io";

/// Keeps a definition until its objects are gone.
pub(super) const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Notes the storage version among those that objects may be stored in.
pub(super) fn store_version(definition: &mut Value) {
    let versions = definition["spec"]["versions"].as_array();
    let stored = versions.into_iter().flatten().find(|version| version["storage"] == true);
    let Some(stored) = stored.map(|version| version["name"].clone()) else { return };
    if !definition["status"].is_object() {
        definition["status"] = json!({});
    }
    let known = &mut definition["status"]["storedVersions"];
    if !known.is_array() {
        *known = json!([]);
    }
    if let Some(known) = known.as_array_mut().filter(|known| !known.contains(&stored)) {
        known.push(stored);
    }
}

fn is_accepted(definition: &Value) -> bool {
    let conditions = definition["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Established" && condition["status"] == "True")
}

impl Objects {
    /// Serves the kinds of all stored definitions. Called when a store is opened.
    pub fn define_stored(&self) {
        for definition in self.definitions().iter().filter(|definition| is_accepted(definition)) {
            self.serve_definition(definition);
        }
    }

    fn definitions(&self) -> Vec<Value> {
        let entries = self.storage.list(RESOURCE, None).entries;
        entries.iter().filter_map(|entry| serde_json::from_slice(&entry.json).ok()).collect()
    }

    /// The name that another definition of the group has already: the reason of the condition, and the name.
    fn conflict(&self, definition: &Value) -> Option<(&'static str, String)> {
        let spec = &definition["spec"];
        let others = self.definitions();
        let others = others.iter().filter(|other| {
            other["spec"]["group"] == spec["group"]
                && meta::text(other, "name") != meta::text(definition, "name")
                && is_accepted(other)
        });
        let taken: Vec<&Value> = others.map(|other| &other["status"]["acceptedNames"]).collect();
        let has = |name: &Value| {
            let is = |names: &&Value| {
                let short = names["shortNames"].as_array();
                [&names["plural"], &names["singular"]].contains(&name)
                    || short.is_some_and(|short| short.contains(name))
            };
            !name.is_null() && taken.iter().any(is)
        };
        let kinds = |name: &Value| {
            !name.is_null() && taken.iter().any(|names| [&names["kind"], &names["listKind"]].contains(&name))
        };
        let names = &spec["names"];
        let told = |name: &Value| name.as_str().unwrap_or_default().to_owned();
        if has(&names["plural"]) {
            return Some(("PluralConflict", told(&names["plural"])));
        }
        if has(&names["singular"]) {
            return Some(("SingularConflict", told(&names["singular"])));
        }
        let short = names["shortNames"].as_array().into_iter().flatten().find(|name| has(name));
        if let Some(short) = short {
            return Some(("ShortNamesConflict", told(short)));
        }
        if kinds(&names["kind"]) {
            return Some(("KindConflict", told(&names["kind"])));
        }
        kinds(&names["listKind"]).then(|| ("ListKindConflict", told(&names["listKind"])))
    }

    fn serve_definition(&self, definition: &Value) {
        let mut kinds = custom::kinds(definition);
        if meta::is_deleting(definition) {
            for kind in &mut kinds {
                kind.verbs.retain(|verb| &**verb != "create");
            }
        }
        self.kinds.define(meta::text(definition, "name"), kinds);
    }

    /// Serves the kinds of a definition and says so in its status.
    pub(super) fn define(&self, definition: &Value) {
        let conflict = self.conflict(definition);
        if conflict.is_none() {
            self.serve_definition(definition);
        }
        let now = (self.clock)();
        let Some(kind) = self.kinds.of("apiextensions.k8s.io", "v1", "CustomResourceDefinition") else {
            return;
        };
        self.amend(definition, &|stored| {
            let before = stored.clone();
            stored["status"] = match &conflict {
                None => custom::status_of(stored, now),
                Some((reason, name)) => {
                    let message = format!("{name:?} is already in use");
                    custom::status_of_conflict(stored, reason, &message, now)
                }
            };
            let manager = apply::Manager::of(&kind, "status", "kube-apiserver", now);
            apply::update(&kind.schema, Some(&before), stored, &manager);
        });
    }

    /// Writes to a stored definition without the checks of an update.
    fn amend(&self, definition: &Value, change: &dyn Fn(&mut Value)) {
        let key = Key {
            resource: RESOURCE.into(),
            namespace: "".into(),
            name: meta::text(definition, "name").into(),
        };
        let written: Result<_, std::convert::Infallible> = self.storage.write(&key, |entry| {
            let Some(entry) = entry else { return Ok(Write::Keep) };
            let before: Value = serde_json::from_slice(&entry.json).unwrap_or_default();
            let mut stored = before.clone();
            change(&mut stored);
            let gone = meta::is_deleting(&stored) && meta::finalizers(&stored).is_empty();
            Ok(match () {
                () if gone => Write::Remove(stored),
                () if stored == before => Write::Keep,
                () => Write::Put(stored),
            })
        });
        let Ok(_) = written;
        if self.storage.get(&key).is_none() {
            self.kinds.define(&key.name, Vec::new());
        }
    }

    /// Deletes the objects of a definition that is being deleted, and the definition when they are gone.
    pub(super) fn clear_definition(&self, definition: &Value) {
        let kinds = custom::kinds(definition);
        let resource = meta::text(definition, "name");
        self.serve_definition(definition);
        if let Some(kind) = kinds.first() {
            for entry in self.storage.list(resource, None).entries {
                // What is gone already need not be deleted; what cannot be is left to its finalizers.
                let _gone = self.delete(kind, &entry.key.namespace, &entry.key.name, &Deletion::default());
            }
        }
        self.finish_definition(resource);
    }

    /// Lets a definition go that waits for its objects, if they are gone.
    pub(super) fn finish_definition(&self, resource: &str) {
        if !self.storage.list(resource, None).entries.is_empty() {
            return;
        }
        let named = json!({"metadata": {"name": resource}});
        self.amend(&named, &|stored| {
            if meta::is_deleting(stored) {
                let rest: Vec<_> = meta::finalizers(stored)
                    .into_iter()
                    .filter(|finalizer| *finalizer != CLEANUP)
                    .map(Value::from)
                    .collect();
                if rest.is_empty() {
                    meta::of(stored).remove("finalizers");
                } else {
                    meta::of(stored).insert("finalizers".into(), rest.into());
                }
            }
        });
    }
}
