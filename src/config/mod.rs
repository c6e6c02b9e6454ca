//! Settings: read from an environment that is passed in, judged all at once, described by themselves.

mod cosmos;
mod describe;
mod parse;
mod settings;
mod source;
mod trust;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use describe::{describe, table};
pub use parse::{Problem, Problems, parse};
pub use settings::{SETTINGS, Setting};
pub use source::{Environment, Source};

use crate::channel::Matcher;
pub use crate::identity::Secret;
use crate::identity::{Bot, Identity};
use crate::protocol::AllowedHosts;
use crate::trust::Policy;

/// Who starts the functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The Functions host.
    Host,
    /// Herald itself.
    Serve,
}

/// When `Tick` runs.
#[derive(Debug, Clone)]
pub struct Schedule(pub croner::Cron);

/// How Herald proves itself to Cosmos DB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CosmosProof {
    /// The account's key.
    Key(Secret),
    /// An Entra identity.
    Identity(Identity),
}

/// A Cosmos DB account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CosmosConfig {
    /// Where it is.
    pub endpoint: url::Url,
    /// The database.
    pub database: String,
    /// Who asks.
    pub proof: CosmosProof,
}

/// Which store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreConfig {
    /// In the data directory.
    Embedded,
    /// In Cosmos DB.
    Cosmos(CosmosConfig),
}

/// The settings of one process.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where Herald remembers.
    pub store: StoreConfig,
    /// Where the embedded store lives, and the queue of `serve`.
    pub data_dir: PathBuf,
    /// Where `serve` listens.
    pub listen: SocketAddr,
    /// Hosts that messages may be sent to.
    pub hosts: AllowedHosts,
    /// Who the bot is; none: messages carry no token.
    pub bot: Option<Bot>,
    /// Who is believed.
    pub trust: Policy,
    /// Tenants that are known; none: all.
    pub allowed_tenants: Option<Vec<String>>,
    /// The key of the operators' API in `serve`.
    pub api_key: Option<Secret>,
    /// Messages a second to one tenant.
    pub tenant_rate: u32,
    /// When `Tick` runs in `serve`.
    pub schedule: Schedule,
    /// How long a Copilot reference counts after it was last seen.
    pub keep_copilot: Duration,
    /// How long finished deliveries are kept.
    pub keep_deliveries: Duration,
    /// What tells the Copilot window in Teams.
    pub teams_copilot: Option<Matcher>,
    /// Whether the Teams chat of somebody known only from Copilot is opened.
    pub open_chat: bool,
    /// What is logged.
    pub log: String,
}
