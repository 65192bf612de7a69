//! A Git repository that tests commit to and gitopsd reads from.

use std::{fmt::Write, net::SocketAddr, process::Command};

use tempfile::TempDir;

use super::{
    http,
    program::{program, run},
};

/// A bare repository with the one branch `main`, served over HTTP.
pub(crate) struct Repo {
    parent: TempDir,
    address: SocketAddr,
}

/// What a commit does to one file.
#[derive(Clone, Copy)]
pub(crate) enum Change<'a> {
    /// Makes or replaces the file at this path.
    Put(&'a str, &'a str),
    /// Removes the file at this path.
    Remove(&'a str),
}

impl Repo {
    /// A repository without a commit.
    pub(crate) fn new() -> Self {
        let parent = tempfile::tempdir().expect("a temporary folder");
        let address = http::serve(parent.path().to_owned());
        let repo = Self { parent, address };
        run(git().args(["init", "--quiet", "--bare", "--initial-branch=main"]).arg(repo.path()), b"").out();
        repo
    }

    /// Commits to `main` and returns the commit's SHA.
    pub(crate) fn commit(&self, changes: &[Change]) -> String {
        let mut stream = String::from("commit refs/heads/main\ncommitter e2e <e2e@example.invalid> now\n");
        stream += "data 6\nchange\n";
        if self.head().is_some() {
            stream += "from refs/heads/main^0\n";
        }
        for change in changes {
            match change {
                Change::Put(path, text) => {
                    write!(stream, "M 100644 inline {path}\ndata {}\n{text}\n", text.len())
                }
                Change::Remove(path) => writeln!(stream, "D {path}"),
            }
            .expect("writing to a String");
        }
        run(self.git().args(["fast-import", "--quiet", "--date-format=now"]), stream.as_bytes()).out();
        self.head().expect("a commit was just made")
    }

    /// The address for `spec.source.repoURL`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/repo.git", self.address)
    }

    fn head(&self) -> Option<String> {
        let said = run(self.git().args(["rev-parse", "--verify", "--quiet", "refs/heads/main"]), b"");
        said.ok.then(|| said.out.trim().to_owned())
    }

    fn git(&self) -> Command {
        let mut git = git();
        git.arg("--git-dir").arg(self.path());
        git
    }

    fn path(&self) -> std::path::PathBuf {
        self.parent.path().join("repo.git")
    }
}

/// `git` without anybody's configuration.
pub(super) fn git() -> Command {
    let mut git = program("git");
    git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    git
}
