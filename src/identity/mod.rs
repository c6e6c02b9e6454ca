//! Who Herald is: to Azure an Entra identity, to the Bot Connector the bot. The only room that names `azure_identity`.

mod bot;
mod certificate;
mod exchange;
mod grace;
mod secret;
mod tokens;
mod transport;

use std::fmt;
use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use azure_core::error::ErrorKind;
use azure_identity::{
    DeveloperToolsCredential, ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
    WorkloadIdentityCredential,
};

pub use bot::{Bot, Proof};
pub use grace::Graceful;
pub use secret::Secret;
pub use tokens::{BotToken, BotTokens, Instead, NoToken};

use crate::clock::Clock;

/// Stands in every message about a token that could not be had, so that it is found in what an SDK makes of it.
pub const NO_TOKEN: &str = " got no token: ";

/// An Entra identity. None is guessed: which one is tried is a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// The function app's (or machine's) own; with a client id, the user-assigned one of that id.
    Managed {
        /// `AZURE_CLIENT_ID`.
        client_id: Option<String>,
    },
    /// A Kubernetes service account: `AZURE_CLIENT_ID`, `AZURE_TENANT_ID`, `AZURE_FEDERATED_TOKEN_FILE`.
    Workload,
    /// Whoever is signed in with `az` or `azd`.
    Developer,
}

impl Identity {
    /// What to do when there is no token.
    fn remedy(&self) -> &'static str {
        match self {
            Self::Managed { client_id: None } => {
                "switch on the function app's system-assigned identity, or name a user-assigned one by AZURE_CLIENT_ID"
            }
            Self::Managed { client_id: Some(_) } => {
                "check that AZURE_CLIENT_ID is the client id of a user-assigned identity of this function app"
            }
            Self::Workload => "check AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_FEDERATED_TOKEN_FILE",
            Self::Developer => "sign in with `az login` or `azd auth login`",
        }
    }

    /// A credential that keeps a living token in use while its renewal fails.
    ///
    /// # Errors
    /// What is missing for it, and what to do.
    pub fn credential(&self, clock: Arc<dyn Clock>) -> Result<Arc<dyn TokenCredential>, String> {
        let made: azure_core::Result<Arc<dyn TokenCredential>> = match self {
            Self::Managed { client_id } => managed(client_id.as_deref()),
            Self::Workload => WorkloadIdentityCredential::new(None).map(|made| made as Arc<dyn TokenCredential>),
            Self::Developer => DeveloperToolsCredential::new(None).map(|made| made as Arc<dyn TokenCredential>),
        };
        let inner = made.map_err(|error| format!("{self} cannot be used: {error}; {}", self.remedy()))?;
        Ok(Arc::new(Graceful::new(inner, self.to_string(), self.remedy(), clock)))
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Managed { client_id: None } => formatter.write_str("the system-assigned managed identity"),
            Self::Managed { client_id: Some(id) } => write!(formatter, "the user-assigned managed identity {id}"),
            Self::Workload => formatter.write_str("the workload identity"),
            Self::Developer => formatter.write_str("the developer's sign-in (az, azd)"),
        }
    }
}

/// A managed identity: of this client id, or the system-assigned one.
fn managed(client_id: Option<&str>) -> azure_core::Result<Arc<dyn TokenCredential>> {
    let user_assigned_id = client_id.map(|id| UserAssignedId::ClientId(id.to_owned()));
    let client_options = transport::direct().map_err(|why| azure_core::Error::with_message(ErrorKind::Io, why))?;
    let options = ManagedIdentityCredentialOptions { user_assigned_id, client_options };
    ManagedIdentityCredential::new(Some(options)).map(|made| made as Arc<dyn TokenCredential>)
}
