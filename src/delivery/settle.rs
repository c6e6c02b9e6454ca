//! From how a send ended to what the recipient is now, and what everybody else learns from it. Pure.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::connector::{OpenOutcome, SendOutcome};
use crate::notifications::OnUncertain;
use crate::people::{Skip, State};

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

/// What is known of a recipient while the message is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// Attempts that count, before this one.
    pub attempts: u32,
    /// When it was first tried.
    pub since: Timestamp,
    /// An earlier attempt may have gone out.
    pub doubtful: bool,
}

/// Settles a recipient by how the attempt ended. Whoever may have the message already ends as sent or as doubtful,
/// never as not sent.
#[must_use]
pub fn settle(outcome: SendOutcome, attempt: Attempt, policy: OnUncertain, now: Timestamp, chance: f64) -> Settled {
    let only = |state| Settled { state, teaches: None, pause: None };
    let counted = Attempt { attempts: attempt.attempts + 1, ..attempt };
    match outcome {
        SendOutcome::Sent { activity_id } => only(RecipientState::Sent { at: now, activity: activity_id }),
        SendOutcome::Throttled { retry_after } => {
            let until = now + retry_after.unwrap_or_else(|| unasked(attempt, now, chance));
            Settled { pause: Some(until), ..only(again(attempt, until, "throttled".into(), now)) }
        }
        SendOutcome::Busy { retry_after } => {
            let after = now + retry_after.unwrap_or_else(|| unasked(attempt, now, chance));
            only(again(attempt, after, "preconditionFailed".into(), now))
        }
        SendOutcome::NotTried { reason, retry_after } => only(again(attempt, now + retry_after, reason, now)),
        SendOutcome::Unavailable { reason, retry_after } => {
            let after = now + retry_after.unwrap_or_else(|| backoff(attempt.attempts, chance));
            only(again(counted, after, reason, now))
        }
        SendOutcome::Uncertain { reason } => match policy {
            OnUncertain::Report => only(RecipientState::Uncertain { at: now }),
            OnUncertain::Resend => {
                let after = now + backoff(attempt.attempts, chance);
                only(again(Attempt { doubtful: true, ..counted }, after, reason, now))
            }
        },
        SendOutcome::Refused { reason, teaches } => Settled { teaches, ..only(failed(attempt, reason, now)) },
    }
}

/// What the attempt to open somebody's chat makes of a recipient, and until when the tenant is paused. Once there is a
/// chat, the message goes there with its own permit.
#[must_use]
pub fn settle_opening(
    outcome: OpenOutcome,
    attempt: Attempt,
    now: Timestamp,
    chance: f64,
) -> (RecipientState, Option<Timestamp>) {
    let counted = Attempt { attempts: attempt.attempts + 1, ..attempt };
    match outcome {
        OpenOutcome::Opened { .. } => {
            let Attempt { attempts, since, doubtful } = attempt;
            (RecipientState::Pending { attempts, since: Some(since), after: None, reason: None, doubtful }, None)
        }
        OpenOutcome::NotInstalled { .. } => (skipped(Skip::NotInstalled, attempt, now), None),
        OpenOutcome::IsCopilot => (skipped(Skip::NoTeamsChat, attempt, now), None),
        OpenOutcome::Throttled { retry_after } => {
            let until = now + retry_after.unwrap_or_else(|| unasked(attempt, now, chance));
            (again(attempt, until, "throttled".into(), now), Some(until))
        }
        OpenOutcome::NotTried { reason, retry_after } => (again(attempt, now + retry_after, reason, now), None),
        OpenOutcome::Unavailable { reason, retry_after } => {
            let after = now + retry_after.unwrap_or_else(|| backoff(attempt.attempts, chance));
            (again(counted, after, reason, now), None)
        }
        OpenOutcome::Refused { reason } => (failed(attempt, reason, now), None),
    }
}

/// How long to wait where Teams does not say and the attempt does not count: half of the time it has taken so far, give
/// or take a fifth.
fn unasked(attempt: Attempt, now: Timestamp, chance: f64) -> Duration {
    let so_far = (now - attempt.since).to_std().unwrap_or_default();
    (so_far / 2).clamp(Duration::from_secs(2), Duration::from_secs(300)).mul_f64(0.8 + 0.4 * chance.clamp(0.0, 1.0))
}

fn again(attempt: Attempt, after: Timestamp, reason: String, now: Timestamp) -> RecipientState {
    let Attempt { attempts, since, doubtful } = attempt;
    if attempts >= ATTEMPTS || after > since + GIVE_UP_AFTER {
        failed(attempt, reason, now)
    } else {
        RecipientState::Pending { attempts, since: Some(since), after: Some(after), reason: Some(reason), doubtful }
    }
}

fn skipped(reason: Skip, attempt: Attempt, now: Timestamp) -> RecipientState {
    RecipientState::not_sent(RecipientState::Skipped { at: now, reason }, attempt.doubtful, now)
}

fn failed(attempt: Attempt, reason: String, now: Timestamp) -> RecipientState {
    RecipientState::not_sent(RecipientState::Failed { at: now, reason }, attempt.doubtful, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_timestamp(1_800_000_000 + second, 0).expect("an instant")
    }

    fn pending(attempts: u32, after: i64, reason: &str, doubtful: bool) -> RecipientState {
        let (since, after) = (Some(at(0)), Some(at(after)));
        RecipientState::Pending { attempts, since, after, reason: Some(reason.into()), doubtful }
    }

    fn attempt(attempts: u32, doubtful: bool) -> Attempt {
        Attempt { attempts, since: at(0), doubtful }
    }

    fn now(outcome: SendOutcome, attempts: u32, policy: OnUncertain) -> Settled {
        settle(outcome, attempt(attempts, false), policy, at(10), 0.5)
    }

    #[test]
    fn each_outcome_has_its_consequence() {
        let wait = Some(Duration::from_secs(30));
        let unavailable = || SendOutcome::Unavailable { reason: "http503".into(), retry_after: None };
        let uncertain = || SendOutcome::Uncertain { reason: "timedOut".into() };
        let report = OnUncertain::Report;
        let throttled = now(SendOutcome::Throttled { retry_after: wait }, 7, report);
        assert_eq!((throttled.state, throttled.pause), (pending(7, 40, "throttled", false), Some(at(40))));
        assert_eq!(
            now(SendOutcome::Busy { retry_after: None }, 7, report).state,
            pending(7, 15, "preconditionFailed", false)
        );
        let not_tried = SendOutcome::NotTried { reason: "noToken".into(), retry_after: Duration::from_secs(15) };
        assert_eq!(now(not_tried, 7, report).state, pending(7, 25, "noToken", false));
        assert_eq!(now(unavailable(), 0, report).state, pending(1, 12, "http503", false));
        assert_eq!(now(unavailable(), 2, report).state, pending(3, 18, "http503", false));
        let failed = RecipientState::Failed { at: at(10), reason: "http503".into() };
        assert_eq!(now(unavailable(), 7, report).state, failed);
        assert_eq!(now(uncertain(), 0, report).state, RecipientState::Uncertain { at: at(10) });
        assert_eq!(now(uncertain(), 0, OnUncertain::Resend).state, pending(1, 12, "timedOut", true));
        let blocked = SendOutcome::Refused { reason: "messageWritesBlocked".into(), teaches: Some(State::Blocked) };
        assert_eq!(now(blocked, 0, report).teaches, Some(State::Blocked));
    }

    #[test]
    fn whoever_may_have_it_is_never_called_not_sent() {
        let refused = || SendOutcome::Refused { reason: "badSyntax".into(), teaches: None };
        let unavailable = || SendOutcome::Unavailable { reason: "http503".into(), retry_after: None };
        for (outcome, attempts) in [(refused(), 1), (unavailable(), 7)] {
            let settled = settle(outcome, attempt(attempts, true), OnUncertain::Resend, at(10), 0.5);
            assert_eq!(settled.state, RecipientState::Uncertain { at: at(10) });
        }
        let busy = settle(SendOutcome::Busy { retry_after: None }, attempt(1, true), OnUncertain::Resend, at(10), 0.5);
        assert_eq!(busy.state, pending(1, 15, "preconditionFailed", true));
    }

    #[test]
    fn a_chat_that_was_opened_is_ready_for_the_message_and_a_refusal_is_a_skip() {
        let settled = |outcome, attempts| settle_opening(outcome, attempt(attempts, false), at(10), 0.5);
        let opened = OpenOutcome::Opened { conversation_id: "a:1".into() };
        let ready =
            RecipientState::Pending { attempts: 2, since: Some(at(0)), after: None, reason: None, doubtful: false };
        assert_eq!(settled(opened, 2), (ready, None));
        let refused = OpenOutcome::NotInstalled { reason: "forbiddenOperationException".into() };
        assert_eq!(settled(refused, 0).0, RecipientState::Skipped { at: at(10), reason: Skip::NotInstalled });
        let throttled = OpenOutcome::Throttled { retry_after: Some(Duration::from_secs(30)) };
        assert_eq!(settled(throttled, 7), (pending(7, 40, "throttled", false), Some(at(40))));
        let unavailable = || OpenOutcome::Unavailable { reason: "http503".into(), retry_after: None };
        assert_eq!(settled(unavailable(), 0).0, pending(1, 12, "http503", false));
        assert_eq!(settled(unavailable(), 7).0, RecipientState::Failed { at: at(10), reason: "http503".into() });
    }

    #[test]
    fn nobody_is_tried_for_more_than_a_day() {
        let late = at(24 * 3600 - 5);
        let outcome = SendOutcome::Throttled { retry_after: Some(Duration::from_secs(10)) };
        let settled = settle(outcome, attempt(0, false), OnUncertain::Report, late, 0.5);
        assert_eq!(settled.state, RecipientState::Failed { at: late, reason: "throttled".into() });
    }
}
