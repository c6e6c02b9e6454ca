//! A person: one per tenant and bot, whatever ids name them, with a reference per channel.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Reference, Sighting, Signal};
use crate::channel::Channel;
use crate::clock::Timestamp;
use crate::store::V1;

/// The ids by which an activity names a person.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// The account id: `29:…` in Teams.
    pub user_id: Option<String>,
    /// The Entra object id.
    pub aad_object_id: Option<String>,
}

impl Identity {
    /// The aliases of these ids: prefixed, so that an account id can never pass for an object id. Object ids are
    /// compared without regard to case.
    #[must_use]
    pub fn aliases(&self) -> Vec<String> {
        let user = self.user_id.iter().map(|id| format!("u:{id}"));
        let object = self.aad_object_id.iter().map(|id| format!("a:{}", id.to_lowercase()));
        user.chain(object).collect()
    }
}

/// Whether somebody wants notifications, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mute {
    /// True: no notifications.
    pub muted: bool,
    /// When it was said.
    pub at: Timestamp,
}

/// A person as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Person {
    /// The stored shape.
    pub v: V1,
    /// The tenant.
    pub tenant: String,
    /// The first id seen, as an alias; never changes.
    pub key: String,
    /// The account id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The Entra object id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aad_object_id: Option<String>,
    /// One per channel.
    pub references: BTreeMap<Channel, Reference>,
    /// The last word on muting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mute: Option<Mute>,
    /// When the first activity was received.
    pub first_seen: Timestamp,
    /// The key of the older person that this one proved to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<String>,
}

impl Person {
    /// Somebody new.
    #[must_use]
    pub fn new(tenant: &str, key: &str, first_seen: Timestamp) -> Self {
        Self {
            v: V1,
            tenant: tenant.to_owned(),
            key: key.to_owned(),
            user_id: None,
            aad_object_id: None,
            references: BTreeMap::new(),
            mute: None,
            first_seen,
            merged_into: None,
        }
    }

    /// Learns ids that it did not have.
    #[must_use]
    pub fn named(mut self, identity: &Identity) -> Self {
        self.user_id = self.user_id.or_else(|| identity.user_id.clone());
        self.aad_object_id = self.aad_object_id.or_else(|| identity.aad_object_id.clone());
        self
    }

    /// What stays after a sighting in a channel. No other channel's reference is touched.
    #[must_use]
    pub fn after(mut self, channel: Channel, sighting: &Sighting) -> Self {
        match (sighting.signal, self.references.get(&channel)) {
            (Signal::Ignored, _) => {}
            // A removal is kept even of what was never seen: the install may arrive after it.
            (Signal::Alive | Signal::Installed | Signal::Removed, None) => {
                self.references.insert(channel, Reference::first(sighting));
            }
            (Signal::Alive | Signal::Installed | Signal::Removed, Some(known)) => {
                let next = known.after(sighting);
                self.references.insert(channel, next);
            }
        }
        self
    }

    /// The later word on muting counts.
    #[must_use]
    pub fn muting(mut self, muted: bool, at: Timestamp) -> Self {
        if self.mute.is_none_or(|known| at >= known.at) {
            self.mute = Some(Mute { muted, at });
        }
        self
    }

    /// True when notifications are muted.
    #[must_use]
    pub fn is_muted(&self) -> bool {
        self.mute.is_some_and(|mute| mute.muted)
    }

    /// A conversation proved to be Copilot's: whatever was taken for a Teams chat with that id is one no longer.
    #[must_use]
    pub fn without_teams_chat(mut self, conversation_id: &str) -> Self {
        let is_it = |reference: &Reference| reference.conversation_id == conversation_id;
        if self.references.get(&Channel::TeamsChat).is_some_and(is_it)
            && let Some(mut demoted) = self.references.remove(&Channel::TeamsChat)
        {
            "its conversation was seen with a Copilot marker".clone_into(&mut demoted.evidence.because);
            let newer = |other: &Reference| other.last_seen >= demoted.last_seen;
            if !self.references.get(&Channel::Other).is_some_and(newer) {
                self.references.insert(Channel::Other, demoted);
            }
        }
        self
    }

    /// Takes over what a younger person, who proved to be the same, is known by.
    #[must_use]
    pub fn absorbing(mut self, younger: &Self) -> Self {
        self.user_id = self.user_id.or_else(|| younger.user_id.clone());
        self.aad_object_id = self.aad_object_id.or_else(|| younger.aad_object_id.clone());
        for (channel, theirs) in &younger.references {
            let newer = |ours: &Reference| ours.last_seen > theirs.last_seen;
            if !self.references.get(channel).is_some_and(newer) {
                self.references.insert(*channel, theirs.clone());
            }
        }
        match younger.mute {
            Some(mute) => self.muting(mute.muted, mute.at),
            None => self,
        }
    }

    /// What a failed send taught about the Teams chat with this conversation.
    #[must_use]
    pub fn taught(mut self, conversation_id: &str, state: super::State, sent: Timestamp) -> Self {
        let known = self.references.get(&Channel::TeamsChat);
        if let Some(next) = known.and_then(|reference| reference.taught(conversation_id, state, sent)) {
            self.references.insert(Channel::TeamsChat, next);
        }
        self
    }
}
