//! Repository URLs: which are allowed, and how they are told without secrets.

use super::Error;

/// How a repository is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    File,
    Git,
    Http,
    Ssh,
}

/// A checked URL. Secrets that were written into it are apart.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) scheme: Scheme,
    /// What Git is told. It contains no password and, for HTTP, no user.
    pub(super) address: String,
    /// `scheme://host:port` for HTTP, empty for others.
    pub(super) origin: String,
    /// User and password that stood in an HTTP URL.
    pub(super) userinfo: Option<(String, String)>,
    /// Equal for spellings of the same repository.
    pub(super) key: String,
}

impl Url {
    /// Checks a URL: it must be `file`, `git`, `http`, `https` or `ssh`, or of the form
    /// `user@host:path`, and nothing in it may look like an option of a program.
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        take_apart(text).map_err(|problem| Error::Url { url: guarded(text), problem })
    }

    /// Returns the URL as users may see it.
    pub(super) fn public(&self) -> String {
        match self.address.split_once('?') {
            Some((address, _)) => format!("{address}?…"),
            None => self.address.clone(),
        }
    }

    /// Returns the path of a local repository.
    pub(super) fn local_path(&self) -> Option<&str> {
        if self.scheme == Scheme::File { self.address.strip_prefix("file://") } else { None }
    }
}

fn take_apart(text: &str) -> Result<Url, &'static str> {
    if text.is_empty() {
        return Err("it is empty");
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("it contains blanks or control characters");
    }
    if text.starts_with('-') {
        return Err("it begins with a dash");
    }
    match text.split_once("://") {
        Some((scheme, rest)) => match scheme.to_ascii_lowercase().as_str() {
            "file" => file(rest),
            scheme @ ("http" | "https") => http(scheme, rest),
            "ssh" => ssh(rest),
            "git" => git(rest),
            _ => Err("its scheme is not one of file, git, http, https, ssh"),
        },
        None => scp(text),
    }
}

fn file(path: &str) -> Result<Url, &'static str> {
    if !path.starts_with('/') {
        return Err("a local repository is written file:///absolute/path");
    }
    let address = format!("file://{path}");
    let key = address.trim_end_matches('/').to_owned();
    Ok(Url { scheme: Scheme::File, address, origin: String::new(), userinfo: None, key })
}

fn http(scheme: &str, rest: &str) -> Result<Url, &'static str> {
    let (userinfo, host, path) = authority(rest)?;
    let origin = format!("{scheme}://{}", host.to_ascii_lowercase());
    let address = format!("{origin}/{path}");
    let userinfo = match userinfo {
        None => None,
        Some(text) => {
            let (user, password) = text.split_once(':').unwrap_or((text, ""));
            Some((percent_decode(user)?, percent_decode(password)?))
        }
    };
    let key = format!("{origin}/{}", same(path));
    Ok(Url { scheme: Scheme::Http, address, origin, userinfo, key })
}

fn ssh(rest: &str) -> Result<Url, &'static str> {
    let (userinfo, host, path) = authority(rest)?;
    let user = match userinfo {
        Some(text) if text.contains(':') => return Err("ssh takes a key, not a password"),
        Some(user) => format!("{}@", word(user)?),
        None => String::new(),
    };
    let address = format!("ssh://{user}{host}/{path}");
    let key = format!("ssh://{user}{}/{}", host.to_ascii_lowercase(), same(path));
    Ok(Url { scheme: Scheme::Ssh, address, origin: String::new(), userinfo: None, key })
}

fn git(rest: &str) -> Result<Url, &'static str> {
    let (None, host, path) = authority(rest)? else { return Err("the git protocol knows no users") };
    let address = format!("git://{host}/{path}");
    let key = format!("git://{}/{}", host.to_ascii_lowercase(), same(path));
    Ok(Url { scheme: Scheme::Git, address, origin: String::new(), userinfo: None, key })
}

fn scp(text: &str) -> Result<Url, &'static str> {
    const PROBLEM: &str = "it is neither a URL such as https://host/path nor of the form user@host:path";
    let (target, path) = text.split_once(':').ok_or(PROBLEM)?;
    let (user, host) = target.split_once('@').ok_or(PROBLEM)?;
    let (user, host) = (word(user)?, word(host)?);
    if path.is_empty() || path.starts_with(['-', ':']) {
        return Err("its path is empty or begins with a dash or a colon");
    }
    let key = format!("ssh://{user}@{}/{}", host.to_ascii_lowercase(), same(path));
    let address = format!("{user}@{host}:{path}");
    Ok(Url { scheme: Scheme::Ssh, address, origin: String::new(), userinfo: None, key })
}

/// Splits `[userinfo@]host[:port]/path`.
fn authority(rest: &str) -> Result<(Option<&str>, &str, &str), &'static str> {
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (userinfo, host) = match authority.rsplit_once('@') {
        Some((userinfo, host)) => (Some(userinfo), host),
        None => (None, authority),
    };
    if path.trim_matches('/').is_empty() {
        return Err("it names no repository after the host");
    }
    Ok((userinfo, word(host)?, path))
}

/// Checks a host or a user: nothing that a shell or a program could take for more than a name.
fn word(text: &str) -> Result<&str, &'static str> {
    let fine = |c: char| c.is_ascii_alphanumeric() || "._-+:[]~".contains(c);
    if text.is_empty() || text.starts_with('-') || !text.chars().all(fine) {
        return Err("its host or user is not a plain name");
    }
    Ok(text)
}

/// The path without what servers do not mind.
fn same(path: &str) -> &str {
    let path = path.trim_matches('/');
    path.strip_suffix(".git").unwrap_or(path)
}

fn percent_decode(text: &str) -> Result<String, &'static str> {
    const PROBLEM: &str = "its user or password is not percent-encoded properly";
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend(parts.next().unwrap_or_default().bytes());
    for part in parts {
        let (code, rest) = part.split_at_checked(2).ok_or(PROBLEM)?;
        bytes.push(u8::from_str_radix(code, 16).map_err(|_| PROBLEM)?);
        bytes.extend(rest.bytes());
    }
    String::from_utf8(bytes).map_err(|_| PROBLEM)
}

/// Tells a URL as a user wrote it without what is or might be a secret.
#[must_use]
pub fn redact(text: &str) -> String {
    let text = text.trim();
    take_apart(text).map_or_else(|_| guarded(text), |url| url.public())
}

/// Tells a text that is no proper URL: all that stands before an `@` may be a secret.
fn guarded(text: &str) -> String {
    let shown = match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://…@{rest}"),
        (None, Some((_, rest))) => format!("…@{rest}"),
        (_, None) => text.to_owned(),
    };
    let shown = shown.split_once('?').map_or(shown.clone(), |(address, _)| format!("{address}?…"));
    shown.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_the_usual_forms() {
        let check = |text: &str, address: &str, key: &str| {
            let url = Url::parse(text).unwrap();
            assert_eq!((url.address.as_str(), url.key.as_str()), (address, key), "{text}");
        };
        check(
            "https://Git.example.com/a/B.git",
            "https://git.example.com/a/B.git",
            "https://git.example.com/a/B",
        );
        check(" http://127.0.0.1:8080/r/ ", "http://127.0.0.1:8080/r/", "http://127.0.0.1:8080/r");
        check("https://u:p@h/r", "https://h/r", "https://h/r");
        check("git@h.example:a/b.git", "git@h.example:a/b.git", "ssh://git@h.example/a/b");
        check("ssh://git@h.example:22/a/b", "ssh://git@h.example:22/a/b", "ssh://git@h.example:22/a/b");
        check("file:///srv/r.git/", "file:///srv/r.git/", "file:///srv/r.git");
        check("git://h/r", "git://h/r", "git://h/r");
    }

    #[test]
    fn refuses_what_could_run_a_program() {
        let check = |text: &str, problem: &str| match Url::parse(text).err() {
            Some(Error::Url { problem: found, .. }) => assert_eq!(found, problem, "{text}"),
            other => panic!("{text}: {other:?}"),
        };
        check("", "it is empty");
        check("--upload-pack=touch /tmp/x", "it contains blanks or control characters");
        check("--upload-pack=evil", "it begins with a dash");
        check("-oProxyCommand=evil@h:r", "it begins with a dash");
        check("https://h/r\n--x", "it contains blanks or control characters");
        check("ext::sh", "it is neither a URL such as https://host/path nor of the form user@host:path");
        check("ext::x@y:z", "it is neither a URL such as https://host/path nor of the form user@host:path");
        check("ftp://h/r", "its scheme is not one of file, git, http, https, ssh");
        check("ext+x://h/r", "its scheme is not one of file, git, http, https, ssh");
        check("ssh://-oProxyCommand=evil/r", "its host or user is not a plain name");
        check("ssh://-x@h/r", "its host or user is not a plain name");
        check("ssh://u:p@h/r", "ssh takes a key, not a password");
        check("u@-oProxyCommand=evil:r", "its host or user is not a plain name");
        check("u@h:-r", "its path is empty or begins with a dash or a colon");
        check("u@h::r", "its path is empty or begins with a dash or a colon");
        check("u@$(evil):r", "its host or user is not a plain name");
        check("https://h", "it names no repository after the host");
        check("https://h//", "it names no repository after the host");
        check("/srv/r", "it is neither a URL such as https://host/path nor of the form user@host:path");
        check("file://srv/r", "a local repository is written file:///absolute/path");
        check("https://%zz@h/r", "its user or password is not percent-encoded properly");
    }

    #[test]
    fn keeps_secrets_apart() {
        let url = Url::parse("https://me%40x:s%2Fecret@h/r?private_token=tok").unwrap();
        assert_eq!(url.userinfo, Some(("me@x".into(), "s/ecret".into())));
        assert_eq!(url.public(), "https://h/r?…");
        for text in [
            "ftp://me:s/ecret@h/r",
            "https://me:secret@",
            "ssh://me:secret@h/r",
            "https://me:sec ret@h/r?secret",
        ] {
            let message = Url::parse(text).err().unwrap().to_string();
            assert!(!message.contains("ecret") && !message.contains("ret@"), "{message}");
        }
    }
}
