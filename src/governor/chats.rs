//! No chat gets more than Teams allows it, whoever sends. Pure.
//!
//! Teams' limits for one bot in one conversation (rate-limit.md, 2026-10-08): 7 messages in 1 s, 8 in 2 s, 60 in 30 s,
//! 1800 in 3600 s. A notification is sent to somebody once, so these matter only where several notifications run in a
//! tenant at the same time: only then it is written down who was sent something. Each chat has a bucket that holds a few
//! messages and fills by one every [`EACH`]; one that may have got a message unnoticed counts as having got it.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::clock::Timestamp;

/// How often, in the long run.
const EACH: TimeDelta = TimeDelta::milliseconds(2020);
/// How many at once: with the one that may have gone unnoticed and what comes after, seven in two seconds at most.
const AT_ONCE: i32 = 5;
/// No more chats are written down. At the rate that Teams allows there are never so many.
const MOST: usize = 1000;

/// What is written down.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Chats {
    /// Notifications that reserved something lately, and when last.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    running: BTreeMap<String, Timestamp>,
    /// When each chat's bucket is full again, in milliseconds of the epoch: there may be hundreds of them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    full: BTreeMap<String, i64>,
}

/// How a person or a notification is written down: short, and the same on every instance.
pub(super) fn chat(key: &str) -> String {
    let [a, b, c, d, ..]: [u8; 32] = Sha256::digest(key.as_bytes()).into();
    format!("{:08x}", u32::from_be_bytes([a, b, c, d]))
}

impl Chats {
    /// True when nothing is written down.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.running.is_empty() && self.full.is_empty()
    }

    /// Whether another notification runs.
    #[must_use]
    pub fn has_others(&self, notification: &str) -> bool {
        self.running.keys().any(|running| running != notification)
    }

    /// Notifications that had a block lately.
    pub fn running(&self, now: Timestamp) -> impl Iterator<Item = &String> {
        self.running.iter().filter(move |(_, last)| **last + EACH > now).map(|(name, _)| name)
    }

    /// Whether a notification had a block lately.
    #[must_use]
    pub fn is_running(&self, notification: &str, now: Timestamp) -> bool {
        self.running.get(notification).is_some_and(|last| *last + EACH > now)
    }

    /// Who may get a message at an instant, by place, and who when instead.
    #[must_use]
    pub fn admit(&self, people: &[&str], at: Timestamp) -> (Vec<usize>, Vec<(usize, Timestamp)>) {
        let (mut places, mut later) = (Vec::new(), Vec::new());
        for (place, person) in people.iter().enumerate() {
            let known = if self.full.is_empty() { None } else { self.full.get(&chat(person)) };
            let known = known.and_then(|full| Timestamp::from_timestamp_millis(*full));
            match known.map(|full| full - EACH * AT_ONCE).filter(|free| *free > at) {
                Some(free) => later.push((place, free)),
                None => places.push(place),
            }
        }
        (places, later)
    }

    /// After messages of a notification to these chats at an instant.
    #[must_use]
    pub fn after(
        mut self,
        notification: &str,
        chats: impl Iterator<Item = String>,
        at: Timestamp,
        now: Timestamp,
    ) -> Self {
        self.running.retain(|_, last| *last + EACH > now);
        self.full.retain(|_, full| *full > now.timestamp_millis());
        self.running.insert(notification.to_owned(), at);
        let alone = self.running.len() == 1;
        let (at, each) = (at.timestamp_millis() + 1, EACH.num_milliseconds());
        for chat in chats {
            if let Some(full) = self.full.get_mut(&chat) {
                *full = (*full).max(at) + each;
            } else if !alone && self.full.len() < MOST {
                self.full.insert(chat, at + each * 2);
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_timestamp_millis(1_800_000_000_000 + millis).expect("an instant")
    }

    /// Each notification sends to `ana` once, as soon as it may; answers when.
    fn sends(tries: &[i64]) -> Vec<i64> {
        let (mut chats, mut sent, mut now) = (Chats::default(), Vec::new(), 0);
        for (number, gap) in tries.iter().enumerate() {
            now += gap;
            let (places, later) = chats.admit(&["ana"], at(now));
            if places.is_empty() {
                now = (later[0].1 - at(0)).num_milliseconds();
            }
            chats = chats.after(&chat(&format!("n{number}")), [chat("ana")].into_iter(), at(now), at(now));
            sent.push(now);
        }
        sent
    }

    fn most_within(sent: &[i64], millis: i64) -> usize {
        let within = |from: usize| sent[from..].iter().take_while(|time| **time - sent[from] < millis).count();
        (0..sent.len()).map(within).max().unwrap_or_default()
    }

    #[test]
    fn a_notification_that_is_alone_writes_nobody_down() {
        let crowd: Vec<_> = (0..500).map(|number| chat(&number.to_string())).collect();
        let chats = Chats::default().after("n", crowd.into_iter(), at(0), at(0));
        assert!(chats.full.is_empty());
        let two = chats.after("m", [chat("ana")].into_iter(), at(10), at(10));
        assert_eq!(two.full.len(), 1);
        assert!(two.after("m", std::iter::empty(), at(60_000), at(60_000)).full.is_empty(), "it fades");
    }

    #[test]
    fn ten_notifications_at_once_reach_somebody_as_fast_as_a_chat_may_get_them() {
        let sent = sends(&[0; 10]);
        assert!(sent[5] <= 1, "six at once: {sent:?}");
        assert!(sent[9] < 10_000, "{sent:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn no_chat_gets_more_than_teams_allows(gaps in prop::collection::vec(0_i64..3000, 1..2500)) {
            let sent = sends(&gaps);
            for (millis, most) in [(1_000, 7), (2_000, 8), (30_000, 60), (3_600_000, 1800)] {
                prop_assert!(most_within(&sent, millis) <= most, "{most} in {millis} ms");
            }
        }
    }
}
