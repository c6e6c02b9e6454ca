//! The bot's tokens: asked for once for all sends, renewed in good time, and once more when one is refused.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use azure_core::credentials::TokenCredential;
use thiserror::Error;
use tracing::warn;

use super::{Bot, Graceful, Secret};
use crate::chance::Chance;
use crate::clock::{Clock, Timestamp};

/// A refused token is replaced at most this often: when the fresh one is refused too, the token was not the reason.
const REPLACE: Duration = Duration::from_secs(60);
/// How long after a fresh token could not be had the next one is asked for.
const AGAIN: Duration = Duration::from_secs(10);

/// There is no token: the text says who asked, why not, and what to do. Come back after a while.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct NoToken(pub String);

/// A token of the bot.
#[derive(Debug, Clone)]
pub struct BotToken {
    /// The token.
    pub secret: Secret,
    generation: u64,
}

/// What stands in for a refused token.
#[derive(Debug, Clone)]
pub enum Instead {
    /// A fresh one.
    Fresh(BotToken),
    /// A fresh one might help, and there is none: nothing can be sent for a while.
    None(NoToken),
    /// A fresh one was refused just now: the token is not the reason.
    NotTheReason,
}

/// How the last replacement went.
#[derive(Debug, Clone)]
struct Replaced {
    at: Timestamp,
    failed: Option<NoToken>,
}

#[derive(Debug)]
struct Generation {
    number: u64,
    credential: Arc<Graceful>,
}

/// Where the bot's tokens come from.
#[derive(Debug)]
pub struct BotTokens {
    bot: Bot,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    current: Mutex<Generation>,
    /// Whoever replaces a token holds it.
    replaced: tokio::sync::Mutex<Option<Replaced>>,
}

impl BotTokens {
    /// The tokens of a bot. Nothing is asked for yet.
    ///
    /// # Errors
    /// What is missing or wrong, and what to do.
    pub fn new(bot: Bot, clock: Arc<dyn Clock>, chance: Arc<dyn Chance>) -> Result<Self, String> {
        bot.check()?;
        let credential = credential(&bot, &clock, &chance)?;
        let current = Mutex::new(Generation { number: 0, credential });
        Ok(Self { bot, clock, chance, current, replaced: tokio::sync::Mutex::default() })
    }

    fn current(&self) -> MutexGuard<'_, Generation> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A token that is good for a while.
    ///
    /// # Errors
    /// [`NoToken`].
    pub async fn token(&self) -> Result<BotToken, NoToken> {
        let (credential, generation) = {
            let current = self.current();
            (Arc::clone(&current.credential), current.number)
        };
        self.ask(&credential, generation).await
    }

    async fn ask(&self, credential: &Graceful, generation: u64) -> Result<BotToken, NoToken> {
        let token = credential.get_token(&[&self.bot.scope], None).await;
        let token = token.map_err(|error| NoToken(self.bot.without_secret(&error.to_string())))?;
        Ok(BotToken { secret: Secret::new(token.token.secret().to_owned()), generation })
    }

    /// A fresh token in place of one that was refused. The old one stays for everybody until there is a fresh one: it
    /// may have been refused for one conversation's sake.
    pub async fn instead_of(&self, refused: &BotToken) -> Instead {
        let mut replaced = self.replaced.lock().await;
        let number = self.current().number;
        if refused.generation != number {
            return self.token().await.map_or_else(Instead::None, Instead::Fresh);
        }
        let now = self.clock.now();
        let last = replaced.as_ref().filter(|last| last.at <= now);
        match last {
            Some(Replaced { at, failed: None }) if now < *at + REPLACE => return Instead::NotTheReason,
            Some(Replaced { at, failed: Some(why) }) if now < *at + AGAIN => return Instead::None(why.clone()),
            Some(_) | None => {}
        }
        let fresh = self.replace(number + 1).await;
        *replaced = Some(Replaced { at: self.clock.now(), failed: fresh.as_ref().err().cloned() });
        fresh.map_or_else(Instead::None, Instead::Fresh)
    }

    async fn replace(&self, number: u64) -> Result<BotToken, NoToken> {
        warn!(bot = self.bot.app_id, "the Bot Connector refused a token; a fresh one is asked for");
        let credential = credential(&self.bot, &self.clock, &self.chance).map_err(NoToken)?;
        let fresh = self.ask(&credential, number).await?;
        *self.current() = Generation { number, credential };
        Ok(fresh)
    }
}

fn credential(bot: &Bot, clock: &Arc<dyn Clock>, chance: &Arc<dyn Chance>) -> Result<Arc<Graceful>, String> {
    let inner = bot.credential(clock, chance).map_err(|why| format!("{bot} cannot prove itself: {why}"))?;
    Ok(Arc::new(Graceful::new(inner, bot.to_string(), bot.remedy(), Arc::clone(clock))))
}
