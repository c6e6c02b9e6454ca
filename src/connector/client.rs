//! The only room that sends: the allow-list is checked again at every call, and the bot's token goes only to a host
//! that was checked.

use std::sync::Arc;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tracing::warn;

use super::answer::{self, Said, Status};
use super::opening::{OpenOutcome, opened};
use super::wire::{Http, Wire, WireAnswer};
use super::{SendOutcome, Unanswered, answered, retry_after, unanswered};
use crate::clock::Clock;
use crate::identity::{BotToken, BotTokens, Instead, NoToken};
use crate::protocol::AllowedHosts;

/// How long whoever has no token waits for the next try: longer than a failed request for one stands.
const NO_TOKEN: Duration = Duration::from_secs(15);
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Where a message goes.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// As stored; checked against the allow-list.
    pub service_url: &'a str,
    /// As stored.
    pub conversation_id: &'a str,
    /// The activity that is answered.
    pub reply_to: Option<&'a str>,
}

/// A client of the Bot Connector.
#[derive(Debug, Clone)]
pub struct Connector {
    wire: Arc<dyn Wire>,
    hosts: Arc<AllowedHosts>,
    tokens: Option<Arc<BotTokens>>,
    clock: Arc<dyn Clock>,
}

/// What came of a call.
pub(super) enum Reply {
    /// Teams spoke.
    Spoke {
        /// The status.
        status: u16,
        /// When to come back.
        retry_after: Option<Duration>,
        /// What the body says.
        said: Said,
    },
    /// Nobody did.
    Silence(Unanswered),
    /// The bot has no token: nothing went out.
    NoToken,
    /// The host is not on the list: nothing went out.
    NotAllowed,
}

impl Connector {
    /// A connector over HTTP that sends to these hosts only; without tokens nothing asks for any.
    ///
    /// # Errors
    /// When the TLS roots of the system cannot be read.
    pub fn new(hosts: AllowedHosts, tokens: Option<Arc<BotTokens>>, clock: Arc<dyn Clock>) -> Result<Self, String> {
        Ok(Self::over(Arc::new(Http::new()?), hosts, tokens, clock))
    }

    /// A connector over any wire.
    #[must_use]
    pub fn over(
        wire: Arc<dyn Wire>,
        hosts: AllowedHosts,
        tokens: Option<Arc<BotTokens>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { wire, hosts: Arc::new(hosts), tokens, clock }
    }

    /// Sees to a token before anything is marked as being sent.
    ///
    /// # Errors
    /// [`NoToken`]: nothing can be sent for a while.
    pub async fn prepare(&self) -> Result<(), NoToken> {
        self.token().await.map(drop)
    }

    async fn token(&self) -> Result<Option<BotToken>, NoToken> {
        match &self.tokens {
            Some(tokens) => tokens.token().await.map(Some),
            None => Ok(None),
        }
    }

    /// Sends an activity into a conversation.
    pub async fn send(&self, target: Target<'_>, activity: &Value) -> SendOutcome {
        let segment = |text| utf8_percent_encode(text, SEGMENT);
        let mut path = format!("v3/conversations/{}/activities", segment(target.conversation_id));
        if let Some(activity_id) = target.reply_to {
            path += &format!("/{}", segment(activity_id));
        }
        match self.call(target.service_url, &path, activity).await {
            Reply::Spoke { status, retry_after, said } => answered(status, retry_after, &said),
            Reply::Silence(why) => unanswered(why),
            Reply::NoToken => SendOutcome::NotTried { reason: "noToken".into(), retry_after: NO_TOKEN },
            Reply::NotAllowed => SendOutcome::Refused { reason: "serviceHostNotAllowed".into(), teaches: None },
        }
    }

    /// Opens the Teams chat with somebody: the same one again where there is one. Nothing is written into it.
    pub async fn open(&self, service_url: &str, body: &Value) -> OpenOutcome {
        opened(self.call(service_url, "v3/conversations", body).await, NO_TOKEN)
    }

    /// Posts with the bot's token, and once more with a fresh one when it is refused: a 401 delivers nothing.
    async fn call(&self, service_url: &str, path: &str, body: &Value) -> Reply {
        let Ok(base) = self.hosts.check(service_url) else { return Reply::NotAllowed };
        let (url, json) = (base.join(path), body.to_string());
        let token = match self.token().await {
            Ok(token) => token,
            Err(why) => return no_token(&why),
        };
        let answered = match self.post(&url, token.as_ref(), json).await {
            Ok(answered) => answered,
            Err(why) => return Reply::Silence(why),
        };
        let (Status::Unauthorized, Some(tokens), Some(refused)) = (Status::from(answered.status), &self.tokens, &token)
        else {
            return self.read(&answered);
        };
        match tokens.instead_of(refused).await {
            Instead::NotTheReason => self.read(&answered),
            Instead::None(why) => no_token(&why),
            Instead::Fresh(fresh) => match self.post(&url, Some(&fresh), body.to_string()).await {
                Ok(answered) => self.read(&answered),
                Err(why) => Reply::Silence(why),
            },
        }
    }

    async fn post(&self, url: &str, token: Option<&BotToken>, json: String) -> Result<WireAnswer, Unanswered> {
        self.wire.post(url, token.map(|token| token.secret.reveal()), json).await
    }

    fn read(&self, answered: &WireAnswer) -> Reply {
        let wait = answered.retry_after.as_deref().and_then(|text| retry_after(text, self.clock.now()));
        Reply::Spoke { status: answered.status, retry_after: wait, said: answer::read(&answered.body) }
    }
}

/// Nothing went out. Batches see to a token beforehand, so this is mostly about replies.
fn no_token(why: &NoToken) -> Reply {
    warn!(%why, "nothing is sent: the bot has no token");
    Reply::NoToken
}
