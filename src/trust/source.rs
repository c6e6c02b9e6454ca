//! Where keys come from: metadata that names a set, over HTTP. One look at a time, whoever asks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use url::Url;

use super::{KeySet, Known, Lookup, PublicKey, read};
use crate::clock::{Clock, until};
use crate::direct;
use crate::protocol::is_private;

/// How long a look may take.
pub(super) const ANSWER: Duration = Duration::from_secs(10);
/// How long an activity waits for a look. Teams waits fifteen seconds for its answer.
const WAIT: Duration = Duration::from_secs(3);
/// Published sets have some ten thousand bytes.
const MOST: usize = 1024 * 1024;
/// Somebody who sleeps looks at the clock at least this often: a machine that was suspended has no use for a timer.
const NAP: Duration = Duration::from_secs(60);

/// The keys that one metadata document leads to.
#[derive(Debug)]
pub(super) struct Keys {
    metadata: Url,
    http: reqwest::Client,
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
    turn: tokio::sync::Mutex<()>,
}

impl Keys {
    pub(super) fn new(metadata: Url, http: reqwest::Client, clock: Arc<dyn Clock>) -> Self {
        Self { metadata, http, clock, known: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key of an id, after a look for new ones where that is due. Whoever asks waits only so long; the look goes on
    /// without them.
    pub(super) async fn find(self: &Arc<Self>, id: &str) -> Lookup {
        match self.known().look_up(id, self.clock.now()) {
            Lookup::Ask => {}
            known @ (Lookup::Found(_) | Lookup::Unknown | Lookup::NotThere(_)) => return known,
        }
        let (keys, wanted) = (Arc::clone(self), id.to_owned());
        let look = tokio::spawn(async move {
            let _turn = keys.turn.lock().await;
            // Whoever waited for the turn finds what the one before has learned.
            let is_due = matches!(keys.known().look_up(&wanted, keys.clock.now()), Lookup::Ask);
            if is_due {
                keys.ask().await;
            }
        });
        if tokio::time::timeout(WAIT, look).await.is_err() {
            return Lookup::NotThere(WAIT);
        }
        match self.known().look_up(id, self.clock.now()) {
            Lookup::Ask => Lookup::Unknown,
            known @ (Lookup::Found(_) | Lookup::Unknown | Lookup::NotThere(_)) => known,
        }
    }

    /// Whether a key is still what it was.
    pub(super) fn still_has(&self, id: &str, key: &PublicKey) -> bool {
        self.known().still_has(id, key)
    }

    /// Keeps the keys fresh until `closing`.
    pub(super) async fn keep(&self, closing: CancellationToken) {
        let keeping = async {
            loop {
                let now = self.clock.now();
                let wait = until(now, self.known().next(now));
                if wait.is_zero() {
                    let _turn = self.turn.lock().await;
                    let is_due = self.known().next(now) <= now;
                    if is_due {
                        self.ask().await;
                    }
                } else {
                    tokio::time::sleep(wait.min(NAP)).await;
                }
            }
        };
        closing.run_until_cancelled(keeping).await;
    }

    async fn ask(&self) {
        let fetched = tokio::time::timeout(ANSWER, self.fetch()).await;
        let fetched = fetched.unwrap_or_else(|_| Err(format!("no answer within {} s", ANSWER.as_secs())));
        let now = self.clock.now();
        match fetched {
            Ok(keys) => {
                info!(metadata = %self.metadata, keys = keys.len(), "the keys of tokens are here");
                self.known().learn(keys, now);
            }
            Err(reason) => {
                warn!(metadata = %self.metadata, reason, "the keys of tokens cannot be had; they are asked for again");
                self.known().fail(now);
            }
        }
    }

    async fn fetch(&self) -> Result<KeySet, String> {
        let metadata: Value = serde_json::from_str(&self.get(self.metadata.clone()).await?)
            .map_err(|error| format!("the metadata is not JSON: {error}"))?;
        let named = metadata.get("jwks_uri").and_then(Value::as_str).ok_or("the metadata names no jwks_uri")?;
        let set = Url::parse(named).ok().filter(is_private).ok_or("the jwks_uri is not https")?;
        // Plain http only leads from loopback to loopback.
        if set.scheme() == "http" && self.metadata.scheme() != "http" {
            return Err("the jwks_uri is not https".into());
        }
        read(&self.get(set).await?)
    }

    async fn get(&self, url: Url) -> Result<String, String> {
        let plain = |error: reqwest::Error| direct::root(&error.without_url());
        let mut response = self.http.get(url).send().await.map_err(plain)?;
        if !response.status().is_success() {
            return Err(format!("it answered {}", response.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(plain)? {
            body.extend_from_slice(&chunk);
            if body.len() > MOST {
                return Err("it answered with more than a megabyte".into());
            }
        }
        String::from_utf8(body).map_err(|_| "it answered with something that is no text".into())
    }
}
