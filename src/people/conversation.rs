//! What is known of a conversation id, whoever is in it: the tombstone, and who took it for a Teams chat.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::store::{Collection, Key, Partition, V1};

/// How many persons are remembered. A personal chat has one; more would be a mistake of somebody's.
const REMEMBERED: usize = 16;

/// Somebody who has the conversation as a Teams chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The tenant.
    pub tenant: String,
    /// The person's key.
    pub person: String,
}

/// One per conversation id that was ever a Teams chat or seen with a Copilot marker. It never fades.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Conversation {
    /// The stored shape.
    pub v: V1,
    /// The id.
    pub conversation_id: String,
    /// When a Copilot marker was first seen: from then on it is never a Teams chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copilot_since: Option<Timestamp>,
    /// Who has it as a Teams chat.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holders: Vec<Holder>,
}

impl Conversation {
    /// Nothing is known yet.
    #[must_use]
    pub fn unknown(conversation_id: &str) -> Self {
        Self { v: V1, conversation_id: conversation_id.to_owned(), copilot_since: None, holders: Vec::new() }
    }

    /// Its name in the store.
    #[must_use]
    pub fn key(bot: &str, conversation_id: &str) -> Key {
        Key::new(Collection::Conversations, Partition::new([bot, conversation_id]), "conversation")
    }

    /// True once a Copilot marker was seen.
    #[must_use]
    pub fn is_copilot(&self) -> bool {
        self.copilot_since.is_some()
    }

    /// With a Copilot marker seen.
    #[must_use]
    pub fn marked(mut self, at: Timestamp) -> Self {
        self.copilot_since.get_or_insert(at);
        self
    }

    /// Without these.
    #[must_use]
    pub fn without(mut self, holders: &[Holder]) -> Self {
        self.holders.retain(|holder| !holders.contains(holder));
        self
    }

    /// With somebody who takes it for a Teams chat.
    #[must_use]
    pub fn held_by(mut self, tenant: &str, person: &str) -> Self {
        let holder = Holder { tenant: tenant.to_owned(), person: person.to_owned() };
        if !self.holders.contains(&holder) {
            self.holders.push(holder);
            let surplus = self.holders.len().saturating_sub(REMEMBERED);
            self.holders.drain(..surplus);
        }
        self
    }
}
