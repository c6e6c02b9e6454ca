//! What can go wrong with a store, said as what the caller can do about it.

use std::time::Duration;

use thiserror::Error;

/// A store operation that did not succeed. No backend's status code gets past this type.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// The document exists already, or it changed since it was read: read it again and decide anew.
    #[error("the document was changed by somebody else")]
    Conflict,
    /// The store asks for fewer requests: come back after the given time.
    #[error("the store is throttling; retry in {} ms", retry_after.as_millis())]
    Throttled {
        /// How long to wait.
        retry_after: Duration,
    },
    /// The store cannot be reached, is busy or did not answer in time: try again later. A change may have been made all
    /// the same; whoever has to know looks.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// A document cannot be understood: a person has to look at it.
    #[error("a stored document cannot be read: {0}")]
    Corrupt(String),
    /// The store will never take this: a person has to look at it.
    #[error("the store refuses this: {0}")]
    Refused(String),
    /// The continuation was not made by this store: tell the caller who sent it.
    #[error("the continuation token is not one of ours")]
    BadContinuation,
}

impl Error {
    /// True where the same call may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Conflict | Self::Throttled { .. } | Self::Unavailable(_) => true,
            Self::Corrupt(_) | Self::Refused(_) | Self::BadContinuation => false,
        }
    }
}
