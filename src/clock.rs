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

/// A clock that advances with tokio's time, so that pausing and advancing the runtime moves it too.
#[derive(Debug, Clone, Copy)]
pub struct RuntimeClock {
    base: Timestamp,
    started: tokio::time::Instant,
}

impl RuntimeClock {
    /// Starts at `base`; must be called within a runtime.
    #[must_use]
    pub fn starting_at(base: Timestamp) -> Self {
        Self { base, started: tokio::time::Instant::now() }
    }
}

impl Clock for RuntimeClock {
    fn now(&self) -> Timestamp {
        self.base + self.started.elapsed()
    }
}

/// The time from `now` until `then`; zero when `then` has passed.
#[must_use]
pub fn until(now: Timestamp, then: Timestamp) -> std::time::Duration {
    (then - now).to_std().unwrap_or_default()
}
