//! What an attempt to open somebody's Teams chat came to. Pure.
//!
//! Source: teams.net `docs/CreateConversation-API-Behavior.md` (2026-04-17): the same user gives the same id, exactly
//! one member, `tenantId` at the top, allowed only where the app is installed for the user. No message goes out, so an
//! attempt that was never answered may be made again.

use std::time::Duration;

use serde_json::{Value, json};

use super::Unanswered;
use super::answer::Status;
use super::client::Reply;
use super::outcome::camel_case;

/// How an attempt to open a chat ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenOutcome {
    /// There is one.
    Opened {
        /// Its id.
        conversation_id: String,
    },
    /// What came back was ever seen with a Copilot marker: it is no Teams chat.
    IsCopilot,
    /// Teams refuses: the app is not installed for them.
    NotInstalled {
        /// Teams' code in camelCase, or `http418`.
        reason: String,
    },
    /// 429: the whole tenant is too fast. No attempt.
    Throttled {
        /// When Teams says to come back.
        retry_after: Option<Duration>,
    },
    /// Nothing was tried, for a reason that is ours. No attempt.
    NotTried {
        /// For the record.
        reason: String,
        /// When to come back.
        retry_after: Duration,
    },
    /// Trying again may help.
    Unavailable {
        /// For the record.
        reason: String,
        /// When Teams says to come back.
        retry_after: Option<Duration>,
    },
    /// Final, and it says nothing about the user.
    Refused {
        /// For the record.
        reason: String,
    },
}

/// The request: never for a product's surface, which would open something that takes no notifications.
#[must_use]
pub fn opening(tenant: &str, member: &str) -> Value {
    json!({"isGroup": false, "tenantId": tenant, "members": [{"id": member}], "channelData": {"tenant": {"id": tenant}}})
}

/// What a reply means.
pub(super) fn opened(reply: Reply, no_token: Duration) -> OpenOutcome {
    let (status, retry_after, said) = match reply {
        Reply::Spoke { status, retry_after, said } => (status, retry_after, said),
        Reply::Silence(Unanswered::NotConnected | Unanswered::Lost) => {
            return OpenOutcome::Unavailable { reason: "unreachable".into(), retry_after: None };
        }
        Reply::Silence(Unanswered::ConnectTimedOut | Unanswered::TimedOut) => {
            return OpenOutcome::Unavailable { reason: "timedOut".into(), retry_after: None };
        }
        Reply::NoToken => return OpenOutcome::NotTried { reason: "noToken".into(), retry_after: no_token },
        Reply::NotAllowed => return OpenOutcome::Refused { reason: "serviceHostNotAllowed".into() },
    };
    let reason = said.code.as_ref().map_or_else(|| format!("http{status}"), |code| camel_case(code.word()));
    match (Status::from(status), said.id) {
        (Status::Taken, Some(conversation_id)) => OpenOutcome::Opened { conversation_id },
        (Status::Taken, None) => OpenOutcome::Unavailable { reason: "noConversationId".into(), retry_after },
        (Status::TooManyRequests, _) => OpenOutcome::Throttled { retry_after },
        (Status::PreconditionFailed | Status::BadGateway | Status::ServiceUnavailable | Status::GatewayTimeout, _) => {
            OpenOutcome::Unavailable { reason, retry_after }
        }
        // What is wrong with the bot says nothing about the user.
        (Status::Unauthorized | Status::ServerError, _) => OpenOutcome::Refused { reason },
        (Status::BadRequest | Status::Forbidden | Status::NotFound | Status::TooLarge | Status::Unknown(_), _) => {
            OpenOutcome::NotInstalled { reason }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::answer::read;

    #[test]
    fn only_an_id_opens_a_chat_and_only_a_refusal_says_that_the_app_is_missing() {
        let spoke = |status, body: &str| {
            opened(Reply::Spoke { status, retry_after: None, said: read(body) }, Duration::from_secs(15))
        };
        let forbidden = r#"{"error":{"code":"ForbiddenOperationException","message":"x"}}"#;
        let again = |reason: &str| OpenOutcome::Unavailable { reason: reason.into(), retry_after: None };
        assert_eq!(spoke(201, r#"{"id":"a:1"}"#), OpenOutcome::Opened { conversation_id: "a:1".into() });
        assert_eq!(spoke(201, r#"{"id":""}"#), again("noConversationId"));
        assert_eq!(spoke(403, forbidden), OpenOutcome::NotInstalled { reason: "forbiddenOperationException".into() });
        assert_eq!(spoke(404, ""), OpenOutcome::NotInstalled { reason: "http404".into() });
        assert_eq!(spoke(429, ""), OpenOutcome::Throttled { retry_after: None });
        assert_eq!(spoke(503, ""), again("http503"));
        assert_eq!(spoke(401, ""), OpenOutcome::Refused { reason: "http401".into() });
        let silence = opened(Reply::Silence(Unanswered::TimedOut), Duration::ZERO);
        assert_eq!(silence, again("timedOut"), "no message went out, so nothing is doubtful");
    }

    #[test]
    fn nothing_asks_for_copilot() {
        let body = opening("t", "29:u").to_string();
        assert!(!body.contains("productContext") && !body.contains("Copilot"), "{body}");
    }
}
