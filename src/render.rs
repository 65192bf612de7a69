//! A file tree and the source of an Application become manifests. Pure: the tree is asked, nothing else.
//!
//! This version renders directories of YAML and JSON. Helm, Kustomize, Jsonnet and plugins are told
//! apart from them and refused, so that nothing of them is ever applied half.

mod directory;
mod documents;
mod error;
mod follow;
mod overrides;
pub mod tree;

#[cfg(test)]
mod tests;

use crate::api::application::{
    ApplicationSource, ApplicationSourceDirectory, ApplicationSourceHelm, ApplicationSourceKustomize, Tool,
};
use crate::manifest::Manifest;

pub use self::error::Error;
use self::tree::{Entry, Kind, Tree};

/// What to render.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The files, at the resolved revision.
    pub tree: &'a dyn Tree,
    /// Where in them, and how.
    pub source: &'a ApplicationSource,
    /// Name of the Application, for `.argocd-source-<name>.yaml`.
    pub application: &'a str,
    /// How much may be read and made.
    pub limits: Limits,
}

/// How much one source may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all files together.
    pub bytes: u64,
    /// Number of objects.
    pub objects: usize,
    /// Bytes of memory that the objects take, roughly; YAML aliases can make much of little.
    pub memory: usize,
}

impl Default for Limits {
    /// 10 MB of files, as in Argo CD; 20,000 objects; 160 MB of memory.
    fn default() -> Self {
        Self { bytes: 10_000_000, objects: 20_000, memory: 160_000_000 }
    }
}

/// What became of a source.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// The objects, in the order of the files.
    pub manifests: Vec<Manifest>,
    /// Where each of `manifests` comes from, at the same index.
    pub origins: Vec<Origin>,
    /// What made the manifests; its word is `status.sourceType`.
    pub source_type: Tool,
    /// Paths that the result depends on, with the ids of what stands there; an empty id says that
    /// nothing does. While a tree has the same ids at these paths, and the source is the same, the
    /// result is the same.
    pub read: Vec<(String, String)>,
    /// What was left out and why, for people.
    pub warnings: Vec<String>,
}

/// Where an object was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// File, relative to the root of the repository.
    pub file: String,
    /// Line on which its document begins, counted from 1.
    pub line: usize,
}

/// Renders a source. All or nothing: a file that should be a manifest and is not fails the whole.
pub fn render(request: &Request<'_>) -> Result<Rendered, Error> {
    if let Some(chart) = request.source.chart_name() {
        return Err(Error::Unsupported { path: chart.into(), what: "charts from Helm repositories" });
    }
    let mut read = Vec::new();
    let directory = directory_of(request, &mut read)?;
    let source = overrides::apply(request, &directory, &mut read)?;
    let source_type = match written_tool(&source)? {
        Some(tool) => tool,
        None => detected_tool(&request.tree.list(&directory)?),
    };
    let path = if directory.is_empty() { "." } else { &directory };
    let unsupported = |what| Err(Error::Unsupported { path: path.into(), what });
    match source_type {
        Tool::Helm => return unsupported("Helm sources"),
        Tool::Kustomize => return unsupported("Kustomize sources"),
        Tool::Plugin => return unsupported("sources of config management plugins"),
        Tool::Directory => {}
    }
    let options = source.directory.unwrap_or_default();
    let directory::Contents { manifests, origins, warnings } =
        directory::read(request.tree, &directory, &options, request.limits, &mut read)?;
    Ok(Rendered { manifests, origins, source_type, read, warnings })
}

/// Finds the directory of the source, free of symbolic links.
fn directory_of(request: &Request<'_>, read: &mut follow::Read) -> Result<String, Error> {
    let written = request.source.path.as_deref().unwrap_or_default();
    let path = follow::checked(written)?;
    match follow::follow(request.tree, &path, read)? {
        None => Err(Error::MissingPath(written.into())),
        Some((end, Entry { kind: Kind::Directory, .. })) => Ok(end),
        Some(_) => Err(Error::NotADirectory(written.into())),
    }
}

/// Returns the tool whose options the source writes. Empty blocks do not count; an empty `plugin` does,
/// because it asks for a plugin to be found.
fn written_tool(source: &ApplicationSource) -> Result<Option<Tool>, Error> {
    let ApplicationSource { helm, kustomize, directory, .. } = source;
    let is_empty = |tool: &Tool| match tool {
        Tool::Helm => helm.as_deref().is_some_and(|block| *block == ApplicationSourceHelm::default()),
        Tool::Kustomize => {
            kustomize.as_deref().is_some_and(|block| *block == ApplicationSourceKustomize::default())
        }
        Tool::Directory => directory.as_ref().is_some_and(says_nothing),
        Tool::Plugin => false,
    };
    let tools: Vec<Tool> = source.tools().into_iter().filter(|tool| !is_empty(tool)).collect();
    if tools.len() > 1 {
        let names: Vec<&str> = tools.iter().map(|tool| tool.as_str()).collect();
        return Err(Error::SeveralTools(names.join(",")));
    }
    Ok(tools.first().copied())
}

/// Says whether a block means the same as none. `recurse: false` is what holds anyway.
fn says_nothing(block: &ApplicationSourceDirectory) -> bool {
    let said =
        ApplicationSourceDirectory { recurse: block.recurse.filter(|recurse| *recurse), ..block.clone() };
    said == ApplicationSourceDirectory::default()
}

/// Tells the tool by the files in the directory.
fn detected_tool(entries: &[(String, Entry)]) -> Tool {
    const KUSTOMIZATIONS: &[&str] = &["kustomization.yaml", "kustomization.yml", "Kustomization"];
    let has =
        |is: fn(&str) -> bool| entries.iter().any(|(name, entry)| entry.kind != Kind::Directory && is(name));
    if has(|name| KUSTOMIZATIONS.contains(&name)) {
        Tool::Kustomize
    } else if has(|name| name.ends_with("Chart.yaml")) {
        Tool::Helm
    } else {
        Tool::Directory
    }
}
