//! What an object's annotations ask the sync to do: waves, hooks, sync options. Both spellings are
//! read, `argocd.argoproj.io/…` as repositories already have it and Helm's own hook annotations.

use super::Manifest;

/// A moment of a sync at which a hook runs, in the order in which they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// Before anything of the application is applied.
    PreSync,
    /// Together with the application's own objects.
    Sync,
    /// After everything of the application is healthy.
    PostSync,
    /// After the sync failed.
    SyncFail,
}

/// How an object takes part in a sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// An ordinary object of the application.
    Resource,
    /// It runs in these phases and is not compared.
    Hook(Vec<Phase>),
    /// It is neither applied nor compared in a sync (Skip, hooks of deletion, unknown hook types).
    Ignored,
}

/// When a hook's object is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HookDeletePolicy {
    /// Before the hook is created again; the default.
    BeforeHookCreation,
    /// When the operation succeeded.
    HookSucceeded,
    /// When the operation failed.
    HookFailed,
}

/// Options of one object, from `argocd.argoproj.io/sync-options`. `None` leaves the choice to the
/// application.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches of the annotation, read one by one")]
pub struct Options {
    /// `Prune=false`: never prune this object.
    pub no_prune: bool,
    /// `Delete=false` or `helm.sh/resource-policy: keep`: leave it when the application is deleted.
    pub no_delete: bool,
    /// `PruneLast=true`: prune it after everything else is applied.
    pub prune_last: bool,
    /// `Replace=true`: create or replace instead of applying.
    pub replace: bool,
    /// `Force=true`: delete and create again where replacing is refused.
    pub force: bool,
    /// `SkipDryRunOnMissingResource=true`: its kind may come into being during the sync.
    pub skip_dry_run_on_missing_resource: bool,
    /// `compare-options: IgnoreExtraneous`: being left over does not make the application `OutOfSync`.
    pub ignore_extraneous: bool,
}

/// Everything that an object's annotations say about syncing it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hints {
    /// Wave within the phase; lower waves come first, default 0.
    pub wave: i64,
    /// Resource, hook or neither.
    pub role: Role,
    /// When the hook's object is deleted; never empty.
    pub delete_policies: Vec<HookDeletePolicy>,
    /// Sync options of this object.
    pub options: Options,
}

const HOOK: &str = "argocd.argoproj.io/hook";
const HELM_HOOK: &str = "helm.sh/hook";

impl Hints {
    /// Reads the annotations of `manifest`. Unknown words are passed over, as Argo CD does.
    #[must_use]
    pub fn of(manifest: &Manifest) -> Self {
        Self {
            wave: wave(manifest),
            role: role(manifest),
            delete_policies: delete_policies(manifest),
            options: options(manifest),
        }
    }

    /// Says whether the object belongs to the compared state of the application.
    #[must_use]
    pub fn is_resource(&self) -> bool {
        self.role == Role::Resource
    }
}

fn wave(manifest: &Manifest) -> i64 {
    let parse = |name| manifest.annotation(name).and_then(|text: &str| text.trim().parse().ok());
    parse("argocd.argoproj.io/sync-wave").or_else(|| parse("helm.sh/hook-weight")).unwrap_or(0)
}

/// Argo CD's own annotation wins over Helm's where it names a valid type.
fn role(manifest: &Manifest) -> Role {
    let argo = words(manifest, HOOK);
    let helm = words(manifest, HELM_HOOK);
    if argo.is_empty() && helm.is_empty() || helm.contains(&"crd-install") && argo.is_empty() {
        return Role::Resource;
    }
    let mut phases: Vec<Phase> = argo.iter().filter_map(|word| argo_phase(word)).collect();
    if phases.is_empty() {
        phases = helm.iter().filter_map(|word| helm_phase(word)).collect();
    }
    phases.sort_unstable();
    phases.dedup();
    if phases.is_empty() { Role::Ignored } else { Role::Hook(phases) }
}

fn argo_phase(word: &str) -> Option<Phase> {
    match word {
        "PreSync" => Some(Phase::PreSync),
        "Sync" => Some(Phase::Sync),
        "PostSync" => Some(Phase::PostSync),
        "SyncFail" => Some(Phase::SyncFail),
        _ => None,
    }
}

/// Install and upgrade cannot be told apart when syncing, so both run on every sync.
fn helm_phase(word: &str) -> Option<Phase> {
    match word {
        "pre-install" | "pre-upgrade" => Some(Phase::PreSync),
        "post-install" | "post-upgrade" => Some(Phase::PostSync),
        _ => None,
    }
}

fn delete_policies(manifest: &Manifest) -> Vec<HookDeletePolicy> {
    let argo = words(manifest, "argocd.argoproj.io/hook-delete-policy");
    let helm = words(manifest, "helm.sh/hook-delete-policy");
    let policies: Vec<_> = argo
        .into_iter()
        .chain(helm)
        .filter_map(|word| match word {
            "BeforeHookCreation" | "before-hook-creation" => Some(HookDeletePolicy::BeforeHookCreation),
            "HookSucceeded" | "hook-succeeded" => Some(HookDeletePolicy::HookSucceeded),
            "HookFailed" | "hook-failed" => Some(HookDeletePolicy::HookFailed),
            _ => None,
        })
        .collect();
    if policies.is_empty() { vec![HookDeletePolicy::BeforeHookCreation] } else { policies }
}

fn options(manifest: &Manifest) -> Options {
    let words_of = words(manifest, "argocd.argoproj.io/sync-options");
    let has = |word| words_of.contains(&word);
    Options {
        no_prune: has("Prune=false"),
        no_delete: has("Delete=false") || manifest.annotation("helm.sh/resource-policy") == Some("keep"),
        prune_last: has("PruneLast=true"),
        replace: has("Replace=true"),
        force: has("Force=true"),
        skip_dry_run_on_missing_resource: has("SkipDryRunOnMissingResource=true"),
        ignore_extraneous: words(manifest, "argocd.argoproj.io/compare-options")
            .contains(&"IgnoreExtraneous"),
    }
}

/// Splits a comma list, dropping blanks.
fn words<'a>(manifest: &'a Manifest, annotation: &str) -> Vec<&'a str> {
    let text = manifest.annotation(annotation).unwrap_or_default();
    text.split(',').map(str::trim).filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn with(annotations: &serde_json::Value) -> Hints {
        let value = json!({"apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": "migrate", "annotations": annotations}});
        Manifest::new(value).unwrap().hints()
    }

    #[test]
    fn plain_objects_are_resources_of_wave_zero() {
        let hints = with(&json!({}));
        assert_eq!(hints.role, Role::Resource);
        assert_eq!(hints.wave, 0);
        assert_eq!(hints.delete_policies, [HookDeletePolicy::BeforeHookCreation]);
    }

    #[test]
    fn hook_annotations_name_phases() {
        let check = |annotations, expected| assert_eq!(with(&annotations).role, expected);
        check(json!({HOOK: "PostSync, PreSync"}), Role::Hook(vec![Phase::PreSync, Phase::PostSync]));
        check(json!({HOOK: "Skip"}), Role::Ignored);
        check(json!({HOOK: "Skip,Sync"}), Role::Hook(vec![Phase::Sync]));
        check(json!({HOOK: "Sometimes"}), Role::Ignored);
        check(json!({HELM_HOOK: "pre-install,pre-upgrade"}), Role::Hook(vec![Phase::PreSync]));
        check(json!({HELM_HOOK: "test"}), Role::Ignored);
        check(json!({HELM_HOOK: "crd-install"}), Role::Resource);
        check(json!({HOOK: "SyncFail", HELM_HOOK: "pre-install"}), Role::Hook(vec![Phase::SyncFail]));
    }

    #[test]
    fn waves_fall_back_to_hook_weights() {
        assert_eq!(with(&json!({"argocd.argoproj.io/sync-wave": "-3"})).wave, -3);
        assert_eq!(with(&json!({"argocd.argoproj.io/sync-wave": "x", "helm.sh/hook-weight": "7"})).wave, 7);
    }

    #[test]
    fn options_are_read_one_by_one() {
        let options = with(&json!({"argocd.argoproj.io/sync-options": "Prune=false, Replace=true,Bogus=1",
            "helm.sh/resource-policy": "keep"}))
        .options;
        assert!(options.no_prune && options.replace && options.no_delete && !options.force);
    }
}
