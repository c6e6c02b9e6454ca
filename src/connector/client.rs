//! The only room that sends: one HTTP client, the allow-list checked again at every call, no redirects.

use std::sync::Arc;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::RETRY_AFTER;
use reqwest::redirect::Policy;
use serde_json::Value;
use tracing::debug;

use super::{SendOutcome, answered, retry_after};
use crate::clock::Clock;
use crate::protocol::AllowedHosts;

const CONNECT: Duration = Duration::from_secs(5);
/// Teams answers within a second; a send that takes longer than this is doubtful. Shorter than
/// what the end of a process may take.
const ANSWER: Duration = Duration::from_secs(10);
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
    clock: Arc<dyn Clock>,
}

impl Connector {
    /// A connector that sends to these hosts only.
    ///
    /// # Errors
    /// When the TLS roots of the system cannot be read.
    #[expect(clippy::disallowed_methods, reason = "the room of the client")]
    pub fn new(hosts: AllowedHosts, clock: Arc<dyn Clock>) -> Result<Self, String> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            .redirect(Policy::none())
            .no_proxy()
            .user_agent(concat!("herald/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { http, hosts: Arc::new(hosts), clock })
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
        match self.http.post(base.join(&path)).json(activity).send().await {
            Ok(response) => self.read(response).await,
            Err(error) => unanswered(&error),
        }
    }

    async fn read(&self, mut response: reqwest::Response) -> SendOutcome {
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
