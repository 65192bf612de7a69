//! Why Git did not give us what was asked, told so that a user knows what to do. `repository` is
//! always a URL without secrets.

use std::time::Duration;

/// What failed on which repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The URL is malformed or of a kind that is not allowed.
    #[error("the repository URL `{url}` cannot be used: {problem}")]
    Url {
        /// The URL without secrets.
        url: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The credentials do not fit the repository.
    #[error("the credentials for {repository} cannot be used: {problem}")]
    Credentials {
        /// The repository.
        repository: String,
        /// What is wrong with them.
        problem: &'static str,
    },
    /// The server knows no such repository, or does not show it to us.
    #[error(
        "repository {repository} does not exist, or needs credentials to be seen; check repoURL and credentials"
    )]
    NotFound {
        /// The repository.
        repository: String,
    },
    /// The server wants other credentials than it got.
    #[error("repository {repository} refuses access; give credentials that may read it ({detail})")]
    Unauthenticated {
        /// The repository.
        repository: String,
        /// What Git said.
        detail: String,
    },
    /// The server is not the one it should be: its SSH host key or TLS certificate is not trusted.
    #[error("the server of {repository} is not trusted; check its certificate or host key ({detail})")]
    Untrusted {
        /// The repository.
        repository: String,
        /// What Git said.
        detail: String,
    },
    /// The server could not be reached.
    #[error("repository {repository} cannot be reached: {detail}")]
    Network {
        /// The repository.
        repository: String,
        /// What Git said.
        detail: String,
    },
    /// Git took too long and was ended.
    #[error("repository {repository} did not answer within {} s", .after.as_secs())]
    Timeout {
        /// The repository.
        repository: String,
        /// How long was waited.
        after: Duration,
    },
    /// No branch, tag or commit has this name.
    #[error("revision `{revision}` does not exist in {repository}; name a branch, a tag or a commit")]
    Revision {
        /// The repository.
        repository: String,
        /// The revision as the user wrote it.
        revision: String,
    },
    /// Nothing was ever committed.
    #[error("repository {repository} has no commits, so there is no HEAD")]
    Empty {
        /// The repository.
        repository: String,
    },
    /// An abbreviated commit that begins several commits.
    #[error("revision `{revision}` begins more than one commit in {repository}; write more of it")]
    Ambiguous {
        /// The repository.
        repository: String,
        /// The revision as the user wrote it.
        revision: String,
    },
    /// A range of versions.
    #[error(
        "revision `{revision}` looks like a version range, which is not supported yet; name a tag, or a branch as `refs/heads/{revision}`"
    )]
    Range {
        /// The revision as the user wrote it.
        revision: String,
    },
    /// The commit is not in the repository, for example because history was rewritten.
    #[error("commit {sha} does not exist in {repository}")]
    Commit {
        /// The repository.
        repository: String,
        /// The commit.
        sha: String,
    },
    /// The mirror on the local disk failed.
    #[error("the local mirror of {repository} failed: {detail}")]
    Mirror {
        /// The repository.
        repository: String,
        /// What failed.
        detail: String,
    },
    /// Git failed in another way.
    #[error("git failed on {repository}: {detail}")]
    Git {
        /// The repository.
        repository: String,
        /// What Git said.
        detail: String,
    },
}

/// What the words of Git on its standard error are about. The first match wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Untrusted,
    Unauthenticated,
    Damaged,
    NotFound,
    MissingObject,
    Network,
}

const CAUSES: &[(&str, Cause)] = &[
    ("host key verification failed", Cause::Untrusted),
    ("ssl certificate problem", Cause::Untrusted),
    ("certificate verif", Cause::Untrusted),
    ("self-signed certificate", Cause::Untrusted),
    ("authentication failed", Cause::Unauthenticated),
    ("could not read username", Cause::Unauthenticated),
    ("could not read password", Cause::Unauthenticated),
    ("permission denied (", Cause::Unauthenticated),
    ("returned error: 401", Cause::Unauthenticated),
    ("returned error: 403", Cause::Unauthenticated),
    ("access denied", Cause::Unauthenticated),
    ("not our ref", Cause::MissingObject),
    ("couldn't find remote ref", Cause::MissingObject),
    ("unadvertised object", Cause::MissingObject),
    ("no such remote ref", Cause::MissingObject),
    ("bad object", Cause::Damaged),
    ("object file", Cause::Damaged),
    ("loose object", Cause::Damaged),
    ("packfile", Cause::Damaged),
    ("did not send all necessary objects", Cause::Damaged),
    ("unresolved deltas", Cause::Damaged),
    ("does not appear to be a git repository", Cause::NotFound),
    ("not found", Cause::NotFound),
    ("not exported", Cause::NotFound),
    ("could not resolve host", Cause::Network),
    ("could not resolve hostname", Cause::Network),
    ("failed to connect", Cause::Network),
    ("couldn't connect", Cause::Network),
    ("connection refused", Cause::Network),
    ("connection reset", Cause::Network),
    ("connection timed out", Cause::Network),
    ("timed out", Cause::Network),
    ("no route to host", Cause::Network),
    ("network is unreachable", Cause::Network),
    ("unable to access", Cause::Network),
    ("early eof", Cause::Network),
    ("hung up unexpectedly", Cause::Network),
    ("returned error: 5", Cause::Network),
    ("returned error: 429", Cause::Network),
];

/// How a run of Git failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// It could not be started, or its output could not be read.
    Start(String),
    /// It took longer than allowed.
    Timeout(Duration),
    /// It ended with an error; this is what it wrote.
    Said(String),
}

impl Failure {
    /// Says whether the remote lacks the object that was asked for.
    pub(super) fn lacks_object(&self) -> bool {
        self.cause() == Some(Cause::MissingObject)
    }

    /// Says whether the local mirror seems damaged.
    pub(super) fn is_damage(&self) -> bool {
        self.cause() == Some(Cause::Damaged)
    }

    fn cause(&self) -> Option<Cause> {
        let Self::Said(text) = self else { return None };
        let text = text.to_lowercase();
        let ours = text.lines().filter(|line| !line.starts_with("remote:")).collect::<Vec<_>>().join("\n");
        // What the remote says about damage is about the remote.
        let says = |words, cause| if cause == Cause::Damaged { &ours } else { &text }.contains(words);
        CAUSES.iter().find(|(words, cause)| says(*words, *cause)).map(|(_, cause)| *cause)
    }

    /// Turns the failure into what users read. `repository` is a URL without secrets.
    pub(super) fn on(self, repository: String) -> Error {
        let cause = self.cause();
        let detail = match self {
            Self::Timeout(after) => return Error::Timeout { repository, after },
            Self::Start(detail) => return Error::Git { repository, detail },
            Self::Said(text) => gist(&text),
        };
        match cause {
            Some(Cause::Untrusted) => Error::Untrusted { repository, detail },
            Some(Cause::Unauthenticated) => Error::Unauthenticated { repository, detail },
            Some(Cause::NotFound) => Error::NotFound { repository },
            Some(Cause::Network) => Error::Network { repository, detail },
            Some(Cause::Damaged) => Error::Mirror { repository, detail },
            Some(Cause::MissingObject) | None => Error::Git { repository, detail },
        }
    }
}

/// The line that says most, without Git's prefix: the last `fatal:` is often only "could not read
/// from remote", and the reason stands before it.
fn gist(text: &str) -> String {
    const GENERIC: &[&str] = &["could not read from remote", "please make sure", "and the repository exists"];
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    let generic = |line: &str| GENERIC.iter().any(|words| line.to_lowercase().contains(words));
    let line =
        lines().rfind(|line| !generic(line)).or_else(|| lines().next_back()).unwrap_or("it did not say why");
    let line =
        ["fatal: ", "error: ", "remote: "].iter().fold(line, |line, prefix| line.trim_start_matches(prefix));
    line.chars().filter(|c| !c.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_causes_apart() {
        let check = |said: &str, expected: &str| {
            let message = Failure::Said(said.into()).on("https://x/y".into()).to_string();
            assert_eq!(message, expected);
        };
        check(
            "remote: Not Found\nfatal: repository 'https://x/y/' not found\n",
            "repository https://x/y does not exist, or needs credentials to be seen; check repoURL and credentials",
        );
        check(
            "fatal: could not read Username for 'https://x': terminal prompts disabled\n",
            "repository https://x/y refuses access; give credentials that may read it (could not read Username for 'https://x': terminal prompts disabled)",
        );
        check(
            "git@x: Permission denied (publickey).\nfatal: Could not read from remote repository.\n\nPlease make sure you have the correct access rights\nand the repository exists.\n",
            "repository https://x/y refuses access; give credentials that may read it (git@x: Permission denied (publickey).)",
        );
        check(
            "fatal: unable to access 'https://x/y/': Could not resolve host: x\n",
            "repository https://x/y cannot be reached: unable to access 'https://x/y/': Could not resolve host: x",
        );
        check(
            "fatal: unable to access 'https://x/y/': SSL certificate problem: unable to get local issuer certificate",
            "the server of https://x/y is not trusted; check its certificate or host key (unable to access 'https://x/y/': SSL certificate problem: unable to get local issuer certificate)",
        );
        check("", "git failed on https://x/y: it did not say why");
    }
}
