//! What the Bot Connector answers, in its own words. Pure.
//!
//! Source: msteams-docs build-conversational-capability "Status codes" (2026-05-11); the nested form is a capture
//! (Q&A 1513369). Both lists are open: what is not in them is kept as it came.

use serde_json::Value;

/// A status, by the rows of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// 2xx.
    Taken,
    /// 400.
    BadRequest,
    /// 401.
    Unauthorized,
    /// 403.
    Forbidden,
    /// 404.
    NotFound,
    /// 412.
    PreconditionFailed,
    /// 413.
    TooLarge,
    /// 429.
    TooManyRequests,
    /// 500.
    ServerError,
    /// 502.
    BadGateway,
    /// 503.
    ServiceUnavailable,
    /// 504.
    GatewayTimeout,
    /// Not in the table.
    Unknown(u16),
}

impl From<u16> for Status {
    fn from(status: u16) -> Self {
        match status {
            200..=299 => Self::Taken,
            400 => Self::BadRequest,
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            412 => Self::PreconditionFailed,
            413 => Self::TooLarge,
            429 => Self::TooManyRequests,
            500 => Self::ServerError,
            502 => Self::BadGateway,
            503 => Self::ServiceUnavailable,
            504 => Self::GatewayTimeout,
            other => Self::Unknown(other),
        }
    }
}

/// Why, as the body says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Code {
    /// 403: an administrator switched the bot off.
    BotDisabledByAdmin,
    /// 403: the bot is not in the conversation: the app was removed.
    BotNotInConversationRoster,
    /// 403: the user blocked the bot.
    ConversationBlockedByUser,
    /// 403: nobody may write there: the user blocked the bot.
    MessageWritesBlocked,
    /// 403: the app is not installed.
    ForbiddenOperation,
    /// 403: the Bot Connector of another cloud.
    InvalidBotApiHost,
    /// 404: Teams does not know the conversation any more.
    ConversationNotFound,
    /// Any other word, as it came.
    Other(String),
}

impl Code {
    fn read(word: &str) -> Self {
        match word {
            "BotDisabledByAdmin" => Self::BotDisabledByAdmin,
            "BotNotInConversationRoster" => Self::BotNotInConversationRoster,
            "ConversationBlockedByUser" => Self::ConversationBlockedByUser,
            "MessageWritesBlocked" => Self::MessageWritesBlocked,
            "ForbiddenOperationException" => Self::ForbiddenOperation,
            "InvalidBotApiHost" => Self::InvalidBotApiHost,
            "ConversationNotFound" => Self::ConversationNotFound,
            other => Self::Other(other.to_owned()),
        }
    }

    /// The word as the wire has it.
    #[must_use]
    pub fn word(&self) -> &str {
        match self {
            Self::BotDisabledByAdmin => "BotDisabledByAdmin",
            Self::BotNotInConversationRoster => "BotNotInConversationRoster",
            Self::ConversationBlockedByUser => "ConversationBlockedByUser",
            Self::MessageWritesBlocked => "MessageWritesBlocked",
            Self::ForbiddenOperation => "ForbiddenOperationException",
            Self::InvalidBotApiHost => "InvalidBotApiHost",
            Self::ConversationNotFound => "ConversationNotFound",
            Self::Other(word) => word,
        }
    }
}

/// An answer's body, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Said {
    /// The id of what was made: a message, or a conversation.
    pub id: Option<String>,
    /// Why it was not.
    pub code: Option<Code>,
}

/// Reads a body; one that is not JSON says nothing.
#[must_use]
pub fn read(body: &str) -> Said {
    let Ok(parsed) = serde_json::from_str::<Value>(body) else { return Said::default() };
    let id = parsed.get("id").and_then(Value::as_str).filter(|id| !id.is_empty()).map(str::to_owned);
    Said { id, code: code(&parsed).as_deref().map(Code::read) }
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
