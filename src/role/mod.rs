//! What the binary can be. Roles differ only in who triggers a function and which adapters are plugged in.

pub mod demo;
pub mod host;
mod opening;
pub mod operator;
pub mod package;
mod progress;
mod pump;
pub mod serve;
pub mod settings;
mod signals;
pub mod terminal;
mod timer;

use std::time::Duration;

use thiserror::Error;

/// How long the end of a process may take.
const DRAIN: Duration = Duration::from_secs(15);

/// Why a role ended early: said to the person who started it, with an exit code.
#[derive(Debug, Error)]
pub enum Failure {
    /// The settings are wrong: exit code 2.
    #[error("the settings are wrong:\n{0}")]
    Settings(#[from] crate::config::Problems),
    /// What was asked for cannot be understood: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// The data directory cannot be used: exit code 1.
    #[error(transparent)]
    Store(#[from] crate::store::embedded::OpenError),
    /// The address cannot be listened on: exit code 1.
    #[error("{0} (HERALD_LISTEN)")]
    Listen(#[from] crate::http::ListenError),
    /// The store in Azure cannot be used: exit code 1.
    #[error(transparent)]
    Cosmos(#[from] crate::store::Error),
    /// Anything else that a person has to know: exit code 1.
    #[error("{0}")]
    Other(String),
}

impl Failure {
    /// The exit code.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Settings(_) | Self::Usage(_) => 2,
            Self::Store(_) | Self::Cosmos(_) | Self::Listen(_) | Self::Other(_) => 1,
        }
    }
}
