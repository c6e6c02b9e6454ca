//! Reads all settings and says everything that is wrong at once.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use croner::Cron;
use croner::parser::{CronParser, Seconds};
use tracing_subscriber::EnvFilter;

use super::{Config, Role, Schedule, Secret, Source, cosmos, trust};
use crate::channel::Matcher;
use crate::protocol::{AllowedHosts, Cloud};

/// One thing that is wrong with one setting. Never shows the value: it may be a secret that stands in the wrong place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The setting.
    pub setting: &'static str,
    /// What is allowed.
    pub reason: String,
}

/// Everything that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.0.iter().map(|problem| format!("{}: {}", problem.setting, problem.reason)).collect();
        formatter.write_str(&lines.join("\n"))
    }
}

pub(super) struct Reader<'a> {
    pub(super) source: &'a dyn Source,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    pub(super) fn blame(&mut self, setting: &'static str, reason: impl Into<String>) {
        self.problems.push(Problem { setting, reason: reason.into() });
    }

    /// The value as `read` understands it, or the default.
    pub(super) fn value<T>(
        &mut self,
        name: &'static str,
        default: T,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> T {
        match self.source.get(name).map(|text| read(text.trim())) {
            None => default,
            Some(Ok(value)) => value,
            Some(Err(reason)) => {
                self.blame(name, reason);
                default
            }
        }
    }

    fn number<T: FromStr + PartialOrd + fmt::Display>(
        &mut self,
        name: &'static str,
        default: T,
        (least, most): (T, T),
    ) -> T {
        let expected = format!("expected a number from {least} to {most}");
        let within = |number: &T| *number >= least && *number <= most;
        self.value(name, default, |text| text.parse().ok().filter(within).ok_or(expected))
    }
}

/// Reads the settings of a role.
///
/// # Errors
/// [`Problems`], all of them.
pub fn parse(source: &dyn Source, role: Role) -> Result<Config, Problems> {
    let mut reader = Reader { source, problems: Vec::new() };
    let store = cosmos::store(&mut reader, role);
    let trust::Read { cloud, bot, policy } = trust::trust(&mut reader, role);
    let is_open = policy.channel.is_none();
    let listen = listen(&mut reader, role, is_open);
    let config = Config {
        store,
        data_dir: reader.value("HERALD_DATA_DIR", PathBuf::from(".herald"), |text| Ok(PathBuf::from(text))),
        listen,
        hosts: hosts(&mut reader, cloud, is_open),
        bot,
        trust: policy,
        allowed_tenants: reader.value("HERALD_ALLOWED_TENANTS", None, |text| tenants(text).map(Some)),
        api_key: reader.value("HERALD_API_KEY", None, |text| Ok(Some(Secret::new(text.to_owned())))),
        tenant_rate: reader.number("HERALD_TENANT_RATE", 50, (1, 1000)),
        schedule: reader.value("HERALD_SCHEDULE", default_schedule(), schedule),
        keep_copilot: days(reader.number("HERALD_KEEP_COPILOT_DAYS", 365, (1, 36_500))),
        keep_deliveries: days(reader.number("HERALD_KEEP_DELIVERIES_DAYS", 90, (1, 36_500))),
        teams_copilot: reader.value("HERALD_TEAMS_COPILOT_MATCH", None, |text| {
            Matcher::parse(text).map(Some).map_err(|error| error.to_string())
        }),
        open_chat: reader.value("HERALD_OPEN_CHAT", false, |text| match text {
            "never" => Ok(false),
            "known" => Ok(true),
            _ => Err("expected never or known".to_owned()),
        }),
        log: reader.value("RUST_LOG", "info".to_owned(), filter),
    };
    if reader.problems.is_empty() { Ok(config) } else { Err(Problems(reader.problems)) }
}

fn hosts(reader: &mut Reader<'_>, cloud: Cloud, is_open: bool) -> AllowedHosts {
    let loopback = |hosts: AllowedHosts| if is_open { hosts.with_loopback() } else { hosts };
    reader.value("HERALD_ALLOWED_SERVICE_HOSTS", loopback(cloud.hosts()), |text| {
        let entries = list(text)?;
        let listed = AllowedHosts::listed(entries.iter().map(String::as_str)).map(loopback);
        // Not which one: it may be a secret in the wrong place.
        listed.map_err(|_| "expected host or host:port, separated by commas".to_owned())
    })
}

/// Off loopback somebody else may listen in the way: only where tokens are asked for.
fn listen(reader: &mut Reader<'_>, role: Role, is_open: bool) -> SocketAddr {
    let listen = reader.value("HERALD_LISTEN", SocketAddr::from((Ipv4Addr::LOCALHOST, 3978)), address);
    if role == Role::Serve && is_open && !listen.ip().is_loopback() {
        let reason = "expected an address on loopback, such as 127.0.0.1:3978, while HERALD_AUTH is off";
        reader.blame("HERALD_LISTEN", reason);
    }
    listen
}

pub(super) fn list(text: &str) -> Result<Vec<String>, String> {
    let entries: Vec<_> = text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned).collect();
    if entries.is_empty() { Err("expected a list separated by commas".to_owned()) } else { Ok(entries) }
}

fn tenants(text: &str) -> Result<Vec<String>, String> {
    let tenants = list(text)?;
    let is_one = |tenant: &String| tenant.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    if tenants.iter().all(is_one) { Ok(tenants) } else { Err("expected tenant ids, separated by commas".to_owned()) }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let named = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    named.as_deref().unwrap_or(text).parse().map_err(|_| "expected address:port, such as 127.0.0.1:3978".to_owned())
}

fn days(days: u32) -> Duration {
    Duration::from_secs(u64::from(days) * 24 * 3600)
}

fn filter(text: &str) -> Result<String, String> {
    let read = EnvFilter::builder().parse(text).map(|_| text.to_owned());
    read.map_err(|_| "expected a filter such as info or herald=debug".to_owned())
}

/// NCRONTAB: seconds first (five fields are taken too), day of month and day of week must both match.
fn schedule(text: &str) -> Result<Schedule, String> {
    let parser = CronParser::builder().seconds(Seconds::Optional).dom_and_dow(true).build();
    let expected = || "expected an NCRONTAB expression with six fields, such as */15 * * * * *".to_owned();
    let cron = parser.parse(text).map_err(|_| expected())?;
    // The 30th of February parses, and never comes.
    match cron.find_next_occurrence(&DateTime::<Utc>::UNIX_EPOCH, false) {
        Ok(_) => Ok(Schedule(cron)),
        Err(_) => Err(format!("it never comes; {}", expected())),
    }
}

#[expect(clippy::expect_used, reason = "a constant that a test reads too")]
fn default_schedule() -> Schedule {
    let cron: Cron = schedule("*/15 * * * * *").expect("the default schedule").0;
    Schedule(cron)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::SETTINGS;
    use crate::identity::Proof;

    fn read(settings: &[(&str, &str)]) -> Result<Config, Vec<&'static str>> {
        let source: BTreeMap<_, _> =
            settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let problems = |problems: Problems| problems.0.into_iter().map(|problem| problem.setting).collect();
        parse(&source, Role::Serve).map_err(problems)
    }

    #[test]
    fn nothing_set_is_fine_on_one_machine() {
        let config = read(&[]).expect("a configuration");
        assert_eq!(config.listen.to_string(), "127.0.0.1:3978");
        assert_eq!(config.tenant_rate, 50);
        assert!(config.hosts.check("http://localhost:56150/_connector").is_ok());
        let empty = read(&[("HERALD_LISTEN", ""), ("HERALD_TENANT_RATE", " ")]).expect("a configuration");
        assert_eq!(empty.tenant_rate, 50);
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once_and_no_value_is_shown() {
        let wrong: Vec<_> = SETTINGS.iter().map(|setting| (setting.name, "?hunter2?")).collect();
        let source: BTreeMap<_, _> =
            wrong.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let problems = parse(&source, Role::Serve).expect_err("problems");
        let blamed: Vec<_> = problems.0.iter().map(|problem| problem.setting).collect();
        let free = ["HERALD_DATA_DIR", "HERALD_API_KEY", "MicrosoftAppPassword", "RUST_LOG"];
        for setting in SETTINGS.iter().filter(|setting| !free.contains(&setting.name)) {
            assert!(blamed.contains(&setting.name), "{} is not blamed", setting.name);
        }
        let shown = problems.to_string();
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn off_is_for_loopback_without_an_app_id() {
        assert_eq!(read(&[("HERALD_LISTEN", "0.0.0.0:80")]).expect_err("a problem"), ["HERALD_LISTEN"]);
        let app = read(&[("MicrosoftAppId", APP), ("MicrosoftAppPassword", "x"), ("HERALD_AUTH", "off")]);
        assert_eq!(app.expect_err("problems"), ["HERALD_AUTH"]);
        assert_eq!(
            read(&[("HERALD_AUTH", "entra")]).expect_err("problems"),
            ["MicrosoftAppId", "MicrosoftAppTenantId"]
        );
        let host = |more: (&str, &str)| {
            let source: BTreeMap<_, _> = [("HERALD_STORE", "embedded"), more]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into_iter()
                .collect();
            parse(&source, Role::Host).is_ok()
        };
        assert!(host(("WEBSITE_HOSTNAME", "localhost:7071")), "as Core Tools start it");
        assert!(!host(("WEBSITE_INSTANCE_ID", "0f")), "as Azure does");
    }

    const APP: &str = "11111111-2222-3333-4444-555555555555";
    const TENANT: &str = "99999999-2222-3333-4444-555555555555";

    #[test]
    fn an_app_id_asks_for_tokens_and_closes_loopback() {
        let bot = [("MicrosoftAppId", APP), ("MicrosoftAppPassword", "x"), ("MicrosoftAppTenantId", TENANT)];
        let config = read(&[&bot[..], &[("HERALD_LISTEN", "0.0.0.0:80")]].concat()).expect("a configuration");
        let channel = config.trust.channel.expect("a policy");
        assert_eq!((channel.app_id.as_str(), channel.entra), (APP, false));
        assert_eq!(channel.issuers, ["https://api.botframework.com"]);
        assert!(config.trust.entra.is_none());
        assert!(config.hosts.check("http://localhost:56150/_connector").is_err());
        let bot = config.bot.expect("a bot");
        assert_eq!((bot.tenant.as_str(), bot.authority.as_str()), (TENANT, "https://login.microsoftonline.com/"));
        let shown = format!("{bot:?}");
        assert!(!shown.contains("\"x\""), "{shown}");
    }

    #[test]
    fn each_cloud_has_its_own() {
        for (cloud, issuer, metadata, authority, scope, host) in [
            (
                "public",
                "https://api.botframework.com",
                "https://login.botframework.com/v1/.well-known/openidconfiguration",
                "https://login.microsoftonline.com/",
                "https://api.botframework.com/.default",
                "https://smba.trafficmanager.net/emea/",
            ),
            (
                "usGovernment",
                "https://api.botframework.us",
                "https://login.botframework.azure.us/v1/.well-known/openidconfiguration",
                "https://login.microsoftonline.us/",
                "https://api.botframework.us/.default",
                "https://smba.infra.gov.teams.microsoft.us/gov/",
            ),
            (
                "china",
                "https://api.botframework.azure.cn",
                "https://login.botframework.azure.cn/v1/.well-known/openidconfiguration",
                "https://login.partner.microsoftonline.cn/",
                "https://api.botframework.azure.cn/.default",
                "https://webchat.botframework.azure.cn/",
            ),
        ] {
            let settings = [
                ("HERALD_CLOUD", cloud),
                ("HERALD_AUTH", "entra"),
                ("MicrosoftAppId", APP),
                ("MicrosoftAppTenantId", TENANT),
                ("MicrosoftAppPassword", "x"),
            ];
            let config = read(&settings).expect("a configuration");
            let (bot, channel) = (config.bot.expect("a bot"), config.trust.channel.expect("a policy"));
            assert_eq!((channel.issuers, channel.metadata.as_str()), (vec![issuer.to_owned()], metadata));
            assert_eq!((bot.authority.as_str(), bot.scope.as_str()), (authority, scope));
            let entra = config.trust.entra.expect("a tenant");
            assert_eq!(entra.issuers[1], format!("{authority}{TENANT}/v2.0"));
            assert_eq!(entra.metadata.as_str(), format!("{}/.well-known/openid-configuration", entra.issuers[1]));
            assert!(config.hosts.check(host).is_ok(), "{host}");
        }
    }

    #[test]
    fn each_kind_of_bot_needs_its_proof() {
        let with = |more: &[(&str, &str)]| read(&[&[("MicrosoftAppId", APP)], more].concat());
        let proof = |more: &[(&str, &str)]| with(more).expect("a configuration").bot.expect("a bot").proof;
        let certificate = ("HERALD_APP_CREDENTIAL", "certificate");
        let federated = ("HERALD_APP_CREDENTIAL", "federated");
        let identity = ("MicrosoftAppType", "UserAssignedMSI");
        assert_eq!(with(&[]).expect_err("a problem"), ["MicrosoftAppPassword"]);
        assert_eq!(with(&[certificate]).expect_err("a problem"), ["HERALD_APP_CERTIFICATE"]);
        let single = with(&[("MicrosoftAppType", "SingleTenant"), federated]);
        assert_eq!(single.expect_err("a problem"), ["MicrosoftAppTenantId"]);
        assert_eq!(with(&[identity, federated]).expect_err("a problem"), ["HERALD_APP_CREDENTIAL"]);
        assert_eq!(with(&[federated, ("HERALD_CLOUD", "china")]).expect_err("a problem"), ["MicrosoftAppType"]);
        assert_eq!(proof(&[identity]), Proof::Managed);
        assert_eq!(proof(&[certificate, ("HERALD_APP_CERTIFICATE", "bot.pem")]), Proof::Certificate("bot.pem".into()));
        let scope = "api://AzureADTokenExchange/.default";
        assert_eq!(proof(&[federated]), Proof::Federated { client_id: None, scope });
        let file = ("AZURE_FEDERATED_TOKEN_FILE", "token");
        assert_eq!(proof(&[federated, file]), Proof::FederatedFile("token".into()));
    }

    #[test]
    fn overrides_lead_nowhere_that_can_be_read_along() {
        for name in ["HERALD_OPENID_METADATA", "HERALD_TOKEN_AUTHORITY"] {
            assert!(read(&[(name, "http://127.0.0.1:9000")]).is_ok());
            assert!(read(&[(name, "https://login.example")]).is_ok());
            for bad in ["http://login.example", "login.example", "file:///etc/passwd", "https://user@login.example"] {
                assert_eq!(read(&[(name, bad)]).expect_err("a problem"), [name], "{bad}");
            }
        }
        assert!(read(&[("HERALD_TOKEN_AUTHORITY", "https://login.example/tenant")]).is_err());
    }

    #[test]
    fn in_the_functions_host_an_account_is_asked_for() {
        let bare = BTreeMap::new();
        let problems = parse(&bare, Role::Host).expect_err("a problem");
        assert_eq!(problems.0.first().map(|problem| problem.setting), Some("COSMOS_ENDPOINT"));
    }

    #[test]
    fn a_schedule_means_what_ncrontab_means() {
        use chrono::{TimeZone, Utc};
        let next = |text: &str| {
            let from = Utc.with_ymd_and_hms(2026, 11, 22, 10, 0, 1).single().expect("an instant");
            schedule(text).expect("a schedule").0.find_next_occurrence(&from, false).expect("a next").to_rfc3339()
        };
        assert_eq!(next("*/15 * * * * *"), "2026-11-22T10:00:15+00:00");
        assert_eq!(next("0 0 9 * * 1"), "2026-11-23T09:00:00+00:00", "1 is Monday");
        assert_eq!(next("0 0 9 1 * MON"), "2027-02-01T09:00:00+00:00", "both days must match");
        assert_eq!(next("*/5 * * * *"), "2026-11-22T10:05:00+00:00");
        assert!(schedule("every now and then").is_err());
        assert!(schedule("0 0 0 30 2 *").is_err(), "it never comes");
    }
}
