//! `DeliverBatch`: one batch, window by window. A window is marked as being sent only with its permits in hand, and
//! each recipient is judged once more when it is marked.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::{BATCH, Batch, Delivery, Held, LEASE, PATIENCE, PERMITS_LIVE, Pointer, PutOut, REST, SHIFT, SLICE};
use crate::clock::{Timestamp, until};
use crate::governor::{Asked, Grant};
use crate::notifications::{Message, Stage};
use crate::people::Skip;
use crate::store::{Error, budget};

/// What was sent is recorded with the next window's mark, unless that is further off than this.
const UNRECORDED: Duration = Duration::from_secs(1);

/// How long outcomes wait for a store that is away, and how often they ask. Twice this is less than a lease.
const RECORD_WITHIN: Duration = Duration::from_secs(20);
const RECORD_AGAIN: Duration = Duration::from_millis(500);

/// How long a batch waits for the bot's token.
const NO_TOKEN: Duration = Duration::from_secs(15);

/// How far two looks at a clock may be apart that mean the same instant.
const SLACK: Duration = Duration::from_millis(20);

/// How many turns in a row may go by.
const MISSED: u32 = 2;

/// Permits in hand.
pub(super) struct Permits {
    /// When their turn comes.
    pub(super) at: Timestamp,
    /// For whom, by place in the batch.
    pub(super) places: Vec<usize>,
}

/// What came of asking for permits.
enum Turn {
    /// It comes.
    Comes(Permits),
    /// It does not come soon.
    Later(Timestamp),
    /// Nobody's chat can take a message now: each waits for its own time.
    Nobody,
}

/// How an activation ended.
enum End {
    /// Every recipient has an outcome.
    Finished,
    /// Recipients are tried again then.
    Waits(Timestamp),
    /// It is the tenant's turn then.
    Held(Timestamp),
}

/// What a write of the ledger is part of.
enum Ending {
    /// More windows follow.
    GoesOn,
    /// The activation ends.
    Ends(End),
}

/// One activation's work on one batch.
pub(super) struct Shift<'a> {
    pub(super) delivery: &'a Delivery,
    pub(super) bot: String,
    pub(super) message: Message,
    pub(super) held: Held<Batch>,
    owner: String,
    began: Timestamp,
    ends: Timestamp,
    /// True while the store does not know what it must: outcomes, or that a mark or a lease of ours is void.
    pub(super) unrecorded: bool,
    /// How many turns in a row went by while the store was slow.
    pub(super) missed: u32,
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
        if !self.is_free(&held.value) {
            return Ok(PutOut::default());
        }
        let now = self.clock.now();
        let bot = self.registry.bot().await?.unwrap_or_default();
        if let Some(until) = self.governor.turned_away(&bot, tenant, id, self.marking.takes()).await? {
            return self.put_back(held, until, now).await;
        }
        self.work_through(&bot, held, now).await
    }

    /// One batch, and what follows it.
    async fn work_through(&self, bot: &str, first: Held<Batch>, now: Timestamp) -> Result<PutOut, Error> {
        let message = self.ledger.message(&first.value.notification).await?;
        let ends = now + SHIFT.mul_f64(0.5 + self.chance.unit());
        let (mut next, mut finished, mut put_out) = (Some(first), None, PutOut::default());
        while let Some(held) = next.take() {
            let batch = match Shift::new(self, bot, &message, held, (now, ends)).work().await {
                Ok(batch) => batch,
                // Somebody else has the batch now: a lease that ran out, or a message that came twice.
                Err(Error::Conflict) => {
                    let Some(finished) = &finished else { return Ok(put_out) };
                    let called = self.call_for_more(bot, finished, &mut put_out).await;
                    return put_out.despite(called);
                }
                Err(error) => return put_out.despite(Err(error)),
            };
            if let Err(failure) = self.go_on(bot, &batch, ends, &mut next, &mut put_out).await {
                return put_out.despite(Err(failure));
            }
            finished = Some(batch);
        }
        Ok(put_out)
    }

    /// After a batch: the next one of the tenant, while there is one and time for it, so that the line does not run dry
    /// until a queue has been asked; else what others are called for.
    async fn go_on(
        &self,
        bot: &str,
        batch: &Batch,
        ends: Timestamp,
        next: &mut Option<Held<Batch>>,
        put_out: &mut PutOut,
    ) -> Result<(), Error> {
        let (id, tenant) = (&batch.notification, &batch.tenant);
        let other = self.governor.called(bot, tenant, id).await?;
        let has_time = self.clock.now() < ends && !self.closing.is_cancelled();
        if batch.is_finished() && other.is_none() && has_time {
            *next = self.next_batch(id, tenant, bot).await?;
        }
        if next.is_none() {
            // There is room in the line for another one that waits for it.
            put_out.notifications.extend(other.map(|other| Pointer::to_tenant(&other, tenant)));
            self.call_for_more(bot, batch, put_out).await?;
        }
        Ok(())
    }

    /// A batch whose turn does not come soon takes no place from another tenant's.
    async fn put_back(&self, mut held: Held<Batch>, until: Timestamp, now: Timestamp) -> Result<PutOut, Error> {
        held.value.lease = None;
        held.value.not_before = Some(until);
        held.value.held = true;
        match self.ledger.save_batch(&mut held, now).await {
            Ok(()) | Err(Error::Conflict) => Ok(PutOut::default()),
            Err(error) => Err(error),
        }
    }

    /// Puts the notification out when few batches are left and there is something to make of the room: by level, so
    /// that a call that is lost comes again.
    async fn call_for_more(&self, bot: &str, batch: &Batch, put_out: &mut PutOut) -> Result<(), Error> {
        let (id, tenant) = (&batch.notification, &batch.tenant);
        let Some(plan) = self.ledger.plan(id, tenant).await? else { return Ok(()) };
        let wanted = if plan.value.is_finished() {
            true
        } else if self.ledger.outstanding(id, tenant).await? * 2
            > self.governor.outstanding(bot, tenant, id, BATCH).await?
        {
            false
        } else {
            let due = || self.ledger.due_waiting(id, tenant, self.clock.now(), 1);
            !plan.value.is_closed() || !due().await?.is_empty()
        };
        if wanted {
            put_out.notifications.push(Pointer::to_tenant(id, tenant));
        }
        Ok(())
    }
}

impl<'a> Shift<'a> {
    fn new(
        delivery: &'a Delivery,
        bot: &str,
        message: &Message,
        held: Held<Batch>,
        (began, ends): (Timestamp, Timestamp),
    ) -> Self {
        let owner = format!("{}/{}", delivery.instance, delivery.chance.id());
        let (bot, message) = (bot.to_owned(), message.clone());
        Self { delivery, bot, message, held, owner, began, ends, unrecorded: false, missed: 0 }
    }
}

impl Shift<'_> {
    async fn work(mut self) -> Result<Batch, Error> {
        let now = self.delivery.clock.now();
        self.held.value.lease(&self.owner, now, LEASE);
        self.held.value.recover(self.message.on_uncertain, now);
        let begun = self.save().await;
        let sent = match begun {
            Ok(()) => self.send_all().await,
            Err(failure) => Err(failure),
        };
        let end = match sent {
            Ok(end) => end,
            // The batch is somebody else's: what they make of it counts.
            Err(Error::Conflict) => return Err(Error::Conflict),
            // Whatever failed, what was sent is recorded, and the batch is free for the next who looks.
            Err(failure) => {
                warn!(batch = self.held.value.id(), %failure, "a batch is put back");
                // Our lease may stand although its write failed: nobody else could go on before it runs out.
                self.unrecorded = true;
                let rest = if failure.is_transient() { Duration::ZERO } else { REST };
                self.write(Ending::Ends(End::Waits(self.delivery.clock.now() + rest))).await?;
                return Err(failure);
            }
        };
        self.write(Ending::Ends(end)).await?;
        Ok(self.held.value)
    }

    async fn send_all(&mut self) -> Result<End, Error> {
        loop {
            let now = self.delivery.clock.now();
            if now >= self.ends || self.delivery.closing.is_cancelled() {
                return Ok(End::Held(now));
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
            // No wait for a token inside a window; there is none before the permits, which expire.
            if let Err(why) = self.delivery.connector.prepare().await {
                warn!(batch = self.held.value.id(), %why, "a batch waits: the bot has no token");
                return Ok(End::Held(self.delivery.clock.now() + NO_TOKEN));
            }
            let permits = match self.reserve(&ready).await? {
                Turn::Later(at) => return Ok(End::Held(at)),
                Turn::Nobody => continue,
                Turn::Comes(permits) => permits,
            };
            // So early that it is marked when its turn comes.
            self.wait(permits.at - self.delivery.marking.takes()).await?;
            let begins = Instant::now();
            if self.may_send(permits.at).await? && !self.send_window(permits, begins).await? {
                return Ok(End::Waits(self.delivery.clock.now() + REST));
            }
        }
    }

    /// Permits for as many of these as the pace allows; whose chat has had enough for now waits. Who had the line for a
    /// while steps back when another notification waits for it.
    async fn reserve(&mut self, ready: &[usize]) -> Result<Turn, Error> {
        let batch = &self.held.value;
        let people: Vec<_> =
            ready.iter().map(|place| batch.recipients[*place].person.as_deref().unwrap_or_default()).collect();
        let long = self.delivery.clock.now() >= self.began + SLICE;
        let (tenant, notification, marking) = (&batch.tenant, &batch.notification, self.delivery.marking.takes());
        let asked = Asked { tenant, notification, people: &people, long, marking };
        let granted = self.delivery.governor.reserve(&self.bot, &asked).await?;
        let (turn, later) = match granted {
            Grant::Later(at) => (Turn::Later(at), Vec::new()),
            Grant::Full { later } => (Turn::Nobody, later),
            Grant::From { at, places, later } => {
                let places = places.iter().filter_map(|place| ready.get(*place).copied()).collect();
                (Turn::Comes(Permits { at, places }), later)
            }
        };
        for (place, at) in later {
            self.held.value.defer(ready[place], at);
        }
        Ok(turn)
    }

    /// Whether the permits of a turn still hold: not after a stall, a pause, a cancel, or the end of the process.
    async fn may_send(&mut self, turn: Timestamp) -> Result<bool, Error> {
        let now = self.delivery.clock.now();
        if self.is_stale(turn) || self.delivery.closing.is_cancelled() {
            return Ok(false);
        }
        let governor = &self.delivery.governor;
        let (over, paused) =
            tokio::try_join!(self.is_over(now), governor.paused_until(&self.bot, &self.held.value.tenant))?;
        // A turn that comes with the end of a pause comes after it.
        Ok(over.is_none() && paused.is_none_or(|until| until <= turn + SLACK))
    }

    /// True when a turn has gone by. After some in a row it is taken late: a store that is always slow holds the pace
    /// down by itself, and nothing would ever be sent.
    pub(super) fn is_stale(&mut self, turn: Timestamp) -> bool {
        let is_late = self.delivery.clock.now() > turn + PERMITS_LIVE && self.missed < MISSED;
        self.missed += u32::from(is_late);
        is_late
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
    pub(super) async fn save(&mut self) -> Result<(), Error> {
        self.write(Ending::GoesOn).await
    }

    /// What was sent must not be forgotten: while there is something to record, a store that is away is waited for, and
    /// never for so long that the lease could run out over this and the write that ends the activation.
    async fn write(&mut self, ending: Ending) -> Result<(), Error> {
        let give_up = Instant::now() + RECORD_WITHIN;
        loop {
            let left = give_up.saturating_duration_since(Instant::now());
            match budget::at_most(left, self.write_once(&ending)).await {
                Ok(()) => break,
                Err(error @ (Error::Unavailable(_) | Error::Throttled { .. }))
                    if self.unrecorded && !budget::left(left).saturating_sub(RECORD_AGAIN).is_zero() =>
                {
                    warn!(batch = self.held.value.id(), %error, "outcomes wait for the store");
                    tokio::time::sleep(RECORD_AGAIN).await;
                }
                Err(error) => return Err(error),
            }
        }
        self.unrecorded = false;
        Ok(())
    }

    async fn write_once(&mut self, ending: &Ending) -> Result<(), Error> {
        let now = self.delivery.clock.now();
        let ledger = &self.delivery.ledger;
        match ending {
            Ending::GoesOn => {
                self.held.value.lease(&self.owner, now, LEASE);
                ledger.save_batch(&mut self.held, now).await
            }
            Ending::Ends(end) => {
                let batch = &mut self.held.value;
                batch.lease = None;
                (batch.not_before, batch.held) = match end {
                    End::Finished => (None, false),
                    End::Waits(at) => (Some(*at), false),
                    End::Held(at) => (Some(*at), true),
                };
                ledger.report_batch(&mut self.held, Some(&self.owner), now).await
            }
        }
    }
}
