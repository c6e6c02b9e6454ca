//! The pace of each tenant, shared by all instances through one throttle document per (bot, tenant).
//!
//! `throttle`, `pace` and `chats` decide and are pure; this file reads and writes the document.

mod chats;
mod pace;
mod throttle;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use tracing::warn;

pub use chats::Chats;
pub use pace::Slowed;
pub use throttle::{Ask, Grant, Throttle, window};

use crate::clock::{Clock, Timestamp};
use crate::store::{Collection, Draft, Error, Key, Partition, Store, update};

/// When to come back where too many reserve at once.
const CROWDED: Duration = Duration::from_secs(1);

/// A tenant's line as this process knows it.
#[derive(Debug)]
struct Known {
    /// Whoever writes to the same line within this process takes turns instead of colliding in the store.
    turn: tokio::sync::Mutex<()>,
    /// How far its time is ahead of our clock. Who writes a line shows its clock; the line's time never goes back.
    ahead: Mutex<TimeDelta>,
}

/// Gives permits to send.
#[derive(Debug, Clone)]
pub struct Governor {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    rate: u32,
    lines: Arc<Mutex<HashMap<Key, Arc<Known>>>>,
}

/// Who asks for permits.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Of which tenant.
    pub tenant: &'a str,
    /// For which notification.
    pub notification: &'a str,
    /// For messages to these persons, by key, each once.
    pub people: &'a [&'a str],
    /// Whether it has had permits for a while: then others who wait come first.
    pub long: bool,
    /// How long it takes until the messages can go.
    pub marking: Duration,
}

/// What Teams said of permits that were used: it was too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMuch {
    /// When the messages went out.
    pub sent: Timestamp,
    /// The end of the pause.
    pub until: Timestamp,
}

impl Governor {
    /// A governor that lets `rate` messages a second go to each tenant.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, rate: u32) -> Self {
        Self { store, clock, rate: rate.max(1), lines: Arc::default() }
    }

    /// How many are sent as one window at most: what the rate sends in a fifth of a second, at least one.
    #[must_use]
    pub fn window(&self) -> usize {
        window(f64::from(self.rate))
    }

    /// How many batches of `size` of a notification may be outstanding in a tenant: ten seconds' worth, at least two; or
    /// its share of these while others run there too, and one at least.
    ///
    /// # Errors
    /// As the store's.
    pub async fn outstanding(&self, bot: &str, tenant: &str, notification: &str, size: usize) -> Result<u64, Error> {
        let (line, now) = self.look(bot, tenant).await?;
        let size = u64::try_from(size).unwrap_or(1).max(1);
        let shared_by = u64::try_from(line.shared_by(notification, now)).unwrap_or(1).max(1);
        Ok((u64::from(self.rate) * 10).div_ceil(size).max(2).div_ceil(shared_by))
    }

    /// Reserves permits for messages of a notification.
    ///
    /// # Errors
    /// As the store's.
    pub async fn reserve(&self, bot: &str, asked: &Asked<'_>) -> Result<Grant, Error> {
        let Asked { tenant, notification, people, long, marking } = *asked;
        let ask = Ask { notification, people, rate: self.rate, long, lead: marking };
        let reserved = self.change(bot, tenant, |line, now| line.reserve(&ask, now)).await;
        match reserved {
            Ok((grant, ahead)) => Ok(by_our_clock(grant, ahead)),
            // Others reserve all the time: that is a line too. A conflict here says nothing of the caller's documents.
            Err(Error::Conflict) => Ok(Grant::Later(self.clock.now() + CROWDED)),
            Err(other) => Err(other),
        }
    }

    /// Until when a notification need not ask for permits, when that is so: a pause, or a line that is full.
    ///
    /// # Errors
    /// As the store's.
    pub async fn turned_away(
        &self,
        bot: &str,
        tenant: &str,
        notification: &str,
        marking: Duration,
    ) -> Result<Option<Timestamp>, Error> {
        let ask = Ask { notification, people: &[], rate: self.rate, long: false, lead: marking };
        match self.change(bot, tenant, |line, now| line.turned_away(&ask, now)).await {
            Ok((until, ahead)) => Ok(until.map(|until| until - ahead)),
            Err(Error::Conflict) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Until when a tenant is paused, when it is.
    ///
    /// # Errors
    /// As the store's.
    pub async fn paused_until(&self, bot: &str, tenant: &str) -> Result<Option<Timestamp>, Error> {
        let (line, now) = self.look(bot, tenant).await?;
        Ok(line.paused_until.filter(|until| *until > now).map(|until| self.clock.now() + (until - now)))
    }

    /// A line as it stands, and its time.
    async fn look(&self, bot: &str, tenant: &str) -> Result<(Throttle, Timestamp), Error> {
        let key = key(bot, tenant);
        let document = self.store.get(&key).await?;
        let stored: Throttle = document.map(|document| document.read()).transpose()?.unwrap_or_default();
        let ours = self.clock.now();
        let now = ours + self.line(&key).ahead(&stored, ours);
        Ok((stored, now))
    }

    /// The notification that waits longest for a tenant's line, besides the one that steps back.
    ///
    /// # Errors
    /// As the store's.
    pub async fn called(&self, bot: &str, tenant: &str, besides: &str) -> Result<Option<String>, Error> {
        match self.change(bot, tenant, |line, now| line.called(besides, now)).await {
            Ok((called, _)) => Ok(called),
            Err(Error::Conflict) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// A tenant that is too fast pauses for every instance, and goes on more slowly.
    ///
    /// # Errors
    /// As the store's.
    pub async fn slow_down(&self, bot: &str, tenant: &str, TooMuch { sent, until }: TooMuch) -> Result<(), Error> {
        let ours = self.clock.now();
        let learn = |line: &Throttle, now: Timestamp| {
            let ahead = now - ours;
            let next = line.told_to_slow_down(self.rate, sent + ahead, until + ahead, now);
            (next.as_ref().map(|next| next.pace(self.rate, until + ahead)), next)
        };
        if let (Some(pace), _) = self.change(bot, tenant, learn).await? {
            warn!(tenant, %until, pace, "Teams throttles this tenant: all instances pause, and go on at this pace");
        }
        Ok(())
    }

    /// Changes a line by what it says, at its own time; answers also how far that is ahead of ours.
    async fn change<T>(
        &self,
        bot: &str,
        tenant: &str,
        decide: impl Fn(&Throttle, Timestamp) -> (T, Option<Throttle>),
    ) -> Result<(T, TimeDelta), Error> {
        let key = key(bot, tenant);
        let known = self.line(&key);
        let _mine = known.turn.lock().await;
        let decide = |stored: Option<Throttle>| {
            let (stored, ours) = (stored.unwrap_or_default(), self.clock.now());
            let ahead = known.ahead(&stored, ours);
            let (answer, next) = decide(&stored, ours + ahead);
            Ok(((answer, ahead), next.map(|next| Draft::of(&next)).transpose()?))
        };
        update(self.store.as_ref(), &key, decide).await
    }

    fn line(&self, key: &Key) -> Arc<Known> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Known { turn: tokio::sync::Mutex::default(), ahead: Mutex::new(TimeDelta::zero()) });
        Arc::clone(lines.entry(key.clone()).or_insert_with(new))
    }
}

impl Known {
    /// How far the line's time is ahead, with what was just read of it.
    fn ahead(&self, stored: &Throttle, ours: Timestamp) -> TimeDelta {
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        *ahead = stored.at.map_or(*ahead, |at| (at - ours).max(*ahead));
        *ahead
    }
}

fn key(bot: &str, tenant: &str) -> Key {
    Key::new(Collection::Throttles, Partition::new([bot, tenant]), "throttle")
}

fn by_our_clock(grant: Grant, ahead: TimeDelta) -> Grant {
    let ours = |later: Vec<(usize, Timestamp)>| later.into_iter().map(|(place, at)| (place, at - ahead)).collect();
    match grant {
        Grant::From { at, places, later } => Grant::From { at: at - ahead, places, later: ours(later) },
        Grant::Full { later } => Grant::Full { later: ours(later) },
        Grant::Later(at) => Grant::Later(at - ahead),
    }
}
