//! The rule. Sources: how Microsoft's SDKs fold the `ProductInfo` entity into the channel id (Agents-for-net
//! `ChannelId.cs`, `ActivityConverter.cs`), and payloads dumped from live tenants (teams.py #180, Agents-for-js #829 and #897).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Channel, Matcher};
use crate::protocol::Activity;

/// What stands for a marker that has no readable name: not a Teams chat in any case.
const UNREADABLE: &str = "(unreadable)";

/// What a classification rests on; kept with each reference.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Evidence {
    /// The channel id before the first `:`.
    pub base: String,
    /// Product markers found, in lower case.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub markers: Vec<String>,
    /// As sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_type: Option<String>,
    /// The step of the rule that decided.
    pub because: String,
}

impl Evidence {
    /// True where any Copilot marker was seen.
    #[must_use]
    pub fn names_copilot(&self) -> bool {
        self.markers.iter().any(|marker| is_copilot(marker))
    }
}

/// Says which surface an activity came through, and why.
#[must_use]
pub fn classify(activity: &Activity, teams_copilot: Option<&Matcher>) -> (Channel, Evidence) {
    let base = activity.base_channel();
    let markers = markers(activity);
    let (channel, because) = if base != "msteams" {
        (Channel::Other, "another channel")
    } else if markers.iter().any(|marker| is_copilot(marker)) {
        match teams_copilot {
            Some(matcher) if matcher.matches(&activity.raw) => {
                (Channel::TeamsCopilot, "a Copilot marker and the matcher")
            }
            _ => (Channel::M365Copilot, "a Copilot marker"),
        }
    } else if !markers.is_empty() {
        (Channel::Other, "another product's marker")
    } else {
        unmarked(activity)
    };
    let conversation_type = activity.conversation.conversation_type.clone();
    (channel, Evidence { base, markers, conversation_type, because: because.to_owned() })
}

fn is_copilot(marker: &str) -> bool {
    marker.starts_with("copilot")
}

/// Every name of a product that the activity carries, wherever it stands.
fn markers(activity: &Activity) -> Vec<String> {
    let mut found = Vec::new();
    if let Some((_, sub_channel)) = activity.channel_id.split_once(':') {
        found.extend(named(sub_channel));
    }
    match activity.raw.get("channelData") {
        None | Some(Value::Null | Value::Object(_)) => {}
        Some(_) => found.push(UNREADABLE.to_owned()),
    }
    match activity.raw.get("entities") {
        None | Some(Value::Null) => {}
        Some(Value::Array(entities)) => found.extend(entities.iter().filter_map(product)),
        Some(_) => found.push(UNREADABLE.to_owned()),
    }
    match activity.raw.pointer("/channelData/productContext") {
        None | Some(Value::Null) => {}
        Some(Value::String(product)) => found.extend(named(product)),
        Some(_) => found.push(UNREADABLE.to_owned()),
    }
    found.sort();
    found.dedup();
    found
}

fn product(entity: &Value) -> Option<String> {
    let kind = entity.get("type").and_then(Value::as_str)?;
    if !kind.trim().eq_ignore_ascii_case("productinfo") {
        return None;
    }
    let id = entity.get("id").and_then(Value::as_str).and_then(named);
    Some(id.unwrap_or_else(|| UNREADABLE.to_owned()))
}

fn named(text: &str) -> Option<String> {
    Some(text.trim().to_lowercase()).filter(|name| !name.is_empty())
}

/// What an activity of the Teams channel without any product marker is.
fn unmarked(activity: &Activity) -> (Channel, &'static str) {
    let kind = activity.conversation.conversation_type.as_deref().unwrap_or_default();
    match kind.to_ascii_lowercase().as_str() {
        "personal" if looks_shared(activity) => (Channel::Other, "personal, and yet shared"),
        "personal" => (Channel::TeamsChat, "a personal conversation"),
        "groupchat" => (Channel::TeamsGroup, "a group chat"),
        "channel" => (Channel::TeamsChannel, "a channel"),
        "" if !looks_shared(activity) && has_personal_id(&activity.conversation_id) => {
            (Channel::TeamsChat, "no conversation type, the id of a personal chat")
        }
        "" => (Channel::Other, "no conversation type"),
        _ => (Channel::Other, "an unknown conversation type"),
    }
}

fn looks_shared(activity: &Activity) -> bool {
    let has = |pointer: &str| activity.raw.pointer(pointer).is_some_and(|value| !value.is_null());
    let id = activity.conversation_id.to_ascii_lowercase();
    activity.conversation.is_group == Some(true)
        || has("/channelData/team")
        || has("/channelData/channel")
        || (id.starts_with("19:") && id.contains("@thread."))
        || id.contains(";messageid=")
}

fn has_personal_id(id: &str) -> bool {
    id.starts_with("a:") || id.ends_with("@unq.gbl.spaces")
}
