//! What may be posted to `/api/notifications`, and what is wrong with what was.

use chrono::{DateTime, Datelike, Utc};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use thiserror::Error;

use super::{REFUSE_OVER, Verdict, WARN_OVER, weigh};
use crate::clock::Timestamp;

/// How the text is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Format {
    /// Markdown.
    #[default]
    Markdown,
    /// As it is.
    Plain,
    /// The subset of HTML that Teams takes.
    Xml,
}

impl Format {
    /// The wire's `textFormat`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Markdown => "markdown",
            Self::Plain => "plain",
            Self::Xml => "xml",
        }
    }
}

/// What becomes of a recipient whose send may or may not have gone out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnUncertain {
    /// Reported as `uncertain`.
    #[default]
    Report,
    /// Sent again: somebody may get it twice.
    Resend,
}

fn yes() -> bool {
    true
}

/// What people get.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Content {
    /// The text; beside a card it is the summary where none is given.
    #[serde(default)]
    pub text: Option<String>,
    /// How the text is meant.
    #[serde(default)]
    pub format: Format,
    /// What the toast and the feed show.
    #[serde(default)]
    pub summary: Option<String>,
    /// Whether it is shown as a notification.
    #[serde(default = "yes")]
    pub alert: bool,
    /// An Adaptive Card.
    #[serde(default)]
    pub card: Option<Value>,
}

/// Who gets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Audience {
    /// Everybody who ever talked to the bot alone.
    All,
    /// Everybody of these tenants.
    Tenants(Vec<String>),
    /// These: object ids or account ids.
    Users(Vec<String>),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WireAudience {
    #[serde(default)]
    all: Option<bool>,
    #[serde(default)]
    tenants: Option<Vec<String>>,
    #[serde(default)]
    users: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wire {
    #[serde(default)]
    id: Option<String>,
    content: Content,
    audience: WireAudience,
    #[serde(default, deserialize_with = "instant")]
    send_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "instant")]
    expires_at: Option<Timestamp>,
    #[serde(default)]
    on_uncertain: Option<OnUncertain>,
    #[serde(default)]
    dry_run: bool,
}

/// A notification as posted, defaults filled in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Posted {
    /// The idempotency key.
    pub id: Option<String>,
    /// What.
    pub content: Content,
    /// To whom.
    pub audience: Audience,
    /// Not before.
    pub send_at: Option<Timestamp>,
    /// Not after.
    pub expires_at: Option<Timestamp>,
    /// What to do with doubtful sends.
    pub on_uncertain: OnUncertain,
    /// Count, and send nothing.
    pub dry_run: bool,
}

/// What is wrong with a posted notification: the field, and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Problem {
    /// The body is not JSON, or has other fields or types than a notification: 400.
    #[error("{}{reason}", field.as_ref().map(|field| format!("`{field}`: ")).unwrap_or_default())]
    Malformed {
        /// The path of the field, where one is to blame.
        field: Option<String>,
        /// What is wrong.
        reason: String,
    },
    /// The values make no notification: 422.
    #[error("`{field}`: {reason}")]
    Invalid {
        /// The path of the field.
        field: &'static str,
        /// What is allowed.
        reason: String,
    },
}

impl Problem {
    /// The field that is to blame.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Malformed { field, .. } => field.as_deref(),
            Self::Invalid { field, .. } => Some(field),
        }
    }
}

fn invalid(field: &'static str, reason: impl Into<String>) -> Problem {
    Problem::Invalid { field, reason: reason.into() }
}

/// Reads a body.
///
/// # Errors
/// [`Problem`], naming the field.
pub fn read(body: &[u8]) -> Result<Posted, Problem> {
    let malformed = |error: serde_json::Error| Problem::Malformed { field: None, reason: error.to_string() };
    let json: Value = serde_json::from_slice(body).map_err(malformed)?;
    // A list would be read as an object's fields in order.
    for (field, value) in
        [(None, Some(&json)), (Some("content"), json.get("content")), (Some("audience"), json.get("audience"))]
    {
        if value.is_some_and(|value| !value.is_object()) {
            return Err(Problem::Malformed {
                field: field.map(str::to_owned),
                reason: "expected a JSON object".into(),
            });
        }
    }
    let wire: Wire = serde_path_to_error::deserialize(&json).map_err(|error| {
        let path = error.path().to_string();
        Problem::Malformed { field: Some(path).filter(|path| path != "."), reason: error.inner().to_string() }
    })?;
    Ok(Posted {
        id: wire.id,
        content: wire.content,
        audience: audience(wire.audience)?,
        send_at: wire.send_at,
        expires_at: wire.expires_at,
        on_uncertain: wire.on_uncertain.unwrap_or_default(),
        dry_run: wire.dry_run,
    })
}

/// An instant of the years that people mean, with an offset.
fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let read = DateTime::parse_from_rfc3339(&text).map(|instant| instant.with_timezone(&Utc));
    let read = read.ok().filter(|instant| (1..=9999).contains(&instant.year()));
    read.map(Some)
        .ok_or_else(|| D::Error::custom("expected a date and time with an offset, such as 2026-11-23T09:00:00+01:00"))
}

fn audience(wire: WireAudience) -> Result<Audience, Problem> {
    let kinds =
        usize::from(wire.all.is_some()) + usize::from(wire.tenants.is_some()) + usize::from(wire.users.is_some());
    if kinds != 1 {
        return Err(invalid("audience", r#"expected exactly one of {"all":true}, {"tenants":["…"]}, {"users":["…"]}"#));
    }
    match wire {
        WireAudience { all: Some(true), .. } => Ok(Audience::All),
        WireAudience { tenants: Some(tenants), .. } => Ok(Audience::Tenants(named("audience.tenants", tenants)?)),
        WireAudience { users: Some(users), .. } => Ok(Audience::Users(named("audience.users", users)?)),
        WireAudience { .. } => Err(invalid("audience.all", "expected true: a notification for nobody is none")),
    }
}

fn named(field: &'static str, list: Vec<String>) -> Result<Vec<String>, Problem> {
    if list.is_empty() {
        return Err(invalid(field, "the list is empty: a notification for nobody is none"));
    }
    if list.iter().any(|entry| entry.trim().is_empty() || entry.len() > crate::protocol::MAX_ID) {
        return Err(invalid(field, format!("each entry has 1 to {} bytes", crate::protocol::MAX_ID)));
    }
    Ok(list)
}

/// Judges what was read; answers what the sender should be told besides.
///
/// # Errors
/// The first [`Problem`] found.
pub fn check(posted: &Posted, now: Timestamp) -> Result<Vec<String>, Problem> {
    if posted.id.as_deref().is_some_and(|id| !is_id(id)) {
        return Err(invalid("id", "expected 1 to 128 of A-Z a-z 0-9 . _ - and a letter or digit first"));
    }
    check_content(&posted.content)?;
    if posted.expires_at.is_some_and(|expires| expires <= now) {
        return Err(invalid("expiresAt", "it is in the past"));
    }
    if posted.expires_at.zip(posted.send_at).is_some_and(|(expires, send)| send >= expires) {
        return Err(invalid("sendAt", "it must be before expiresAt"));
    }
    match weigh(&posted.content) {
        Verdict::Fits => Ok(Vec::new()),
        Verdict::Large(bytes) => {
            Ok(vec![format!("the message has about {bytes} bytes; some Teams clients refuse more than {WARN_OVER}")])
        }
        Verdict::TooLarge(bytes) => {
            Err(invalid("content", format!("the message has about {bytes} bytes; Teams takes at most {REFUSE_OVER}")))
        }
    }
}

fn check_content(content: &Content) -> Result<(), Problem> {
    let is_blank = |text: &Option<String>| text.as_ref().is_some_and(|text| text.trim().is_empty());
    match &content.card {
        Some(Value::Object(card)) if card.get("type").and_then(Value::as_str) == Some("AdaptiveCard") => {}
        Some(_) => {
            return Err(invalid("content.card", r#"expected an Adaptive Card: an object with "type":"AdaptiveCard""#));
        }
        None if content.text.is_none() => return Err(invalid("content", "expected a text, a card, or both")),
        None => {}
    }
    if is_blank(&content.text) {
        return Err(invalid("content.text", "it is empty"));
    }
    Ok(())
}

fn is_id(id: &str) -> bool {
    let mut characters = id.chars();
    let first = characters.next().is_some_and(|first| first.is_ascii_alphanumeric());
    first && id.len() <= 128 && characters.all(|other| other.is_ascii_alphanumeric() || "._-".contains(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(body: &str) -> Problem {
        let now = "2026-11-22T10:00:00Z".parse().expect("an instant");
        match read(body.as_bytes()) {
            Ok(posted) => check(&posted, now).expect_err("a problem"),
            Err(problem) => problem,
        }
    }

    #[test]
    fn defaults_are_filled_in() {
        let posted = read(br#"{"content":{"text":"hi","summary":null},"audience":{"all":true},"onUncertain":null}"#);
        let posted = posted.expect("a notification");
        assert_eq!(posted.content.format, Format::Markdown);
        assert!(posted.content.alert && !posted.dry_run);
        assert_eq!(posted.on_uncertain, OnUncertain::Report);
    }

    #[test]
    fn each_mistake_is_named() {
        for (body, field) in [
            (r#"{"content":{"text":"x","colour":"red"},"audience":{"all":true}}"#, Some("content.colour")),
            (r#"{"content":{"text":7},"audience":{"all":true}}"#, Some("content.text")),
            (r#"{"content":{"text":"x"},"audience":{"all":true},"sendAt":"soon"}"#, Some("sendAt")),
            (r#"{"content":{"text":"x"},"audience":{"all":true},"sendAt":"+262142-01-01T00:00:00Z"}"#, Some("sendAt")),
            (r#"{"content":{"text":"x","format":null},"audience":{"all":true}}"#, Some("content.format")),
            (r#"{"content":{"text":"x","format":"html"},"audience":{"all":true}}"#, Some("content.format")),
            (r#"{"content":{"text":"x"},"audience":{"all":true},"onUncertain":7}"#, Some("onUncertain")),
            (r#"{"content":["x"],"audience":{"all":true}}"#, Some("content")),
            (r#"["x",{"text":"x"},{"all":true}]"#, None),
            (r#"{"content":{"text":"x"}}"#, None),
            (r#"{"content""#, None),
            (r#"{"content":{"text":"x"},"audience":{}}"#, Some("audience")),
            (r#"{"content":{"text":"x"},"audience":{"all":true,"users":["a"]}}"#, Some("audience")),
            (r#"{"content":{"text":"x"},"audience":{"all":false}}"#, Some("audience.all")),
            (r#"{"content":{"text":"x"},"audience":{"users":[]}}"#, Some("audience.users")),
            (r#"{"content":{"text":"x"},"audience":{"tenants":[""]}}"#, Some("audience.tenants")),
            (r#"{"content":{},"audience":{"all":true}}"#, Some("content")),
            (r#"{"content":{"text":" "},"audience":{"all":true}}"#, Some("content.text")),
            (r#"{"content":{"card":[]},"audience":{"all":true}}"#, Some("content.card")),
            (r#"{"id":"-x","content":{"text":"x"},"audience":{"all":true}}"#, Some("id")),
            (
                r#"{"content":{"text":"x"},"audience":{"all":true},"expiresAt":"2026-11-22T09:00:00Z"}"#,
                Some("expiresAt"),
            ),
            (
                r#"{"content":{"text":"x"},"audience":{"all":true},"sendAt":"2026-11-23T00:00:00Z","expiresAt":"2026-11-22T23:00:00Z"}"#,
                Some("sendAt"),
            ),
        ] {
            let problem = refusal(body);
            assert_eq!(problem.field(), field, "{body}: {problem}");
        }
    }

    #[test]
    fn a_card_that_is_too_large_is_refused_and_a_large_one_only_warned_of() {
        let card = |bytes: usize| {
            let text = "x".repeat(bytes);
            format!(
                r#"{{"content":{{"card":{{"type":"AdaptiveCard","body":[{{"text":"{text}"}}]}}}},"audience":{{"all":true}}}}"#
            )
        };
        let now = "2026-11-22T10:00:00Z".parse().expect("an instant");
        let judge = |bytes: usize| check(&read(card(bytes).as_bytes()).expect("a notification"), now);
        assert_eq!(judge(10_000), Ok(vec![]));
        assert_eq!(judge(20_000).expect("a warning").len(), 1);
        assert!(matches!(judge(90_000), Err(Problem::Invalid { field: "content", .. })));
    }
}
