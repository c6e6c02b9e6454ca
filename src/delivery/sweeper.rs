//! `Tick`, which starts what is due and resumes what stalled, and the end of notifications that are over early.

use std::collections::HashMap;

use tracing::{info, warn};

use super::{BATCH, Delivery, Held, NOTIFICATION_STALLS, Pointer, PutOut};
use crate::clock::Timestamp;
use crate::notifications::{Control, OnUncertain};
use crate::people::Skip;
use crate::store::Error;

/// How much one activation looks at; the next one goes on.
const NOTIFICATIONS: usize = 200;
const BATCHES: usize = 1000;
const FADED: usize = 5000;
/// When a notification that is over is looked at again while somebody still sends one of its windows.
const LINGERS: std::time::Duration = std::time::Duration::from_secs(5);

impl Delivery {
    /// Looks for everything that is due.
    ///
    /// # Errors
    /// As the store's; the next activation does what this one did not.
    pub async fn tick(&self) -> Result<PutOut, Error> {
        let now = self.clock.now();
        let mut put_out = PutOut::default();
        self.tick_batches(now, &mut put_out).await?;
        for mut held in self.ledger.due_controls(now, NOTIFICATIONS).await? {
            match self.ledger.save_control(&mut held, Some(now + NOTIFICATION_STALLS)).await {
                Ok(()) => put_out.notifications.push(Pointer::to_notification(&held.value.id)),
                // Somebody is at it.
                Err(Error::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        let faded = self.ledger.purge(now, FADED).await?;
        if faded > 0 {
            info!(faded, "removed what has faded");
        }
        Ok(put_out)
    }

    /// Batches whose time has come, whose lease ran out, or whose message seems lost; within the bound of each tenant.
    async fn tick_batches(&self, now: Timestamp, put_out: &mut PutOut) -> Result<(), Error> {
        let mut room: HashMap<(String, String), u64> = HashMap::new();
        for mut held in self.ledger.due_batches(now, BATCHES).await? {
            let (id, tenant) = (held.value.notification.clone(), held.value.tenant.clone());
            // A batch that waits takes room; one that stalled has its place already.
            if held.value.not_before.is_some() {
                let key = (id.clone(), tenant.clone());
                if !room.contains_key(&key) {
                    let outstanding = self.ledger.outstanding(&id, &tenant).await?;
                    room.insert(key.clone(), self.governor.outstanding(BATCH).saturating_sub(outstanding));
                }
                match room.get_mut(&key) {
                    Some(left) if *left > 0 => *left -= 1,
                    Some(_) | None => continue,
                }
            } else {
                warn!(notification = id, tenant, batch = held.value.id(), "a batch stalled and is put out again");
            }
            if self.put_out_again(&mut held, now).await? {
                put_out.deliveries.push(Pointer::to_batch(&id, &tenant, &held.value.id()));
            }
        }
        Ok(())
    }

    /// Ends the batches of a notification that is over, and closes it once nobody works on one any more.
    pub(super) async fn sweep(&self, mut held: Held<Control>, why: Skip) -> Result<PutOut, Error> {
        let id = held.value.id.clone();
        let mut busy = 0;
        loop {
            let batches = self.ledger.unfinished(&id, BATCH).await?;
            let before = busy;
            let found = batches.len();
            busy = 0;
            for mut batch in batches {
                let now = self.clock.now();
                if batch.value.is_leased(now, &self.instance, self.ledger.exclusive()) {
                    busy += 1;
                    continue;
                }
                // Over or not, whether a send that was cut off went out is not known.
                batch.value.recover(OnUncertain::Report, now);
                batch.value.end(why, now);
                batch.value.lease = None;
                match self.ledger.report_batch(&mut batch, now).await {
                    Ok(_) => {}
                    Err(Error::Conflict) => busy += 1,
                    Err(error) => return Err(error),
                }
            }
            if found == 0 || (busy > 0 && busy >= before && busy == found) {
                break;
            }
        }
        let plans = self.ledger.plans(&id).await?;
        if plans.iter().all(|plan| plan.value.pending() == 0) {
            self.close(&mut held, &plans).await?;
        } else {
            match self.ledger.save_control(&mut held, Some(self.clock.now() + LINGERS)).await {
                Ok(()) | Err(Error::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(PutOut::default())
    }
}
