//! A recipient and how far it has come. Pure.

use serde::{Deserialize, Serialize};

use super::Attempt;
use crate::clock::Timestamp;
use crate::notifications::Outcome;
use crate::people::{Person, Skip};

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub(super) fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub(super) fn is_false(flag: &bool) -> bool {
    !flag
}

/// How far a recipient has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "camelCase")]
pub enum RecipientState {
    /// To be sent.
    Pending {
        /// Attempts that count.
        #[serde(default, skip_serializing_if = "is_zero")]
        attempts: u32,
        /// When it was first tried.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<Timestamp>,
        /// Not before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Timestamp>,
        /// Why the last attempt failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// An earlier attempt may have gone out.
        #[serde(default, skip_serializing_if = "is_false")]
        doubtful: bool,
    },
    /// Marked before the send, so that a crash in between is seen.
    Sending {
        /// Attempts that count, before this one.
        #[serde(default, skip_serializing_if = "is_zero")]
        attempts: u32,
        /// When it was first tried.
        since: Timestamp,
        /// An earlier attempt may have gone out.
        #[serde(default, skip_serializing_if = "is_false")]
        doubtful: bool,
    },
    /// Teams took it.
    Sent {
        /// When.
        at: Timestamp,
        /// The id of the message in the chat.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        activity: Option<String>,
    },
    /// Not sent, on purpose.
    Skipped {
        /// When.
        at: Timestamp,
        /// Why.
        reason: Skip,
    },
    /// Not sent, for good.
    Failed {
        /// When.
        at: Timestamp,
        /// Why.
        reason: String,
    },
    /// It may or may not have gone out.
    Uncertain {
        /// When.
        at: Timestamp,
    },
}

impl RecipientState {
    /// Not tried yet.
    #[must_use]
    pub fn untried() -> Self {
        Self::Pending { attempts: 0, since: None, after: None, reason: None, doubtful: false }
    }

    /// An end without a message, for somebody whose earlier attempt may have gone out or not: whoever may have the
    /// message is never called not sent.
    #[must_use]
    pub fn not_sent(end: Self, doubtful: bool, now: Timestamp) -> Self {
        if doubtful { Self::Uncertain { at: now } } else { end }
    }

    /// Whether an earlier attempt may have gone out.
    pub(super) fn is_doubtful(&self) -> bool {
        match self {
            Self::Pending { doubtful, .. } | Self::Sending { doubtful, .. } => *doubtful,
            Self::Sent { .. } | Self::Skipped { .. } | Self::Failed { .. } | Self::Uncertain { .. } => false,
        }
    }

    /// The attempt that is under way.
    #[must_use]
    pub fn attempt(&self) -> Option<Attempt> {
        if let Self::Sending { attempts, since, doubtful } = *self {
            Some(Attempt { attempts, since, doubtful })
        } else {
            None
        }
    }

    /// What is known of somebody who waits.
    #[must_use]
    pub fn so_far(&self, now: Timestamp) -> Attempt {
        match *self {
            Self::Pending { attempts, since, doubtful, .. } => {
                Attempt { attempts, since: since.unwrap_or(now), doubtful }
            }
            Self::Sending { attempts, since, doubtful } => Attempt { attempts, since, doubtful },
            Self::Sent { .. } | Self::Skipped { .. } | Self::Failed { .. } | Self::Uncertain { .. } => {
                Attempt { attempts: 0, since: now, doubtful: false }
            }
        }
    }

    /// How it ended, once it has.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome<'_>> {
        match self {
            Self::Pending { .. } | Self::Sending { .. } => None,
            Self::Sent { .. } => Some(Outcome::Sent),
            Self::Skipped { reason, .. } => Some(Outcome::Skipped(*reason)),
            Self::Failed { reason, .. } => Some(Outcome::Failed(reason)),
            Self::Uncertain { .. } => Some(Outcome::Uncertain),
        }
    }
}

/// One of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recipient {
    /// The person's key; absent for an id that nobody has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// The account id, unless the key is it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The Entra object id, unless the key is it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aad_object_id: Option<String>,
    /// How far it has come.
    pub state: RecipientState,
}

impl Recipient {
    /// A person as a recipient. Ids that the person's key says already are not stored again.
    #[must_use]
    pub fn of(person: Person, state: RecipientState) -> Self {
        let Person { key, user_id, aad_object_id, .. } = person;
        let user_id = user_id.filter(|id| key.strip_prefix("u:") != Some(id));
        let aad_object_id = aad_object_id.filter(|id| key.strip_prefix("a:") != Some(id));
        Self { person: Some(key), user_id, aad_object_id, state }
    }

    /// The account id.
    #[must_use]
    pub fn user_id(&self) -> Option<&str> {
        self.user_id.as_deref().or_else(|| self.person.as_deref()?.strip_prefix("u:"))
    }

    /// The Entra object id.
    #[must_use]
    pub fn aad_object_id(&self) -> Option<&str> {
        self.aad_object_id.as_deref().or_else(|| self.person.as_deref()?.strip_prefix("a:"))
    }
}
