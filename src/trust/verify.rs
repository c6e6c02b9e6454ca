//! From an `Authorization` header to somebody who is believed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde::Deserialize;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use super::claims::is_among;
use super::remembered::Remembered;
use super::source::{ANSWER, Keys};
use super::{Claims, Distrust, EntraTenant, Lookup, NoBearer, NotVouched, Policy, PublicKey, bearer};
use crate::clock::{Clock, Timestamp};
use crate::direct;

/// Refusals are logged this often at most.
const LINE: TimeDelta = TimeDelta::seconds(1);

/// Why a request is not believed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// There is no token: come back with one.
    #[error("{0}")]
    NoToken(#[from] NoBearer),
    /// There is one, and it is not believed: this one never will be.
    #[error("the token is not accepted: {0}")]
    Untrusted(#[from] Distrust),
    /// Whether it is to be believed cannot be said before there are keys: come back later.
    #[error("tokens cannot be checked at the moment")]
    NotYet {
        /// When.
        retry_after: Duration,
    },
}

/// A token whose signature was checked.
#[derive(Debug)]
pub struct Authentic {
    /// What it claims.
    pub claims: Claims,
    kid: String,
    key: Arc<PublicKey>,
}

impl Authentic {
    /// Whether the key signs for this tenant, where it says for whom it does.
    fn signed_for(&self, entra: &EntraTenant) -> Result<(), Distrust> {
        let is_ours = |issuer: &String| {
            issuer.contains("{tenantid}") || issuer.to_ascii_lowercase().contains(&entra.tenant.to_ascii_lowercase())
        };
        if self.key.issuer.as_ref().is_none_or(is_ours) { Ok(()) } else { Err(Distrust::Key) }
    }
}

/// Who sent an activity.
#[derive(Debug, Clone)]
pub enum Caller {
    /// Nobody was asked (`HERALD_AUTH=off`).
    Anybody,
    /// A channel; its token vouches for some activities.
    Channel(Arc<Authentic>),
    /// The bot's own registration, by an Entra token.
    Itself,
}

impl Caller {
    /// Whether the caller may send this activity: the channel without its sub-channel, and the service URL as sent.
    ///
    /// # Errors
    /// [`NotVouched`].
    pub fn vouch(&self, channel: &str, service_url: &str) -> Result<(), NotVouched> {
        match self {
            Self::Anybody | Self::Itself => Ok(()),
            Self::Channel(token) => token.claims.vouch(&token.key.endorsements, channel, service_url),
        }
    }
}

/// Checks tokens.
#[derive(Debug)]
pub struct Trust {
    policy: Policy,
    channel: Option<Arc<Keys>>,
    entra: Option<Arc<Keys>>,
    remembered: Mutex<Remembered>,
    lines: Mutex<(Option<Timestamp>, u64)>,
    clock: Arc<dyn Clock>,
}

/// Which keys a token's issuer signs with.
#[derive(Deserialize)]
struct Issuer {
    iss: String,
}

impl Trust {
    /// Trust by this policy.
    ///
    /// # Errors
    /// When no HTTP client can be made: the reason.
    pub fn new(policy: Policy, clock: Arc<dyn Clock>) -> Result<Self, String> {
        let http = direct::client(ANSWER)?;
        let keys = |metadata: &url::Url| Arc::new(Keys::new(metadata.clone(), http.clone(), Arc::clone(&clock)));
        let channel = policy.channel.as_ref().map(|channel| keys(&channel.metadata));
        let entra = policy.entra.as_ref().map(|entra| keys(&entra.metadata));
        Ok(Self { policy, channel, entra, remembered: Mutex::default(), lines: Mutex::default(), clock })
    }

    /// Asks for keys, and keeps them fresh until `closing`.
    pub async fn keep_keys(&self, closing: CancellationToken) {
        let keep = async |keys: &Option<Arc<Keys>>| {
            if let Some(keys) = keys {
                keys.keep(closing.clone()).await;
            }
        };
        tokio::join!(keep(&self.channel), keep(&self.entra));
    }

    /// Who sends an activity, by all its `Authorization` headers.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn caller(&self, authorization: &[String]) -> Result<Caller, Refusal> {
        let Some(channel) = &self.policy.channel else { return Ok(Caller::Anybody) };
        let token = bearer(authorization.iter().map(String::as_str))?;
        let entra = self.policy.entra.as_ref().filter(|_| channel.entra);
        let known = self.remembered().recall(token);
        let issuer = issuer(token, known.as_deref())?;
        if is_among(&issuer, &channel.issuers) {
            let by_channel =
                |authentic: &Authentic, now| authentic.claims.by_channel(&channel.issuers, &channel.app_id, now);
            let authentic = self.believed(token, known, self.channel.as_ref(), by_channel).await?;
            return Ok(Caller::Channel(authentic));
        }
        let Some(entra) = entra.filter(|entra| is_among(&issuer, &entra.issuers)) else {
            return Err(Distrust::Issuer.into());
        };
        self.by_entra(token, known, entra, |claims, now| claims.by_itself(entra, &channel.app_id, now)).await?;
        Ok(Caller::Itself)
    }

    /// The bot that activities must be for; none: nobody is asked who sends them (`HERALD_AUTH=off`).
    #[must_use]
    pub fn app_id(&self) -> Option<&str> {
        self.policy.channel.as_ref().map(|channel| channel.app_id.as_str())
    }

    /// Whether nobody is asked who sends activities.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.app_id().is_none()
    }

    /// Whether operators' tokens are taken at all.
    #[must_use]
    pub fn takes_operators(&self) -> bool {
        self.policy.audience.is_some()
    }

    /// Whether the caller is an operator, by an Entra token with the role.
    ///
    /// # Errors
    /// [`Refusal`]; without an audience nobody is.
    pub async fn operator(&self, authorization: &[String]) -> Result<(), Refusal> {
        let token = bearer(authorization.iter().map(String::as_str))?;
        let (Some(entra), Some(audience)) = (&self.policy.entra, &self.policy.audience) else {
            return Err(Distrust::Audience.into());
        };
        let known = self.remembered().recall(token);
        let issuer = issuer(token, known.as_deref())?;
        if !is_among(&issuer, &entra.issuers) {
            return Err(Distrust::Issuer.into());
        }
        self.by_entra(token, known, entra, |claims, now| claims.by_operator(entra, audience, now)).await
    }

    /// Whether a token is Entra's for this tenant, and `judge` believes its claims.
    async fn by_entra(
        &self,
        token: &str,
        known: Option<Arc<Authentic>>,
        entra: &EntraTenant,
        judge: impl FnOnce(&Claims, Timestamp) -> Result<(), Distrust>,
    ) -> Result<(), Refusal> {
        let by_entra = |authentic: &Authentic, now| {
            judge(&authentic.claims, now)?;
            authentic.signed_for(entra)
        };
        self.believed(token, known, self.entra.as_ref(), by_entra).await.map(drop)
    }

    /// The token with its signature checked and its claims believed, and remembered from then on. What was remembered is
    /// judged as what is new: only its signature is not checked again.
    async fn believed(
        &self,
        token: &str,
        known: Option<Arc<Authentic>>,
        keys: Option<&Arc<Keys>>,
        judge: impl FnOnce(&Authentic, Timestamp) -> Result<(), Distrust>,
    ) -> Result<Arc<Authentic>, Refusal> {
        let was_known = known.is_some();
        let authentic = self.authentic(token, known, keys).await?;
        judge(&authentic, self.clock.now())?;
        if !was_known {
            self.remember(token, &authentic);
        }
        Ok(authentic)
    }

    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token with its signature checked, now or before. A key that was withdrawn takes its tokens with it.
    async fn authentic(
        &self,
        token: &str,
        known: Option<Arc<Authentic>>,
        keys: Option<&Arc<Keys>>,
    ) -> Result<Arc<Authentic>, Refusal> {
        let keys = keys.ok_or(Distrust::Issuer)?;
        if let Some(known) = known {
            if keys.still_has(&known.kid, &known.key) {
                return Ok(known);
            }
            self.remembered().forget(token);
        }
        let kid = key_id(token)?;
        let key = match keys.find(&kid).await {
            Lookup::Found(key) => key,
            Lookup::NotThere(retry_after) => return Err(Refusal::NotYet { retry_after }),
            Lookup::Unknown | Lookup::Ask => return Err(Distrust::Key.into()),
        };
        let claims = check(token, &key)?;
        Ok(Arc::new(Authentic { claims, kid, key }))
    }

    /// Remembers a token that was believed: those for other bots are signed with the same keys.
    fn remember(&self, token: &str, authentic: &Arc<Authentic>) {
        let now = self.clock.now();
        if !authentic.claims.is_over(now) {
            self.remembered().remember(token, Arc::clone(authentic), now);
        }
    }

    /// Whether a refusal is worth a line in the log, and how many others were not since the last: a stranger must not
    /// fill it.
    #[must_use]
    pub fn worth_a_line(&self) -> Option<u64> {
        let now = self.clock.now();
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.0.is_some_and(|last| last <= now && now < last + LINE) {
            lines.1 += 1;
            return None;
        }
        lines.0 = Some(now);
        Some(std::mem::take(&mut lines.1))
    }
}

/// Who the token says issued it: only good for choosing the keys.
fn issuer(token: &str, known: Option<&Authentic>) -> Result<String, Distrust> {
    if let Some(known) = known {
        return Ok(known.claims.iss.clone());
    }
    let claims = jsonwebtoken::dangerous::insecure_decode_claims::<Issuer>(token);
    claims.map(|claims| claims.iss).map_err(|_| Distrust::Unreadable)
}

/// The id of the key that the header names, if the header is one that Herald understands whole.
fn key_id(token: &str) -> Result<String, Distrust> {
    let header = decode_header(token).map_err(|_| Distrust::Unreadable)?;
    if header.alg != Algorithm::RS256 {
        return Err(Distrust::Algorithm);
    }
    // What a header calls critical must be understood (RFC 7515 §4.1.11).
    if header.crit.is_some() {
        return Err(Distrust::Unreadable);
    }
    header.kid.ok_or(Distrust::Key)
}

/// The claims, if the signature is that key's. Times, issuer and audience are judged by [`Claims`], by a clock that is
/// passed in.
#[expect(clippy::wildcard_enum_match_arm, reason = "refused for whatever reason the library has")]
fn check(token: &str, key: &PublicKey) -> Result<Claims, Distrust> {
    let mut signature_only = Validation::new(Algorithm::RS256);
    signature_only.validate_exp = false;
    signature_only.validate_aud = false;
    signature_only.required_spec_claims.clear();
    let decoded = decode::<Claims>(token, &key.decoding, &signature_only);
    decoded.map(|decoded| decoded.claims).map_err(|error| match error.kind() {
        jsonwebtoken::errors::ErrorKind::InvalidSignature => Distrust::Signature,
        jsonwebtoken::errors::ErrorKind::InvalidAlgorithm => Distrust::Algorithm,
        _ => Distrust::Unreadable,
    })
}
