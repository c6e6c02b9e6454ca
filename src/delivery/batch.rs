//! A batch and its ledger: one document of up to a hundred recipients. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::recipient::{Recipient, RecipientState, is_false, is_zero};
use super::{ATTEMPTS, Cursor};
use crate::clock::Timestamp;
use crate::notifications::{Counts, OnUncertain};
use crate::people::Skip;
use crate::store::V1;

/// Who works on a batch, and until when others keep off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The process and activation.
    pub owner: String,
    /// It runs out here unless renewed.
    pub until: Timestamp,
}

/// A batch as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Batch {
    /// The stored shape.
    pub v: V1,
    /// The notification.
    pub notification: String,
    /// The tenant of all recipients.
    pub tenant: String,
    /// Its number within the plan.
    pub number: u32,
    /// Where the page after this one begins, so that a replay follows the same path.
    pub next: Cursor,
    /// When it was planned.
    pub created_at: Timestamp,
    /// It waits until then, and is put out again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// It waits for the tenant's turn, not for recipients who are tried again later.
    #[serde(default, skip_serializing_if = "is_false")]
    pub held: bool,
    /// How often it was put out again without anybody's taking it on.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub in_vain: u32,
    /// Who works on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
    /// What of its counts the plan has been told.
    #[serde(default)]
    pub reported: Counts,
    /// The ledger.
    pub recipients: Vec<Recipient>,
}

impl Batch {
    /// Its id in the store.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{:08}", self.number)
    }

    /// How its recipients stand.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        self.recipients
            .iter()
            .filter_map(|recipient| recipient.state.outcome())
            .for_each(|outcome| counts.add(&outcome));
        counts
    }

    /// True when every recipient has an outcome.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.recipients.iter().all(|recipient| recipient.state.outcome().is_some())
    }

    /// True when somebody else may be working on it. On a store that only we can be using, a lease of an earlier
    /// process is void.
    #[must_use]
    pub fn is_leased(&self, now: Timestamp, instance: &str, exclusive: bool) -> bool {
        self.lease.as_ref().is_some_and(|lease| {
            let ours = lease.owner.starts_with(instance);
            lease.until > now && (ours || !exclusive)
        })
    }

    /// Takes it on, or goes on with it.
    pub fn lease(&mut self, owner: &str, now: Timestamp, lasting: Duration) {
        self.lease = Some(Lease { owner: owner.to_owned(), until: now + lasting });
        self.not_before = None;
        self.held = false;
        self.in_vain = 0;
    }

    /// Puts it out again.
    pub fn put_out(&mut self) {
        self.not_before = None;
        self.held = false;
        self.lease = None;
        self.in_vain = self.in_vain.saturating_add(1);
    }

    /// What whoever held it before left in the middle of a send is doubtful.
    pub fn recover(&mut self, policy: OnUncertain, now: Timestamp) {
        for recipient in &mut self.recipients {
            if let RecipientState::Sending { attempts, since, .. } = recipient.state {
                recipient.state = match policy {
                    OnUncertain::Resend if attempts + 1 < ATTEMPTS => RecipientState::Pending {
                        attempts: attempts + 1,
                        since: Some(since),
                        after: None,
                        reason: Some("interrupted".to_owned()),
                        doubtful: true,
                    },
                    OnUncertain::Report | OnUncertain::Resend => RecipientState::Uncertain { at: now },
                };
            }
        }
    }

    /// Up to `count` recipients that can be sent now, by place.
    #[must_use]
    pub fn ready(&self, now: Timestamp, count: usize) -> Vec<usize> {
        let is_ready = |recipient: &Recipient| match &recipient.state {
            RecipientState::Pending { after, .. } => after.is_none_or(|after| after <= now),
            RecipientState::Sending { .. }
            | RecipientState::Sent { .. }
            | RecipientState::Skipped { .. }
            | RecipientState::Failed { .. }
            | RecipientState::Uncertain { .. } => false,
        };
        let places = self.recipients.iter().enumerate().filter(|(_, recipient)| is_ready(recipient));
        places.map(|(place, _)| place).take(count).collect()
    }

    /// When the next recipient can be sent; none: nobody is left.
    #[must_use]
    pub fn next_ready(&self) -> Option<Timestamp> {
        let when = |recipient: &Recipient| match &recipient.state {
            RecipientState::Pending { after, .. } => Some(after.unwrap_or(Timestamp::MIN_UTC)),
            RecipientState::Sending { .. }
            | RecipientState::Sent { .. }
            | RecipientState::Skipped { .. }
            | RecipientState::Failed { .. }
            | RecipientState::Uncertain { .. } => None,
        };
        self.recipients.iter().filter_map(when).min()
    }

    /// Marks a recipient before the send.
    pub fn mark_sending(&mut self, place: usize, now: Timestamp) {
        let state = &mut self.recipients[place].state;
        if let RecipientState::Pending { attempts, since, doubtful, .. } = *state {
            *state = RecipientState::Sending { attempts, since: since.unwrap_or(now), doubtful };
        }
    }

    /// Lets a recipient wait whose chat has had enough for now.
    pub fn defer(&mut self, place: usize, until: Timestamp) {
        if let RecipientState::Pending { after, .. } = &mut self.recipients[place].state {
            *after = Some(until);
        }
    }

    /// Skips a recipient.
    pub fn skip(&mut self, place: usize, reason: Skip, now: Timestamp) {
        self.end_one(place, RecipientState::Skipped { at: now, reason }, now);
    }

    /// Fails a recipient who cannot be tried.
    pub fn fail(&mut self, place: usize, reason: &str, now: Timestamp) {
        self.end_one(place, RecipientState::Failed { at: now, reason: reason.to_owned() }, now);
    }

    fn end_one(&mut self, place: usize, end: RecipientState, now: Timestamp) {
        let state = &mut self.recipients[place].state;
        *state = RecipientState::not_sent(end, state.is_doubtful(), now);
    }

    /// Ends whoever is left: the notification is over. Whoever was tried before an expiry failed for that reason.
    pub fn end(&mut self, why: Skip, now: Timestamp) {
        for recipient in &mut self.recipients {
            if let RecipientState::Pending { reason, doubtful, .. } = &recipient.state {
                let end = match reason {
                    Some(reason) if why == Skip::Expired => RecipientState::Failed { at: now, reason: reason.clone() },
                    _ => RecipientState::Skipped { at: now, reason: why },
                };
                recipient.state = RecipientState::not_sent(end, *doubtful, now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_timestamp(1_800_000_000 + second, 0).expect("an instant")
    }

    fn batch(states: Vec<RecipientState>) -> Batch {
        let recipient = |state| Recipient { person: Some("u:1".into()), user_id: None, aad_object_id: None, state };
        Batch {
            v: V1,
            notification: "n".into(),
            tenant: "t".into(),
            number: 1,
            next: Cursor::Done,
            created_at: at(0),
            not_before: None,
            held: false,
            in_vain: 0,
            lease: None,
            reported: Counts::default(),
            recipients: states.into_iter().map(recipient).collect(),
        }
    }

    #[test]
    fn what_was_being_sent_when_its_owner_died_follows_the_policy() {
        let sending = RecipientState::Sending { attempts: 1, since: at(0), doubtful: false };
        let mut reported = batch(vec![sending.clone()]);
        reported.recover(OnUncertain::Report, at(9));
        assert_eq!(reported.counts().uncertain, 1);
        let mut resent = batch(vec![sending.clone()]);
        resent.recover(OnUncertain::Resend, at(9));
        assert_eq!(resent.ready(at(9), 10), vec![0]);
        // From now on they may have it: no end says that they were not sent it.
        let mut muted = resent.clone();
        muted.skip(0, Skip::Muted, at(9));
        let mut unreadable = resent.clone();
        unreadable.fail(0, "unreadable", at(9));
        assert_eq!(unreadable.counts().uncertain, 1);
        resent.end(Skip::Cancelled, at(9));
        assert_eq!((muted.counts().uncertain, resent.counts().uncertain), (1, 1));
        let last = RecipientState::Sending { attempts: 7, since: at(0), doubtful: true };
        let mut tried = batch(vec![last]);
        tried.recover(OnUncertain::Resend, at(9));
        assert_eq!(tried.counts().uncertain, 1, "attempts end, also these");
    }

    #[test]
    fn a_lease_keeps_others_off_until_it_runs_out() {
        let mut batch = batch(vec![]);
        batch.lease("one/1", at(0), Duration::from_secs(45));
        assert!(batch.is_leased(at(44), "two", false));
        assert!(!batch.is_leased(at(45), "two", false));
        assert!(!batch.is_leased(at(1), "two", true), "the directory's lock proves that one is gone");
        assert!(batch.is_leased(at(1), "one", true), "another activation of this very process");
    }

    #[test]
    fn an_end_gives_everybody_an_outcome() {
        let tried = RecipientState::Pending {
            attempts: 2,
            since: Some(at(0)),
            after: None,
            reason: Some("http503".into()),
            doubtful: false,
        };
        let mut expired = batch(vec![RecipientState::untried(), tried.clone()]);
        expired.end(Skip::Expired, at(9));
        assert_eq!(expired.counts().skipped.get(&Skip::Expired), Some(&1));
        assert_eq!(expired.counts().failed.get("http503"), Some(&1));
        let mut cancelled = batch(vec![RecipientState::untried(), tried]);
        cancelled.end(Skip::Cancelled, at(9));
        assert_eq!(cancelled.counts().skipped.get(&Skip::Cancelled), Some(&2));
        assert!(cancelled.is_finished());
    }
}
