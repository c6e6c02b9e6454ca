//! A token service on loopback over plain http, as tests and developers have it: `azure_identity` refuses http, so the
//! form is posted here. Never used for anything that is not on this machine.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::ErrorKind;
use azure_core::time::OffsetDateTime;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use url::form_urlencoded::Serializer;

use super::bot::Statement;
use super::transport::client;
use super::{Bot, Secret};
use crate::clock::Clock;

const STATEMENT: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

#[derive(Debug)]
enum Proof {
    Secret(Secret),
    Statement(Box<Statement>),
}

/// Exchanges a proof for tokens (RFC 6749 §4.4, RFC 7523 §2.2).
#[derive(Debug)]
pub(super) struct Exchange {
    bot: Bot,
    proof: Proof,
    http: reqwest::Client,
    clock: Arc<dyn Clock>,
}

/// Either of the two that a token service answers.
#[derive(Deserialize)]
struct Answer {
    access_token: Option<String>,
    expires_in: Option<i64>,
    error: Option<String>,
    error_description: Option<String>,
}

impl Exchange {
    pub(super) fn by_secret(
        bot: &Bot,
        secret: Secret,
        clock: &Arc<dyn Clock>,
    ) -> Result<Arc<dyn TokenCredential>, String> {
        Self::made(bot, Proof::Secret(secret), clock)
    }

    pub(super) fn by_statement(
        bot: &Bot,
        statement: Statement,
        clock: &Arc<dyn Clock>,
    ) -> Result<Arc<dyn TokenCredential>, String> {
        Self::made(bot, Proof::Statement(Box::new(statement)), clock)
    }

    fn made(bot: &Bot, proof: Proof, clock: &Arc<dyn Clock>) -> Result<Arc<dyn TokenCredential>, String> {
        let http = client()?;
        Ok(Arc::new(Self { bot: bot.clone(), proof, http, clock: Arc::clone(clock) }))
    }

    async fn form(&self, scope: &str) -> Result<String, String> {
        let proof = match &self.proof {
            Proof::Secret(secret) => vec![("client_secret", secret.reveal().to_owned())],
            Proof::Statement(statement) => {
                let text = statement.text().await?;
                vec![("client_assertion_type", STATEMENT.to_owned()), ("client_assertion", text)]
            }
        };
        let asked = [("grant_type", "client_credentials"), ("client_id", &self.bot.app_id), ("scope", scope)];
        Ok(Serializer::new(String::new()).extend_pairs(asked).extend_pairs(proof).finish())
    }

    async fn exchange(&self, scope: &str) -> Result<AccessToken, String> {
        let request = self.http.post(self.bot.endpoint()).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let answered = request.body(self.form(scope).await?).send().await;
        let answered = answered.map_err(|error| error.without_url().to_string())?;
        let status = answered.status().as_u16();
        let answer: Answer = answered.json().await.map_err(|_| format!("it answered {status} without JSON"))?;
        let seconds = answer.expires_in.unwrap_or(3600).clamp(0, 24 * 3600);
        let ends = OffsetDateTime::from_unix_timestamp(self.clock.now().timestamp() + seconds);
        match (answer.access_token, ends) {
            (Some(token), Ok(ends)) => Ok(AccessToken::new(token, ends)),
            _ => {
                let said: Vec<_> = [answer.error, answer.error_description].into_iter().flatten().collect();
                Err(format!("it answered {status} {}", said.join(": ")))
            }
        }
    }
}

#[async_trait]
impl TokenCredential for Exchange {
    async fn get_token(&self, scopes: &[&str], _: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
        let exchanged = self.exchange(&scopes.join(" ")).await;
        exchanged.map_err(|why| azure_core::Error::with_message(ErrorKind::Credential, why))
    }
}
