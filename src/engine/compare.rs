//! Whether an object is as desired. First without asking anybody, from what our field manager owns
//! ([`local`]); where that is not decisive, from the answer to a server-side-apply dry run ([`predicted`]).
//!
//! Deliberately absent: knowledge of schemas. What a server may normalise, default or mutate is not guessed;
//! it makes a comparison undecided.

mod builtin;
mod difference;
pub(crate) mod document;
pub(crate) mod fields;
mod items;
mod owned;
mod quantity;

use serde_json::Value;

use super::ignore::Ignore;
use super::live::Live;
use crate::manifest::Manifest;

/// What a comparison without a request says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Applying the object would change nothing.
    Synced,
    /// Applying the object would change these paths, and nothing else.
    Differs(Vec<String>),
    /// Only the API server can tell.
    Undecided,
}

/// Compares an object with its live state by what our field manager owns: the object is in sync if we own
/// exactly the fields that are desired and each has the desired value.
///
/// A difference is reported only where applying removes it for certain. A value that differs may have been
/// normalised or changed by a webhook, and will be again, so it is undecided.
#[must_use]
pub fn local(desired: &Manifest, live: &Live, ignore: &Ignore) -> Verdict {
    match owned::compare(desired, live, ignore) {
        Ok(removed) if removed.is_empty() => Verdict::Synced,
        Ok(removed) => Verdict::Differs(shorten(removed)),
        Err(owned::Unclear) => Verdict::Undecided,
    }
}

/// Compares the live object with what a server-side-apply dry run answered, both in the same version.
///
/// Returns the sorted paths that differ, such as `.spec.containers[name=web].image`; empty if none does.
/// Values are never part of it. What the server counts by itself and `status` are left out.
#[must_use]
pub fn predicted(live: &Value, predicted: &Value, ignore: &Ignore) -> Vec<String> {
    // The answer says that we own what we applied, so what others own is read from the live object.
    let owned = document::of_managers(live, &ignore.managers());
    let hidden = [ignore.places(live, &owned), ignore.places(predicted, &owned)];
    shorten(difference::paths([live, predicted], [&hidden[0], &hidden[1]]))
}

/// Most paths that a result names.
const MOST_PATHS: usize = 20;

fn shorten(mut paths: Vec<String>) -> Vec<String> {
    paths.sort_unstable();
    paths.dedup();
    let more = paths.len().saturating_sub(MOST_PATHS);
    if more > 0 {
        paths.truncate(MOST_PATHS);
        paths.push(format!("and {more} more"));
    }
    paths
}

/// Appends a member's name to a path as people and jq write it: `.spec`, `["a.b/c"]`.
fn push_field(path: &mut String, name: &str) {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if plain && !name.is_empty() {
        path.push('.');
        path.push_str(name);
    } else {
        path.push('[');
        path.push_str(&Value::from(name).to_string());
        path.push(']');
    }
}

#[cfg(test)]
mod tests;
