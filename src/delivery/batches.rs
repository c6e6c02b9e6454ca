//! Batches in the ledger: each write is conditional, and a batch and its plan change together.

use super::ledger::{Held, Ledger, PLAN, held, plan_key};
use super::{BATCH_STALLS, Batch, Plan};
use crate::clock::Timestamp;
use crate::notifications::Counts;
use crate::store::{Collection, Continuation, Document, Draft, Error, Key, Partition, Query, Write};

/// The words by which batches are found and counted.
const OUT: &str = "out";
const WAITING: &str = "waiting";
const DONE: &str = "done";

/// How often a batch is written together with its plan while other batches change the plan.
const TRIES: usize = 64;

impl Ledger {
    /// A batch.
    ///
    /// # Errors
    /// As the store's.
    pub async fn batch(&self, id: &str, tenant: &str, batch: &str) -> Result<Option<Held<Batch>>, Error> {
        self.read(&Key::new(Collection::Deliveries, Partition::new([id, tenant]), batch)).await
    }

    /// Writes a batch; its plan is told nothing.
    ///
    /// # Errors
    /// [`Error::Conflict`] when somebody else changed it: then it is theirs.
    pub async fn save_batch(&self, held: &mut Held<Batch>, now: Timestamp) -> Result<(), Error> {
        let write = Write::Replace(batch_key(&held.value), self.draft(&held.value, now)?, held.etag.clone());
        held.etag = self.store().write(write).await?;
        Ok(())
    }

    /// Writes a batch and adds to its plan what the plan does not know: both, or neither. Answers the plan.
    ///
    /// # Errors
    /// [`Error::Conflict`] when somebody else changed the batch.
    pub async fn report_batch(&self, held: &mut Held<Batch>, now: Timestamp) -> Result<Plan, Error> {
        let counts = held.value.counts();
        let earlier = std::mem::replace(&mut held.value.reported, counts.clone());
        let reported = self.report(held, &counts.minus(&earlier), now).await;
        if reported.is_err() {
            held.value.reported = earlier;
        }
        reported
    }

    async fn report(&self, held: &mut Held<Batch>, news: &Counts, now: Timestamp) -> Result<Plan, Error> {
        let id = held.value.notification.clone();
        for _ in 0..TRIES {
            let plan = self.plan(&id, &held.value.tenant).await?;
            let mut plan = plan.ok_or_else(|| Error::Corrupt(format!("notification {id} has lost a plan")))?;
            plan.value.counts = plan.value.counts.plus(news);
            match self.write_both(held, &plan, now).await {
                Ok(()) => return Ok(plan.value),
                // The plan moves with every batch of the tenant; only a change of our batch ends this.
                Err(Error::Conflict) => self.still_ours(held).await?,
                Err(error) => return Err(error),
            }
        }
        Err(Error::Conflict)
    }

    async fn write_both(&self, held: &mut Held<Batch>, plan: &Held<Plan>, now: Timestamp) -> Result<(), Error> {
        let plan_draft = Draft::of(&plan.value)?.tagged(PLAN).expiring(Some(self.fades(now)));
        let id = &held.value.notification;
        let writes = vec![
            Write::Replace(batch_key(&held.value), self.draft(&held.value, now)?, held.etag.clone()),
            Write::Replace(plan_key(id, &plan.value.tenant), plan_draft, plan.etag.clone()),
        ];
        let etags = self.store().transact(writes).await?;
        held.etag = etags.into_iter().next().ok_or(Error::Conflict)?;
        Ok(())
    }

    async fn still_ours(&self, held: &Held<Batch>) -> Result<(), Error> {
        let stored = self.store().get(&batch_key(&held.value)).await?.ok_or(Error::Conflict)?;
        if stored.etag == held.etag { Ok(()) } else { Err(Error::Conflict) }
    }

    /// How many batches of a tenant are put out and neither finished nor waiting.
    ///
    /// # Errors
    /// As the store's.
    pub async fn outstanding(&self, id: &str, tenant: &str) -> Result<u64, Error> {
        self.store().count(Collection::Deliveries, &Partition::new([id, tenant]), OUT).await
    }

    /// Batches of a tenant that wait for their time, `limit` at most.
    ///
    /// # Errors
    /// As the store's.
    pub async fn waiting(&self, id: &str, tenant: &str, limit: usize) -> Result<Vec<Held<Batch>>, Error> {
        let partition = Partition::new([id, tenant]);
        let query = Query::Under { collection: Collection::Deliveries, partition, tag: Some(WAITING) };
        held(self.store().page(&query, None, limit).await?)
    }

    /// Batches of a notification that are not finished, `limit` of each kind at most.
    ///
    /// # Errors
    /// As the store's.
    pub async fn unfinished(&self, id: &str, limit: usize) -> Result<Vec<Held<Batch>>, Error> {
        let mut batches = Vec::new();
        for tag in [WAITING, OUT] {
            let partition = Partition::new([id]);
            let query = Query::Under { collection: Collection::Deliveries, partition, tag: Some(tag) };
            batches.extend(held(self.store().page(&query, None, limit).await?)?);
        }
        Ok(batches)
    }

    /// A page of a notification's batches, planned last first.
    ///
    /// # Errors
    /// As the store's.
    pub async fn batches(
        &self,
        id: &str,
        after: Option<&Continuation>,
        limit: usize,
    ) -> Result<(Vec<Batch>, Option<Continuation>), Error> {
        let query = Query::Newest { collection: Collection::Deliveries, partition: Partition::new([id]) };
        let page = self.store().page(&query, after, limit).await?;
        let batches = page.documents.iter().map(Document::read).collect::<Result<_, _>>()?;
        Ok((batches, page.next))
    }

    pub(super) fn draft(&self, batch: &Batch, now: Timestamp) -> Result<Draft, Error> {
        let (tag, due) = if batch.is_finished() {
            (DONE, None)
        } else if let Some(not_before) = batch.not_before {
            (WAITING, Some(not_before))
        } else {
            (OUT, Some(batch.lease.as_ref().map_or(now + BATCH_STALLS, |lease| lease.until)))
        };
        Ok(Draft::of(batch)?.tagged(tag).due(due).ranked(batch.created_at).expiring(Some(self.fades(now))))
    }
}

pub(super) fn batch_key(batch: &Batch) -> Key {
    let partition = Partition::new([batch.notification.as_str(), batch.tenant.as_str()]);
    Key::new(Collection::Deliveries, partition, batch.id())
}
