//! A repository with the credentials to read it, and what `git` is told about both.

use std::ffi::OsString;
use std::fmt;
use std::io::Write as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use super::Error;
use super::url::{Scheme, Url};

/// A repository to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// URL as the user wrote it: `https://…`, `ssh://…`, `user@host:path`, `git://…` or `file:///…`.
    /// A user and password in an HTTP URL are used where `credentials` are missing.
    pub url: String,
    /// How to identify ourselves.
    pub credentials: Option<Credentials>,
    /// How the server proves who it is.
    pub trust: Trust,
}

impl Repository {
    /// Makes a repository that everybody may read.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), credentials: None, trust: Trust::default() }
    }
}

/// How to identify ourselves. `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// User name and password or token, for HTTP.
    Password {
        /// User name.
        username: String,
        /// Password or token.
        password: String,
    },
    /// A token sent as `Authorization: Bearer …`, for HTTP. Redirects are not followed with it.
    Bearer(String),
    /// A private key in PEM or OpenSSH format, without passphrase, for SSH.
    SshKey(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password { .. } => "Password(…)",
            Self::Bearer(_) => "Bearer(…)",
            Self::SshKey(_) => "SshKey(…)",
        })
    }
}

/// How the server proves who it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// Believe every TLS certificate and every SSH host key.
    pub insecure: bool,
    /// Certificates in PEM to believe instead of the system's.
    pub certificates: Option<String>,
    /// SSH host keys in the format of `known_hosts`. Without them the first key seen is remembered.
    pub known_hosts: Option<String>,
}

/// A repository after checking, as the rest of this module uses it.
pub(super) struct Remote {
    pub(super) url: Url,
    credentials: Option<Credentials>,
    trust: Trust,
}

/// What one run of `git` gets; the files are removed when it is dropped.
#[derive(Default)]
pub(super) struct Access {
    /// Variables of the environment.
    pub(super) environment: Vec<(&'static str, OsString)>,
    /// Settings as in a configuration file.
    pub(super) settings: Vec<(String, String)>,
    files: Vec<NamedTempFile>,
}

/// Answers Git's question for credentials from the environment of the process. Git asks only for the
/// origin that the setting names, so a redirect elsewhere gets nothing.
const HELPER: &str = r#"!f() { test "$1" = get && printf 'username=%s\npassword=%s\n' "$GITOPSD_USERNAME" "$GITOPSD_PASSWORD"; }; f"#;

impl Remote {
    pub(super) fn new(repository: &Repository) -> Result<Self, Error> {
        let url = Url::parse(&repository.url)?;
        let embedded =
            url.userinfo.clone().map(|(username, password)| Credentials::Password { username, password });
        let credentials = repository.credentials.clone().or(embedded);
        if let Some(problem) = credentials.as_ref().and_then(|credentials| misfit(&url, credentials)) {
            return Err(Error::Credentials { repository: url.public(), problem });
        }
        Ok(Self { url, credentials, trust: repository.trust.clone() })
    }

    /// Returns the URL without secrets.
    pub(super) fn name(&self) -> String {
        self.url.public()
    }

    /// Identifies the repository together with who reads it: what one reader may see is not
    /// shown to another.
    pub(super) fn reader(&self) -> [u8; 32] {
        let secrets = match &self.credentials {
            None => ["", "", ""],
            Some(Credentials::Password { username, password }) => ["password", username, password],
            Some(Credentials::Bearer(token)) => ["bearer", token, ""],
            Some(Credentials::SshKey(key)) => ["key", key, ""],
        };
        let Trust { insecure, certificates, known_hosts } = &self.trust;
        let trust = [certificates.as_deref().unwrap_or(""), known_hosts.as_deref().unwrap_or("")];
        let mut hash = Sha256::new();
        for part in [self.url.address.as_str()].into_iter().chain(secrets).chain(trust) {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        hash.update([u8::from(*insecure)]);
        hash.finalize().into()
    }

    /// Replaces secrets in what `git` said; servers may repeat them.
    pub(super) fn redact(&self, text: &str) -> String {
        let secret = match &self.credentials {
            Some(Credentials::Password { password, .. }) => password,
            Some(Credentials::Bearer(token)) => token,
            Some(Credentials::SshKey(_)) | None => return text.to_owned(),
        };
        if secret.is_empty() { text.to_owned() } else { text.replace(secret.as_str(), "…") }
    }

    /// Prepares one run of `git`; files go to `directory`.
    pub(super) fn access(&self, directory: &Path) -> std::io::Result<Access> {
        let mut access = Access::default();
        match self.url.scheme {
            Scheme::Http => self.http(directory, &mut access)?,
            Scheme::Ssh => self.ssh(directory, &mut access)?,
            Scheme::File | Scheme::Git => {}
        }
        Ok(access)
    }

    fn http(&self, directory: &Path, access: &mut Access) -> std::io::Result<()> {
        let mut set = |key: String, value: &str| access.settings.push((key, value.to_owned()));
        let origin = &self.url.origin;
        match &self.credentials {
            Some(Credentials::Password { username, password }) => {
                set(format!("credential.{origin}.helper"), HELPER);
                access.environment.push(("GITOPSD_USERNAME", username.into()));
                access.environment.push(("GITOPSD_PASSWORD", password.into()));
            }
            Some(Credentials::Bearer(token)) => {
                set(format!("http.{origin}/.extraHeader"), &format!("Authorization: Bearer {token}"));
                set("http.followRedirects".into(), "false");
            }
            Some(Credentials::SshKey(_)) | None => {}
        }
        if self.trust.insecure {
            access.settings.push(("http.sslVerify".into(), "false".into()));
        }
        if let Some(certificates) = &self.trust.certificates {
            let path = access.file(directory, certificates)?;
            access.settings.push(("http.sslCAInfo".into(), path));
        }
        Ok(())
    }

    fn ssh(&self, directory: &Path, access: &mut Access) -> std::io::Result<()> {
        let mut command = String::from("ssh -F /dev/null -o BatchMode=yes -o ConnectTimeout=20");
        let mut option = |name: &str, value: &str| {
            command.push_str(" -o ");
            command.push_str(&shell_quoted(&format!("{name}=\"{value}\"")));
        };
        if let Some(Credentials::SshKey(key)) = &self.credentials {
            option("IdentityFile", &access.file(directory, &format!("{}\n", key.trim_end()))?);
            option("IdentitiesOnly", "yes");
        }
        let hosts = match &self.trust.known_hosts {
            _ if self.trust.insecure => "/dev/null".into(),
            Some(hosts) => access.file(directory, &format!("{}\n", hosts.trim_end()))?,
            None => directory.join("known_hosts").to_string_lossy().into_owned(),
        };
        option("UserKnownHostsFile", &hosts);
        option(
            "StrictHostKeyChecking",
            match &self.trust.known_hosts {
                _ if self.trust.insecure => "no",
                Some(_) => "yes",
                None => "accept-new",
            },
        );
        access.environment.push(("GIT_SSH_COMMAND", command.into()));
        access.environment.push(("GIT_SSH_VARIANT", "ssh".into()));
        Ok(())
    }
}

impl Access {
    /// Writes a file that only we can read, and returns its path.
    fn file(&mut self, directory: &Path, content: &str) -> std::io::Result<String> {
        let mut file = tempfile::Builder::new().prefix("access-").tempfile_in(directory)?;
        file.write_all(content.as_bytes())?;
        let path = file.path().to_string_lossy().into_owned();
        self.files.push(file);
        Ok(path)
    }
}

/// Says why the credentials cannot be used with the URL.
fn misfit(url: &Url, credentials: &Credentials) -> Option<&'static str> {
    let breaks = |text: &str| text.contains(['\n', '\r', '\0']);
    match (credentials, url.scheme) {
        (Credentials::Password { .. } | Credentials::Bearer(_), Scheme::Ssh) => {
            Some("ssh takes a private key")
        }
        (Credentials::SshKey(_), Scheme::Http) => Some("http takes a password or a token, not a private key"),
        (_, Scheme::File | Scheme::Git) => Some("this kind of URL takes none"),
        (Credentials::Password { username, password }, _) if breaks(username) || breaks(password) => {
            Some("they contain a line break")
        }
        (Credentials::Bearer(token), _) if breaks(token) => Some("they contain a line break"),
        (Credentials::SshKey(key), _) if key.contains('\0') => Some("the key is not text"),
        _ => None,
    }
}

fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
