//! A notification as stored: a small document that says how it stands, one that says what is sent, and one that holds
//! what was posted, which may be a megabyte. The last two never change.

use serde::{Deserialize, Serialize};

use super::{Content, Counts, OnUncertain, Posted};
use crate::clock::Timestamp;
use crate::store::budget::Units;
use crate::store::{Collection, Continuation, Key, Partition, V1};

/// How far a notification has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// Its time has not come.
    Scheduled,
    /// It is planned and sent.
    Running,
    /// Somebody cancelled it.
    Cancelled,
    /// Its time is over.
    Expired,
    /// Everybody has an outcome.
    Completed,
}

impl Stage {
    /// True when nothing is planned or sent any more.
    #[must_use]
    pub fn is_over(self) -> bool {
        match self {
            Self::Scheduled | Self::Running => false,
            Self::Cancelled | Self::Expired | Self::Completed => true,
        }
    }
}

/// How far the tenants (or the lists) of an audience have been laid out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Seeding {
    /// Not at all.
    Start,
    /// Up to here.
    After(Continuation),
    /// Every tenant has its plan.
    Done,
}

/// How a notification stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Control {
    /// The stored shape.
    pub v: V1,
    /// Its id.
    pub id: String,
    /// How far it is.
    pub stage: Stage,
    /// How far the audience is laid out.
    pub seeding: Seeding,
    /// When it was posted.
    pub created_at: Timestamp,
    /// Not before.
    pub send_at: Option<Timestamp>,
    /// Not after.
    pub expires_at: Option<Timestamp>,
    /// When planning began.
    pub started_at: Option<Timestamp>,
    /// When the last recipient had an outcome.
    pub completed_at: Option<Timestamp>,
    /// What the poster was warned of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Once it is over and nothing is left to do: audience and counts, for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Closed>,
}

/// The final figures.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Closed {
    /// How many were planned.
    pub audience: u64,
    /// Whether that was everybody.
    pub planned: bool,
    /// How they ended.
    pub counts: Counts,
    /// What the store charged, in thousandths of request units.
    #[serde(default, skip_serializing_if = "Units::is_none")]
    pub cost: Units,
}

impl Control {
    /// A new notification.
    #[must_use]
    pub fn new(id: &str, posted: &Posted, warnings: Vec<String>, now: Timestamp) -> Self {
        Self {
            v: V1,
            id: id.to_owned(),
            stage: Stage::Scheduled,
            seeding: Seeding::Start,
            created_at: now,
            send_at: posted.send_at.filter(|at| *at > now),
            expires_at: posted.expires_at,
            started_at: None,
            completed_at: None,
            warnings,
            closed: None,
        }
    }

    /// Its name in the store.
    #[must_use]
    pub fn key(id: &str) -> Key {
        Key::new(Collection::Notifications, Partition::new([id]), "control")
    }

    /// True while nothing stands against closing it as `ending` says: nobody closed or cancelled it meanwhile.
    #[must_use]
    pub fn may_end_as(&self, ending: &Self) -> bool {
        self.closed.is_none() && [Stage::Running, ending.stage].contains(&self.stage)
    }

    /// The stage, with what time alone changes.
    #[must_use]
    pub fn stage_at(&self, now: Timestamp) -> Stage {
        let has_expired = self.expires_at.is_some_and(|at| at <= now);
        match self.stage {
            Stage::Scheduled | Stage::Running if has_expired => Stage::Expired,
            Stage::Scheduled | Stage::Running | Stage::Cancelled | Stage::Expired | Stage::Completed => self.stage,
        }
    }
}

/// What is sent, and how: the part of a request that each batch reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// The stored shape.
    pub v: V1,
    /// What people get.
    pub content: Content,
    /// What to do with doubtful sends.
    pub on_uncertain: OnUncertain,
}

impl Message {
    /// Its name in the store.
    #[must_use]
    pub fn key(id: &str) -> Key {
        Key::new(Collection::Notifications, Partition::new([id]), "message")
    }
}

/// What was posted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The stored shape.
    pub v: V1,
    /// With defaults filled in.
    pub posted: Posted,
}

impl Request {
    /// Its name in the store.
    #[must_use]
    pub fn key(id: &str) -> Key {
        Key::new(Collection::Notifications, Partition::new([id]), "request")
    }
}
