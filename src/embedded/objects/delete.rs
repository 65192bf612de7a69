//! Deletion: at once, after finalizers, or after a grace period.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;

use super::super::kinds::Kind;
use super::super::status::Status;
use super::super::storage::Entry;
use super::super::storage::Write;
use super::Deletion;
use super::Done;
use super::Objects;
use super::definitions;
use super::meta;
use super::versions;
use super::write;

/// Namespaces without which there is no cluster.
const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

/// Finalizers that ask the garbage collector for something.
const COLLECTOR: [&str; 2] = ["orphan", "foregroundDeletion"];

/// What comes of a deletion.
enum Fate {
    /// It is waited for already.
    Pending,
    /// It is marked.
    Marked(Value),
    /// It is marked, and goes then.
    Over(Value),
    /// It goes at once.
    Gone(Value),
}

impl Objects {
    /// Deletes what `chosen` picks of a resource, in one namespace if it is given. Answers the objects as
    /// they were.
    pub fn delete_all(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        chosen: &dyn Fn(&Value) -> bool,
        deletion: &Deletion,
    ) -> Result<Vec<Value>, Status> {
        let mut deleted = Vec::new();
        for entry in self.storage.list(&kind.resource, namespace).entries {
            let object = versions::read(kind, &entry);
            if !chosen(&object) {
                continue;
            }
            match self.delete(kind, &entry.key.namespace, &entry.key.name, deletion) {
                Err(refused) if refused.code != 404 => return Err(refused),
                _ => deleted.push(object),
            }
        }
        Ok(deleted)
    }

    pub(super) fn delete_one(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
        deletion: &Deletion,
    ) -> Result<Done, Status> {
        let key = write::key(kind, namespace, name);
        if &*kind.resource == "namespaces" && IMMORTAL.contains(&name) {
            return Err(write::forbidden(kind, name, "this namespace may not be deleted"));
        }
        let mut deletion = deletion.clone();
        loop {
            let Some(entry) = self.storage.get(&key) else {
                return Err(Status::not_found(&kind.resource, name));
            };
            let live = versions::read(kind, &entry);
            check_preconditions(kind, &live, &deletion)?;
            let fate = fate(kind, live.clone(), &deletion, (self.clock)());
            let warnings = warnings(kind, &deletion);
            let mut done = Done { object: Value::Null, created: false, gone: false, warnings };
            let (mut object, write) = match fate {
                Fate::Over(object) if !deletion.dry_run => {
                    let marked = Write::Put(versions::stored(kind, object));
                    if self.write_if_same(&entry, marked).is_ok() {
                        deletion.version = None;
                    }
                    continue;
                }
                Fate::Pending => {
                    done.object = live;
                    return Ok(done);
                }
                Fate::Marked(object) if object == live => {
                    done.object = live;
                    return Ok(done);
                }
                Fate::Marked(object) => (object.clone(), Write::Put(versions::stored(kind, object))),
                Fate::Over(object) | Fate::Gone(object) => {
                    done.gone = true;
                    (object.clone(), Write::Remove(versions::stored(kind, object)))
                }
            };
            if !deletion.dry_run {
                match self.write_if_same(&entry, write) {
                    Err(()) => continue,
                    Ok(version) => {
                        meta::of(&mut object).insert("resourceVersion".into(), version.to_string().into());
                    }
                }
                if done.gone {
                    self.removed(kind, &object);
                } else if &*kind.resource == definitions::RESOURCE {
                    self.clear_definition(&object);
                }
            }
            done.object = versions::answered(kind, object);
            return Ok(done);
        }
    }

    fn write_if_same(&self, entry: &Entry, write: Write) -> Result<u64, ()> {
        let written = self.storage.write(&entry.key, |current| match current {
            Some(current) if current.version == entry.version => Ok(write),
            _ => Err(()),
        })?;
        Ok(written.map_or(entry.version, |written| written.version))
    }
}

fn check_preconditions(kind: &Kind, live: &Value, deletion: &Deletion) -> Result<(), Status> {
    let resource = if kind.gvk.group.is_empty() {
        kind.gvk.kind.clone()
    } else {
        format!("{}.{}", kind.gvk.kind, kind.gvk.group)
    };
    let (uid, version) = (meta::text(live, "uid"), meta::text(live, "resourceVersion"));
    let why = match (&deletion.uid, &deletion.version) {
        (Some(told), _) if told != uid => format!(
            "the UID in the precondition ({told}) does not match the UID in record ({uid}). The object might have \
             been deleted and then recreated"
        ),
        (_, Some(told)) if told != version => format!(
            "the ResourceVersion in the precondition ({told}) does not match the ResourceVersion in record \
             ({version}). The object might have been modified"
        ),
        _ => return Ok(()),
    };
    Err(Status::conflict(&resource, meta::text(live, "name"), &why))
}

/// Kinds whose dependents are kept if the deletion does not say otherwise.
fn orphans(kind: &Kind) -> bool {
    matches!(&*kind.resource, "jobs.batch" | "replicationcontrollers")
}

/// Whether a deletion that is complete answers the object rather than a `Status`.
pub(crate) fn answers_object(kind: &Kind) -> bool {
    const YES: [&str; 14] = [
        "csidrivers.storage.k8s.io",
        "storageclasses.storage.k8s.io",
        "volumeattachments.storage.k8s.io",
        "csinodes.storage.k8s.io",
        "volumeattributesclasses.storage.k8s.io",
        "resourcequotas",
        "persistentvolumes",
        "serviceaccounts",
        "persistentvolumeclaims",
        "namespaces",
        "pods",
        "services",
        "podtemplates",
        "deviceclasses.resource.k8s.io",
    ];
    YES.contains(&&*kind.resource)
}

fn warnings(kind: &Kind, deletion: &Deletion) -> Vec<String> {
    if deletion.propagation.is_some() || &*kind.resource != "jobs.batch" {
        return Vec::new();
    }
    vec![
        "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them \
         or set propagationPolicy=Orphan to suppress this warning"
            .into(),
    ]
}

fn fate(kind: &Kind, mut object: Value, deletion: &Deletion, now: Timestamp) -> Fate {
    let grace = deletion.grace.map(|grace| if grace < 0 { 1 } else { grace });
    let mut graceful = false;
    let was_marked = meta::is_deleting(&object);
    if &*kind.resource == "pods" {
        match pod_grace(&mut object, grace, now) {
            None => return Fate::Pending,
            Some(marked) => graceful = marked,
        }
    }
    collector_finalizers(kind, &mut object, deletion);
    if &*kind.resource == definitions::RESOURCE && !was_marked {
        return definition(object, now);
    }
    if &*kind.resource == "namespaces" {
        return namespace(object, now);
    }
    let pending = !meta::finalizers(&object).is_empty();
    if graceful {
        let grace = object["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or(0);
        return if pending || grace > 0 { Fate::Marked(object) } else { Fate::Over(object) };
    }
    if !pending {
        return Fate::Gone(object);
    }
    if !was_marked {
        raise_generation(&mut object);
    }
    let metadata = meta::of(&mut object);
    if metadata.get("deletionTimestamp").and_then(Value::as_str).is_none_or(|at| at > &*meta::time(now)) {
        metadata.insert("deletionTimestamp".into(), meta::time(now).into());
    }
    metadata.insert("deletionGracePeriodSeconds".into(), 0.into());
    Fate::Marked(object)
}

fn raise_generation(object: &mut Value) {
    if let Some(generation) = object["metadata"]["generation"].as_i64().filter(|generation| *generation > 0) {
        meta::of(object).insert("generation".into(), (generation + 1).into());
    }
}

/// Marks a Pod for deletion after its grace period: nothing, if it is marked already and stays as it is.
/// Answers whether it was marked now.
fn pod_grace(pod: &mut Value, asked: Option<i64>, now: Timestamp) -> Option<bool> {
    let seconds = |seconds: i64| Duration::from_secs(seconds.unsigned_abs());
    if meta::is_deleting(pod) {
        let running = pod["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or(0);
        if running == 0 {
            return Some(false);
        }
        let asked = asked.filter(|asked| *asked < running)?;
        let at: Timestamp = meta::text(pod, "deletionTimestamp").parse().ok()?;
        let earlier = at - seconds(running) + seconds(asked);
        let (at, asked) = if earlier < now { (now, asked.min(1)) } else { (earlier, asked) };
        let metadata = meta::of(pod);
        metadata.insert("deletionTimestamp".into(), meta::time(at).into());
        metadata.insert("deletionGracePeriodSeconds".into(), asked.into());
        return Some(true);
    }
    let own = pod["spec"]["terminationGracePeriodSeconds"].as_i64();
    let unscheduled = pod["spec"]["nodeName"].as_str().is_none_or(str::is_empty);
    let over = matches!(pod["status"]["phase"].as_str(), Some("Failed" | "Succeeded"));
    let grace = if unscheduled || over { 0 } else { asked.or(own).unwrap_or(0) };
    raise_generation(pod);
    let metadata = meta::of(pod);
    metadata.insert("deletionTimestamp".into(), meta::time(now + seconds(grace)).into());
    metadata.insert("deletionGracePeriodSeconds".into(), grace.into());
    Some(true)
}

/// Adds or removes the finalizers by which the garbage collector is asked to orphan or delete dependents.
fn collector_finalizers(kind: &Kind, object: &mut Value, deletion: &Deletion) {
    let has = |name: &str| meta::finalizers(object).contains(&name);
    let asked = match deletion.propagation.as_deref() {
        Some("Orphan") => Some(COLLECTOR[0]),
        Some("Foreground") => Some(COLLECTOR[1]),
        Some(_) => None,
        None if has(COLLECTOR[0]) => Some(COLLECTOR[0]),
        None if has(COLLECTOR[1]) => Some(COLLECTOR[1]),
        None => orphans(kind).then_some(COLLECTOR[0]),
    };
    let before = meta::finalizers(object);
    let mut after: Vec<_> = before.iter().copied().filter(|name| !COLLECTOR.contains(name)).collect();
    after.extend(asked);
    let same = before.len() == after.len() && before.iter().all(|name| after.contains(name));
    if same {
        return;
    }
    let after: Vec<Value> = after.into_iter().map(Value::from).collect();
    if after.is_empty() {
        meta::of(object).remove("finalizers");
    } else {
        meta::of(object).insert("finalizers".into(), after.into());
    }
}

/// A namespace is emptied before it goes.
fn namespace(mut object: Value, now: Timestamp) -> Fate {
    if !meta::is_deleting(&object) {
        meta::of(&mut object).insert("deletionTimestamp".into(), meta::time(now).into());
    }
    object["status"]["phase"] = "Terminating".into();
    let kind_is_done = object["spec"]["finalizers"].as_array().is_none_or(Vec::is_empty);
    if kind_is_done && meta::finalizers(&object).is_empty() {
        Fate::Gone(object)
    } else {
        Fate::Marked(object)
    }
}

/// A definition stays until its objects are gone.
fn definition(mut object: Value, now: Timestamp) -> Fate {
    let mut all: Vec<Value> = meta::finalizers(&object).into_iter().map(Value::from).collect();
    if !all.iter().any(|finalizer| finalizer == definitions::CLEANUP) {
        all.push(definitions::CLEANUP.into());
    }
    let metadata = meta::of(&mut object);
    metadata.insert("finalizers".into(), all.into());
    metadata.insert("deletionTimestamp".into(), meta::time(now).into());
    let condition = json!({
        "type": "Terminating", "status": "True", "lastTransitionTime": meta::time(now),
        "reason": "InstanceDeletionPending", "message": "CustomResourceDefinition marked for deletion; \
            CustomResource deletion will begin soon",
    });
    if let Some(conditions) = object["status"]["conditions"].as_array_mut() {
        conditions.push(condition);
    }
    Fate::Marked(object)
}
