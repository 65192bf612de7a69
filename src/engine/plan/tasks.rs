//! What an operation has to do, in order: one task for each object and each phase it takes part in.

use std::sync::Arc;

use serde_json::json;

use super::record;
use crate::api::application::{ResourceResult, SyncCode, SyncOperation, SyncOperationResource};
use crate::api::policy;
use crate::api::project::ProjectSpec;
use crate::engine::comparison::{Comparison, Resource};
use crate::engine::desired::{Desired, Object};
use crate::engine::live::Live;
use crate::engine::step::Propagation;
use crate::engine::subject::{Subject, SyncOptions};
use crate::manifest::hints::{HookDeletePolicy, Phase, Role};
use crate::manifest::{Gvk, Key, Manifest};

/// One thing to do.
#[expect(clippy::struct_excessive_bools, reason = "independent marks, each read in one place")]
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Phase of the sync.
    pub phase: Phase,
    /// Wave within the phase.
    pub wave: i64,
    /// The object.
    pub key: Key,
    /// The version it is written in.
    pub gvk: Gvk,
    /// What is done with it.
    pub work: Work,
    /// Nothing would change: no write is needed.
    pub settled: bool,
    /// Whether it must be tried before anything is written.
    pub try_first: bool,
    /// Replace instead of apply.
    pub replace: bool,
    /// Delete and create again what the cluster refuses to change.
    pub force: bool,
}

/// What is done with an object.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// It is brought to its desired state.
    Apply(Manifest),
    /// It is created and runs to its end.
    Hook {
        /// The object, marked with the operation it belongs to.
        manifest: Manifest,
        /// When its object is deleted.
        policies: Vec<HookDeletePolicy>,
        /// The mark, by which the hook is known again after a crash.
        marker: String,
    },
    /// It is deleted.
    Prune {
        /// The object's uid.
        uid: String,
        /// What happens to its dependents.
        propagation: Propagation,
    },
    /// It is left over and stays.
    Keep {
        /// Why.
        message: &'static str,
    },
}

impl Work {
    pub(super) fn is_hook(&self) -> bool {
        matches!(self, Self::Hook { .. })
    }

    pub(super) fn is_prune(&self) -> bool {
        matches!(self, Self::Prune { .. })
    }

    pub(super) fn is_keep(&self) -> bool {
        matches!(self, Self::Keep { .. })
    }
}

/// Stands for the wave after all others until the waves are known (`PruneLast`).
const AFTER_ALL: i64 = i64::MAX;

/// Whether the destination namespace exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamespacePresence {
    /// It exists.
    Present,
    /// It does not.
    Absent,
}

/// Everything that decides which tasks an operation has.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The application.
    pub subject: &'a Subject,
    /// Its project.
    pub project: &'a ProjectSpec,
    /// The operation.
    pub sync: &'a SyncOperation,
    /// Revision that is synced, for names made from it.
    pub revision: &'a str,
    /// When the operation started; identifies it.
    pub started_at: jiff::Timestamp,
    /// How often the operation was repeated; hooks run again each time.
    pub repetition: i64,
    /// What is desired.
    pub desired: &'a Desired,
    /// How it stands.
    pub comparison: &'a Comparison<'a>,
    /// What the operation has done so far.
    pub results: &'a [ResourceResult],
    /// Whether the destination namespace exists.
    pub namespace: NamespacePresence,
}

/// Makes the tasks of an operation in their order. Where some can never succeed, returns their results
/// instead: nothing is to be done then.
pub fn tasks(scene: &Scene<'_>) -> Result<Vec<Task>, Vec<ResourceResult>> {
    let options = scene.subject.options_for(scene.sync);
    let mut invalid = Vec::new();
    let mut tasks = Vec::new();
    for resource in scene.comparison.resources.iter().filter(|resource| selected(scene, &resource.pair.key)) {
        match resource.pair.desired {
            Some(object) => match refusal(scene, options, object, resource) {
                Some(reason) => invalid.push(record::refused(&object.key, &object.gvk, Phase::Sync, reason)),
                None => tasks.extend(apply(scene, options, object, resource)),
            },
            None => tasks.extend(resource.pair.live.as_ref().map(|live| leftover(scene, options, live))),
        }
    }
    if runs_hooks(scene) {
        for hook in &scene.desired.hooks {
            let Role::Hook(phases) = &hook.hints.role else { continue };
            for phase in phases {
                match &hook.refusal {
                    Some(reason) => {
                        invalid.push(record::refused(&hook.key, &hook.gvk, *phase, reason.clone()));
                    }
                    None => tasks.push(hook_task(scene, hook, *phase)),
                }
            }
        }
    }
    match namespace(scene, options, &tasks) {
        Some(Ok(task)) => tasks.push(task),
        Some(Err(result)) => invalid.push(result),
        None => (),
    }
    if !invalid.is_empty() {
        return Err(invalid);
    }
    order(&mut tasks);
    Ok(tasks)
}

/// A selective sync names its objects exactly; an empty namespace fits any.
fn selected(scene: &Scene<'_>, key: &Key) -> bool {
    let fits = |wanted: &SyncOperationResource| {
        let group = wanted.group.as_deref().unwrap_or_default();
        let namespace = wanted.namespace.as_deref().unwrap_or_default();
        (group, wanted.kind.as_str(), wanted.name.as_str())
            == (key.group.as_str(), key.kind.as_str(), key.name.as_str())
            && (namespace.is_empty() || namespace == key.namespace)
    };
    scene.sync.resources.is_empty() || scene.sync.resources.iter().any(fits)
}

fn runs_hooks(scene: &Scene<'_>) -> bool {
    let applies_only = scene.sync.sync_strategy.as_ref().is_some_and(|strategy| strategy.apply.is_some());
    !applies_only && scene.sync.resources.is_empty()
}

fn refusal(
    scene: &Scene<'_>,
    options: SyncOptions,
    object: &Object,
    resource: &Resource<'_>,
) -> Option<String> {
    if let Some(other) = &resource.pair.shared_with {
        return Some(format!("it is applied by the application {other}; two cannot share an object"));
    }
    if object.refusal.is_some() {
        return object.refusal.clone();
    }
    let comes_later = options.skip_dry_run_on_missing_resource
        || object.hints.options.skip_dry_run_on_missing_resource
        || scene.desired.resources.iter().any(|other| defines(other, &object.gvk));
    (!object.kind_known && !comes_later).then(|| {
        format!(
            "the cluster does not serve {}; install its CustomResourceDefinition first or add it to this application",
            object.gvk
        )
    })
}

/// Says whether `object` is the `CustomResourceDefinition` of a kind.
fn defines(object: &Object, gvk: &Gvk) -> bool {
    let spec = &object.manifest.value()["spec"];
    object.key.kind == "CustomResourceDefinition"
        && spec["group"] == gvk.group.as_str()
        && spec["names"]["kind"] == gvk.kind.as_str()
}

fn apply(scene: &Scene<'_>, options: SyncOptions, object: &Object, resource: &Resource<'_>) -> Option<Task> {
    let in_sync = resource.sync == SyncCode::Synced;
    let touched = scene.results.iter().any(|result| super::matches(result, &object.key, Phase::Sync));
    if options.apply_out_of_sync_only && in_sync && !touched {
        return None;
    }
    let strategy = scene.sync.sync_strategy.as_ref();
    let forced = strategy.is_some_and(|strategy| {
        strategy.apply.as_ref().is_some_and(|apply| apply.force == Some(true))
            || strategy.hook.as_ref().is_some_and(|hook| hook.force == Some(true))
    });
    let replace = options.replace || object.hints.options.replace;
    let force = forced || object.hints.options.force;
    let untried = resource.pair.live.is_none() || resource.refused;
    Some(Task {
        phase: Phase::Sync,
        wave: object.hints.wave,
        key: object.key.clone(),
        gvk: object.gvk.clone(),
        work: Work::Apply(object.manifest.clone()),
        settled: resource.settled && !replace,
        try_first: untried && object.kind_known && !replace && !force,
        replace,
        force,
    })
}

fn leftover(scene: &Scene<'_>, options: SyncOptions, live: &Arc<Live>) -> Task {
    let manifest = Manifest::new(live.value()).ok();
    let hints = manifest.as_ref().map(Manifest::hints);
    let protected = hints.as_ref().is_some_and(|hints| hints.options.no_prune);
    let last = options.prune_last || hints.as_ref().is_some_and(|hints| hints.options.prune_last);
    let work = match (protected, scene.sync.prune == Some(true)) {
        (true, _) => Work::Keep { message: "ignored (no prune)" },
        (false, false) => Work::Keep { message: "ignored (requires pruning)" },
        (false, true) => Work::Prune { uid: live.uid.clone(), propagation: options.propagation },
    };
    Task {
        phase: Phase::Sync,
        wave: if last { AFTER_ALL } else { hints.map_or(0, |hints| hints.wave) },
        key: live.key.clone(),
        gvk: live.gvk.clone(),
        work,
        settled: false,
        try_first: false,
        replace: false,
        force: false,
    }
}

/// A hook without a name of its own gets one that is the same for the whole operation.
fn hook_task(scene: &Scene<'_>, hook: &Object, phase: Phase) -> Task {
    let marker = format!("{}/{}/{phase:?}", scene.started_at, scene.repetition);
    let mut manifest = hook.manifest.clone();
    if manifest.name().is_empty() {
        let revision: String = scene.revision.chars().take(7).collect();
        let again = if scene.repetition > 0 { format!("-{}", scene.repetition) } else { String::new() };
        let suffix = format!("{revision}-{phase:?}-{}{again}", scene.started_at.as_second()).to_lowercase();
        manifest.set_name(&format!("{}{suffix}", manifest.generate_name()));
        let id = crate::engine::tracking::id(&scene.subject.project, &scene.subject.name, &manifest.key());
        manifest.set_annotation(crate::engine::live::TRACKING_ANNOTATION, &id);
    }
    manifest.set_annotation(record::OPERATION_ANNOTATION, &marker);
    Task {
        phase,
        wave: hook.hints.wave,
        key: manifest.key(),
        gvk: hook.gvk.clone(),
        work: Work::Hook { manifest, policies: hook.hints.delete_policies.clone(), marker },
        settled: false,
        try_first: false,
        replace: false,
        force: false,
    }
}

/// `CreateNamespace=true` makes the destination namespace before anything else, and only then.
fn namespace(
    scene: &Scene<'_>,
    options: SyncOptions,
    tasks: &[Task],
) -> Option<Result<Task, ResourceResult>> {
    let name = &scene.subject.destination.namespace;
    let is_target =
        |task: &Task| task.key.kind == "Namespace" && task.key.group.is_empty() && task.key.name == *name;
    let managed = scene.subject.namespace_metadata.as_ref();
    let needed = scene.namespace == NamespacePresence::Absent || managed.is_some();
    if !options.create_namespace || name.is_empty() || !needed || tasks.iter().any(is_target) {
        return None;
    }
    let mut metadata = json!({ "name": name });
    if let Some(managed) = managed {
        metadata["labels"] = json!(managed.labels);
        metadata["annotations"] = json!(managed.annotations);
    }
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata});
    let manifest = Manifest::new(object).expect("it has all that `new` asks for");
    let (key, gvk) = (manifest.key(), manifest.gvk());
    if !policy::permits_kind(scene.project, "", "Namespace", policy::Scope::Cluster { name }) {
        let reason = format!("resource :Namespace is not permitted in project {}.", scene.subject.project);
        return Some(Err(record::refused(&key, &gvk, Phase::PreSync, reason)));
    }
    Some(Ok(Task {
        phase: Phase::PreSync,
        wave: i64::MIN,
        key,
        gvk,
        work: Work::Apply(manifest),
        settled: false,
        try_first: true,
        replace: false,
        force: false,
    }))
}

/// Sorts by phase, wave, kind and name, after prunes got their waves and what others depend on was
/// moved before them.
fn order(tasks: &mut [Task]) {
    mirror_prunes(tasks);
    advance(tasks, |task| match &task.work {
        Work::Apply(_) if task.key.kind == "Namespace" && task.key.group.is_empty() => {
            let name = task.key.name.clone();
            Some(Box::new(move |other: &Task| other.key.namespace == name))
        }
        Work::Apply(manifest) if task.key.kind == "CustomResourceDefinition" => {
            let spec = &manifest.value()["spec"];
            let (group, kind) = (spec["group"].clone(), spec["names"]["kind"].clone());
            Some(Box::new(move |other: &Task| {
                group == other.key.group.as_str() && kind == other.key.kind.as_str()
            }))
        }
        _ => None,
    });
    tasks.sort_by(|a, b| {
        let rank = |task: &Task| (task.phase, task.wave, kind_rank(&task.key.kind));
        rank(a).cmp(&rank(b)).then_with(|| a.key.cmp(&b.key))
    });
}

/// The highest wave is pruned first: the waves in which there is something to prune are mirrored.
fn mirror_prunes(tasks: &mut [Task]) {
    let last = tasks.iter().filter(|task| task.phase == Phase::Sync && task.wave != AFTER_ALL);
    let after_all = last.map(|task| task.wave).max().unwrap_or(0).saturating_add(1);
    let waves_of = |tasks: &[Task]| {
        let mut waves: Vec<_> =
            tasks.iter().filter(|task| task.work.is_prune()).map(|task| task.wave).collect();
        waves.retain(|wave| *wave != AFTER_ALL);
        waves.sort_unstable();
        waves.dedup();
        waves
    };
    let waves = waves_of(tasks);
    for task in tasks.iter_mut().filter(|task| task.work.is_prune() || task.work.is_keep()) {
        task.wave = match waves.binary_search(&task.wave) {
            Ok(place) => waves[waves.len() - 1 - place],
            Err(_) if task.wave == AFTER_ALL => after_all,
            Err(_) => task.wave,
        };
    }
}

type Dependents = Box<dyn Fn(&Task) -> bool>;

/// Moves what others depend on into the phase and wave of the first of them, if that comes earlier.
fn advance(tasks: &mut [Task], dependents: impl Fn(&Task) -> Option<Dependents>) {
    for index in 0..tasks.len() {
        let Some(depends) = dependents(&tasks[index]) else { continue };
        let needs =
            |other: &&Task| (other.work.is_hook() || matches!(other.work, Work::Apply(_))) && depends(other);
        let first = tasks.iter().filter(needs).map(|other| (other.phase, other.wave)).min();
        let own = (tasks[index].phase, tasks[index].wave);
        if let Some((phase, wave)) = first.filter(|first| *first < own) {
            let moved = &mut tasks[index];
            (moved.phase, moved.wave) = (phase, wave);
        }
    }
}

/// Place of a kind among those that come first; what is not listed comes after all of them.
fn kind_rank(kind: &str) -> usize {
    const ORDER: [&str; 35] = [
        "Namespace",
        "NetworkPolicy",
        "ResourceQuota",
        "LimitRange",
        "PodSecurityPolicy",
        "PodDisruptionBudget",
        "ServiceAccount",
        "Secret",
        "SecretList",
        "ConfigMap",
        "StorageClass",
        "PersistentVolume",
        "PersistentVolumeClaim",
        "CustomResourceDefinition",
        "ClusterRole",
        "ClusterRoleList",
        "ClusterRoleBinding",
        "ClusterRoleBindingList",
        "Role",
        "RoleList",
        "RoleBinding",
        "RoleBindingList",
        "Service",
        "DaemonSet",
        "Pod",
        "ReplicationController",
        "ReplicaSet",
        "Deployment",
        "HorizontalPodAutoscaler",
        "StatefulSet",
        "Job",
        "CronJob",
        "IngressClass",
        "Ingress",
        "APIService",
    ];
    ORDER.iter().position(|listed| *listed == kind).unwrap_or(ORDER.len())
}
