//! `herald config` and `herald store`.

use std::sync::Arc;

use super::{Failure, opening, terminal};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, CosmosConfig, CosmosProof, Role, Source, StoreConfig, describe, parse};
use crate::store;
use crate::store::cosmos::{Account, Finding, Layout, Proof, check as look, create, template};
use crate::store::embedded::Embedded;

/// The role by whose rules the settings are judged: as `serve` does, unless the store says otherwise.
fn role(source: &dyn Source) -> Role {
    match source.get("HERALD_STORE").as_deref().map(str::trim) {
        Some("cosmos") => Role::Host,
        Some(_) | None => Role::Serve,
    }
}

fn read(source: &dyn Source) -> Result<Config, Failure> {
    let config = parse(source, role(source))?;
    opening::bot(&config)?;
    Ok(config)
}

/// Who is believed, and how the bot proves itself.
fn boundary(config: &Config) -> String {
    let Some(channel) = &config.trust.channel else {
        return "Activities need no token (HERALD_AUTH is off), and messages carry none.".to_owned();
    };
    let also = if channel.entra { ", or one of Entra for the bot itself," } else { "" };
    let proof = config.bot.as_ref().map(|bot| format!(" It proves itself by {}.", bot.proof)).unwrap_or_default();
    format!("Activities need a token of the channel{also} for the bot {}.{proof}", channel.app_id)
}

fn account(cosmos: &CosmosConfig) -> Result<Account, Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    opening::account(cosmos, &clock)
}

/// `config check`: says everything that is wrong at once, and whether a store in Azure can be used.
///
/// # Errors
/// When something is.
pub async fn check(source: &dyn Source) -> Result<(), Failure> {
    let config = read(source)?;
    terminal::print(&boundary(&config));
    match &config.store {
        StoreConfig::Embedded => {
            let folder = config.data_dir.display();
            terminal::print(&format!("The settings are fine. The store is embedded, in {folder}."));
        }
        StoreConfig::Cosmos(cosmos) => {
            terminal::print(&format!("The settings are fine. The store is {}.", shown(cosmos)));
            let findings = look(&account(cosmos)?, None).await?;
            judge(&findings)?;
            terminal::print(&format!(
                "It was reached, and its {} containers are laid out as expected.",
                findings.len()
            ));
        }
    }
    Ok(())
}

/// `config describe`: every setting, and what is set here.
pub fn show(source: &dyn Source) {
    terminal::print(describe(source, role(source)).trim_end());
}

/// `store init`: lays out the store; safe to repeat.
///
/// # Errors
/// When it cannot be, or not from here.
pub async fn init(source: &dyn Source) -> Result<(), Failure> {
    let config = read(source)?;
    match &config.store {
        StoreConfig::Embedded => {
            Embedded::open(&config.data_dir)?;
            terminal::print(&format!("The store in {} is laid out.", config.data_dir.display()));
            Ok(())
        }
        StoreConfig::Cosmos(cosmos) => init_cosmos(cosmos).await,
    }
}

async fn init_cosmos(cosmos: &CosmosConfig) -> Result<(), Failure> {
    let account = account(cosmos)?;
    if matches!(account.proof, Proof::Identity(_)) {
        return with_identity(cosmos, &account).await;
    }
    let findings = create(&account, None).await?;
    for (layout, finding) in &findings {
        let state = match finding {
            Finding::Created => "created",
            Finding::Fine => "was there",
            Finding::Missing => "missing",
            Finding::Differs(_) => "was there, and differs",
        };
        terminal::print(&format!("{:<14} {state}", layout.name()));
    }
    judge(&findings)?;
    terminal::print(&format!("The store is laid out: {}.", shown(cosmos)));
    Ok(())
}

/// An Entra identity may not create anything: what it finds is said, and what a template must contain.
async fn with_identity(cosmos: &CosmosConfig, account: &Account) -> Result<(), Failure> {
    match look(account, None).await {
        Ok(findings) if judge(&findings).is_ok() => {
            terminal::print(&format!("The store is laid out already: {}.", shown(cosmos)));
            return Ok(());
        }
        Ok(findings) => {
            if let Err(failure) = judge(&findings) {
                terminal::print(&format!("// {}", failure.to_string().replace('\n', "\n// ")));
            }
        }
        Err(error) => terminal::print(&format!("// It could not be looked at: {error}")),
    }
    terminal::print(&format!(
        "// For the template (Bicep) that makes the Cosmos DB account `account`:\n\n{}",
        template(&cosmos.database)
    ));
    Err(Failure::Other(
        "an Entra identity reads and writes documents, but may not create databases or containers: put what is printed \
         above into the template of the account, or run this once with COSMOS_KEY"
            .to_owned(),
    ))
}

/// Everything that is wrong with the containers, at once.
fn judge(findings: &[(Layout, Finding)]) -> Result<(), Failure> {
    let wrong = findings.iter().filter_map(|(layout, finding)| match finding {
        Finding::Created | Finding::Fine => None,
        Finding::Missing => Some(format!("container {} is missing: run `herald store init`", layout.name())),
        Finding::Differs(objections) => Some(format!("container {}: {}", layout.name(), objections.join("; "))),
    });
    let wrong: Vec<_> = wrong.collect();
    if wrong.is_empty() { Ok(()) } else { Err(store::Error::Refused(wrong.join("\n")).into()) }
}

fn shown(cosmos: &CosmosConfig) -> String {
    let who = match &cosmos.proof {
        CosmosProof::Key(_) => "its key (COSMOS_KEY)".to_owned(),
        CosmosProof::Identity(identity) => format!("{identity} (COSMOS_IDENTITY)"),
    };
    format!("Cosmos DB, database {} at {}, by {who}", cosmos.database, cosmos.endpoint)
}
