//! A person: one per tenant and bot, whatever ids name them, with a reference per channel.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;
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
    /// One per channel. In boxes: a map sets aside room for eleven, and few have more than one.
    pub references: BTreeMap<Channel, Box<Reference>>,
    /// The last word on muting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mute: Option<Mute>,
    /// When the first activity was received.
    pub first_seen: Timestamp,
    /// The key of the older person that this one proved to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<String>,
    /// When Teams last refused to open a Teams chat with them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_at: Option<Timestamp>,
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
            refused_at: None,
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
                self.references.insert(channel, Box::new(Reference::first(sighting)));
            }
            (Signal::Alive | Signal::Installed | Signal::Removed, Some(known)) => {
                let next = known.after(sighting);
                self.references.insert(channel, Box::new(next));
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
        if self.references.get(&Channel::TeamsChat).is_some_and(|known| is_it(known))
            && let Some(mut demoted) = self.references.remove(&Channel::TeamsChat)
        {
            "its conversation was seen with a Copilot marker".clone_into(&mut demoted.evidence.because);
            let newer = |other: &Reference| other.last_seen >= demoted.last_seen;
            if !self.references.get(&Channel::Other).is_some_and(|known| newer(known)) {
                self.references.insert(Channel::Other, demoted);
            }
        }
        self
    }

    /// With a Teams chat that was opened for them, unless they have one by now.
    #[must_use]
    pub fn with_teams_chat(mut self, opened: Reference) -> Self {
        self.references.entry(Channel::TeamsChat).or_insert(Box::new(opened));
        self.refused_at = None;
        self
    }

    /// Takes over what a younger person, who proved to be the same, is known by.
    #[must_use]
    pub fn absorbing(mut self, younger: &Self) -> Self {
        self.user_id = self.user_id.or_else(|| younger.user_id.clone());
        self.aad_object_id = self.aad_object_id.or_else(|| younger.aad_object_id.clone());
        for (channel, theirs) in &younger.references {
            let newer = |ours: &Reference| ours.last_seen > theirs.last_seen;
            if !self.references.get(channel).is_some_and(|known| newer(known)) {
                self.references.insert(*channel, theirs.clone());
            }
        }
        match younger.mute {
            Some(mute) => self.muting(mute.muted, mute.at),
            None => self,
        }
    }

    /// Without the Copilot references that were not seen for as long as they are kept. No other channel's fade, and
    /// whoever has nothing else keeps them to the end: see [`Person::fades`].
    #[must_use]
    pub fn without_faded(mut self, now: Timestamp, keep: Duration) -> Self {
        let counts = |channel: &Channel, reference: &Reference| {
            !channel.is_copilot() || reference.last_seen.checked_add_signed(span(keep)).is_none_or(|end| end > now)
        };
        if self.references.iter().any(|(channel, reference)| counts(channel, reference)) {
            self.references.retain(|channel, reference| counts(channel, reference));
        }
        self
    }

    /// When nothing of a person counts any more: who was only ever seen in Copilot fades with the last reference.
    /// A word on muting stays, and so does the trace of a merge.
    #[must_use]
    pub fn fades(&self, keep: Duration) -> Option<Timestamp> {
        let stays = self.mute.is_some() || self.merged_into.is_some() || self.references.is_empty();
        if stays || !self.references.keys().all(|channel| channel.is_copilot()) {
            return None;
        }
        self.references.values().map(|reference| reference.last_seen).max()?.checked_add_signed(span(keep))
    }

    /// What a failed send taught about the Teams chat with this conversation.
    #[must_use]
    pub fn taught(mut self, conversation_id: &str, state: super::State, sent: Timestamp) -> Self {
        let known = self.references.get(&Channel::TeamsChat);
        if let Some(next) = known.and_then(|reference| reference.taught(conversation_id, state, sent)) {
            self.references.insert(Channel::TeamsChat, Box::new(next));
        }
        self
    }
}

fn span(time: Duration) -> TimeDelta {
    TimeDelta::from_std(time).unwrap_or(TimeDelta::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_was_never_seen_elsewhere_fades() {
        let at = |second: i64| Timestamp::from_timestamp(1_800_000_000 + second, 0).expect("an instant");
        let seen = |second: i64| -> Reference {
            let stored = include_str!("../../tests/fixtures/stored/v1/person.json");
            let person: Person = serde_json::from_str(stored).expect("a person");
            let reference = person.references.into_values().next().expect("a reference");
            Reference { last_seen: at(second), ..*reference }
        };
        let with = |channels: &[(Channel, i64)]| {
            let references = channels.iter().map(|(channel, second)| (*channel, Box::new(seen(*second)))).collect();
            Person { references, ..Person::new("t", "u:1", at(0)) }
        };
        let keep = Duration::from_secs(100);
        let copilot = with(&[(Channel::M365Copilot, 5), (Channel::TeamsCopilot, 9)]);
        assert_eq!(copilot.fades(keep), Some(at(109)));
        assert_eq!(with(&[(Channel::M365Copilot, 5), (Channel::TeamsChat, 1)]).fades(keep), None);
        assert_eq!(with(&[]).fades(keep), None);
        assert_eq!(copilot.clone().muting(true, at(1)).fades(keep), None, "what somebody asked for stays");
        assert_eq!(Person { merged_into: Some("u:0".into()), ..copilot.clone() }.fades(keep), None);
        assert_eq!(copilot.fades(Duration::MAX), None);

        let both = with(&[(Channel::M365Copilot, 5), (Channel::TeamsChat, 1)]);
        assert_eq!(both.clone().without_faded(at(104), keep), both);
        let left = both.without_faded(at(105), keep);
        assert_eq!(left.references.keys().collect::<Vec<_>>(), [&Channel::TeamsChat]);
        assert_eq!(copilot.clone().without_faded(at(5000), keep), copilot, "the store removes them as a whole");
    }
}
