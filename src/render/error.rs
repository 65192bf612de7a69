//! Why a source cannot be rendered. The texts become conditions that users read.

use super::tree;

/// What failed on which path. Paths are relative to the root of the repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// `path` begins with a slash.
    #[error("{0}: app path is absolute")]
    AbsolutePath(String),
    /// `path` leads out of the repository.
    #[error("{0}: app path outside root")]
    OutsideRoot(String),
    /// There is nothing at `path`.
    #[error("{0}: app path does not exist")]
    MissingPath(String),
    /// A file stands at `path`.
    #[error("{0}: app path is not a directory")]
    NotADirectory(String),
    /// The files are those of another repository.
    #[error("{0}: it is in a Git submodule, and submodules are not fetched by this version")]
    Submodule(String),
    /// A symbolic link leads out of the repository.
    #[error("repository contains out-of-bounds symlinks. file: {0}")]
    OutOfBoundsLink(String),
    /// Symbolic links lead to one another without end.
    #[error("{path}: it leads over more than {limit} symbolic links")]
    TooManyLinks {
        /// The path that was followed.
        path: String,
        /// How many are followed.
        limit: usize,
    },
    /// The source names several tools.
    #[error("multiple application sources defined: {0}")]
    SeveralTools(String),
    /// The source needs a tool that this version lacks.
    #[error("{path}: {what} are not rendered by this version")]
    Unsupported {
        /// The path or chart.
        path: String,
        /// What it holds, in the plural.
        what: &'static str,
    },
    /// `directory.include` or `directory.exclude` is malformed.
    #[error("directory.{field} `{glob}` is not a glob: {detail}")]
    Glob {
        /// `include` or `exclude`.
        field: &'static str,
        /// The glob as the user wrote it.
        glob: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The files are too large together.
    #[error(
        "{path}: exceeded max combined manifest file size of {limit} bytes; leave files out with directory.exclude"
    )]
    TooLarge {
        /// The path of the source.
        path: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// There are too many objects, or they take too much memory.
    #[error("{path}: the files hold more than {limit} {of}; split the application")]
    TooMuch {
        /// The path of the source.
        path: String,
        /// The limit.
        limit: usize,
        /// What there is too much of.
        of: &'static str,
    },
    /// A file cannot be read as manifests.
    #[error("{file}: {detail}")]
    File {
        /// The file.
        file: String,
        /// Where in it and what is wrong.
        detail: String,
    },
    /// The file tree failed.
    #[error(transparent)]
    Tree(#[from] tree::Error),
}
