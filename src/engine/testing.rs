//! Small fixtures for the tests of this room.

use serde_json::{Value, json};

use super::live::Live;
use super::step::Propagation;
use super::subject::{Destination, IN_CLUSTER_NAME, IN_CLUSTER_SERVER, Subject, SyncOptions};
use super::tracking;
use crate::api::project::{KindPattern, ProjectDestination, ProjectSpec};
use crate::manifest::{Key, Manifest};

/// The application `store` of project `team`, which deploys to namespace `shop`.
pub(crate) fn subject() -> Subject {
    Subject {
        project: "team".into(),
        name: "store".into(),
        destination: Destination {
            server: IN_CLUSTER_SERVER.into(),
            name: IN_CLUSTER_NAME.into(),
            namespace: "shop".into(),
        },
        automated: None,
        options: SyncOptions { propagation: Propagation::Foreground, ..SyncOptions::default() },
        retry: None,
        history_limit: 10,
        namespace_metadata: None,
    }
}

/// A project that permits everything.
pub(crate) fn project() -> ProjectSpec {
    ProjectSpec {
        source_repos: vec!["*".into()],
        destinations: vec![ProjectDestination {
            server: Some("*".into()),
            name: None,
            namespace: Some("*".into()),
        }],
        cluster_resource_whitelist: vec![KindPattern {
            group: "*".into(),
            kind: "*".into(),
            ..Default::default()
        }],
        ..ProjectSpec::default()
    }
}

/// A manifest of a core kind in namespace `shop`.
pub(crate) fn manifest(kind: &str, name: &str, annotations: &Value) -> Manifest {
    let api_version = match kind {
        "Deployment" => "apps/v1",
        "Job" => "batch/v1",
        _ => "v1",
    };
    let metadata = json!({"name": name, "namespace": "shop", "annotations": annotations});
    Manifest::new(json!({"apiVersion": api_version, "kind": kind, "metadata": metadata})).unwrap()
}

/// `manifest` as it is live after `subject()` applied it, with `status`.
pub(crate) fn live(manifest: &Manifest, status: &Value) -> Live {
    let mut manifest = manifest.clone();
    let key: Key = manifest.key();
    manifest.set_label(super::live::APPLICATION_LABEL, &tracking::label_value("team", "store"));
    manifest.set_annotation(super::live::TRACKING_ANNOTATION, &tracking::id("team", "store", &key));
    let mut value = manifest.into_value();
    value["metadata"]["uid"] = format!("uid-of-{}", key.name).into();
    value["metadata"]["resourceVersion"] = "1".into();
    value["status"] = status.clone();
    Live::from_json(&value.to_string()).unwrap()
}
