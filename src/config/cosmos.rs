//! Which store, and for Cosmos DB: where, and who asks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::{Host, Url};

use super::parse::Reader;
use super::{CosmosConfig, CosmosProof, Role, Secret, StoreConfig};
use crate::identity::Identity;

/// Judges the settings even where they are not used: somebody who sets them relies on them.
pub(super) fn store(reader: &mut Reader<'_>, role: Role) -> StoreConfig {
    let is_cosmos = reader.value("HERALD_STORE", role == Role::Host, |text| match text {
        "embedded" => Ok(false),
        "cosmos" => Ok(true),
        _ => Err("expected embedded or cosmos".to_owned()),
    });
    let endpoint = reader.value("COSMOS_ENDPOINT", None, |text| endpoint(text).map(Some));
    let database = reader.value("COSMOS_DATABASE", "herald".to_owned(), database);
    let proof = proof(reader, role);
    if !is_cosmos {
        return StoreConfig::Embedded;
    }
    match endpoint {
        Some(endpoint) => StoreConfig::Cosmos(CosmosConfig { endpoint, database, proof }),
        None => {
            if reader.source.get("COSMOS_ENDPOINT").is_none() {
                reader.blame(
                    "COSMOS_ENDPOINT",
                    "expected https://<name>.documents.azure.com, since the store is cosmos (HERALD_STORE=embedded \
                     keeps everything on this machine)",
                );
            }
            StoreConfig::Embedded
        }
    }
}

fn proof(reader: &mut Reader<'_>, role: Role) -> CosmosProof {
    let client_id = reader.source.get("AZURE_CLIENT_ID").map(|id| id.trim().to_owned());
    let managed = Identity::Managed { client_id };
    let default = match role {
        Role::Host => managed.clone(),
        Role::Serve => Identity::Developer,
    };
    let identity = reader.value("COSMOS_IDENTITY", default, |text| match text {
        "managed" => Ok(managed),
        "workload" => Ok(Identity::Workload),
        "developer" => Ok(Identity::Developer),
        _ => Err("expected managed, workload or developer".to_owned()),
    });
    let key = reader.value("COSMOS_KEY", None, |text| match STANDARD.decode(text) {
        Ok(_) => Ok(Some(Secret::new(text.to_owned()))),
        Err(_) => Err("expected an account key: base64".to_owned()),
    });
    if key.is_some() && reader.source.get("COSMOS_IDENTITY").is_some() {
        reader.blame("COSMOS_IDENTITY", "with COSMOS_KEY no identity is used: unset one of the two");
    }
    key.map_or(CosmosProof::Identity(identity), CosmosProof::Key)
}

/// Plain http would show the key or token to everybody on the way, so it is for loopback.
fn endpoint(text: &str) -> Result<Url, String> {
    let expected = || "expected https://<name>.documents.azure.com; plain http only on loopback".to_owned();
    let url = Url::parse(text).map_err(|_| expected())?;
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let is_bare = url.path() == "/" && url.query().is_none() && url.username().is_empty() && url.password().is_none();
    let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_loopback);
    if is_bare && is_safe && url.has_host() { Ok(url) } else { Err(expected()) }
}

fn database(text: &str) -> Result<String, String> {
    let fits = (1..=255).contains(&text.len()) && !text.contains(['/', '\\', '?', '#']) && !text.contains('\'');
    if fits { Ok(text.to_owned()) } else { Err("expected a name without / \\ ? # and '".to_owned()) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::parse;
    use super::*;

    fn read(role: Role, settings: &[(&str, &str)]) -> Result<StoreConfig, Vec<&'static str>> {
        let source: BTreeMap<_, _> =
            settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let blamed = |problems: super::super::Problems| problems.0.into_iter().map(|one| one.setting).collect();
        parse(&source, role).map(|config| config.store).map_err(blamed)
    }

    fn proof_of(role: Role, settings: &[(&str, &str)]) -> CosmosProof {
        let mut all = vec![("HERALD_STORE", "cosmos"), ("COSMOS_ENDPOINT", "https://x.documents.azure.com")];
        all.extend(settings);
        match read(role, &all) {
            Ok(StoreConfig::Cosmos(cosmos)) => cosmos.proof,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn who_asks_is_the_role_s_own_unless_said_otherwise() {
        let system = CosmosProof::Identity(Identity::Managed { client_id: None });
        let user = CosmosProof::Identity(Identity::Managed { client_id: Some("some-id".into()) });
        assert_eq!(proof_of(Role::Host, &[]), system);
        assert_eq!(proof_of(Role::Host, &[("AZURE_CLIENT_ID", "some-id")]), user);
        assert_eq!(proof_of(Role::Serve, &[]), CosmosProof::Identity(Identity::Developer));
        assert_eq!(
            proof_of(Role::Serve, &[("COSMOS_IDENTITY", "workload")]),
            CosmosProof::Identity(Identity::Workload)
        );
        assert_eq!(proof_of(Role::Host, &[("COSMOS_KEY", "a2V5")]), CosmosProof::Key(Secret::new("a2V5".into())));
    }

    #[test]
    fn an_account_is_reached_by_https_or_on_loopback() {
        for good in
            ["https://x.documents.azure.com:443/", "http://localhost:8081", "http://[::1]:1/", "http://127.0.0.1"]
        {
            assert!(endpoint(good).is_ok(), "{good}");
        }
        for bad in ["http://x.documents.azure.com", "https://x/dbs", "https://u:p@x", "x", "https://x?y", "file:///x"] {
            assert!(endpoint(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_missing_or_contradicts_itself_is_named() {
        assert_eq!(read(Role::Serve, &[("HERALD_STORE", "cosmos")]), Err(vec!["COSMOS_ENDPOINT"]));
        let both = [("COSMOS_KEY", "a2V5"), ("COSMOS_IDENTITY", "managed")];
        assert_eq!(read(Role::Serve, &both), Err(vec!["COSMOS_IDENTITY"]));
        assert_eq!(read(Role::Serve, &[("COSMOS_ENDPOINT", "nowhere")]), Err(vec!["COSMOS_ENDPOINT"]));
        assert_eq!(read(Role::Serve, &[]), Ok(StoreConfig::Embedded));
        assert_eq!(read(Role::Host, &[("HERALD_STORE", "embedded")]), Ok(StoreConfig::Embedded));
    }
}
