//! A credential that asks for a token once for everybody, in good time, and whose living tokens outlast a failed
//! renewal.
//!
//! `azure_identity` renews a token five minutes before it ends, and hands out the failure of the renewal although the
//! old token is good for those minutes (its `cache.rs`). Here the old one is used, and the renewal is tried again
//! only now and then, so that not every call waits for a token service that is away.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::ErrorKind;
use tracing::warn;

use super::NO_TOKEN;
use crate::clock::{Clock, Timestamp};

/// A token this close to its end is renewed: a little later than `azure_identity` itself would, or its cache would
/// answer with the old one.
const EARLY: Duration = Duration::from_secs(270);
/// A token this close to its end is not used any more.
const LEAST: Duration = Duration::from_secs(30);
/// How long a token may take.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long after a failed renewal the next one is tried.
const AGAIN: Duration = Duration::from_secs(20);
/// How long a failure stands for everybody when there is no token at all.
const FAILED: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Default)]
struct Kept {
    token: Option<(AccessToken, Timestamp)>,
    came: Option<Timestamp>,
    failed: Option<(Timestamp, String)>,
}

/// What to do for a token.
enum Next {
    Use(AccessToken),
    /// With the old token, if it lives.
    Ask(Option<AccessToken>),
    Fail(String),
}

impl Kept {
    fn next(&self, now: Timestamp) -> Next {
        // A clock that was put back makes what lies ahead mean nothing.
        let failed_within = |time| self.failed.as_ref().filter(|(at, _)| *at <= now && now < *at + time);
        match &self.token {
            Some((token, ends)) if *ends > now + EARLY => Next::Use(token.clone()),
            Some((token, ends)) if *ends > now + LEAST => {
                // One that never lives longer is not asked for with every send.
                let is_new = self.came.is_some_and(|came| came <= now && now < came + AGAIN);
                if is_new || failed_within(AGAIN).is_some() {
                    Next::Use(token.clone())
                } else {
                    Next::Ask(Some(token.clone()))
                }
            }
            Some(_) | None => match failed_within(FAILED) {
                Some((_, why)) => Next::Fail(why.clone()),
                None => Next::Ask(None),
            },
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Graceful {
    inner: Arc<dyn TokenCredential>,
    who: String,
    remedy: &'static str,
    clock: Arc<dyn Clock>,
    kept: Mutex<HashMap<String, Kept>>,
    turn: tokio::sync::Mutex<()>,
}

impl Graceful {
    /// Around a credential of this identity; the remedy is said where there is no token.
    #[must_use]
    pub fn new(inner: Arc<dyn TokenCredential>, who: String, remedy: &'static str, clock: Arc<dyn Clock>) -> Self {
        Self { inner, who, remedy, clock, kept: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }

    fn next(&self, scope: &str) -> Next {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(scope).cloned().unwrap_or_default().next(self.clock.now())
    }

    fn keep(&self, scope: &str, change: impl FnOnce(&mut Kept)) {
        change(self.kept.lock().unwrap_or_else(PoisonError::into_inner).entry(scope.to_owned()).or_default());
    }

    /// `azure_identity` tries for a minute and more; whoever waits for the store would never hear why.
    async fn ask(&self, scopes: &[&str], options: Option<TokenRequestOptions<'_>>) -> Result<AccessToken, String> {
        let asked = tokio::time::timeout(PATIENCE, self.inner.get_token(scopes, options)).await;
        let asked = asked.map_err(|_| format!("no answer within {} s", PATIENCE.as_secs()))?;
        asked.map_err(|error| shown(&error.to_string()))
    }

    /// Asks, and remembers how it went.
    async fn renew(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
        old: Option<AccessToken>,
    ) -> Result<AccessToken, String> {
        let scope = scopes.join(" ");
        let why = match self.ask(scopes, options).await {
            Ok(token) => {
                let now = self.clock.now();
                let ends = Timestamp::from_timestamp(token.expires_on.unix_timestamp(), 0).unwrap_or(now);
                if is_sendable(&token) && ends > now + LEAST {
                    self.keep(&scope, |kept| {
                        *kept = Kept { token: Some((token.clone(), ends)), came: Some(now), failed: None }
                    });
                    return Ok(token);
                }
                "it is over already, or no header can carry it".to_owned()
            }
            Err(why) => why,
        };
        let now = self.clock.now();
        let text = format!("{}{NO_TOKEN}{} ({why})", self.who, self.remedy);
        self.keep(&scope, |kept| kept.failed = Some((now, text.clone())));
        match old {
            Some(old) => {
                warn!(identity = self.who, why, "a token could not be renewed; the old one is used");
                Ok(old)
            }
            None => Err(text),
        }
    }
}

fn is_sendable(token: &AccessToken) -> bool {
    let text = token.token.secret();
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// On one line, and without anything that could be a token: services repeat what they were asked with.
fn shown(text: &str) -> String {
    let word = |word: &str| if word.contains("eyJ") { "(not shown)".to_owned() } else { word.to_owned() };
    text.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

#[async_trait]
impl TokenCredential for Graceful {
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let scope = scopes.join(" ");
        let failure = |text| Err(azure_core::Error::with_message(ErrorKind::Credential, text));
        let _turn = match self.next(&scope) {
            Next::Use(token) => return Ok(token),
            Next::Fail(why) => return failure(why),
            // Whoever has a living token does not wait for another's renewal.
            Next::Ask(Some(old)) => match self.turn.try_lock() {
                Ok(turn) => turn,
                Err(_) => return Ok(old),
            },
            Next::Ask(None) => self.turn.lock().await,
        };
        match self.next(&scope) {
            Next::Use(token) => Ok(token),
            Next::Fail(why) => failure(why),
            Next::Ask(old) => self.renew(scopes, options, old).await.or_else(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

    use azure_core::time::OffsetDateTime;

    use super::*;

    #[derive(Debug, Default)]
    struct At(AtomicI64);

    impl Clock for At {
        fn now(&self) -> Timestamp {
            Timestamp::from_timestamp(1_800_000_000 + self.0.load(Ordering::Relaxed), 0).expect("an instant")
        }
    }

    /// Gives a token that ends at 3600, once; then fails.
    #[derive(Debug, Default)]
    struct Once(AtomicU32);

    #[async_trait]
    impl TokenCredential for Once {
        async fn get_token(&self, _: &[&str], _: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
            tokio::task::yield_now().await;
            match self.0.fetch_add(1, Ordering::Relaxed) {
                0 => {
                    let ends = OffsetDateTime::from_unix_timestamp(1_800_003_600).expect("an instant");
                    Ok(AccessToken::new("first", ends))
                }
                _ => Err(azure_core::Error::with_message(ErrorKind::Credential, "the service is away")),
            }
        }
    }

    fn graceful() -> (Arc<At>, Arc<Once>, Graceful) {
        let (clock, inner) = (Arc::new(At::default()), Arc::new(Once::default()));
        let who = "the system-assigned managed identity".to_owned();
        let graceful = Graceful::new(Arc::clone(&inner) as _, who, "see AZURE_CLIENT_ID", Arc::clone(&clock) as _);
        (clock, inner, graceful)
    }

    #[tokio::test]
    async fn a_living_token_outlasts_a_failed_renewal_and_a_dead_one_does_not() {
        let (clock, inner, graceful) = graceful();
        let at = async |second: i64| {
            clock.0.store(second, Ordering::Relaxed);
            graceful.get_token(&["scope"], None).await.map(|token| token.token.secret().to_owned())
        };
        assert_eq!(at(0).await.expect("a token"), "first");
        assert_eq!(at(3300).await.expect("the token"), "first");
        assert_eq!(inner.0.load(Ordering::Relaxed), 1, "nobody is asked before it is time");
        assert_eq!(at(3400).await.expect("the old token"), "first");
        assert_eq!(at(3410).await.expect("the old token"), "first");
        assert_eq!(inner.0.load(Ordering::Relaxed), 2, "the service was left alone for a while");
        assert_eq!(at(3425).await.expect("the old token"), "first");
        assert_eq!(inner.0.load(Ordering::Relaxed), 3, "and then asked again");
        let failure = at(3590).await.expect_err("the token is over").to_string();
        for word in ["system-assigned managed identity", "the service is away", "AZURE_CLIENT_ID"] {
            assert!(failure.contains(word), "{failure}");
        }
        assert!(at(3592).await.is_err());
        assert_eq!(inner.0.load(Ordering::Relaxed), 4, "a failure stands for some seconds");
        let other = graceful.get_token(&["another"], None).await;
        assert!(other.is_err(), "a token is for its scope only");
    }

    #[tokio::test]
    async fn a_burst_asks_once() {
        let (_, inner, graceful) = graceful();
        let tokens = futures_util::future::join_all((0..100).map(|_| graceful.get_token(&["scope"], None))).await;
        assert!(tokens.iter().all(Result::is_ok));
        assert_eq!(inner.0.load(Ordering::Relaxed), 1);
    }
}
