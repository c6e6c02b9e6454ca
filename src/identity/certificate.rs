//! A certificate as proof: a statement about the bot, signed with the certificate's key.
//!
//! Source: Microsoft Learn "Microsoft identity platform application authentication certificate credentials": PS256,
//! `x5t#S256`, audience the token endpoint, issuer and subject the client id, at most some minutes long. The library's
//! own certificate credential would bring OpenSSL.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::clock::Timestamp;

const LIVES: TimeDelta = TimeDelta::minutes(5);

/// A certificate with its key.
pub(super) struct Certificate {
    thumbprint: String,
    key: EncodingKey,
}

impl Certificate {
    /// Reads the first certificate and the first key of a PEM text.
    ///
    /// # Errors
    /// What is missing, or of the wrong kind. Never shows the text.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let blocks = pem::parse_many(text).map_err(|_| "it is not PEM")?;
        let certificate = blocks.iter().find(|block| block.tag() == "CERTIFICATE");
        let certificate = certificate.ok_or("it has no CERTIFICATE")?;
        let key = blocks.iter().find(|block| block.tag().ends_with("PRIVATE KEY"));
        let key = key.ok_or("it has no PRIVATE KEY")?;
        if key.tag().starts_with("ENCRYPTED") {
            return Err("its key is encrypted; Herald takes a key without a passphrase".into());
        }
        let key = EncodingKey::from_rsa_pem(pem::encode(key).as_bytes()).map_err(|_| "its key is no RSA key")?;
        Ok(Self { thumbprint: URL_SAFE_NO_PAD.encode(Sha256::digest(certificate.contents())), key })
    }

    /// The statement: this client, to this endpoint, now.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub(super) fn state(&self, client: &str, endpoint: &str, id: &str, now: Timestamp) -> Result<String, String> {
        let header = Header { x5t_s256: Some(self.thumbprint.clone()), ..Header::new(Algorithm::PS256) };
        let claims = json!({
            "iss": client, "sub": client, "aud": endpoint, "jti": id,
            "iat": now.timestamp(), "nbf": now.timestamp(), "exp": (now + LIVES).timestamp(),
        });
        encode(&header, &claims, &self.key).map_err(|_| "its key cannot sign".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_file_is_said_and_nothing_of_it_shown() {
        let block = |tag: &str| format!("-----BEGIN {tag}-----\nc2VjcmV0\n-----END {tag}-----\n");
        let certificate = block("CERTIFICATE");
        for (text, expected) in [
            ("hunter2".to_owned(), "no CERTIFICATE"),
            (block("PRIVATE KEY"), "no CERTIFICATE"),
            (certificate.clone(), "no PRIVATE KEY"),
            (certificate.clone() + &block("ENCRYPTED PRIVATE KEY"), "encrypted"),
            (certificate.clone() + &block("EC PRIVATE KEY"), "no RSA key"),
            (certificate + &block("PRIVATE KEY"), "no RSA key"),
        ] {
            let Err(reason) = Certificate::parse(&text) else { panic!("{text} was taken") };
            assert!(reason.contains(expected) && !reason.contains("secret"), "{reason}");
        }
    }
}
