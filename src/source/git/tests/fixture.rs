//! Repositories in a temporary directory, and a `git` that counts how often it is called.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::source::git::{Git, Repository, Settings};

/// A temporary directory with mirrors, origins and a program `git` of its own.
pub(super) struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    /// The `git` of this place notes its arguments and becomes the real one.
    pub(super) fn new() -> Self {
        let place = Self { directory: tempfile::tempdir().unwrap() };
        fs::create_dir(place.path().join("bin")).unwrap();
        let path = std::env::var_os("PATH").unwrap();
        place.script(&format!("PATH='{}' exec git \"$@\"", path.display()));
        place
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(super) fn mirrors(&self) -> PathBuf {
        self.path().join("mirrors")
    }

    /// Makes `git` do something else, after it noted its arguments.
    pub(super) fn script(&self, script: &str) {
        let path = self.path().join("bin/git");
        let log = self.path().join("log");
        // Scripts need a few more tools than the tests do.
        let text =
            format!("#!/bin/sh\nPATH=$PATH:/usr/bin:/bin\necho \"$@\" >> '{}'\n{script}\n", log.display());
        // Moved into place: a file that is being written cannot be run.
        fs::write(path.with_extension("part"), text).unwrap();
        fs::set_permissions(path.with_extension("part"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(path.with_extension("part"), path).unwrap();
    }

    pub(super) fn settings(&self) -> Settings {
        let inherited = std::env::var_os("PATH").unwrap();
        let path = std::env::join_paths(
            [self.path().join("bin")].into_iter().chain(std::env::split_paths(&inherited)),
        );
        Settings::new(self.mirrors(), [("PATH".into(), path.unwrap())])
    }

    /// What a process of its own would have.
    pub(super) fn reader(&self) -> Git {
        Git::new(self.settings())
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.path().join("log")).unwrap_or_default()
    }

    /// How often `git` was called with a word among its arguments.
    pub(super) fn count(&self, word: &str) -> usize {
        self.log().lines().filter(|line| line.split(' ').any(|argument| argument == word)).count()
    }

    /// The one mirror of this place.
    pub(super) fn mirror(&self) -> PathBuf {
        let mut mirrors = fs::read_dir(self.mirrors()).unwrap().map(|entry| entry.unwrap().path());
        mirrors.find(|path| path.extension() == Some(OsStr::new("git"))).unwrap()
    }

    /// Overwrites an object in the mirror with something else of the same length.
    pub(super) fn spoil(&self, object: &str) {
        let mirror = self.mirror();
        for pack in fs::read_dir(mirror.join("objects/pack")).unwrap() {
            let pack = pack.unwrap().path();
            if pack.extension() == Some(OsStr::new("pack")) {
                fs::rename(&pack, self.path().join("pack")).unwrap();
                for file in ["idx", "rev"] {
                    let _ = fs::remove_file(pack.with_extension(file));
                }
                let input = fs::File::open(self.path().join("pack")).unwrap();
                assert!(
                    self.program(&mirror, &["unpack-objects", "-q"]).stdin(input).status().unwrap().success()
                );
            }
        }
        let loose = mirror.join("objects").join(&object[..2]).join(&object[2..]);
        let length = fs::metadata(&loose).unwrap().len();
        fs::remove_file(&loose).unwrap();
        fs::write(loose, vec![0x5a; usize::try_from(length).unwrap()]).unwrap();
    }

    /// Runs the real `git` in a directory and returns what it says.
    pub(super) fn git(&self, directory: &Path, arguments: &[&str]) -> String {
        let output = self.program(directory, arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn program(&self, directory: &Path, arguments: &[&str]) -> std::process::Command {
        #[expect(clippy::disallowed_methods, reason = "the tests make the repositories that are read")]
        let mut command = std::process::Command::new("git");
        command.current_dir(directory).args(arguments);
        for name in ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"] {
            command.env(name, "tester");
        }
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("HOME", self.path());
        command
    }
}

/// A repository that is read.
pub(super) struct Origin<'a> {
    place: &'a Place,
    path: PathBuf,
}

impl<'a> Origin<'a> {
    /// Makes a repository without commits.
    pub(super) fn new(place: &'a Place, name: &str) -> Self {
        let path = place.path().join(name);
        fs::create_dir(&path).unwrap();
        place.git(&path, &["init", "-q", "-b", "main"]);
        Self { place, path }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn url(&self) -> String {
        format!("file://{}", self.path.display())
    }

    pub(super) fn repository(&self) -> Repository {
        Repository::new(self.url())
    }

    pub(super) fn git(&self, arguments: &[&str]) -> String {
        self.place.git(&self.path, arguments)
    }

    pub(super) fn write(&self, file: &str, content: &str) {
        let path = self.path.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Writes a file, commits everything and returns the id of the commit.
    pub(super) fn commit(&self, file: &str, content: &str) -> String {
        self.write(file, content);
        self.git(&["add", "--all"]);
        self.git(&["commit", "-q", "-m", "change"]);
        self.git(&["rev-parse", "HEAD"])
    }
}
