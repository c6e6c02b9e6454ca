//! Who is believed, and who the bot is.

use std::path::PathBuf;

use url::Url;
use uuid::Uuid;

use super::parse::{Reader, list};
use super::{Role, Secret};
use crate::identity::{Bot, Proof};
use crate::protocol::{Cloud, is_private};
use crate::trust::{ChannelPolicy, EntraTenant, Policy};

/// What these settings come to.
pub(super) struct Read {
    pub(super) cloud: Cloud,
    pub(super) bot: Option<Bot>,
    pub(super) policy: Policy,
}

/// `HERALD_AUTH`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Auth {
    Off,
    BotFramework,
    Entra,
}

/// `MicrosoftAppType`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    SingleTenant,
    UserAssignedMsi,
    MultiTenant,
}

/// `HERALD_APP_CREDENTIAL`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Credential {
    Secret,
    Certificate,
    Federated,
}

/// What Azure sets where a Functions host runs for everybody to reach, and Core Tools do not.
const IN_AZURE: [&str; 2] = ["WEBSITE_INSTANCE_ID", "CONTAINER_APP_NAME"];

pub(super) fn trust(reader: &mut Reader<'_>, role: Role) -> Read {
    let expected = "expected public, usGovernment or china";
    let cloud = reader.value("HERALD_CLOUD", Cloud::Public, |text| Cloud::named(text).ok_or(expected.to_owned()));
    let app_id = reader.value("MicrosoftAppId", None, |text| guid(text).map(Some));
    let tenant = reader.value("MicrosoftAppTenantId", None, |text| guid(text).map(Some));
    let authority = reader.value("HERALD_TOKEN_AUTHORITY", url_of(cloud.authority()), |text| authority(text).map(Some));
    let auth = auth(reader, role);
    let audience = audience(reader, role);
    if tenant.is_none() && reader.source.get("MicrosoftAppTenantId").is_none() {
        let why = match (auth, &audience) {
            (Auth::Entra, _) => Some("HERALD_AUTH is entra"),
            (_, Some(_)) => Some("HERALD_API_AUDIENCE is set"),
            (Auth::Off | Auth::BotFramework, None) => None,
        };
        if let Some(why) = why {
            reader.blame("MicrosoftAppTenantId", format!("expected the bot's own tenant, since {why}"));
        }
    }
    for name in ["MicrosoftAppPassword", "HERALD_APP_CREDENTIAL", "HERALD_APP_CERTIFICATE"] {
        let is_alone = reader.source.get("MicrosoftAppId").is_none() && reader.source.get("HERALD_AUTH").is_none();
        if is_alone && reader.source.get(name).is_some() {
            reader.blame(name, "it proves a bot, and MicrosoftAppId names none: set that, or HERALD_AUTH=off");
        }
    }
    let bot = bot(reader, cloud, app_id.clone(), tenant.clone(), authority.clone());
    let channel = channel(reader, cloud, app_id, auth);
    let wants_entra = auth == Auth::Entra || audience.is_some();
    let entra = tenant.zip(authority).filter(|_| wants_entra).and_then(|(tenant, authority)| {
        let metadata = authority.join(&format!("{tenant}/v2.0/.well-known/openid-configuration")).ok()?;
        Some(EntraTenant { issuers: cloud.entra_issuers(&tenant), tenant, metadata })
    });
    Read { cloud, bot, policy: Policy { channel, entra, audience } }
}

/// Fails closed: without a way to check tokens nothing but an open loopback is served.
fn auth(reader: &mut Reader<'_>, role: Role) -> Auth {
    let has_app = reader.source.get("MicrosoftAppId").is_some();
    let default = if has_app { Auth::BotFramework } else { Auth::Off };
    let auth = reader.value("HERALD_AUTH", default, |text| match text {
        "off" if has_app => Err("off goes only without MicrosoftAppId".to_owned()),
        "off" => Ok(Auth::Off),
        "botFramework" => Ok(Auth::BotFramework),
        "entra" => Ok(Auth::Entra),
        _ => Err("expected botFramework, entra or off".to_owned()),
    });
    if auth != Auth::Off && !has_app {
        reader.blame("MicrosoftAppId", "expected the bot's app id, since HERALD_AUTH asks for tokens that name it");
    }
    let is_in_azure = IN_AZURE.iter().any(|name| reader.source.get(name).is_some());
    if auth == Auth::Off && role == Role::Host && is_in_azure {
        reader.blame("MicrosoftAppId", "expected the bot's app id: in Azure everybody reaches /api/messages");
    }
    auth
}

fn channel(reader: &mut Reader<'_>, cloud: Cloud, app_id: Option<String>, auth: Auth) -> Option<ChannelPolicy> {
    let metadata =
        reader.value("HERALD_OPENID_METADATA", url_of(cloud.channel_metadata()), |text| private(text).map(Some));
    let issuers = reader.value("HERALD_TOKEN_ISSUERS", vec![cloud.channel_issuer().to_owned()], |text| {
        let issuers = list(text)?;
        let are_urls = issuers.iter().all(|issuer| Url::parse(issuer).is_ok_and(|url| url.has_host()));
        if are_urls { Ok(issuers) } else { Err("expected issuers as URLs, separated by commas".to_owned()) }
    });
    let (app_id, metadata) = app_id.zip(metadata)?;
    (auth != Auth::Off).then(|| ChannelPolicy { app_id, issuers, metadata, entra: auth == Auth::Entra })
}

/// The Functions host asks for its own keys, whatever Herald would take.
fn audience(reader: &mut Reader<'_>, role: Role) -> Option<String> {
    let is_one = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || ":/._-".contains(c));
    let audience = reader.value("HERALD_API_AUDIENCE", None, |text| {
        let expected = "expected an app id or an application id URI, such as api://herald";
        if is_one(text) { Ok(Some(text.to_owned())) } else { Err(expected.to_owned()) }
    });
    if audience.is_some() && role == Role::Host {
        reader.blame(
            "HERALD_API_AUDIENCE",
            "the Functions host asks for its own keys; this goes in serve only, unset it",
        );
    }
    audience
}

fn bot(
    reader: &mut Reader<'_>,
    cloud: Cloud,
    app_id: Option<String>,
    tenant: Option<String>,
    authority: Option<Url>,
) -> Option<Bot> {
    let default = if tenant.is_some() { Kind::SingleTenant } else { Kind::MultiTenant };
    let kind = reader.value("MicrosoftAppType", default, |text| match text {
        "SingleTenant" => Ok(Kind::SingleTenant),
        "UserAssignedMSI" => Ok(Kind::UserAssignedMsi),
        "MultiTenant" => Ok(Kind::MultiTenant),
        _ => Err("expected SingleTenant, UserAssignedMSI or MultiTenant".to_owned()),
    });
    let credential = credential(reader, kind);
    let (app_id, authority) = app_id.zip(authority)?;
    let proof = proof(reader, cloud, kind, credential);
    let issuer = match kind {
        Kind::MultiTenant => cloud.bot_tenant().map(str::to_owned),
        Kind::SingleTenant | Kind::UserAssignedMsi => tenant,
    };
    if issuer.is_none() && kind == Kind::SingleTenant && reader.source.get("MicrosoftAppTenantId").is_none() {
        reader.blame("MicrosoftAppTenantId", "expected the bot's own tenant, since MicrosoftAppType is SingleTenant");
    }
    if issuer.is_none() && kind == Kind::MultiTenant {
        reader.blame("MicrosoftAppType", "expected SingleTenant or UserAssignedMSI in this cloud");
    }
    let tenant = issuer.unwrap_or_default();
    Some(Bot { app_id, tenant, authority, scope: cloud.connector_scope().to_owned(), proof: proof? })
}

fn credential(reader: &mut Reader<'_>, kind: Kind) -> Credential {
    let credential = reader.value("HERALD_APP_CREDENTIAL", Credential::Secret, |text| match text {
        _ if kind == Kind::UserAssignedMsi => Err("a managed identity needs none: unset it".to_owned()),
        "secret" => Ok(Credential::Secret),
        "certificate" => Ok(Credential::Certificate),
        "federated" => Ok(Credential::Federated),
        _ => Err("expected secret, certificate or federated".to_owned()),
    });
    if credential != Credential::Certificate && reader.source.get("HERALD_APP_CERTIFICATE").is_some() {
        reader.blame("HERALD_APP_CERTIFICATE", "it is used only where HERALD_APP_CREDENTIAL is certificate");
    }
    credential
}

fn proof(reader: &mut Reader<'_>, cloud: Cloud, kind: Kind, credential: Credential) -> Option<Proof> {
    let text = |reader: &mut Reader<'_>, name| reader.source.get(name).map(|text| text.trim().to_owned());
    match (kind, credential) {
        (Kind::UserAssignedMsi, _) => Some(Proof::Managed),
        (Kind::SingleTenant | Kind::MultiTenant, Credential::Secret) => {
            let secret = text(reader, "MicrosoftAppPassword");
            if secret.is_none() {
                let other = "or another proof by HERALD_APP_CREDENTIAL, or MicrosoftAppType=UserAssignedMSI";
                reader.blame("MicrosoftAppPassword", format!("expected the bot's client secret, {other}"));
            }
            secret.map(|secret| Proof::Secret(Secret::new(secret)))
        }
        (Kind::SingleTenant | Kind::MultiTenant, Credential::Certificate) => {
            let file = text(reader, "HERALD_APP_CERTIFICATE").filter(|text| is_path(text));
            if file.is_none() {
                reader.blame("HERALD_APP_CERTIFICATE", "expected the path of a PEM file with certificate and key");
            }
            file.map(|file| Proof::Certificate(PathBuf::from(file)))
        }
        (Kind::SingleTenant | Kind::MultiTenant, Credential::Federated) => {
            let file = text(reader, "AZURE_FEDERATED_TOKEN_FILE").map(|file| Proof::FederatedFile(PathBuf::from(file)));
            let client_id = text(reader, "AZURE_CLIENT_ID");
            Some(file.unwrap_or(Proof::Federated { client_id, scope: cloud.exchange_scope() }))
        }
    }
}

/// What stands in a file is not where the file is.
fn is_path(text: &str) -> bool {
    text.len() <= 512 && !text.contains(['\n', '\r']) && !text.contains("-----")
}

fn guid(text: &str) -> Result<String, String> {
    let parsed = Uuid::try_parse(text).ok().filter(|_| text.len() == 36);
    parsed.map(|id| id.hyphenated().to_string()).ok_or_else(|| "expected a GUID".to_owned())
}

fn url_of(text: &str) -> Option<Url> {
    Url::parse(text).ok()
}

fn private(text: &str) -> Result<Url, String> {
    let url = url_of(text).filter(is_private).filter(|url| url.username().is_empty() && url.password().is_none());
    url.ok_or_else(|| "expected an https URL (plain http only on loopback)".to_owned())
}

fn authority(text: &str) -> Result<Url, String> {
    let url = private(text)?;
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if is_bare { Ok(url) } else { Err("expected a host only, such as https://login.microsoftonline.com".to_owned()) }
}
