//! A credential whose living tokens outlast a failed renewal.
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

use super::{Identity, NO_TOKEN};
use crate::clock::{Clock, Timestamp};

/// A token this close to its end is not used any more.
const LEAST: Duration = Duration::from_secs(30);
/// How long a token may take.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long after a failed renewal the next one is tried.
const AGAIN: Duration = Duration::from_secs(20);

#[derive(Debug, Clone)]
struct Kept {
    token: AccessToken,
    ends: Timestamp,
    failed_at: Option<Timestamp>,
}

/// See the module.
#[derive(Debug)]
pub struct Graceful {
    inner: Arc<dyn TokenCredential>,
    identity: Identity,
    clock: Arc<dyn Clock>,
    kept: Mutex<HashMap<String, Kept>>,
}

impl Graceful {
    /// Around a credential of this identity.
    #[must_use]
    pub fn new(inner: Arc<dyn TokenCredential>, identity: Identity, clock: Arc<dyn Clock>) -> Self {
        Self { inner, identity, clock, kept: Mutex::default() }
    }

    /// `azure_identity` tries for a minute and more; whoever waits for the store would never hear why.
    async fn ask(&self, scopes: &[&str], options: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
        let asked = tokio::time::timeout(PATIENCE, self.inner.get_token(scopes, options)).await;
        asked.unwrap_or_else(|_| {
            let text = format!("no answer within {} s", PATIENCE.as_secs());
            Err(azure_core::Error::with_message(ErrorKind::Credential, text))
        })
    }

    fn living(&self, scope: &str, now: Timestamp) -> Option<Kept> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(scope).filter(|kept| kept.ends > now + LEAST).cloned()
    }

    fn keep(&self, scope: String, kept: Kept) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(scope, kept);
    }
}

#[async_trait]
impl TokenCredential for Graceful {
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let (scope, now) = (scopes.join(" "), self.clock.now());
        let known = self.living(&scope, now);
        if let Some(Kept { token, failed_at: Some(at), .. }) = &known
            && now < *at + AGAIN
        {
            return Ok(token.clone());
        }
        match (self.ask(scopes, options).await, known) {
            (Ok(token), _) => {
                let ends = Timestamp::from_timestamp(token.expires_on.unix_timestamp(), 0).unwrap_or(now);
                self.keep(scope, Kept { token: token.clone(), ends, failed_at: None });
                Ok(token)
            }
            (Err(error), Some(known)) => {
                warn!(identity = %self.identity, %error, ends = %known.ends, "a token could not be renewed; the old one is used");
                self.keep(scope, Kept { failed_at: Some(now), ..known.clone() });
                Ok(known.token)
            }
            (Err(error), None) => {
                let text = format!("{}{NO_TOKEN}{} ({error})", self.identity, self.identity.remedy());
                let text: Vec<_> = text.split_whitespace().collect();
                Err(azure_core::Error::with_message(ErrorKind::Credential, text.join(" ")))
            }
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
            match self.0.fetch_add(1, Ordering::Relaxed) {
                0 => {
                    let ends = OffsetDateTime::from_unix_timestamp(1_800_003_600).expect("an instant");
                    Ok(AccessToken::new("first", ends))
                }
                _ => Err(azure_core::Error::with_message(ErrorKind::Credential, "the service is away")),
            }
        }
    }

    #[tokio::test]
    async fn a_living_token_outlasts_a_failed_renewal_and_a_dead_one_does_not() {
        let (clock, inner) = (Arc::new(At::default()), Arc::new(Once::default()));
        let identity = Identity::Managed { client_id: None };
        let graceful = Graceful::new(Arc::clone(&inner) as _, identity, Arc::clone(&clock) as _);
        let at = async |second: i64| {
            clock.0.store(second, Ordering::Relaxed);
            graceful.get_token(&["scope"], None).await.map(|token| token.token.secret().to_owned())
        };
        assert_eq!(at(0).await.expect("a token"), "first");
        assert_eq!(at(3400).await.expect("the old token"), "first");
        assert_eq!(at(3410).await.expect("the old token"), "first");
        assert_eq!(inner.0.load(Ordering::Relaxed), 2, "the service was left alone for a while");
        assert_eq!(at(3425).await.expect("the old token"), "first");
        assert_eq!(inner.0.load(Ordering::Relaxed), 3, "and then asked again");
        let failure = at(3590).await.expect_err("the token is over").to_string();
        for word in ["system-assigned managed identity", "the service is away", "AZURE_CLIENT_ID"] {
            assert!(failure.contains(word), "{failure}");
        }
        let other = graceful.get_token(&["another"], None).await;
        assert!(other.is_err(), "a token is for its scope only");
    }
}
