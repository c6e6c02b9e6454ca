//! Batches in the ledger: each write is conditional, and a batch and its plan change together.

use super::ledger::{Held, Ledger, PLAN, held, plan_key, readable};
use super::{Batch, Plan, stalls_after};
use crate::clock::Timestamp;
use crate::notifications::Counts;
use crate::store::budget::{self, Units};
use crate::store::{Collection, Continuation, Document, Draft, Error, Key, Partition, Query, Write};

/// The words by which batches are found and counted.
const OUT: &str = "out";
const WAITING: &str = "waiting";
const HELD: &str = "held";
const DONE: &str = "done";

/// How often a batch is written together with its plan while other batches change the plan.
const TRIES: u64 = 64;

/// How many batches are read at once while looking for some. They are large.
const PAGE: usize = 8;
const PAGES: usize = 4;

/// What is stored after a write that did not succeed.
enum Found {
    /// What we wanted: it was made all the same.
    AsWanted,
    /// Another write of ours.
    Ours,
    /// What was there before.
    AsItWas,
    /// What somebody else made of it.
    Theirs,
}

/// Too many others write at the same time; nobody took anything away from us.
fn unsettled() -> Error {
    Error::Unavailable("others kept writing to the same documents".into())
}

impl Ledger {
    /// A batch.
    ///
    /// # Errors
    /// As the store's.
    pub async fn batch(&self, id: &str, tenant: &str, batch: &str) -> Result<Option<Held<Batch>>, Error> {
        self.read(&Key::new(Collection::Deliveries, Partition::new([id, tenant]), batch)).await
    }

    /// A page of the batches that somebody has to look at, longest overdue first, and where to go on.
    ///
    /// # Errors
    /// As the store's.
    pub async fn due_batches(
        &self,
        at: Timestamp,
        after: Option<&Continuation>,
        limit: usize,
    ) -> Result<(Vec<Held<Batch>>, Option<Continuation>), Error> {
        let query = Query::Due { collection: Collection::Deliveries, at };
        let page = self.store().page(&query, after, limit).await?;
        Ok((readable(&page).collect(), page.next))
    }

    /// Writes a batch; its plan is told nothing.
    ///
    /// # Errors
    /// [`Error::Conflict`] when somebody else changed it: then it is theirs.
    pub async fn save_batch(&self, held: &mut Held<Batch>, now: Timestamp) -> Result<(), Error> {
        let draft = self.draft(&held.value, now)?;
        let owner = held.value.lease.as_ref().map(|lease| lease.owner.clone());
        for _ in 0..TRIES {
            let write = Write::Replace(batch_key(&held.value), draft.clone(), held.etag.clone());
            match self.store().write(write).await {
                Ok(etag) => {
                    held.etag = etag;
                    return Ok(());
                }
                Err(failure) => match self.found(held, owner.as_deref()).await? {
                    Found::AsWanted => return Ok(()),
                    Found::Ours => {}
                    Found::AsItWas | Found::Theirs => return Err(failure),
                },
            }
        }
        Err(unsettled())
    }

    /// Writes a batch as put out; false when somebody else did something with it. Two activations that put out the same
    /// write the same, so a write of which nobody learned is nobody's: `Tick` finds the batch.
    ///
    /// # Errors
    /// As the store's.
    pub async fn put_out(&self, held: &Held<Batch>, now: Timestamp) -> Result<bool, Error> {
        let write = Write::Replace(batch_key(&held.value), self.draft(&held.value, now)?, held.etag.clone());
        match self.store().write(write).await {
            Ok(_) => Ok(true),
            Err(Error::Conflict) => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// The same of a batch that takes room among the outstanding ones. The plan is written with it, as it was read
    /// before these were counted: two who count at the same time do not both take the last room.
    ///
    /// # Errors
    /// As the store's.
    pub async fn take_room(&self, held: &Held<Batch>, plan: &mut Held<Plan>, now: Timestamp) -> Result<bool, Error> {
        match self.store().transact(self.both(held, plan, now)?).await {
            Ok(etags) => {
                plan.etag = etags.into_iter().nth(1).ok_or(Error::Conflict)?;
                Ok(true)
            }
            Err(Error::Conflict) => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// What a write that did not succeed left behind: over a network it may have been made all the same.
    async fn found(&self, held: &mut Held<Batch>, owner: Option<&str>) -> Result<Found, Error> {
        let Some(document) = self.store().get(&batch_key(&held.value)).await? else { return Ok(Found::Theirs) };
        if document.etag == held.etag {
            return Ok(Found::AsItWas);
        }
        let stored: Batch = document.read()?;
        let ours = owner.is_some() && stored.lease.as_ref().map(|lease| lease.owner.as_str()) == owner;
        if stored == held.value {
            held.etag = document.etag;
            Ok(Found::AsWanted)
        } else if ours {
            // Only we write under this lease: our own earlier write, of which we did not learn.
            held.etag = document.etag;
            Ok(Found::Ours)
        } else {
            Ok(Found::Theirs)
        }
    }

    /// Writes a batch and adds to its plan what the plan does not know: both, or neither. `owner` is whose lease the
    /// batch is under, when it is under one.
    ///
    /// # Errors
    /// [`Error::Conflict`] when somebody else changed the batch.
    pub async fn report_batch(&self, held: &mut Held<Batch>, owner: Option<&str>, now: Timestamp) -> Result<(), Error> {
        let counts = held.value.counts();
        let earlier = std::mem::replace(&mut held.value.reported, counts.clone());
        let reported = self.report(held, owner, &counts.minus(&earlier), now).await;
        if reported.is_err() {
            held.value.reported = earlier;
        }
        reported
    }

    async fn report(
        &self,
        held: &mut Held<Batch>,
        owner: Option<&str>,
        news: &Counts,
        now: Timestamp,
    ) -> Result<(), Error> {
        let id = held.value.notification.clone();
        let mut cost = Units::default();
        for attempt in 0..TRIES {
            let plan = self.plan(&id, &held.value.tenant).await?;
            let mut plan = plan.ok_or_else(|| Error::Corrupt(format!("notification {id} has lost a plan")))?;
            plan.value.counts = plan.value.counts.plus(news);
            cost = cost.plus(budget::take());
            plan.value.cost = plan.value.cost.plus(cost);
            let Err(failure) = self.write_both(held, &plan, now).await else { return Ok(()) };
            match (self.found(held, owner).await?, failure) {
                (Found::AsWanted, _) => return Ok(()),
                // The plan moves with every batch of the tenant.
                (Found::Ours, _) | (Found::AsItWas, Error::Conflict) => {}
                (Found::AsItWas | Found::Theirs, failure) => return Err(failure),
            }
            // The more others there are, the longer the pause between attempts.
            tokio::time::sleep(std::time::Duration::from_millis(attempt)).await;
        }
        Err(unsettled())
    }

    async fn write_both(&self, held: &mut Held<Batch>, plan: &Held<Plan>, now: Timestamp) -> Result<(), Error> {
        let etags = self.store().transact(self.both(held, plan, now)?).await?;
        held.etag = etags.into_iter().next().ok_or(Error::Conflict)?;
        Ok(())
    }

    /// A batch, then its plan, as they are written together.
    fn both(&self, held: &Held<Batch>, plan: &Held<Plan>, now: Timestamp) -> Result<Vec<Write>, Error> {
        let key = plan_key(&held.value.notification, &plan.value.tenant);
        Ok(vec![
            Write::Replace(batch_key(&held.value), self.draft(&held.value, now)?, held.etag.clone()),
            Write::Replace(key, self.plan_draft(&plan.value, now)?, plan.etag.clone()),
        ])
    }

    /// How many batches of a tenant are put out and neither finished nor waiting.
    ///
    /// # Errors
    /// As the store's.
    pub async fn outstanding(&self, id: &str, tenant: &str) -> Result<u64, Error> {
        self.store().count(Collection::Deliveries, &Partition::new([id, tenant]), OUT).await
    }

    /// How many batches of a tenant wait for the tenant's turn.
    ///
    /// # Errors
    /// As the store's.
    pub async fn held(&self, id: &str, tenant: &str) -> Result<u64, Error> {
        self.store().count(Collection::Deliveries, &Partition::new([id, tenant]), HELD).await
    }

    /// Batches of a tenant that waited and whose time has come, `limit` at most. Of many that wait not all are looked at:
    /// `Tick` finds the others by their time.
    ///
    /// # Errors
    /// As the store's.
    pub async fn due_waiting(
        &self,
        id: &str,
        tenant: &str,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Held<Batch>>, Error> {
        let mut found = Vec::new();
        for tag in [HELD, WAITING] {
            let partition = Partition::new([id, tenant]);
            let query = Query::Under { collection: Collection::Deliveries, partition, tag: Some(tag) };
            let mut after = None;
            for _ in 0..PAGES {
                let page = self.store().page(&query, after.as_ref(), PAGE).await?;
                after.clone_from(&page.next);
                let due = |batch: &Held<Batch>| batch.value.not_before.is_some_and(|at| at <= now);
                found.extend(held(page)?.into_iter().filter(due).take(limit - found.len()));
                if after.is_none() || found.len() >= limit {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// Batches of a notification that are not finished, `limit` of each kind at most.
    ///
    /// # Errors
    /// As the store's.
    pub async fn unfinished(&self, id: &str, limit: usize) -> Result<Vec<Held<Batch>>, Error> {
        let mut batches = Vec::new();
        for tag in [WAITING, HELD, OUT] {
            let partition = Partition::new([id]);
            let query = Query::Under { collection: Collection::Deliveries, partition, tag: Some(tag) };
            batches.extend(held(self.store().page(&query, None, limit).await?)?);
        }
        Ok(batches)
    }

    /// A page of a notification's batches.
    ///
    /// # Errors
    /// As the store's.
    pub async fn batches(
        &self,
        id: &str,
        after: Option<&Continuation>,
        limit: usize,
    ) -> Result<(Vec<Batch>, Option<Continuation>), Error> {
        let partition = Partition::new([id]);
        let query = Query::Under { collection: Collection::Deliveries, partition, tag: None };
        let page = self.store().page(&query, after, limit).await?;
        let batches = page.documents.iter().filter(|document| document.key.id != PLAN);
        Ok((batches.map(Document::read).collect::<Result<_, _>>()?, page.next))
    }

    pub(super) fn draft(&self, batch: &Batch, now: Timestamp) -> Result<Draft, Error> {
        let (tag, due) = if batch.is_finished() {
            (DONE, None)
        } else if let Some(not_before) = batch.not_before {
            (if batch.held { HELD } else { WAITING }, Some(not_before))
        } else {
            (OUT, Some(batch.lease.as_ref().map_or(now + stalls_after(batch.in_vain), |lease| lease.until)))
        };
        Ok(Draft::of(batch)?.tagged(tag).due(due).expiring(Some(self.fades(now))))
    }
}

pub(super) fn batch_key(batch: &Batch) -> Key {
    let partition = Partition::new([batch.notification.as_str(), batch.tenant.as_str()]);
    Key::new(Collection::Deliveries, partition, batch.id())
}
