//! What an attempt to send came to. Pure, and no wildcard arm maps anything to a retry.
//!
//! Source: msteams-docs build-conversational-capability "Status codes" (2026-05-11), narrowed by the design: 502, 503
//! and 504 are believed when they say that nothing was delivered, unknown answers are final.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::answer::{Code, Said, Status};
use crate::clock::Timestamp;
use crate::people::State;

/// How an attempt to send ended.
///
/// | outcome | the recipient | the reference | the pace of the tenant |
/// |---|---|---|---|
/// | `Sent` | sent | | |
/// | `Throttled` | again, no attempt | | all pause, then slower |
/// | `Busy`, `NotTried` | again, no attempt | | |
/// | `Unavailable` | again, an attempt | | |
/// | `Refused` | failed | what it teaches | |
/// | `Uncertain` | by the notification's `onUncertain` | | |
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendOutcome {
    /// Teams took it, with or without telling an id.
    Sent {
        /// The id of the message in the chat.
        activity_id: Option<String>,
    },
    /// 429: the whole tenant is too fast. No attempt.
    Throttled {
        /// When Teams says to come back.
        retry_after: Option<Duration>,
    },
    /// 412: something else happened in this chat at the same time. No attempt.
    Busy {
        /// When Teams says to come back.
        retry_after: Option<Duration>,
    },
    /// Nothing was tried, for a reason that is ours and not the recipient's. No attempt.
    NotTried {
        /// For the record.
        reason: String,
        /// When to come back.
        retry_after: Duration,
    },
    /// It did not go out; trying again may help.
    Unavailable {
        /// For the record.
        reason: String,
        /// When Teams says to come back.
        retry_after: Option<Duration>,
    },
    /// Final.
    Refused {
        /// Teams' code in camelCase, or `http418`.
        reason: String,
        /// What it says about the reference.
        teaches: Option<State>,
    },
    /// It may or may not have gone out.
    Uncertain {
        /// For the record.
        reason: String,
    },
}

/// A call that was never answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unanswered {
    /// No connection came about: refused, no such host, no TLS. Nothing was sent.
    NotConnected,
    /// No connection came about in time. Nothing was sent.
    ConnectTimedOut,
    /// The connection ended after the request may have gone out.
    Lost,
    /// No answer came in time to a request that may have gone out.
    TimedOut,
}

/// What an answer means.
#[must_use]
pub fn answered(status: u16, retry_after: Option<Duration>, said: &Said) -> SendOutcome {
    let reason = || said.code.as_ref().map_or_else(|| format!("http{status}"), |code| camel_case(code.word()));
    match Status::from(status) {
        Status::Taken => SendOutcome::Sent { activity_id: said.id.clone() },
        Status::PreconditionFailed => SendOutcome::Busy { retry_after },
        Status::TooManyRequests => SendOutcome::Throttled { retry_after },
        Status::BadGateway | Status::ServiceUnavailable | Status::GatewayTimeout => {
            SendOutcome::Unavailable { reason: reason(), retry_after }
        }
        Status::Forbidden => SendOutcome::Refused { reason: reason(), teaches: said.code.as_ref().and_then(forbidden) },
        Status::NotFound => {
            let gone = said.code == Some(Code::ConversationNotFound);
            SendOutcome::Refused { reason: reason(), teaches: gone.then_some(State::Gone) }
        }
        // "must avoid retrying"; 401 comes here only after a fresh token.
        Status::BadRequest | Status::Unauthorized | Status::TooLarge | Status::ServerError | Status::Unknown(_) => {
            SendOutcome::Refused { reason: reason(), teaches: None }
        }
    }
}

/// What a 403 says about the reference.
fn forbidden(code: &Code) -> Option<State> {
    match code {
        Code::ConversationBlockedByUser | Code::MessageWritesBlocked => Some(State::Blocked),
        Code::BotNotInConversationRoster | Code::ForbiddenOperation => Some(State::Uninstalled),
        Code::BotDisabledByAdmin | Code::InvalidBotApiHost | Code::ConversationNotFound | Code::Other(_) => None,
    }
}

/// What the lack of an answer means: what failed before the request went out can be tried again, what failed after is
/// doubtful.
#[must_use]
pub fn unanswered(why: Unanswered) -> SendOutcome {
    match why {
        Unanswered::NotConnected => SendOutcome::Unavailable { reason: "unreachable".into(), retry_after: None },
        Unanswered::ConnectTimedOut => SendOutcome::Unavailable { reason: "timedOut".into(), retry_after: None },
        Unanswered::Lost => SendOutcome::Uncertain { reason: "unreachable".into() },
        Unanswered::TimedOut => SendOutcome::Uncertain { reason: "timedOut".into() },
    }
}

/// A code as our reports spell it.
#[must_use]
pub(super) fn camel_case(code: &str) -> String {
    let mut characters = code.chars();
    characters.next().map_or_else(String::new, |first| first.to_ascii_lowercase().to_string() + characters.as_str())
}

/// Reads `Retry-After` in both its forms: seconds, or a date. Longer than a day is a day.
#[must_use]
pub fn retry_after(header: &str, now: Timestamp) -> Option<Duration> {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let seconds = header.trim().parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let date = || DateTime::parse_from_rfc2822(header.trim()).ok().map(|date| date.with_timezone(&Utc));
    let wait = seconds.or_else(|| date().map(|date| crate::clock::until(now, date)))?;
    Some(wait.min(DAY))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::answer::read;

    fn refused(reason: &str, teaches: Option<State>) -> SendOutcome {
        SendOutcome::Refused { reason: reason.into(), teaches }
    }

    #[test]
    fn every_row_of_the_table() {
        let error = |code: &str| format!(r#"{{"error":{{"code":"{code}","message":"text"}}}}"#);
        let nested = r#"{"errorCode":209,"message":"{\"subCode\":\"MessageWritesBlocked\",\"details\":null}"}"#;
        let wait = Some(Duration::from_secs(7));
        let unavailable = |reason: &str| SendOutcome::Unavailable { reason: reason.into(), retry_after: wait };
        for (status, body, expected) in [
            (201, r#"{"id":"1"}"#.into(), SendOutcome::Sent { activity_id: Some("1".into()) }),
            (202, String::new(), SendOutcome::Sent { activity_id: None }),
            (200, "not json".into(), SendOutcome::Sent { activity_id: None }),
            (200, r#"{"id":7}"#.into(), SendOutcome::Sent { activity_id: None }),
            (302, String::new(), refused("http302", None)),
            (400, error("BadSyntax"), refused("badSyntax", None)),
            (400, error("BadArgument"), refused("badArgument", None)),
            (400, error("MissingProperty"), refused("missingProperty", None)),
            (401, error("BotNotRegistered"), refused("botNotRegistered", None)),
            (401, error("AuthorizationError"), refused("authorizationError", None)),
            (403, error("ConversationBlockedByUser"), refused("conversationBlockedByUser", Some(State::Blocked))),
            (403, nested.into(), refused("messageWritesBlocked", Some(State::Blocked))),
            (403, error("BotNotInConversationRoster"), refused("botNotInConversationRoster", Some(State::Uninstalled))),
            (
                403,
                error("ForbiddenOperationException"),
                refused("forbiddenOperationException", Some(State::Uninstalled)),
            ),
            (403, error("BotDisabledByAdmin"), refused("botDisabledByAdmin", None)),
            (403, error("InvalidBotApiHost"), refused("invalidBotApiHost", None)),
            (403, error("NotEnoughPermissions"), refused("notEnoughPermissions", None)),
            (403, error("TenantNoPermission"), refused("tenantNoPermission", None)),
            (403, error("CapabilityOverride"), refused("capabilityOverride", None)),
            (403, "<html>".into(), refused("http403", None)),
            (404, error("ConversationNotFound"), refused("conversationNotFound", Some(State::Gone))),
            (404, error("ActivityNotFoundInConversation"), refused("activityNotFoundInConversation", None)),
            (404, "<html>".into(), refused("http404", None)),
            (412, error("PreconditionFailed"), SendOutcome::Busy { retry_after: wait }),
            (413, error("MessageSizeTooBig"), refused("messageSizeTooBig", None)),
            // A code means something only with its own status.
            (413, error("ConversationNotFound"), refused("conversationNotFound", None)),
            (418, error("not a code, a sentence"), refused("http418", None)),
            (429, error("Throttled"), SendOutcome::Throttled { retry_after: wait }),
            (500, error("ServiceError"), refused("serviceError", None)),
            (501, error("DeleteActivityAPINotImplemented"), refused("deleteActivityAPINotImplemented", None)),
            (502, String::new(), unavailable("http502")),
            (503, error("ServiceUnavailable"), unavailable("serviceUnavailable")),
            (504, String::new(), unavailable("http504")),
            (505, String::new(), refused("http505", None)),
        ] {
            assert_eq!(answered(status, wait, &read(&body)), expected, "{status} {body}");
        }
    }

    #[test]
    fn what_was_never_answered_is_doubtful_once_it_may_have_gone_out() {
        let before = |reason: &str| SendOutcome::Unavailable { reason: reason.into(), retry_after: None };
        let after = |reason: &str| SendOutcome::Uncertain { reason: reason.into() };
        assert_eq!(unanswered(Unanswered::NotConnected), before("unreachable"));
        assert_eq!(unanswered(Unanswered::ConnectTimedOut), before("timedOut"));
        assert_eq!(unanswered(Unanswered::Lost), after("unreachable"));
        assert_eq!(unanswered(Unanswered::TimedOut), after("timedOut"));
    }

    #[test]
    fn retry_after_has_two_forms() {
        let now = "2026-11-22T10:00:00Z".parse().expect("an instant");
        assert_eq!(retry_after("3", now), Some(Duration::from_secs(3)));
        assert_eq!(retry_after("0.5", now), Some(Duration::from_millis(500)));
        assert_eq!(retry_after("Sun, 22 Nov 2026 10:00:20 GMT", now), Some(Duration::from_secs(20)));
        assert_eq!(retry_after("Sun, 22 Nov 2026 09:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("999999999", now), Some(Duration::from_secs(24 * 3600)));
        assert_eq!(retry_after("-1", now), None);
        assert_eq!(retry_after("soon", now), None);
    }
}
