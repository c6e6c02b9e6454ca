//! The arithmetic of pace. Pure.
//!
//! A tenant's time line is cut into blocks: a reservation of `n` permits takes the next free `n / rate` seconds, and
//! its messages may go from the beginning of that block. Whoever dies with permits in hand costs their time, no more.

use std::time::Duration;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::store::V1;

/// How far the clocks of instances may be apart, blocks included.
const SKEW: Duration = Duration::from_secs(30);
/// When to come back once a line was mended.
const MENDED: Duration = Duration::from_secs(1);

/// The time line of one tenant, as stored.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Throttle {
    /// The stored shape.
    pub v: V1,
    /// Where the next free block begins.
    #[serde(default)]
    pub next: Option<Timestamp>,
    /// Until when nobody sends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_until: Option<Timestamp>,
}

/// The answer to a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Grant {
    /// The messages may go from this instant on.
    From(Timestamp),
    /// Nothing was reserved: the line is longer than anybody should wait. Come back then.
    Later(Timestamp),
}

impl Throttle {
    /// Takes a block of `count` permits at `rate` a second, unless it would begin after `horizon`; answers the time
    /// line to store, when it changed.
    pub fn reserve(&self, count: u32, rate: u32, now: Timestamp, horizon: Duration) -> (Grant, Option<Self>) {
        let longest = self.paused_until.map_or(now, |until| until.max(now)) + horizon + SKEW;
        if self.next.is_some_and(|next| next > longest) {
            // No line grows so long: a clock that is ahead wrote this. It is mended, and nothing is given on top of it.
            return (Grant::Later(now + MENDED), Some(Self { next: Some(now), ..self.clone() }));
        }
        let free = self.next.map_or(now, |next| next.max(now));
        let begin = self.paused_until.map_or(free, |until| until.max(free));
        if begin > now + horizon {
            return (Grant::Later(begin), None);
        }
        let micros = i64::from(count) * 1_000_000 / i64::from(rate.max(1));
        let next = Self { next: Some(begin + TimeDelta::microseconds(micros)), ..self.clone() };
        (Grant::From(begin), Some(next))
    }

    /// Nobody sends before `until`; a longer pause stays.
    #[must_use]
    pub fn paused(&self, until: Timestamp) -> Option<Self> {
        let longer = self.paused_until.is_none_or(|known| until > known);
        longer.then(|| Self { paused_until: Some(until), ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HORIZON: Duration = Duration::from_secs(4);

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_timestamp_millis(1_800_000_000_000 + millis).expect("an instant")
    }

    #[test]
    fn blocks_follow_each_other_and_idle_time_is_not_saved_up() {
        let (grant, line) = Throttle::default().reserve(10, 50, at(0), HORIZON);
        assert_eq!(grant, Grant::From(at(0)));
        let (grant, line) = line.expect("a line").reserve(10, 50, at(10), HORIZON);
        assert_eq!(grant, Grant::From(at(200)));
        let (grant, _) = line.expect("a line").reserve(10, 50, at(60_000), HORIZON);
        assert_eq!(grant, Grant::From(at(60_000)));
    }

    #[test]
    fn a_clock_that_was_ahead_blocks_nobody() {
        let line = Throttle { next: Some(at(3_600_000)), ..Throttle::default() };
        let (grant, line) = line.reserve(10, 50, at(0), HORIZON);
        assert_eq!(grant, Grant::Later(at(1_000)));
        assert_eq!(line.expect("a line").reserve(10, 50, at(1_000), HORIZON).0, Grant::From(at(1_000)));
    }

    #[test]
    fn a_line_that_is_full_gives_nothing_on_top() {
        let mut line = Throttle::default();
        let mut given = 0;
        for _ in 0..100 {
            match line.reserve(10, 50, at(0), HORIZON) {
                (Grant::From(_), Some(next)) => {
                    line = next;
                    given += 10;
                }
                (grant, _) => assert!(matches!(grant, Grant::Later(when) if when > at(4_000))),
            }
        }
        assert_eq!(given, 210, "what four seconds hold, and the block that begins with the fifth");
    }

    #[test]
    fn a_pause_holds_for_everybody_and_only_grows() {
        let line = Throttle::default().paused(at(3_000)).expect("a pause");
        assert_eq!(line.paused(at(2_000)), None);
        assert_eq!(line.reserve(1, 50, at(0), HORIZON).0, Grant::From(at(3_000)));
        let line = line.paused(at(30_000)).expect("a longer pause");
        assert_eq!(line.reserve(1, 50, at(0), HORIZON), (Grant::Later(at(30_000)), None));
    }

    proptest! {
        #[test]
        fn no_stretch_of_time_holds_more_than_the_rate_and_one_block(
            rate in prop::sample::select(vec![1_u32, 5, 50, 200, 1000]),
            pauses in prop::collection::vec(0_i64..60, 1..300)
        ) {
            let (mut line, mut now, mut grants) = (Throttle::default(), at(0), Vec::new());
            let block = (rate / 5).max(1);
            for pause in pauses {
                now += TimeDelta::milliseconds(pause);
                if let (Grant::From(begin), Some(next)) = line.reserve(block, rate, now, HORIZON) {
                    grants.push(begin);
                    line = next;
                }
            }
            for (index, from) in grants.iter().enumerate() {
                let within = |begin: &&Timestamp| **begin < *from + TimeDelta::seconds(1);
                let sent = u32::try_from(grants[index..].iter().take_while(within).count()).unwrap_or(u32::MAX) * block;
                prop_assert!(sent <= rate + block, "{sent} in one second at {rate}");
            }
        }
    }
}
