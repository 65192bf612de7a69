//! Joins what `source` reads to what `render` asks for; the two rooms do not know each other.

use crate::render::tree::{Entry, Error, Kind, Tree};
use crate::source::tree::{self as source, Tree as Commit};

impl Tree for Commit {
    fn entry(&self, path: &str) -> Result<Option<Entry>, Error> {
        Ok(Self::entry(self, path).map_err(error)?.map(entry))
    }

    fn list(&self, directory: &str) -> Result<Vec<(String, Entry)>, Error> {
        let entries = Self::list(self, directory).map_err(error)?;
        Ok(entries.into_iter().map(|(name, found)| (name, entry(found))).collect())
    }

    fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, Error> {
        Self::read(self, path, limit).map_err(error)
    }

    fn link(&self, path: &str) -> Result<String, Error> {
        Self::link(self, path).map_err(error)
    }
}

fn entry(found: source::Entry) -> Entry {
    let source::Entry { kind, id } = found;
    let kind = match kind {
        source::Kind::File => Kind::File,
        source::Kind::Executable => Kind::Executable,
        source::Kind::Directory => Kind::Directory,
        source::Kind::Symlink => Kind::Symlink,
        source::Kind::Submodule => Kind::Submodule,
    };
    Entry { kind, id }
}

fn error(error: source::Error) -> Error {
    match error {
        source::Error::TooLarge { path, size, limit } => Error::TooLarge { path, size, limit },
        other => Error::Other(other.to_string()),
    }
}
