//! The verbs on single objects, and on what is beneath them.

use bytes::Bytes;
use http::Method;
use serde_json::Value;
use serde_json::json;

use super::super::access;
use super::super::apply;
use super::super::kinds::Kind;
use super::super::objects::Done;
use super::super::objects::Objects;
use super::super::objects::Options;
use super::super::objects::Patch;
use super::super::objects::delete;
use super::super::objects::meta;
use super::super::objects::versions;
use super::super::status::Cause;
use super::super::status::Status;
use super::super::validate;
use super::Call;
use super::answer::Answer;
use super::answer::success;
use super::body;
use super::form;
use super::list;
use crate::manifest::Gvk;

impl Call {
    /// Does what `verb` says with what the path means.
    pub(super) fn act(&self, verb: &str, method: &Method, sent: &Bytes) -> Result<Answer, Status> {
        let mut answer = self.do_verb(verb, method, sent)?;
        answer.warnings.splice(0..0, self.deprecation());
        Ok(answer)
    }

    /// What is said to who still uses a version of a custom kind that its definition calls deprecated.
    fn deprecation(&self) -> Option<String> {
        let custom = self.kind.custom.as_ref().filter(|custom| custom["deprecated"] == true)?;
        if let Some(told) = custom["deprecationWarning"].as_str() {
            return Some(told.to_owned());
        }
        let gvk = &self.kind.gvk;
        let told = |gvk: &Gvk| format!("{} {}", gvk.api_version(), gvk.kind);
        let all = self.api.objects.kinds.all();
        let better = all.iter().find(|other| {
            other.resource == self.kind.resource
                && other.custom.as_ref().is_some_and(|custom| custom["deprecated"] != true)
        });
        let better = better.map(|other| format!("; use {}", told(&other.gvk))).unwrap_or_default();
        Some(format!("{} is deprecated{better}", told(gvk)))
    }

    fn do_verb(&self, verb: &str, method: &Method, sent: &Bytes) -> Result<Answer, Status> {
        let place = &self.place;
        if !place.subresource.is_empty() {
            return self.act_beneath(verb, sent);
        }
        match verb {
            "get" => self.get(),
            "list" => self.list(),
            "watch" => self.watch(),
            "create" => self.create(sent),
            "update" | "patch" if place.name.is_empty() => Err(Status::bad_request("name must be provided")),
            "update" => self.update(sent),
            "patch" => self.patch(sent),
            "delete" => self.delete(sent),
            "deletecollection" => self.delete_all(sent),
            _ => Err(self.not_allowed(&method.as_str().to_lowercase())),
        }
    }

    fn act_beneath(&self, verb: &str, sent: &Bytes) -> Result<Answer, Status> {
        let subresource = &*self.place.subresource;
        let known = self.kind.subresources.iter().find(|known| &*known.name == subresource);
        let Some(known) = known else {
            return Err(Status::not_found(&self.kind.resource, &self.place.name));
        };
        if !known.verbs.iter().any(|one| &**one == verb) {
            return Err(self.not_allowed(verb));
        }
        match (subresource, verb) {
            ("scale", "get") => {
                let scale = self.api.objects.scale(&self.kind, &self.place.namespace, &self.place.name)?;
                Ok(self.shaped(200, scale))
            }
            ("status" | "finalize" | "approval" | "ephemeralcontainers" | "resize", "get") => self.get(),
            ("status" | "scale" | "finalize" | "approval" | "ephemeralcontainers" | "resize", "update") => {
                self.update(sent)
            }
            ("status" | "scale" | "approval" | "ephemeralcontainers" | "resize", "patch") => self.patch(sent),
            ("token", "create") => self.token(sent),
            ("eviction", "create") => self.evict(sent),
            ("binding", "create") => self.bind(sent),
            _ => {
                let resource = &self.kind.resource;
                let message =
                    format!("{verb} of {resource}/{subresource} is not supported by this API server");
                Err(Status::new(501, "NotImplemented", message))
            }
        }
    }

    fn not_allowed(&self, verb: &str) -> Status {
        let resource = &self.kind.resource;
        let message = format!("{verb} is not supported on resources of kind \"{resource}\"");
        Status::about(405, "MethodNotAllowed", resource, "", message)
    }

    fn get(&self) -> Result<Answer, Status> {
        let told = list::parse_version(self.query.get("resourceVersion"))?;
        let current = self.api.objects.storage.version();
        if told > current {
            return Err(list::too_large(told, current));
        }
        let entry = self.api.objects.get(&self.kind, &self.place.namespace, &self.place.name)?;
        Ok(self.shaped(200, form::object(self, versions::read(&self.kind, &entry))?))
    }

    fn shaped(&self, code: u16, object: Value) -> Answer {
        Answer { yaml: self.accepted.yaml, ..Answer::json(code, object) }
    }

    fn done(&self, done: Done) -> Result<Answer, Status> {
        let code = if done.created { 201 } else { 200 };
        let warnings = done.warnings;
        let object = match &*self.place.subresource {
            "scale" => done.object,
            _ => form::object(self, done.object)?,
        };
        let mut answer = self.shaped(code, object);
        answer.warnings = warnings;
        Ok(answer)
    }

    /// Reads the object that is sent, of the kind that is expected here.
    fn sent(&self, bytes: &Bytes, expected: (&str, &str)) -> Result<Value, Status> {
        let (version, kind) = expected;
        let mut sent = body::parse(&self.headers, bytes).map_err(|status| match status.code {
            400 => body::unrecognized(kind, &status.message, bytes),
            _ => status,
        })?;
        if sent.is_null() {
            sent = json!({});
        }
        if !sent.is_object() {
            let why = format!(
                "couldn't get version/kind; json parse error: json: cannot unmarshal {} into Go value of type struct {{ \
                 APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }}",
                kind_of(&sent)
            );
            return Err(body::unrecognized(kind, &why, bytes));
        }
        let told = |sent: &Value, field: &str| sent[field].as_str().unwrap_or_default().to_owned();
        let (mut told_version, mut told_kind) = (told(&sent, "apiVersion"), told(&sent, "kind"));
        if self.kind.custom.is_none() {
            for (field, told, expected) in
                [("apiVersion", &mut told_version, version), ("kind", &mut told_kind, kind)]
            {
                if told.is_empty() {
                    sent[field] = expected.into();
                    *told = expected.into();
                }
            }
        }
        if told_kind.is_empty() || told_version.is_empty() {
            let missing = if told_kind.is_empty() { "Kind" } else { "apiVersion" };
            let text = String::from_utf8_lossy(bytes);
            return Err(Status::bad_request(format!(
                "the object provided is unrecognized (must be of type {kind}): Object '{missing}' is missing in '{text}'"
            )));
        }
        if told_version.matches('/').count() > 1 {
            let why = format!("unexpected GroupVersion string: {told_version}");
            return Err(body::unrecognized(kind, &why, bytes));
        }
        if told_version != version && self.kind.custom.is_none() && self.place.subresource.is_empty() {
            let why = body::unregistered(&told_kind, &told_version);
            let short = told_version.rsplit('/').next().unwrap_or_default();
            return Err(Status::bad_request(format!(
                "{told_kind} in version {short:?} cannot be handled as a {kind}: {why}"
            )));
        }
        if told_version != version {
            return Err(Status::bad_request(format!(
                "the API version in the data ({told_version}) does not match the expected API version ({version})"
            )));
        }
        if told_kind == kind {
            return Ok(sent);
        }
        if self.kind.custom.is_some() {
            let cause = Cause {
                reason: "FieldValueInvalid",
                message: format!("Invalid value: {told_kind:?}: must be {kind}"),
                field: "kind".into(),
            };
            let name = meta::text(&sent, "name").to_owned();
            return Err(Status::invalid(&self.kind.gvk.group, &told_kind, &name, &[cause]));
        }
        let short = &self.kind.gvk.version;
        let group = form::go_group(&self.kind);
        Err(Status::bad_request(format!(
            "{told_kind} in version {short:?} cannot be handled as a {kind}: converting ({version}.{told_kind}) to \
             ({group}.{kind}): unknown conversion"
        )))
    }

    fn sent_object(&self, bytes: &Bytes) -> Result<Value, Status> {
        let gvk = &self.kind.gvk;
        if self.place.subresource == "scale" {
            return self.sent(bytes, ("autoscaling/v1", "Scale"));
        }
        self.sent(bytes, (&gvk.api_version(), &gvk.kind))
    }

    fn create(&self, bytes: &Bytes) -> Result<Answer, Status> {
        if self.is_review() {
            return self.review(bytes);
        }
        if self.is_namespaced() && self.place.namespace.is_empty() {
            return Err(self.not_allowed("create"));
        }
        let options = self.query.options("CreateOptions", &self.headers, bytes, false)?;
        let sent = self.sent_object(bytes)?;
        let create = |sent: Value, options: &Options| {
            self.api.objects.create(&self.kind, &self.place.namespace, sent, options)
        };
        self.guard(&options, &|options| create(sent.clone(), options))?;
        let done = create(sent, &options)?;
        self.done(done)
    }

    fn is_namespaced(&self) -> bool {
        self.kind.scope == crate::manifest::Scope::Namespaced
    }

    /// Kinds that are questions rather than objects.
    fn is_review(&self) -> bool {
        matches!(&*self.kind.gvk.group, "authentication.k8s.io" | "authorization.k8s.io")
            && self.kind.custom.is_none()
    }

    fn review(&self, bytes: &Bytes) -> Result<Answer, Status> {
        let options = self.query.options("CreateOptions", &self.headers, bytes, false)?;
        let sent = self.sent_object(bytes)?;
        let mut body = Objects::decoded(&self.kind, sent, &options)?;
        if self.is_namespaced() {
            meta::of(&mut body).insert("namespace".into(), self.place.namespace.clone().into());
            if body["spec"]["resourceAttributes"].is_object()
                && body["spec"]["resourceAttributes"]["namespace"].as_str().is_none_or(str::is_empty)
            {
                body["spec"]["resourceAttributes"]["namespace"] = self.place.namespace.clone().into();
            }
        }
        let mut owned = body.clone();
        let now = (self.api.objects.clock)();
        let manager = apply::Manager { name: &options.manager, subresource: "", now, ignored: &[] };
        apply::update(&self.kind.schema, None, &mut owned, &manager);
        // Reviews that only tell are not taken for objects.
        let owned = match &*self.kind.gvk.kind {
            "SelfSubjectReview" | "SelfSubjectRulesReview" => None,
            _ => owned["metadata"].get("managedFields").cloned(),
        };
        let answered = self.api.access.review(&self.kind.gvk.kind, &body, &self.user);
        let mut answered = answered.unwrap_or_else(|| Err(self.not_allowed("create")))?;
        if let Some(owned) = owned {
            meta::of(&mut answered).insert("managedFields".into(), owned);
        }
        Ok(self.shaped(201, answered))
    }

    fn update(&self, bytes: &Bytes) -> Result<Answer, Status> {
        let options = self.query.options("UpdateOptions", &self.headers, bytes, false)?;
        let sent = self.sent_object(bytes)?;
        let place = &self.place;
        if meta::text(&sent, "name").is_empty() {
            return Err(Status::bad_request(format!(
                "the name of the object ({} based on URL) was undeterminable: name must be provided",
                place.name
            )));
        }
        let target = (&*place.namespace, &*place.name, &*place.subresource);
        if self.api.objects.get(&self.kind, target.0, target.1).is_err() {
            self.check_creation(validate::allows_create_on_update(&self.kind))?;
        }
        self.guard(&options, &|options| self.api.objects.update(&self.kind, target, sent.clone(), options))?;
        let done = self.api.objects.update(&self.kind, target, sent, &options)?;
        self.done(done)
    }

    fn patch(&self, bytes: &Bytes) -> Result<Answer, Status> {
        const JSON: &str = "application/json-patch+json";
        const MERGE: &str = "application/merge-patch+json";
        const STRATEGIC: &str = "application/strategic-merge-patch+json";
        const APPLY: &str = "application/apply-patch+yaml";
        let media = body::media(&self.headers);
        let (known, builtin): (&[&str], bool) = match self.kind.custom {
            None => (&[JSON, MERGE, STRATEGIC, APPLY], true),
            Some(_) => (&[JSON, MERGE, APPLY], false),
        };
        let value = |bytes: &Bytes| {
            serde_json::from_slice::<Value>(bytes).map_err(|_| Status::bad_request("invalid JSON patch"))
        };
        let patch = match media {
            JSON => Patch::Json(value(bytes)?),
            MERGE => Patch::Merge(value(bytes)?),
            STRATEGIC if builtin => Patch::Strategic(value(bytes)?),
            APPLY => Patch::Apply(applied(bytes)?),
            _ if builtin => return Err(body::unsupported_patch()),
            _ => return Err(body::unsupported(known)),
        };
        let applies = matches!(patch, Patch::Apply(_));
        if let Patch::Json(Value::Array(operations)) = &patch
            && operations.len() > 10_000
        {
            let message =
                format!("The allowed maximum operations in a JSON patch is 10000, got {}", operations.len());
            return Err(Status::new(
                413,
                "RequestEntityTooLarge",
                format!("Request entity too large: {message}"),
            ));
        }
        let options = self.query.options("PatchOptions", &self.headers, bytes, applies)?;
        if let Patch::Apply(applied) = &patch {
            self.check_applied(applied)?;
        }
        let place = &self.place;
        let target = (&*place.namespace, &*place.name, &*place.subresource);
        if self.api.objects.get(&self.kind, target.0, target.1).is_err() {
            self.check_creation(applies)?;
        }
        self.guard(&options, &|options| self.api.objects.patch(&self.kind, target, &patch, options))?;
        let done = self.api.objects.patch(&self.kind, target, &patch, &options)?;
        self.done(done)
    }

    fn check_applied(&self, applied: &Value) -> Result<(), Status> {
        let gvk = &self.kind.gvk;
        let expected = match &*self.place.subresource {
            "scale" => ("autoscaling/v1".to_owned(), "Scale"),
            _ => (gvk.api_version(), &*gvk.kind),
        };
        let (version, kind) = (
            applied["apiVersion"].as_str().unwrap_or_default(),
            applied["kind"].as_str().unwrap_or_default(),
        );
        if (version, kind) == (&*expected.0, expected.1) {
            return Ok(());
        }
        Err(Status::bad_request(format!(
            "invalid object type: {}, Kind={kind}",
            match version.split_once('/') {
                Some((group, version)) => format!("{group}/{version}"),
                None => format!("/{version}"),
            }
        )))
    }

    /// Whoever creates an object by an update must be allowed to.
    fn check_creation(&self, creates: bool) -> Result<(), Status> {
        if creates && self.place.subresource.is_empty() {
            self.api.access.authorize(&self.user, &self.place.attributes("create"))?;
        }
        Ok(())
    }

    /// Nobody gives away rights that they do not have: looks at what a write would come to.
    fn guard(
        &self,
        options: &Options,
        attempt: &dyn Fn(&Options) -> Result<Done, Status>,
    ) -> Result<(), Status> {
        if self.kind.gvk.group != "rbac.authorization.k8s.io" || self.user.is_in(access::MASTERS) {
            return Ok(());
        }
        let place = &self.place;
        let before = self.api.objects.get(&self.kind, &place.namespace, &place.name).ok();
        let before = before.map(|entry| versions::read(&self.kind, &entry));
        let after = attempt(&Options { dry_run: true, ..options.clone() })?.object;
        let resource = &self.kind.resource;
        self.api.access.guard(&self.user, resource, &place.namespace, before.as_ref(), &after)
    }

    fn deletion_body(&self, bytes: &Bytes) -> Result<Option<Value>, Status> {
        if bytes.is_empty() {
            return Ok(None);
        }
        Ok(Some(body::parse(&self.headers, bytes)?))
    }

    fn delete(&self, bytes: &Bytes) -> Result<Answer, Status> {
        let deletion = self.query.deletion(self.deletion_body(bytes)?.as_ref())?;
        let place = &self.place;
        let done = self.api.objects.delete(&self.kind, &place.namespace, &place.name, &deletion)?;
        let mut answer = if done.gone && !delete::answers_object(&self.kind) {
            Answer::json(200, success(Some(details(&self.kind, &done.object))))
        } else {
            self.shaped(200, form::object(self, done.object)?)
        };
        answer.warnings = done.warnings;
        Ok(answer)
    }

    fn delete_all(&self, bytes: &Bytes) -> Result<Answer, Status> {
        if self.is_namespaced() && self.place.namespace.is_empty() {
            return Err(self.not_allowed("deletecollection"));
        }
        let deletion = self.query.deletion(self.deletion_body(bytes)?.as_ref())?;
        let selector = self.selector()?;
        let namespace = Some(&*self.place.namespace).filter(|namespace| !namespace.is_empty());
        let items = self.api.objects.delete_all(
            &self.kind,
            namespace,
            &|object| selector.picks(object),
            &deletion,
        )?;
        let gvk = &self.kind.gvk;
        let bare = |mut item: Value| {
            if let Some(fields) = item.as_object_mut().filter(|_| self.kind.custom.is_none()) {
                fields.shift_remove("apiVersion");
                fields.shift_remove("kind");
            }
            item
        };
        let items: Vec<_> = items.into_iter().map(bare).collect();
        let mut list = json!({
            "kind": format!("{}List", gvk.kind), "apiVersion": gvk.api_version(),
            "metadata": {"resourceVersion": self.api.objects.storage.version().to_string()},
            "items": items,
        });
        if self.kind.custom.is_some() {
            list["metadata"]["continue"] = "".into();
        }
        Ok(self.shaped(200, list))
    }

    fn token(&self, bytes: &Bytes) -> Result<Answer, Status> {
        let request = self.sent(bytes, ("authentication.k8s.io/v1", "TokenRequest"))?;
        let place = &self.place;
        let answered = self.api.access.request_token(&place.namespace, &place.name, &request)?;
        Ok(self.shaped(201, answered))
    }

    fn evict(&self, bytes: &Bytes) -> Result<Answer, Status> {
        let eviction = self.sent(bytes, ("policy/v1", "Eviction"))?;
        let deletion = self.query.deletion(Some(&json!({})))?;
        let asked = &eviction["deleteOptions"];
        let asked = if asked.is_object() { self.query.deletion(Some(asked))? } else { deletion };
        let place = &self.place;
        self.api.objects.evict(&self.kind, (&place.namespace, &place.name), &asked)?;
        Ok(Answer::json(201, created()))
    }

    fn bind(&self, bytes: &Bytes) -> Result<Answer, Status> {
        let options = self.query.options("CreateOptions", &self.headers, bytes, false)?;
        let binding = self.sent(bytes, ("v1", "Binding"))?;
        let Some(node) = binding["target"]["name"].as_str().filter(|name| !name.is_empty()) else {
            return Err(Status::bad_request("target.name: Required value"));
        };
        let place = &self.place;
        self.api.objects.bind(&self.kind, (&place.namespace, &place.name), node, &options)?;
        Ok(Answer::json(201, created()))
    }
}

/// Reads what is applied.
fn applied(bytes: &Bytes) -> Result<Value, Status> {
    let applied = body::yaml(bytes)
        .map_err(|status| Status::bad_request(format!("error encoding patch: {}", status.message)))?;
    if applied.is_object() {
        return Ok(applied);
    }
    Err(Status::bad_request(format!(
        "error decoding patch: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {} into Go value \
         of type map[string]interface {{}}",
        kind_of(&applied)
    )))
}

/// A `Status` that tells that something was done that leaves no object.
fn created() -> Value {
    let mut status = success(None);
    status["code"] = 201.into();
    status
}

fn details(kind: &Kind, object: &Value) -> Value {
    let (plural, group) = kind.resource.split_once('.').unwrap_or((&kind.resource, ""));
    let mut details = json!({"name": meta::text(object, "name")});
    if !group.is_empty() {
        details["group"] = group.into();
    }
    details["kind"] = plural.into();
    details["uid"] = meta::text(object, "uid").into();
    details
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Bool(_) => "bool",
        _ => "null",
    }
}
