//! How a pace falls when Teams says that it is too much, and how it comes back. Pure.
//!
//! What is allowed is found as TCP finds a link's capacity (the cubic curve of RFC 9438): down at once, quickly back to
//! just below where it was too much, a long while there, then carefully on. No state but when and where it was too much.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// Where the curve begins, as a part of the pace that was too much.
const LESS: f64 = 0.9;
/// The same where the lesson before is this fresh: that pace was far too much.
const MUCH_LESS: f64 = 0.6;
const FRESH: TimeDelta = TimeDelta::seconds(10);
/// Where it rests.
const PLATEAU: f64 = 0.98;
/// After how many seconds it does.
const RESTS_AFTER: f64 = 45.0;
/// How far it goes on in as long again, as a part of the rate.
const ONWARD: f64 = 0.15;
/// Thousandths of a message a second, and no fewer than these.
const THOUSANDTHS: f64 = 1000.0;
const SLOWEST: f64 = 0.2;

/// What Teams taught.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Slowed {
    /// From when on it is slower: the end of the pause.
    pub at: Timestamp,
    /// The pace that was too much, in thousandths of messages a second.
    pub too_much: u32,
    /// The pace that it fell to, in the same.
    pub fell_to: u32,
}

impl Slowed {
    /// A lesson, told at `now`: `pace` was too much, and from `at` on less is sent.
    #[must_use]
    pub fn from(known: Option<Self>, pace: f64, now: Timestamp, at: Timestamp) -> Self {
        let is_fresh = known.is_some_and(|known| now < known.at + FRESH);
        let fell_to = (pace * if is_fresh { MUCH_LESS } else { LESS }).max(SLOWEST);
        Self { at, too_much: thousandths(pace), fell_to: thousandths(fell_to) }
    }

    /// How many messages a second go at an instant, and never more than `rate`.
    #[must_use]
    pub fn pace(&self, rate: u32, now: Timestamp) -> f64 {
        let seconds = (now - self.at).as_seconds_f64().max(0.0);
        let (rests_at, begins_at) =
            (f64::from(self.too_much) * PLATEAU / THOUSANDTHS, f64::from(self.fell_to) / THOUSANDTHS);
        let from_rest = seconds / RESTS_AFTER - 1.0;
        let depth = (rests_at - begins_at).max(0.0);
        let depth = if from_rest > 0.0 { depth.max(f64::from(rate) * ONWARD) } else { depth };
        (rests_at + depth * from_rest.powi(3)).clamp(SLOWEST, f64::from(rate).max(SLOWEST))
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a pace has few digits")]
fn thousandths(pace: f64) -> u32 {
    (pace * THOUSANDTHS).clamp(0.0, f64::from(u32::MAX)).round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(1_800_000_000 + seconds, 0).expect("an instant")
    }

    #[test]
    fn it_falls_at_once_rests_below_what_was_too_much_and_comes_back() {
        let slowed = Slowed::from(None, 50.0, at(0), at(0));
        let pace = |seconds| slowed.pace(50, at(seconds));
        assert!((pace(0) - 45.0).abs() < 0.01, "{}", pace(0));
        assert!(pace(10) > 46.5 && (pace(45) - 49.0).abs() < 0.01, "{} {}", pace(10), pace(45));
        assert!((40..=55).all(|seconds| (48.9..=49.1).contains(&pace(seconds))), "a while of rest");
        assert!((0..200).all(|seconds| pace(seconds) <= pace(seconds + 1)), "it only grows");
        assert!((pace(90) - 50.0).abs() < f64::EPSILON, "and never beyond the rate: {}", pace(90));
        let low = Slowed::from(None, 20.0, at(0), at(0));
        assert!(low.pace(50, at(60)) < 20.0 && low.pace(50, at(120)) > 50.0 - 1e-9, "{}", low.pace(50, at(120)));
    }

    #[test]
    fn two_lessons_in_a_row_teach_more_than_two_that_are_apart() {
        let first = Slowed::from(None, 50.0, at(0), at(0));
        let soon = Slowed::from(Some(first), first.pace(50, at(5)), at(5), at(35));
        let apart = Slowed::from(Some(first), first.pace(50, at(20)), at(20), at(20));
        assert!(soon.fell_to < 33_000 && apart.fell_to > 42_000, "{soon:?} {apart:?}");
        let slowest = (0..50)
            .fold(first, |known, second| Slowed::from(Some(known), known.pace(50, at(second)), at(second), at(second)));
        assert!(slowest.pace(50, at(50)) >= SLOWEST, "it never stands still");
    }
}
