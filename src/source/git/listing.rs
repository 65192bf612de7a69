//! What a remote has: its refs, as `git ls-remote` tells them, and what a revision means among them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Error, Freshness};

/// The refs of a remote at one moment, kept as text: a large repository has 100,000 of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listing(Box<str>);

impl Listing {
    pub(super) fn new(output: &[u8]) -> Self {
        Self(String::from_utf8_lossy(output).into())
    }

    /// Returns the commit that a ref name means: `HEAD`, a full name, a branch, or a tag; a branch
    /// wins over a tag of the same name. Annotated tags mean the commit they point to.
    pub(super) fn find(&self, name: &str) -> Option<&str> {
        let full = name == "HEAD" || name.starts_with("refs/");
        let exact = full.then(|| name.to_owned());
        let guesses = ["refs/heads/", "refs/tags/", "refs/"].map(|prefix| format!("{prefix}{name}"));
        exact.into_iter().chain(guesses).find_map(|name| self.peeled(&name))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.trim().is_empty()
    }

    fn peeled(&self, name: &str) -> Option<&str> {
        let refs = || self.0.lines().filter_map(|line| line.split_once('\t'));
        let exact = refs().find(|(_, known)| *known == name)?;
        let peeled = refs().find(|(_, known)| known.strip_suffix("^{}") == Some(name));
        Some(peeled.unwrap_or(exact).0)
    }
}

/// How long a failure is taken for the answer, so that applications of one repository do not each wait
/// for a server that is down.
const FAILURE_HOLDS: Duration = Duration::from_secs(10);

/// What is remembered about one remote as one reader sees it.
#[derive(Default)]
pub(super) struct Slot {
    /// Held while the remote is being asked.
    pub(super) asking: tokio::sync::Mutex<()>,
    heard: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    listing: Option<(Instant, Arc<Listing>)>,
    failure: Option<(Instant, Error)>,
}

impl Slot {
    /// Returns what was heard last, if it is fresh enough for somebody who asked at `asked`. A remote that
    /// failed since its last listing is not known any more.
    pub(super) fn usable(&self, asked: Instant, freshness: Freshness) -> Option<Result<Arc<Listing>, Error>> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let age = match freshness {
            Freshness::Now => Duration::ZERO,
            Freshness::AtMost(age) => age,
        };
        let is_fresh = |started: Instant, age: Duration| asked.saturating_duration_since(started) <= age;
        let last = heard.listing.as_ref().map(|(started, _)| *started);
        if let Some((started, error)) = heard.failure.as_ref().filter(|(started, _)| last < Some(*started)) {
            return is_fresh(*started, age.min(FAILURE_HOLDS)).then(|| Err(error.clone()));
        }
        let (started, listing) = heard.listing.as_ref()?;
        is_fresh(*started, age).then(|| Ok(listing.clone()))
    }

    /// Says whether this reader was ever shown the repository.
    pub(super) fn was_admitted(&self) -> bool {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).listing.is_some()
    }

    pub(super) fn remember(&self, started: Instant, answer: &Result<Arc<Listing>, Error>) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(listing) => heard.listing = Some((started, listing.clone())),
            Err(error) => heard.failure = Some((started, error.clone())),
        }
    }
}

/// What a user's `targetRevision` is by its form alone.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Revision<'a> {
    /// A whole commit id, in lower case.
    Commit(String),
    /// A name to look up.
    Name(&'a str),
}

impl<'a> Revision<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, Error> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Self::Name("HEAD"));
        }
        if text.len() == 40 && is_hexadecimal(text) {
            return Ok(Self::Commit(text.to_ascii_lowercase()));
        }
        if looks_like_range(text) {
            Err(Error::Range { revision: text.into() })
        } else {
            Ok(Self::Name(text))
        }
    }
}

/// Says whether the text may be the beginning of a commit id.
pub(super) fn may_be_abbreviation(text: &str) -> bool {
    (7..40).contains(&text.len()) && is_hexadecimal(text)
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// `1.2.*`, `^1`, `>=1.0 <2`, `1.x`, `1.0 - 2.0`: what Argo CD matches against tags. Taking it for a
/// name would deploy something else, should a branch have that name.
fn looks_like_range(text: &str) -> bool {
    const OPERATORS: [char; 8] = ['*', '^', '~', '<', '>', '=', '!', '|'];
    let bare = text.strip_prefix(['v', 'V']).unwrap_or(text);
    let numeric = bare.starts_with(|c: char| c.is_ascii_digit());
    let wild = bare.split('.').skip(1).any(|part| matches!(part, "x" | "X"));
    let version_like = bare.chars().all(|c| c.is_ascii_digit() || "xX.".contains(c));
    text.starts_with(OPERATORS)
        || numeric && (bare.contains(OPERATORS) || bare.contains([' ', ',']) || wild && version_like)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_outweighs_what_was_heard_before_it() {
        let slot = Slot::default();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let hour = Freshness::AtMost(Duration::from_secs(3_600));
        slot.remember(start, &Ok(Arc::new(Listing::new(b""))));
        assert!(matches!(slot.usable(after(60), hour), Some(Ok(_))));
        assert!(slot.usable(after(60), Freshness::Now).is_none());
        slot.remember(after(100), &Err(Error::Range { revision: "x".into() }));
        assert!(matches!(slot.usable(after(105), hour), Some(Err(_))));
        assert!(slot.usable(after(150), hour).is_none(), "asked again");
        slot.remember(after(150), &Ok(Arc::new(Listing::new(b""))));
        assert!(matches!(slot.usable(after(160), hour), Some(Ok(_))));
    }

    #[test]
    fn finds_refs_by_every_name() {
        let listing = Listing::new(
            b"aa\tHEAD\naa\trefs/heads/main\nbb\trefs/heads/both\nee\trefs/heads/a/b\ncc\trefs/pull/7/head\n\
              dd\trefs/tags/both\nff\trefs/tags/v1\n11\trefs/tags/v1^{}\n",
        );
        let check = |name, expected: Option<&str>| assert_eq!(listing.find(name), expected, "{name}");
        check("HEAD", Some("aa"));
        check("main", Some("aa"));
        check("a/b", Some("ee"));
        check("both", Some("bb"));
        check("refs/tags/both", Some("dd"));
        check("tags/both", Some("dd"));
        check("v1", Some("11"));
        check("refs/tags/v1", Some("11"));
        check("refs/pull/7/head", Some("cc"));
        check("b", None);
        check("mai", None);
        check("", None);
    }

    #[test]
    fn tells_ranges_from_names() {
        let check = |text: &str, range: bool| {
            assert_eq!(
                Revision::parse(text),
                if range { Err(Error::Range { revision: text.into() }) } else { Ok(Revision::Name(text)) }
            );
        };
        for range in [
            "*",
            "1.*",
            "v1.2.*",
            "^1",
            "~1.2",
            ">=1.0.0 <2.0.0",
            "1.x",
            "1.2.X",
            "=1.0",
            "1 - 2",
            "1.2 || 3",
            "!=1",
        ] {
            check(range, true);
        }
        for name in [
            "main",
            "v1.0",
            "1.2.3",
            "1.2.3-rc.1",
            "release-1.x",
            "x",
            "refs/heads/1.x",
            "a~b",
            "fix/1.x",
            "1.xylo",
        ] {
            check(name, false);
        }
    }

    #[test]
    fn knows_commits_by_their_form() {
        let sha = "0123456789ABCDEF0123456789abcdef01234567";
        assert_eq!(Revision::parse(sha), Ok(Revision::Commit(sha.to_lowercase())));
        assert_eq!(Revision::parse(" "), Ok(Revision::Name("HEAD")));
        assert!(
            may_be_abbreviation("0123abc")
                && !may_be_abbreviation("0123ab")
                && !may_be_abbreviation("0123abx")
        );
    }
}
