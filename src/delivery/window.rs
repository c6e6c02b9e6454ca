//! One window of a batch: marked, sent, settled, and what it teaches.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{error, warn};

use super::courier::{Permits, Shift};
use super::{Attempt, RecipientState, Settled, settle};
use crate::clock::{Timestamp, until};
use crate::connector::{SendOutcome, Target, notification};
use crate::governor::Heard;
use crate::people::{Person, Reference, State};
use crate::store::Error;

/// Outcomes wait so long for the rest of their window before they are recorded without it.
const STRAGGLERS: Duration = Duration::from_secs(1);

/// What is learned of a reference.
struct Lesson {
    person: String,
    conversation_id: String,
    state: State,
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
        if saved.is_err() || (!marked.is_empty() && self.is_stale(*turn)) {
            // Nothing went out: all is as it was. The mark may stand in the store all the same, so this has to be
            // recorded like an outcome.
            for (place, state) in places.iter().zip(before) {
                self.held.value.recipients[*place].state = state;
            }
            self.unrecorded = true;
            return saved.map(|()| true);
        }
        if marked.is_empty() {
            return Ok(true);
        }
        self.missed = 0;
        // What is left of the time that marking was given.
        tokio::time::sleep(until(self.delivery.clock.now(), *turn)).await;
        let (answered, lessons, began) = self.send(marked).await?;
        self.learn(lessons, began).await?;
        Ok(answered)
    }

    /// Sends what is marked and settles what comes back: whether anybody answered, what was learned, and when it began.
    async fn send(&mut self, marked: Vec<(usize, Reference)>) -> Result<(bool, Vec<Lesson>, Timestamp), Error> {
        let began = self.delivery.clock.now();
        // Tasks of their own: they go on while the ledger waits for its store.
        let mut sends: JoinSet<_> =
            marked.into_iter().map(|(place, reference)| self.sending(place, reference)).collect();
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
            let Ok((place, reference, outcome)) = sent else { continue };
            self.unrecorded = true;
            answered |= !is_timeout(&outcome);
            let settled = self.settle(place, outcome);
            if let Some(until) = settled.pause.filter(|until| pause.is_none_or(|known| *until > known)) {
                pause = Some(until);
                self.tell_all(began, until).await;
            }
            let person = self.held.value.recipients[place].person.clone().unwrap_or_default();
            lessons.extend(settled.teaches.map(|state| Lesson {
                person,
                conversation_id: reference.conversation_id,
                state,
            }));
        }
        if lost { Err(Error::Conflict) } else { Ok((answered, lessons, began)) }
    }

    /// A pause is for everybody, at once. What cannot be shared now is learned again from the next answer.
    async fn tell_all(&self, sent: Timestamp, until: Timestamp) {
        let (tenant, heard) = (&self.held.value.tenant, Heard::TooMuch { sent, until });
        if let Err(error) = self.delivery.governor.complete(&self.bot, tenant, heard).await {
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

    async fn mark(&mut self, places: &[usize]) -> Result<Vec<(usize, Reference)>, Error> {
        let tenant = self.held.value.tenant.clone();
        let key = |place: &usize| self.held.value.recipients[*place].person.clone().unwrap_or_default();
        let keys: Vec<_> = places.iter().map(key).collect();
        let people = match self.delivery.registry.persons(&self.bot, &tenant, &keys).await {
            Err(Error::Corrupt(_)) => {
                self.fail_unreadable(places, &keys).await?;
                return Ok(Vec::new());
            }
            found => found?,
        };
        let now = self.delivery.clock.now();
        let nobody = |key: &String| Person::new(&tenant, key, now);
        let people = people.into_iter().zip(&keys).map(|(person, key)| person.unwrap_or_else(|| nobody(key)));
        let verdicts = self.delivery.judge(&self.bot, &tenant, &people.collect::<Vec<_>>()).await?;
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
    fn sending(
        &self,
        place: usize,
        reference: Reference,
    ) -> impl Future<Output = (usize, Reference, SendOutcome)> + Send + use<> {
        let connector = self.delivery.connector.clone();
        let message = notification(&self.message.content, &reference);
        async move {
            let target = Target {
                service_url: &reference.service_url,
                conversation_id: &reference.conversation_id,
                reply_to: None,
            };
            let outcome = connector.send(target, &message).await;
            (place, reference, outcome)
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
