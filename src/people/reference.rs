//! A conversation reference: what is needed to send into one conversation, and how it stands.

use serde::{Deserialize, Serialize};

use super::Signal;
use crate::channel::Evidence;
use crate::clock::Timestamp;

/// How many activity ids are remembered to know a repeated one. Teams repeats a delivery within about a minute.
const REMEMBERED: usize = 8;

/// How a reference stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// It can be used.
    Active,
    /// The app was removed.
    Uninstalled,
    /// The user blocked the bot.
    Blocked,
    /// Teams does not know the conversation any more.
    Gone,
}

/// What one activity says of one conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// The activity's id.
    pub activity_id: Option<String>,
    /// When it happened: its timestamp, or the time of receipt.
    pub at: Timestamp,
    /// When it was received, by our clock: the service URL was checked then.
    pub received: Timestamp,
    /// Where.
    pub conversation_id: String,
    /// Where to send.
    pub service_url: String,
    /// The bot as the channel names it.
    pub bot_account: Option<String>,
    /// The user as the channel names it.
    pub user_account: Option<String>,
    /// The user's language.
    pub locale: Option<String>,
    /// What it was classified by.
    pub evidence: Evidence,
    /// What it means.
    pub signal: Signal,
}

/// One per person and channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reference {
    /// Where to send.
    pub conversation_id: String,
    /// Which Bot Connector to send through.
    pub service_url: String,
    /// When an activity of the user was last accepted here, by our clock.
    pub verified_at: Timestamp,
    /// The bot as the channel names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bot_account: Option<String>,
    /// The user as the channel names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_account: Option<String>,
    /// The user's language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// How it stands.
    pub state: State,
    /// What it was classified by.
    pub evidence: Evidence,
    /// The oldest activity seen.
    pub first_seen: Timestamp,
    /// The newest activity seen.
    pub last_seen: Timestamp,
    /// Ids of the last activities, to know a repeated one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recent: Vec<String>,
}

impl Reference {
    /// The reference that a first sighting makes.
    #[must_use]
    pub fn first(sighting: &Sighting) -> Self {
        Self {
            conversation_id: sighting.conversation_id.clone(),
            service_url: sighting.service_url.clone(),
            verified_at: sighting.received,
            bot_account: sighting.bot_account.clone(),
            user_account: sighting.user_account.clone(),
            locale: sighting.locale.clone(),
            state: state_after(sighting.signal),
            evidence: sighting.evidence.clone(),
            first_seen: sighting.at,
            last_seen: sighting.at,
            recent: sighting.activity_id.iter().cloned().collect(),
        }
    }

    /// True when this very activity was seen before.
    #[must_use]
    pub fn knows(&self, sighting: &Sighting) -> bool {
        let known = |id: &String| self.recent.contains(id);
        self.conversation_id == sighting.conversation_id && sighting.activity_id.as_ref().is_some_and(known)
    }

    /// What stays after a sighting. An older one overwrites nothing; but whatever the user does next lifts a block,
    /// since our clock set the block and the user's clock stamped the activity.
    #[must_use]
    pub fn after(&self, sighting: &Sighting) -> Self {
        if self.knows(sighting) {
            return self.clone();
        }
        let mut next = if sighting.at >= self.last_seen { self.replaced_by(sighting) } else { self.clone() };
        if sighting.signal == Signal::Alive && self.state == State::Blocked {
            next.state = State::Active;
        }
        next.verified_at = self.verified_at.max(sighting.received);
        next.first_seen = self.first_seen.min(sighting.at);
        next.recent.clone_from(&self.recent);
        next.recent.extend(sighting.activity_id.iter().cloned());
        let surplus = next.recent.len().saturating_sub(REMEMBERED);
        next.recent.drain(..surplus);
        next
    }

    fn replaced_by(&self, sighting: &Sighting) -> Self {
        if sighting.signal == Signal::Removed {
            return Self { state: State::Uninstalled, last_seen: sighting.at, ..self.clone() };
        }
        let newer = Self::first(sighting);
        Self {
            bot_account: newer.bot_account.or_else(|| self.bot_account.clone()),
            user_account: newer.user_account.or_else(|| self.user_account.clone()),
            locale: newer.locale.or_else(|| self.locale.clone()),
            ..newer
        }
    }

    /// What a failed send teaches. Only of the conversation that it went to, and only when the user did nothing since:
    /// they may be elsewhere, or back, by now.
    #[must_use]
    pub fn taught(&self, conversation_id: &str, state: State, sent: Timestamp) -> Option<Self> {
        let same = self.conversation_id == conversation_id && self.verified_at <= sent;
        let changes = same && self.state != state;
        changes.then(|| Self { state, ..self.clone() })
    }
}

fn state_after(signal: Signal) -> State {
    match signal {
        Signal::Removed => State::Uninstalled,
        // Nothing is stored of what is ignored: it only says where a reply goes.
        Signal::Alive | Signal::Installed | Signal::Ignored => State::Active,
    }
}
