//! The pace of each tenant, shared by all instances through one throttle document per (bot, tenant).

mod throttle;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::warn;

pub use throttle::{Grant, Throttle};

use crate::clock::{Clock, Timestamp};
use crate::store::{Collection, Draft, Error, Key, Partition, Store, update};

/// How far ahead permits are given: whoever would wait longer goes back to the store instead.
const HORIZON: Duration = Duration::from_secs(4);
/// When to come back where too many reserve at once.
const CROWDED: Duration = Duration::from_secs(1);

/// Gives permits to send.
#[derive(Debug, Clone)]
pub struct Governor {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    rate: u32,
    /// Whoever reserves for the same tenant within this process queues here instead of colliding in the store.
    turns: Arc<Mutex<HashMap<Key, Arc<tokio::sync::Mutex<()>>>>>,
}

impl Governor {
    /// A governor that lets `rate` messages a second go to each tenant.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, rate: u32) -> Self {
        Self { store, clock, rate: rate.max(1), turns: Arc::default() }
    }

    /// How many are sent as one window: what the rate sends in a fifth of a second, at least one.
    #[must_use]
    pub fn window(&self) -> usize {
        usize::try_from(self.rate / 5).unwrap_or(usize::MAX).clamp(1, 100)
    }

    /// How many batches of `size` may be outstanding: ten seconds' worth, at least two.
    #[must_use]
    pub fn outstanding(&self, size: usize) -> u64 {
        let size = u64::try_from(size).unwrap_or(1).max(1);
        (u64::from(self.rate) * 10).div_ceil(size).max(2)
    }

    /// Reserves permits for `count` messages.
    ///
    /// # Errors
    /// As the store's.
    pub async fn reserve(&self, bot: &str, tenant: &str, count: usize) -> Result<Grant, Error> {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        match self.change(bot, tenant, |throttle, now| throttle.reserve(count, self.rate, now, HORIZON)).await {
            // Others reserve all the time: that is a line too. A conflict here says nothing of the caller's documents.
            Err(Error::Conflict) => Ok(Grant::Later(self.clock.now() + CROWDED)),
            other => other,
        }
    }

    /// Until when a tenant is paused, when it is.
    ///
    /// # Errors
    /// As the store's.
    pub async fn paused_until(&self, bot: &str, tenant: &str) -> Result<Option<Timestamp>, Error> {
        let Some(document) = self.store.get(&key(bot, tenant)).await? else { return Ok(None) };
        let throttle: Throttle = document.read()?;
        Ok(throttle.paused_until.filter(|until| *until > self.clock.now()))
    }

    /// Pauses a tenant for every instance.
    ///
    /// # Errors
    /// As the store's.
    pub async fn pause(&self, bot: &str, tenant: &str, until: Timestamp) -> Result<(), Error> {
        warn!(tenant, %until, "Teams throttles this tenant: all instances pause");
        self.change(bot, tenant, |throttle, _| ((), throttle.paused(until))).await
    }

    async fn change<T>(
        &self,
        bot: &str,
        tenant: &str,
        decide: impl Fn(&Throttle, Timestamp) -> (T, Option<Throttle>),
    ) -> Result<T, Error> {
        let key = key(bot, tenant);
        let turn = self.turn(&key);
        let _mine = turn.lock().await;
        let decide = |throttle: Option<Throttle>| {
            let (answer, next) = decide(&throttle.unwrap_or_default(), self.clock.now());
            Ok((answer, next.map(|next| Draft::of(&next)).transpose()?))
        };
        update(self.store.as_ref(), &key, decide).await
    }

    fn turn(&self, key: &Key) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(key.clone()).or_default())
    }
}

fn key(bot: &str, tenant: &str) -> Key {
    Key::new(Collection::Throttles, Partition::new([bot, tenant]), "throttle")
}
