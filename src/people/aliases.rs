//! From an id that names a person to the person.

use serde::{Deserialize, Serialize};

use crate::store::{Collection, Key, Partition, V1};

/// One per id and tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Alias {
    /// The stored shape.
    pub(super) v: V1,
    /// The tenant in which the id names this person.
    pub(super) tenant: String,
    /// The person's key.
    pub(super) person: String,
}

impl Alias {
    pub(super) fn of(tenant: &str, person: &str) -> Self {
        Self { v: V1, tenant: tenant.to_owned(), person: person.to_owned() }
    }

    pub(super) fn key(bot: &str, alias: &str, tenant: &str) -> Key {
        Key::new(Collection::Aliases, Self::partition(bot, alias), tenant)
    }

    /// All tenants' persons of that id.
    pub(super) fn partition(bot: &str, alias: &str) -> Partition {
        Partition::new([bot, alias])
    }
}
