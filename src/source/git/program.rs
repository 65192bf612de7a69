//! Runs the `git` program: with an environment of our own, no prompts, no hooks, no configuration but
//! ours, a limit on time and output, and nothing left running behind.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::sync::{OnceCell, Semaphore};

use super::error::Failure;
use super::remote::{Access, Remote};

/// How much of its standard output and standard error is taken.
const OUTPUT: u64 = 256 << 20;
const ERRORS: u64 = 64 << 10;

/// Settings that hold for every run.
const SETTINGS: &[(&str, &str)] = &[
    ("core.hooksPath", "/dev/null"),
    ("core.askPass", ""),
    ("core.fsmonitor", "false"),
    ("credential.helper", ""),
    ("fetch.recurseSubmodules", "false"),
    ("fetch.writeCommitGraph", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("http.lowSpeedLimit", "1"),
    ("http.lowSpeedTime", "60"),
    ("protocol.version", "2"),
];

/// Git refuses repositories of other users unless a configuration file allows it; the environment
/// is not asked, because the process at the far end of a local connection does not inherit it.
const LOCAL_SETTINGS: &str = "[safe]\n\tdirectory = *\n";

/// The `git` program, as this process uses it.
pub(super) struct Program {
    directory: PathBuf,
    environment: Vec<(OsString, OsString)>,
    permits: Semaphore,
    prepared: OnceCell<()>,
}

/// One run.
pub(super) struct Run<'a> {
    pub(super) arguments: Vec<OsString>,
    /// The repository it talks to, if it does.
    pub(super) remote: Option<&'a Remote>,
    /// A locked file that `git` inherits, so that it stays locked while `git` runs even if we are killed.
    pub(super) lock: Option<&'a File>,
    pub(super) timeout: Duration,
}

impl Program {
    /// `environment` is the environment of this process, of which only what `git` and `ssh` need is
    /// passed on. At most `parallel` runs go on at a time.
    pub(super) fn new(directory: PathBuf, environment: Vec<(OsString, OsString)>, parallel: usize) -> Self {
        let environment = environment.into_iter().filter(|(name, _)| is_passed_on(name)).collect();
        Self { directory, environment, permits: Semaphore::new(parallel), prepared: OnceCell::new() }
    }

    /// Runs `git` and returns its standard output. Dropping the future ends it.
    pub(super) async fn run(&self, run: Run<'_>) -> Result<Vec<u8>, Failure> {
        self.prepared.get_or_try_init(|| prepare(&self.directory)).await.map_err(|error| start(&error))?;
        let _permit = self.permits.acquire().await.map_err(|error| start(&error))?;
        let access = match run.remote {
            Some(remote) => remote.access(&self.directory).map_err(|error| start(&error))?,
            None => Access::default(),
        };
        let timeout = run.timeout;
        let redact = |text: String| run.remote.map_or(text.clone(), |remote| remote.redact(&text));
        let mut command = self.command(&run, &access).map_err(|error| start(&error))?;
        let child = command.spawn().map_err(|error| start(&error))?;
        match tokio::time::timeout(timeout, finish(child)).await {
            Ok(Ok((true, output, _))) => Ok(output),
            Ok(Ok((false, _, errors))) => Err(Failure::Said(redact(errors))),
            Ok(Err(error)) => Err(start(&error)),
            Err(_) => Err(Failure::Timeout(timeout)),
        }
    }

    fn command(&self, run: &Run<'_>, access: &Access) -> std::io::Result<Command> {
        #[expect(clippy::disallowed_methods, reason = "the one place that starts `git`")]
        let mut command = Command::new("git");
        let input = match run.lock {
            Some(lock) => Stdio::from(lock.try_clone()?),
            None => Stdio::null(),
        };
        command.args(&run.arguments).current_dir(&self.directory).env_clear();
        command.env("HOME", &self.directory);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.envs([
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_ALLOW_PROTOCOL", "file:git:http:https:ssh"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_ATTR_NOSYSTEM", "1"),
            ("GIT_NO_REPLACE_OBJECTS", "1"),
            ("GIT_OPTIONAL_LOCKS", "0"),
            ("LC_ALL", "C"),
        ]);
        command.env("GIT_CONFIG_GLOBAL", self.directory.join("gitconfig"));
        command.env("GIT_CEILING_DIRECTORIES", self.directory.parent().unwrap_or(Path::new("/")));
        command.envs(access.environment.iter().map(|(name, value)| (*name, value)));
        let own = SETTINGS.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let settings: Vec<_> = own.chain(access.settings.iter().cloned()).collect();
        command.env("GIT_CONFIG_COUNT", settings.len().to_string());
        for (index, (key, value)) in settings.into_iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{index}"), key);
            command.env(format!("GIT_CONFIG_VALUE_{index}"), value);
        }
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        Ok(command)
    }
}

/// Makes the directory of the mirrors, readable by nobody else.
async fn prepare(directory: &Path) -> std::io::Result<()> {
    tokio::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).await?;
    tokio::fs::write(directory.join("gitconfig"), LOCAL_SETTINGS).await
}

fn is_passed_on(name: &OsStr) -> bool {
    const EXACT: &[&str] = &["PATH", "HOME", "SSH_AUTH_SOCK", "SSH_AGENT_PID"];
    const PROXIES: &[&str] = &["http_proxy", "https_proxy", "all_proxy", "no_proxy"];
    let name = name.to_string_lossy();
    EXACT.contains(&&*name) || PROXIES.contains(&name.to_ascii_lowercase().as_str())
}

fn start(error: &dyn std::fmt::Display) -> Failure {
    Failure::Start(format!("it could not be run: {error}"))
}

/// Kills the process group of `git` unless it ended by itself: `git` starts helpers that would go on.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It fails only when nobody of the group is left.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Waits for the end and returns whether it succeeded, its output and its errors.
async fn finish(mut child: Child) -> std::io::Result<(bool, Vec<u8>, String)> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    // Declared after the child: dropped before it, so the group is killed before its id is free again.
    let mut group = Group(id);
    let (output, errors) = tokio::try_join!(take(stdout, OUTPUT), take(stderr, ERRORS))?;
    let status = child.wait().await?;
    group.0 = None;
    if output.len() as u64 > OUTPUT {
        return Err(std::io::Error::other("it wrote more than is read"));
    }
    Ok((status.success(), output, String::from_utf8_lossy(&errors).into_owned()))
}

/// Reads a little more than `limit` bytes and drops the rest.
async fn take(stream: Option<impl AsyncRead + Unpin>, limit: u64) -> std::io::Result<Vec<u8>> {
    let Some(mut stream) = stream else { return Ok(Vec::new()) };
    let mut taken = Vec::new();
    (&mut stream).take(limit + 1).read_to_end(&mut taken).await?;
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
    Ok(taken)
}
