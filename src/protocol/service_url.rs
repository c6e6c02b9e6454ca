//! Which hosts a reference may point to, and where a message may be sent.
//!
//! The rule is `OutboundHostValidator`'s of the Agents SDK for .NET, made stricter: https on port 443, no user info,
//! no IP literal. `trafficmanager.net` is shared by all of Azure, so only `smba.trafficmanager.net` itself is taken.

use std::fmt;

use thiserror::Error;
use url::{Host, Url};

/// Domains whose sub-domains belong to the Bot Connector, and hosts that are taken only as they are.
const PUBLIC_DOMAINS: [&str; 2] = ["botframework.com", "teams.microsoft.com"];
const PUBLIC_HOSTS: [&str; 1] = ["smba.trafficmanager.net"];
const GOVERNMENT_DOMAINS: [&str; 2] = ["botframework.azure.us", "teams.microsoft.us"];
const CHINA_DOMAINS: [&str; 1] = ["botframework.azure.cn"];

/// Why a service URL is not used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Not an absolute URL.
    #[error("the serviceUrl is not a URL")]
    NotAUrl,
    /// It carries a user name, a password, a query or a fragment.
    #[error("the serviceUrl has parts that a service URL does not have")]
    ExtraParts,
    /// Neither https nor http on loopback.
    #[error("the serviceUrl must be https")]
    Scheme,
    /// Its host or port is not on the list.
    #[error("the host of the serviceUrl is not on the allow-list")]
    Host,
}

/// An entry that is no `host` or `host:port`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is not a host or host:port")]
pub struct BadHost(pub String);

/// A service URL that was checked against the allow-list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceUrl(Url);

impl ServiceUrl {
    /// The URL of a call: the base, one slash, and the path.
    #[must_use]
    pub fn join(&self, path: &str) -> String {
        format!("{}/{path}", self.0.as_str().trim_end_matches('/'))
    }
}

impl fmt::Display for ServiceUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Listed {
    host: String,
    port: Option<u16>,
}

/// The allow-list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AllowedHosts {
    domains: Vec<&'static str>,
    hosts: Vec<&'static str>,
    listed: Vec<Listed>,
    loopback: bool,
}

impl AllowedHosts {
    /// The Bot Connector of the public cloud.
    #[must_use]
    pub fn public() -> Self {
        Self { domains: PUBLIC_DOMAINS.to_vec(), hosts: PUBLIC_HOSTS.to_vec(), ..Self::default() }
    }

    /// The Bot Connector of the US government clouds (GCC uses `…teams.microsoft.com`).
    #[must_use]
    pub fn us_government() -> Self {
        let domains = GOVERNMENT_DOMAINS.into_iter().chain(["gcc.teams.microsoft.com"]).collect();
        Self { domains, ..Self::default() }
    }

    /// The Bot Connector of the cloud in China.
    #[must_use]
    pub fn china() -> Self {
        Self { domains: CHINA_DOMAINS.to_vec(), ..Self::default() }
    }

    /// A list of `host` or `host:port`, in place of a cloud's.
    ///
    /// # Errors
    /// [`BadHost`] for the first entry that is neither.
    pub fn listed<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, BadHost> {
        let listed = entries.into_iter().map(entry).collect::<Result<_, _>>()?;
        Ok(Self { listed, ..Self::default() })
    }

    /// Adds loopback in all its spellings, any port, also over plain http.
    #[must_use]
    pub fn with_loopback(mut self) -> Self {
        self.loopback = true;
        self
    }

    /// Checks a service URL.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn check(&self, service_url: &str) -> Result<ServiceUrl, Refusal> {
        let url = Url::parse(service_url).map_err(|_| Refusal::NotAUrl)?;
        let host = url.host().ok_or(Refusal::NotAUrl)?;
        let bare = url.username().is_empty() && url.password().is_none();
        // Parsers differ about what they mend: nothing that needs mending is taken.
        let is_plain = service_url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        if !bare || !is_plain || url.query().is_some() || url.fragment().is_some() {
            return Err(Refusal::ExtraParts);
        }
        if !is_as_written(service_url, &url) {
            return Err(Refusal::ExtraParts);
        }
        let local = is_loopback(&host);
        if url.scheme() != "https" && !(url.scheme() == "http" && local) {
            return Err(Refusal::Scheme);
        }
        let port = url.port_or_known_default();
        let known = match &host {
            Host::Domain(name) => url.scheme() == "https" && port == Some(443) && self.knows(name),
            Host::Ipv4(_) | Host::Ipv6(_) => false,
        };
        let text = host.to_string();
        let listed = self.listed.iter().any(|entry| entry.admits(&text, url.scheme(), port));
        if known || listed || (local && self.loopback) { Ok(ServiceUrl(url)) } else { Err(Refusal::Host) }
    }

    fn knows(&self, name: &str) -> bool {
        let within =
            |domain: &&str| name.strip_suffix(*domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        self.hosts.contains(&name) || self.domains.iter().any(within)
    }
}

impl Listed {
    /// Without a port the entry means the scheme's own: 443, or 80 for plain http, which only loopback may use.
    fn admits(&self, host: &str, scheme: &str, port: Option<u16>) -> bool {
        let expected = self.port.unwrap_or(if scheme == "https" { 443 } else { 80 });
        self.host == host && port == Some(expected)
    }
}

fn entry(text: &str) -> Result<Listed, BadHost> {
    let bad = || BadHost(text.to_owned());
    let url = Url::parse(&format!("https://{text}/")).map_err(|_| bad())?;
    let plain = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && !text.contains('@');
    let host = url.host_str().filter(|host| plain && !host.contains('*')).ok_or_else(bad)?;
    // The parser drops a port that is the scheme's own; without one the entry means that one anyway.
    Ok(Listed { host: host.to_owned(), port: url.port() })
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

/// Whether scheme, host, port and path stand in the text as the parser understood them: `https:host`, `%2e`, `:0443`, an
/// empty user and `/../` are taken by some and not by others.
fn is_as_written(text: &str, url: &Url) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let (authority, path) = rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash));
    let host = url.host_str().unwrap_or_default();
    let with_port = url.port_or_known_default().map(|port| format!("{host}:{port}"));
    let is_host = authority.eq_ignore_ascii_case(host)
        || with_port.is_some_and(|with_port| authority.eq_ignore_ascii_case(&with_port));
    scheme.eq_ignore_ascii_case(url.scheme()) && is_host && path == url.path()
}

/// Whether what is said to a URL stays between the two: https, or http that does not leave this machine.
#[must_use]
pub fn is_private(url: &Url) -> bool {
    let local = url.host().is_some_and(|host| is_loopback(&host));
    url.scheme() == "https" || (url.scheme() == "http" && local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_connector_hosts_and_nothing_that_looks_like_them() {
        let hosts = AllowedHosts::public();
        for good in [
            "https://smba.trafficmanager.net/emea/11111111-1111-1111-1111-111111111111/",
            "https://SMBA.trafficmanager.net:443/teams",
            "https://smba.infra.gcc.teams.microsoft.com/teams",
            "https://europe.webchat.botframework.com/",
        ] {
            assert!(hosts.check(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("smba.trafficmanager.net/teams", Refusal::NotAUrl),
            ("http://smba.trafficmanager.net/teams", Refusal::Scheme),
            ("https://evil.trafficmanager.net/", Refusal::Host),
            ("https://smba.trafficmanager.net.evil.example/", Refusal::Host),
            ("https://smba.trafficmanager.net./teams", Refusal::Host),
            ("https://evilbotframework.com/", Refusal::Host),
            ("https://smba.trafficmanager.net:8443/", Refusal::Host),
            ("https://smba.trafficmanager.net@evil.example/", Refusal::ExtraParts),
            ("https://evil.example\\@smba.trafficmanager.net/", Refusal::ExtraParts),
            ("https://smba.trafficmanager.net/teams?x=1", Refusal::ExtraParts),
            ("https:smba.trafficmanager.net/teams", Refusal::ExtraParts),
            ("https:///smba.trafficmanager.net/teams", Refusal::ExtraParts),
            ("https://@smba.trafficmanager.net/teams", Refusal::ExtraParts),
            ("https://smba%2etrafficmanager.net/teams", Refusal::ExtraParts),
            ("https://smba.trafficmanager.net:0443/teams", Refusal::ExtraParts),
            ("https://smba.trafficmanager.net/a/../b", Refusal::ExtraParts),
            ("https://2130706433/", Refusal::ExtraParts),
            ("https://127.0.0.1/", Refusal::Host),
            ("http://localhost:3978/", Refusal::Host),
            ("file:///etc/passwd", Refusal::NotAUrl),
        ] {
            assert_eq!(hosts.check(bad), Err(why), "{bad}");
        }
    }

    #[test]
    fn loopback_has_many_spellings_once_it_is_allowed() {
        let hosts = AllowedHosts::public().with_loopback();
        for good in ["http://localhost:56150/_connector", "http://127.0.0.1:1", "http://[::1]:9/", "https://127.0.0.1/"]
        {
            assert!(hosts.check(good).is_ok(), "{good}");
        }
        assert_eq!(hosts.check("http://localhost.evil.example/"), Err(Refusal::Scheme));
        assert_eq!(hosts.check("http://10.0.0.1/"), Err(Refusal::Scheme));
    }

    #[test]
    fn listed_hosts_stand_in_place_of_the_clouds() {
        let hosts = AllowedHosts::listed(["bots.example", "localhost:9000"]).expect("a list");
        assert!(hosts.check("https://bots.example/x").is_ok());
        assert!(hosts.check("http://localhost:9000/").is_ok());
        assert!(hosts.check("http://localhost:9001/").is_err());
        assert!(hosts.check("http://bots.example/").is_err());
        assert!(hosts.check("https://smba.trafficmanager.net/").is_err());
        assert_eq!(AllowedHosts::listed(["a/b"]), Err(BadHost("a/b".into())));
        assert_eq!(AllowedHosts::listed(["*.example"]), Err(BadHost("*.example".into())));
    }

    #[test]
    fn a_call_is_joined_with_one_slash() {
        let hosts = AllowedHosts::public();
        for base in ["https://smba.trafficmanager.net/teams", "https://smba.trafficmanager.net/teams/"] {
            let url = hosts.check(base).expect("a service URL");
            assert_eq!(url.join("v3/conversations"), "https://smba.trafficmanager.net/teams/v3/conversations");
        }
    }
}
