//! Flags of `gitopsd serve`, each also an environment variable. Nothing else reads the environment.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How `gitopsd serve` runs.
#[derive(Debug, Clone, clap::Args)]
pub struct Serve {
    /// Kubeconfig of the cluster; without it, the service account of the pod
    #[arg(long, env = "GITOPSD_KUBECONFIG", value_name = "FILE", conflicts_with = "embedded")]
    pub kubeconfig: Option<PathBuf>,

    /// Run in a Kubernetes API of this process, for trying out, instead of a cluster
    #[arg(long, env = "GITOPSD_EMBEDDED")]
    pub embedded: bool,

    /// Folder that keeps the embedded cluster; without it, all of it is gone at the end
    #[arg(long, env = "GITOPSD_DATA_DIR", value_name = "DIR", requires = "embedded")]
    pub data_dir: Option<PathBuf>,

    /// Address and port of the embedded cluster's Kubernetes API; by default a free port of this host
    #[arg(long, env = "GITOPSD_KUBERNETES_LISTEN", value_name = "ADDRESS", requires = "embedded")]
    pub kubernetes_listen: Option<SocketAddr>,

    /// Address and port to serve gitops/v1 on [default: [::]:8443; embedded: a free port of this host]
    #[arg(long, env = "GITOPSD_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,

    /// Namespace that gitopsd runs in; it keeps its serving certificate and its lease there
    #[arg(long, env = "GITOPSD_NAMESPACE", value_name = "NAME", default_value = crate::api::names::SYSTEM_NAMESPACE)]
    pub namespace: String,

    /// Folder for Git mirrors; it may be lost at any time [default: /var/cache/gitopsd; embedded: in the
    /// data folder]
    #[arg(long, env = "GITOPSD_CACHE_DIR", value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,

    /// How long a resolved revision is taken as current before Git is asked again
    #[arg(long, env = "GITOPSD_POLL_INTERVAL", value_name = "DURATION", default_value = "2m", value_parser = duration)]
    pub poll_interval: Duration,

    /// How long one call of git may take
    #[arg(long, env = "GITOPSD_GIT_TIMEOUT", value_name = "DURATION", default_value = "90s", value_parser = duration)]
    pub git_timeout: Duration,

    /// How many applications are reconciled side by side
    #[arg(long, env = "GITOPSD_CONCURRENCY", value_name = "COUNT", default_value_t = 16)]
    pub concurrency: u16,

    /// Name of this replica among others; by default the host's name
    #[arg(long, env = "GITOPSD_IDENTITY", value_name = "NAME")]
    pub identity: Option<String>,

    /// What is logged, such as `info` or `gitopsd=debug,warn`
    #[arg(long, env = "GITOPSD_LOG", value_name = "FILTER", default_value = "info")]
    pub log: String,

    /// How log lines are written
    #[arg(long, env = "GITOPSD_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

impl Serve {
    /// The defaults, in an embedded cluster that is gone at the end.
    #[must_use]
    pub fn for_demo() -> Self {
        #[derive(clap::Parser)]
        struct Defaults {
            #[command(flatten)]
            serve: Serve,
        }
        <Defaults as clap::Parser>::parse_from(["gitopsd", "--embedded", "--log=off"]).serve
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Reads a duration such as `90s`, `2m` or a number of seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let parsed =
        crate::engine::operation::duration(text).and_then(|duration| Duration::try_from(duration).ok());
    parsed
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| format!("'{text}' is not a duration like 90s or 2m"))
}

/// Returns the environment of the process, of which Git gets a part.
pub fn environment() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os()
}

/// Whether the user wants no colours, as <https://no-color.org> has it.
#[must_use]
pub fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// Returns the host's name, which in a cluster is the pod's.
#[must_use]
pub fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { format!("gitopsd-{}", std::process::id()) } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_or_are_seconds() {
        let check = |text, seconds| assert_eq!(duration(text), Ok(Duration::from_secs(seconds)));
        check("90s", 90);
        check("2m", 120);
        check("5", 5);
        assert!(duration("0s").is_err() && duration("soon").is_err() && duration("-5s").is_err());
    }
}
