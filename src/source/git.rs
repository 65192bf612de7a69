//! Git repositories: a revision is resolved at the remote, and the files of a commit are read from a
//! bare mirror on the local disk. Transport is the `git` program's; objects are read in this process.
//!
//! Deliberately absent: work trees, submodules, LFS, bounded disk use.

mod error;
mod listing;
mod mirror;
mod program;
mod remote;
mod url;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use self::error::Failure;
use self::listing::{Listing, Revision, Slot};
use self::mirror::{Abbreviated, Lock, Mirror};
use self::program::{Program, Run};
use self::remote::Remote;
use super::tree::Tree;

pub use self::error::Error;
pub use self::remote::{Credentials, Repository, Trust};
pub use self::url::redact;

/// How Git is used.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the mirrors are kept; made if missing, readable by nobody else. Repositories inside it
    /// cannot be named by users.
    pub directory: PathBuf,
    /// The environment of this process. Of it `git` gets `PATH`, `HOME`, the SSH agent and proxies.
    pub environment: Vec<(OsString, OsString)>,
    /// How long a remote may take to tell its refs.
    pub timeout: Duration,
    /// How long a fetch may take.
    pub fetch_timeout: Duration,
    /// How many `git` processes may run at a time.
    pub parallel: usize,
}

impl Settings {
    /// Makes settings with usual limits.
    #[must_use]
    pub fn new(
        directory: impl Into<PathBuf>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Self {
        Self {
            directory: directory.into(),
            environment: environment.into_iter().collect(),
            timeout: Duration::from_mins(1),
            fetch_timeout: Duration::from_mins(10),
            parallel: 8,
        }
    }
}

/// How recent the knowledge of a remote must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// What was learned within this time is good enough.
    AtMost(Duration),
    /// The remote must be asked after the call; callers at the same time share one question.
    Now,
}

/// A commit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Commit {
    /// Its id, 40 hexadecimal digits in lower case.
    pub sha: String,
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sha)
    }
}

/// Every branch and tag, under its own name.
const EVERYTHING: &[&str] = &["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];
/// How many remotes may be remembered before those not in use are forgotten.
const REMEMBERED: usize = 4096;

/// Reads Git repositories. Cheap to clone; clones share mirrors and what is known of remotes.
#[derive(Clone)]
pub struct Git {
    inner: Arc<Inner>,
}

struct Inner {
    program: Program,
    directory: PathBuf,
    timeout: Duration,
    fetch_timeout: Duration,
    slots: Mutex<HashMap<[u8; 32], Arc<Slot>>>,
    mirrors: Mutex<HashMap<PathBuf, Arc<Mirror>>>,
}

impl fmt::Debug for Git {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Git").field("directory", &self.inner.directory).finish_non_exhaustive()
    }
}

impl Git {
    /// Prepares reading; nothing is started or written yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let Settings { directory, environment, timeout, fetch_timeout, parallel } = settings;
        let program = Program::new(directory.clone(), environment, parallel);
        let (slots, mirrors) = (Mutex::default(), Mutex::default());
        Self { inner: Arc::new(Inner { program, directory, timeout, fetch_timeout, slots, mirrors }) }
    }

    /// Finds the commit that `revision` means: empty or `HEAD`, a branch, a tag, a full ref name, a commit
    /// id (taken as it is; [`Git::tree`] tells whether it exists), or at least 7 digits of one.
    pub async fn resolve(
        &self,
        repository: &Repository,
        revision: &str,
        freshness: Freshness,
    ) -> Result<Commit, Error> {
        let asked = Instant::now();
        let remote = self.remote(repository).await?;
        let name = match Revision::parse(revision)? {
            Revision::Commit(sha) => return Ok(Commit { sha }),
            Revision::Name(name) => name,
        };
        let listing = self.listing(&remote, asked, freshness).await?;
        if let Some(sha) = listing.find(name) {
            return Ok(Commit { sha: sha.into() });
        }
        if listing::may_be_abbreviation(name) {
            return self.expand(&remote, name).await;
        }
        if listing.is_empty() && name == "HEAD" {
            return Err(Error::Empty { repository: remote.name() });
        }
        Err(Error::Revision { repository: remote.name(), revision: name.into() })
    }

    /// Returns the files of a commit, fetching it if the mirror lacks it.
    ///
    /// A reader is given only what the remote itself would show with the same credentials, even if the
    /// mirror already has it for others.
    pub async fn tree(&self, repository: &Repository, commit: &Commit) -> Result<Tree, Error> {
        let remote = self.remote(repository).await?;
        if !self.slot(&remote).was_admitted() {
            self.listing(&remote, Instant::now(), Freshness::AtMost(Duration::MAX)).await?;
        }
        let mirror = self.mirror(&remote);
        if let Some(tree) = look_up(&mirror, commit).await {
            return Ok(tree);
        }
        let lock = self.lock(&remote, &mirror).await?;
        let tree = self.tree_by_fetching(&remote, &mirror, &lock, commit).await;
        self.tidy_later(mirror, lock);
        tree
    }

    async fn tree_by_fetching(
        &self,
        remote: &Remote,
        mirror: &Arc<Mirror>,
        lock: &Lock,
        commit: &Commit,
    ) -> Result<Tree, Error> {
        mirror.forget();
        if let Some(tree) = look_up(mirror, commit).await {
            return Ok(tree);
        }
        self.update(remote, mirror, lock, EVERYTHING).await?;
        if let Some(tree) = look_up(mirror, commit).await {
            return Ok(tree);
        }
        let missing = || Error::Commit { repository: remote.name(), sha: commit.sha.clone() };
        match self.fetch(remote, mirror, lock, &[&commit.sha]).await {
            Err(failure) if failure.lacks_object() => return Err(missing()),
            other => other.map_err(|failure| failure.on(remote.name()))?,
        }
        look_up(mirror, commit).await.ok_or_else(missing)
    }

    /// Completes an abbreviated commit id.
    async fn expand(&self, remote: &Remote, prefix: &str) -> Result<Commit, Error> {
        let (repository, revision) = (remote.name(), prefix.to_owned());
        let mirror = self.mirror(remote);
        let find = async || {
            let prefix = prefix.to_owned();
            blocking(&mirror, move |mirror| mirror.abbreviated(&prefix)).await.unwrap_or(Abbreviated::Nothing)
        };
        let mut found = find().await;
        if matches!(found, Abbreviated::Nothing) {
            let lock = self.lock(remote, &mirror).await?;
            self.update(remote, &mirror, &lock, EVERYTHING).await?;
            found = find().await;
        }
        match found {
            Abbreviated::One(sha) => Ok(Commit { sha }),
            Abbreviated::Several => Err(Error::Ambiguous { repository, revision }),
            Abbreviated::Nothing => Err(Error::Revision { repository, revision }),
        }
    }

    /// Fetches into the mirror, which is made first if need be, and made anew if it turns out damaged.
    async fn update(
        &self,
        remote: &Remote,
        mirror: &Arc<Mirror>,
        lock: &Lock,
        refspecs: &[&str],
    ) -> Result<(), Error> {
        let needs_making = blocking(mirror, Mirror::needs_making).await;
        let failed =
            |error: io::Error| Error::Mirror { repository: remote.name(), detail: error.to_string() };
        if needs_making.map_err(failed)? {
            self.make(remote, mirror, lock).await?;
        }
        let outcome = match self.fetch(remote, mirror, lock, refspecs).await {
            Err(failure) if failure.is_damage() => {
                self.make(remote, mirror, lock).await?;
                self.fetch(remote, mirror, lock, refspecs).await
            }
            outcome => outcome,
        };
        outcome.map_err(|failure| failure.on(remote.name()))
    }

    async fn fetch(
        &self,
        remote: &Remote,
        mirror: &Arc<Mirror>,
        lock: &Lock,
        refspecs: &[&str],
    ) -> Result<(), Failure> {
        let begun = blocking(mirror, Mirror::begin_writing).await.flatten();
        begun.map_err(|error| Failure::Start(error.to_string()))?;
        let arguments = mirror::fetch(mirror.path(), &remote.url.address, refspecs);
        let run = Run {
            arguments,
            remote: Some(remote),
            lock: Some(&lock.file),
            timeout: self.inner.fetch_timeout,
        };
        let outcome = self.inner.program.run(run).await;
        if !matches!(outcome, Err(Failure::Timeout(_))) {
            mirror.end_writing();
        }
        outcome.map(drop)
    }

    /// Makes an empty mirror beside the place and moves it there, so that it is whole or absent.
    async fn make(&self, remote: &Remote, mirror: &Arc<Mirror>, lock: &Lock) -> Result<(), Error> {
        let failed =
            |error: io::Error| Error::Mirror { repository: remote.name(), detail: error.to_string() };
        let fresh = mirror.path().with_extension("new");
        blocking(mirror, Mirror::remove).await.flatten().map_err(failed)?;
        // Most often there is nothing; what cannot be removed makes `git init` say why.
        let _ = tokio::fs::remove_dir_all(&fresh).await;
        let run = Run {
            arguments: mirror::init(&fresh),
            remote: None,
            lock: Some(&lock.file),
            timeout: self.inner.timeout,
        };
        self.inner.program.run(run).await.map_err(|failure| failure.on(remote.name()))?;
        tokio::fs::rename(&fresh, mirror.path()).await.map_err(failed)
    }

    /// Puts packs together from time to time, behind the caller's back but under its lock.
    fn tidy_later(&self, mirror: Arc<Mirror>, lock: Lock) {
        if !mirror.is_due_for_tidying() {
            return;
        }
        let git = self.clone();
        tokio::spawn(async move {
            let arguments = mirror::tidy(mirror.path());
            let run =
                Run { arguments, remote: None, lock: Some(&lock.file), timeout: git.inner.fetch_timeout };
            if let Err(failure) = git.inner.program.run(run).await {
                tracing::warn!(mirror = %mirror.path().display(), ?failure, "packs could not be put together");
            }
        });
    }

    async fn lock(&self, remote: &Remote, mirror: &Mirror) -> Result<Lock, Error> {
        let after = self.inner.fetch_timeout;
        match tokio::time::timeout(after, mirror.lock()).await {
            Ok(Ok(lock)) => Ok(lock),
            Ok(Err(error)) => Err(Error::Mirror { repository: remote.name(), detail: error.to_string() }),
            Err(_) => Err(Error::Timeout { repository: remote.name(), after }),
        }
    }

    /// Returns the refs of the remote to a caller who asked at `asked`. Callers at the same time share
    /// one question.
    async fn listing(
        &self,
        remote: &Remote,
        asked: Instant,
        freshness: Freshness,
    ) -> Result<Arc<Listing>, Error> {
        let slot = self.slot(remote);
        if let Some(answer) = slot.usable(asked, freshness) {
            return answer;
        }
        let _asking = slot.asking.lock().await;
        if let Some(answer) = slot.usable(asked, freshness) {
            return answer;
        }
        // Whoever comes in the same moment, as all applications of a pushed repository do, shares the answer.
        tokio::task::yield_now().await;
        let started = Instant::now();
        let answer = self.ask(remote).await.map(Arc::new);
        slot.remember(started, &answer);
        answer
    }

    async fn ask(&self, remote: &Remote) -> Result<Listing, Error> {
        let arguments = ["ls-remote", "--quiet", "--end-of-options", &remote.url.address].map(OsString::from);
        let timeout = self.inner.timeout;
        let run = Run { arguments: arguments.into(), remote: Some(remote), lock: None, timeout };
        let output = self.inner.program.run(run).await.map_err(|failure| failure.on(remote.name()))?;
        Ok(Listing::new(&output))
    }

    /// Checks a repository as the user wrote it. Our own mirrors are out of bounds: reading one by its
    /// path would go around the credentials it was fetched with.
    async fn remote(&self, repository: &Repository) -> Result<Remote, Error> {
        let remote = Remote::new(repository)?;
        if let Some(path) = remote.url.local_path()
            && let (Ok(path), Ok(own)) =
                (tokio::fs::canonicalize(path).await, tokio::fs::canonicalize(&self.inner.directory).await)
            && path.starts_with(own)
        {
            return Err(Error::Url {
                url: remote.name(),
                problem: "it is inside the directory of our mirrors",
            });
        }
        Ok(remote)
    }

    fn slot(&self, remote: &Remote) -> Arc<Slot> {
        let mut slots = self.inner.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() > REMEMBERED {
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        slots.entry(remote.reader()).or_default().clone()
    }

    fn mirror(&self, remote: &Remote) -> Arc<Mirror> {
        let digest = Sha256::digest(&remote.url.key);
        let hash: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        let path = self.inner.directory.join(hash).with_extension("git");
        let mut mirrors = self.inner.mirrors.lock().unwrap_or_else(PoisonError::into_inner);
        mirrors.entry(path.clone()).or_insert_with(|| Arc::new(Mirror::new(path))).clone()
    }
}

/// Does work on the files of a mirror without holding up other tasks.
async fn blocking<T: Send + 'static>(
    mirror: &Arc<Mirror>,
    work: impl FnOnce(&Mirror) -> T + Send + 'static,
) -> io::Result<T> {
    let mirror = mirror.clone();
    tokio::task::spawn_blocking(move || work(&mirror)).await.map_err(io::Error::other)
}

async fn look_up(mirror: &Arc<Mirror>, commit: &Commit) -> Option<Tree> {
    let sha = commit.sha.clone();
    blocking(mirror, move |mirror| mirror.tree(&sha)).await.ok().flatten()
}
