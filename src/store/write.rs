//! Writes to our own objects. Each is conditional on the state that the writer has seen: kube-apiserver
//! refuses it where the object has changed, and then the newest state is asked again.

use http::Method;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use serde_json::{Value, json};

use super::forward::Place;
use super::request::Commit;
use super::stored::Kept;
use super::{Error, MANAGER, Store, get, send, uid};
use crate::api::application::{Application, ApplicationStatus, Operation};
use crate::api::project::{Project, ProjectStatus};

const JSON_PATCH: &str = "application/json-patch+json";
/// How often a write is tried on a newer state before it is given up.
const TRIES: usize = 8;
/// What kube-apiserver answers where a test of a JSON patch fails, or a path is missing.
const PATCH_DOES_NOT_FIT: &str = "the server rejected our request due to an error in our request";

/// What became of a conditional change.
pub(super) enum Revised<T> {
    /// The object as it was written.
    Written(T),
    /// The object as it was found: there was nothing to change.
    Left(T),
}

impl<T> Revised<T> {
    pub(super) fn object(self) -> T {
        match self {
            Self::Written(object) | Self::Left(object) => object,
        }
    }

    fn written(self) -> Option<T> {
        match self {
            Self::Written(object) => Some(object),
            Self::Left(_) => None,
        }
    }
}

impl Store {
    /// Reads an application.
    pub async fn application(&self, namespace: &str, name: &str) -> Result<Application, Error> {
        self.read(&Place::application(namespace, name)).await
    }

    /// Reads a project.
    pub async fn project(&self, name: &str) -> Result<Project, Error> {
        self.read(&Place::project(name)).await
    }

    /// Replaces the status of `app` and returns the object as it is stored then. Fails with
    /// [`Error::NotFound`] where the application is gone or was made anew.
    pub async fn write_status(
        &self,
        app: &Application,
        status: &ApplicationStatus,
    ) -> Result<Application, Error> {
        self.replace_status(app, &place(app)?, status).await
    }

    /// Replaces the status of `project`, as [`Store::write_status`] does.
    pub async fn write_project_status(
        &self,
        project: &Project,
        status: &ProjectStatus,
    ) -> Result<Project, Error> {
        self.replace_status(project, &place(project)?, status).await
    }

    /// Removes the operation from `app` if it still is `operation`. `None`: another one stands there, or
    /// none any more.
    pub async fn remove_operation(
        &self,
        app: &Application,
        operation: &Operation,
    ) -> Result<Option<Application>, Error> {
        let change = |app: &Application| {
            let same = app.operation.as_ref() == Some(operation);
            Ok::<_, Error>(if same {
                vec![json!({"op": "remove", "path": "/operation"})]
            } else {
                Vec::new()
            })
        };
        Ok(self.revise(app.clone(), Commit::Store, change).await?.written())
    }

    /// Removes the annotations that ask for a refresh if they still are those that `app` shows. `None`:
    /// there are none, or a request was made meanwhile and stays.
    pub async fn clear_refresh(&self, app: &Application) -> Result<Option<Application>, Error> {
        let seen = refresh_annotations(&app.metadata);
        let change = |app: &Application| {
            let now = refresh_annotations(&app.metadata);
            let operations = if now == seen { now } else { Vec::new() };
            Ok::<_, Error>(operations.into_iter().map(|(key, _)| remove_annotation(key)).collect())
        };
        Ok(self.revise(app.clone(), Commit::Store, change).await?.written())
    }

    /// Removes a finalizer from `app`. The last one of an application that is being deleted ends it.
    /// `None`: it does not have it, or is gone.
    pub async fn remove_finalizer(
        &self,
        app: &Application,
        name: &str,
    ) -> Result<Option<Application>, Error> {
        self.drop_finalizer(app, name).await
    }

    /// Removes a finalizer from `project`, as [`Store::remove_finalizer`] does.
    pub async fn remove_project_finalizer(
        &self,
        project: &Project,
        name: &str,
    ) -> Result<Option<Project>, Error> {
        self.drop_finalizer(project, name).await
    }

    /// Adds a finalizer to `project` unless it has it.
    pub async fn add_project_finalizer(&self, project: &Project, name: &str) -> Result<Project, Error> {
        let change = |project: &Project| Ok::<_, Error>(with_finalizer(&project.metadata, name));
        Ok(self.revise(project.clone(), Commit::Store, change).await?.object())
    }

    async fn drop_finalizer<T: Kept>(&self, object: &T, name: &str) -> Result<Option<T>, Error> {
        let change = |object: &T| Ok(without_finalizer(object.metadata(), name));
        match self.revise(object.clone(), Commit::Store, change).await {
            Err(Error::NotFound { .. }) => Ok(None),
            revised => Ok(revised?.written()),
        }
    }

    async fn replace_status<T: Kept, S: Serialize>(
        &self,
        object: &T,
        place: &Place,
        status: &S,
    ) -> Result<T, Error> {
        let operations = json!([
            {"op": "test", "path": "/metadata/uid", "value": uid::flip(uid_of(object)?)},
            {"op": "add", "path": "/status", "value": status},
        ]);
        let path = format!("{}?fieldManager={MANAGER}", place.clone().status().path());
        let answer = self.call(send(Method::PATCH, &path, JSON_PATCH, &operations)?).await;
        answer.map_err(|error| if does_not_fit(&error) { gone(place) } else { missing(error, place) })
    }

    /// Writes the operations that `change` returns for the state `seen`, or for the newest state where
    /// the object has changed since. No operations: the object stays as it is.
    pub(super) async fn revise<T: Kept, E: From<Error>>(
        &self,
        seen: T,
        commit: Commit,
        change: impl Fn(&T) -> Result<Vec<Value>, E>,
    ) -> Result<Revised<T>, E> {
        // Objects are some kilobytes each, and the loop holds several: too much for callers' futures.
        Box::pin(self.revise_until_it_fits(seen, commit, change)).await
    }

    async fn revise_until_it_fits<T: Kept, E: From<Error>>(
        &self,
        seen: T,
        commit: Commit,
        change: impl Fn(&T) -> Result<Vec<Value>, E>,
    ) -> Result<Revised<T>, E> {
        let place = place(&seen)?;
        let path = format!("{}?fieldManager={MANAGER}{}", place.path(), commit.query());
        let mut current = seen;
        for _ in 0..TRIES {
            let operations = change(&current)?;
            if operations.is_empty() {
                return Ok(Revised::Left(current));
            }
            let conditional = on_state_of(current.metadata(), operations)?;
            match self.call(send(Method::PATCH, &path, JSON_PATCH, &conditional)?).await {
                Err(error) if does_not_fit(&error) || is_conflict(&error) => {
                    current = self.newest(&place, &current).await?;
                }
                answer => {
                    let written = answer.map_err(|error| missing(error, &place))?;
                    return Ok(Revised::Written(written));
                }
            }
        }
        Err(Error::Contended { kind: place.kind, name: place.name.unwrap_or_default() }.into())
    }

    /// Reads the state of the same object; one that was made anew under its name is another.
    async fn newest<T: Kept>(&self, place: &Place, seen: &T) -> Result<T, Error> {
        let newest: T = self.read(place).await?;
        if newest.metadata().uid == seen.metadata().uid { Ok(newest) } else { Err(gone(place)) }
    }

    pub(super) async fn read<T: Kept>(&self, place: &Place) -> Result<T, Error> {
        self.call(get(&place.path())?).await.map_err(|error| missing(error, place))
    }
}

/// Lets a patch fit only the state that was seen. The UID is tested in its stored form.
fn on_state_of(metadata: &ObjectMeta, operations: Vec<Value>) -> Result<Vec<Value>, Error> {
    let version = metadata.resource_version.as_deref().ok_or(Error::Nameless("metadata.resourceVersion"))?;
    let uid = metadata.uid.as_deref().ok_or(Error::Nameless("metadata.uid"))?;
    let mut patch = vec![
        json!({"op": "test", "path": "/metadata/uid", "value": uid::flip(uid)}),
        json!({"op": "test", "path": "/metadata/resourceVersion", "value": version}),
    ];
    patch.extend(operations);
    Ok(patch)
}

fn place<T: Kept>(object: &T) -> Result<Place, Error> {
    let ObjectMeta { name, namespace, .. } = object.metadata();
    let name = name.clone().ok_or(Error::Nameless("metadata.name"))?;
    Ok(Place {
        kind: T::WHICH,
        namespace: namespace.clone(),
        name: Some(name),
        part: super::forward::Part::Whole,
    })
}

fn uid_of<T: Kept>(object: &T) -> Result<&str, Error> {
    object.metadata().uid.as_deref().ok_or(Error::Nameless("metadata.uid"))
}

fn gone(place: &Place) -> Error {
    Error::NotFound { kind: place.kind, name: place.name.clone().unwrap_or_default() }
}

/// Tells a 404 like the absence it is.
fn missing(error: Error, place: &Place) -> Error {
    match error {
        Error::Refused(status) if status.reason.as_deref() == Some("NotFound") => gone(place),
        other => other,
    }
}

fn does_not_fit(error: &Error) -> bool {
    matches!(error, Error::Refused(status)
        if status.code == Some(422) && status.message.as_deref() == Some(PATCH_DOES_NOT_FIT))
}

fn is_conflict(error: &Error) -> bool {
    matches!(error, Error::Refused(status) if status.reason.as_deref() == Some("Conflict"))
}

fn refresh_annotations(metadata: &ObjectMeta) -> Vec<(&str, &str)> {
    let annotations = metadata.annotations.iter().flatten();
    annotations
        .filter(|(key, _)| super::request::REFRESH_ANNOTATIONS.contains(&key.as_str()))
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect()
}

fn remove_annotation(key: &str) -> Value {
    json!({"op": "remove", "path": annotation_path(key)})
}

/// Returns the JSON pointer of an annotation.
pub(super) fn annotation_path(key: &str) -> String {
    format!("/metadata/annotations/{}", key.replace('~', "~0").replace('/', "~1"))
}

fn without_finalizer(metadata: &ObjectMeta, name: &str) -> Vec<Value> {
    let finalizers = metadata.finalizers.as_deref().unwrap_or_default();
    let kept: Vec<&String> = finalizers.iter().filter(|finalizer| *finalizer != name).collect();
    if kept.len() == finalizers.len() {
        return Vec::new();
    }
    vec![json!({"op": "replace", "path": "/metadata/finalizers", "value": kept})]
}

fn with_finalizer(metadata: &ObjectMeta, name: &str) -> Vec<Value> {
    let mut finalizers = metadata.finalizers.clone().unwrap_or_default();
    if finalizers.iter().any(|finalizer| finalizer == name) {
        return Vec::new();
    }
    finalizers.push(name.to_owned());
    vec![json!({"op": "add", "path": "/metadata/finalizers", "value": finalizers})]
}
