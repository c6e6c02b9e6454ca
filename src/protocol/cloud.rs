//! The three clouds that Teams lives in: who signs what arrives, where the bot's tokens come from, and whose hosts
//! messages may go to.
//!
//! Source: `ParameterizedBotFrameworkAuthentication.cs`, `GovernmentAuthenticationConstants.cs`, `cloud_environment.py`
//! of the Teams SDK, and Microsoft Learn "Authenticate requests with the Bot Connector API" and "Entra national clouds".

use super::AllowedHosts;

/// A cloud.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Cloud {
    /// Everybody's.
    #[default]
    Public,
    /// GCC High and `DoD` (GCC itself is in the public cloud).
    UsGovernment,
    /// Operated by 21Vianet.
    China,
}

impl Cloud {
    /// As `HERALD_CLOUD` spells it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "public" => Some(Self::Public),
            "usGovernment" => Some(Self::UsGovernment),
            "china" => Some(Self::China),
            _ => None,
        }
    }

    /// The Bot Connector's hosts.
    #[must_use]
    pub fn hosts(self) -> AllowedHosts {
        match self {
            Self::Public => AllowedHosts::public(),
            Self::UsGovernment => AllowedHosts::us_government(),
            Self::China => AllowedHosts::china(),
        }
    }

    /// Who issues the tokens of activities.
    #[must_use]
    pub fn channel_issuer(self) -> &'static str {
        match self {
            Self::Public => "https://api.botframework.com",
            Self::UsGovernment => "https://api.botframework.us",
            Self::China => "https://api.botframework.azure.cn",
        }
    }

    /// Where the keys of these tokens are described.
    #[must_use]
    pub fn channel_metadata(self) -> &'static str {
        match self {
            Self::Public => "https://login.botframework.com/v1/.well-known/openidconfiguration",
            Self::UsGovernment => "https://login.botframework.azure.us/v1/.well-known/openidconfiguration",
            Self::China => "https://login.botframework.azure.cn/v1/.well-known/openidconfiguration",
        }
    }

    /// What the bot's own tokens are for.
    #[must_use]
    pub fn connector_scope(self) -> &'static str {
        match self {
            Self::Public => "https://api.botframework.com/.default",
            Self::UsGovernment => "https://api.botframework.us/.default",
            Self::China => "https://api.botframework.azure.cn/.default",
        }
    }

    /// Entra's login host.
    #[must_use]
    pub fn authority(self) -> &'static str {
        match self {
            Self::Public => "https://login.microsoftonline.com",
            Self::UsGovernment => "https://login.microsoftonline.us",
            Self::China => "https://login.partner.microsoftonline.cn",
        }
    }

    /// The tenant that gives multi-tenant bots their tokens; none is documented for China.
    #[must_use]
    pub fn bot_tenant(self) -> Option<&'static str> {
        match self {
            Self::Public => Some("botframework.com"),
            Self::UsGovernment => Some("MicrosoftServices.onmicrosoft.us"),
            Self::China => None,
        }
    }

    /// What a managed identity's token is for when Entra takes it in place of a secret.
    #[must_use]
    pub fn exchange_scope(self) -> &'static str {
        match self {
            Self::Public => "api://AzureADTokenExchange/.default",
            Self::UsGovernment => "api://AzureADTokenExchangeUSGov/.default",
            Self::China => "api://AzureADTokenExchangeChina/.default",
        }
    }

    /// How Entra names itself in the tokens of a tenant: version 1 and version 2.
    #[must_use]
    pub fn entra_issuers(self, tenant: &str) -> [String; 2] {
        let first = match self {
            Self::Public | Self::UsGovernment => "https://sts.windows.net",
            Self::China => "https://sts.chinacloudapi.cn",
        };
        [format!("{first}/{tenant}/"), format!("{}/{tenant}/v2.0", self.authority())]
    }
}
