//! The keys that tokens are signed with, and when to ask for them again. Pure.
//!
//! The rule is `openIdMetadata.ts`'s of the Bot Framework: asked for every 24 hours; an unknown key id asks at most
//! once an hour, or a flood of made-up ids would become a flood of requests; old keys are kept while asking fails.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use serde_json::Value;

use crate::clock::{Timestamp, until};

/// Keys older than this are asked for again.
const FRESH: TimeDelta = TimeDelta::hours(24);
/// How long after the last look an unknown key id is worth another.
const UNKNOWN: TimeDelta = TimeDelta::hours(1);
/// How long after a failed look the next one comes.
const AGAIN: TimeDelta = TimeDelta::seconds(10);

/// A key as it is published (RFC 7517), with the Bot Framework's own `endorsements`.
#[derive(Debug, Deserialize)]
struct Published {
    kty: String,
    kid: String,
    n: String,
    e: String,
    #[serde(default, rename = "use")]
    purpose: Option<String>,
    #[serde(default)]
    alg: Option<String>,
    #[serde(default)]
    issuer: Option<String>,
    #[serde(default)]
    endorsements: Vec<String>,
}

/// An RSA key.
#[derive(Clone)]
pub struct PublicKey {
    modulus: String,
    exponent: String,
    /// Whom it signs for, where it says so: Entra publishes keys of other issuers beside a tenant's own, and
    /// `{tenantid}` stands for all tenants.
    pub issuer: Option<String>,
    /// The channels that it may speak for.
    pub endorsements: Vec<String>,
    /// The same, ready for use.
    pub decoding: DecodingKey,
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("PublicKey").field("endorsements", &self.endorsements).finish_non_exhaustive()
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.modulus == other.modulus
            && self.exponent == other.exponent
            && self.issuer == other.issuer
            && self.endorsements == other.endorsements
    }
}

/// Keys by id.
pub type KeySet = HashMap<String, Arc<PublicKey>>;

/// Reads a published set. Keys of other kinds are passed over, and so is a second key of the same id.
///
/// # Errors
/// When it is no set of keys, or has none that can be used.
pub fn read(text: &str) -> Result<KeySet, String> {
    let document: Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    let listed = document.get("keys").and_then(Value::as_array).ok_or("there is no list of keys")?;
    let mut keys = KeySet::new();
    for published in listed.iter().filter_map(|key| Published::deserialize(key).ok()) {
        let is_for_signing = published.purpose.as_deref().is_none_or(|purpose| purpose == "sig");
        if let Some(key) = usable(&published).filter(|_| is_for_signing) {
            keys.entry(published.kid).or_insert_with(|| Arc::new(key));
        }
    }
    if keys.is_empty() { Err("none of its keys can be used".into()) } else { Ok(keys) }
}

fn usable(published: &Published) -> Option<PublicKey> {
    let decoding = DecodingKey::from_rsa_components(&published.n, &published.e).ok()?;
    let is_ours = published.kty == "RSA" && published.alg.as_deref().is_none_or(|alg| alg == "RS256");
    is_ours.then(|| PublicKey {
        issuer: published.issuer.clone(),
        modulus: published.n.clone(),
        exponent: published.e.clone(),
        endorsements: published.endorsements.clone(),
        decoding,
    })
}

/// What is known, and since when.
#[derive(Debug, Clone, Default)]
pub struct Known {
    keys: KeySet,
    fetched: Option<Timestamp>,
    failed: Option<Timestamp>,
}

/// What is to be done about a key id.
#[derive(Debug, Clone)]
pub enum Lookup {
    /// Here it is.
    Found(Arc<PublicKey>),
    /// Keys should be asked for first.
    Ask,
    /// There is no such key.
    Unknown,
    /// No keys could be had yet; come back then.
    NotThere(Duration),
}

impl Known {
    /// Looks a key up.
    #[must_use]
    pub fn look_up(&self, id: &str, now: Timestamp) -> Lookup {
        if let Some(key) = self.keys.get(id) {
            return Lookup::Found(Arc::clone(key));
        }
        // A clock that was put back makes what lies ahead mean nothing.
        let looked = self.fetched.max(self.failed).filter(|looked| *looked <= now);
        match (self.fetched, looked) {
            (None, Some(looked)) if now < looked + AGAIN => Lookup::NotThere(until(now, looked + AGAIN)),
            (Some(_), Some(looked)) if now < looked + UNKNOWN => Lookup::Unknown,
            (None | Some(_), None | Some(_)) => Lookup::Ask,
        }
    }

    /// Whether a key is still what it was.
    #[must_use]
    pub fn still_has(&self, id: &str, key: &PublicKey) -> bool {
        self.keys.get(id).is_some_and(|known| std::ptr::eq(known.as_ref(), key) || **known == *key)
    }

    /// When keys are asked for next.
    #[must_use]
    pub fn next(&self, now: Timestamp) -> Timestamp {
        let next = match (self.fetched, self.failed) {
            (None, None) => now,
            (_, Some(failed)) => (failed + AGAIN).min(now + AGAIN),
            (Some(fetched), None) if fetched > now => now,
            (Some(fetched), None) => fetched + FRESH,
        };
        next.max(now)
    }

    /// Keys came.
    pub fn learn(&mut self, keys: KeySet, now: Timestamp) {
        *self = Self { keys, fetched: Some(now), failed: None };
    }

    /// None came; those that there are stay.
    pub fn fail(&mut self, now: Timestamp) {
        self.failed = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = r#"{"keys":[
        {"kty":"EC","kid":"curve","x":"AQ","y":"AQ","crv":"P-256"},
        {"kty":"RSA","kid":"a","use":"sig","n":"AQAB","e":"AQAB","endorsements":["msteams"],"x5t":"a"},
        {"kty":"RSA","kid":"a","n":"AQAC","e":"AQAB","endorsements":["webchat"]},
        {"kty":"RSA","kid":"enc","use":"enc","n":"AQAB","e":"AQAB"},
        {"kty":"RSA","kid":"long","alg":"RS512","n":"AQAB","e":"AQAB"},
        {"kty":"RSA","kid":"broken","n":"not base64url!","e":"AQAB"},
        17]}"#;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_timestamp(1_800_000_000, 0).expect("an instant") + TimeDelta::hours(hours)
    }

    fn is_unknown(lookup: &Lookup) -> bool {
        matches!(lookup, Lookup::Unknown)
    }

    #[test]
    fn a_set_is_read_for_what_can_be_used() {
        let keys = read(KEY).expect("keys");
        assert_eq!(keys.keys().collect::<Vec<_>>(), ["a"]);
        assert_eq!(keys["a"].endorsements, ["msteams"]);
        for nothing in ["", "[]", r#"{"keys":{}}"#, r#"{"keys":[]}"#, "<html>"] {
            assert!(read(nothing).is_err(), "{nothing}");
        }
    }

    #[test]
    fn unknown_ids_are_looked_for_once_an_hour() {
        let mut known = Known::default();
        assert!(matches!(known.look_up("a", at(0)), Lookup::Ask));
        known.learn(read(KEY).expect("keys"), at(0));
        assert!(matches!(known.look_up("a", at(0)), Lookup::Found(_)));
        assert!(is_unknown(&known.look_up("b", at(0))));
        assert!(matches!(known.look_up("b", at(1)), Lookup::Ask));
        known.fail(at(1));
        assert!(is_unknown(&known.look_up("b", at(1))), "a failed look counts as one");
        assert!(matches!(known.look_up("b", at(2)), Lookup::Ask));
    }

    #[test]
    fn a_clock_that_was_put_back_stops_nothing() {
        let mut known = Known::default();
        known.learn(read(KEY).expect("keys"), at(9000));
        assert!(matches!(known.look_up("b", at(0)), Lookup::Ask));
        assert_eq!(known.next(at(0)), at(0));
        known.fail(at(9000));
        assert_eq!(known.next(at(0)), at(0) + AGAIN);
    }

    #[test]
    fn old_keys_stay_while_asking_fails() {
        let mut known = Known::default();
        known.learn(read(KEY).expect("keys"), at(0));
        assert_eq!(known.next(at(1)), at(24));
        known.fail(at(24));
        assert_eq!(known.next(at(24)), at(24) + AGAIN);
        assert!(matches!(known.look_up("a", at(1000)), Lookup::Found(_)));
    }

    #[test]
    fn without_any_keys_the_caller_comes_back_within_seconds() {
        let mut known = Known::default();
        known.fail(at(0));
        assert!(matches!(known.look_up("a", at(0)), Lookup::NotThere(wait) if wait == Duration::from_secs(10)));
        assert!(matches!(known.look_up("a", at(0) + AGAIN), Lookup::Ask));
        assert_eq!(known.next(at(0)), at(0) + AGAIN);
    }
}
