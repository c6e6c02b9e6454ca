//! Who is who: ids resolved to persons, and two persons merged when they prove to be one.

use futures_util::future::try_join_all;
use tracing::info;

use super::aliases::Alias;
use super::registry::Registry;
use super::{Identity, Person};
use crate::clock::Timestamp;
use crate::store::{Draft, Error, TRIES, Write};

impl Registry {
    /// The key of the person whom these ids name in a tenant; the ids are known from then on. Two persons who prove
    /// to be one are merged: the younger into the older. Where a merge was cut off, one of the ids may still name the
    /// younger: [`Registry::change`] finds whoever is left.
    ///
    /// # Errors
    /// As the store's.
    pub async fn resolve(
        &self,
        bot: &str,
        tenant: &str,
        identity: &Identity,
        received: Timestamp,
    ) -> Result<Option<String>, Error> {
        let aliases = identity.aliases();
        let Some(first) = aliases.first() else { return Ok(None) };
        let keys = aliases.iter().map(|alias| Alias::key(bot, alias, tenant)).collect();
        let found = self.store().get_many(keys).await?;
        let mut named = Vec::new();
        for document in found.iter().flatten() {
            named.push(document.read::<Alias>()?.person);
        }
        let known = named.first().cloned().unwrap_or_else(|| first.clone());
        // Together, so that they become durable together.
        let unnamed = aliases.iter().zip(&found).filter(|(_, document)| document.is_none());
        let claims = unnamed.map(|(alias, _)| self.claim(bot, tenant, alias, &known));
        let mut persons = named;
        persons.extend(try_join_all(claims).await?);
        persons.sort();
        persons.dedup();
        match persons.as_slice() {
            [] => Ok(Some(known)),
            [one] => Ok(Some(one.clone())),
            several => self.merge(bot, tenant, several, &aliases, received).await.map(Some),
        }
    }

    /// Makes an id name a person unless it names one already; answers whom it names.
    async fn claim(&self, bot: &str, tenant: &str, alias: &str, person: &str) -> Result<String, Error> {
        let key = Alias::key(bot, alias, tenant);
        let create = Write::Create(key.clone(), Draft::of(&Alias::of(tenant, person))?);
        match self.store().write(create).await {
            Ok(_) => Ok(person.to_owned()),
            Err(Error::Conflict) => {
                let document = self.store().get(&key).await?.ok_or(Error::Conflict)?;
                Ok(document.read::<Alias>()?.person)
            }
            Err(error) => Err(error),
        }
    }

    /// Whoever a person was merged into, or the person.
    pub(super) async fn survivor(&self, bot: &str, tenant: &str, person: &str) -> Result<String, Error> {
        let mut current = person.to_owned();
        for _ in 0..TRIES {
            match self.person(bot, tenant, &current).await?.and_then(|person| person.merged_into) {
                Some(older) => current = older,
                None => return Ok(current),
            }
        }
        Err(Error::Corrupt(format!("person {person} is merged in a circle")))
    }

    /// The older person takes over first and the younger steps back after: killed in between, nobody is lost, and
    /// the next activity that names both ids does it again. Who is older is read from what is stored and never
    /// changes, so that two who merge at the same time agree, and nobody is ever merged into somebody younger.
    async fn merge(
        &self,
        bot: &str,
        tenant: &str,
        persons: &[String],
        aliases: &[String],
        received: Timestamp,
    ) -> Result<String, Error> {
        for _ in 0..TRIES {
            let mut survivors = Vec::new();
            for person in persons {
                let survivor = self.survivor(bot, tenant, person).await?;
                survivors.push((self.born(bot, tenant, &survivor, received).await?, survivor));
            }
            survivors.sort();
            survivors.dedup();
            let (_, older) = survivors.first().cloned().ok_or(Error::Conflict)?;
            let Some((_, younger)) = survivors.get(1) else {
                for alias in aliases {
                    self.retarget(bot, tenant, alias, &older).await?;
                }
                // A chat that was taken over may have been marked in between, under the younger's name.
                if let Some(person) = self.person(bot, tenant, &older).await? {
                    self.heed_tombstone(bot, person, received).await?;
                }
                return Ok(older);
            };
            self.absorb(bot, tenant, &older, younger, received).await?;
        }
        Err(Error::Conflict)
    }

    /// When a person was first seen; one who is about to be made by another activity is made here.
    async fn born(&self, bot: &str, tenant: &str, person: &str, received: Timestamp) -> Result<Timestamp, Error> {
        loop {
            if let Some(found) = self.person(bot, tenant, person).await? {
                return Ok(found.first_seen);
            }
            let draft = self.draft(&Person::new(tenant, person, received))?;
            match self.store().write(Write::Create(Self::person_key(bot, tenant, person), draft)).await {
                Ok(_) | Err(Error::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// One step: the older takes over what the younger is at this moment, and only that moment's younger steps back.
    async fn absorb(&self, bot: &str, tenant: &str, older: &str, younger: &str, now: Timestamp) -> Result<(), Error> {
        let Some((absorbed, etag)) = self.versioned(bot, tenant, younger).await? else { return Ok(()) };
        if absorbed.merged_into.is_some() {
            return Ok(());
        }
        self.change(bot, (tenant, older), now, |person| person.absorbing(&absorbed)).await?;
        let step_back = Person { merged_into: Some(older.to_owned()), ..absorbed };
        let write = Write::Replace(Self::person_key(bot, tenant, younger), self.draft(&step_back)?, etag);
        match self.store().write(write).await {
            Ok(_) => {
                info!(tenant, older, younger, "merged two persons who proved to be one");
                Ok(())
            }
            // The younger did something meanwhile: the next step takes that over too.
            Err(Error::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn retarget(&self, bot: &str, tenant: &str, alias: &str, person: &str) -> Result<(), Error> {
        let key = Alias::key(bot, alias, tenant);
        let Some(document) = self.store().get(&key).await? else { return Ok(()) };
        if document.read::<Alias>()?.person == person {
            return Ok(());
        }
        let draft = Draft::of(&Alias::of(tenant, person))?;
        match self.store().write(Write::Replace(key, draft, document.etag)).await {
            // Somebody else does the same.
            Ok(_) | Err(Error::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
