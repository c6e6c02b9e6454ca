//! Pages of an audience as recipients: of a tenant's persons, or of a list of users.

use super::verdict::Verdict;
use super::{BATCH, Cursor, Delivery, Listed, Plan, Recipient, RecipientState};
use crate::clock::Timestamp;
use crate::notifications::Posted;
use crate::people::{Person, Skip, in_audience};
use crate::store::{Continuation, Error};

/// How many pages without anybody of the audience are passed over at once.
const EMPTY_PAGES: usize = 20;

impl Delivery {
    /// The next recipients of a plan, and where the page after them begins.
    pub(super) async fn next_recipients(
        &self,
        id: &str,
        posted: &Posted,
        bot: &str,
        plan: &Plan,
    ) -> Result<(Vec<Recipient>, Cursor), Error> {
        match &plan.cursor {
            Cursor::People => self.people_page(bot, &plan.tenant, posted, None).await,
            Cursor::PeopleAfter(after) => self.people_page(bot, &plan.tenant, posted, Some(after.clone())).await,
            Cursor::Roster(number) => self.roster_page(id, bot, &plan.tenant, posted, *number).await,
            Cursor::Done | Cursor::Ended => Ok((Vec::new(), plan.cursor.clone())),
        }
    }

    async fn people_page(
        &self,
        bot: &str,
        tenant: &str,
        posted: &Posted,
        mut after: Option<Continuation>,
    ) -> Result<(Vec<Recipient>, Cursor), Error> {
        for _ in 0..EMPTY_PAGES {
            let (people, next) = self.registry.people_of(bot, tenant, after.as_ref(), BATCH).await?;
            let rules = self.reach.at(self.clock.now());
            let audience: Vec<_> = people.into_iter().filter(|person| in_audience(person, &rules)).collect();
            let cursor = next.clone().map_or(Cursor::Done, Cursor::PeopleAfter);
            if !audience.is_empty() || next.is_none() {
                return Ok((self.recipients(bot, tenant, posted, audience).await?, cursor));
            }
            after = next;
        }
        Ok((Vec::new(), after.map_or(Cursor::Done, Cursor::PeopleAfter)))
    }

    async fn roster_page(
        &self,
        id: &str,
        bot: &str,
        tenant: &str,
        posted: &Posted,
        mut number: u32,
    ) -> Result<(Vec<Recipient>, Cursor), Error> {
        loop {
            let roster = self.ledger.roster(id, number).await?;
            let lost = || Error::Corrupt(format!("notification {id} has lost its list, page {number}"));
            let roster = roster.ok_or_else(lost)?;
            let next = if roster.last { Cursor::Done } else { Cursor::Roster(number + 1) };
            let ours: Vec<_> = roster.entries.into_iter().filter(|entry| entry.tenant == tenant).collect();
            if !ours.is_empty() || next == Cursor::Done {
                return Ok((self.listed(bot, tenant, posted, ours).await?, next));
            }
            number += 1;
        }
    }

    async fn listed(
        &self,
        bot: &str,
        tenant: &str,
        posted: &Posted,
        entries: Vec<Listed>,
    ) -> Result<Vec<Recipient>, Error> {
        let now = self.clock.now();
        let keys: Vec<_> = entries.iter().filter_map(|entry| entry.person.clone()).collect();
        let found = self.registry.persons(bot, tenant, &keys).await?;
        // Somebody whose first activity is being recorded at this moment is a recipient too: one without a chat yet.
        let people =
            found.into_iter().zip(&keys).map(|(person, key)| person.unwrap_or_else(|| Person::new(tenant, key, now)));
        let mut recipients = self.recipients(bot, tenant, posted, people.collect()).await?;
        recipients.extend(entries.into_iter().filter_map(|entry| entry.id).map(|id| nobody(id, now)));
        Ok(recipients)
    }

    /// Persons as recipients, judged a first time: whoever cannot be reached now is skipped now.
    async fn recipients(
        &self,
        bot: &str,
        tenant: &str,
        posted: &Posted,
        people: Vec<Person>,
    ) -> Result<Vec<Recipient>, Error> {
        let now = self.clock.now();
        // Whoever is sent something is judged once more, with everything that is known then; of a dry run this is all.
        let verdicts = if posted.dry_run { self.judge(bot, tenant, &people).await? } else { self.first_judge(&people) };
        let recipient = |(person, verdict): (Person, Verdict)| {
            let state = match verdict {
                Verdict::Skip(reason) => RecipientState::Skipped { at: now, reason },
                Verdict::Send(_) if posted.dry_run => RecipientState::Skipped { at: now, reason: Skip::DryRun },
                // Whether there would be a chat is known once Teams is asked, and a dry run asks nobody.
                Verdict::Open(_) if posted.dry_run => RecipientState::Skipped { at: now, reason: Skip::NoTeamsChat },
                Verdict::Send(_) | Verdict::Open(_) => RecipientState::untried(),
            };
            Recipient::of(person, state)
        };
        Ok(people.into_iter().zip(verdicts).map(recipient).collect())
    }
}

fn nobody(id: String, now: Timestamp) -> Recipient {
    let account = id.starts_with("29:");
    Recipient {
        person: None,
        user_id: Some(id.clone()).filter(|_| account),
        aad_object_id: Some(id).filter(|_| !account),
        state: RecipientState::Skipped { at: now, reason: Skip::NoTeamsChat },
    }
}
