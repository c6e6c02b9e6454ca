//! `DeliverBatch`: one batch, window by window. A window is marked as being sent only with its permits in hand, and
//! each recipient is judged once more when it is marked.

use futures_util::future::join_all;
use tracing::{info, warn};

use super::{BATCH, Batch, Delivery, Held, LEASE, PATIENCE, Pointer, PutOut, RecipientState, SHIFT, Settled, settle};
use crate::clock::{Timestamp, until};
use crate::connector::{SendOutcome, Target, notification};
use crate::governor::Grant;
use crate::notifications::{Posted, Stage};
use crate::people::{Person, Reference, Skip, judge};
use crate::store::Error;

/// What was sent is recorded with the next window's mark, unless that is further off than this.
const UNRECORDED: std::time::Duration = std::time::Duration::from_millis(300);

/// How long outcomes wait for a store that is away, and how often they ask.
const RECORD_WITHIN: std::time::Duration = std::time::Duration::from_secs(30);
const RECORD_AGAIN: std::time::Duration = std::time::Duration::from_millis(500);

/// How an activation ended.
enum End {
    /// Every recipient has an outcome.
    Finished,
    /// The rest waits.
    Waits(Timestamp),
}

impl End {
    fn waits_until(&self) -> Option<Timestamp> {
        match self {
            Self::Finished => None,
            Self::Waits(at) => Some(*at),
        }
    }
}

/// What a write of the ledger is part of.
enum Ending {
    /// More windows follow.
    GoesOn,
    /// The activation ends.
    Ends(End),
}

/// One activation's work on one batch.
struct Shift<'a> {
    delivery: &'a Delivery,
    bot: String,
    posted: Posted,
    held: Held<Batch>,
    owner: String,
    deadline: Timestamp,
    /// True while outcomes are not written yet.
    unrecorded: bool,
}

impl Delivery {
    /// Looks at a batch and goes on with it from where it stands.
    ///
    /// # Errors
    /// As the store's: the message comes back, and so does `Tick`.
    pub async fn deliver(&self, pointer: &Pointer) -> Result<PutOut, Error> {
        let id = &pointer.notification;
        let Some((tenant, number)) = pointer.to() else {
            info!(notification = id, "a message points to no batch of ours");
            return Ok(PutOut::default());
        };
        let Some(held) = self.ledger.batch(id, tenant, number).await? else {
            info!(notification = id, tenant, batch = number, "a message points to a batch that does not exist");
            return Ok(PutOut::default());
        };
        let now = self.clock.now();
        let rests = held.value.not_before.is_some_and(|at| at > now);
        if held.value.is_finished() || rests || held.value.is_leased(now, &self.instance, self.ledger.exclusive()) {
            return Ok(PutOut::default());
        }
        let posted = self.ledger.request(id).await?;
        let bot = self.registry.bot().await?.unwrap_or_default();
        let owner = format!("{}/{}", self.instance, self.chance.id());
        let shift = Shift { delivery: self, bot, posted, held, owner, deadline: now + SHIFT, unrecorded: false };
        match shift.work().await {
            Ok(batch) => self.call_for_more(&batch).await,
            // Somebody else has the batch now: a lease that ran out, or a message that came twice.
            Err(Error::Conflict) => Ok(PutOut::default()),
            Err(error) => Err(error),
        }
    }

    /// Puts the notification out when few batches are left: by level, so that a call that is lost comes again.
    async fn call_for_more(&self, batch: &Batch) -> Result<PutOut, Error> {
        let (id, tenant) = (&batch.notification, &batch.tenant);
        let Some(plan) = self.ledger.plan(id, tenant).await? else { return Ok(PutOut::default()) };
        let few = || async {
            let outstanding = self.ledger.outstanding(id, tenant).await?;
            Ok::<_, Error>(outstanding * 2 <= self.governor.outstanding(BATCH))
        };
        let wanted = if plan.value.is_planned() { plan.value.pending() == 0 } else { few().await? };
        let notifications = if wanted { vec![Pointer::to_notification(id)] } else { Vec::new() };
        Ok(PutOut { notifications, deliveries: Vec::new() })
    }

    /// Judges persons by what is known at this moment, their conversations' tombstones included.
    pub(super) async fn judge(
        &self,
        bot: &str,
        tenant: &str,
        people: &[Person],
    ) -> Result<Vec<Result<Reference, Skip>>, Error> {
        let rules = self.reach.at(self.clock.now());
        let verdicts: Vec<_> = people.iter().map(|person| judge(person, &rules).cloned()).collect();
        let ids: Vec<_> = verdicts.iter().flatten().map(|reference| reference.conversation_id.clone()).collect();
        let conversations = self.registry.conversations(bot, &ids).await?;
        let copilot: Vec<_> =
            conversations.iter().filter(|known| known.is_copilot()).map(|known| &known.conversation_id).collect();
        let heed = |verdict: Result<Reference, Skip>| match verdict {
            Ok(reference) if copilot.contains(&&reference.conversation_id) => {
                warn!(tenant, "a Teams chat's conversation carries a Copilot tombstone: skipped");
                Err(Skip::NoTeamsChat)
            }
            other => other,
        };
        Ok(verdicts.into_iter().map(heed).collect())
    }
}

impl Shift<'_> {
    async fn work(mut self) -> Result<Batch, Error> {
        let now = self.delivery.clock.now();
        self.held.value.lease(&self.owner, now, LEASE);
        self.held.value.recover(self.posted.on_uncertain, now);
        self.save().await?;
        let end = self.send_all().await?;
        self.write(Ending::Ends(end)).await?;
        Ok(self.held.value)
    }

    async fn send_all(&mut self) -> Result<End, Error> {
        loop {
            let now = self.delivery.clock.now();
            if now >= self.deadline || self.delivery.closing.is_cancelled() {
                return Ok(End::Waits(now));
            }
            if let Some(why) = self.is_over(now).await? {
                self.held.value.end(why, now);
                return Ok(End::Finished);
            }
            let ready = self.held.value.ready(now, self.delivery.governor.window());
            if ready.is_empty() {
                match self.held.value.next_ready() {
                    None => return Ok(End::Finished),
                    Some(at) if until(now, at) > PATIENCE => return Ok(End::Waits(at)),
                    Some(at) => self.wait(at).await?,
                }
                continue;
            }
            let tenant = self.held.value.tenant.clone();
            match self.delivery.governor.reserve(&self.bot, &tenant, ready.len()).await? {
                Grant::Later(at) => return Ok(End::Waits(at)),
                Grant::From(at) => {
                    self.wait(at).await?;
                    self.send_window(&ready).await?;
                }
            }
        }
    }

    /// Why nothing more is sent of the notification; asked before every window.
    async fn is_over(&self, now: Timestamp) -> Result<Option<Skip>, Error> {
        let held = self.delivery.ledger.control(&self.held.value.notification).await?;
        let stage = held.map_or(Stage::Cancelled, |held| held.value.stage_at(now));
        Ok(match stage {
            Stage::Scheduled | Stage::Running | Stage::Completed => None,
            Stage::Cancelled => Some(Skip::Cancelled),
            Stage::Expired => Some(Skip::Expired),
        })
    }

    async fn wait(&mut self, at: Timestamp) -> Result<(), Error> {
        let wait = until(self.delivery.clock.now(), at);
        if self.unrecorded && wait > UNRECORDED {
            self.save().await?;
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.delivery.closing.cancelled() => {}
        }
        Ok(())
    }

    /// Writes the ledger and renews the lease.
    async fn save(&mut self) -> Result<(), Error> {
        self.write(Ending::GoesOn).await
    }

    /// What was sent must not be forgotten: while there is something to record, a store that is away is waited for
    /// as long as the lease holds.
    async fn write(&mut self, ending: Ending) -> Result<(), Error> {
        let give_up = self.delivery.clock.now() + RECORD_WITHIN;
        loop {
            let now = self.delivery.clock.now();
            let ledger = &self.delivery.ledger;
            let written = match &ending {
                Ending::GoesOn => {
                    self.held.value.lease(&self.owner, now, LEASE);
                    ledger.save_batch(&mut self.held, now).await
                }
                Ending::Ends(end) => {
                    self.held.value.lease = None;
                    self.held.value.not_before = end.waits_until();
                    ledger.report_batch(&mut self.held, now).await.map(drop)
                }
            };
            match written {
                Ok(()) => break,
                Err(error @ (Error::Unavailable(_) | Error::Throttled { .. })) if self.unrecorded && now < give_up => {
                    warn!(batch = self.held.value.id(), %error, "outcomes wait for the store");
                    tokio::time::sleep(RECORD_AGAIN).await;
                }
                Err(error) => return Err(error),
            }
        }
        self.unrecorded = false;
        Ok(())
    }

    /// Marks, sends, settles.
    async fn send_window(&mut self, places: &[usize]) -> Result<(), Error> {
        // The wait for permits may have been cut short, or have outlasted the notification.
        if self.delivery.closing.is_cancelled() || self.is_over(self.delivery.clock.now()).await?.is_some() {
            return Ok(());
        }
        let marked = self.mark(places).await?;
        self.save().await?;
        if marked.is_empty() {
            return Ok(());
        }
        let sends = marked.iter().map(|(_, reference)| self.send(reference));
        let outcomes = join_all(sends).await;
        self.unrecorded = true;
        for ((place, reference), outcome) in marked.iter().zip(outcomes) {
            self.settle(*place, reference, outcome).await;
        }
        Ok(())
    }

    async fn mark(&mut self, places: &[usize]) -> Result<Vec<(usize, Reference)>, Error> {
        let tenant = self.held.value.tenant.clone();
        let key = |place: &usize| self.held.value.recipients[*place].person.clone().unwrap_or_default();
        let keys: Vec<_> = places.iter().map(key).collect();
        let people = self.delivery.registry.persons(&self.bot, &tenant, &keys).await?;
        let now = self.delivery.clock.now();
        let nobody = |key: &String| Person::new(&tenant, key, now);
        let people: Vec<_> =
            people.into_iter().zip(&keys).map(|(person, key)| person.unwrap_or_else(|| nobody(key))).collect();
        let verdicts = self.delivery.judge(&self.bot, &tenant, &people).await?;
        let mut marked = Vec::new();
        for (place, verdict) in places.iter().zip(verdicts) {
            match verdict {
                Ok(reference) => {
                    self.held.value.mark_sending(*place, now);
                    marked.push((*place, reference));
                }
                Err(reason) => self.held.value.skip(*place, reason, now),
            }
        }
        Ok(marked)
    }

    async fn send(&self, reference: &Reference) -> SendOutcome {
        let target =
            Target { service_url: &reference.service_url, conversation_id: &reference.conversation_id, reply_to: None };
        self.delivery.connector.send(target, &notification(&self.posted.content, reference)).await
    }

    async fn settle(&mut self, place: usize, reference: &Reference, outcome: SendOutcome) {
        let RecipientState::Sending { attempts, since } = self.held.value.recipients[place].state else {
            return;
        };
        let (now, chance) = (self.delivery.clock.now(), self.delivery.chance.unit());
        let Settled { state, teaches, pause } =
            settle(outcome, (attempts, since), self.posted.on_uncertain, now, chance);
        let batch = &mut self.held.value;
        if let RecipientState::Failed { reason, .. } = &state {
            warn!(
                notification = batch.notification,
                tenant = batch.tenant,
                batch = batch.id(),
                reason,
                "a recipient failed"
            );
        }
        batch.recipients[place].state = state;
        let (tenant, person) = (batch.tenant.clone(), batch.recipients[place].person.clone().unwrap_or_default());
        // Neither may cost the ledger what was just sent: both are learned again from the next answer.
        if let Some(until) = pause
            && let Err(error) = self.delivery.governor.pause(&self.bot, &tenant, until).await
        {
            warn!(tenant, %error, "a pause could not be shared");
        }
        if let Some(taught) = teaches {
            let learn = |person: Person| person.taught(&reference.conversation_id, taught);
            if let Err(error) = self.delivery.registry.amend(&self.bot, (&tenant, &person), now, learn).await {
                warn!(tenant, person, %error, "what a failed send taught could not be stored");
            }
        }
    }
}
