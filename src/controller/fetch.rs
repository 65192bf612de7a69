//! From sources to manifests: resolves revisions, reads trees and renders them, unless nothing that was
//! read has changed.

use std::sync::Arc;
use std::time::Duration;

use super::Context;
use super::memory::{Remembered, Rendering};
use super::resolve::Wanted;
use crate::api::application::{ApplicationSource, Tool};
use crate::engine::operation::Revisions;
use crate::engine::status::{Condition, ConditionKind};
use crate::engine::subject::Subject;
use crate::manifest::Manifest;
use crate::render;
use crate::source::git::{Commit, Credentials, Freshness, Repository, Trust};
use crate::source::tree::Tree;
use crate::store::credentials::Credential;

/// What an application's sources rendered to.
pub(super) struct Fetched {
    pub(super) revisions: Revisions,
    pub(super) manifests: Vec<Manifest>,
    pub(super) source_types: Vec<String>,
    pub(super) warnings: Vec<String>,
}

/// How sure the caller must be that revisions are current.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Demand {
    /// What was resolved within the poll interval will do.
    Recent,
    /// Git is asked now.
    Now,
    /// Git is asked now and everything is rendered anew.
    Anew,
}

/// Renders all sources. The error is a condition of the application.
pub(super) async fn fetch(
    context: &Context,
    memory: &mut Remembered,
    subject: &Subject,
    wanted: &Wanted,
    demand: Demand,
) -> Result<Fetched, Condition> {
    if demand == Demand::Anew {
        memory.rendered.clear();
    }
    let mut renderings = Vec::with_capacity(wanted.0.len());
    for (index, source) in wanted.0.iter().enumerate() {
        let rendering = one(context, memory, subject, source, demand).await.map_err(|message| {
            let which = if wanted.0.len() > 1 {
                format!("source {} of {}: ", index + 1, wanted.0.len())
            } else {
                String::new()
            };
            Condition {
                kind: ConditionKind::ComparisonError,
                message: format!("Failed to load target state: {which}{message}"),
            }
        })?;
        renderings.push(rendering);
    }
    let fetched = Fetched {
        revisions: Revisions(renderings.iter().map(|rendering| rendering.commit.clone()).collect()),
        manifests: renderings.iter().flat_map(|rendering| parse(&rendering.manifests)).collect(),
        source_types: renderings.iter().map(|rendering| rendering.source_type.clone()).collect(),
        warnings: renderings.iter().flat_map(|rendering| rendering.warnings.clone()).collect(),
    };
    remember(memory, renderings);
    Ok(fetched)
}

fn parse(manifests: &[Box<str>]) -> Vec<Manifest> {
    let parse = |json: &str| serde_json::from_str(json).ok().and_then(|value| Manifest::new(value).ok());
    manifests.iter().filter_map(|json| parse(json)).collect()
}

/// Keeps the newest renderings: those of the spec and, while one runs, those of an operation.
fn remember(memory: &mut Remembered, renderings: Vec<Rendering>) {
    let limit = 2 * renderings.len().max(1);
    for rendering in renderings {
        memory.rendered.retain(|known| known.source != rendering.source);
        memory.rendered.push(rendering);
    }
    let surplus = memory.rendered.len().saturating_sub(limit);
    memory.rendered.drain(..surplus);
}

async fn one(
    context: &Context,
    memory: &Remembered,
    subject: &Subject,
    source: &ApplicationSource,
    demand: Demand,
) -> Result<Rendering, String> {
    if let Some(chart) = source.chart_name() {
        return Err(format!(
            "the chart {chart} is in a Helm repository, and those are not rendered by this version"
        ));
    }
    let git = &context.parts.git;
    let credentials = context.parts.store.repository_credentials(&subject.project, &source.repo_url).await;
    let credentials = credentials.map_err(|error| error.to_string())?;
    let repository = repository(&source.repo_url, credentials);
    let revision = source.target_revision.as_deref().unwrap_or_default();
    let commit = git.resolve(&repository, revision, freshness(context, demand)).await;
    let commit = commit.map_err(|error| error.to_string())?;
    let known = memory.rendered.iter().find(|known| known.source == *source);
    if let Some(known) = known.filter(|known| known.commit == commit.sha) {
        return Ok(known.clone());
    }
    if source.is_reference_only() {
        return Ok(reference(source, commit));
    }
    let tree = git.tree(&repository, &commit).await.map_err(|error| error.to_string())?;
    match known.filter(|known| holds(known, &tree)) {
        Some(known) => Ok(Rendering { commit: commit.sha, ..known.clone() }),
        None => render_tree(&subject.name, source.clone(), tree, commit).await,
    }
}

/// A source that others refer to renders nothing by itself.
fn reference(source: &ApplicationSource, commit: Commit) -> Rendering {
    Rendering {
        source: source.clone(),
        commit: commit.sha,
        read: Vec::new(),
        manifests: Arc::new([]),
        source_type: Tool::Directory.as_str().to_owned(),
        warnings: Vec::new(),
    }
}

fn repository(url: &str, credential: Option<Credential>) -> Repository {
    let Some(credential) = credential else { return Repository::new(url) };
    let Credential { username, password, bearer_token, ssh_private_key, insecure } = credential;
    let credentials = match (ssh_private_key, bearer_token, password) {
        (Some(key), ..) => Some(Credentials::SshKey(key)),
        (None, Some(token), _) => Some(Credentials::Bearer(token)),
        (None, None, Some(password)) => {
            Some(Credentials::Password { username: username.unwrap_or_default(), password })
        }
        (None, None, None) => None,
    };
    let trust = Trust { insecure, ..Trust::default() };
    Repository { credentials, trust, ..Repository::new(url) }
}

fn freshness(context: &Context, demand: Demand) -> Freshness {
    match demand {
        // A little less than the interval, so that a pass that was queued for it does ask.
        Demand::Recent => {
            Freshness::AtMost(context.parts.settings.poll_interval.mul_f64(0.9).max(Duration::from_millis(1)))
        }
        Demand::Now | Demand::Anew => Freshness::Now,
    }
}

/// Says whether everything that was read is the same in `tree`.
fn holds(known: &Rendering, tree: &Tree) -> bool {
    known.read.iter().all(|(path, id)| {
        tree.entry(path).is_ok_and(|entry| entry.map(|entry| entry.id).unwrap_or_default() == *id)
    })
}

/// Rendering is work for a processor, not for the async threads.
async fn render_tree(
    application: &str,
    source: ApplicationSource,
    tree: Tree,
    commit: Commit,
) -> Result<Rendering, String> {
    let application = application.to_owned();
    let work = move || {
        let limits = render::Limits::default();
        let request = render::Request { tree: &tree, source: &source, application: &application, limits };
        let rendered = render::render(&request)?;
        let manifests: Arc<[Box<str>]> =
            rendered.manifests.into_iter().map(|manifest| manifest.into_value().to_string().into()).collect();
        Ok::<_, render::Error>(Rendering {
            source,
            commit: commit.sha,
            read: rendered.read,
            manifests,
            source_type: rendered.source_type.as_str().to_owned(),
            warnings: rendered.warnings,
        })
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(rendered) => rendered.map_err(|error| error.to_string()),
        Err(panic) => Err(format!("rendering broke off: {panic}")),
    }
}
