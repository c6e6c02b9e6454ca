//! `herald config` and `herald store`.

use super::{Failure, terminal};
use crate::config::{Role, Source, describe, parse};
use crate::store::embedded::Embedded;

/// The role by whose rules the settings are judged: as `serve` does, unless the store says otherwise.
fn role(source: &dyn Source) -> Role {
    match source.get("HERALD_STORE").as_deref().map(str::trim) {
        Some("cosmos") => Role::Host,
        Some(_) | None => Role::Serve,
    }
}

/// `config check`: says everything that is wrong at once.
///
/// # Errors
/// When something is.
pub fn check(source: &dyn Source) -> Result<(), Failure> {
    let config = parse(source, role(source))?;
    terminal::print(&format!("The settings are fine. The store is embedded, in {}.", config.data_dir.display()));
    Ok(())
}

/// `config describe`: every setting, and what is set here.
pub fn show(source: &dyn Source) {
    terminal::print(describe(source).trim_end());
}

/// `store init`: lays out the store; safe to repeat.
///
/// # Errors
/// When the directory cannot be used.
pub fn init(source: &dyn Source) -> Result<(), Failure> {
    let config = parse(source, role(source))?;
    Embedded::open(&config.data_dir)?;
    terminal::print(&format!("The store in {} is laid out.", config.data_dir.display()));
    Ok(())
}
