//! Whatever is taken for a service URL leads to a host on the list, over https, on port 443, and so does each call.
#![no_main]

use herald::protocol::AllowedHosts;
use libfuzzer_sys::fuzz_target;
use url::Url;

const HOSTS: [&str; 8] = [
    "smba.trafficmanager.net",
    "botframework.com",
    "teams.microsoft.com",
    "botframework.azure.us",
    "gcc.teams.microsoft.com",
    "teams.microsoft.us",
    "botframework.azure.cn",
    "bots.example",
];

fn leads_home(text: &str) {
    let url = Url::parse(text).expect("a URL");
    let host = url.host_str().expect("a host");
    assert_eq!((url.scheme(), url.port_or_known_default()), ("https", Some(443)), "{text}");
    assert!(url.username().is_empty() && url.password().is_none(), "{text}");
    let is_below = |known: &&str| host == *known || host.ends_with(&format!(".{known}"));
    assert!(HOSTS.iter().any(is_below), "{text}");
    assert!(!host.ends_with(".trafficmanager.net") || host == HOSTS[0], "{text}");
}

fuzz_target!(|text: &str| {
    let listed = AllowedHosts::listed(["bots.example"]).expect("a list");
    for hosts in [AllowedHosts::public(), AllowedHosts::us_government(), AllowedHosts::china(), listed] {
        if let Ok(url) = hosts.check(text) {
            leads_home(text);
            leads_home(&url.join("v3/conversations/a%3A1/activities"));
        }
    }
});
