//! From the settings to a store: at once in the data directory, as soon as it can be had in Cosmos DB.

use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use super::Failure;
use crate::clock::Clock;
use crate::config::{Config, CosmosConfig, CosmosProof};
use crate::store::Store;
use crate::store::cosmos::{Account, Proof};

/// How long after a failed attempt the next one comes.
const AGAIN: Duration = Duration::from_secs(1);
const AGAIN_AT_MOST: Duration = Duration::from_secs(15);

/// Whether the bot has what it proves itself with.
///
/// # Errors
/// The setting, and what is wrong with its file.
pub(super) fn bot(config: &Config) -> Result<(), Failure> {
    config.bot.as_ref().map_or(Ok(()), |bot| bot.check().map_err(Failure::Usage))
}

/// Nobody should find out later that nobody is asked for a token.
pub(super) fn say_who_is_believed(config: &Config) {
    match &config.trust.channel {
        Some(channel) => info!(bot = channel.app_id, entra = channel.entra, "activities need a token"),
        None => warn!("HERALD_AUTH is off: whoever reaches /api/messages is believed"),
    }
}

/// The account of these settings.
///
/// # Errors
/// When the identity cannot be used here: what is missing.
pub(super) fn account(config: &CosmosConfig, clock: &Arc<dyn Clock>) -> Result<Account, Failure> {
    let proof = match &config.proof {
        CosmosProof::Key(key) => Proof::key(key.reveal()),
        CosmosProof::Identity(identity) => {
            Proof::Identity(identity.credential(Arc::clone(clock)).map_err(Failure::Other)?)
        }
    };
    Ok(Account { endpoint: config.endpoint.clone(), database: config.database.clone(), proof })
}

/// Asks until the store is there. Whoever needs it meanwhile is told to come back.
pub(super) async fn cosmos(account: &Account, clock: Arc<dyn Clock>) -> Arc<dyn Store> {
    let mut pause = AGAIN;
    loop {
        match account.open(None, Arc::clone(&clock)).await {
            Ok(store) => {
                info!(endpoint = %account.endpoint, database = account.database, "the store is Cosmos DB");
                return Arc::new(store);
            }
            Err(error) => {
                let seconds = pause.as_secs();
                warn!(endpoint = %account.endpoint, %error, seconds, "the store cannot be had yet; it is asked for again");
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(AGAIN_AT_MOST);
    }
}
