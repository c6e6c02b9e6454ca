//! An audience given as a list of users, resolved once and kept page by page, so that a replay plans the same people.

use std::collections::HashSet;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use super::{BATCH, Cursor, Delivery, LAYING, Plan};
use crate::store::{Error, V1};

/// How many ids are looked for at once.
const AT_ONCE: usize = 16;

/// The tenant under which ids that nobody has are planned.
pub(super) const NOBODY: &str = "none";

/// One entry: a person, or an id that nobody has.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Listed {
    /// The tenant.
    pub tenant: String,
    /// The person's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// As posted, for an id that nobody has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// A page of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roster {
    /// The stored shape.
    pub v: V1,
    /// Which page.
    pub number: u32,
    /// Whether it is the last.
    pub last: bool,
    /// Who is on it. One id may name somebody in several tenants; naming somebody twice counts once.
    pub entries: Vec<Listed>,
}

impl Delivery {
    /// Resolves the whole list and starts a plan for each tenant in it; false when time ran out before. Repeatable: a
    /// page that is there stays.
    pub(super) async fn lay_out_users(&self, id: &str, bot: &str, users: &[String]) -> Result<bool, Error> {
        let (mut seen, mut tenants) = (HashSet::new(), HashSet::new());
        let pages: Vec<_> = users.chunks(BATCH).collect();
        let count = u32::try_from(pages.len()).unwrap_or(u32::MAX);
        let mut stored = self.ledger.rosters(id, count).await?;
        // Only new pages take of the time: each activation adds some, however many there are.
        let give_up = self.clock.now() + LAYING;
        for (number, page) in (0..count).zip(&pages) {
            let roster = match stored.remove(&number) {
                Some(roster) => roster,
                None if self.clock.now() >= give_up => return Ok(false),
                None => {
                    let entries = self.resolve_page(bot, page, &seen).await?;
                    let roster = Roster { v: V1, number, last: number + 1 == count, entries };
                    self.ledger.create_roster(id, &roster, self.clock.now()).await?;
                    // Whoever stored it, this page counts.
                    self.ledger.roster(id, number).await?.ok_or(Error::Conflict)?
                }
            };
            tenants.extend(roster.entries.iter().map(|entry| entry.tenant.clone()));
            seen.extend(roster.entries);
        }
        for tenant in tenants {
            let plan = Plan::starting(&tenant, Cursor::Roster(0));
            self.ledger.start_plan(id, &plan, self.clock.now()).await?;
        }
        Ok(true)
    }

    async fn resolve_page(&self, bot: &str, ids: &[String], seen: &HashSet<Listed>) -> Result<Vec<Listed>, Error> {
        let mut entries = Vec::new();
        let looked: Vec<_> = ids.iter().map(|id| self.registry.find(bot, id)).collect();
        let looked: Vec<_> = stream::iter(looked).buffered(AT_ONCE).try_collect().await?;
        for (id, found) in ids.iter().zip(looked) {
            let mut found: Vec<_> = found.into_iter().map(known).collect();
            if found.is_empty() {
                found.push(Listed { tenant: NOBODY.to_owned(), person: None, id: Some(id.clone()) });
            }
            for entry in found {
                if !seen.contains(&entry) && !entries.contains(&entry) {
                    entries.push(entry);
                }
            }
        }
        Ok(entries)
    }
}

fn known((tenant, person): (String, String)) -> Listed {
    Listed { tenant, person: Some(person), id: None }
}
