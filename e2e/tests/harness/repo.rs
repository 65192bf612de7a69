//! A Git repository that tests commit to and gitopsd reads from.

use std::{
    fmt::Write,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use tempfile::TempDir;

use super::{
    http::{self, Door},
    program::{program, run},
};

/// A bare repository with the one branch `main`, served over HTTP.
pub(crate) struct Repo {
    parent: TempDir,
    address: SocketAddr,
    door: Arc<Door>,
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
        Self::behind(Door::default())
    }

    /// The same for those who know a password.
    pub(crate) fn locked(user: &str, password: &str) -> Self {
        Self::behind(Door::locked(user, password))
    }

    fn behind(door: Door) -> Self {
        let parent = tempfile::tempdir().expect("a temporary folder");
        let door = Arc::new(door);
        let address = http::serve(parent.path().to_owned(), Arc::clone(&door));
        let repo = Self { parent, address, door };
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

    /// Commits all files of a folder of `e2e/samples`, at the same path.
    pub(crate) fn commit_sample(&self, folder: &str) -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/samples");
        let mut files = Vec::new();
        collect(&root.join(folder), &mut files);
        let texts: Vec<_> = files
            .iter()
            .map(|file| {
                let path = file.strip_prefix(&root).expect("it was found below");
                (
                    path.to_str().expect("samples have plain names"),
                    fs::read_to_string(file).expect("it is a text"),
                )
            })
            .collect();
        let changes: Vec<_> = texts.iter().map(|(path, text)| Change::Put(path, text)).collect();
        self.commit(&changes)
    }

    /// Names a commit in another way.
    pub(crate) fn tag(&self, name: &str, commit: &str) {
        run(self.git().args(["tag", name, commit]), b"").out();
    }

    /// The server hangs up on everybody.
    pub(crate) fn unplug(&self) {
        self.door.close(true);
    }

    /// The server answers again.
    pub(crate) fn plug_in(&self) {
        self.door.close(false);
    }

    /// The server no longer knows the repository.
    pub(crate) fn hide(&self) {
        fs::rename(self.path(), self.hiding_place()).expect("the repository is there");
    }

    /// The repository is back.
    pub(crate) fn show(&self) {
        fs::rename(self.hiding_place(), self.path()).expect("the repository was hidden");
    }

    fn hiding_place(&self) -> PathBuf {
        self.parent.path().join("hidden")
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

    /// Where it lies.
    pub(crate) fn path(&self) -> PathBuf {
        self.parent.path().join("repo.git")
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}

/// `git` without anybody's configuration.
pub(super) fn git() -> Command {
    let mut git = program("git");
    git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    git
}
