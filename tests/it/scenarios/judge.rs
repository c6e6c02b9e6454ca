//! What was seen against what was expected, and against what always holds.

use std::collections::BTreeMap;
use std::fmt::Debug;

use serde_json::Value;

use super::file::Scenario;
use super::run::{Seen, id};
use super::teams::{Taken, copies};

/// Two Ticks, and what a poll of the queue and a window take.
const STALL: f64 = 34.0;

/// Everything that is not as it must be; nothing: it is.
pub fn judge(scenario: &Scenario, seen: &Seen) -> Vec<String> {
    let expect = &scenario.expect;
    let log = seen.teams.log.lock().unwrap();
    let mut wrong = Wrong::default();
    for status in &seen.statuses {
        adds_up(scenario, status, &mut wrong);
    }
    let sums = sums(&seen.statuses);
    let sum = |name: &str| sums.get(name).copied().unwrap_or_default();
    for (name, range) in
        [("sent", expect.sent), ("failed", expect.failed), ("uncertain", expect.uncertain), ("skipped", expect.skipped)]
    {
        wrong.unless_within(name, sum(name), range.or((name == "uncertain").then_some([0, 0])));
    }
    if !expect.twice {
        let twice = copies(&log.taken).into_iter().filter(|(_, copies)| *copies > 1).count();
        wrong.unless(twice == 0, || format!("{twice} got a message twice"));
    }
    let delivered = copies(&log.taken).len() as u64;
    wrong.unless(delivered >= sum("sent"), || format!("{} are counted as sent, {delivered} arrived", sum("sent")));
    wrong.unless(delivered <= sum("sent") + sum("uncertain"), || format!("{delivered} arrived, fewer are counted"));
    wrong.unless(log.crowded == 0, || format!("{} messages were too much for a chat", log.crowded));
    wrong.unless_within("throttled", log.throttled, expect.throttled);
    wrong.unless_within("queue", seen.queue.longest(), expect.queue.map(|most| [0, most]));
    let written = seen.written * 1000 / (log.taken.len() as u64).max(1);
    wrong.unless_within("written", written, expect.written.map(|most| [0, most]));
    if let Some(expected) = expect.at_work {
        let mut by = BTreeMap::<usize, usize>::new();
        log.taken.iter().for_each(|message| *by.entry(message.instance).or_default() += 1);
        let share = log.taken.len() / scenario.instances.len();
        let at_work = by.values().filter(|sent| **sent * 10 >= share).count();
        wrong.unless(at_work >= expected, || format!("{at_work} instances are at work: {by:?}"));
    }
    let last = log.taken.iter().map(|message| message.at).fold(0.0, f64::max);
    wrong.unless_within("seconds", last, expect.seconds);
    pauses(scenario, &log.taken, &mut wrong);
    if let Some(share) = expect.share {
        let allowed: f64 = (0..scenario.audience.tenants).map(|tenant| allowance(seen, tenant, &log.taken)).sum();
        let sent = log.taken.len() as f64 / allowed;
        wrong.unless(sent >= share, || format!("{sent:.3} of what is allowed was sent"));
    }
    wrong.0
}

#[derive(Default)]
struct Wrong(Vec<String>);

impl Wrong {
    fn unless(&mut self, holds: bool, says: impl FnOnce() -> String) {
        if !holds {
            self.0.push(says());
        }
    }

    fn unless_within<T: PartialOrd + Debug + Copy>(&mut self, what: &str, seen: T, range: Option<[T; 2]>) {
        let Some([least, most]) = range else { return };
        self.unless((least..=most).contains(&seen), || format!("{what}: {seen:?}, expected {least:?} to {most:?}"));
    }
}

fn adds_up(scenario: &Scenario, status: &Value, wrong: &mut Wrong) {
    let counts = sums(std::slice::from_ref(status));
    let total: u64 = ["sent", "failed", "uncertain", "skipped"].iter().filter_map(|name| counts.get(*name)).sum();
    let audience = status["counts"]["audience"].as_u64().unwrap_or_default();
    wrong.unless(total == audience, || format!("the counts add up to {total}, not {audience}: {status}"));
    let number =
        (0..scenario.notifications.len()).find(|number| status["id"] == id(*number).as_str()).unwrap_or_default();
    let posted = &scenario.notifications[number];
    if posted.cancelled.is_none() && posted.expires.is_none() {
        let tenants = posted.tenants.as_ref().map_or(scenario.audience.tenants, Vec::len);
        let expected = (tenants * scenario.audience.people) as u64;
        wrong.unless(audience == expected, || format!("the audience is {audience}, not {expected}"));
    }
}

/// Counts by outcome, over several statuses.
fn sums(statuses: &[Value]) -> BTreeMap<&'static str, u64> {
    let mut sums = BTreeMap::new();
    for status in statuses {
        for name in ["sent", "failed", "uncertain", "skipped"] {
            let counts = &status["counts"][name];
            let by_reason = || counts.as_object().into_iter().flatten().filter_map(|(_, count)| count.as_u64()).sum();
            *sums.entry(name).or_default() += counts.as_u64().unwrap_or_else(by_reason);
        }
    }
    sums
}

/// No tenant with work is without a message for long.
fn pauses(scenario: &Scenario, taken: &[Taken], wrong: &mut Wrong) {
    let mut by: BTreeMap<(&str, usize), Vec<f64>> = BTreeMap::new();
    for message in taken {
        by.entry((&message.text, message.tenant)).or_default().push(message.at);
    }
    for (number, posted) in scenario.notifications.iter().enumerate() {
        for ((text, tenant), times) in by.iter().filter(|((text, _), _)| *text == id(number)) {
            let mut times = times.clone();
            times.sort_by(f64::total_cmp);
            let ends = [posted.cancelled, posted.expires].into_iter().flatten().fold(f64::INFINITY, f64::min);
            times.insert(0, posted.at);
            let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
            let longest = gaps.fold(0.0, f64::max);
            let allowed = scenario.expect.stalls_of.get(tenant).copied();
            let allowed = allowed.or(scenario.expect.stall).unwrap_or(STALL);
            wrong.unless(longest <= allowed, || format!("{text}: no message in tenant {tenant} for {longest:.1} s"));
            let last = times.last().copied().unwrap_or_default();
            let late = scenario.expect.after_the_end.unwrap_or(2.0);
            wrong.unless(last <= ends + late, || format!("{text}: a message {:.1} s after its end", last - ends));
        }
    }
}

/// What Teams allowed a tenant from its first message to its last.
fn allowance(seen: &Seen, tenant: usize, taken: &[Taken]) -> f64 {
    let times = || taken.iter().filter(|message| message.tenant == tenant).map(|message| message.at);
    let (last, step) = (times().fold(0.0, f64::max), 0.1);
    let mut at = times().fold(f64::INFINITY, f64::min);
    let mut allowed = 0.0;
    while at < last {
        allowed += seen.teams.allowed(tenant, at) as f64 * step;
        at += step;
    }
    allowed
}

/// What went when, for whoever looks into one: every five seconds by notification, and each second in all.
pub fn course(seen: &Seen) -> String {
    let log = seen.teams.log.lock().unwrap();
    let (mut seconds, mut steps) = (BTreeMap::<u64, usize>::new(), BTreeMap::<(u64, &str), usize>::new());
    for message in &log.taken {
        let second = message.at.floor() as u64;
        *seconds.entry(second).or_default() += 1;
        *steps.entry((second / 5 * 5, &message.text)).or_default() += 1;
    }
    let written = seen.written * 1000 / (log.taken.len() as u64).max(1);
    let counts = format!("throttled {}, too much for a chat {}", log.throttled, log.crowded);
    let statuses: Vec<_> = seen.statuses.iter().map(Value::to_string).collect();
    let longest = seen.queue.longest();
    format!("{steps:?}\n{seconds:?}\n{counts}, written {written} per 1000, queue {longest}\n{}", statuses.join("\n"))
}
