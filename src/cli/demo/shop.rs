//! The example that the demo deploys: a Git repository with a web shop, and the change to it.

use std::io;
use std::path::{Path, PathBuf};

/// A web server with its configuration, a hook that runs before each sync, and two waves around it.
const FILES: [(&str, &str); 3] = [
    ("config.yaml", include_str!("shop/config.yaml")),
    ("migrate.yaml", include_str!("shop/migrate.yaml")),
    ("web.yaml", include_str!("shop/web.yaml")),
];

/// A Git repository on the local disk.
pub(super) struct Repository {
    dir: PathBuf,
}

impl Repository {
    /// Makes the repository with a first commit.
    pub(super) fn create(dir: PathBuf) -> Result<Self, String> {
        let failed = |error: io::Error| format!("cannot write {}: {error}", dir.display());
        std::fs::create_dir_all(&dir).map_err(failed)?;
        for (name, text) in FILES {
            std::fs::write(dir.join(name), text).map_err(failed)?;
        }
        let repository = Self { dir };
        repository.git(&["init", "--quiet", "--initial-branch=main"])?;
        repository.commit("A web shop")?;
        Ok(repository)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.dir
    }

    /// Replaces text in a file; both have to be there.
    pub(super) fn replace(&self, name: &str, old: &str, new: &str) -> Result<(), String> {
        let path = self.dir.join(name);
        let failed = |error: io::Error| format!("cannot change {}: {error}", path.display());
        let text = std::fs::read_to_string(&path).map_err(failed)?;
        if !text.contains(old) {
            return Err(format!("cannot change {}: it has no '{old}'", path.display()));
        }
        std::fs::write(&path, text.replace(old, new)).map_err(failed)
    }

    /// Commits everything.
    pub(super) fn commit(&self, message: &str) -> Result<(), String> {
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--message", message]).map(drop)
    }

    /// Returns the id of the last commit.
    pub(super) fn commit_id(&self) -> Result<String, String> {
        self.git(&["rev-parse", "HEAD"])
    }

    fn git(&self, arguments: &[&str]) -> Result<String, String> {
        #[expect(clippy::disallowed_methods, reason = "the demo plays the user, who commits with git")]
        let mut command = std::process::Command::new("git");
        command.current_dir(&self.dir).args(arguments);
        // The user's own settings (signing, hooks, templates) have no place here.
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "demo");
            command.env(format!("GIT_{role}_EMAIL"), "demo@example.com");
        }
        let output =
            command.output().map_err(|error| format!("cannot run git: {error}; is it installed?"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("git {} failed: {}", arguments.join(" "), said.trim()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_has_two_commits_after_a_change() {
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::create(dir.path().join("shop")).unwrap();
        repository.replace("config.yaml", "Hello", "Good day").unwrap();
        repository.commit("Greet politely").unwrap();
        assert_eq!(repository.git(&["rev-list", "--count", "HEAD"]).unwrap(), "2");
        assert!(repository.replace("config.yaml", "Hello", "Hi").unwrap_err().contains("has no 'Hello'"));
    }
}
