//! The composition root: from settings and an open store to everything that functions need.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::chance::Chance;
use crate::channel::Matcher;
use crate::clock::Clock;
use crate::config::Config;
use crate::connector::Connector;
use crate::delivery::{Delivery, Ledger};
use crate::governor::Governor;
use crate::people::{ReachSettings, Registry};
use crate::protocol::AllowedHosts;
use crate::store::Store;

/// What functions work with; one for each process.
#[derive(Debug, Clone)]
pub struct App {
    /// Notifications, persons, pace, and the way to Teams.
    pub delivery: Delivery,
    /// Where it is all kept.
    pub store: Arc<dyn Store>,
    /// Hosts that messages may be sent to.
    pub hosts: AllowedHosts,
    /// What tells the Copilot window in Teams.
    pub teams_copilot: Option<Matcher>,
    /// Replies that are on their way.
    pub tasks: TaskTracker,
}

impl App {
    /// Puts everything together.
    ///
    /// # Errors
    /// When no HTTP client can be made: the reason.
    pub fn new(
        config: &Config,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn Chance>,
        closing: CancellationToken,
    ) -> Result<Self, String> {
        let delivery = Delivery {
            ledger: Ledger::new(Arc::clone(&store), config.keep_deliveries),
            registry: Registry::new(Arc::clone(&store), None, config.keep_copilot),
            connector: Connector::new(config.hosts.clone(), Arc::clone(&clock))?,
            governor: Governor::new(Arc::clone(&store), Arc::clone(&clock), config.tenant_rate),
            reach: ReachSettings { allowed_tenants: config.allowed_tenants.clone(), keep_copilot: config.keep_copilot },
            instance: chance.id().into(),
            clock,
            chance,
            closing,
        };
        Ok(Self {
            delivery,
            store,
            hosts: config.hosts.clone(),
            teams_copilot: config.teams_copilot.clone(),
            tasks: TaskTracker::new(),
        })
    }
}
