//! The one room where the system clock is read; everything else is told the time.

use std::fmt::Debug;

use chrono::{DateTime, Utc};

/// A point in time, always UTC.
pub type Timestamp = DateTime<Utc>;

/// Tells the time. Passed in wherever time matters, so that tests can pause it.
pub trait Clock: Debug + Send + Sync {
    /// The current instant.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that may read the clock")]
    fn now(&self) -> Timestamp {
        Utc::now()
    }
}

/// The time from `now` until `then`; zero when `then` has passed.
#[must_use]
pub fn until(now: Timestamp, then: Timestamp) -> std::time::Duration {
    (then - now).to_std().unwrap_or_default()
}
