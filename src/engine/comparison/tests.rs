//! Joining and judging.

use serde_json::json;

use super::*;
use crate::engine::live::TRACKING_ANNOTATION;
use crate::engine::testing::{live, manifest, project, subject};
use crate::manifest::Manifest;

fn desired(rendered: Vec<Manifest>) -> Desired {
    desired::desired(&subject(), &project(), rendered, &|_| Some(crate::manifest::Scope::Namespaced))
}

fn comparison<'a>(desired: &'a Desired, objects: &[Live], verdict: &Verdict) -> Comparison<'a> {
    let objects: Vec<_> = objects.iter().cloned().map(Arc::new).collect();
    let find = |key: &Key| objects.iter().find(|live| live.key == *key).cloned();
    let pairs = pairs(&subject(), &project(), desired, &objects, &find);
    conclude(pairs, &|_| Finding::Compared(verdict.clone()))
}

#[test]
fn nothing_desired_and_nothing_live_is_synced_and_healthy() {
    let desired = Desired::default();
    let comparison = comparison(&desired, &[], &Verdict::Undecided);
    assert_eq!((comparison.sync, comparison.health), (SyncCode::Synced, HealthCode::Healthy));
}

#[test]
fn missing_objects_are_out_of_sync_and_missing() {
    let desired = desired(vec![manifest("Deployment", "web", &json!({}))]);
    let comparison = comparison(&desired, &[], &Verdict::Synced);
    assert_eq!((comparison.sync, comparison.health), (SyncCode::OutOfSync, HealthCode::Missing));
}

#[test]
fn leftovers_require_pruning_unless_they_are_extraneous() {
    let check = |annotations, expected| {
        let leftover = live(&manifest("ConfigMap", "old", &annotations), &json!({}));
        let desired = Desired::default();
        let comparison = comparison(&desired, &[leftover], &Verdict::Synced);
        assert!(comparison.resources[0].pair.requires_pruning());
        assert_eq!(comparison.sync, expected);
    };
    check(json!({}), SyncCode::OutOfSync);
    check(json!({"argocd.argoproj.io/compare-options": "IgnoreExtraneous"}), SyncCode::Synced);
}

#[test]
fn copies_and_hooks_are_not_leftovers() {
    let mut copy = manifest("ConfigMap", "copy", &json!({})).into_value();
    copy["metadata"]["annotations"] = json!({ TRACKING_ANNOTATION: "team_store:/ConfigMap:shop/original" });
    let copy = Live::from_json(&copy.to_string()).unwrap();
    let hook = live(&manifest("Job", "migrate", &json!({"argocd.argoproj.io/hook": "PreSync"})), &json!({}));
    let desired = Desired::default();
    assert!(comparison(&desired, &[copy, hook], &Verdict::Synced).resources.is_empty());
}

#[test]
fn an_object_of_another_application_is_named_as_shared() {
    let ours = manifest("ConfigMap", "settings", &json!({}));
    let mut theirs = live(&ours, &json!({}));
    theirs.tracking_id = Some("team_other:/ConfigMap:shop/settings".into());
    let desired = desired(vec![ours]);
    let comparison = comparison(&desired, &[theirs], &Verdict::Synced);
    assert_eq!(comparison.resources[0].pair.shared_with.as_deref(), Some("team/other"));
    assert_eq!(comparison.sync, SyncCode::OutOfSync);
}

#[test]
fn what_cannot_be_compared_is_unknown() {
    let ours = manifest("ConfigMap", "settings", &json!({}));
    let desired = desired(vec![ours.clone()]);
    assert_eq!(comparison(&desired, &[live(&ours, &json!({}))], &Verdict::Undecided).sync, SyncCode::Unknown);
}
