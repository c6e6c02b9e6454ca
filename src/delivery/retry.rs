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

/// When a batch whose message may be lost is put out again, by how often that was done in vain: within two Ticks, but a
/// queue that is only long must not grow longer and longer by it.
#[must_use]
pub fn stalls_after(in_vain: u32) -> Duration {
    const SOON: Duration = Duration::from_secs(12);
    SOON.saturating_mul(1 << in_vain.saturating_sub(1).min(4))
}

/// The longest of these.
pub(super) const STALLS_AT_MOST: Duration = Duration::from_secs(192);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_within_bounds() {
        assert_eq!(backoff(0, 0.5), Duration::from_secs(2));
        assert_eq!(backoff(3, 0.5), Duration::from_secs(16));
        assert_eq!(backoff(u32::MAX, 1.0), Duration::from_secs(360));
        assert_eq!(backoff(u32::MAX, 0.0), Duration::from_secs(240));
        assert_eq!([0, 1, 2, 3, 4, 5, 6].map(|count| stalls_after(count).as_secs()), [12, 12, 24, 48, 96, 192, 192]);
        assert_eq!(stalls_after(u32::MAX), STALLS_AT_MOST);
    }
}
