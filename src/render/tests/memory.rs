//! A file tree in memory.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher as _};

use crate::render::tree::{Entry, Error, Kind, Tree};

/// Files by their path; directories follow from them.
#[derive(Default)]
pub(super) struct Memory(BTreeMap<String, (Kind, Vec<u8>)>);

impl Memory {
    pub(super) fn new(files: &[(&str, &str)]) -> Self {
        files
            .iter()
            .fold(Self::default(), |tree, (path, content)| tree.with(path, Kind::File, content.as_bytes()))
    }

    pub(super) fn with(mut self, path: &str, kind: Kind, content: &[u8]) -> Self {
        self.0.insert(path.into(), (kind, content.into()));
        self
    }

    pub(super) fn link(self, path: &str, target: &str) -> Self {
        self.with(path, Kind::Symlink, target.as_bytes())
    }

    fn below<'a>(&'a self, directory: &str) -> impl Iterator<Item = (&'a str, &'a (Kind, Vec<u8>))> {
        let prefix = if directory.is_empty() { String::new() } else { format!("{directory}/") };
        self.0.iter().filter_map(move |(path, file)| Some((path.strip_prefix(&prefix)?, file)))
    }
}

fn id(content: impl std::hash::Hash) -> String {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    format!("{:x}", hasher.finish())
}

impl Tree for Memory {
    fn entry(&self, path: &str) -> Result<Option<Entry>, Error> {
        if let Some((kind, content)) = self.0.get(path) {
            return Ok(Some(Entry { kind: *kind, id: id(content) }));
        }
        let content: Vec<_> = self.below(path).collect();
        Ok((!content.is_empty()).then(|| Entry { kind: Kind::Directory, id: id(content) }))
    }

    fn list(&self, directory: &str) -> Result<Vec<(String, Entry)>, Error> {
        let names: std::collections::BTreeSet<&str> =
            self.below(directory).filter_map(|(path, _)| path.split('/').next()).collect();
        let join =
            |name: &str| if directory.is_empty() { name.into() } else { format!("{directory}/{name}") };
        names.into_iter().map(|name| Ok((name.into(), self.entry(&join(name))?.unwrap()))).collect()
    }

    fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, Error> {
        let content = self.0[path].1.clone();
        let size = content.len() as u64;
        if size > limit { Err(Error::TooLarge { path: path.into(), size, limit }) } else { Ok(content) }
    }

    fn link(&self, path: &str) -> Result<String, Error> {
        Ok(String::from_utf8(self.0[path].1.clone()).unwrap())
    }
}
