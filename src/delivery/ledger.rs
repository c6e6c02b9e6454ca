//! Notifications, plans and batches in the store. Every change is conditional; a batch and its plan change together.

use std::sync::Arc;
use std::time::Duration;

use super::batches::batch_key;
use super::{Batch, Plan};
use crate::clock::Timestamp;
use crate::notifications::{Control, Counts, Posted, Request, Stage};
use crate::store::{
    Collection, Continuation, Document, Draft, ETag, Error, Key, Page, Partition, Query, Store, V1, Write,
};

/// The word by which plans are found.
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
}

impl Ledger {
    /// A ledger whose finished deliveries fade after `keep`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, keep: Duration) -> Self {
        Self { store, keep }
    }

    pub(super) fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    /// See [`Store::exclusive`].
    #[must_use]
    pub fn exclusive(&self) -> bool {
        self.store.exclusive()
    }

    /// Deliveries end within a day or so of their last change, so that the time can run from each.
    pub(super) fn fades(&self, now: Timestamp) -> Timestamp {
        now + self.keep + Duration::from_secs(2 * 24 * 3600)
    }

    /// Stores a new notification.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the id is taken.
    pub async fn create(&self, control: &Control, posted: &Posted) -> Result<(), Error> {
        let request = Request { v: V1, posted: posted.clone() };
        let due = control.send_at.unwrap_or(control.created_at + super::NOTIFICATION_STALLS);
        let draft = Draft::of(control)?.ranked(control.created_at).due(Some(due));
        let writes = vec![
            Write::Create(Control::key(&control.id), draft),
            Write::Create(Request::key(&control.id), Draft::of(&request)?),
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

    /// Changes how a notification stands. `due` is when `Tick` should look again.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it changed since.
    pub async fn save_control(&self, held: &mut Held<Control>, due: Option<Timestamp>) -> Result<(), Error> {
        let control = &held.value;
        // The id stays taken for as long as the deliveries are kept, and never less than 90 days.
        let keep = self.keep.max(Duration::from_secs(90 * 24 * 3600));
        let expires = control.closed.as_ref().and(control.completed_at).map(|at| at + keep);
        let draft = Draft::of(control)?.ranked(control.created_at).due(due).expiring(expires);
        let key = Control::key(&control.id);
        held.etag = self.store.write(Write::Replace(key, draft, held.etag.clone())).await?;
        Ok(())
    }

    /// Stores the final figures together with the end of the request document's life.
    ///
    /// # Errors
    /// As for [`Ledger::save_control`].
    pub async fn close(&self, held: &mut Held<Control>) -> Result<(), Error> {
        self.save_control(held, None).await?;
        let key = Request::key(&held.value.id);
        let Some(document) = self.store.get(&key).await? else { return Ok(()) };
        let keep = self.keep.max(Duration::from_secs(90 * 24 * 3600));
        let expires = held.value.completed_at.map(|at| at + keep);
        let draft = Draft { body: document.body, expires, ..Draft::default() };
        match self.store.write(Write::Replace(key, draft, document.etag)).await {
            Ok(_) | Err(Error::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
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
        let controls = page.documents.iter().map(Document::read).collect::<Result<_, _>>()?;
        Ok((controls, page.next))
    }

    /// A page of the notifications that somebody has to look at.
    ///
    /// # Errors
    /// As the store's.
    pub async fn due_controls(&self, at: Timestamp, limit: usize) -> Result<Vec<Held<Control>>, Error> {
        let query = Query::Due { collection: Collection::Notifications, at };
        held(self.store.page(&query, None, limit).await?)
    }

    /// A page of the batches that somebody has to look at, longest overdue first.
    ///
    /// # Errors
    /// As the store's.
    pub async fn due_batches(&self, at: Timestamp, limit: usize) -> Result<Vec<Held<Batch>>, Error> {
        let query = Query::Due { collection: Collection::Deliveries, at };
        held(self.store.page(&query, None, limit).await?)
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

    /// Starts a tenant's plan unless it has one.
    ///
    /// # Errors
    /// As the store's.
    pub async fn start_plan(&self, id: &str, plan: &Plan, now: Timestamp) -> Result<(), Error> {
        let draft = Draft::of(plan)?.tagged(PLAN).expiring(Some(self.fades(now)));
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
        let draft = Draft::of(&plan.value)?.tagged(PLAN).expiring(Some(self.fades(now)));
        let mut writes = vec![Write::Replace(plan_key(id, &plan.value.tenant), draft, plan.etag.clone())];
        if let Some(batch) = batch {
            writes.push(Write::Create(batch_key(batch), self.draft(batch, now)?));
        }
        let etags = self.store.transact(writes).await?;
        plan.etag = etags.into_iter().next().ok_or(Error::Conflict)?;
        Ok(())
    }

    /// Audience and counts of a notification, whether all of it is planned, and whether there is a batch.
    ///
    /// # Errors
    /// As the store's.
    pub async fn figures(&self, control: &Control) -> Result<(u64, Counts, bool, bool), Error> {
        if let Some(closed) = &control.closed {
            return Ok((closed.audience, closed.counts.clone(), closed.planned, true));
        }
        if control.stage == Stage::Scheduled {
            return Ok((0, Counts::default(), false, false));
        }
        let plans = self.plans(&control.id).await?;
        let (mut audience, mut counts, mut planned) =
            (0, Counts::default(), control.seeding == crate::notifications::Seeding::Done);
        let batched = plans.iter().any(|plan| plan.value.batches > 0);
        for plan in plans {
            audience += plan.value.audience;
            planned &= plan.value.is_planned();
            counts = counts.plus(&plan.value.counts);
        }
        Ok((audience, counts, planned, batched))
    }

    /// A page of the list of users, resolved, by number.
    ///
    /// # Errors
    /// As the store's.
    pub async fn roster(&self, id: &str, number: u32) -> Result<Option<super::Roster>, Error> {
        let held: Option<Held<super::Roster>> = self.read(&roster_key(id, number)).await?;
        Ok(held.map(|held| held.value))
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
        let Some(document) = self.store.get(key).await? else { return Ok(None) };
        Ok(Some(Held { value: document.read()?, etag: document.etag }))
    }
}

pub(super) fn held<T: serde::de::DeserializeOwned>(page: Page) -> Result<Vec<Held<T>>, Error> {
    page.documents.into_iter().map(|document| Ok(Held { value: document.read()?, etag: document.etag })).collect()
}

pub(super) fn plan_key(id: &str, tenant: &str) -> Key {
    Key::new(Collection::Deliveries, Partition::new([id, tenant]), "plan")
}

fn roster_key(id: &str, number: u32) -> Key {
    Key::new(Collection::Rosters, Partition::new([id]), format!("{number:08}"))
}
