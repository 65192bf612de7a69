//! a file tree and a source spec become manifests
