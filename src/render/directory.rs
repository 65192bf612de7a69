//! A directory of plain manifests: which files are read, and in which order.

use std::vec;

use globset::{GlobBuilder, GlobMatcher};

use super::documents::{self, Found};
use super::follow::{Read, follow};
use super::tree::{self, Entry, Kind, Tree};
use super::{Error, Limits, Origin, overrides};
use crate::api::application::ApplicationSourceDirectory;
use crate::manifest::Manifest;

/// A file that contains this is not rendered.
const SKIP_MARKER: &str = "+argocd:skip-file-rendering";
const EXTENSIONS: &[&str] = &[".yaml", ".yml", ".json", ".jsonnet"];

/// What the files of a directory hold.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) manifests: Vec<Manifest>,
    pub(super) origins: Vec<Origin>,
    pub(super) warnings: Vec<String>,
}

/// Reads the manifests below `directory`, which is free of symbolic links.
pub(super) fn read(
    tree: &dyn Tree,
    directory: &str,
    options: &ApplicationSourceDirectory,
    limits: Limits,
    read: &mut Read,
) -> Result<Contents, Error> {
    let filter = Filter::new(options)?;
    let path = if directory.is_empty() { "." } else { directory };
    let mut contents = Contents::default();
    let mut budget = Budget { limits, path, bytes: limits.bytes, memory: limits.memory };
    for item in Walk::new(tree, directory, filter.recurse)? {
        let (file, entry) = item?;
        if !filter.admits(below(&file, directory)) {
            continue;
        }
        let Some(end) = real_file(tree, &file, &entry, read, &mut contents.warnings)? else { continue };
        if file.ends_with(".jsonnet") {
            return Err(Error::Unsupported { path: file, what: "Jsonnet files" });
        }
        let bytes = budget.take(tree, &end)?;
        contents.add(&file, &bytes, &mut budget)?;
    }
    Ok(contents)
}

impl Contents {
    fn add(&mut self, file: &str, bytes: &[u8], budget: &mut Budget<'_>) -> Result<(), Error> {
        let found = documents::read(file, bytes, SKIP_MARKER)
            .map_err(|detail| Error::File { file: file.into(), detail })?;
        let objects = match found {
            Found::Skipped => return Ok(()),
            Found::NoManifests(why) => {
                self.warnings.push(format!("{file}: it holds no Kubernetes objects and was left out: {why}"));
                return Ok(());
            }
            Found::Objects(objects) => objects,
        };
        for object in objects {
            budget.charge(object.memory, self.manifests.len() + 1)?;
            self.manifests.push(object.manifest);
            self.origins.push(Origin { file: file.into(), line: object.line });
        }
        Ok(())
    }
}

/// What may still be read.
struct Budget<'a> {
    limits: Limits,
    path: &'a str,
    bytes: u64,
    memory: usize,
}

impl Budget<'_> {
    fn take(&mut self, tree: &dyn Tree, file: &str) -> Result<Vec<u8>, Error> {
        match tree.read(file, self.bytes) {
            Ok(bytes) => {
                self.bytes = self.bytes.saturating_sub(bytes.len() as u64);
                Ok(bytes)
            }
            Err(tree::Error::TooLarge { .. }) => {
                Err(Error::TooLarge { path: self.path.into(), limit: self.limits.bytes })
            }
            Err(error) => Err(error.into()),
        }
    }

    fn charge(&mut self, memory: usize, objects: usize) -> Result<(), Error> {
        let too_much = |limit, of| Err(Error::TooMuch { path: self.path.into(), limit, of });
        if objects > self.limits.objects {
            return too_much(self.limits.objects, "objects");
        }
        match self.memory.checked_sub(memory) {
            Some(left) => self.memory = left,
            None => return too_much(self.limits.memory, "bytes of objects, aliases expanded"),
        }
        Ok(())
    }
}

/// Which files are read.
struct Filter {
    recurse: bool,
    every_extension: bool,
    include: Option<GlobMatcher>,
    exclude: Option<GlobMatcher>,
}

impl Filter {
    fn new(options: &ApplicationSourceDirectory) -> Result<Self, Error> {
        Ok(Self {
            recurse: options.recurse.unwrap_or_default(),
            every_extension: options.disable_extension_filter.unwrap_or_default(),
            include: glob("include", options.include.as_deref())?,
            exclude: glob("exclude", options.exclude.as_deref())?,
        })
    }

    /// Decides by the path below the directory; excluding wins.
    fn admits(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        (self.every_extension || EXTENSIONS.iter().any(|extension| name.ends_with(extension)))
            && !overrides::is_override(name)
            && !self.exclude.as_ref().is_some_and(|glob| glob.is_match(path))
            && self.include.as_ref().is_none_or(|glob| glob.is_match(path))
    }
}

/// Builds a glob in which `*` crosses directories, as Argo CD's do. There `**` is the same as `*`;
/// here it would also match nothing at all, slash included.
fn glob(field: &'static str, text: Option<&str>) -> Result<Option<GlobMatcher>, Error> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let mut pattern = text.to_owned();
    while pattern.contains("**") {
        pattern = pattern.replace("**", "*");
    }
    let built = GlobBuilder::new(&pattern).literal_separator(false).empty_alternates(true).build();
    match built {
        Ok(glob) => Ok(Some(glob.compile_matcher())),
        Err(error) => Err(Error::Glob { field, glob: text.into(), detail: error.kind().to_string() }),
    }
}

/// Returns where the content of a file is. Links are followed to files only; dangling ones are passed
/// over.
fn real_file(
    tree: &dyn Tree,
    file: &str,
    entry: &Entry,
    read: &mut Read,
    warnings: &mut Vec<String>,
) -> Result<Option<String>, Error> {
    match entry.kind {
        Kind::File | Kind::Executable => Ok(Some(file.to_owned())),
        Kind::Directory | Kind::Submodule => Ok(None),
        Kind::Symlink => match follow(tree, file, read)? {
            Some((end, entry)) if matches!(entry.kind, Kind::File | Kind::Executable) => Ok(Some(end)),
            Some(_) => Ok(None),
            None => {
                warnings.push(format!("{file}: the symbolic link leads to nothing and was left out"));
                Ok(None)
            }
        },
    }
}

/// The files below a directory in lexical order, directories in their place among them.
struct Walk<'a> {
    tree: &'a dyn Tree,
    recurse: bool,
    levels: Vec<(String, vec::IntoIter<(String, Entry)>)>,
}

impl<'a> Walk<'a> {
    fn new(tree: &'a dyn Tree, directory: &str, recurse: bool) -> Result<Self, Error> {
        let entries = tree.list(directory)?.into_iter();
        Ok(Self { tree, recurse, levels: vec![(directory.to_owned(), entries)] })
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<(String, Entry), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (directory, entries) = self.levels.last_mut()?;
            let Some((name, entry)) = entries.next() else {
                self.levels.pop();
                continue;
            };
            let path = if directory.is_empty() { name } else { format!("{directory}/{name}") };
            match entry.kind {
                Kind::Directory if self.recurse => match self.tree.list(&path) {
                    Ok(entries) => self.levels.push((path, entries.into_iter())),
                    Err(error) => return Some(Err(error.into())),
                },
                // Passing it over could remove from the cluster what its files hold.
                Kind::Submodule if self.recurse => return Some(Err(Error::Submodule(path))),
                Kind::Directory | Kind::Submodule => {}
                Kind::File | Kind::Executable | Kind::Symlink => return Some(Ok((path, entry))),
            }
        }
    }
}

/// Returns the part of a path that is below a directory.
fn below<'a>(path: &'a str, directory: &str) -> &'a str {
    path.strip_prefix(directory).unwrap_or(path).trim_start_matches('/')
}
