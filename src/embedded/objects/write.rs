//! Creating and changing objects.

use serde_json::Value;
use serde_json::json;

use super::super::apply;
use super::super::kinds::Kind;
use super::super::patch;
use super::super::status::Cause;
use super::super::status::Status;
use super::super::storage::Key;
use super::super::storage::Write;
use super::super::validate;
use super::Done;
use super::Objects;
use super::Options;
use super::Patch;
use super::Validation;
use super::fill;
use super::meta;
use super::versions;
use crate::manifest::Scope;

/// What is told to a writer whose object is not the latest.
const MODIFIED: &str =
    "the object has been modified; please apply your changes to the latest version and try again";

/// What is written to.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) kind: &'a Kind,
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    pub(super) subresource: &'a str,
}

impl Target<'_> {
    pub(super) fn key(&self) -> Key {
        key(self.kind, self.namespace, self.name)
    }
}

/// What an object is stored under.
pub(super) fn key(kind: &Kind, namespace: &str, name: &str) -> Key {
    Key { resource: kind.resource.clone(), namespace: namespace.into(), name: name.into() }
}

/// An object as its writer wants it to be.
pub(super) struct Wanted {
    pub(super) object: Value,
    pub(super) warnings: Vec<String>,
    /// Whether `managedFields` already say who wants it (after an apply).
    pub(super) owned: bool,
}

/// What comes of a change.
enum Next {
    Keep,
    Put(Value),
    Remove(Value),
}

impl Objects {
    /// Reads an object that a client sent: types, unknown fields, defaults.
    pub(super) fn decode(
        kind: &Kind,
        mut object: Value,
        options: &Options,
        is_patched: bool,
    ) -> Result<Wanted, Status> {
        if !object.is_object() {
            return Err(Status::bad_request("the object is not a JSON object"));
        }
        let patched = is_patched.then(|| object.clone());
        let unknown = validate::decode(kind, &mut object).map_err(|refused| match &patched {
            Some(patched) => {
                let (_, why) = refused.message.split_once(": ").unwrap_or(("", &refused.message));
                unfit(patched, why)
            }
            None => refused,
        })?;
        let unknown = validate::with_duplicates(&options.text, unknown);
        let warnings = match options.validation {
            _ if unknown.is_empty() => unknown,
            Validation::Ignore => Vec::new(),
            Validation::Warn => unknown,
            Validation::Strict => return Err(strict(kind, patched.as_ref(), &unknown)),
        };
        validate::default(kind, &mut object);
        Ok(Wanted { object, warnings, owned: false })
    }

    pub(super) fn insert(
        &self,
        kind: &Kind,
        namespace: &str,
        wanted: Wanted,
        options: &Options,
    ) -> Result<Done, Status> {
        let Wanted { mut object, warnings, owned } = wanted;
        if kind.custom.is_some() && !kind.verbs.iter().any(|verb| &**verb == "create") {
            let message = "create not allowed while custom resource definition is terminating";
            return Err(Status::about(405, "MethodNotAllowed", &kind.resource, "", message.into()));
        }
        let now = (self.clock)();
        let base = meta::text(&object, "generateName").to_owned();
        let generated = meta::text(&object, "name").is_empty() && !base.is_empty();
        self.check_namespace(kind, namespace, meta::text(&object, "name"))?;
        if &*kind.resource == "pods" {
            self.check_account(kind, namespace, &object)?;
        }
        meta::begin(&mut object, namespace, now);
        validate::begin(kind, &mut object);
        if !owned {
            let manager = apply::Manager::of(kind, "", &options.manager, now);
            apply::update(&kind.schema, None, &mut object, &manager);
        }
        for attempt in 1.. {
            if generated {
                meta::of(&mut object).insert(
                    "name".into(),
                    meta::made_up(&base, &(&kind.resource, namespace, self.storage.version(), attempt))
                        .into(),
                );
            }
            let name = meta::text(&object, "name").to_owned();
            self.fill_new(kind, &mut object)?;
            versions::tidy(kind, &mut object);
            let causes = validate::check(kind, &object, None);
            if !causes.is_empty() {
                return Err(Status::invalid(&kind.gvk.group, &kind.gvk.kind, &name, &causes));
            }
            match self.put_new(kind, namespace, &name, &mut object, options.dry_run) {
                Err(refused) if generated && refused.reason == "AlreadyExists" && attempt < 8 => {}
                Err(refused) => return Err(refused),
                Ok(()) => break,
            }
        }
        if !options.dry_run {
            self.written(kind, None, &object);
        }
        Ok(Done { object: versions::answered(kind, object), created: true, gone: false, warnings })
    }

    fn put_new(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
        object: &mut Value,
        dry_run: bool,
    ) -> Result<(), Status> {
        let key = key(kind, namespace, name);
        let exists = |live: &Value| {
            let mut refused = Status::already_exists(&kind.resource, name);
            if meta::is_deleting(live) {
                refused.message = format!("object is being deleted: {}", refused.message);
            }
            refused
        };
        if dry_run {
            return match self.storage.get(&key) {
                Some(entry) => Err(exists(&versions::read(kind, &entry))),
                None => Ok(()),
            };
        }
        let stored = versions::stored(kind, object.clone());
        let entry = self.storage.write(&key, |live| match live {
            Some(entry) => Err(exists(&versions::read(kind, entry))),
            None => Ok(Write::Put(stored)),
        })?;
        let version = entry.map_or(0, |entry| entry.version);
        meta::of(object).insert("resourceVersion".into(), version.to_string().into());
        Ok(())
    }

    /// Changes an object as often as it takes: `want` is asked again if somebody else was faster.
    pub(super) fn change(
        &self,
        target: Target<'_>,
        options: &Options,
        creates: bool,
        want: &mut dyn FnMut(Option<&Value>) -> Result<Wanted, Status>,
    ) -> Result<Done, Status> {
        let Target { kind, namespace, name, .. } = target;
        let key = target.key();
        loop {
            let entry = self.storage.get(&key);
            let live = entry.as_ref().map(|entry| versions::read(kind, entry));
            if live.is_none() && !creates {
                return Err(Status::not_found(&kind.resource, name));
            }
            let wanted = want(live.as_ref())?;
            let (Some(entry), Some(live)) = (entry, live) else {
                match self.insert(kind, namespace, wanted, options) {
                    Err(refused) if refused.reason == "AlreadyExists" && self.storage.get(&key).is_some() => {
                        continue;
                    }
                    other => return other,
                }
            };
            let warnings = wanted.warnings.clone();
            let next = self.next(target, &live, wanted, options)?;
            let mut done = Done { object: Value::Null, created: false, gone: false, warnings };
            let (mut object, write) = match next {
                Next::Keep => {
                    done.object = versions::answered(kind, live);
                    return Ok(done);
                }
                Next::Put(object) => (object.clone(), Write::Put(versions::stored(kind, object))),
                Next::Remove(object) => {
                    done.gone = true;
                    (object.clone(), Write::Remove(versions::stored(kind, object)))
                }
            };
            if !options.dry_run {
                let version = entry.version;
                let written = self.storage.write(&key, |current| match current {
                    Some(current) if current.version == version => Ok(write),
                    _ => Err(()),
                });
                let Ok(written) = written else { continue };
                if let Some(written) = written.filter(|_| !done.gone) {
                    meta::of(&mut object)
                        .insert("resourceVersion".into(), written.version.to_string().into());
                }
                if done.gone {
                    self.removed(kind, &object);
                } else {
                    self.written(kind, Some(&live), &object);
                }
            }
            done.object = versions::answered(kind, object);
            return Ok(done);
        }
    }

    fn next(
        &self,
        target: Target<'_>,
        live: &Value,
        wanted: Wanted,
        options: &Options,
    ) -> Result<Next, Status> {
        let Target { kind, name, subresource, .. } = target;
        let Wanted { mut object, owned, .. } = wanted;
        check_version(kind, name, &mut object, live)?;
        meta::carry_on(&mut object, live);
        if !owned {
            let now = (self.clock)();
            let manager = apply::Manager::of(kind, subresource, &options.manager, now);
            apply::update(&kind.schema, Some(live), &mut object, &manager);
        }
        self.fill_changed(kind, &mut object, live, subresource)?;
        // Neither what is said of an object nor where it runs is something that is asked for.
        if !matches!(subresource, "status" | "binding") && validate::changes_generation(kind, live, &object) {
            let generation = live["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
            meta::of(&mut object).insert("generation".into(), generation.into());
        }
        versions::tidy(kind, &mut object);
        let causes = match subresource {
            "status" | "binding" => validate::check_status(kind, &object, live),
            _ => validate::check(kind, &object, Some(live)),
        };
        if !causes.is_empty() {
            return Err(Status::invalid(&kind.gvk.group, &kind.gvk.kind, name, &causes));
        }
        apply::keep_times(live, &mut object);
        let graced = live["metadata"]["deletionGracePeriodSeconds"].as_i64().is_some_and(|grace| grace > 0);
        let finished = meta::finalizers(&object).is_empty() && fill::is_finalized(kind, &object);
        Ok(match () {
            () if meta::is_deleting(live) && !graced && finished => Next::Remove(object),
            () if object == *live => Next::Keep,
            () => Next::Put(object),
        })
    }

    /// Replaces an object or what is beneath it.
    pub(super) fn replace(
        &self,
        target: Target<'_>,
        object: Value,
        options: &Options,
    ) -> Result<Done, Status> {
        let kind = target.kind;
        let wanted = Self::decode(kind, object, options, false)?;
        let mut object = wanted.object;
        check_target(target, &mut object)?;
        let creates = target.subresource.is_empty() && validate::allows_create_on_update(kind);
        self.change(target, options, creates, &mut |live| {
            check_uid(target, &object, live)?;
            Ok(Wanted { object: object.clone(), warnings: wanted.warnings.clone(), owned: false })
        })
    }

    /// Patches an object or what is beneath it.
    pub(super) fn patch_target(
        &self,
        target: Target<'_>,
        patch: &Patch,
        options: &Options,
    ) -> Result<Done, Status> {
        let kind = target.kind;
        if let Patch::Apply(applied) = patch {
            return self.apply(target, applied, options);
        }
        self.change(target, options, false, &mut |live| {
            let live = live.ok_or_else(|| Status::not_found(&kind.resource, target.name))?;
            let object = patched(kind, live, patch)?;
            let mut wanted = Self::decode(kind, object, options, true)?;
            check_kind(kind, &wanted.object)?;
            check_target(target, &mut wanted.object)?;
            Ok(wanted)
        })
    }

    pub(super) fn apply(
        &self,
        target: Target<'_>,
        applied: &Value,
        options: &Options,
    ) -> Result<Done, Status> {
        let Target { kind, subresource, .. } = target;
        if applied["metadata"]["managedFields"].as_array().is_some_and(|fields| !fields.is_empty()) {
            return Err(Status::bad_request("metadata.managedFields must be nil"));
        }
        let mut applied = applied.clone();
        if !applied.is_object() {
            return Err(Status::bad_request("the object is not a JSON object"));
        }
        if meta::text(&applied, "name").is_empty() && !meta::text(&applied, "generateName").is_empty() {
            return Err(Status::bad_request(format!(
                "the name of the object ({} based on URL) was undeterminable: name must be provided",
                target.name
            )));
        }
        // What is left out stays out: it shows in messages, and nobody owns it.
        check_target(target, &mut applied.clone())?;
        let version = meta::of(&mut applied).remove("resourceVersion");
        let uid = meta::of(&mut applied).remove("uid");
        let creates = subresource.is_empty();
        let ignoring = Options { validation: Validation::Ignore, ..Options::default() };
        self.change(target, options, creates, &mut |live| {
            check_applied_uid(target, uid.as_ref(), live)?;
            let now = (self.clock)();
            let manager = apply::Manager::of(kind, subresource, &options.manager, now);
            let merged = apply::apply(&kind.schema, live, &applied, &manager, options.force)?;
            let mut wanted = Self::decode(kind, merged, &ignoring, false)?;
            wanted.owned = true;
            let metadata = meta::of(&mut wanted.object);
            match &version {
                Some(version) => metadata.insert("resourceVersion".into(), version.clone()),
                None => match live {
                    Some(live) => {
                        metadata.insert("resourceVersion".into(), live["metadata"]["resourceVersion"].clone())
                    }
                    None => metadata.remove("resourceVersion"),
                },
            };
            Ok(wanted)
        })
    }

    /// Refuses a Pod that asks for a service account that is not there. The default one may come later.
    fn check_account(&self, kind: &Kind, namespace: &str, pod: &Value) -> Result<(), Status> {
        let account = pod["spec"]["serviceAccountName"].as_str().unwrap_or_default();
        let resource = "serviceaccounts".into();
        let key = Key { resource, namespace: namespace.into(), name: account.into() };
        if matches!(account, "" | "default") || self.storage.get(&key).is_some() {
            return Ok(());
        }
        let because = format!(
            "error looking up service account {namespace}/{account}: serviceaccount {account:?} not found"
        );
        Err(forbidden(kind, meta::text(pod, "name"), &because))
    }

    /// Refuses what is new in a namespace that is not there, or that is going.
    fn check_namespace(&self, kind: &Kind, namespace: &str, name: &str) -> Result<(), Status> {
        if kind.scope == Scope::Cluster {
            return Ok(());
        }
        let key = Key { resource: "namespaces".into(), namespace: "".into(), name: namespace.into() };
        let Some(entry) = self.storage.get(&key) else {
            return Err(Status::not_found("namespaces", namespace));
        };
        let found: Value = serde_json::from_slice(&entry.json).unwrap_or_default();
        if !meta::is_deleting(&found) {
            return Ok(());
        }
        let because =
            format!("unable to create new content in namespace {namespace} because it is being terminated");
        let mut refused = forbidden(kind, name, &because);
        if let Some(details) = &mut refused.details {
            details["causes"] = json!([{
                "reason": "NamespaceTerminating",
                "message": format!("namespace {namespace} is being terminated"),
                "field": "metadata.namespace",
            }]);
        }
        Err(refused)
    }
}

/// 403, with the reason.
pub(super) fn forbidden(kind: &Kind, name: &str, because: &str) -> Status {
    let resource = &kind.resource;
    let message = if name.is_empty() {
        format!("{resource} is forbidden: {because}")
    } else {
        format!("{resource} {name:?} is forbidden: {because}")
    };
    Status::about(403, "Forbidden", resource, name, message)
}

fn strict(kind: &Kind, patched: Option<&Value>, unknown: &[String]) -> Status {
    let told = format!("strict decoding error: {}", validate::in_one(unknown));
    match patched {
        Some(patched) => unfit(patched, &told),
        None => Status::bad_request(validate::cannot_be_handled(kind, &told)),
    }
}

/// 422: what a patch comes to cannot be read.
fn unfit(patched: &Value, why: &str) -> Status {
    let cause = Cause {
        reason: "FieldValueInvalid",
        message: format!("Invalid value: {:?}: {why}", patched.to_string()),
        field: "patch".into(),
    };
    Status::invalid("", "", "", &[cause])
}

fn patched(kind: &Kind, live: &Value, patch: &Patch) -> Result<Value, Status> {
    match patch {
        Patch::Json(sent) => patch::json(live, sent),
        Patch::Merge(sent) => patch::check_merge(sent).map(|()| patch::merge(live, sent)),
        Patch::Strategic(sent) | Patch::Apply(sent) => patch::strategic(&kind.schema, live, sent),
    }
}

fn check_kind(kind: &Kind, object: &Value) -> Result<(), Status> {
    let (version, name) = (kind.gvk.api_version(), &kind.gvk.kind);
    let (told, called) =
        (object["apiVersion"].as_str().unwrap_or_default(), object["kind"].as_str().unwrap_or_default());
    if told == version && called == name {
        return Ok(());
    }
    let cause = |field: &str, told: &str, expected: &str| Cause {
        reason: "FieldValueInvalid",
        message: format!("Invalid value: {told:?}: must be {expected}"),
        field: field.into(),
    };
    let mut causes = Vec::new();
    if told != version {
        causes.push(cause("apiVersion", told, &version));
    }
    if called != name {
        causes.push(cause("kind", called, name));
    }
    Err(Status::invalid(&kind.gvk.group, name, meta::text(object, "name"), &causes))
}

/// Compares name and namespace of an object with those it is sent to; what is left out is filled in.
fn check_target(target: Target<'_>, object: &mut Value) -> Result<(), Status> {
    let name = meta::text(object, "name");
    if name.is_empty() {
        meta::of(object).insert("name".into(), target.name.into());
    } else if name != target.name {
        return Err(Status::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            target.name
        )));
    }
    check_same_namespace(target.namespace, object)
}

/// Compares the namespace of an object with the one it is sent to, and fills it in.
pub(super) fn check_same_namespace(expected: &str, object: &mut Value) -> Result<(), Status> {
    let namespace = meta::text(object, "namespace");
    if namespace.is_empty() {
        if !expected.is_empty() {
            meta::of(object).insert("namespace".into(), expected.into());
        }
        return Ok(());
    }
    if namespace == expected {
        return Ok(());
    }
    Err(Status::bad_request(
        "the namespace of the provided object does not match the namespace sent on the request",
    ))
}

fn check_uid(target: Target<'_>, object: &Value, live: Option<&Value>) -> Result<(), Status> {
    let Target { kind, namespace, name, .. } = target;
    let told = meta::text(object, "uid");
    let Some(live) = live else {
        if told.is_empty() {
            return Ok(());
        }
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: {}, ResourceVersion: 0, AdditionalErrorMsg: Precondition \
             failed: UID in precondition: {told}, UID in object meta: ",
            path(kind, namespace, name)
        );
        return Err(Status::conflict(&kind.resource, name, &why));
    };
    let uid = meta::text(live, "uid");
    if told.is_empty() || told == uid {
        return Ok(());
    }
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: {}, ResourceVersion: 0, AdditionalErrorMsg: Precondition \
         failed: UID in precondition: {told}, UID in object meta: {uid}",
        path(kind, namespace, name)
    );
    Err(Status::conflict(&kind.resource, name, &why))
}

fn path(kind: &Kind, namespace: &str, name: &str) -> String {
    let (plural, group) = kind.resource.split_once('.').unwrap_or((&kind.resource, ""));
    let group = if kind.custom.is_some() { format!("{group}/") } else { String::new() };
    let namespace = if namespace.is_empty() { String::new() } else { format!("{namespace}/") };
    format!("/registry/{group}{plural}/{namespace}{name}")
}

fn check_applied_uid(target: Target<'_>, told: Option<&Value>, live: Option<&Value>) -> Result<(), Status> {
    let told = told.and_then(Value::as_str).filter(|uid| !uid.is_empty());
    let Some(told) = told else { return Ok(()) };
    let why = match live {
        None => format!(
            "uid mismatch: the provided object specified uid {told}, and no existing object was found"
        ),
        Some(live) if meta::text(live, "uid") == told => return Ok(()),
        Some(live) => {
            let cause = Cause {
                reason: "FieldValueInvalid",
                message: format!("Invalid value: {told:?}: field is immutable"),
                field: "metadata.uid".into(),
            };
            let (group, kind) = (&target.kind.gvk.group, &target.kind.gvk.kind);
            return Err(Status::invalid(group, kind, meta::text(live, "name"), &[cause]));
        }
    };
    Err(Status::conflict(&target.kind.resource, target.name, &why))
}

/// Compares the version that a writer started from with that of the live object.
fn check_version(kind: &Kind, name: &str, object: &mut Value, live: &Value) -> Result<(), Status> {
    let current = meta::text(live, "resourceVersion").to_owned();
    match meta::text(object, "resourceVersion") {
        "" | "0" if validate::allows_unconditional_update(kind) => {
            meta::of(object).insert("resourceVersion".into(), current.into());
            Ok(())
        }
        "" | "0" => {
            let cause = Cause {
                reason: "FieldValueInvalid",
                message: "Invalid value: 0: must be specified for an update".into(),
                field: "metadata.resourceVersion".into(),
            };
            Err(Status::invalid(&kind.gvk.group, &kind.plural, name, &[cause]))
        }
        told if told.parse::<u64>().is_err() => {
            let cause = Cause {
                reason: "FieldValueInvalid",
                message: format!(
                    "Invalid value: {told:?}: strconv.ParseUint: parsing {told:?}: invalid syntax"
                ),
                field: "metadata.resourceVersion".into(),
            };
            Err(Status::invalid(&kind.gvk.group, &kind.gvk.kind, name, &[cause]))
        }
        told if told == current => Ok(()),
        _ => Err(Status::conflict(&kind.resource, name, MODIFIED)),
    }
}
