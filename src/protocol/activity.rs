//! An activity: the fields that Herald uses, typed; the rest stays reachable as JSON.
//!
//! Source of the field names: botframework-activity.md (the numbered specification) and what clients really send
//! (`tests/fixtures/activities`). Unknown fields and unknown types are let through, since "new events can be added
//! anytime" (subscribe-to-conversation-events); wrong JSON types of fields that we use are refused by name.

use chrono::{DateTime, Datelike, NaiveDateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use crate::clock::Timestamp;

/// The longest id that is taken. The protocol sets no limit; stores do (1,023 bytes in Cosmos DB).
pub const MAX_ID: usize = 800;
/// The longest tenant that is taken: it stands in every queue message.
const MAX_TENANT: usize = 128;

/// Why a body is no activity.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadActivity {
    /// Not JSON, or nested too deeply.
    #[error("the body is not JSON: {0}")]
    NotJson(String),
    /// A field has the wrong type.
    #[error("`{field}`: {reason}")]
    Field {
        /// Its path.
        field: String,
        /// What was expected.
        reason: String,
    },
}

/// Somebody who takes part in a conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Account {
    /// `29:…` for a user, `28:<app id>` for a bot; unique per bot and user.
    pub id: Option<String>,
    /// The Entra object id, the same for all bots.
    pub aad_object_id: Option<String>,
}

/// Where an activity happened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Conversation {
    /// Opaque.
    pub id: Option<String>,
    /// `personal`, `groupChat`, `channel`; others may come.
    pub conversation_type: Option<String>,
    /// More than two take part.
    pub is_group: Option<bool>,
    /// The Entra tenant.
    pub tenant_id: Option<String>,
}

/// The fields as they are on the wire.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Wire {
    #[serde(rename = "type")]
    kind: Option<String>,
    id: Option<String>,
    channel_id: Option<String>,
    service_url: Option<String>,
    timestamp: Option<String>,
    locale: Option<String>,
    name: Option<String>,
    action: Option<String>,
    text: Option<String>,
    from: Option<Account>,
    recipient: Option<Account>,
    conversation: Option<Conversation>,
    members_added: Option<Vec<Account>>,
    members_removed: Option<Vec<Account>>,
}

/// An activity that names everything that Herald cannot do without.
#[derive(Debug, Clone)]
pub struct Activity {
    /// `message`, `installationUpdate`, `invoke`, …; an open set.
    pub kind: String,
    /// Its id in the conversation, where it has one.
    pub id: Option<String>,
    /// As sent, case and sub-channel included.
    pub channel_id: String,
    /// As sent.
    pub service_url: String,
    /// When it happened, by the sender's clock; absent: the time of receipt counts.
    pub timestamp: Option<Timestamp>,
    /// The user's language.
    pub locale: Option<String>,
    /// Of an invoke or event.
    pub name: Option<String>,
    /// Of an installation update; an open set.
    pub action: Option<String>,
    /// Of a message.
    pub text: Option<String>,
    /// Who did it.
    pub from: Account,
    /// The bot.
    pub recipient: Account,
    /// Where.
    pub conversation: Conversation,
    /// The conversation's id; never empty.
    pub conversation_id: String,
    /// Who came.
    pub members_added: Vec<Account>,
    /// Who went.
    pub members_removed: Vec<Account>,
    /// The whole body.
    pub raw: Value,
}

impl Activity {
    /// The tenant: `conversation.tenantId`, else `channelData.tenant.id` (older payloads carry only that).
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        let in_channel_data = || self.raw.pointer("/channelData/tenant/id").and_then(Value::as_str);
        let named = self.conversation.tenant_id.as_deref().or_else(in_channel_data);
        named.filter(|tenant| !tenant.is_empty())
    }

    /// The bot's id without the `28:` that Teams puts before it.
    #[must_use]
    pub fn bot(&self) -> Option<&str> {
        let id = self.recipient.id.as_deref()?;
        Some(id.strip_prefix("28:").unwrap_or(id)).filter(|id| !id.is_empty())
    }

    /// The channel id before the first `:`, in lower case.
    #[must_use]
    pub fn base_channel(&self) -> String {
        let base = self.channel_id.split(':').next().unwrap_or_default();
        base.trim().to_ascii_lowercase()
    }

    /// True for the answers that must carry a body.
    #[must_use]
    pub fn is_invoke(&self) -> bool {
        self.kind.eq_ignore_ascii_case("invoke")
    }
}

/// Reads a body.
///
/// # Errors
/// [`BadActivity`], naming the field.
pub fn parse(body: &[u8]) -> Result<Activity, BadActivity> {
    let raw: Value = serde_json::from_slice(body).map_err(|error| BadActivity::NotJson(error.to_string()))?;
    if !raw.is_object() {
        return Err(bad("(the body)", "expected a JSON object"));
    }
    for field in ["from", "recipient", "conversation"] {
        object(field, raw.get(field))?;
    }
    for field in ["membersAdded", "membersRemoved"] {
        for member in raw.get(field).and_then(Value::as_array).into_iter().flatten() {
            object(field, Some(member))?;
        }
    }
    // Where a path leads is only kept track of where something is wrong.
    let wire = Wire::deserialize(&raw).or_else(|_| named(&raw))?;
    let conversation = conversation(wire.conversation.unwrap_or_default(), &raw)?;
    let members = |field: &str, accounts: Option<Vec<Account>>| {
        accounts.unwrap_or_default().into_iter().map(|one| account(field, Some(one))).collect::<Result<Vec<_>, _>>()
    };
    Ok(Activity {
        kind: required("type", wire.kind)?,
        id: short("id", wire.id)?.filter(|id| !matches!(id.as_str(), "" | "." | "..")),
        channel_id: required("channelId", wire.channel_id)?,
        service_url: required("serviceUrl", wire.service_url)?,
        timestamp: wire.timestamp.as_deref().map(instant).transpose()?.flatten(),
        locale: short("locale", wire.locale)?,
        name: wire.name,
        action: wire.action,
        text: wire.text,
        from: account("from", wire.from)?,
        recipient: account("recipient", wire.recipient)?,
        conversation_id: id_of_conversation(&conversation)?,
        conversation,
        members_added: members("membersAdded", wire.members_added)?,
        members_removed: members("membersRemoved", wire.members_removed)?,
        raw,
    })
}

fn named(raw: &Value) -> Result<Wire, BadActivity> {
    serde_path_to_error::deserialize(raw).map_err(|error| bad(&error.path().to_string(), &error.inner().to_string()))
}

fn bad(field: &str, reason: &str) -> BadActivity {
    BadActivity::Field { field: field.to_owned(), reason: reason.to_owned() }
}

/// A list would be read as an object's fields in order.
fn object(field: &str, value: Option<&Value>) -> Result<(), BadActivity> {
    match value {
        None | Some(Value::Null | Value::Object(_)) => Ok(()),
        Some(_) => Err(bad(field, "expected a JSON object")),
    }
}

fn conversation(conversation: Conversation, raw: &Value) -> Result<Conversation, BadActivity> {
    let in_channel_data = raw.pointer("/channelData/tenant/id").and_then(Value::as_str);
    let too_long = |tenant: &str| tenant.len() > MAX_TENANT || tenant.chars().any(char::is_control);
    if conversation.tenant_id.as_deref().is_some_and(too_long) {
        return Err(bad("conversation.tenantId", &format!("expected at most {MAX_TENANT} bytes")));
    }
    if in_channel_data.is_some_and(too_long) {
        return Err(bad("channelData.tenant.id", &format!("expected at most {MAX_TENANT} bytes")));
    }
    let conversation_type = short("conversation.conversationType", conversation.conversation_type)?;
    Ok(Conversation { conversation_type, ..conversation })
}

/// An id that a URL would swallow as a step up or nowhere is none.
fn id_of_conversation(conversation: &Conversation) -> Result<String, BadActivity> {
    let id = required("conversation.id", conversation.id.clone())?;
    if id == "." || id == ".." {
        return Err(bad("conversation.id", "it is no id"));
    }
    Ok(id)
}

fn required(field: &str, value: Option<String>) -> Result<String, BadActivity> {
    match short(field, value)? {
        Some(value) if !value.is_empty() => Ok(value),
        _ => Err(bad(field, "it is missing or empty")),
    }
}

fn short(field: &str, value: Option<String>) -> Result<Option<String>, BadActivity> {
    match value {
        Some(value) if value.len() > MAX_ID => Err(bad(field, &format!("it is longer than {MAX_ID} bytes"))),
        Some(value) if value.chars().any(char::is_control) => Err(bad(field, "it has control characters")),
        other => Ok(other),
    }
}

fn account(field: &str, account: Option<Account>) -> Result<Account, BadActivity> {
    let account = account.unwrap_or_default();
    Ok(Account {
        id: short(&format!("{field}.id"), account.id)?.filter(|id| !id.is_empty()),
        aad_object_id: short(&format!("{field}.aadObjectId"), account.aad_object_id)?.filter(|id| !id.is_empty()),
    })
}

/// An instant with any offset and up to nine decimals; without an offset it is UTC, as .NET senders mean it.
fn instant(text: &str) -> Result<Option<Timestamp>, BadActivity> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let with_offset = DateTime::parse_from_rfc3339(text).map(|instant| instant.with_timezone(&Utc));
    let without = || NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").map(|instant| instant.and_utc());
    match with_offset.or_else(|_| without()) {
        Ok(instant) if (1..=9999).contains(&instant.year()) => Ok(Some(instant)),
        Ok(_) | Err(_) => Err(bad("timestamp", "expected a date and time such as 2026-05-01T10:00:00Z")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minimal(extra: &str) -> String {
        format!(
            r#"{{"type":"message","channelId":"msteams","serviceUrl":"http://localhost:1/","conversation":{{"id":"c"}}{extra}}}"#
        )
    }

    fn timestamp(text: &str) -> Option<Timestamp> {
        parse(minimal(&format!(r#","timestamp":{text}"#)).as_bytes()).expect("an activity").timestamp
    }

    #[test]
    fn timestamps_are_instants_whatever_their_offset_and_precision() {
        let expected = timestamp(r#""2026-05-01T10:00:00.1234567Z""#);
        assert_eq!(timestamp(r#""2026-05-01T12:00:00.1234567+02:00""#), expected);
        assert_eq!(timestamp(r#""2026-05-01T10:00:00.1234567""#), expected);
        assert_eq!(timestamp("null"), None);
        assert_eq!(timestamp(r#""""#), None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let refusal = |body: &str| parse(body.as_bytes()).expect_err("a refusal").to_string();
        assert!(refusal("{").starts_with("the body is not JSON"));
        assert!(refusal("[]").contains("expected a JSON object"));
        assert!(refusal(&minimal(r#","from":{"id":7}"#)).starts_with("`from.id`: invalid type: integer `7`"));
        assert!(refusal(&minimal(r#","timestamp":"yesterday""#)).starts_with("`timestamp`"));
        assert!(refusal(&minimal(r#","timestamp":"+262142-12-31T23:59:59""#)).starts_with("`timestamp`"));
        assert!(refusal(&minimal(r#","from":["29:x"]"#)).starts_with("`from`: expected a JSON object"));
        let tenant = format!(r#","channelData":{{"tenant":{{"id":"{}"}}}}"#, "x".repeat(200));
        assert!(refusal(&minimal(&tenant)).starts_with("`channelData.tenant.id`"));
        assert!(refusal(r#"{"type":"message"}"#).starts_with("`channelId`: it is missing"));
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        assert!(refusal(&minimal(&format!(r#","value":{deep}"#))).contains("recursion limit"));
    }

    #[test]
    fn the_tenant_may_stand_in_either_place() {
        let tenant = |extra: &str| {
            let activity = parse(minimal(extra).as_bytes()).expect("an activity");
            activity.tenant().map(str::to_owned)
        };
        assert_eq!(tenant(r#","channelData":{"tenant":{"id":"t"}}"#).as_deref(), Some("t"));
        assert_eq!(tenant(r#","channelData":"text""#), None);
    }
}
