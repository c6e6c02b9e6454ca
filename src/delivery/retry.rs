//! How long to wait before the next attempt. Pure.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(300);

/// Two seconds, doubled with each attempt up to five minutes, give or take a fifth. `chance` is from 0 to 1.
#[must_use]
pub fn backoff(attempts: u32, chance: f64) -> Duration {
    let doubled = FIRST.saturating_mul(1 << attempts.min(16));
    doubled.min(LONGEST).mul_f64(0.8 + 0.4 * chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_within_bounds() {
        assert_eq!(backoff(0, 0.5), Duration::from_secs(2));
        assert_eq!(backoff(3, 0.5), Duration::from_secs(16));
        assert_eq!(backoff(u32::MAX, 1.0), Duration::from_secs(360));
        assert_eq!(backoff(u32::MAX, 0.0), Duration::from_secs(240));
    }
}
