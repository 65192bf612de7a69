//! The home of a project: its namespace, and the service account that its applications are applied
//! with. Only made, never deleted: what people put into the namespace is not ours.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::Api;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::core::Status;

use super::{Error, MANAGER, Store};
use crate::api::names::DEPLOYER;
use crate::api::project::Project;

/// Label on what is made for a project; its value is the project's name.
const PROJECT_LABEL: &str = "gitops/project";

impl Store {
    /// Makes the namespace of `project` if there is none, and its service account. A namespace that
    /// exists is used as it is. Fails with [`Error::NamespaceDeleting`] while it is going away.
    pub async fn ensure_project_home(&self, project: &Project) -> Result<(), Error> {
        let name = project.metadata.name.as_deref().ok_or(Error::Nameless("metadata.name"))?;
        self.ensure_namespace(name).await?;
        self.ensure_deployer(name).await
    }

    async fn ensure_namespace(&self, project: &str) -> Result<(), Error> {
        let namespaces = Api::<Namespace>::all(self.client.clone());
        if let Some(namespace) = namespaces.get_opt(project).await.map_err(failed)? {
            let deleting = namespace.metadata.deletion_timestamp.is_some();
            return if deleting { Err(Error::NamespaceDeleting(project.into())) } else { Ok(()) };
        }
        let namespace = Namespace { metadata: labelled(project, project), ..Namespace::default() };
        match namespaces.create(&parameters(), &namespace).await {
            // Somebody else was faster; the next look sees whether theirs stays.
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
            made => made.map(|_| ()).map_err(failed),
        }
    }

    async fn ensure_deployer(&self, project: &str) -> Result<(), Error> {
        let accounts = Api::<ServiceAccount>::namespaced(self.client.clone(), project);
        let account = ServiceAccount { metadata: labelled(DEPLOYER, project), ..ServiceAccount::default() };
        let ours = PatchParams::apply(MANAGER).force();
        accounts.patch(DEPLOYER, &ours, &Patch::Apply(&account)).await.map(|_| ()).map_err(failed)
    }
}

fn labelled(name: &str, project: &str) -> ObjectMeta {
    let labels = BTreeMap::from([(PROJECT_LABEL.to_owned(), project.to_owned())]);
    ObjectMeta { name: Some(name.into()), labels: Some(labels), ..ObjectMeta::default() }
}

fn parameters() -> PostParams {
    PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() }
}

/// Tells an error of a typed request like one of ours.
pub(super) fn failed(error: kube::Error) -> Error {
    match error {
        kube::Error::Api(status) => Error::Refused(Box::new(told(&status))),
        other => Error::Unreachable(other),
    }
}

fn told(status: &Status) -> k8s_openapi::apimachinery::pkg::apis::meta::v1::Status {
    k8s_openapi::apimachinery::pkg::apis::meta::v1::Status {
        code: Some(status.code.into()),
        message: Some(status.message.clone()),
        reason: Some(status.reason.clone()),
        status: Some("Failure".into()),
        ..Default::default()
    }
}
