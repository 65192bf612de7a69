//! Git becomes an immutable file tree at a resolved revision
