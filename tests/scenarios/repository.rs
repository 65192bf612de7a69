//! The Git repository of a scenario.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A repository on the local disk.
pub(crate) struct Repository {
    dir: PathBuf,
    /// Names of commits, by id: `commit 1`, `commit 2`, …
    commits: BTreeMap<String, String>,
}

impl Repository {
    pub(crate) fn create(dir: PathBuf) -> Self {
        std::fs::create_dir(&dir).expect("a new folder");
        let repository = Self { dir, commits: BTreeMap::new() };
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository
    }

    pub(crate) fn url(&self) -> String {
        format!("file://{}", self.dir.display())
    }

    /// Commits files; those without text are removed.
    pub(crate) fn commit(&mut self, files: &[(String, Option<String>)]) {
        for (path, text) in files {
            let path = self.dir.join(path);
            match text {
                Some(text) => {
                    std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).expect("a folder");
                    std::fs::write(path, text).expect("a file");
                }
                None => std::fs::remove_file(path).expect("a file of an earlier commit"),
            }
        }
        self.git(&["add", "--all"]);
        let number = self.commits.len() + 1;
        self.git(&["commit", "--quiet", "--allow-empty", "--message", &format!("commit {number}")]);
        let id = self.git(&["rev-parse", "HEAD"]);
        self.commits.insert(id, format!("commit {number}"));
    }

    /// The same text with commits and the repository under names that do not change.
    pub(crate) fn named(&self, text: &str) -> String {
        let mut text = text.replace(&self.url(), "REPOSITORY");
        for (id, name) in &self.commits {
            text = text.replace(id, name).replace(&id[..7], name);
        }
        text
    }

    /// The opposite of `named`, for what a script says.
    pub(crate) fn meant(&self, text: &str) -> String {
        let mut text = text.replace("REPOSITORY", &self.url());
        for (id, name) in &self.commits {
            text = text.replace(&name.replace(' ', "-"), id);
        }
        text
    }

    fn git(&self, arguments: &[&str]) -> String {
        #[expect(clippy::disallowed_methods, reason = "a scenario plays the user, who commits with git")]
        let mut command = Command::new("git");
        command.current_dir(&self.dir).args(arguments);
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        for role in ["AUTHOR", "COMMITTER"] {
            // The same commits have the same ids in every run.
            command
                .env(format!("GIT_{role}_NAME"), "user")
                .env(format!("GIT_{role}_EMAIL"), "user@example.com");
            command.env(format!("GIT_{role}_DATE"), "2026-01-01T00:00:00Z");
        }
        let output = command.output().expect("git is installed");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}
