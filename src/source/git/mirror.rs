//! A bare mirror of one repository on the local disk. Everything that writes to it holds a lock that
//! other processes respect as well, so that what an earlier process left half done can be told from
//! work in progress.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gix::objs::Kind;
use gix::{ObjectId, ThreadSafeRepository};
use tokio::sync::OwnedMutexGuard;

use crate::source::tree::Tree;

/// A mirror; the files are made when first needed.
pub(super) struct Mirror {
    path: PathBuf,
    /// Held by whoever writes; waiting for it does not occupy the file lock.
    writing: Arc<tokio::sync::Mutex<()>>,
    files: Mutex<Files>,
    /// Whether a `git` may have been killed while it wrote.
    unclean: AtomicBool,
    fetches: AtomicU32,
}

/// The files as far as they are open.
#[derive(Default)]
struct Files {
    repository: Option<ThreadSafeRepository>,
    /// Set when they turn out damaged; trees of files made earlier have a mark of their own.
    suspect: Arc<AtomicBool>,
}

/// The right to write to a mirror.
pub(super) struct Lock {
    pub(super) file: File,
    _writing: OwnedMutexGuard<()>,
}

/// What an abbreviated commit id means.
pub(super) enum Abbreviated {
    Nothing,
    One(String),
    Several,
}

/// How long to wait before trying to lock again.
const PATIENCE: Duration = Duration::from_millis(50);
/// The packs of every so many fetches are put together.
const FETCHES_PER_TIDYING: u32 = 16;

impl Mirror {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            writing: Arc::default(),
            files: Mutex::default(),
            unclean: AtomicBool::new(true),
            fetches: AtomicU32::new(0),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until nobody else writes, neither in this process nor in another.
    pub(super) async fn lock(&self) -> io::Result<Lock> {
        let writing = self.writing.clone().lock_owned().await;
        let file =
            File::options().create(true).append(true).read(true).open(self.path.with_extension("lock"))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock { file, _writing: writing }),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(PATIENCE).await,
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }

    /// Returns the files of a commit, if the mirror is sound and has it.
    pub(super) fn tree(&self, sha: &str) -> Option<Tree> {
        let id = ObjectId::from_hex(sha.as_bytes()).ok()?;
        let (shared, suspect) = self.open()?;
        let Ok(root) = root(&shared, id) else {
            suspect.store(true, Ordering::Relaxed);
            return None;
        };
        Some(Tree::new(shared, root?, suspect))
    }

    /// Looks for commits that begin with `prefix`.
    pub(super) fn abbreviated(&self, prefix: &str) -> Abbreviated {
        let Some((shared, _)) = self.open() else { return Abbreviated::Nothing };
        let repository = shared.to_thread_local();
        let mut found = HashSet::new();
        let Ok(prefix) = gix::hash::Prefix::from_hex(prefix) else { return Abbreviated::Nothing };
        if repository.objects.lookup_prefix(prefix, Some(&mut found)).is_err() {
            return Abbreviated::Nothing;
        }
        let is_commit =
            |id: &ObjectId| repository.find_header(*id).is_ok_and(|header| header.kind() == Kind::Commit);
        let mut commits = found.into_iter().filter(is_commit);
        match (commits.next(), commits.next()) {
            (Some(commit), None) => Abbreviated::One(commit.to_string()),
            (Some(_), Some(_)) => Abbreviated::Several,
            (None, _) => Abbreviated::Nothing,
        }
    }

    /// Says whether the files must be made: they are missing, half made or known to be damaged. Files
    /// that cannot be opened for another reason, such as too many open ones, are left alone.
    pub(super) fn needs_making(&self) -> bool {
        if self.open().is_some() {
            return false;
        }
        let absent = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory];
        File::open(self.path.join("HEAD")).map_or_else(|error| absent.contains(&error.kind()), |_| true)
    }

    /// Removes the files. The caller holds the lock.
    pub(super) fn remove(&self) -> io::Result<()> {
        *self.files() = Files::default();
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes what a killed `git` left behind, and assumes that the one about to start may be killed.
    /// The caller holds the lock, so nobody is at work.
    pub(super) fn begin_writing(&self) -> io::Result<()> {
        if !self.unclean.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        remove_files(&self.path, &|name| name.ends_with(".lock") || name == "gc.pid")?;
        remove_files(&self.path.join("objects/pack"), &|name| name.starts_with("tmp_"))?;
        remove_files_below(&self.path.join("refs"), &|name| name.ends_with(".lock"))
    }

    /// Notes that `git` ended by itself.
    pub(super) fn end_writing(&self) {
        self.unclean.store(false, Ordering::Relaxed);
        self.forget();
    }

    /// Drops the open repository, so that what was fetched is seen.
    pub(super) fn forget(&self) {
        self.files().repository = None;
    }

    /// Counts a fetch and says whether it is time to put packs together.
    pub(super) fn is_due_for_tidying(&self) -> bool {
        (self.fetches.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(FETCHES_PER_TIDYING)
    }

    fn open(&self) -> Option<(ThreadSafeRepository, Arc<AtomicBool>)> {
        let mut files = self.files();
        if files.suspect.load(Ordering::Relaxed) {
            return None;
        }
        if files.repository.is_none() {
            let options = gix::open::Options::isolated().open_path_as_is(true).with(gix::sec::Trust::Full);
            files.repository = options.open(&self.path).ok();
        }
        files.repository.clone().map(|repository| (repository, files.suspect.clone()))
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the tree of a commit or of a tag of one; `None` where the id is unknown or something else.
fn root(repository: &ThreadSafeRepository, id: ObjectId) -> gix::Result<Option<ObjectId>> {
    let repository = repository.to_thread_local();
    let Some(object) = repository.try_find_object(id)? else { return Ok(None) };
    let object = object.peel_tags_to_end()?;
    if object.kind != Kind::Commit {
        return Ok(None);
    }
    let root = object.into_commit().tree_id()?.detach();
    repository.find_header(root)?;
    Ok(Some(root))
}

/// Arguments to make an empty mirror at `path`.
pub(super) fn init(path: &Path) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = words(&["init", "--bare", "--quiet", "--template="]);
    arguments.extend(["--".into(), path.into()]);
    arguments
}

/// Arguments to fetch `refspecs` from `address` into the mirror at `path`.
pub(super) fn fetch(path: &Path, address: &str, refspecs: &[&str]) -> Vec<OsString> {
    let options =
        ["fetch", "--quiet", "--force", "--prune", "--no-tags", "--no-write-fetch-head", "--end-of-options"];
    let mut arguments: Vec<OsString> = vec!["--git-dir".into(), path.into()];
    arguments.extend(words(&options));
    arguments.push(address.into());
    arguments.extend(words(refspecs));
    arguments
}

/// Arguments to put packs together. Nothing is thrown away: commits that no branch has any more may
/// still be deployed.
pub(super) fn tidy(path: &Path) -> Vec<OsString> {
    let settings = [
        "-c",
        "gc.auto=6700",
        "-c",
        "gc.autoPackLimit=16",
        "-c",
        "gc.autoDetach=false",
        "-c",
        "gc.pruneExpire=never",
    ];
    let mut arguments: Vec<OsString> = vec!["--git-dir".into(), path.into()];
    arguments.extend(words(&settings));
    arguments.extend(words(&["gc", "--auto", "--quiet"]));
    arguments
}

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

fn remove_files(directory: &Path, is_leftover: &dyn Fn(&str) -> bool) -> io::Result<()> {
    for entry in entries(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_file() && is_leftover(&entry.file_name().to_string_lossy()) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn remove_files_below(directory: &Path, is_leftover: &dyn Fn(&str) -> bool) -> io::Result<()> {
    remove_files(directory, is_leftover)?;
    for entry in entries(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_files_below(&entry.path(), is_leftover)?;
        }
    }
    Ok(())
}

fn entries(directory: &Path) -> io::Result<impl Iterator<Item = io::Result<fs::DirEntry>>> {
    match fs::read_dir(directory) {
        Ok(entries) => Ok(Some(entries).into_iter().flatten()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None.into_iter().flatten()),
        Err(error) => Err(error),
    }
}
