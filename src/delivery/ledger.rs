//! Notifications, plans and batches in the store. Every change is conditional; a batch and its plan change together.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tracing::error;

use super::batches::batch_key;
use super::finish::Finished;
use super::sums::Sums;
use super::{Batch, Plan};
use crate::clock::Timestamp;
use crate::notifications::{Closed, Control, Figures, Message, Posted, Request, Seeding, Stage};
use crate::store::{
    Collection, Continuation, Draft, ETag, Error, Key, Page, Partition, Query, Store, V1, Write, budget,
};

/// The id of a plan, and the word by which plans are found.
pub(super) const PLAN: &str = "plan";
/// How many of a notification's plans are read at once.
const PAGE: usize = 500;

/// A document and the version that was read.
#[derive(Debug, Clone)]
pub struct Held<T> {
    /// What it says.
    pub value: T,
    /// Which version.
    pub etag: ETag,
}

/// The ledger.
#[derive(Debug, Clone)]
pub struct Ledger {
    store: Arc<dyn Store>,
    keep: Duration,
    sums: Sums,
    pub(super) finished: Finished,
}

impl Ledger {
    /// A ledger whose finished deliveries fade after `keep`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, keep: Duration) -> Self {
        Self { store, keep, sums: Sums::default(), finished: Finished::default() }
    }

    pub(super) fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    /// See [`Store::exclusive`].
    #[must_use]
    pub fn exclusive(&self) -> bool {
        self.store.exclusive()
    }

    /// When what was written now fades. A month more than asked for: a plan or a list may be needed for as long as a
    /// slow notification runs, and the time runs from its last change.
    pub(super) fn fades(&self, now: Timestamp) -> Timestamp {
        now + self.keep + Duration::from_secs(30 * 24 * 3600)
    }

    /// Stores a new notification.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the id is taken.
    pub async fn create(&self, control: &Control, posted: &Posted) -> Result<(), Error> {
        let request = Request { v: V1, posted: posted.clone() };
        let message = Message { v: V1, content: posted.content.clone(), on_uncertain: posted.on_uncertain };
        let due = control.send_at.unwrap_or(control.created_at + super::NOTIFICATION_STALLS);
        let draft = Draft::of(control)?.ranked(control.created_at).due(Some(due));
        let writes = vec![
            Write::Create(Control::key(&control.id), draft),
            Write::Create(Request::key(&control.id), Draft::of(&request)?),
            Write::Create(Message::key(&control.id), Draft::of(&message)?),
        ];
        self.store.transact(writes).await.map(drop)
    }

    /// How a notification stands.
    ///
    /// # Errors
    /// As the store's.
    pub async fn control(&self, id: &str) -> Result<Option<Held<Control>>, Error> {
        self.read(&Control::key(id)).await
    }

    /// What was posted.
    ///
    /// # Errors
    /// As the store's; [`Error::Corrupt`] when a notification has lost its request.
    pub async fn request(&self, id: &str) -> Result<Posted, Error> {
        let held: Option<Held<Request>> = self.read(&Request::key(id)).await?;
        held.map(|held| held.value.posted).ok_or_else(|| Error::Corrupt(format!("notification {id} has no request")))
    }

    /// What is sent.
    ///
    /// # Errors
    /// As for [`Ledger::request`].
    pub async fn message(&self, id: &str) -> Result<Message, Error> {
        let held: Option<Held<Message>> = self.read(&Message::key(id)).await?;
        held.map(|held| held.value).ok_or_else(|| Error::Corrupt(format!("notification {id} has no message")))
    }

    /// Changes how a notification stands. `due` is when `Tick` should look again.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it changed since.
    pub async fn save_control(&self, held: &mut Held<Control>, due: Option<Timestamp>) -> Result<(), Error> {
        let draft = self.control_draft(&held.value, due)?;
        let key = Control::key(&held.value.id);
        held.etag = self.store.write(Write::Replace(key, draft, held.etag.clone())).await?;
        Ok(())
    }

    fn control_draft(&self, control: &Control, due: Option<Timestamp>) -> Result<Draft, Error> {
        let expires = control.closed.as_ref().and_then(|_| self.forgotten(control));
        Ok(Draft::of(control)?.ranked(control.created_at).due(due).expiring(expires))
    }

    /// The id stays taken for as long as the deliveries are kept, and never less than 90 days.
    fn forgotten(&self, control: &Control) -> Option<Timestamp> {
        let keep = self.keep.max(Duration::from_secs(90 * 24 * 3600));
        control.completed_at.map(|at| at + keep)
    }

    /// Stores the final figures; from then on all documents of the notification fade together.
    ///
    /// # Errors
    /// As for [`Ledger::save_control`].
    pub async fn close(&self, held: &mut Held<Control>) -> Result<(), Error> {
        let id = held.value.id.clone();
        let draft = self.control_draft(&held.value, None)?;
        let mut writes = vec![Write::Replace(Control::key(&id), draft, held.etag.clone())];
        let expires = self.forgotten(&held.value);
        for document in self.store.get_many(vec![Request::key(&id), Message::key(&id)]).await?.into_iter().flatten() {
            let draft = Draft { body: document.body, expires, ..Draft::default() };
            writes.push(Write::Replace(document.key, draft, document.etag));
        }
        let etags = self.store.transact(writes).await?;
        held.etag = etags.into_iter().next().ok_or(Error::Conflict)?;
        self.finished.forget(&id);
        Ok(())
    }

    /// A page of all notifications, newest first.
    ///
    /// # Errors
    /// As the store's.
    pub async fn newest(
        &self,
        after: Option<&Continuation>,
        limit: usize,
    ) -> Result<(Vec<Control>, Option<Continuation>), Error> {
        let query = Query::Newest { collection: Collection::Notifications, partition: Partition::default() };
        let page = self.store.page(&query, after, limit).await?;
        Ok((readable(&page).map(|held| held.value).collect(), page.next))
    }

    /// A page of the notifications that somebody has to look at. What cannot be read is logged and passed over: it
    /// must not keep the others waiting.
    ///
    /// # Errors
    /// As the store's.
    pub async fn due_controls(&self, at: Timestamp, limit: usize) -> Result<Vec<Held<Control>>, Error> {
        let query = Query::Due { collection: Collection::Notifications, at };
        Ok(readable(&self.store.page(&query, None, limit).await?).collect())
    }

    /// Every plan of a notification: one per tenant.
    ///
    /// # Errors
    /// As the store's.
    pub async fn plans(&self, id: &str) -> Result<Vec<Held<Plan>>, Error> {
        let query =
            Query::Under { collection: Collection::Deliveries, partition: Partition::new([id]), tag: Some(PLAN) };
        let (mut plans, mut after) = (Vec::new(), None);
        loop {
            let page = self.store.page(&query, after.as_ref(), PAGE).await?;
            after.clone_from(&page.next);
            plans.extend(held(page)?);
            if after.is_none() {
                return Ok(plans);
            }
        }
    }

    pub(super) fn plan_draft(&self, plan: &Plan, now: Timestamp) -> Result<Draft, Error> {
        Ok(Draft::of(plan)?.tagged(PLAN).expiring(Some(self.fades(now))))
    }

    /// Starts a tenant's plan unless it has one.
    ///
    /// # Errors
    /// As the store's.
    pub async fn start_plan(&self, id: &str, plan: &Plan, now: Timestamp) -> Result<(), Error> {
        let draft = self.plan_draft(plan, now)?;
        match self.store.write(Write::Create(plan_key(id, &plan.tenant), draft)).await {
            Ok(_) | Err(Error::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// One tenant's plan.
    ///
    /// # Errors
    /// As the store's.
    pub async fn plan(&self, id: &str, tenant: &str) -> Result<Option<Held<Plan>>, Error> {
        self.read(&plan_key(id, tenant)).await
    }

    /// Moves a plan on, together with the batch that came of it, where there is one.
    ///
    /// # Errors
    /// [`Error::Conflict`] when somebody else moved it.
    pub async fn advance(
        &self,
        id: &str,
        plan: &mut Held<Plan>,
        batch: Option<&Batch>,
        now: Timestamp,
    ) -> Result<(), Error> {
        plan.value.cost = plan.value.cost.plus(budget::take());
        let draft = self.plan_draft(&plan.value, now)?;
        let mut writes = vec![Write::Replace(plan_key(id, &plan.value.tenant), draft, plan.etag.clone())];
        if let Some(batch) = batch {
            writes.push(Write::Create(batch_key(batch), self.draft(batch, now)?));
        }
        match self.store.transact(writes).await {
            Ok(etags) => plan.etag = etags.into_iter().next().ok_or(Error::Conflict)?,
            // Over a network it may have been made all the same; and whoever planned the very same put out the same.
            Err(failure) => match self.plan(id, &plan.value.tenant).await? {
                Some(stored) if stored.value.is_as_far_as(&plan.value) => plan.etag = stored.etag,
                Some(_) | None => return Err(failure),
            },
        }
        Ok(())
    }

    /// How far a notification has come: while it runs, with many tenants, as it was some seconds ago (see `sums`).
    ///
    /// # Errors
    /// As the store's.
    pub async fn figures(&self, control: &Control) -> Result<Figures, Error> {
        if let Some(closed) = control.closed.clone() {
            let Closed { audience, planned, counts, cost } = closed;
            return Ok(Figures { audience, counts, planned, batched: true, cost });
        }
        if control.stage == Stage::Scheduled {
            return Ok(Figures::default());
        }
        self.sums.of(&control.id, self.sum(control)).await
    }

    /// The sum over all tenants, and how many there are.
    async fn sum(&self, control: &Control) -> Result<(Figures, usize), Error> {
        let mut figures = Figures { planned: control.seeding == Seeding::Done, ..Figures::default() };
        let plans = self.plans(&control.id).await?;
        for plan in &plans {
            figures.audience += plan.value.audience;
            figures.counts = figures.counts.plus(&plan.value.counts);
            figures.planned &= plan.value.is_planned();
            figures.batched |= plan.value.batches > 0;
            figures.cost = figures.cost.plus(plan.value.cost);
        }
        Ok((figures, plans.len()))
    }

    /// A page of the list of users, resolved, by number.
    ///
    /// # Errors
    /// As the store's.
    pub async fn roster(&self, id: &str, number: u32) -> Result<Option<super::Roster>, Error> {
        let held: Option<Held<super::Roster>> = self.read(&roster_key(id, number)).await?;
        Ok(held.map(|held| held.value))
    }

    /// The first pages of the list of users as far as they are stored, by number.
    ///
    /// # Errors
    /// As the store's.
    pub async fn rosters(&self, id: &str, count: u32) -> Result<HashMap<u32, super::Roster>, Error> {
        let keys = (0..count).map(|number| roster_key(id, number)).collect();
        let found = (0..count).zip(self.store.get_many(keys).await?);
        found.filter_map(|(number, page)| Some(page?.read().map(|roster| (number, roster)))).collect()
    }

    /// Stores a page of the list of users unless it is there.
    ///
    /// # Errors
    /// As the store's.
    pub async fn create_roster(&self, id: &str, roster: &super::Roster, now: Timestamp) -> Result<(), Error> {
        let draft = Draft::of(roster)?.expiring(Some(self.fades(now)));
        match self.store.write(Write::Create(roster_key(id, roster.number), draft)).await {
            Ok(_) | Err(Error::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Removes what has faded.
    ///
    /// # Errors
    /// As the store's.
    pub async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, Error> {
        self.store.purge(now, limit).await
    }

    pub(super) async fn read<T: serde::de::DeserializeOwned>(&self, key: &Key) -> Result<Option<Held<T>>, Error> {
        let found = match self.store.get(key).await? {
            Some(document) => Some(document),
            // What is not there may only not be here yet: a message can be faster than the replica that is asked.
            // Nothing is called off or passed over before everybody's writes were looked at.
            None => self.store.get_many(vec![key.clone()]).await?.into_iter().flatten().next(),
        };
        let Some(document) = found else { return Ok(None) };
        Ok(Some(Held { value: document.read()?, etag: document.etag }))
    }
}

/// What can be read of a page.
pub(super) fn readable<T: serde::de::DeserializeOwned>(page: &Page) -> impl Iterator<Item = Held<T>> {
    page.documents.iter().filter_map(|document| match document.read() {
        Ok(value) => Some(Held { value, etag: document.etag.clone() }),
        Err(failure) => {
            error!(%failure, "a document is passed over");
            None
        }
    })
}

pub(super) fn held<T: serde::de::DeserializeOwned>(page: Page) -> Result<Vec<Held<T>>, Error> {
    page.documents.into_iter().map(|document| Ok(Held { value: document.read()?, etag: document.etag })).collect()
}

pub(super) fn plan_key(id: &str, tenant: &str) -> Key {
    Key::new(Collection::Deliveries, Partition::new([id, tenant]), PLAN)
}

fn roster_key(id: &str, number: u32) -> Key {
    Key::new(Collection::Rosters, Partition::new([id]), format!("{number:08}"))
}
