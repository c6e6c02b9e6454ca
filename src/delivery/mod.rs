//! From a notification to each recipient's outcome: plans, batches with a ledger, leases, windows, and who retries.
//!
//! `batch`, `settle`, `retry` and `plan` decide and are pure; `ledger` and `batches` keep, `planner`, `courier` and `sweeper` act.

mod batch;
mod batches;
mod courier;
mod ledger;
mod plan;
mod planner;
mod pointer;
mod retry;
mod roster;
mod settle;
mod sweeper;

use std::sync::Arc;
use std::time::Duration;

pub use batch::{Batch, Lease, Recipient, RecipientState};
pub use ledger::{Held, Ledger};
pub use plan::{Cursor, Plan};
pub use planner::shown_tenant;
pub use pointer::{BadPointer, Pointer};
pub use retry::backoff;
pub use roster::{Listed, Roster};
pub use settle::{Settled, settle};

use tokio_util::sync::CancellationToken;

use crate::chance::Chance;
use crate::clock::Clock;
use crate::connector::Connector;
use crate::governor::Governor;
use crate::people::{ReachSettings, Registry};

/// How many recipients a batch holds at most.
pub const BATCH: usize = 100;
/// How long a lease lasts unless renewed.
const LEASE: Duration = Duration::from_secs(45);
/// How long one activation works before it hands the rest back. The Functions host kills at five minutes.
const SHIFT: Duration = Duration::from_secs(120);
/// Waits up to this long happen inside the activation; longer ones go back to the store.
const PATIENCE: Duration = Duration::from_secs(5);
/// When a batch whose message may be lost is put out again.
const BATCH_STALLS: Duration = Duration::from_secs(180);
/// When a notification whose message may be lost is put out again.
const NOTIFICATION_STALLS: Duration = Duration::from_secs(60);
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
    /// This process, as leases name it.
    pub instance: Arc<str>,
    /// Cancelled when the process ends: windows that are out are finished, no new one begins.
    pub closing: CancellationToken,
}
