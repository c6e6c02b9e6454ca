//! The runtime's clock, which tests pause, as Herald's.

use chrono::TimeDelta;
use herald::clock::{Clock, Timestamp};
use tokio::time::Instant;

/// Tells the runtime's time, some way off.
#[derive(Debug, Clone, Copy)]
pub struct RuntimeClock {
    origin: Instant,
    began: Timestamp,
    off: TimeDelta,
}

impl RuntimeClock {
    /// A clock that is right.
    pub fn start() -> Self {
        let began = "2026-11-25T10:00:00Z".parse().unwrap();
        Self { origin: Instant::now(), began, off: TimeDelta::zero() }
    }

    /// The same, so much ahead (or behind).
    pub fn off_by(self, off: TimeDelta) -> Self {
        Self { off, ..self }
    }
}

impl Clock for RuntimeClock {
    fn now(&self) -> Timestamp {
        self.began + self.origin.elapsed() + self.off
    }
}
