//! The only room that sends: one HTTP client, the allow-list checked again at every call, no redirects, and the bot's
//! token only to a host that was checked.

use std::sync::Arc;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::RETRY_AFTER;
use reqwest::{Response, StatusCode};
use serde_json::Value;
use tracing::{debug, warn};

use super::{SendOutcome, answered, retry_after};
use crate::clock::Clock;
use crate::direct;
use crate::identity::{BotToken, BotTokens, Instead, NoToken};
use crate::protocol::AllowedHosts;

/// Teams answers within a second; a send that takes longer than this is doubtful. Shorter than
/// what the end of a process may take.
const ANSWER: Duration = Duration::from_secs(10);
/// How long whoever has no token waits for the next try: longer than a failed request for one stands.
const NO_TOKEN: Duration = Duration::from_secs(15);
/// More of an error body than this is not read: a code stands at its beginning.
const BODY: usize = 64 * 1024;
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
    http: reqwest::Client,
    hosts: Arc<AllowedHosts>,
    tokens: Option<Arc<BotTokens>>,
    clock: Arc<dyn Clock>,
}

impl Connector {
    /// A connector that sends to these hosts only; without tokens nothing asks for any.
    ///
    /// # Errors
    /// When the TLS roots of the system cannot be read.
    pub fn new(hosts: AllowedHosts, tokens: Option<Arc<BotTokens>>, clock: Arc<dyn Clock>) -> Result<Self, String> {
        let http = direct::client(ANSWER)?;
        Ok(Self { http, hosts: Arc::new(hosts), tokens, clock })
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
        let Ok(base) = self.hosts.check(target.service_url) else {
            return SendOutcome::Refused { reason: "serviceHostNotAllowed".into(), teaches: None };
        };
        let segment = |text| utf8_percent_encode(text, SEGMENT);
        let mut path = format!("v3/conversations/{}/activities", segment(target.conversation_id));
        if let Some(activity_id) = target.reply_to {
            path += &format!("/{}", segment(activity_id));
        }
        self.post(&base.join(&path), activity).await
    }

    /// Posts with the bot's token, and once more with a fresh one when it is refused: a 401 delivers nothing.
    async fn post(&self, url: &str, activity: &Value) -> SendOutcome {
        let token = match self.token().await {
            Ok(token) => token,
            Err(why) => return no_token(&why),
        };
        let answered = match self.post_with(url, activity, token.as_ref()).await {
            Ok(answered) => answered,
            Err(error) => return unanswered(&error),
        };
        let (StatusCode::UNAUTHORIZED, Some(tokens), Some(refused)) = (answered.status(), &self.tokens, &token) else {
            return self.read(answered).await;
        };
        match tokens.instead_of(refused).await {
            Instead::NotTheReason => self.read(answered).await,
            Instead::None(why) => no_token(&why),
            Instead::Fresh(fresh) => match self.post_with(url, activity, Some(&fresh)).await {
                Ok(answered) => self.read(answered).await,
                Err(error) => unanswered(&error),
            },
        }
    }

    async fn post_with(&self, url: &str, activity: &Value, token: Option<&BotToken>) -> reqwest::Result<Response> {
        let request = self.http.post(url).json(activity);
        match token {
            // Marked as sensitive by the client, so that no log shows it.
            Some(token) => request.bearer_auth(token.secret.reveal()).send().await,
            None => request.send().await,
        }
    }

    async fn read(&self, mut response: Response) -> SendOutcome {
        let status = response.status().as_u16();
        let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let wait = header.and_then(|text| retry_after(text, self.clock.now()));
        let mut body = Vec::new();
        // A body that breaks off changes nothing: the status has been spoken.
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend_from_slice(&chunk);
            if body.len() > BODY {
                break;
            }
        }
        answered(status, wait, &String::from_utf8_lossy(&body))
    }
}

/// Nothing went out. Batches see to a token beforehand, so this is mostly about replies.
fn no_token(why: &NoToken) -> SendOutcome {
    warn!(%why, "nothing is sent: the bot has no token");
    SendOutcome::NotTried { reason: "noToken".into(), retry_after: NO_TOKEN }
}

/// A call without an answer: what failed before the request went out can be tried again, what failed after is doubtful.
fn unanswered(error: &reqwest::Error) -> SendOutcome {
    // Never the error's own text at a higher level: it carries the URL with the conversation id.
    debug!(connect = error.is_connect(), timeout = error.is_timeout(), "a send had no answer");
    let reason = if error.is_timeout() { "timedOut" } else { "unreachable" }.to_owned();
    if error.is_connect() || error.is_builder() {
        SendOutcome::Unavailable { reason, retry_after: None }
    } else {
        SendOutcome::Uncertain { reason }
    }
}
