//! From a notification to each recipient's outcome: plans, batches with a ledger, leases, windows, and who retries.
//!
//! `batch`, `recipient`, `settle`, `retry` and `plan` decide and are pure; `ledger` and `batches` keep, `sums` and
//! `finish` remember; `planner` with `pages` and `roster`, `courier` with `verdict`, `window`, `opening` and `marking`,
//! and `sweeper` act.

mod batch;
mod batches;
mod courier;
mod finish;
mod ledger;
mod marking;
mod opening;
mod pages;
mod plan;
mod planner;
mod pointer;
mod recipient;
mod retry;
mod roster;
mod settle;
mod sums;
mod sweeper;
mod verdict;
mod window;

use std::sync::Arc;
use std::time::Duration;

pub use batch::{Batch, Lease};
pub use ledger::{Held, Ledger};
pub use marking::Marking;
pub use plan::{Cursor, Plan};
pub use planner::shown_tenant;
pub use pointer::{BadPointer, Pointer};
pub use recipient::{Recipient, RecipientState};
pub use retry::{backoff, stalls_after};
pub use roster::{Listed, Roster};
pub use settle::{Attempt, Settled, settle, settle_opening};

use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::chance::Chance;
use crate::clock::Clock;
use crate::connector::Connector;
use crate::governor::Governor;
use crate::people::{ReachSettings, Registry};
use crate::store::{Error, Turns};

/// How many recipients a batch holds at most.
pub const BATCH: usize = 100;
/// How long a lease lasts unless renewed.
const LEASE: Duration = Duration::from_secs(45);
/// How long one activation works before it hands the rest back, give or take a half: those that began together end
/// apart, so that there is always somebody left who sends. The Functions host kills at five minutes.
const SHIFT: Duration = Duration::from_secs(60);
/// After so long whoever sends steps back, when another notification waits for the tenant's line.
const SLICE: Duration = Duration::from_secs(5);
/// How long laying out an audience or ending one takes in one activation.
const LAYING: Duration = Duration::from_secs(60);
/// How long permits may be used after their turn has come: later they would make another second too full.
const PERMITS_LIVE: Duration = Duration::from_millis(250);
/// How long a batch rests when a whole window had no answer: it would keep others from working.
const REST: Duration = Duration::from_secs(30);
/// Waits up to this long happen inside the activation; longer ones go back to the store.
const PATIENCE: Duration = Duration::from_secs(5);
/// When a notification that has more to plan, and whose message may be lost, is put out again.
const NOTIFICATION_STALLS: Duration = Duration::from_secs(12);
/// When one is looked at again whose batches are all made, and found by themselves.
const NOTIFICATION_RESTS: Duration = Duration::from_secs(60);
/// After this long a recipient is not tried again.
const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 3600);
/// After this many attempts a recipient is not tried again.
const ATTEMPTS: u32 = 8;

/// What an activation wants put into the queues.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PutOut {
    /// For `herald-notifications`.
    pub notifications: Vec<Pointer>,
    /// For `herald-deliveries`.
    pub deliveries: Vec<Pointer>,
}

impl PutOut {
    /// True when nothing is put out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.notifications.is_empty() && self.deliveries.is_empty()
    }
}

impl PutOut {
    /// What an activation that failed midway hands out: what is marked as put out must be, or it lies until it is
    /// taken for lost. Only one that did nothing fails.
    fn despite(self, result: Result<(), Error>) -> Result<Self, Error> {
        match result {
            Ok(()) => Ok(self),
            Err(failure) if self.is_empty() => Err(failure),
            Err(failure) => {
                warn!(%failure, "an activation ends early; Tick goes on with the rest");
                Ok(self)
            }
        }
    }
}

/// Everything that delivery needs; one for each process.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Notifications, plans and batches.
    pub ledger: Ledger,
    /// Persons.
    pub registry: Registry,
    /// The way to Teams.
    pub connector: Connector,
    /// The pace.
    pub governor: Governor,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Jitter.
    pub chance: Arc<dyn Chance>,
    /// Who may be notified.
    pub reach: ReachSettings,
    /// How long marking a window takes.
    pub marking: Arc<Marking>,
    /// Who plans in this process takes turns, instead of reading the same page of people for nothing.
    pub planning: Turns,
    /// This process, as leases name it.
    pub instance: Arc<str>,
    /// Cancelled when the process ends: windows that are out are finished, no new one begins.
    pub closing: CancellationToken,
}
