//! Persons in the store: found by any of their ids, changed under their etag, merged when two prove to be one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use tracing::info;

use super::aliases::Alias;
use super::{Conversation, Identity, Person};
use crate::channel::Channel;
use crate::clock::Timestamp;
use crate::store::{
    Collection, Continuation, Document, Draft, ETag, Error, Key, Page, Partition, Query, Store, TRIES, Turns, V1,
    Write, update,
};

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Adopted {
    v: V1,
    bot_id: String,
}

/// A tenant that the bot was seen in.
#[derive(Debug, Serialize, Deserialize)]
struct Tenant {
    v: V1,
    tenant: String,
}

/// All persons that one bot knows.
#[derive(Debug, Clone)]
pub struct Registry {
    store: Arc<dyn Store>,
    keep_copilot: Duration,
    bot: Arc<OnceCell<String>>,
    tenants: Arc<Mutex<HashMap<String, Timestamp>>>,
    turns: Turns,
}

/// How long a tenant that was written is not written again.
const TENANT_IS_KNOWN: Duration = Duration::from_secs(600);

impl Registry {
    /// The registry of the bot with this app id; without one, of the first bot that is seen. Copilot references fade
    /// when they were not seen for `keep_copilot`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, app_id: Option<&str>, keep_copilot: Duration) -> Self {
        let bot = OnceCell::new_with(app_id.map(str::to_owned));
        Self { store, keep_copilot, bot: Arc::new(bot), tenants: Arc::default(), turns: Turns::default() }
    }

    pub(super) fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    /// The bot's id, once there is one.
    ///
    /// # Errors
    /// As the store's.
    pub async fn bot(&self) -> Result<Option<String>, Error> {
        if let Some(bot) = self.bot.get() {
            return Ok(Some(bot.clone()));
        }
        let Some(document) = self.store.get(&adopted_key()).await? else { return Ok(None) };
        let adopted: Adopted = document.read()?;
        Ok(Some(self.bot.get_or_init(|| async { adopted.bot_id }).await.clone()))
    }

    /// Takes `candidate` for the bot unless there is one; answers which bot it is now.
    ///
    /// # Errors
    /// As the store's.
    pub async fn adopt(&self, candidate: &str) -> Result<String, Error> {
        loop {
            if let Some(bot) = self.bot().await? {
                return Ok(bot);
            }
            let draft = Draft::of(&Adopted { v: V1, bot_id: candidate.to_owned() })?;
            match self.store.write(Write::Create(adopted_key(), draft)).await {
                Ok(_) => info!(bot = candidate, "adopted the bot of the first activity"),
                // Another activity was first; the next look finds its bot.
                Err(Error::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) fn person_key(bot: &str, tenant: &str, person: &str) -> Key {
        Key::new(Collection::People, Partition::new([bot, tenant, person]), "person")
    }

    /// A person by key.
    ///
    /// # Errors
    /// As the store's.
    pub async fn person(&self, bot: &str, tenant: &str, person: &str) -> Result<Option<Person>, Error> {
        Ok(self.versioned(bot, tenant, person).await?.map(|(person, _)| person))
    }

    pub(super) async fn versioned(
        &self,
        bot: &str,
        tenant: &str,
        person: &str,
    ) -> Result<Option<(Person, ETag)>, Error> {
        let Some(document) = self.store.get(&Self::person_key(bot, tenant, person)).await? else { return Ok(None) };
        Ok(Some((document.read()?, document.etag)))
    }

    /// Persons by key, in order.
    ///
    /// # Errors
    /// As the store's.
    pub async fn persons(&self, bot: &str, tenant: &str, persons: &[String]) -> Result<Vec<Option<Person>>, Error> {
        let keys = persons.iter().map(|person| Self::person_key(bot, tenant, person)).collect();
        let documents = self.store.get_many(keys).await?;
        documents.into_iter().map(|document| document.map(|found| found.read()).transpose()).collect()
    }

    /// Changes a person, who is made when there is none, or whoever they were merged into; answers what was there
    /// before and what is there now.
    ///
    /// # Errors
    /// As the store's; [`Error::Conflict`] when others kept changing the same person.
    pub async fn change(
        &self,
        bot: &str,
        (tenant, person): (&str, &str),
        received: Timestamp,
        change: impl Fn(Person) -> Person,
    ) -> Result<(Option<Person>, Person), Error> {
        // Who writes to the same person within this process takes turns instead of colliding in the store.
        let _mine = self.turns.of((tenant, person)).await;
        let mut person = person.to_owned();
        for _ in 0..TRIES {
            let found = self.versioned(bot, tenant, &person).await?;
            let (before, etag) = found.unzip();
            if let Some(older) = before.as_ref().and_then(|person| person.merged_into.clone()) {
                person = older;
                continue;
            }
            let key = Self::person_key(bot, tenant, &person);
            let next = change(before.clone().unwrap_or_else(|| Person::new(tenant, &person, received)));
            let next = next.without_faded(received, self.keep_copilot);
            if before.as_ref() == Some(&next) {
                return Ok((before, next));
            }
            let draft = self.draft(&next)?;
            let write = match etag {
                Some(etag) => Write::Replace(key, draft, etag),
                None => Write::Create(key, draft),
            };
            match self.store.write(write).await {
                Ok(_) => return Ok((before, next)),
                Err(Error::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::Conflict)
    }

    /// A person as written: found among the newest, and gone when nothing of them counts any more.
    pub(super) fn draft(&self, person: &Person) -> Result<Draft, Error> {
        Ok(Draft::of(person)?.ranked(person.first_seen).expiring(person.fades(self.keep_copilot)))
    }

    /// Changes a person who exists; nothing happens to one who does not.
    ///
    /// # Errors
    /// As for [`Registry::change`].
    pub async fn amend(
        &self,
        bot: &str,
        (tenant, person): (&str, &str),
        now: Timestamp,
        change: impl Fn(Person) -> Person,
    ) -> Result<(), Error> {
        if self.versioned(bot, tenant, person).await?.is_some() {
            self.change(bot, (tenant, person), now, change).await?;
        }
        Ok(())
    }

    /// The keys of the persons whom an id names, with the tenant of each. The id may be either kind.
    ///
    /// # Errors
    /// As the store's.
    pub async fn find(&self, bot: &str, id: &str) -> Result<Vec<(String, String)>, Error> {
        let user = Identity { user_id: Some(id.to_owned()), aad_object_id: None };
        let object = Identity { user_id: None, aad_object_id: Some(id.to_owned()) };
        let (users, objects) = tokio::try_join!(self.named(bot, &user), self.named(bot, &object))?;
        let mut found: Vec<_> = users.into_iter().chain(objects).collect();
        found.sort();
        found.dedup();
        Ok(found)
    }

    async fn named(&self, bot: &str, identity: &Identity) -> Result<Vec<(String, String)>, Error> {
        let mut found = Vec::new();
        for alias in identity.aliases() {
            let partition = Alias::partition(bot, &alias);
            let query = Query::Under { collection: Collection::Aliases, partition, tag: None };
            // An id stands in few tenants: a home, and wherever its owner is a guest.
            for document in self.store.page(&query, None, 1000).await?.documents {
                let alias: Alias = document.read()?;
                let person = self.survivor(bot, &alias.tenant, &alias.person).await?;
                found.push((alias.tenant, person));
            }
        }
        Ok(found)
    }

    /// What is known of a conversation id.
    ///
    /// # Errors
    /// As the store's.
    pub async fn conversation(&self, bot: &str, conversation_id: &str) -> Result<Conversation, Error> {
        let found = self.store.get(&Conversation::key(bot, conversation_id)).await?;
        found.map_or_else(|| Ok(Conversation::unknown(conversation_id)), |document| document.read())
    }

    /// What is known of several, in order.
    ///
    /// # Errors
    /// As the store's.
    pub async fn conversations(&self, bot: &str, ids: &[String]) -> Result<Vec<Conversation>, Error> {
        let keys = ids.iter().map(|id| Conversation::key(bot, id)).collect();
        let found = self.store.get_many(keys).await?;
        let read = |(document, id): (Option<Document>, &String)| match document {
            Some(document) => document.read(),
            None => Ok(Conversation::unknown(id)),
        };
        found.into_iter().zip(ids).map(read).collect()
    }

    /// Changes what is known of a conversation id.
    ///
    /// # Errors
    /// As for [`Registry::change`].
    pub async fn note_conversation(
        &self,
        bot: &str,
        conversation_id: &str,
        change: impl Fn(Conversation) -> Conversation,
    ) -> Result<Conversation, Error> {
        let decide = |before: Option<Conversation>| {
            let next = change(before.clone().unwrap_or_else(|| Conversation::unknown(conversation_id)));
            let draft = if before.as_ref() == Some(&next) { None } else { Some(Draft::of(&next)?) };
            Ok((next, draft))
        };
        update(self.store.as_ref(), &Conversation::key(bot, conversation_id), decide).await
    }

    /// Lists somebody as a holder of a Teams chat before it is stored as theirs, so that a Copilot marker that is seen
    /// later finds them; false when one was seen before: then it is no Teams chat.
    ///
    /// # Errors
    /// As for [`Registry::change`].
    pub async fn hold_chat(
        &self,
        bot: &str,
        conversation_id: &str,
        (tenant, person): (&str, &str),
    ) -> Result<bool, Error> {
        let hold = |known: Conversation| if known.is_copilot() { known } else { known.held_by(tenant, person) };
        Ok(!self.note_conversation(bot, conversation_id, hold).await?.is_copilot())
    }

    /// The person, without their Teams chat when its conversation carries a Copilot tombstone: it may have been marked
    /// while the reference was being written.
    ///
    /// # Errors
    /// As for [`Registry::change`].
    pub async fn heed_tombstone(&self, bot: &str, person: Person, now: Timestamp) -> Result<Person, Error> {
        let Some(chat) = person.references.get(&Channel::TeamsChat) else { return Ok(person) };
        if !self.conversation(bot, &chat.conversation_id).await?.is_copilot() {
            return Ok(person);
        }
        let demote = |known: Person| known.without_teams_chat(&chat.conversation_id);
        Ok(self.change(bot, (&person.tenant, &person.key), now, demote).await?.1)
    }

    /// Remembers that the bot was seen in a tenant. Looked after again now and then: whoever restores or lays out a
    /// store anew must not lose a tenant for as long as this process lives.
    ///
    /// # Errors
    /// As the store's.
    pub async fn note_tenant(&self, bot: &str, tenant: &str, now: Timestamp) -> Result<(), Error> {
        let known = self.tenants.lock().unwrap_or_else(PoisonError::into_inner).get(tenant).copied();
        if known.is_some_and(|at| now < at + TENANT_IS_KNOWN) {
            return Ok(());
        }
        let key = Key::new(Collection::Tenants, Partition::new([bot]), tenant);
        let draft = Draft::of(&Tenant { v: V1, tenant: tenant.to_owned() })?;
        match self.store.write(Write::Create(key, draft)).await {
            Ok(_) | Err(Error::Conflict) => {}
            Err(error) => return Err(error),
        }
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner).insert(tenant.to_owned(), now);
        Ok(())
    }

    /// A page of the tenants that the bot was seen in.
    ///
    /// # Errors
    /// As the store's.
    pub async fn tenants(
        &self,
        bot: &str,
        after: Option<&Continuation>,
        limit: usize,
    ) -> Result<(Vec<String>, Option<Continuation>), Error> {
        let query = Query::Under { collection: Collection::Tenants, partition: Partition::new([bot]), tag: None };
        let page = self.store.page(&query, after, limit).await?;
        Ok((page.documents.into_iter().map(|document| document.key.id).collect(), page.next))
    }

    /// A page of a tenant's persons, in a stable order.
    ///
    /// # Errors
    /// As the store's.
    pub async fn people_of(
        &self,
        bot: &str,
        tenant: &str,
        after: Option<&Continuation>,
        limit: usize,
    ) -> Result<(Vec<Person>, Option<Continuation>), Error> {
        let partition = Partition::new([bot, tenant]);
        let query = Query::Under { collection: Collection::People, partition, tag: None };
        read_people(self.store.page(&query, after, limit).await?)
    }

    /// A page of all persons, who came last first.
    ///
    /// # Errors
    /// As the store's.
    pub async fn newest_people(
        &self,
        bot: &str,
        after: Option<&Continuation>,
        limit: usize,
    ) -> Result<(Vec<Person>, Option<Continuation>), Error> {
        let query = Query::Newest { collection: Collection::People, partition: Partition::new([bot]) };
        read_people(self.store.page(&query, after, limit).await?)
    }
}

fn adopted_key() -> Key {
    Key::new(Collection::Settings, Partition::new(["herald"]), "bot")
}

fn read_people(page: Page) -> Result<(Vec<Person>, Option<Continuation>), Error> {
    let people = page.documents.iter().map(Document::read).collect::<Result<_, _>>()?;
    Ok((people, page.next))
}
