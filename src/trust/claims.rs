//! What a token claims, and whether it is believed. Pure: the signature was checked before, the time comes in.
//!
//! The rules of channel tokens: Microsoft Learn "Authenticate requests from the Bot Connector service to your bot",
//! `JwtTokenExtractor.cs`, `ChannelValidation.cs`; of Entra's: `EmulatorValidation.cs` and Learn "Access token claims".

use chrono::TimeDelta;
use serde::{Deserialize, Deserializer};
use thiserror::Error;

use super::EntraTenant;
use crate::clock::Timestamp;

/// How far clocks may differ.
const SKEW: TimeDelta = TimeDelta::minutes(5);

/// The claims that Herald looks at. A claim of another type or one that stands twice makes the token unreadable.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Claims {
    /// Who issued it.
    pub iss: String,
    /// For whom: one audience, never a list, whose other members could use the token here.
    pub aud: String,
    /// Its end, in seconds since 1970.
    pub exp: f64,
    /// Its beginning; where it stands it is a number.
    #[serde(default, deserialize_with = "number")]
    pub nbf: Option<f64>,
    /// The service URL that the channel vouches for.
    pub serviceurl: Option<String>,
    /// The tenant, of Entra.
    pub tid: Option<String>,
    /// `1.0` or `2.0`, of Entra.
    pub ver: Option<String>,
    /// The app that asked for it, version 1.
    pub appid: Option<String>,
    /// The app that asked for it, version 2.
    pub azp: Option<String>,
    /// What that app or its user may do.
    #[serde(default)]
    pub roles: Vec<String>,
}

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    f64::deserialize(deserializer).map(Some)
}

/// Why a token is not believed, or not for this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Distrust {
    /// Not three readable parts, a critical extension, or claims of the wrong type.
    #[error("it cannot be read")]
    Unreadable,
    /// Anything but RS256, whatever the header says.
    #[error("it is not signed with RS256")]
    Algorithm,
    /// Not one of ours.
    #[error("its issuer is not trusted here")]
    Issuer,
    /// No such key, also after a look for new ones.
    #[error("its key is not known")]
    Key,
    /// The signature is not that key's.
    #[error("its signature is wrong")]
    Signature,
    /// For somebody else.
    #[error("its audience is another")]
    Audience,
    /// Over for more than five minutes.
    #[error("it has expired")]
    Expired,
    /// Begins in more than five minutes.
    #[error("it is not valid yet")]
    NotYet,
    /// Of another tenant than its issuer's.
    #[error("its tenant is another")]
    Tenant,
    /// Asked for by another app.
    #[error("the app that it was issued to is not the bot")]
    Caller,
    /// Without `Notifications.Send`.
    #[error("it lacks the role Notifications.Send")]
    Role,
}

/// Why an authentic token does not cover this activity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotVouched {
    /// The key is not endorsed for the activity's channel.
    #[error("the token's key is not endorsed for the activity's channel")]
    Channel,
    /// The claim is missing or says something else than the body.
    #[error("the token does not vouch for the activity's serviceUrl")]
    ServiceUrl,
}

/// Whether `issuer` is one of these, to the letter.
pub(super) fn is_among(issuer: &str, issuers: &[String]) -> bool {
    issuers.iter().any(|known| known == issuer)
}

/// App ids and tenant ids are GUIDs: the same in either case.
fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

impl Claims {
    /// A channel's token for the bot.
    ///
    /// # Errors
    /// [`Distrust`].
    pub fn by_channel(&self, issuers: &[String], app_id: &str, now: Timestamp) -> Result<(), Distrust> {
        if !is_among(&self.iss, issuers) {
            return Err(Distrust::Issuer);
        }
        self.for_whom(app_id)?;
        self.at(now)
    }

    /// An Entra token that the bot's own registration asked for, for itself: what the Emulator and the Agents
    /// Playground send.
    ///
    /// # Errors
    /// [`Distrust`].
    pub fn by_itself(&self, entra: &EntraTenant, app_id: &str, now: Timestamp) -> Result<(), Distrust> {
        self.by_entra(entra, app_id, now)?;
        let caller = match self.ver.as_deref() {
            Some("1.0") => self.appid.as_deref(),
            Some("2.0") => self.azp.as_deref(),
            Some(_) | None => None,
        };
        if caller.is_some_and(|caller| same(caller, app_id)) { Ok(()) } else { Err(Distrust::Caller) }
    }

    /// An Entra token of an operator.
    ///
    /// # Errors
    /// [`Distrust`].
    pub fn by_operator(&self, entra: &EntraTenant, audience: &str, now: Timestamp) -> Result<(), Distrust> {
        self.by_entra(entra, audience, now)?;
        if self.roles.iter().any(|role| role == "Notifications.Send") { Ok(()) } else { Err(Distrust::Role) }
    }

    fn by_entra(&self, entra: &EntraTenant, audience: &str, now: Timestamp) -> Result<(), Distrust> {
        if !is_among(&self.iss, &entra.issuers) {
            return Err(Distrust::Issuer);
        }
        self.for_whom(audience)?;
        self.at(now)?;
        let is_of_tenant = self.tid.as_deref().is_some_and(|tenant| same(tenant, &entra.tenant));
        if is_of_tenant { Ok(()) } else { Err(Distrust::Tenant) }
    }

    fn for_whom(&self, audience: &str) -> Result<(), Distrust> {
        if same(&self.aud, audience) { Ok(()) } else { Err(Distrust::Audience) }
    }

    /// Whether it holds now, give or take five minutes.
    fn at(&self, now: Timestamp) -> Result<(), Distrust> {
        let ends = instant(self.exp).ok_or(Distrust::Unreadable)?;
        if now >= ends + SKEW {
            return Err(Distrust::Expired);
        }
        let begins = self.nbf.map(|begin| instant(begin).ok_or(Distrust::Unreadable)).transpose()?;
        if begins.is_some_and(|begins| begins > now + SKEW) { Err(Distrust::NotYet) } else { Ok(()) }
    }

    /// Whether it is over without any skew: then nothing of it needs to be remembered.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        instant(self.exp).is_none_or(|ends| ends <= now)
    }

    /// Whether the channel vouches for an activity: the key's endorsements name its channel, and the claim is the
    /// body's service URL to the letter, a trailing slash aside.
    ///
    /// # Errors
    /// [`NotVouched`].
    pub fn vouch(&self, endorsements: &[String], channel: &str, service_url: &str) -> Result<(), NotVouched> {
        if !endorsements.iter().any(|endorsed| endorsed == channel) {
            return Err(NotVouched::Channel);
        }
        let bare = |url: &str| url.strip_suffix('/').unwrap_or(url).to_owned();
        let is_same = self.serviceurl.as_deref().is_some_and(|claimed| bare(claimed) == bare(service_url));
        if is_same { Ok(()) } else { Err(NotVouched::ServiceUrl) }
    }
}

/// A `NumericDate` (RFC 7519 §2), which may have a fraction; none beyond the years that a calendar has.
fn instant(seconds: f64) -> Option<Timestamp> {
    // Up to the year 9999; the fraction does not matter among minutes.
    #[expect(clippy::cast_possible_truncation, reason = "within bounds that an i64 holds")]
    (0.0..=253_402_300_799.0).contains(&seconds).then(|| Timestamp::from_timestamp(seconds as i64, 0)).flatten()
}
