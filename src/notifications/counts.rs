//! Outcomes of recipients, and how many had each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::people::Skip;

/// How many reasons for failure are told apart.
const REASONS: usize = 50;

/// How a recipient ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// Teams took the message.
    Sent,
    /// Not sent, on purpose.
    Skipped(Skip),
    /// Not sent; the reason is Teams' code in camelCase.
    Failed(&'a str),
    /// It may or may not have gone out.
    Uncertain,
}

/// How many recipients had each outcome. What is missing from the audience is pending.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Counts {
    /// Sent.
    pub sent: u64,
    /// Skipped, by reason.
    pub skipped: BTreeMap<Skip, u64>,
    /// Failed, by reason.
    pub failed: BTreeMap<String, u64>,
    /// Doubtful.
    pub uncertain: u64,
}

impl Counts {
    /// Counts one more.
    pub fn add(&mut self, outcome: &Outcome<'_>) {
        match outcome {
            Outcome::Sent => self.sent += 1,
            Outcome::Skipped(reason) => *self.skipped.entry(*reason).or_default() += 1,
            Outcome::Failed(reason) => *self.failed.entry((*reason).to_owned()).or_default() += 1,
            Outcome::Uncertain => self.uncertain += 1,
        }
    }

    /// How many have an outcome.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.sent + self.uncertain + self.skipped.values().sum::<u64>() + self.failed.values().sum::<u64>()
    }

    /// These and others.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        self.sent += other.sent;
        self.uncertain += other.uncertain;
        for (reason, count) in &other.skipped {
            *self.skipped.entry(*reason).or_default() += count;
        }
        for (reason, count) in &other.failed {
            // Reasons are Teams' own words: however many there are, the figures stay small.
            let known = self.failed.contains_key(reason) || self.failed.len() < REASONS;
            *self.failed.entry(if known { reason.clone() } else { "other".to_owned() }).or_default() += count;
        }
        self
    }

    /// These without what was counted before. An outcome is final, so no count is smaller than it was.
    #[must_use]
    pub fn minus(mut self, earlier: &Self) -> Self {
        self.sent = self.sent.saturating_sub(earlier.sent);
        self.uncertain = self.uncertain.saturating_sub(earlier.uncertain);
        for (reason, count) in &earlier.skipped {
            let left = self.skipped.entry(*reason).or_default();
            *left = left.saturating_sub(*count);
        }
        for (reason, count) in &earlier.failed {
            let left = self.failed.entry(reason.clone()).or_default();
            *left = left.saturating_sub(*count);
        }
        self.skipped.retain(|_, count| *count > 0);
        self.failed.retain(|_, count| *count > 0);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_can_be_taken_off_again() {
        let mut early = Counts::default();
        early.add(&Outcome::Sent);
        early.add(&Outcome::Skipped(Skip::Muted));
        let mut late = early.clone();
        late.add(&Outcome::Failed("http418"));
        late.add(&Outcome::Uncertain);
        assert_eq!(late.total(), 4);
        let rest = late.clone().minus(&early);
        assert_eq!(rest.total(), 2);
        assert_eq!(early.plus(&rest), late);
    }
}
