//! The way to Teams: one POST and its answer. HTTP in the product, a simulated Teams under paused time in tests.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use tracing::debug;

use super::Unanswered;
use crate::direct;

/// Teams answers within a second; a send that takes longer than this is doubtful. Shorter than
/// what the end of a process may take.
const ANSWER: Duration = Duration::from_secs(10);
/// More of an error body than this is not read: a code stands at its beginning.
const BODY: usize = 64 * 1024;

/// An answer as it came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WireAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The header `Retry-After`.
    pub retry_after: Option<String>,
    /// As much of the body as matters.
    pub body: String,
}

/// Carries requests to the Bot Connector. The URL was checked against the allow-list by whoever asks.
#[async_trait]
pub trait Wire: Debug + Send + Sync {
    /// Posts JSON, with the bot's token where there is one.
    async fn post(&self, url: &str, token: Option<&str>, json: String) -> Result<WireAnswer, Unanswered>;
}

/// HTTP: no redirect is followed and no proxy asked, since either would take the token along.
#[derive(Debug, Clone)]
pub struct Http(reqwest::Client);

impl Http {
    /// A client.
    ///
    /// # Errors
    /// When the TLS roots of the system cannot be read.
    pub fn new() -> Result<Self, String> {
        direct::client(ANSWER).map(Self)
    }
}

#[async_trait]
impl Wire for Http {
    async fn post(&self, url: &str, token: Option<&str>, json: String) -> Result<WireAnswer, Unanswered> {
        let request = self.0.post(url).header(CONTENT_TYPE, "application/json").body(json);
        // Marked as sensitive by the client, so that no log shows it.
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let mut response = request.send().await.map_err(|error| unanswered(&error))?;
        let status = response.status().as_u16();
        let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = header.map(str::to_owned);
        let mut body = Vec::new();
        // A body that breaks off changes nothing: the status has been spoken.
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend_from_slice(&chunk);
            if body.len() > BODY {
                break;
            }
        }
        Ok(WireAnswer { status, retry_after, body: String::from_utf8_lossy(&body).into_owned() })
    }
}

fn unanswered(error: &reqwest::Error) -> Unanswered {
    // Never the error's own text at a higher level: it carries the URL with the conversation id.
    debug!(connect = error.is_connect(), timeout = error.is_timeout(), "a call had no answer");
    match (error.is_connect() || error.is_builder(), error.is_timeout()) {
        (true, true) => Unanswered::ConnectTimedOut,
        (true, false) => Unanswered::NotConnected,
        (false, true) => Unanswered::TimedOut,
        (false, false) => Unanswered::Lost,
    }
}
