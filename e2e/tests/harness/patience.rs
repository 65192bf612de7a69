//! Waiting for something to become true.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::cluster;

/// Long enough for a loaded machine; a test that waits this long has failed.
const LIMIT: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_millis(100);

/// Tries until it works, and says what stood in the way when it never does.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, attempt: impl FnMut() -> Result<T, String>) -> T {
    within(LIMIT, what, attempt)
}

/// The same, with a limit that belongs to what is tested.
#[track_caller]
pub(crate) fn within<T>(limit: Duration, what: &str, mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let began = Instant::now();
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(reason) if began.elapsed() > limit => {
                panic!("not within {limit:?}: {what}\n  last: {reason}\n{}", cluster::last_words())
            }
            Err(_) => thread::sleep(PAUSE),
        }
    }
}
