//! The arithmetic of pace. Pure.
//!
//! A tenant's time line is cut into blocks: a reservation of `n` permits takes the next free `n / pace` seconds, and
//! its messages go at the beginning of that block. Whoever dies with permits in hand costs their time, no more.
//!
//! The line has a time of its own: the latest that any instance's clock has shown when it wrote here. Instances whose
//! clocks are apart agree on it with what they read, so that their blocks follow each other as one line.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::chats::{Chats, chat};
use super::pace::Slowed;
use crate::clock::Timestamp;
use crate::store::V1;

/// Teams' second, and what a message may take longer or shorter on its way than the one before it: in no second of
/// Teams' there are more messages than the rate, at the price of a hundredth and a half of it.
const SECOND: Duration = Duration::from_millis(1015);
/// A pause of up to this is sat out by whoever asks.
const PATIENCE: Duration = Duration::from_secs(5);
/// So far ahead permits are given, and one block and a half more: whoever would wait longer goes back to the store
/// instead, and leaves its place to another tenant's batch.
const AHEAD: Duration = Duration::from_millis(500);
/// What marking a window may take at any time, however quick it was before.
const HICCUP: Duration = Duration::from_millis(100);
/// A line is held up for marking by no more than so many blocks: one without limits needs no evenness.
const LEAD: u32 = 16;
/// Who was called may wait longer, since somebody stepped back for it: so often as long, if it comes soon enough.
const CALLED: u32 = 4;
const COMES_WITHIN: Duration = Duration::from_secs(10);
/// No line grows so much longer: what does is a mistake, and is forgotten.
const ABSURD: Duration = Duration::from_secs(60);
/// Of more notifications than these that wait at once, the others are found by `Tick`.
const WAITING: usize = 32;

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
    /// The line's time when it was last written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The blocks of the last second: when they began, and how many messages they held.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<(Timestamp, u32)>,
    /// What Teams taught about the pace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slowed: Option<Slowed>,
    /// How much each chat was sent lately, where it could be too much.
    #[serde(default, skip_serializing_if = "Chats::is_empty")]
    pub chats: Chats,
    /// Notifications that found the line full while others had it, longest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<String>,
    /// Those of them that were called, and when: a place is kept for them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub called: BTreeMap<String, Timestamp>,
}

/// Who wants to send, and to whom.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The notification.
    pub notification: &'a str,
    /// The persons' keys, each once.
    pub people: &'a [&'a str],
    /// How many messages a second Teams allows.
    pub rate: u32,
    /// Whether it has had permits for a while: then others who wait come first.
    pub long: bool,
    /// How long it takes until messages can go.
    pub lead: Duration,
}

/// The answer to a reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Grant {
    /// These messages may go from this instant on.
    From {
        /// When.
        at: Timestamp,
        /// Which of those that were asked for, by place: as many as make a window at the present pace.
        places: Vec<usize>,
        /// Whose chat has had enough for now, and until when.
        later: Vec<(usize, Timestamp)>,
    },
    /// Nothing was reserved: every chat has had enough for now.
    Full {
        /// Until when, by place.
        later: Vec<(usize, Timestamp)>,
    },
    /// Nothing was reserved: nobody's turn comes as soon as anybody should wait for it. Come back then.
    Later(Timestamp),
}

impl Throttle {
    /// Takes a block of permits; answers the time line to store, when it changed. `now` is the line's time. The block begins
    /// no sooner than messages can go.
    pub fn reserve(&self, ask: &Ask<'_>, now: Timestamp) -> (Grant, Option<Self>) {
        if ask.long && self.starving(ask.notification, now).is_some() {
            return (Grant::Later(now), self.remembering(ask.notification));
        }
        let pace = self.pace(ask.rate, now);
        let begin = match self.turn(ask, pace, now) {
            Ok(begin) => begin,
            Err(later) => return (Grant::Later(later), self.remembering(ask.notification)),
        };
        let (mut places, later) = self.chats.admit(ask.people, begin);
        places.truncate(window(pace));
        let Ok(count @ 1..) = u32::try_from(places.len()) else { return (Grant::Full { later }, None) };
        let begin = self.without_crowd(begin, count, pace);
        let sent = places.iter().filter_map(|place| ask.people.get(*place));
        let mut blocks: Vec<_> = self.blocks.iter().copied().filter(|(at, _)| *at + SECOND > begin).collect();
        blocks.push((begin, count));
        let next = Self {
            next: Some(begin + spacing(count, pace)),
            at: Some(self.at.map_or(now, |at| at.max(now))),
            blocks,
            chats: self.chats.clone().after(&chat(ask.notification), sent.map(|person| chat(person)), begin, now),
            waiting: self.without(ask.notification),
            called: self.still_called(ask.notification, now),
            ..self.clone()
        };
        (Grant::From { at: begin, places, later }, Some(next))
    }

    /// When the next block can begin, or when to come back.
    fn turn(&self, ask: &Ask<'_>, pace: f64, now: Timestamp) -> Result<Timestamp, Timestamp> {
        let resumes = self.paused_until.map_or(now, |until| until.max(now));
        let free = self.next.filter(|next| *next <= resumes + ABSURD).map_or(resumes, |next| next.max(resumes));
        let block = block(pace);
        let lead = ask.lead.min(block * LEAD).max(HICCUP.min(block));
        let is_called = self.called.get(ask.notification).is_some_and(|at| now < *at + COMES_WITHIN);
        let ahead = lead + (AHEAD + block.mul_f64(1.5)) * if is_called { CALLED } else { 1 };
        if resumes > now + PATIENCE {
            Err(resumes)
        } else if free > resumes + ahead {
            // Whoever steps back calls; until then nobody knows when.
            Err(now)
        } else {
            Ok(free.max(now + lead))
        }
    }

    /// Until when a notification need not ask, when its turn does not come soon; and the line that remembers it.
    #[must_use]
    pub fn turned_away(&self, ask: &Ask<'_>, now: Timestamp) -> (Option<Timestamp>, Option<Self>) {
        match self.turn(ask, self.pace(ask.rate, now), now) {
            Ok(_) => (None, None),
            Err(later) => (Some(later), self.remembering(ask.notification)),
        }
    }

    /// Who is turned away while others have the line is called when one of them steps back.
    fn remembering(&self, notification: &str) -> Option<Self> {
        let is_known = self.waiting.iter().any(|known| known == notification);
        if is_known || self.waiting.len() >= WAITING || !self.chats.has_others(&chat(notification)) {
            return None;
        }
        let waiting = self.waiting.iter().cloned().chain([notification.to_owned()]).collect();
        Some(Self { waiting, ..self.clone() })
    }

    fn without(&self, notification: &str) -> Vec<String> {
        self.waiting.iter().filter(|known| *known != notification).cloned().collect()
    }

    /// Who waits longest, besides a notification, and has nobody in the line.
    fn starving(&self, besides: &str, now: Timestamp) -> Option<&String> {
        self.waiting.iter().find(|known| *known != besides && !self.chats.is_running(&chat(known), now))
    }

    /// How many notifications have or want the line, one of them counted in any case.
    #[must_use]
    pub fn shared_by(&self, notification: &str, now: Timestamp) -> usize {
        let own = chat(notification);
        let wanted = self.waiting.iter().chain(self.called.keys()).map(|name| chat(name));
        let all: BTreeSet<_> = self.chats.running(now).cloned().chain(wanted).chain([own]).collect();
        all.len()
    }

    /// Who is to be called when a notification steps back, and the line without them.
    #[must_use]
    pub fn called(&self, besides: &str, now: Timestamp) -> (Option<String>, Option<Self>) {
        let Some(next) = self.starving(besides, now) else { return (None, None) };
        let mut called = self.still_called(besides, now);
        called.insert(next.clone(), now);
        (Some(next.clone()), Some(Self { waiting: self.without(next), called, ..self.clone() }))
    }

    /// Those who were called and may still come, besides one.
    fn still_called(&self, besides: &str, now: Timestamp) -> BTreeMap<String, Timestamp> {
        let may_come = |name: &String, at: Timestamp| name != besides && now < at + COMES_WITHIN;
        self.called.iter().filter(|(name, at)| may_come(name, **at)).map(|(name, at)| (name.clone(), *at)).collect()
    }

    /// Blocks are of different sizes: one that would make a second too full begins when there is room in it.
    fn without_crowd(&self, begin: Timestamp, count: u32, pace: f64) -> Timestamp {
        let room = whole(pace.ceil()).max(count) - count;
        let mut held = 0;
        let crowd = self.blocks.iter().rev().find(|(_, more)| {
            held += more;
            held > room
        });
        crowd.map_or(begin, |(at, _)| begin.max(*at + SECOND))
    }

    /// How many messages a second go at this instant.
    #[must_use]
    pub fn pace(&self, rate: u32, now: Timestamp) -> f64 {
        self.slowed.map_or(f64::from(rate), |slowed| slowed.pace(rate, now))
    }

    /// Teams said that it is too much, to a message that went out at `sent`: nobody sends before `until`, and slower
    /// from then on. What was out at the same time is one lesson.
    #[must_use]
    pub fn told_to_slow_down(&self, rate: u32, sent: Timestamp, until: Timestamp, now: Timestamp) -> Option<Self> {
        let paused_until = self.paused_until.max(Some(until));
        let slowed = match self.slowed {
            Some(known) if sent < known.at => Some(known),
            known => Some(Slowed::from(known, self.pace(rate, now), now, now.max(until))),
        };
        let next = Self { paused_until, slowed, at: Some(self.at.map_or(now, |at| at.max(now))), ..self.clone() };
        (next.paused_until != self.paused_until || next.slowed != self.slowed).then_some(next)
    }
}

/// How many messages make a window: what the pace sends in a fifth of a second, one at least.
#[must_use]
pub fn window(pace: f64) -> usize {
    usize::try_from(whole(window_size(pace))).unwrap_or(usize::MAX)
}

fn window_size(pace: f64) -> f64 {
    (pace / 5.0).floor().clamp(1.0, 100.0)
}

/// How long the block of a whole window takes.
fn block(pace: f64) -> Duration {
    Duration::from_secs_f64(window_size(pace) / pace)
}

/// How long a block keeps the line.
fn spacing(count: u32, pace: f64) -> TimeDelta {
    let micros = f64::from(count) / pace * SECOND.as_secs_f64() * 1e6;
    TimeDelta::microseconds(i64::from(whole(micros)))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
fn whole(number: f64) -> u32 {
    number.clamp(0.0, f64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_timestamp_millis(1_800_000_000_000 + millis).expect("an instant")
    }

    fn ask<'a>(rate: u32, people: &'a [&'a str]) -> Ask<'a> {
        Ask { notification: "n", people, rate, long: false, lead: Duration::ZERO }
    }

    fn full_until(line: &Throttle, rate: u32, now: i64) -> Option<Timestamp> {
        line.turned_away(&ask(rate, &[]), at(now)).0
    }

    const TEN: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

    fn begins(grant: &Grant) -> Option<(Timestamp, usize)> {
        match grant {
            Grant::From { at, places, .. } => Some((*at, places.len())),
            Grant::Full { .. } | Grant::Later(_) => None,
        }
    }

    /// Reserves at an instant; answers the beginning and the line.
    fn taken(line: &Throttle, rate: u32, people: &[&str], now: i64) -> (Option<(Timestamp, usize)>, Throttle) {
        let (grant, next) = line.reserve(&ask(rate, people), at(now));
        (begins(&grant), next.unwrap_or_else(|| line.clone()))
    }

    #[test]
    fn blocks_follow_each_other_and_idle_time_is_not_saved_up() {
        let (first, line) = taken(&Throttle::default(), 50, &TEN, 0);
        let (second, line) = taken(&line, 50, &TEN, 10);
        let (later, _) = taken(&line, 50, &TEN, 60_000);
        assert_eq!((first, second, later), (Some((at(100), 10)), Some((at(303), 10)), Some((at(60_100), 10))));
    }

    #[test]
    fn a_line_that_is_full_gives_nothing_on_top() {
        let (mut line, mut given) = (Throttle::default(), 0);
        for _ in 0..100 {
            match taken(&line, 50, &TEN, 0) {
                (Some((_, count)), next) => (line, given) = (next, given + count),
                (None, _) => assert_eq!(full_until(&line, 50, 0), Some(at(0))),
            }
        }
        assert_eq!(given, 40, "whoever comes now would wait longer than half a second and a block");
        assert_eq!(full_until(&line, 50, 200), None);
    }

    #[test]
    fn who_is_turned_away_while_others_have_the_line_is_called_in_turn() {
        let mut line = Throttle::default();
        while let (Some(_), next) = taken(&line, 50, &TEN, 0) {
            line = next;
        }
        assert_eq!(line.waiting, Vec::<String>::new(), "a notification that is alone waits for nobody");
        for other in ["m", "o", "m"] {
            let (until, next) = line.turned_away(
                &Ask { notification: other, people: &[], rate: 50, long: false, lead: Duration::ZERO },
                at(0),
            );
            assert!(until.is_some());
            line = next.unwrap_or(line);
        }
        assert_eq!(line.waiting, ["m", "o"]);
        let long = Ask { long: true, ..ask(50, &TEN) };
        assert_eq!(line.reserve(&long, at(5_000)).0, Grant::Later(at(5_000)), "who had it for long steps back");
        let (called, line) = line.called("n", at(0));
        let line = line.expect("a line");
        assert_eq!((line.shared_by("n", at(0)), line.shared_by("x", at(60_000))), (3, 3));
        assert_eq!((called.as_deref(), line.waiting.as_slice()), (Some("m"), ["o".to_owned()].as_slice()));
        assert_eq!(line.called("o", at(0)), (None, None), "nobody calls themselves");
        let called = Ask { notification: "m", ..ask(50, &TEN) };
        let (grant, next) = line.reserve(&called, at(0));
        assert!(begins(&grant).is_some(), "a place is kept for whoever was called: {grant:?}");
        let next = next.expect("a line");
        assert!(matches!(next.reserve(&called, at(0)).0, Grant::Later(_)), "one");
        assert!(matches!(line.reserve(&ask(50, &TEN), at(0)).0, Grant::Later(_)), "and for nobody else");
    }

    #[test]
    fn at_one_a_second_two_can_take_turns() {
        let (first, line) = taken(&Throttle::default(), 1, &TEN, 0);
        let (second, line) = taken(&line, 1, &TEN, 1);
        assert_eq!((first, second), (Some((at(100), 1)), Some((at(1115), 1))));
        assert!(full_until(&line, 1, 2).is_some());
    }

    #[test]
    fn a_pause_holds_for_everybody_and_what_is_out_at_the_time_is_one_lesson() {
        let line = Throttle::default().told_to_slow_down(50, at(0), at(3_000), at(100)).expect("a pause");
        assert_eq!(line.told_to_slow_down(50, at(90), at(2_000), at(200)), None, "a shorter one, of the same lesson");
        let (resumed, _) = taken(&line, 50, &TEN, 200);
        assert_eq!(resumed, Some((at(3_000), 9)), "a fifth of a second at 45 a second");
        let longer = line.told_to_slow_down(50, at(90), at(30_000), at(300)).expect("a longer pause");
        assert_eq!(longer.slowed, line.slowed, "of the same lesson");
        assert_eq!(longer.reserve(&ask(50, &TEN), at(400)).0, Grant::Later(at(30_000)));
        let again = line.told_to_slow_down(50, at(3_100), at(4_000), at(3_200)).expect("another lesson");
        assert!(again.pace(50, at(4_000)) < 32.0, "{}", again.pace(50, at(4_000)));
    }

    #[test]
    fn a_line_that_is_absurd_is_forgotten() {
        let line = Throttle { next: Some(at(3_600_000)), ..Throttle::default() };
        assert_eq!(taken(&line, 50, &TEN, 0).0, Some((at(100), 10)));
    }

    #[test]
    fn whose_chat_has_had_enough_comes_later_and_keeps_nobody_waiting() {
        let mut line = Throttle::default();
        for number in 0..6 {
            let notification = format!("n{number}");
            let ask =
                Ask { notification: &notification, people: &["ana"], rate: 50, long: false, lead: Duration::ZERO };
            let (grant, next) = line.reserve(&ask, at(number * 30));
            assert!(begins(&grant).is_some(), "{number}");
            line = next.expect("a line");
        }
        let (grant, _) = line.reserve(
            &Ask { notification: "m", people: &["ana", "bob"], rate: 50, long: false, lead: Duration::ZERO },
            at(200),
        );
        let Grant::From { places, later, .. } = grant else { panic!("{grant:?}") };
        assert!(places == [1] && later[0].0 == 0 && later[0].1 > at(1_500), "{places:?} {later:?}");
        let (grant, next) = line.reserve(
            &Ask { notification: "m", people: &["ana"], rate: 50, long: false, lead: Duration::ZERO },
            at(200),
        );
        assert!(matches!(grant, Grant::Full { .. }) && next.is_none());
    }

    proptest! {
        #[test]
        fn no_second_holds_more_than_the_rate(
            rate in prop::sample::select(vec![1_u32, 3, 5, 8, 13, 50, 200, 1000]),
            steps in prop::collection::vec((0_i64..60, 1_usize..=10), 1..300)
        ) {
            let (mut line, mut now, mut grants) = (Throttle::default(), 0, Vec::new());
            for (pause, count) in steps {
                now += pause;
                let (grant, next) = taken(&line, rate, &TEN[..count], now);
                grants.extend(grant);
                line = next;
            }
            for (index, (from, _)) in grants.iter().enumerate() {
                let within = grants[index..].iter().take_while(|(begin, _)| *begin < *from + TimeDelta::milliseconds(1014));
                let sent: usize = within.map(|(_, count)| count).sum();
                prop_assert!(sent <= usize::try_from(rate).unwrap_or(usize::MAX), "{sent} in one second at {rate}");
            }
        }
    }
}
