//! Every setting: name, default, meaning. `config describe` and the README show this table, and a test compares them.

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The environment variable, or app setting of the function app.
    pub name: &'static str,
    /// What holds without it.
    pub default: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// Whether its value is never shown.
    pub secret: bool,
}

const fn setting(name: &'static str, default: &'static str, meaning: &'static str) -> Setting {
    Setting { name, default, meaning, secret: false }
}

const fn secret(name: &'static str, default: &'static str, meaning: &'static str) -> Setting {
    Setting { name, default, meaning, secret: true }
}

/// All settings, in the order in which they are described.
pub const SETTINGS: &[Setting] = &[
    setting("MicrosoftAppId", "none: no token is asked for, and none is sent", "the bot's app id"),
    setting(
        "MicrosoftAppType",
        "SingleTenant with MicrosoftAppTenantId, else MultiTenant",
        "SingleTenant, UserAssignedMSI (the bot is a managed identity) or MultiTenant",
    ),
    setting("MicrosoftAppTenantId", "none", "the bot's own tenant"),
    secret("MicrosoftAppPassword", "none", "the bot's client secret"),
    setting(
        "HERALD_APP_CREDENTIAL",
        "secret",
        "how the bot proves itself: secret (MicrosoftAppPassword), certificate (HERALD_APP_CERTIFICATE) or federated (a \
         managed identity's token, AZURE_CLIENT_ID names a user-assigned one; or AZURE_FEDERATED_TOKEN_FILE)",
    ),
    setting("HERALD_APP_CERTIFICATE", "none", "a PEM file with certificate and RSA key"),
    setting("HERALD_CLOUD", "public", "public, usGovernment or china: login, issuers, keys and Bot Connector hosts"),
    setting("HERALD_STORE", "embedded in serve, cosmos in host", "embedded (one instance only) or cosmos"),
    setting(
        "HERALD_DATA_DIR",
        ".herald",
        "the folder of the embedded store, and of the built-in queue of serve; one process at a time",
    ),
    setting("COSMOS_ENDPOINT", "none", "the Cosmos DB account: https://<name>.documents.azure.com"),
    secret("COSMOS_KEY", "none: an Entra identity", "its key, for emulators, tests and store init"),
    setting("COSMOS_DATABASE", "herald", "its database"),
    setting(
        "COSMOS_IDENTITY",
        "developer in serve, managed in host",
        "managed (AZURE_CLIENT_ID names a user-assigned one), workload, or developer (az, azd): who asks without a key",
    ),
    setting("HERALD_LISTEN", "127.0.0.1:3978", "where serve listens; host listens where the Functions host says"),
    setting(
        "HERALD_AUTH",
        "botFramework with an app id, else off",
        "botFramework: activities carry a token of the channel; entra: or one of Entra that the bot's registration asked \
         for, as the Emulator and the Agents Playground send; off: only on loopback and without an app id",
    ),
    setting(
        "HERALD_OPENID_METADATA",
        "the cloud's",
        "where the keys of channel tokens are described: an https URL (http only on loopback)",
    ),
    setting(
        "HERALD_TOKEN_ISSUERS",
        "the cloud's",
        "issuers of channel tokens, separated by commas, in place of the cloud's",
    ),
    setting(
        "HERALD_TOKEN_AUTHORITY",
        "the cloud's",
        "Entra: who issues the bot's own tokens, and whose keys Entra tokens are checked with (http only on loopback)",
    ),
    setting(
        "HERALD_ALLOWED_SERVICE_HOSTS",
        "the cloud's Bot Connector hosts, and loopback while auth is off",
        "host or host:port, separated by commas: where messages may be sent",
    ),
    setting(
        "HERALD_ALLOWED_TENANTS",
        "all",
        "tenant ids, separated by commas: whose activities are taken and whose users are notified",
    ),
    secret(
        "HERALD_API_KEY",
        "none: open on loopback while auth is off, else closed",
        "the key of /api/notifications and /api/users in serve: header x-functions-key, or ?code=",
    ),
    setting(
        "HERALD_API_AUDIENCE",
        "none",
        "in serve: Entra tokens of MicrosoftAppTenantId for this audience with the role Notifications.Send are as good as \
         the key",
    ),
    setting("HERALD_TENANT_RATE", "50", "messages a second to one tenant, 1 to 1000"),
    setting("HERALD_SCHEDULE", "*/15 * * * * *", "when Tick runs: NCRONTAB with six fields, in UTC"),
    setting("HERALD_KEEP_COPILOT_DAYS", "365", "after so many days unseen a Copilot reference counts no more"),
    setting("HERALD_KEEP_DELIVERIES_DAYS", "90", "after so many days finished deliveries fade"),
    setting("RUST_LOG", "info", "what is logged"),
    setting(
        "HERALD_TEAMS_COPILOT_MATCH",
        "none",
        "<JSON pointer>=<value>: which activities with a Copilot marker came from the Copilot window in Teams",
    ),
    setting(
        "HERALD_OPEN_CHAT",
        "never",
        "never, or known: open the Teams chat of somebody known only from Copilot, where the app is installed for them",
    ),
];
