//! A real cluster, and the people in it.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::OnceLock,
};

use super::program::{Said, program, run};

/// A running cluster of `e2e/cluster`. It ends when this is dropped or the test program ends,
/// however that ends: its supervisor reads from a pipe whose other end is here.
pub(crate) struct Cluster {
    dir: PathBuf,
    supervisor: Child,
}

/// Somebody with a kubeconfig.
pub(crate) struct User {
    kubectl: PathBuf,
    kubeconfig: PathBuf,
    cache: PathBuf,
}

/// A `kubectl` that goes on printing until this is dropped.
pub(crate) struct Followed {
    child: Child,
    lines: BufReader<ChildStdout>,
}

static SHARED: OnceLock<Cluster> = OnceLock::new();

impl Cluster {
    /// The cluster that tests have in common; started by the first that asks.
    pub(crate) fn shared() -> &'static Self {
        SHARED.get_or_init(Self::start)
    }

    /// A cluster of one's own, for tests that would disturb the others.
    pub(crate) fn start() -> Self {
        Self::with("run")
    }

    /// A kube-apiserver without controllers, for what depends on it alone.
    pub(crate) fn without_controllers() -> Self {
        Self::with("api")
    }

    fn with(verb: &str) -> Self {
        let dir =
            tempfile::Builder::new().prefix("gitopsd-e2e-").tempdir().expect("a temporary folder").keep();
        let mut supervisor = script("cluster")
            .arg(verb)
            .arg(&dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("e2e/cluster starts");
        let mut ready = String::new();
        let stdout = supervisor.stdout.take().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut ready).expect("e2e/cluster speaks UTF-8");
        assert!(!ready.is_empty(), "e2e/cluster did not start; it says above why");
        Self { dir, supervisor }
    }

    /// Where everything of this cluster lies.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Somebody who may do everything.
    pub(crate) fn admin(&self) -> User {
        self.holder("admin", self.dir.join("kubeconfig"))
    }

    /// Somebody whose client certificate names these groups, and who has no rights yet.
    pub(crate) fn user(&self, name: &str, groups: &[&str]) -> User {
        let made = run(script("cluster").arg("user").arg(&self.dir).arg(name).args(groups), b"");
        self.holder(name, PathBuf::from(made.out().trim()))
    }

    fn holder(&self, name: &str, kubeconfig: PathBuf) -> User {
        User {
            kubectl: self.dir.join("bin/kubectl"),
            kubeconfig,
            cache: self.dir.join("kubectl-cache").join(name),
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        let _ = self.supervisor.wait(); // nothing to do about it any more
    }
}

impl User {
    /// Runs `kubectl` with arguments that contain no spaces.
    pub(crate) fn kubectl(&self, arguments: &str) -> Said {
        self.kubectl_with(arguments, "")
    }

    /// The same with a standard input, for `apply -f -` and its like.
    pub(crate) fn kubectl_with(&self, arguments: &str, input: &str) -> Said {
        run(&mut self.command(arguments), input.as_bytes())
    }

    /// The same for `edit`, with what edits the file.
    pub(crate) fn kubectl_edit(&self, arguments: &str, editor: &str) -> Said {
        run(self.command(arguments).env("KUBE_EDITOR", editor), b"")
    }

    /// Starts `kubectl` and reads what it prints line by line, for `get --watch`.
    pub(crate) fn follow(&self, arguments: &str) -> Followed {
        let mut command = self.command(arguments);
        let mut child =
            command.arg("--request-timeout=60s").stdout(Stdio::piped()).spawn().expect("kubectl starts");
        let lines = BufReader::new(child.stdout.take().expect("stdout is piped"));
        Followed { child, lines }
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = program(&self.kubectl);
        command.env("KUBECONFIG", &self.kubeconfig).env("KUBECACHEDIR", &self.cache);
        command.args(arguments.split_whitespace());
        command
    }

    /// One object or list as JSON; the arguments follow `kubectl get`.
    #[track_caller]
    pub(crate) fn get(&self, arguments: &str) -> serde_json::Value {
        let text = self.kubectl(&format!("get -o json {arguments}")).out();
        serde_json::from_str(&text).expect("kubectl prints JSON")
    }
}

impl Followed {
    /// Reads on to the next line that contains all of `words`.
    #[track_caller]
    pub(crate) fn until(&mut self, words: &[&str]) -> String {
        let mut seen = String::new();
        loop {
            let start = seen.len();
            let more = self.lines.read_line(&mut seen).expect("kubectl speaks UTF-8");
            let line = &seen[start..];
            if words.iter().all(|word| line.contains(word)) {
                return line.to_owned();
            }
            assert!(more > 0, "no line has {words:?}, but\n{seen}");
        }
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended by itself
        let _ = self.child.wait();
    }
}

/// A script of `e2e/`.
pub(super) fn script(name: &str) -> Command {
    program(Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e").join(name))
}

/// The end of gitopsd's log in the shared cluster, for the message of a test that fails.
pub(super) fn last_words() -> String {
    let Some(cluster) = SHARED.get() else { return String::new() };
    let log = fs::read_to_string(cluster.dir.join("logs/gitopsd.log")).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
