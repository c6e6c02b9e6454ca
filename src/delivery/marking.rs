//! How long it takes to mark a window, so that marking begins early enough for the messages to go when their turn comes,
//! and no earlier: what is answered until then counts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A store that takes longer than this is not waited for by beginning earlier.
const LONGEST: Duration = Duration::from_secs(5);
/// What is assumed before anything was measured.
const AT_FIRST: Duration = Duration::from_millis(200);

/// What was measured lately in this process, in microseconds; 0: nothing yet.
#[derive(Debug, Default)]
pub struct Marking(AtomicU64);

impl Marking {
    /// How long it takes, nearly always.
    #[must_use]
    pub fn takes(&self) -> Duration {
        match self.0.load(Ordering::Relaxed) {
            0 => AT_FIRST,
            micros => Duration::from_micros(micros),
        }
    }

    /// One took so long.
    pub fn took(&self, time: Duration) {
        let before = Duration::from_micros(self.0.load(Ordering::Relaxed));
        let micros = u64::try_from(expected(before, time).as_micros()).unwrap_or(u64::MAX);
        self.0.store(micros.max(1), Ordering::Relaxed);
    }
}

/// A slow one counts at once, and more than it took; quick ones slowly.
fn expected(before: Duration, took: Duration) -> Duration {
    before.mul_f64(0.99).max(took.mul_f64(1.5)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_learned_at_once_and_forgotten_slowly() {
        let marking = Marking::default();
        assert_eq!(marking.takes(), AT_FIRST);
        marking.took(Duration::from_millis(20));
        assert_eq!(marking.takes(), Duration::from_millis(30));
        marking.took(Duration::from_millis(300));
        assert_eq!(marking.takes(), Duration::from_millis(450));
        marking.took(Duration::from_millis(10));
        assert_eq!(marking.takes(), Duration::from_micros(445_500));
        (0..500).for_each(|_| marking.took(Duration::from_millis(10)));
        assert_eq!(marking.takes(), Duration::from_millis(15));
        marking.took(Duration::from_secs(60));
        assert_eq!(marking.takes(), LONGEST);
    }
}
