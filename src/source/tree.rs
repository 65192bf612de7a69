//! The files of one commit, read straight from the objects of a bare mirror; there is no work tree.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gix::objs::tree::EntryKind;
use gix::{ObjectId, ThreadSafeRepository};

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A file.
    File,
    /// A file with the executable bit.
    Executable,
    /// A directory.
    Directory,
    /// A symbolic link; it is not followed.
    Symlink,
    /// A commit of another repository, whose files are not here.
    Submodule,
}

/// One entry of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Git's identity of its content: equal ids mean equal content, also across commits. Hexadecimal.
    pub id: String,
}

/// Why something cannot be read from a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is nothing at the path.
    #[error("`{0}` does not exist")]
    Missing(String),
    /// Something else stands at the path.
    #[error("`{path}` is not a {expected}")]
    WrongKind {
        /// The path.
        path: String,
        /// `file`, `directory` or `symbolic link`.
        expected: &'static str,
    },
    /// The file is larger than the caller allows.
    #[error("`{path}` has {size} bytes, and at most {limit} are read")]
    TooLarge {
        /// The path.
        path: String,
        /// Size in bytes.
        size: u64,
        /// What the caller allows, in bytes.
        limit: u64,
    },
    /// The mirror is damaged; it is made anew when a tree is next asked for.
    #[error("`{path}` cannot be read from the local mirror, which will be made anew: {detail}")]
    Damaged {
        /// The path.
        path: String,
        /// What is wrong with it.
        detail: String,
    },
}

type Listed = Arc<Vec<(String, Entry)>>;

/// An immutable view of one commit. Cheap to clone, and usable from any thread.
///
/// Paths are relative to the root of the repository, with `/` between names; `""` is the root. They
/// are taken literally: symbolic links and `..` are not followed. All methods read from disk and
/// block; async code calls them from a thread for blocking work.
#[derive(Clone)]
pub struct Tree {
    inner: Arc<Inner>,
}

struct Inner {
    repository: ThreadSafeRepository,
    root: ObjectId,
    /// Set when reading fails, so that the mirror is made anew.
    suspect: Arc<AtomicBool>,
    /// The directory read last: walks ask for one file of a directory after the other.
    last: Mutex<Option<(String, Listed)>>,
}

impl std::fmt::Debug for Tree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tree").field("root", &self.inner.root).finish_non_exhaustive()
    }
}

impl Tree {
    pub(super) fn new(repository: ThreadSafeRepository, root: ObjectId, suspect: Arc<AtomicBool>) -> Self {
        Self { inner: Arc::new(Inner { repository, root, suspect, last: Mutex::new(None) }) }
    }

    /// Returns the identity of the whole tree.
    #[must_use]
    pub fn id(&self) -> String {
        self.inner.root.to_string()
    }

    /// Looks a path up; `None` means that there is nothing.
    pub fn entry(&self, path: &str) -> Result<Option<Entry>, Error> {
        let Some(path) = clean(path) else { return Ok(None) };
        if path.is_empty() {
            return Ok(Some(Entry { kind: Kind::Directory, id: self.id() }));
        }
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", &path));
        match self.directory(parent) {
            Ok(entries) => Ok(find(&entries, name).cloned()),
            Err(Error::Missing(_) | Error::WrongKind { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lists a directory, sorted by name.
    pub fn list(&self, directory: &str) -> Result<Vec<(String, Entry)>, Error> {
        let path = clean(directory).ok_or_else(|| Error::Missing(directory.into()))?;
        self.directory(&path).map(|entries| entries.to_vec())
    }

    /// Returns the size of a file in bytes, without reading it.
    pub fn size(&self, path: &str) -> Result<u64, Error> {
        let id = self.object(path, "file", |kind| matches!(kind, Kind::File | Kind::Executable))?;
        self.size_of(path, id)
    }

    /// Reads a file of at most `limit` bytes.
    pub fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, Error> {
        let id = self.object(path, "file", |kind| matches!(kind, Kind::File | Kind::Executable))?;
        let size = self.size_of(path, id)?;
        if size > limit {
            return Err(Error::TooLarge { path: path.into(), size, limit });
        }
        self.data(path, id)
    }

    /// Returns what a symbolic link points to, as it is written.
    pub fn link(&self, path: &str) -> Result<String, Error> {
        let id = self.object(path, "symbolic link", |kind| kind == Kind::Symlink)?;
        self.data(path, id).map(|target| String::from_utf8_lossy(&target).into_owned())
    }

    fn object(
        &self,
        path: &str,
        expected: &'static str,
        fits: impl Fn(Kind) -> bool,
    ) -> Result<ObjectId, Error> {
        let entry = self.entry(path)?.ok_or_else(|| Error::Missing(path.into()))?;
        if !fits(entry.kind) {
            return Err(Error::WrongKind { path: path.into(), expected });
        }
        ObjectId::from_hex(entry.id.as_bytes()).map_err(|error| self.damaged(path, &error))
    }

    fn size_of(&self, path: &str, id: ObjectId) -> Result<u64, Error> {
        let repository = self.inner.repository.to_thread_local();
        repository.find_header(id).map(|header| header.size()).map_err(|error| self.damaged(path, &error))
    }

    fn data(&self, path: &str, id: ObjectId) -> Result<Vec<u8>, Error> {
        let repository = self.inner.repository.to_thread_local();
        let object = repository.find_object(id).map_err(|error| self.damaged(path, &error))?;
        Ok(object.detach().data)
    }

    /// Reads a directory whose path is clean.
    fn directory(&self, path: &str) -> Result<Listed, Error> {
        let last = || self.inner.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, entries)) = &*last()
            && known == path
        {
            return Ok(entries.clone());
        }
        let id = self.object(path, "directory", |kind| kind == Kind::Directory)?;
        let entries: Listed = Arc::new(self.decode(path, id)?);
        *last() = Some((path.into(), entries.clone()));
        Ok(entries)
    }

    fn decode(&self, path: &str, id: ObjectId) -> Result<Vec<(String, Entry)>, Error> {
        let repository = self.inner.repository.to_thread_local();
        let tree = repository.find_tree(id).map_err(|error| self.damaged(path, &error))?;
        let mut entries = Vec::new();
        for item in tree.iter() {
            let item = item.map_err(|error| self.damaged(path, &error))?;
            let entry = Entry { kind: kind(item.kind()), id: item.object_id().to_string() };
            entries.push((item.filename().to_string(), entry));
        }
        // Git sorts a directory as if its name ended with a slash.
        entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Ok(entries)
    }

    fn damaged(&self, path: &str, error: &dyn std::fmt::Display) -> Error {
        self.inner.suspect.store(true, Ordering::Relaxed);
        Error::Damaged { path: path.into(), detail: error.to_string() }
    }
}

fn kind(kind: EntryKind) -> Kind {
    match kind {
        EntryKind::Tree => Kind::Directory,
        EntryKind::Blob => Kind::File,
        EntryKind::BlobExecutable => Kind::Executable,
        EntryKind::Link => Kind::Symlink,
        EntryKind::Commit => Kind::Submodule,
    }
}

fn find<'a>(entries: &'a [(String, Entry)], name: &str) -> Option<&'a Entry> {
    let at = entries.binary_search_by(|(known, _)| known.as_str().cmp(name)).ok()?;
    Some(&entries[at].1)
}

/// Drops `.` and empty names; `None` where a name is `..`.
fn clean(path: &str) -> Option<String> {
    let names: Vec<&str> = path.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
    (!names.contains(&"..")).then(|| names.join("/"))
}
