//! How long it takes to mark a window, so that marking begins early enough for the messages to go when their turn comes,
//! and no earlier: what is answered until then counts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A store that takes longer than this is not waited for by beginning earlier.
const LONGEST: Duration = Duration::from_secs(1);

/// What is assumed before anything was measured, and what it always may take.
const AT_FIRST: Duration = Duration::from_millis(200);
const LEAST: Duration = Duration::from_millis(100);

/// What was measured lately in this process.
#[derive(Debug)]
pub struct Marking(AtomicU64);

impl Default for Marking {
    fn default() -> Self {
        Self(AtomicU64::new(u64::try_from(AT_FIRST.as_micros()).unwrap_or_default()))
    }
}

impl Marking {
    /// How long it takes, nearly always.
    #[must_use]
    pub fn takes(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }

    /// One took so long.
    pub fn took(&self, time: Duration) {
        let micros = expected(self.takes(), time).as_micros();
        self.0.store(u64::try_from(micros).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// A slow one counts at once, and more than it took; quick ones slowly.
fn expected(before: Duration, took: Duration) -> Duration {
    before.mul_f64(0.99).max(took.mul_f64(1.5)).clamp(LEAST, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_learned_at_once_and_forgotten_slowly() {
        let marking = Marking::default();
        assert_eq!(marking.takes(), AT_FIRST);
        marking.took(Duration::from_millis(300));
        assert_eq!(marking.takes(), Duration::from_millis(450));
        marking.took(Duration::from_millis(10));
        assert_eq!(marking.takes(), Duration::from_micros(445_500));
        (0..500).for_each(|_| marking.took(Duration::from_millis(10)));
        assert_eq!(marking.takes(), LEAST);
        marking.took(Duration::from_secs(60));
        assert_eq!(marking.takes(), LONGEST);
    }
}
