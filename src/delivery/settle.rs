//! From how a send ended to what the recipient is now, and what everybody else learns from it. Pure.

use crate::clock::Timestamp;
use crate::connector::SendOutcome;
use crate::notifications::OnUncertain;
use crate::people::State;

use super::{ATTEMPTS, GIVE_UP_AFTER, RecipientState, backoff};

/// What follows from a send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The recipient now.
    pub state: RecipientState,
    /// How the reference stands now, where that is known.
    pub teaches: Option<State>,
    /// Until when the tenant is paused.
    pub pause: Option<Timestamp>,
}

/// Settles a recipient who was marked as being sent since `since`, after `attempts` that count.
#[must_use]
pub fn settle(
    outcome: SendOutcome,
    (attempts, since): (u32, Timestamp),
    policy: OnUncertain,
    now: Timestamp,
    chance: f64,
) -> Settled {
    let only = |state| Settled { state, teaches: None, pause: None };
    match outcome {
        SendOutcome::Sent { activity_id } => only(RecipientState::Sent { at: now, activity: activity_id }),
        SendOutcome::Throttled { retry_after } => {
            let until = now + retry_after.unwrap_or_else(|| backoff(0, chance));
            Settled { pause: Some(until), ..only(again(attempts, since, until, "throttled".into(), now)) }
        }
        SendOutcome::Busy { retry_after } => {
            let after = now + retry_after.unwrap_or_else(|| backoff(0, chance));
            only(again(attempts, since, after, "preconditionFailed".into(), now))
        }
        SendOutcome::Unavailable { reason, retry_after } => {
            let after = now + retry_after.unwrap_or_else(|| backoff(attempts, chance));
            only(again(attempts + 1, since, after, reason, now))
        }
        SendOutcome::Uncertain { reason } => match policy {
            OnUncertain::Report => only(RecipientState::Uncertain { at: now }),
            OnUncertain::Resend => only(again(attempts + 1, since, now + backoff(attempts, chance), reason, now)),
        },
        SendOutcome::Refused { reason, teaches } => {
            Settled { teaches, ..only(RecipientState::Failed { at: now, reason }) }
        }
    }
}

fn again(attempts: u32, since: Timestamp, after: Timestamp, reason: String, now: Timestamp) -> RecipientState {
    if attempts >= ATTEMPTS || after > since + GIVE_UP_AFTER {
        RecipientState::Failed { at: now, reason }
    } else {
        RecipientState::Pending { attempts, since: Some(since), after: Some(after), reason: Some(reason) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_timestamp(1_800_000_000 + second, 0).expect("an instant")
    }

    fn pending(attempts: u32, after: i64, reason: &str) -> RecipientState {
        RecipientState::Pending { attempts, since: Some(at(0)), after: Some(at(after)), reason: Some(reason.into()) }
    }

    fn now(outcome: SendOutcome, attempts: u32, policy: OnUncertain) -> Settled {
        settle(outcome, (attempts, at(0)), policy, at(10), 0.5)
    }

    #[test]
    fn each_outcome_has_its_consequence() {
        let wait = Some(Duration::from_secs(30));
        let unavailable = || SendOutcome::Unavailable { reason: "http503".into(), retry_after: None };
        let uncertain = || SendOutcome::Uncertain { reason: "timedOut".into() };
        let report = OnUncertain::Report;
        let throttled = now(SendOutcome::Throttled { retry_after: wait }, 7, report);
        assert_eq!((throttled.state, throttled.pause), (pending(7, 40, "throttled"), Some(at(40))));
        assert_eq!(now(SendOutcome::Busy { retry_after: None }, 7, report).state, pending(7, 12, "preconditionFailed"));
        assert_eq!(now(unavailable(), 0, report).state, pending(1, 12, "http503"));
        assert_eq!(now(unavailable(), 2, report).state, pending(3, 18, "http503"));
        let failed = RecipientState::Failed { at: at(10), reason: "http503".into() };
        assert_eq!(now(unavailable(), 7, report).state, failed);
        assert_eq!(now(uncertain(), 0, report).state, RecipientState::Uncertain { at: at(10) });
        assert_eq!(now(uncertain(), 0, OnUncertain::Resend).state, pending(1, 12, "timedOut"));
        let blocked = SendOutcome::Refused { reason: "messageWritesBlocked".into(), teaches: Some(State::Blocked) };
        assert_eq!(now(blocked, 0, report).teaches, Some(State::Blocked));
    }

    #[test]
    fn nobody_is_tried_for_more_than_a_day() {
        let late = at(24 * 3600 - 5);
        let outcome = SendOutcome::Throttled { retry_after: Some(Duration::from_secs(10)) };
        let settled = settle(outcome, (0, at(0)), OnUncertain::Report, late, 0.5);
        assert_eq!(settled.state, RecipientState::Failed { at: late, reason: "throttled".into() });
    }
}
