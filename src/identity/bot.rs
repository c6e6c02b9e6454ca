//! The bot's own identity at Entra, and the credential that proves it.
//!
//! Source: Microsoft Learn "Authenticate requests from your bot to the Bot Connector service", azure-rust.md §5.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::TokenCredential;
use azure_core::error::ErrorKind;
use azure_core::http::{ClientMethodOptions, ClientOptions};
use azure_identity::{
    ClientAssertion, ClientAssertionCredential, ClientAssertionCredentialOptions, ClientSecretCredential,
    ClientSecretCredentialOptions,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use url::{Url, form_urlencoded};

use super::certificate::Certificate;
use super::exchange::Exchange;
use super::transport::direct;
use super::{Secret, managed};
use crate::chance::Chance;
use crate::clock::Clock;

/// How the bot proves itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// `MicrosoftAppPassword`.
    Secret(Secret),
    /// A PEM file with certificate and key; read anew for each token, so that it can be replaced.
    Certificate(PathBuf),
    /// The bot is a user-assigned managed identity.
    Managed,
    /// A managed identity that the registration trusts.
    Federated {
        /// A user-assigned one; none: the system-assigned one.
        client_id: Option<String>,
        /// What its token is for.
        scope: &'static str,
    },
    /// A file with a token that the registration trusts (`AZURE_FEDERATED_TOKEN_FILE`); read anew for each token.
    FederatedFile(PathBuf),
}

impl fmt::Display for Proof {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(_) => formatter.write_str("a secret (MicrosoftAppPassword)"),
            Self::Certificate(_) => formatter.write_str("a certificate (HERALD_APP_CERTIFICATE)"),
            Self::Managed => formatter.write_str("being a managed identity"),
            Self::Federated { client_id: None, .. } => formatter.write_str("the system-assigned managed identity"),
            Self::Federated { client_id: Some(id), .. } => write!(formatter, "the user-assigned managed identity {id}"),
            Self::FederatedFile(_) => formatter.write_str("a token (AZURE_FEDERATED_TOKEN_FILE)"),
        }
    }
}

/// The bot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bot {
    /// Its app id.
    pub app_id: String,
    /// The tenant that gives it tokens.
    pub tenant: String,
    /// Entra: https, or http on loopback.
    pub authority: Url,
    /// What its tokens are for.
    pub scope: String,
    /// How it proves itself.
    pub proof: Proof,
}

impl fmt::Display for Bot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the bot {}", self.app_id)
    }
}

/// What makes a statement about the bot, in place of a secret.
#[derive(Debug)]
pub(super) struct Statement {
    bot: Bot,
    managed: Option<Arc<dyn TokenCredential>>,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
}

impl Bot {
    /// Where tokens are asked for.
    pub(super) fn endpoint(&self) -> String {
        format!("{}/{}/oauth2/v2.0/token", self.authority.as_str().trim_end_matches('/'), self.tenant)
    }

    /// A text of others without the bot's secret.
    pub(super) fn without_secret(&self, text: &str) -> String {
        match &self.proof {
            // A short one would be found everywhere.
            Proof::Secret(secret) if secret.reveal().len() >= 8 => {
                let plain = secret.reveal();
                let form: String = form_urlencoded::byte_serialize(plain.as_bytes()).collect();
                let percent = utf8_percent_encode(plain, NON_ALPHANUMERIC).to_string();
                [plain, &form, &percent]
                    .into_iter()
                    .fold(text.to_owned(), |text, form| text.replace(form, "(not shown)"))
            }
            Proof::Secret(_) => text.to_owned(),
            Proof::Certificate(_) | Proof::Managed | Proof::Federated { .. } | Proof::FederatedFile(_) => {
                text.to_owned()
            }
        }
    }

    /// What to do when there is no token.
    pub(super) fn remedy(&self) -> &'static str {
        match self.proof {
            Proof::Secret(_) => "check MicrosoftAppId, MicrosoftAppTenantId, MicrosoftAppType and MicrosoftAppPassword",
            Proof::Certificate(_) => "check that HERALD_APP_CERTIFICATE is registered with MicrosoftAppId",
            Proof::Managed => "check that MicrosoftAppId is a user-assigned managed identity of this function app",
            Proof::Federated { .. } | Proof::FederatedFile(_) => {
                "check the federated credential of MicrosoftAppId, and MicrosoftAppTenantId"
            }
        }
    }

    /// Looks at files that are needed, so that what is wrong with them is heard at the start.
    ///
    /// # Errors
    /// The setting, and what is wrong with its file.
    pub fn check(&self) -> Result<(), String> {
        match &self.proof {
            Proof::Certificate(path) => certificate(path).map(drop),
            Proof::FederatedFile(path) => federated(path).map(drop),
            Proof::Secret(_) | Proof::Managed | Proof::Federated { .. } => Ok(()),
        }
    }

    /// A credential that has asked for nothing yet: what it once got is not in its cache.
    ///
    /// # Errors
    /// What is missing.
    pub(super) fn credential(
        &self,
        clock: &Arc<dyn Clock>,
        chance: &Arc<dyn Chance>,
    ) -> Result<Arc<dyn TokenCredential>, String> {
        let statement =
            |managed| Statement { bot: self.clone(), managed, clock: Arc::clone(clock), chance: Arc::clone(chance) };
        let statement = match &self.proof {
            Proof::Managed => return managed(Some(&self.app_id)).map_err(|error| error.to_string()),
            Proof::Secret(secret) => return self.with_secret(secret, clock),
            Proof::Federated { client_id, .. } => {
                statement(Some(managed(client_id.as_deref()).map_err(|error| error.to_string())?))
            }
            Proof::Certificate(_) | Proof::FederatedFile(_) => statement(None),
        };
        if self.authority.scheme() == "http" {
            return Exchange::by_statement(self, statement, clock);
        }
        let options = ClientAssertionCredentialOptions { client_options: self.client_options()? };
        let (tenant, app_id) = (self.tenant.clone(), self.app_id.clone());
        let made = ClientAssertionCredential::new(tenant, app_id, statement, Some(options));
        made.map(|made| made as Arc<dyn TokenCredential>).map_err(|error| error.to_string())
    }

    fn with_secret(&self, secret: &Secret, clock: &Arc<dyn Clock>) -> Result<Arc<dyn TokenCredential>, String> {
        if self.authority.scheme() == "http" {
            return Exchange::by_secret(self, secret.clone(), clock);
        }
        let options = ClientSecretCredentialOptions { client_options: self.client_options()? };
        let secret = secret.reveal().to_owned().into();
        let made = ClientSecretCredential::new(&self.tenant, self.app_id.clone(), secret, Some(options));
        made.map(|made| made as Arc<dyn TokenCredential>).map_err(|error| error.to_string())
    }

    fn client_options(&self) -> Result<ClientOptions, String> {
        let mut cloud = CustomConfiguration::default();
        self.authority.as_str().trim_end_matches('/').clone_into(&mut cloud.authority_host);
        Ok(ClientOptions { cloud: Some(Arc::new(CloudConfiguration::Custom(cloud))), ..direct()? })
    }
}

fn certificate(path: &PathBuf) -> Result<Certificate, String> {
    let text = std::fs::read_to_string(path);
    let parsed = text.map_err(|error| error.to_string()).and_then(|text| Certificate::parse(&text));
    // Never the path: what stands there may be the certificate itself.
    parsed.map_err(|reason| format!("HERALD_APP_CERTIFICATE: expected a PEM file with certificate and key; {reason}"))
}

fn federated(path: &PathBuf) -> Result<String, String> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| format!("AZURE_FEDERATED_TOKEN_FILE: expected a file with a token; {error}"))?;
    Ok(text.trim().to_owned())
}

impl Statement {
    /// The statement as it is now.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn text(&self) -> Result<String, String> {
        match (&self.bot.proof, &self.managed) {
            (Proof::Certificate(path), _) => {
                let (id, now) = (self.chance.id(), self.clock.now());
                certificate(path)?.state(&self.bot.app_id, &self.bot.endpoint(), &id, now)
            }
            (Proof::FederatedFile(path), _) => federated(path),
            (Proof::Federated { scope, .. }, Some(managed)) => {
                let token = managed.get_token(&[scope], None).await.map_err(|error| error.to_string())?;
                Ok(token.token.secret().to_owned())
            }
            (Proof::Secret(_) | Proof::Managed | Proof::Federated { .. }, _) => Err("no statement is made".into()),
        }
    }
}

#[async_trait]
impl ClientAssertion for Statement {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        self.text().await.map_err(|why| azure_core::Error::with_message(ErrorKind::Credential, why))
    }
}
