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

/// Said of what this version refuses rather than ignores.
const LATER: &str = "(refused by this version)";

/// All settings, in the order in which they are described.
pub const SETTINGS: &[Setting] = &[
    setting("MicrosoftAppId", LATER, "the bot's app id"),
    setting("MicrosoftAppType", LATER, "SingleTenant, UserAssignedMSI or MultiTenant"),
    setting("MicrosoftAppTenantId", LATER, "the bot's own tenant"),
    secret("MicrosoftAppPassword", LATER, "the bot's client secret"),
    setting("HERALD_APP_CREDENTIAL", LATER, "how the bot proves itself: secret, certificate or federated"),
    setting("HERALD_APP_CERTIFICATE", LATER, "a PEM file with certificate and key"),
    setting("HERALD_CLOUD", "public", "public, usGovernment or china: whose Bot Connector hosts are allowed"),
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
        "off",
        "off: only on loopback and without an app id; botFramework and entra are refused by this version",
    ),
    setting("HERALD_OPENID_METADATA", LATER, "where the keys of inbound tokens are described"),
    setting("HERALD_TOKEN_ISSUERS", LATER, "further issuers of inbound tokens"),
    setting("HERALD_TOKEN_AUTHORITY", LATER, "who issues the bot's own tokens"),
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
    setting("HERALD_API_AUDIENCE", LATER, "accept Entra tokens for this audience in place of the key"),
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
    setting("HERALD_OPEN_CHAT", "never", "never; known is refused by this version"),
];

/// Whether this version refuses the setting.
pub(super) fn is_refused(setting: &Setting) -> bool {
    setting.default == LATER
}
