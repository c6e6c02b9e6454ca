//! How far a notification has been planned in one tenant, and how its recipients stand there.

use serde::{Deserialize, Serialize};

use crate::notifications::Counts;
use crate::store::budget::Units;
use crate::store::{Continuation, V1};

/// Where the next page of a tenant's audience begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Cursor {
    /// With the tenant's first person.
    People,
    /// After these persons.
    PeopleAfter(Continuation),
    /// With this page of the list of users.
    Roster(u32),
    /// There is no further page.
    Done,
    /// The notification ended before: nobody else is planned.
    Ended,
}

/// One per (notification, tenant).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The stored shape.
    pub v: V1,
    /// The tenant.
    pub tenant: String,
    /// Where to go on.
    pub cursor: Cursor,
    /// How many batches there are.
    pub batches: u32,
    /// How many recipients they hold.
    pub audience: u64,
    /// How these ended.
    pub counts: Counts,
    /// What the store charged for planning and sending here, in thousandths of request units.
    #[serde(default, skip_serializing_if = "Units::is_none")]
    pub cost: Units,
}

impl Plan {
    /// Nothing is planned yet.
    #[must_use]
    pub fn starting(tenant: &str, cursor: Cursor) -> Self {
        let (counts, cost) = (Counts::default(), Units::default());
        Self { v: V1, tenant: tenant.to_owned(), cursor, batches: 0, audience: 0, counts, cost }
    }

    /// True when both are the same but for what they cost: whoever planned it, it is done.
    #[must_use]
    pub fn is_as_far_as(&self, other: &Self) -> bool {
        Self { cost: other.cost, ..self.clone() } == *other
    }

    /// True when no further batch comes.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match self.cursor {
            Cursor::Done | Cursor::Ended => true,
            Cursor::People | Cursor::PeopleAfter(_) | Cursor::Roster(_) => false,
        }
    }

    /// True when everybody is in a batch.
    #[must_use]
    pub fn is_planned(&self) -> bool {
        self.cursor == Cursor::Done
    }

    /// How many have no outcome.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.audience.saturating_sub(self.counts.total())
    }

    /// True when everybody has an outcome.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.is_closed() && self.pending() == 0
    }
}
