//! What the Bot Connector's answer means. Pure, and no wildcard arm maps anything to a retry.
//!
//! Source: msteams-docs build-conversational-capability "Status codes" (2026-05-11), narrowed by the design: 502, 503
//! and 504 are believed when they say that nothing was delivered, unknown answers are final.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::clock::Timestamp;
use crate::people::State;

/// How an attempt to send ended.
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

/// What an answer with a status means.
#[must_use]
pub fn answered(status: u16, retry_after: Option<Duration>, body: &str) -> SendOutcome {
    let parsed: Option<Value> = serde_json::from_str(body).ok();
    let code = parsed.as_ref().and_then(code);
    let reason = code.as_deref().map_or_else(|| format!("http{status}"), camel_case);
    match status {
        200..=299 => {
            let id = parsed.as_ref().and_then(|body| body.get("id")).and_then(Value::as_str);
            SendOutcome::Sent { activity_id: id.map(str::to_owned) }
        }
        412 => SendOutcome::Busy { retry_after },
        429 => SendOutcome::Throttled { retry_after },
        502..=504 => SendOutcome::Unavailable { reason, retry_after },
        403 => SendOutcome::Refused { teaches: code.as_deref().and_then(forbidden), reason },
        404 => {
            let gone = code.as_deref() == Some("ConversationNotFound");
            SendOutcome::Refused { reason, teaches: gone.then_some(State::Gone) }
        }
        // "must avoid retrying": 400, 401 after a fresh token, 413, 500, and whatever is not in the table.
        _ => SendOutcome::Refused { reason, teaches: None },
    }
}

fn forbidden(code: &str) -> Option<State> {
    match code {
        "ConversationBlockedByUser" | "MessageWritesBlocked" => Some(State::Blocked),
        "BotNotInConversationRoster" | "ForbiddenOperationException" => Some(State::Uninstalled),
        _ => None,
    }
}

/// The code, wherever it stands: `error.code`, or nested as JSON text in a message that has a `subCode`.
fn code(body: &Value) -> Option<String> {
    let nested = |message: &Value| {
        let inner: Value = serde_json::from_str(message.as_str()?).ok()?;
        inner.get("subCode").or_else(|| inner.get("code")).and_then(Value::as_str).map(str::to_owned)
    };
    let error = body.get("error").unwrap_or(body);
    let inner = error.get("message").and_then(nested);
    inner.or_else(|| error.get("code").and_then(Value::as_str).map(str::to_owned)).filter(|code| is_code(code))
}

/// A code is a short word; anything else would carry the server's text into our reports.
fn is_code(code: &str) -> bool {
    (1..=64).contains(&code.len()) && code.chars().all(|character| character.is_ascii_alphanumeric())
}

fn camel_case(code: &str) -> String {
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

    fn refused(reason: &str, teaches: Option<State>) -> SendOutcome {
        SendOutcome::Refused { reason: reason.into(), teaches }
    }

    #[test]
    fn every_row_of_the_table() {
        let error = |code: &str| format!(r#"{{"error":{{"code":"{code}","message":"text"}}}}"#);
        let nested = r#"{"errorCode":209,"message":"{\"subCode\":\"MessageWritesBlocked\",\"details\":null}"}"#;
        let wait = Some(Duration::from_secs(7));
        for (status, body, expected) in [
            (201, r#"{"id":"1"}"#.into(), SendOutcome::Sent { activity_id: Some("1".into()) }),
            (202, String::new(), SendOutcome::Sent { activity_id: None }),
            (200, "not json".into(), SendOutcome::Sent { activity_id: None }),
            (302, String::new(), refused("http302", None)),
            (400, error("BadSyntax"), refused("badSyntax", None)),
            (401, error("BotNotRegistered"), refused("botNotRegistered", None)),
            (403, error("ConversationBlockedByUser"), refused("conversationBlockedByUser", Some(State::Blocked))),
            (403, nested.into(), refused("messageWritesBlocked", Some(State::Blocked))),
            (403, error("BotNotInConversationRoster"), refused("botNotInConversationRoster", Some(State::Uninstalled))),
            (
                403,
                error("ForbiddenOperationException"),
                refused("forbiddenOperationException", Some(State::Uninstalled)),
            ),
            (403, error("BotDisabledByAdmin"), refused("botDisabledByAdmin", None)),
            (403, "<html>".into(), refused("http403", None)),
            (404, error("ConversationNotFound"), refused("conversationNotFound", Some(State::Gone))),
            (404, error("ActivityNotFoundInConversation"), refused("activityNotFoundInConversation", None)),
            (412, error("PreconditionFailed"), SendOutcome::Busy { retry_after: wait }),
            (413, error("MessageSizeTooBig"), refused("messageSizeTooBig", None)),
            (418, error("not a code, a sentence"), refused("http418", None)),
            (429, error("Throttled"), SendOutcome::Throttled { retry_after: wait }),
            (500, error("ServiceError"), refused("serviceError", None)),
            (502, String::new(), SendOutcome::Unavailable { reason: "http502".into(), retry_after: wait }),
            (503, String::new(), SendOutcome::Unavailable { reason: "http503".into(), retry_after: wait }),
            (504, String::new(), SendOutcome::Unavailable { reason: "http504".into(), retry_after: wait }),
            (505, String::new(), refused("http505", None)),
        ] {
            assert_eq!(answered(status, wait, &body), expected, "{status} {body}");
        }
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
