//! Paths within a repository: symbolic links are followed, but never out of it.

use std::collections::VecDeque;

use super::Error;
use super::tree::{Entry, Kind, Tree};

/// How many symbolic links one path may lead over.
const LINKS: usize = 10;

/// Paths that a rendering depends on, with the ids of what stands there; an empty id says that
/// nothing does.
pub(super) type Read = Vec<(String, String)>;

/// Checks the `path` of a source and returns it in its shortest form; `""` is the root.
pub(super) fn checked(path: &str) -> Result<String, Error> {
    if path.starts_with('/') {
        return Err(Error::AbsolutePath(path.into()));
    }
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                names.pop().ok_or_else(|| Error::OutsideRoot(path.into()))?;
            }
            name => names.push(name),
        }
    }
    Ok(names.join("/"))
}

/// Follows a path to the end and returns where that is; `None` means that there is nothing. Notes each
/// link on the way and the end.
pub(super) fn follow(tree: &dyn Tree, path: &str, read: &mut Read) -> Result<Option<(String, Entry)>, Error> {
    let mut names: VecDeque<String> = path.split('/').map(str::to_owned).collect();
    let mut at: Vec<String> = Vec::new();
    let mut links = 0;
    while let Some(name) = names.pop_front() {
        match name.as_str() {
            "" | "." => continue,
            ".." => {
                at.pop().ok_or_else(|| Error::OutOfBoundsLink(path.into()))?;
                continue;
            }
            _ => at.push(name),
        }
        let here = at.join("/");
        let Some(entry) = tree.entry(&here)? else {
            read.push((here, String::new()));
            return Ok(None);
        };
        match entry.kind {
            Kind::Symlink => {
                links += 1;
                if links > LINKS {
                    return Err(Error::TooManyLinks { path: path.into(), limit: LINKS });
                }
                let target = tree.link(&here)?;
                if target.starts_with('/') {
                    return Err(Error::OutOfBoundsLink(path.into()));
                }
                read.push((here, entry.id));
                at.pop();
                target.split('/').rev().for_each(|name| names.push_front(name.into()));
            }
            Kind::Submodule => return Err(Error::Submodule(path.into())),
            Kind::Directory | Kind::File | Kind::Executable => {}
        }
    }
    let end = at.join("/");
    let Some(entry) = tree.entry(&end)? else { return Ok(None) };
    read.push((end.clone(), entry.id.clone()));
    Ok(Some((end, entry)))
}
