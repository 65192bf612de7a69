//! What rendering needs of a file tree. `source::tree::Tree` has the same shape; the controller joins
//! the two, so that rendering knows no Git.

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A file.
    File,
    /// A file with the executable bit.
    Executable,
    /// A directory.
    Directory,
    /// A symbolic link; the tree does not follow it.
    Symlink,
    /// A commit of another repository, whose files are not here.
    Submodule,
}

/// One entry of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Identity of its content: equal ids mean equal content.
    pub id: String,
}

/// Why something cannot be read from a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
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
    /// Anything else, told in full.
    #[error("{0}")]
    Other(String),
}

/// An immutable file tree. Paths are relative to its root, with `/` between names; `""` is the root.
/// They are taken literally: symbolic links and `..` are not followed.
pub trait Tree {
    /// Looks a path up; `None` means that there is nothing.
    fn entry(&self, path: &str) -> Result<Option<Entry>, Error>;
    /// Lists a directory, sorted by name.
    fn list(&self, directory: &str) -> Result<Vec<(String, Entry)>, Error>;
    /// Reads a file of at most `limit` bytes.
    fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, Error>;
    /// Returns what a symbolic link points to, as it is written.
    fn link(&self, path: &str) -> Result<String, Error>;
}
