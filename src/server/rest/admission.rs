//! What is asked of an object before it is stored, beyond its schema: the project is the namespace,
//! the spec makes sense, and whoever writes what has a right of its own has that right.

use bytes::Bytes;
use serde_json::Value;

use super::body::{Form, Written};
use super::claims::Claims;
use super::{Rest, edit};
use crate::api::application::{self, Application};
use crate::api::project::Project;
use crate::api::{FieldError, names, policy};
use crate::server::authentication::User;
use crate::server::authorization::Access;
use crate::server::failure::{Failure, Subject, cause};
use crate::server::request::{PathFamily, RequestInfo, Resource, Subresource, Verb};
use crate::store;

impl Rest {
    /// Refuses what must not be stored, and returns the body with what clients may leave out.
    pub(super) async fn admit(
        &self,
        info: &RequestInfo,
        user: &User,
        written: Written,
    ) -> Result<Bytes, Failure> {
        let Written { form, json } = written;
        // What is no JSON is left to kube-apiserver, whose complaints clients know.
        let Ok(body) = serde_json::from_slice::<Value>(&json) else { return Ok(json) };
        not_a_stored_name(&body)?;
        if form == Form::Apply && info.subresource.is_none() {
            self.may_create_by_applying(info, user).await?;
        }
        if info.subresource == Some(Subresource::Status) {
            return Ok(json);
        }
        judge(info, form, &body)?;
        if info.resource == Resource::Applications {
            self.may_claim(info, user, form, &body).await?;
        }
        self.complete(info, form, &body, json).await
    }

    /// Applying what does not exist creates it.
    async fn may_create_by_applying(&self, info: &RequestInfo, user: &User) -> Result<(), Failure> {
        let create = access(info, Access::to(Verb::Create, info.resource)).into();
        let Err(refused) = self.authorizer.check(user, &create).await else { return Ok(()) };
        if self.exists(info).await? { Ok(()) } else { Err(refused) }
    }

    async fn exists(&self, info: &RequestInfo) -> Result<bool, Failure> {
        let name = info.name.as_deref().unwrap_or_default();
        let found = match &info.namespace {
            Some(namespace) => self.store.application(namespace, name).await.map(|_| ()),
            None => self.store.project(name).await.map(|_| ()),
        };
        match found {
            Ok(()) => Ok(true),
            Err(store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn may_claim(
        &self,
        info: &RequestInfo,
        user: &User,
        form: Form,
        body: &Value,
    ) -> Result<(), Failure> {
        let claims = Claims::of(form, body);
        let stored = if claims.need_the_stored() { self.stored(info).await? } else { None };
        for subresource in claims.exceeding(stored.as_ref()) {
            let access = access(info, Access::to(Verb::Create, info.resource)).subresource(subresource);
            self.authorizer.check(user, &access.into()).await?;
        }
        Ok(())
    }

    /// Reads the application that is written, if there is one.
    async fn stored(&self, info: &RequestInfo) -> Result<Option<Application>, Failure> {
        let (Some(namespace), Some(name)) = (&info.namespace, &info.name) else { return Ok(None) };
        match self.store.application(namespace, name).await {
            Ok(app) => Ok(Some(app)),
            Err(store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Fills in what clients may leave out. A patch says what to change and stays as it is, but where it
    /// takes the project away: that is how `kubectl apply` leaves out what was written before.
    async fn complete(
        &self,
        info: &RequestInfo,
        form: Form,
        body: &Value,
        json: Bytes,
    ) -> Result<Bytes, Failure> {
        let Ok(text) = std::str::from_utf8(&json) else { return Ok(json) };
        let mut text = text.to_owned();
        let project = body["spec"].get("project");
        let left_out = project.is_none_or(|project| project.is_null() || project == "");
        let to_fill_in = match form {
            Form::Object | Form::Apply => left_out,
            Form::Merge => left_out && project.is_some(),
            Form::JsonPatch => false,
        };
        if let Some(namespace) = info.namespace.as_deref().filter(|_| to_fill_in) {
            let namespace = Value::from(namespace).to_string();
            text = edit::set(&text, &["spec", "project"], &namespace).unwrap_or(text);
        }
        if info.family == PathFamily::Project && info.verb == Verb::Update {
            text = self.with_resource_version(info, body, text).await?;
        }
        Ok(text.into())
    }

    /// The reference's PUT knows no resource version. Without one it replaces what is there now, and
    /// fails if somebody else writes between; with one it is as strict as the canonical path.
    async fn with_resource_version(
        &self,
        info: &RequestInfo,
        body: &Value,
        text: String,
    ) -> Result<String, Failure> {
        let given = &body["metadata"]["resourceVersion"];
        if !(given.is_null() || given == "") {
            return Ok(text);
        }
        let stored = self.stored(info).await?.and_then(|app| app.metadata.resource_version);
        let Some(version) = stored else { return Ok(text) };
        let version = Value::from(version).to_string();
        Ok(edit::set(&text, &["metadata", "resourceVersion"], &version).unwrap_or(text))
    }
}

fn access(info: &RequestInfo, access: Access) -> Access {
    access.namespace(info.namespace.clone().unwrap_or_default()).name(info.name.clone().unwrap_or_default())
}

/// The stored objects cannot be addressed through us.
fn not_a_stored_name(body: &Value) -> Result<(), Failure> {
    match body["apiVersion"].as_str() {
        Some(version) if version.starts_with(names::STORAGE_GROUP) => Err(Failure::bad_request(format!(
            "the API version in the data ({version}) does not match the expected API version ({})",
            names::API_VERSION
        ))),
        _ => Ok(()),
    }
}

/// Judges what a body shows of a spec. What cannot be read is left to the schema, which says why.
fn judge(info: &RequestInfo, form: Form, body: &Value) -> Result<(), Failure> {
    let namespace = info.namespace.as_deref().unwrap_or_default();
    let findings = match (form, info.resource) {
        (Form::Object, Resource::Applications) => application_findings(body, namespace),
        (Form::Apply, Resource::Applications) if is_whole(body) => application_findings(body, namespace),
        (Form::Apply | Form::Merge, Resource::Applications) => {
            project_findings(&body["spec"]["project"], namespace)
        }
        (Form::JsonPatch, Resource::Applications) => patch_findings(body, namespace),
        (Form::Object | Form::Apply, Resource::Projects) => {
            let project = serde_json::from_value::<Project>(body.clone());
            project.map_or_else(|_| Vec::new(), |project| policy::validate(&project.spec))
        }
        (Form::Merge | Form::JsonPatch, Resource::Projects) => Vec::new(),
    };
    if findings.is_empty() {
        return Ok(());
    }
    let name = info.name.as_deref().or(body["metadata"]["name"].as_str()).unwrap_or_default();
    let causes =
        findings.into_iter().map(|FieldError { field, message }| cause("FieldValueInvalid", &field, message));
    Err(Failure::invalid(Subject::kind(info.resource), name, causes.collect()))
}

fn application_findings(body: &Value, namespace: &str) -> Vec<FieldError> {
    let mut body = body.clone();
    if let Some(spec) = body.get_mut("spec").and_then(Value::as_object_mut) {
        spec.entry("project").or_insert_with(|| namespace.into());
    }
    let app = serde_json::from_value::<Application>(body);
    app.map_or_else(|_| Vec::new(), |app| application::validate(&app.spec, namespace))
}

/// Says whether an applied body states a spec on its own, rather than what one manager adds to it.
fn is_whole(body: &Value) -> bool {
    let spec = &body["spec"];
    let sourced = ["source", "sources", "sourceHydrator"].into_iter().any(|field| spec.get(field).is_some());
    sourced && spec.get("destination").is_some()
}

fn project_findings(project: &Value, namespace: &str) -> Vec<FieldError> {
    match project.as_str() {
        Some(project) if !project.is_empty() && project != namespace => vec![FieldError::new(
            "spec.project",
            format!("is '{project}', but the project is the namespace: leave it out or write '{namespace}'"),
        )],
        _ => Vec::new(),
    }
}

fn patch_findings(patch: &Value, namespace: &str) -> Vec<FieldError> {
    let operations = patch.as_array().into_iter().flatten();
    operations
        .filter(|operation| operation["op"] != "test")
        .flat_map(|operation| match operation["path"].as_str() {
            Some("/spec/project") => project_findings(&operation["value"], namespace),
            Some("/spec") => project_findings(&operation["value"]["project"], namespace),
            Some("") => project_findings(&operation["value"]["spec"]["project"], namespace),
            _ => Vec::new(),
        })
        .collect()
}
