//! Operations played through against a small make-believe cluster.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::api::application::{SyncOperation, SyncStrategy, SyncStrategyApply};
use crate::engine::compare::Verdict;
use crate::engine::comparison::{Finding, conclude, pairs};
use crate::engine::desired::{Desired, desired};
use crate::engine::step::{Done, Failure, Outcome, Reason};
use crate::engine::subject::{Subject, SyncOptions};
use crate::engine::testing::{live, manifest, project, subject};
use crate::manifest::Manifest;
use crate::manifest::Scope;

/// A cluster in which every write succeeds at once, unless it is told otherwise.
#[derive(Default)]
struct World {
    objects: BTreeMap<Key, Arc<Live>>,
    /// Status that objects of a name get.
    statuses: BTreeMap<&'static str, Value>,
    /// Objects that are refused, with the reason.
    refused: BTreeMap<&'static str, Reason>,
    /// Every write that was not only tried.
    log: Vec<String>,
}

impl World {
    fn execute(&mut self, batch: &Batch) -> Vec<Outcome> {
        batch.steps.iter().map(|step| self.write(step)).collect()
    }

    fn write(&mut self, step: &Step) -> Outcome {
        let refused = self.refused.get(step.key.name.as_str());
        let result = match (refused, &step.action) {
            (Some(reason), _) => Err(Failure { reason: *reason, message: "no".into() }),
            (None, Action::Delete { .. }) => Ok(Done::Gone),
            (None, Action::Apply(manifest) | Action::Replace(manifest) | Action::Recreate(manifest)) => {
                let status = self.statuses.get(step.key.name.as_str()).cloned().unwrap_or_default();
                Ok(Done::Created(live(manifest, &status)))
            }
        };
        if !step.dry_run {
            self.log.push(step.to_string());
            match &result {
                Ok(Done::Created(live)) => {
                    drop(self.objects.insert(step.key.clone(), Arc::new(live.clone())));
                }
                Ok(_) => drop(self.objects.remove(&step.key)),
                Err(_) => (),
            }
        }
        Outcome { key: step.key.clone(), result }
    }

    fn set_status(&mut self, manifest: &Manifest, status: &Value) {
        let mut object = self.objects[&manifest.key()].value();
        object["status"] = status.clone();
        let live = Live::from_json(&object.to_string()).unwrap();
        self.objects.insert(manifest.key(), Arc::new(live));
    }
}

/// One application with its operation.
struct Play {
    world: World,
    subject: Subject,
    sync: SyncOperation,
    rendered: Vec<Manifest>,
    results: Vec<ResourceResult>,
    repetition: i64,
}

fn play(rendered: Vec<Manifest>) -> Play {
    let sync = SyncOperation { prune: Some(true), ..SyncOperation::default() };
    Play { world: World::default(), subject: subject(), sync, rendered, results: Vec::new(), repetition: 0 }
}

impl Play {
    /// One pass of the controller: turns until there is nothing to do now.
    fn pass(&mut self) -> Turn {
        let wanted = self.desired();
        let labelled: Vec<_> = self.world.objects.values().cloned().collect();
        let objects = self.world.objects.clone();
        let pairs = pairs(&self.subject, &project(), &wanted, &labelled, &|key| objects.get(key).cloned());
        let comparison = conclude(pairs, &|_| Finding::Compared(Verdict::Synced));
        let scene = Scene {
            subject: &self.subject,
            project: &project(),
            sync: &self.sync,
            revision: "0123456789abcdef",
            started_at: Timestamp::from_second(1_000).unwrap(),
            repetition: self.repetition,
            desired: &wanted,
            comparison: &comparison,
            results: &self.results,
            namespace: NamespacePresence::Absent,
        };
        let tasks = match tasks(&scene) {
            Ok(tasks) => tasks,
            Err(invalid) => {
                return Turn::Done { phase: OperationPhase::Failed, message: invalid_message(&invalid) };
            }
        };
        let mut progress = Progress::of(self.results.clone(), self.sync.dry_run == Some(true));
        for _ in 0..100 {
            let objects = self.world.objects.clone();
            let find = |key: &Key| objects.get(key).cloned();
            observe(&tasks, &mut progress, &find);
            match next(&tasks, &progress, &find) {
                Turn::Act(batch) => {
                    let outcomes = self.world.execute(&batch);
                    record(&tasks, &mut progress, &batch, outcomes);
                }
                turn => {
                    self.results = progress.results;
                    return turn;
                }
            }
        }
        panic!("the plan does not come to an end: {:?}", self.world.log);
    }

    fn desired(&self) -> Desired {
        let scope = |gvk: &crate::manifest::Gvk| match gvk.kind.as_str() {
            "Widget" => None,
            "Namespace" => Some(Scope::Cluster),
            _ => Some(Scope::Namespaced),
        };
        desired(&self.subject, &project(), self.rendered.clone(), &scope)
    }

    fn log(&self) -> Vec<&str> {
        self.world.log.iter().map(String::as_str).collect()
    }
}

#[track_caller]
fn succeeded(turn: &Turn) {
    assert!(matches!(turn, Turn::Done { phase: OperationPhase::Succeeded, .. }), "{turn:?}");
}

#[track_caller]
fn failed_with(turn: &Turn, part: &str) {
    let Turn::Done { phase: OperationPhase::Failed, message } = turn else { panic!("{turn:?}") };
    assert!(message.contains(part), "{message}");
}

#[track_caller]
fn waits_for(turn: &Turn, part: &str) {
    let Turn::Wait { message } = turn else { panic!("{turn:?}") };
    assert!(message.contains(part), "{message}");
}

fn config_map(name: &str) -> Manifest {
    manifest("ConfigMap", name, &json!({}))
}

fn in_wave(kind: &str, name: &str, wave: &str) -> Manifest {
    manifest(kind, name, &json!({"argocd.argoproj.io/sync-wave": wave}))
}

fn hook(name: &str, phase: &str) -> Manifest {
    manifest("Job", name, &json!({"argocd.argoproj.io/hook": phase}))
}

fn complete() -> Value {
    json!({"conditions": [{"type": "Complete", "status": "True"}]})
}

fn job_failed() -> Value {
    json!({"conditions": [{"type": "Failed", "status": "True", "message": "it broke"}]})
}

#[test]
fn kinds_are_applied_in_their_order() {
    let mut play = play(vec![
        manifest("Deployment", "web", &json!({})),
        manifest("Service", "web", &json!({})),
        config_map("settings"),
        manifest("Namespace", "shop", &json!({})),
    ]);
    succeeded(&play.pass());
    assert_eq!(
        play.log(),
        [
            "apply Namespace/shop",
            "apply ConfigMap/shop/settings",
            "apply Service/shop/web",
            "apply apps/Deployment/shop/web"
        ]
    );
}

#[test]
fn waves_wait_for_the_health_of_the_one_before() {
    let first = in_wave("Deployment", "first", "-1");
    let mut play = play(vec![first.clone(), in_wave("ConfigMap", "second", "5")]);
    waits_for(&play.pass(), "healthy state of apps/Deployment/first");
    assert_eq!(play.log(), ["apply apps/Deployment/shop/first"]);
    let healthy =
        json!({"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1});
    play.world.set_status(&first, &healthy);
    succeeded(&play.pass());
    assert_eq!(play.log().len(), 2);
}

#[test]
fn a_single_wave_does_not_wait_for_health() {
    succeeded(&play(vec![manifest("Deployment", "web", &json!({}))]).pass());
}

#[test]
fn hooks_run_before_and_after() {
    let mut play = play(vec![config_map("settings"), hook("migrate", "PreSync"), hook("greet", "PostSync")]);
    waits_for(&play.pass(), "completion of hook batch/Job/migrate");
    play.world.set_status(&hook("migrate", "PreSync"), &complete());
    waits_for(&play.pass(), "completion of hook batch/Job/greet");
    play.world.set_status(&hook("greet", "PostSync"), &complete());
    succeeded(&play.pass());
    assert_eq!(
        play.log(),
        ["apply batch/Job/shop/migrate", "apply ConfigMap/shop/settings", "apply batch/Job/shop/greet"]
    );
}

#[test]
fn a_hook_that_was_started_before_a_crash_is_not_started_again() {
    let mut play = play(vec![config_map("settings"), hook("migrate", "PreSync")]);
    play.pass();
    play.results.clear();
    waits_for(&play.pass(), "completion of hook batch/Job/migrate");
    assert_eq!(play.log(), ["apply batch/Job/shop/migrate"]);
}

#[test]
fn hooks_run_again_when_the_operation_is_repeated() {
    let mut play = play(vec![hook("migrate", "PreSync")]);
    play.world.statuses.insert("migrate", job_failed());
    failed_with(&play.pass(), "Job/migrate: it broke");
    play.results.clear();
    play.repetition = 1;
    play.world.statuses.insert("migrate", complete());
    succeeded(&play.pass());
    assert_eq!(play.log().len(), 3, "{:?}", play.log());
}

#[test]
fn the_object_of_an_earlier_hook_is_deleted_first() {
    let migrate = hook("migrate", "PreSync");
    let mut play = play(vec![migrate.clone()]);
    play.world.objects.insert(migrate.key(), Arc::new(live(&migrate, &complete())));
    play.world.statuses.insert("migrate", complete());
    succeeded(&play.pass());
    assert_eq!(play.log(), ["delete batch/Job/shop/migrate (background)", "apply batch/Job/shop/migrate"]);
}

#[test]
fn a_failed_hook_stops_the_sync_and_runs_what_is_for_failure() {
    let mut play = play(vec![config_map("settings"), hook("migrate", "PreSync"), hook("alarm", "SyncFail")]);
    play.world.statuses.insert("migrate", job_failed());
    play.world.statuses.insert("alarm", complete());
    failed_with(&play.pass(), "Job/migrate: it broke");
    assert_eq!(play.log(), ["apply batch/Job/shop/migrate", "apply batch/Job/shop/alarm"]);
}

#[test]
fn hooks_are_cleaned_up_as_their_policy_says() {
    let migrate = manifest(
        "Job",
        "migrate",
        &json!({"argocd.argoproj.io/hook": "PreSync", "argocd.argoproj.io/hook-delete-policy": "HookSucceeded"}),
    );
    let mut play = play(vec![migrate]);
    play.world.statuses.insert("migrate", complete());
    succeeded(&play.pass());
    assert_eq!(play.log().last(), Some(&"delete batch/Job/shop/migrate (background)"));
}

#[test]
fn hooks_without_a_name_get_one_for_the_operation() {
    let mut unnamed = hook("x", "PostSync").into_value();
    unnamed["metadata"] = json!({"generateName": "greet-", "namespace": "shop",
        "annotations": unnamed["metadata"]["annotations"]});
    let mut play = play(vec![Manifest::new(unnamed).unwrap()]);
    play.pass();
    assert_eq!(play.log(), ["apply batch/Job/shop/greet-0123456-postsync-1000"]);
}

#[test]
fn hooks_do_not_run_when_only_applying_or_selecting() {
    let check = |sync| {
        let mut play = Play { sync, ..play(vec![config_map("settings"), hook("migrate", "PreSync")]) };
        succeeded(&play.pass());
        assert_eq!(play.log(), ["apply ConfigMap/shop/settings"]);
    };
    let strategy = SyncStrategy { apply: Some(SyncStrategyApply::default()), hook: None };
    check(SyncOperation { sync_strategy: Some(strategy), ..SyncOperation::default() });
    let selected = crate::api::application::SyncOperationResource {
        kind: "ConfigMap".into(),
        name: "settings".into(),
        ..Default::default()
    };
    check(SyncOperation { resources: vec![selected], ..SyncOperation::default() });
}

#[test]
fn nothing_is_written_if_one_object_would_be_refused() {
    let mut play = play(vec![config_map("good"), config_map("bad")]);
    play.world.refused.insert("bad", Reason::Invalid);
    failed_with(&play.pass(), "ConfigMap/bad: no");
    assert!(play.log().is_empty());
}

#[test]
fn what_the_operation_makes_itself_is_not_missed_when_trying() {
    let mut play = play(vec![manifest("Namespace", "shop", &json!({})), config_map("settings")]);
    play.world.refused.insert("settings", Reason::NotFound);
    // Trying is tolerated, writing then fails for good in this world.
    failed_with(&play.pass(), "ConfigMap/settings");
    assert_eq!(play.log(), ["apply Namespace/shop", "apply ConfigMap/shop/settings"]);
}

#[test]
fn unknown_kinds_and_forbidden_objects_stop_everything() {
    let mut widget = config_map("one").into_value();
    widget["apiVersion"] = "example.org/v1".into();
    widget["kind"] = "Widget".into();
    let mut play = play(vec![config_map("settings"), Manifest::new(widget).unwrap()]);
    failed_with(&play.pass(), "does not serve example.org/v1/Widget");
    assert!(play.log().is_empty());
}

#[test]
fn leftovers_are_pruned_only_where_asked_for() {
    let old = live(&config_map("old"), &json!({}));
    let check = |prune, annotations: Value, expected: &[&str]| {
        let mut play =
            Play { sync: SyncOperation { prune: Some(prune), ..SyncOperation::default() }, ..play(vec![]) };
        let old = if annotations.is_null() {
            old.clone()
        } else {
            live(&manifest("ConfigMap", "old", &annotations), &json!({}))
        };
        play.world.objects.insert(old.key.clone(), Arc::new(old));
        succeeded(&play.pass());
        assert_eq!(play.log(), expected);
    };
    check(true, Value::Null, &["delete ConfigMap/shop/old (foreground)"]);
    check(false, Value::Null, &[]);
    check(true, json!({"argocd.argoproj.io/sync-options": "Prune=false"}), &[]);
}

#[test]
fn the_highest_wave_is_pruned_first() {
    let mut play = play(vec![]);
    for (name, wave) in [("low", "1"), ("high", "3")] {
        let old = live(&in_wave("ConfigMap", name, wave), &json!({}));
        play.world.objects.insert(old.key.clone(), Arc::new(old));
    }
    succeeded(&play.pass());
    assert_eq!(
        play.log(),
        ["delete ConfigMap/shop/high (foreground)", "delete ConfigMap/shop/low (foreground)"]
    );
}

#[test]
fn a_dry_run_writes_nothing_and_reports_everything() {
    let mut play = play(vec![config_map("good"), config_map("bad")]);
    play.sync.dry_run = Some(true);
    play.world.refused.insert("bad", Reason::Invalid);
    failed_with(&play.pass(), "dry run");
    assert!(play.log().is_empty());
    assert_eq!(play.results.len(), 2);
}

#[test]
fn the_namespace_is_made_first_where_asked_for() {
    let mut play = play(vec![config_map("settings")]);
    play.subject.options = SyncOptions { create_namespace: true, ..play.subject.options };
    succeeded(&play.pass());
    assert_eq!(play.log(), ["apply Namespace/shop", "apply ConfigMap/shop/settings"]);
}

#[test]
fn a_later_namespace_moves_before_what_lives_in_it() {
    let mut play = play(vec![in_wave("ConfigMap", "settings", "0"), in_wave("Namespace", "shop", "7")]);
    succeeded(&play.pass());
    assert_eq!(play.log(), ["apply Namespace/shop", "apply ConfigMap/shop/settings"]);
}

#[test]
fn what_cannot_be_changed_is_made_anew_by_force() {
    let job = manifest("Job", "once", &json!({"argocd.argoproj.io/sync-options": "Force=true"}));
    let mut play = play(vec![job]);
    play.world.refused.insert("once", Reason::Invalid);
    failed_with(&play.pass(), "Job/once");
    assert_eq!(play.log(), ["apply batch/Job/shop/once", "recreate batch/Job/shop/once"]);
}

#[test]
fn an_operation_that_is_played_again_after_a_crash_ends_the_same() {
    let rendered = vec![config_map("a"), config_map("b"), in_wave("ConfigMap", "c", "2")];
    let mut straight = play(rendered.clone());
    succeeded(&straight.pass());
    let mut crashed = play(rendered);
    succeeded(&crashed.pass());
    crashed.results.clear();
    crashed.world.log.clear();
    succeeded(&crashed.pass());
    assert!(crashed.log().is_empty(), "settled objects were written again: {:?}", crashed.log());
    assert_eq!(crashed.world.objects, straight.world.objects);
}
