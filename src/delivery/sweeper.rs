//! `Tick`, which starts what is due and resumes what stalled, and the end of notifications that are over early.

use std::collections::HashMap;

use tracing::{info, warn};

use super::retry::STALLS_AT_MOST;
use super::{
    BATCH, Batch, Cursor, Delivery, Held, LAYING, NOTIFICATION_RESTS, NOTIFICATION_STALLS, Plan, Pointer, PutOut,
};
use crate::clock::Timestamp;
use crate::notifications::{Control, OnUncertain};
use crate::people::Skip;
use crate::store::Error;

/// How much one activation looks at; the next one goes on.
const NOTIFICATIONS: usize = 200;
const BATCHES: usize = 200;
const PAGES: usize = 50;
const FADED: usize = 5000;
/// After so many failures an activation leaves the rest to the next one.
const FAILURES: usize = 3;
/// When a notification that is over is looked at again while somebody still sends one of its windows.
const LINGERS: std::time::Duration = std::time::Duration::from_secs(5);

/// How many more batches of a tenant may be put out, and the plan under which they are.
struct Room {
    left: u64,
    plan: Option<Held<Plan>>,
}

impl Delivery {
    /// Looks for everything that is due. What fails in one part keeps no other from being done.
    ///
    /// # Errors
    /// As the store's, when nothing was done; the next activation does what this one did not.
    pub async fn tick(&self) -> Result<PutOut, Error> {
        let now = self.clock.now();
        let mut put_out = PutOut::default();
        let batches = self.tick_batches(now, &mut put_out).await;
        let notifications = self.tick_notifications(now, &mut put_out).await;
        let faded = self.fade(now).await;
        put_out.despite(batches.and(notifications).and(faded))
    }

    async fn fade(&self, now: Timestamp) -> Result<(), Error> {
        let faded = self.ledger.purge(now, FADED).await?;
        if faded > 0 {
            info!(faded, "removed what has faded");
        }
        Ok(())
    }

    async fn tick_notifications(&self, now: Timestamp, put_out: &mut PutOut) -> Result<(), Error> {
        for mut held in self.ledger.due_controls(now, NOTIFICATIONS).await? {
            let due = now + NOTIFICATION_STALLS;
            let due = held.value.expires_at.filter(|at| *at > now).map_or(due, |expires| due.min(expires));
            match self.ledger.save_control(&mut held, Some(due)).await {
                Ok(()) => put_out.notifications.push(Pointer::to_notification(&held.value.id)),
                // Somebody is at it.
                Err(Error::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Batches whose time has come, whose lease ran out, or whose message seems lost; within the bound of each tenant.
    /// Those of a tenant without room stay in line, and those behind them are found all the same.
    async fn tick_batches(&self, now: Timestamp, put_out: &mut PutOut) -> Result<(), Error> {
        let (mut rooms, mut after, mut failures) = (HashMap::new(), None, Vec::new());
        for _ in 0..PAGES {
            let (batches, next) = self.ledger.due_batches(now, after.as_ref(), BATCHES).await?;
            for held in batches {
                // One that cannot be written keeps no other waiting; when none can, nobody tries them all.
                failures.extend(self.tick_batch(held, now, &mut rooms, put_out).await.err());
                if failures.len() >= FAILURES {
                    break;
                }
            }
            after = next;
            if after.is_none() || failures.len() >= FAILURES {
                break;
            }
        }
        failures.into_iter().next().map_or(Ok(()), Err)
    }

    /// Points to everything that was put out and that nobody works on, without writing anything: for a queue that was
    /// lost with its machine. Whatever is pointed to a second time does nothing.
    ///
    /// # Errors
    /// As the store's.
    pub async fn resume(&self) -> Result<PutOut, Error> {
        let now = self.clock.now();
        let mut put_out = PutOut::default();
        let looked = self.look_for_lying(now, &mut put_out).await;
        put_out.despite(looked)
    }

    async fn look_for_lying(&self, now: Timestamp, put_out: &mut PutOut) -> Result<(), Error> {
        let running = self.ledger.due_controls(now + NOTIFICATION_RESTS, NOTIFICATIONS).await?;
        let has_begun = |control: &Control| control.send_at.is_none_or(|at| at <= now);
        let running = running.iter().filter(|held| has_begun(&held.value));
        put_out.notifications.extend(running.map(|held| Pointer::to_notification(&held.value.id)));
        let mut after = None;
        for _ in 0..PAGES {
            let (batches, next) = self.ledger.due_batches(now + STALLS_AT_MOST, after.as_ref(), BATCHES).await?;
            let has_nobody = |batch: &Batch| !batch.is_leased(now, &self.instance, self.ledger.exclusive());
            let lies = |batch: &Batch| batch.not_before.is_none() && has_nobody(batch);
            let lying = batches.iter().map(|held| &held.value).filter(|batch| lies(batch));
            put_out
                .deliveries
                .extend(lying.map(|batch| Pointer::to_batch(&batch.notification, &batch.tenant, &batch.id())));
            after = next;
            if after.is_none() {
                break;
            }
        }
        Ok(())
    }

    async fn tick_batch(
        &self,
        mut held: Held<Batch>,
        now: Timestamp,
        rooms: &mut HashMap<(String, String), Room>,
        put_out: &mut PutOut,
    ) -> Result<(), Error> {
        let (id, tenant) = (held.value.notification.clone(), held.value.tenant.clone());
        let waited = held.value.not_before.is_some();
        held.value.put_out();
        // A batch that waited takes room; one that stalled has its place already.
        let done = if waited {
            let key = (id.clone(), tenant.clone());
            if !rooms.contains_key(&key) {
                rooms.insert(key.clone(), self.room(&id, &tenant).await?);
            }
            match rooms.get_mut(&key) {
                Some(Room { left: left @ 1.., plan: Some(plan) }) => {
                    *left -= 1;
                    self.ledger.take_room(&held, plan, now).await?
                }
                Some(_) | None => false,
            }
        } else {
            warn!(notification = id, tenant, batch = held.value.id(), "a batch stalled and is put out again");
            self.ledger.put_out(&held, now).await?
        };
        if done {
            put_out.deliveries.push(Pointer::to_batch(&id, &tenant, &held.value.id()));
        }
        Ok(())
    }

    async fn room(&self, id: &str, tenant: &str) -> Result<Room, Error> {
        // Before the count, so that whoever takes room meanwhile is noticed.
        let plan = self.ledger.plan(id, tenant).await?;
        let bot = self.registry.bot().await?.unwrap_or_default();
        let bound = self.governor.outstanding(&bot, tenant, id, BATCH).await?;
        let outstanding = self.ledger.outstanding(id, tenant).await?;
        Ok(Room { left: bound.saturating_sub(outstanding), plan })
    }

    /// Ends the plans and batches of a notification that is over, and closes it once nobody works on one any more.
    pub(super) async fn sweep(&self, mut held: Held<Control>, why: Skip) -> Result<PutOut, Error> {
        let id = held.value.id.clone();
        let give_up = self.clock.now() + LAYING;
        // First no new batch can come: a planner that is under way finds its plan changed.
        self.end_plans(&id).await?;
        loop {
            let batches = self.ledger.unfinished(&id, BATCH).await?;
            let mut ended = 0;
            for batch in batches {
                ended += usize::from(self.end_batch(batch, why).await?);
            }
            if ended == 0 {
                break;
            }
            if self.clock.now() >= give_up {
                return Ok(PutOut { notifications: vec![Pointer::to_notification(&id)], deliveries: Vec::new() });
            }
        }
        let plans = self.ledger.plans(&id).await?;
        if plans.iter().all(|plan| plan.value.is_finished()) {
            self.close(&mut held, &plans).await?;
        } else {
            match self.ledger.save_control(&mut held, Some(self.clock.now() + LINGERS)).await {
                Ok(()) | Err(Error::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(PutOut::default())
    }

    async fn end_plans(&self, id: &str) -> Result<(), Error> {
        loop {
            let mut moved = false;
            for mut plan in self.ledger.plans(id).await? {
                if plan.value.is_closed() {
                    continue;
                }
                plan.value.cursor = Cursor::Ended;
                match self.ledger.advance(id, &mut plan, None, self.clock.now()).await {
                    Ok(()) => {}
                    Err(Error::Conflict) => moved = true,
                    Err(error) => return Err(error),
                }
            }
            if !moved {
                return Ok(());
            }
        }
    }

    /// True when the batch was ended; false while somebody is at it.
    async fn end_batch(&self, mut batch: Held<Batch>, why: Skip) -> Result<bool, Error> {
        let now = self.clock.now();
        if batch.value.is_leased(now, &self.instance, self.ledger.exclusive()) {
            return Ok(false);
        }
        // Over or not, whether a send that was cut off went out is not known.
        batch.value.recover(OnUncertain::Report, now);
        batch.value.end(why, now);
        batch.value.lease = None;
        match self.ledger.report_batch(&mut batch, None, now).await {
            Ok(()) => Ok(true),
            Err(Error::Conflict) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
