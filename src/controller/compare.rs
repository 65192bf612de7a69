//! Desired against live: locally where that decides it, else by asking the cluster what applying would
//! change. Answers are kept as long as neither side changes.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use futures::StreamExt;

use super::memory::{Prediction, Remembered};
use super::resolve::Resolved;
use super::{Context, Error};
use crate::api::application::{Application, ApplicationStatus, ResourceIgnoreDifferences};
use crate::engine::compare::{self, Verdict};
use crate::engine::comparison::{self, Comparison, Finding, Pair};
use crate::engine::desired::{self, Desired};
use crate::engine::ignore::{Ignore, Rules};
use crate::engine::live::Live;
use crate::engine::status::{Condition, ConditionKind};
use crate::engine::step::Reason;
use crate::engine::tracking;
use crate::manifest::{Gvk, Key, Manifest};

/// How many trial applies of one application run side by side.
const TRIALS: usize = 8;

/// Makes the desired set and makes sure that everything it may meet in the cluster is watched.
pub(super) async fn desired(
    context: &Context,
    resolved: &Resolved,
    application: &Application,
    manifests: Vec<Manifest>,
) -> Result<Desired, Error> {
    let cluster = &context.parts.cluster;
    let kinds: BTreeSet<Gvk> = manifests.iter().map(Manifest::gvk).collect();
    cluster.learn(&kinds).await?;
    let scopes = |gvk: &Gvk| cluster.scope(gvk);
    let mut desired = desired::desired(&resolved.subject, &resolved.project.spec, manifests, &scopes);
    watch(context, &desired, &crate::engine::status::of(application)).await?;
    // Rules that do not compile are reported by `compare`, and nothing is applied then. Without the
    // option, only what a controller gathers into aggregated ClusterRoles is left to it.
    let respected = resolved.subject.options.respect_ignore_differences;
    let rules =
        if respected { Rules::new(&application.spec.ignore_differences) } else { Ok(Rules::default()) };
    if let Ok(rules) = rules {
        leave_ignored(context, &mut desired, &rules);
    }
    Ok(desired)
}

/// Watches the kinds that are desired and those that were applied before.
async fn watch(context: &Context, desired: &Desired, status: &ApplicationStatus) -> Result<(), Error> {
    let objects = desired.resources.iter().chain(&desired.hooks);
    let mut kinds: BTreeSet<Gvk> =
        objects.filter(|object| object.kind_known).map(|object| object.gvk.clone()).collect();
    kinds.extend(recorded_kinds(status));
    let kinds: Vec<_> = kinds.into_iter().filter(|gvk| context.parts.cluster.scope(gvk).is_some()).collect();
    Ok(context.parts.cluster.watch(&kinds).await?)
}

/// Returns the kinds of everything that the status says was or is to be applied.
pub(super) fn recorded_kinds(status: &ApplicationStatus) -> BTreeSet<Gvk> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let resources = status.resources.iter().map(|resource| Gvk {
        group: text(&resource.group),
        version: text(&resource.version),
        kind: text(&resource.kind),
    });
    let result = status.operation_state.as_ref().and_then(|state| state.sync_result.as_ref());
    let results = result.into_iter().flat_map(|result| &result.resources).map(|result| Gvk {
        group: result.group.clone(),
        version: result.version.clone(),
        kind: result.kind.clone(),
    });
    resources.chain(results).filter(|gvk| !gvk.version.is_empty()).collect()
}

/// What is ignored is not applied to objects that exist.
fn leave_ignored(context: &Context, desired: &mut Desired, rules: &Rules) {
    for object in &mut desired.resources {
        let ignore = rules.of(&object.key);
        if let Some(live) = context.parts.cluster.find(&object.key).filter(|_| !ignore.is_empty()) {
            ignore.omit(&mut object.manifest, &live);
        }
    }
}

/// Compares the desired set with what is live.
pub(super) async fn compare<'a>(
    context: &Context,
    memory: &mut Remembered,
    resolved: &Resolved,
    rules: &[ResourceIgnoreDifferences],
    desired: &'a Desired,
) -> (Comparison<'a>, Vec<Condition>) {
    let cluster = &context.parts.cluster;
    let subject = &resolved.subject;
    let labelled = cluster.of(&tracking::label_value(&subject.project, &subject.name));
    let find = |key: &Key| cluster.find(key);
    let pairs = comparison::pairs(subject, &resolved.project.spec, desired, &labelled, &find);
    let mut conditions = warnings(desired, &pairs);
    let findings = match Rules::new(rules) {
        Ok(compiled) => findings(context, memory, resolved, rules, &compiled, &pairs).await,
        Err(error) => {
            let message = format!("Failed to compare desired state to live state: {error}");
            conditions.push(Condition { kind: ConditionKind::ComparisonError, message });
            HashMap::new()
        }
    };
    conditions.extend(findings.iter().filter_map(|(key, finding)| failure(key, finding)));
    let unknown = Finding::Compared(Verdict::Undecided);
    let comparison = comparison::conclude(pairs, &|pair| findings.get(&pair.key).unwrap_or(&unknown).clone());
    (comparison, conditions)
}

fn failure(key: &Key, finding: &Finding) -> Option<Condition> {
    let (kind, message) = match finding {
        Finding::Failed(message) => {
            (ConditionKind::ComparisonError, format!("{key} cannot be compared: {message}"))
        }
        _ => return None,
    };
    Some(Condition { kind, message })
}

fn warnings(desired: &Desired, pairs: &[Pair<'_>]) -> Vec<Condition> {
    let repeated = desired.repeated.iter().map(|(key, times)| Condition {
        kind: ConditionKind::RepeatedResourceWarning,
        message: format!(
            "Resource {key} appeared {times} times among application resources; the last one counts"
        ),
    });
    let shared = pairs.iter().filter_map(|pair| {
        let other = pair.shared_with.as_ref()?;
        let message =
            format!("{} is applied by the application {other} as well; it is left to that one", pair.key);
        Some(Condition { kind: ConditionKind::SharedResourceWarning, message })
    });
    repeated.chain(shared).collect()
}

async fn findings(
    context: &Context,
    memory: &mut Remembered,
    resolved: &Resolved,
    rules: &[ResourceIgnoreDifferences],
    compiled: &Rules,
    pairs: &[Pair<'_>],
) -> HashMap<Key, Finding> {
    let mut found = HashMap::new();
    let mut open = Vec::new();
    for pair in pairs {
        let (Some(object), Some(live)) = (pair.desired, &pair.live) else { continue };
        if object.refusal.is_some() || pair.shared_with.is_some() {
            continue;
        }
        let ignore = compiled.of(&pair.key);
        match compare::local(&object.manifest, live, &ignore) {
            Verdict::Undecided => {
                open.push((pair.key.clone(), object.manifest.clone(), Arc::clone(live), ignore));
            }
            verdict => {
                found.insert(pair.key.clone(), Finding::Compared(verdict));
            }
        }
    }
    let mut trials = Vec::new();
    for (key, manifest, live, ignore) in open {
        let desired = fingerprint(&manifest, rules);
        match memory.predictions.get(&key) {
            Some(known) if known.resource_version == live.resource_version && known.desired == desired => {
                found.insert(key, known.finding.clone());
            }
            _ => trials.push((key, manifest, live, ignore, desired)),
        }
    }
    let asked =
        futures::stream::iter(trials.into_iter().map(|(key, manifest, live, ignore, desired)| async move {
            let finding = predict(context, resolved, &manifest, &live, &ignore).await;
            (key, Prediction { resource_version: live.resource_version.clone(), desired, finding })
        }));
    let answers: Vec<_> = asked.buffer_unordered(TRIALS).collect().await;
    for (key, prediction) in answers {
        found.insert(key.clone(), prediction.finding.clone());
        match prediction.finding {
            Finding::Failed(_) => memory.predictions.remove(&key),
            _ => memory.predictions.insert(key, prediction),
        };
    }
    memory.predictions.retain(|key, _| found.contains_key(key));
    found
}

fn fingerprint(manifest: &Manifest, rules: &[ResourceIgnoreDifferences]) -> u64 {
    let mut hasher = DefaultHasher::new();
    manifest.value().to_string().hash(&mut hasher);
    if !rules.is_empty() {
        serde_json::to_string(rules).unwrap_or_default().hash(&mut hasher);
    }
    hasher.finish()
}

async fn predict(
    context: &Context,
    resolved: &Resolved,
    manifest: &Manifest,
    live: &Live,
    ignore: &Ignore,
) -> Finding {
    match context.parts.cluster.predict(&resolved.actor, &live.key, manifest).await {
        Ok(predicted) => Finding::Predicted(compare::predicted(&live.value(), &predicted, ignore)),
        Err(failure) if failure.reason == Reason::Invalid => Finding::Refused(failure.message),
        Err(failure) => Finding::Failed(failure.message),
    }
}
