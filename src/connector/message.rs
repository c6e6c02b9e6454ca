//! Activities as Herald writes them. Pure.
//!
//! Source: msteams-docs send-proactive-messages; a text beside a card is sent as the summary, because Teams splits
//! an activity that has both, at the price of two.

use serde_json::{Value, json};

use crate::notifications::Content;
use crate::people::Reference;

const CARD: &str = "application/vnd.microsoft.card.adaptive";

/// A notification into a conversation.
#[must_use]
pub fn notification(content: &Content, reference: &Reference) -> Value {
    let mut message = addressed(reference);
    if let Some(card) = &content.card {
        message["attachments"] = json!([{"contentType": CARD, "content": card}]);
        if let Some(summary) = content.summary.as_ref().or(content.text.as_ref()) {
            message["summary"] = json!(summary);
        }
    } else if let Some(text) = &content.text {
        message["text"] = json!(text);
        message["textFormat"] = json!(content.format.name());
        if let Some(summary) = &content.summary {
            message["summary"] = json!(summary);
        }
    }
    if content.alert {
        message["channelData"] = json!({"notification": {"alert": true}});
    }
    message
}

/// An answer in the conversation that asked.
#[must_use]
pub fn reply(text: &str, reference: &Reference, reply_to: Option<&str>) -> Value {
    let mut message = addressed(reference);
    message["text"] = json!(text);
    message["textFormat"] = json!("markdown");
    if let Some(activity_id) = reply_to {
        message["replyToId"] = json!(activity_id);
    }
    message
}

fn addressed(reference: &Reference) -> Value {
    let mut message = json!({"type": "message", "conversation": {"id": reference.conversation_id}});
    if let Some(bot) = &reference.bot_account {
        message["from"] = json!({"id": bot});
    }
    if let Some(user) = &reference.user_account {
        message["recipient"] = json!({"id": user});
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notifications::Format;

    fn content(text: Option<&str>, summary: Option<&str>, card: Option<Value>) -> Content {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Content { text: owned(text), format: Format::Plain, summary: owned(summary), alert: true, card }
    }

    fn reference() -> Reference {
        serde_json::from_value(json!({
            "conversationId": "a:1", "serviceUrl": "https://smba.trafficmanager.net/teams", "verifiedAt": "2026-11-22T10:00:00Z",
            "botAccount": "28:b", "userAccount": "29:u", "state": "active", "evidence": {},
            "firstSeen": "2026-11-22T10:00:00Z", "lastSeen": "2026-11-22T10:00:00Z"
        }))
        .expect("a reference")
    }

    #[test]
    fn a_text_is_sent_as_text() {
        let message = notification(&content(Some("hi"), None, None), &reference());
        assert_eq!(
            message,
            json!({"type":"message","conversation":{"id":"a:1"},"from":{"id":"28:b"},"recipient":{"id":"29:u"},
                   "text":"hi","textFormat":"plain","channelData":{"notification":{"alert":true}}})
        );
    }

    #[test]
    fn a_text_beside_a_card_is_its_summary() {
        let card = json!({"type":"AdaptiveCard"});
        let message = notification(&content(Some("hi"), None, Some(card.clone())), &reference());
        assert_eq!(message["summary"], "hi");
        assert_eq!(message["text"], Value::Null);
        let message = notification(&content(Some("hi"), Some("short"), Some(card)), &reference());
        assert_eq!(message["summary"], "short");
        assert_eq!(message["attachments"][0]["contentType"], CARD);
    }

    #[test]
    fn nothing_asks_for_copilot() {
        let message = notification(&content(Some("hi"), None, None), &reference());
        assert!(!message.to_string().contains("productContext"));
    }
}
