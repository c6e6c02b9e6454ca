//! One window of a batch: marked, sent, settled, and what it teaches.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{error, warn};

use super::courier::{Permits, Shift};
use super::opening::ask;
use super::verdict::Verdict;
use super::{Attempt, PATIENCE, RecipientState, Settled, settle, settle_opening};
use crate::clock::{Timestamp, until};
use crate::connector::{OpenOutcome, SendOutcome, Target, notification};
use crate::governor::TooMuch;
use crate::people::{Opening, Person, Reference, State};
use crate::store::Error;

/// Outcomes wait so long for the rest of their window before they are recorded without it.
const STRAGGLERS: Duration = Duration::from_secs(1);

/// What is learned of a reference.
struct Lesson {
    person: String,
    conversation_id: String,
    state: State,
}

/// What a window does.
#[derive(Default)]
struct Marked {
    /// Messages, by place, marked as being sent.
    sends: Vec<(usize, Reference)>,
    /// Chats to open.
    openings: Vec<(usize, Opening)>,
}

impl Marked {
    /// Whether Teams is asked for anything.
    fn asks(&self) -> bool {
        !self.sends.is_empty() || !self.openings.is_empty()
    }
}

/// What came back.
enum Done {
    /// Of a message.
    Sent(usize, Box<Reference>, SendOutcome),
    /// Of asking for a chat.
    Asked(usize, OpenOutcome),
}

impl Shift<'_> {
    /// Marks, sends, settles; whatever has to be done before the turn began at `begins`. False when nobody in the window
    /// had an answer: the way to Teams is blocked.
    pub(super) async fn send_window(&mut self, permits: Permits, begins: Instant) -> Result<bool, Error> {
        let Permits { places, at: turn } = &permits;
        let before: Vec<_> = places.iter().map(|place| self.held.value.recipients[*place].state.clone()).collect();
        let marked = self.mark(places).await?;
        let saved = self.save().await;
        self.delivery.marking.took(begins.elapsed());
        if saved.is_ok() {
            // What is left of the time that marking was given.
            tokio::time::sleep(until(self.delivery.clock.now(), *turn).min(PATIENCE)).await;
        }
        // Whatever kept this process from going on may have given the batch to somebody else.
        if saved.is_err() || (marked.asks() && self.is_stale(*turn)) {
            // Nothing went out: all is as it was. The mark may stand in the store all the same, so this has to be
            // recorded like an outcome.
            for (place, state) in places.iter().zip(before) {
                self.held.value.recipients[*place].state = state;
            }
            self.unrecorded = true;
            return saved.map(|()| true);
        }
        if !marked.asks() {
            return Ok(true);
        }
        self.missed = 0;
        let (answered, lessons, began) = self.send(marked).await?;
        self.learn(lessons, began).await?;
        Ok(answered)
    }

    /// Sends what is marked and settles what comes back: whether anybody answered, what was learned, and when it began.
    async fn send(&mut self, marked: Marked) -> Result<(bool, Vec<Lesson>, Timestamp), Error> {
        let began = self.delivery.clock.now();
        // Tasks of their own: they go on while the ledger waits for its store.
        let mut sends: JoinSet<_> =
            marked.sends.into_iter().map(|(place, reference)| self.sending(place, reference)).collect();
        for (place, opening) in marked.openings {
            let person = self.held.value.recipients[place].person.clone().unwrap_or_default();
            let asked = ask(self.delivery.clone(), self.bot.clone(), self.held.value.tenant.clone(), person, opening);
            sends.spawn(async move { Done::Asked(place, asked.await) });
        }
        let (mut pause, mut lessons, mut answered, mut lost) = (None, Vec::new(), false, false);
        loop {
            let next = tokio::select! {
                next = sends.join_next() => next,
                () = tokio::time::sleep(STRAGGLERS), if self.unrecorded && !lost => {
                    lost = self.record_early().await;
                    continue;
                }
            };
            let Some(sent) = next else { break };
            // A send that was brought down stays marked: whether it went out is not known.
            let Ok(done) = sent else { continue };
            self.unrecorded = true;
            let paused = match done {
                Done::Sent(place, reference, outcome) => {
                    answered |= !is_timeout(&outcome);
                    let settled = self.settle(place, outcome);
                    let person = self.held.value.recipients[place].person.clone().unwrap_or_default();
                    let conversation_id = reference.conversation_id;
                    lessons.extend(settled.teaches.map(|state| Lesson { person, conversation_id, state }));
                    settled.pause
                }
                Done::Asked(place, outcome) => {
                    answered |= !matches!(&outcome, OpenOutcome::Unavailable { reason, .. } if reason == "timedOut");
                    self.settle_opening(place, outcome)
                }
            };
            if let Some(until) = paused.filter(|until| pause.is_none_or(|known| *until > known)) {
                pause = Some(until);
                self.tell_all(began, until).await;
            }
        }
        if lost { Err(Error::Conflict) } else { Ok((answered, lessons, began)) }
    }

    /// A pause is for everybody, at once. What cannot be shared now is learned again from the next answer.
    async fn tell_all(&self, sent: Timestamp, until: Timestamp) {
        let tenant = &self.held.value.tenant;
        if let Err(error) = self.delivery.governor.slow_down(&self.bot, tenant, TooMuch { sent, until }).await {
            warn!(tenant, %error, "a pause could not be shared");
        }
    }

    /// Records what is known while others of the window are still out; true when the batch is somebody else's now.
    async fn record_early(&mut self) -> bool {
        match self.save().await {
            Ok(()) => false,
            Err(Error::Conflict) => true,
            Err(failure) => {
                warn!(batch = self.held.value.id(), %failure, "outcomes are recorded later");
                false
            }
        }
    }

    async fn mark(&mut self, places: &[usize]) -> Result<Marked, Error> {
        let tenant = self.held.value.tenant.clone();
        let key = |place: &usize| self.held.value.recipients[*place].person.clone().unwrap_or_default();
        let keys: Vec<_> = places.iter().map(key).collect();
        let people = match self.delivery.registry.persons(&self.bot, &tenant, &keys).await {
            Err(Error::Corrupt(_)) => {
                self.fail_unreadable(places, &keys).await?;
                return Ok(Marked::default());
            }
            found => found?,
        };
        let now = self.delivery.clock.now();
        let nobody = |key: &String| Person::new(&tenant, key, now);
        let people = people.into_iter().zip(&keys).map(|(person, key)| person.unwrap_or_else(|| nobody(key)));
        let verdicts = self.delivery.judge(&self.bot, &tenant, &people.collect::<Vec<_>>()).await?;
        let mut marked = Marked::default();
        for (place, verdict) in places.iter().zip(verdicts) {
            match verdict {
                Verdict::Send(reference) => {
                    self.held.value.mark_sending(*place, now);
                    marked.sends.push((*place, reference));
                }
                // No message goes out, so there is nothing to mark.
                Verdict::Open(opening) => marked.openings.push((*place, opening)),
                Verdict::Skip(reason) => self.held.value.skip(*place, reason, now),
            }
        }
        Ok(marked)
    }

    /// Ends those whose person cannot be read, so that the others of the window are not held up by them.
    async fn fail_unreadable(&mut self, places: &[usize], keys: &[String]) -> Result<(), Error> {
        let tenant = self.held.value.tenant.clone();
        for (place, key) in places.iter().zip(keys) {
            match self.delivery.registry.person(&self.bot, &tenant, key).await {
                Ok(_) => {}
                Err(Error::Corrupt(what)) => {
                    error!(tenant, person = key, what, "a person cannot be read; the recipient fails");
                    self.held.value.fail(*place, "unreadable", self.delivery.clock.now());
                }
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }

    /// A send that owns what it needs, so that the ledger can be written while it is under way.
    fn sending(&self, place: usize, reference: Reference) -> impl Future<Output = Done> + Send + use<> {
        let connector = self.delivery.connector.clone();
        let message = notification(&self.message.content, &reference);
        async move {
            let target = Target {
                service_url: &reference.service_url,
                conversation_id: &reference.conversation_id,
                reply_to: None,
            };
            let outcome = connector.send(target, &message).await;
            Done::Sent(place, Box::new(reference), outcome)
        }
    }

    fn settle(&mut self, place: usize, outcome: SendOutcome) -> Settled {
        let (now, chance) = (self.delivery.clock.now(), self.delivery.chance.unit());
        let batch = &mut self.held.value;
        // Only what was marked is sent.
        let unmarked = Attempt { attempts: 0, since: now, doubtful: false };
        let attempt = batch.recipients[place].state.attempt().unwrap_or(unmarked);
        let settled = settle(outcome, attempt, self.message.on_uncertain, now, chance);
        if let RecipientState::Failed { reason, .. } = &settled.state {
            warn!(
                notification = batch.notification,
                tenant = batch.tenant,
                batch = batch.id(),
                reason,
                "a recipient failed"
            );
        }
        batch.recipients[place].state = settled.state.clone();
        settled
    }

    /// Answers until when the tenant is paused.
    fn settle_opening(&mut self, place: usize, outcome: OpenOutcome) -> Option<Timestamp> {
        let (now, chance) = (self.delivery.clock.now(), self.delivery.chance.unit());
        let attempt = self.held.value.recipients[place].state.so_far(now);
        let (state, pause) = settle_opening(outcome, attempt, now, chance);
        self.held.value.recipients[place].state = state;
        pause
    }

    /// What references teach, once the outcomes are recorded. None of it may cost the ledger what was sent: it is learned
    /// again from the next answer.
    async fn learn(&mut self, lessons: Vec<Lesson>, sent: Timestamp) -> Result<(), Error> {
        let tenant = self.held.value.tenant.clone();
        if lessons.is_empty() {
            return Ok(());
        }
        self.save().await?;
        for Lesson { person, conversation_id, state } in lessons {
            let learn = |known: Person| known.taught(&conversation_id, state, sent);
            let now = self.delivery.clock.now();
            if let Err(error) = self.delivery.registry.amend(&self.bot, (&tenant, &person), now, learn).await {
                warn!(tenant, person, %error, "what a failed send taught could not be stored");
            }
        }
        Ok(())
    }
}

fn is_timeout(outcome: &SendOutcome) -> bool {
    match outcome {
        SendOutcome::Unavailable { reason, .. } | SendOutcome::Uncertain { reason } => reason == "timedOut",
        SendOutcome::Sent { .. }
        | SendOutcome::Throttled { .. }
        | SendOutcome::Busy { .. }
        | SendOutcome::NotTried { .. }
        | SendOutcome::Refused { .. } => false,
    }
}
