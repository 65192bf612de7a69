//! The one place that reads the time.

/// Returns the time.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}
