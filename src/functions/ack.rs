//! How an invocation that failed is told to the host: any 5xx, and the reason in the log first, since the host drops
//! the body (functions-host.md §2, Response).

use thiserror::Error;

use crate::delivery::BadPointer;
use crate::store;

/// Why an invocation failed. The message comes back, and ends as poison when it keeps failing.
#[derive(Debug, Error)]
pub enum Failure {
    /// The store did not do what was asked.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The message points to nothing.
    #[error(transparent)]
    Pointer(#[from] BadPointer),
    /// The host's envelope has another shape than we know.
    #[error("the invocation cannot be read: {0}")]
    Envelope(String),
    /// A mistake of ours brought it down.
    #[error("the invocation was brought down: {0}")]
    Broken(String),
}

impl Failure {
    /// 503 where a later try may succeed, else 500.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Store(error) if error.is_transient() => 503,
            Self::Store(_) | Self::Pointer(_) | Self::Envelope(_) | Self::Broken(_) => 500,
        }
    }
}
