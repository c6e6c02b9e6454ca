//! The embedded store: one SQLite file in WAL mode, one writer that commits in groups, readers beside it, and what was
//! committed or read lately at hand without a trip to either.
//!
//! The engine is named nowhere else in the crate. A lock on the directory proves that nobody else uses the file.

mod cache;
mod documents;
mod engine;
mod group;
mod partition_key;
mod queue;
mod schema;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

pub use documents::EmbeddedStore;
pub use queue::{Claimed, EmbeddedQueue, Failed};

use engine::Engine;

/// The name of the database file within the data directory.
pub const DATABASE: &str = "herald.db";

/// Why a data directory cannot be used.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process holds the directory: end it, or wait for it.
    #[error("the data directory {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The directory cannot be created, read or written.
    #[error("the data directory {} cannot be used: {source}", directory.display())]
    Directory {
        /// Which one.
        directory: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not ours, damaged, or of a newer Herald.
    #[error("the database {} cannot be opened: {reason}", file.display())]
    Database {
        /// Which one.
        file: PathBuf,
        /// What the engine said.
        reason: String,
    },
}

/// An open data directory, with its documents and its queue.
#[derive(Debug, Clone)]
pub struct Embedded {
    engine: Arc<Engine>,
}

impl Embedded {
    /// Takes the directory (created if missing) and opens the database in it.
    ///
    /// # Errors
    /// See [`OpenError`]; [`OpenError::InUse`] may pass by itself.
    pub fn open(directory: &Path) -> Result<Self, OpenError> {
        Ok(Self { engine: Arc::new(Engine::open(directory)?) })
    }

    /// Ends the use of the directory, so that another process can have it: what is being written is finished, what
    /// comes later is refused as [`Unavailable`](crate::store::Error::Unavailable).
    pub fn close(&self) {
        self.engine.close();
    }

    /// The document store.
    #[must_use]
    pub fn store(&self) -> EmbeddedStore {
        EmbeddedStore::new(Arc::clone(&self.engine))
    }

    /// The durable queue.
    #[must_use]
    pub fn queue(&self) -> EmbeddedQueue {
        EmbeddedQueue::new(Arc::clone(&self.engine))
    }
}
