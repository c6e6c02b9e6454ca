//! `RunNotification`: pages of the audience into batches, tenant by tenant, as many as may be outstanding.

use std::collections::VecDeque;
use std::time::Duration;

use tracing::{debug, info};

use super::roster::NOBODY;
use super::{
    BATCH, Batch, Cursor, Delivery, Held, NOTIFICATION_RESTS, NOTIFICATION_STALLS, Plan, Pointer, PutOut, Recipient,
};
use crate::clock::Timestamp;
use crate::notifications::{Audience, Closed, Control, Counts, Posted, Seeding, Stage};
use crate::people::Skip;
use crate::store::{Error, V1, budget};

/// How many pages one activation plans before it puts itself out again.
const PAGES: usize = 32;
/// How many whoever has finished a batch plans in order to find somebody to send to.
const PAGES_MORE: usize = 4;
/// How often closing a notification is tried while others note when to look at it again; then `Tick` does it.
const CLOSING: usize = 16;
/// How many tenants get their plan at once.
const TENANTS: usize = 200;

/// A tenant that is being planned, and how many batches it may still put out.
struct Tenant {
    plan: Held<Plan>,
    room: u64,
}

impl Delivery {
    /// Looks at a notification and goes on with it from where it stands.
    ///
    /// # Errors
    /// As the store's: the message comes back, and so does `Tick`.
    pub async fn run(&self, pointer: &Pointer) -> Result<PutOut, Error> {
        let id = &pointer.notification;
        let Some(mut held) = self.ledger.control(id).await? else {
            info!(notification = id, "a message points to a notification that does not exist");
            return Ok(PutOut::default());
        };
        let now = self.clock.now();
        let stage = held.value.stage_at(now);
        if held.value.closed.is_some() {
            return Ok(PutOut::default());
        }
        match stage {
            Stage::Completed => Ok(PutOut::default()),
            Stage::Cancelled => self.sweep(held, Skip::Cancelled).await,
            Stage::Expired => {
                held.value.stage = Stage::Expired;
                self.sweep(held, Skip::Expired).await
            }
            Stage::Scheduled if held.value.send_at.is_some_and(|at| at > now) => Ok(PutOut::default()),
            Stage::Scheduled | Stage::Running => self.advance(held, pointer.tenant.as_deref()).await,
        }
    }

    async fn advance(&self, held: Held<Control>, tenant: Option<&str>) -> Result<PutOut, Error> {
        let mut put_out = PutOut::default();
        let advanced = match self.advance_into(held, tenant, &mut put_out).await {
            // Another activation moved it on, or it was cancelled: what is due is theirs.
            Err(Error::Conflict) => Ok(()),
            other => other,
        };
        put_out.despite(advanced)
    }

    async fn advance_into(
        &self,
        mut held: Held<Control>,
        tenant: Option<&str>,
        put_out: &mut PutOut,
    ) -> Result<(), Error> {
        let id = held.value.id.clone();
        let posted = self.ledger.request(&id).await?;
        let bot = self.registry.bot().await?.unwrap_or_default();
        if held.value.stage == Stage::Scheduled {
            held.value.stage = Stage::Running;
            held.value.started_at = Some(self.clock.now());
            self.touch(&mut held, NOTIFICATION_STALLS).await?;
        }
        if !self.seed(&mut held, &posted, &bot).await? {
            put_out.notifications.push(Pointer::to_notification(&id));
            return Ok(());
        }
        let plans = match tenant {
            // Whoever calls for one tenant has seen that there is something to do; the others are called for alike.
            Some(tenant) => self.ledger.plan(&id, tenant).await?.into_iter().collect(),
            None => self.ledger.plans(&id).await?,
        };
        self.plan_tenants(&id, &posted, &bot, plans, put_out).await?;
        if let Some(tenant) = tenant {
            let plan = self.ledger.plan(&id, tenant).await?;
            let goes_on = plan.is_some_and(|plan| !plan.value.is_finished());
            // Of the others all have to be read only by whoever may be the last.
            if goes_on || (held.value.seeding == Seeding::Done && !self.ledger.may_be_finished(&id).await?) {
                return Ok(());
            }
        }
        let plans = self.ledger.plans(&id).await?;
        if self.complete_if_finished(&mut held, &plans).await? {
            return Ok(());
        }
        let is_planned = plans.iter().all(|plan| plan.value.is_closed());
        if is_planned || !put_out.is_empty() {
            // Only now, so that a crash before leaves the earlier time at which Tick looks.
            self.touch(&mut held, if is_planned { NOTIFICATION_RESTS } else { NOTIFICATION_STALLS }).await?;
        }
        Ok(())
    }

    async fn touch(&self, held: &mut Held<Control>, rest: Duration) -> Result<(), Error> {
        let due = self.clock.now() + rest;
        let due = held.value.expires_at.map_or(due, |expires| due.min(expires));
        self.ledger.save_control(held, Some(due)).await
    }

    /// Gives each tenant of the audience its plan; false when time ran out before.
    async fn seed(&self, held: &mut Held<Control>, posted: &Posted, bot: &str) -> Result<bool, Error> {
        let id = held.value.id.clone();
        while held.value.seeding != Seeding::Done {
            held.value.seeding = match &posted.audience {
                Audience::Users(users) => {
                    if !self.lay_out_users(&id, bot, users).await? {
                        return Ok(false);
                    }
                    Seeding::Done
                }
                Audience::Tenants(tenants) => {
                    self.start_plans(&id, tenants.iter().map(|tenant| tenant.to_lowercase())).await?;
                    Seeding::Done
                }
                Audience::All => self.seed_page(&id, bot, &held.value.seeding).await?,
            };
            self.touch(held, NOTIFICATION_STALLS).await?;
        }
        Ok(true)
    }

    async fn seed_page(&self, id: &str, bot: &str, seeding: &Seeding) -> Result<Seeding, Error> {
        let after = match seeding {
            Seeding::After(continuation) => Some(continuation),
            Seeding::Start | Seeding::Done => None,
        };
        let (tenants, next) = self.registry.tenants(bot, after, TENANTS).await?;
        self.start_plans(id, tenants.into_iter()).await?;
        Ok(next.map_or(Seeding::Done, Seeding::After))
    }

    async fn start_plans(&self, id: &str, tenants: impl Iterator<Item = String>) -> Result<(), Error> {
        for tenant in tenants {
            let plan = Plan::starting(&tenant, Cursor::People);
            self.ledger.start_plan(id, &plan, self.clock.now()).await?;
        }
        Ok(())
    }

    /// A page for each tenant that has room, and again, until nobody has room or enough is done for once.
    async fn plan_tenants(
        &self,
        id: &str,
        posted: &Posted,
        bot: &str,
        plans: Vec<Held<Plan>>,
        put_out: &mut PutOut,
    ) -> Result<(), Error> {
        let mut tenants = VecDeque::new();
        for plan in plans {
            if !plan.value.is_finished() {
                tenants.extend(self.with_room(id, bot, plan, put_out).await?);
            }
        }
        for page in 0.. {
            let Some(mut tenant) = tenants.pop_front() else { break };
            if page >= PAGES {
                put_out.notifications.push(Pointer::to_notification(id));
                break;
            }
            match self.plan_page(id, posted, bot, &mut tenant.plan).await {
                Ok(Some(pointer)) => {
                    put_out.deliveries.push(pointer);
                    tenant.room -= 1;
                }
                Ok(None) => {}
                // Another activation plans this tenant.
                Err(Error::Conflict) => continue,
                Err(error) => return Err(error),
            }
            if tenant.room > 0 && !tenant.plan.value.is_closed() {
                tenants.push_back(tenant);
            }
        }
        Ok(())
    }

    /// The tenant when it has room for new batches; those that waited and are due go out before new ones, and while
    /// batches wait for the tenant's turn, no more are made.
    async fn with_room(
        &self,
        id: &str,
        bot: &str,
        mut plan: Held<Plan>,
        put_out: &mut PutOut,
    ) -> Result<Option<Tenant>, Error> {
        let tenant = plan.value.tenant.clone();
        let bound = self.governor.outstanding(bot, &tenant, id, BATCH).await?;
        let mut room = bound.saturating_sub(self.ledger.outstanding(id, &tenant).await?);
        if room == 0 {
            return Ok(None);
        }
        let now = self.clock.now();
        let limit = usize::try_from(room).unwrap_or(usize::MAX);
        for mut batch in self.ledger.due_waiting(id, &tenant, now, limit).await? {
            batch.value.put_out();
            if !self.ledger.take_room(&batch, &mut plan, now).await? {
                // Somebody is at it: what they counted holds.
                return Ok(None);
            }
            put_out.deliveries.push(Pointer::to_batch(id, &tenant, &batch.value.id()));
            room = room.saturating_sub(1);
        }
        if room == 0 || plan.value.is_closed() || self.ledger.held(id, &tenant).await? >= bound {
            return Ok(None);
        }
        Ok(Some(Tenant { plan, room }))
    }

    /// What whoever has finished a batch goes on with: one of the tenant that waited and is due, or a new one.
    pub(super) async fn next_batch(&self, id: &str, tenant: &str, bot: &str) -> Result<Option<Held<Batch>>, Error> {
        let _mine = self.planning.of((id, tenant)).await;
        if let Some(waited) = self.ledger.due_waiting(id, tenant, self.clock.now(), 1).await?.pop() {
            return Ok(Some(waited).filter(|batch| self.is_free(&batch.value)));
        }
        let Some(mut plan) = self.ledger.plan(id, tenant).await? else { return Ok(None) };
        let bound = self.governor.outstanding(bot, tenant, id, BATCH).await?;
        if plan.value.is_closed() || self.ledger.outstanding(id, tenant).await? >= bound {
            return Ok(None);
        }
        let stage = self.ledger.control(id).await?.map(|held| held.value.stage_at(self.clock.now()));
        if stage != Some(Stage::Running) {
            return Ok(None);
        }
        let posted = self.ledger.request(id).await?;
        for _ in 0..PAGES_MORE {
            match self.plan_page(id, &posted, bot, &mut plan).await {
                Ok(Some(pointer)) => {
                    let number = pointer.to().map(|(_, number)| number.to_owned()).unwrap_or_default();
                    let planned = self.ledger.batch(id, tenant, &number).await?;
                    // Whoever planned the very same is told so too, and may be at it by now.
                    return Ok(planned.filter(|batch| self.is_free(&batch.value)));
                }
                Ok(None) if plan.value.is_closed() || self.closing.is_cancelled() => break,
                // Nobody on that page can be sent anything.
                Ok(None) => {}
                // Another instance plans this tenant.
                Err(Error::Conflict) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// True when somebody may take a batch on: it has recipients left, its time has come, and nobody is at it.
    pub(super) fn is_free(&self, batch: &Batch) -> bool {
        let now = self.clock.now();
        let rests = batch.not_before.is_some_and(|at| at > now);
        !batch.is_finished() && !rests && !batch.is_leased(now, &self.instance, self.ledger.exclusive())
    }

    /// Makes the next batch of a tenant; answers where it is, when there is something to send in it.
    async fn plan_page(
        &self,
        id: &str,
        posted: &Posted,
        bot: &str,
        plan: &mut Held<Plan>,
    ) -> Result<Option<Pointer>, Error> {
        let tenant = plan.value.tenant.clone();
        let (recipients, next) = self.next_recipients(id, posted, bot, &plan.value).await?;
        let now = self.clock.now();
        plan.value.cursor = next.clone();
        if recipients.is_empty() {
            self.ledger.advance(id, plan, None, now).await?;
            return Ok(None);
        }
        let batch = batch(id, &plan.value, next, recipients, now);
        plan.value.batches += 1;
        plan.value.audience += u64::try_from(batch.recipients.len()).unwrap_or_default();
        plan.value.counts = plan.value.counts.clone().plus(&batch.reported);
        self.ledger.advance(id, plan, Some(&batch), now).await?;
        debug!(notification = id, tenant, batch = batch.id(), recipients = batch.recipients.len(), "planned a batch");
        Ok((!batch.is_finished()).then(|| Pointer::to_batch(id, &tenant, &batch.id())))
    }

    /// Closes a notification whose recipients all have an outcome; true when it is closed.
    async fn complete_if_finished(&self, held: &mut Held<Control>, plans: &[Held<Plan>]) -> Result<bool, Error> {
        if held.value.seeding != Seeding::Done || !plans.iter().all(|plan| plan.value.is_finished()) {
            return Ok(false);
        }
        held.value.stage = Stage::Completed;
        self.close(held, plans).await.map(|()| true)
    }

    /// Stores the final figures. Whoever only noted meanwhile when to look again is no reason to leave it open.
    pub(super) async fn close(&self, held: &mut Held<Control>, plans: &[Held<Plan>]) -> Result<(), Error> {
        let (mut audience, mut counts, mut cost) = (0, Counts::default(), budget::take());
        for plan in plans {
            cost = cost.plus(plan.value.cost);
            audience += plan.value.audience;
            counts = counts.plus(&plan.value.counts);
        }
        let planned = held.value.seeding == Seeding::Done && plans.iter().all(|plan| plan.value.is_planned());
        held.value.completed_at = Some(self.clock.now());
        let (skipped, failed) = (counts.skipped.values().sum::<u64>(), counts.failed.values().sum::<u64>());
        let (sent, uncertain) = (counts.sent, counts.uncertain);
        held.value.closed = Some(Closed { audience, planned, counts, cost });
        for _ in 0..CLOSING {
            match self.ledger.close(held).await {
                Ok(()) => {
                    let notification = &held.value.id;
                    let cost = cost.shown();
                    info!(notification, audience, sent, skipped, failed, uncertain, cost, "a notification is over");
                    return Ok(());
                }
                Err(Error::Conflict) => match self.ledger.control(&held.value.id).await? {
                    Some(stored) if stored.value.may_end_as(&held.value) => held.etag = stored.etag,
                    // Another activation closed it, or it was cancelled, which is Tick's to end.
                    Some(_) | None => return Ok(()),
                },
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn batch(id: &str, plan: &Plan, next: Cursor, recipients: Vec<Recipient>, now: Timestamp) -> Batch {
    let mut batch = Batch {
        v: V1,
        notification: id.to_owned(),
        tenant: plan.tenant.clone(),
        number: plan.batches + 1,
        next,
        created_at: now,
        not_before: None,
        held: false,
        in_vain: 0,
        lease: None,
        reported: Counts::default(),
        recipients,
    };
    batch.reported = batch.counts();
    batch
}

/// The tenant as the API shows it: none for ids that nobody has.
#[must_use]
pub fn shown_tenant(tenant: &str) -> Option<&str> {
    Some(tenant).filter(|tenant| *tenant != NOBODY)
}
