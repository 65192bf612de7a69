//! YAML as Kubernetes tools read it: a stream of documents becomes JSON values, with the scalars of
//! YAML 1.1 as `sigs.k8s.io/yaml` (used by kubectl and Argo CD) resolves them.
//!
//! Not here: what a document means (`Manifest`) and how large it may be (the caller knows).

mod load;
mod scalar;
mod text;

#[cfg(test)]
mod tests;

use std::fmt;

use serde_json::Value;

pub use load::Documents;
pub use text::text;

/// One document of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Line on which its content starts, counted from 1.
    pub line: usize,
    /// Its content; never null, because empty documents are passed over.
    pub value: Value,
    /// Roughly how many bytes of memory the content takes, aliases expanded.
    pub memory: usize,
}

/// Why a text cannot be read, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Line, counted from 1.
    pub line: usize,
    /// Column, counted from 1 in characters.
    pub column: usize,
    /// What is wrong, lower case, without the position.
    pub message: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for Error {}

/// Reads every document of `bytes`, which may be UTF-8 or, with a byte order mark, UTF-16.
/// Empty documents are left out; of duplicate keys the last one wins.
///
/// Aliases may expand to a bounded size and values may be nested to a bounded depth, beyond which
/// reading fails; it takes time linear in the size of the text.
pub fn documents(bytes: &[u8]) -> Result<Vec<Value>, Error> {
    read(&text(bytes)?).map(|document| Ok(document?.value)).collect()
}

/// Reads the documents of `text` one after the other; the first error ends the iteration.
#[must_use]
pub fn read(text: &str) -> Documents<'_> {
    Documents::new(text)
}
