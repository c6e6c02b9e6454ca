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
use crate::identity::BotTokens;
use crate::people::{ReachSettings, Registry};
use crate::protocol::AllowedHosts;
use crate::store::{Store, Turns};
use crate::trust::Trust;

/// What functions work with; one for each process.
#[derive(Debug, Clone)]
pub struct App {
    /// Notifications, persons, pace, and the way to Teams.
    pub delivery: Delivery,
    /// Where it is all kept.
    pub store: Arc<dyn Store>,
    /// Hosts that messages may be sent to.
    pub hosts: AllowedHosts,
    /// Who is believed.
    pub trust: Arc<Trust>,
    /// What tells the Copilot window in Teams.
    pub teams_copilot: Option<Matcher>,
    /// Replies that are on their way.
    pub tasks: TaskTracker,
}

impl App {
    /// Puts everything together.
    ///
    /// # Errors
    /// When no HTTP client can be made, or the bot has no way to prove itself: the reason.
    pub fn new(
        config: &Config,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn Chance>,
        closing: CancellationToken,
    ) -> Result<Self, String> {
        let app_id = config.bot.as_ref().map(|bot| bot.app_id.as_str());
        let tokens = |bot| BotTokens::new(bot, Arc::clone(&clock), Arc::clone(&chance)).map(Arc::new);
        let tokens = config.bot.clone().map(tokens).transpose()?;
        let trust = Arc::new(Trust::new(config.trust.clone(), Arc::clone(&clock))?);
        let delivery = Delivery {
            ledger: Ledger::new(Arc::clone(&store), config.keep_deliveries),
            registry: Registry::new(Arc::clone(&store), app_id, config.keep_copilot),
            connector: Connector::new(config.hosts.clone(), tokens, Arc::clone(&clock))?,
            governor: Governor::new(Arc::clone(&store), Arc::clone(&clock), config.tenant_rate),
            reach: ReachSettings {
                allowed_tenants: config.allowed_tenants.clone(),
                keep_copilot: config.keep_copilot,
                open_chat: config.open_chat,
            },
            marking: Arc::default(),
            planning: Turns::default(),
            instance: chance.id().into(),
            clock,
            chance,
            closing,
        };
        Ok(Self {
            delivery,
            store,
            hosts: config.hosts.clone(),
            trust,
            teams_copilot: config.teams_copilot.clone(),
            tasks: TaskTracker::new(),
        })
    }
}
