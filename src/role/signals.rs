//! The ends that come from outside: SIGINT, SIGTERM, and a parent that is gone.

use std::os::unix::process::parent_id;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// How often the parent is looked for.
const LOOK: Duration = Duration::from_secs(1);

/// SIGINT and SIGTERM, watched from the moment this is made.
pub(super) struct Endings(Signal, Signal);

impl Endings {
    /// Begins to watch.
    ///
    /// # Errors
    /// When the system refuses to watch signals.
    pub(super) fn watch() -> std::io::Result<Self> {
        Ok(Self(signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?))
    }

    /// Returns with the first of them.
    pub(super) async fn asked_to_end(&mut self) {
        tokio::select! {
            _ = self.0.recv() => {}
            _ = self.1.recv() => {}
        }
    }
}

/// Who started us. To be asked before anything that takes time.
pub(super) fn parent() -> u32 {
    parent_id()
}

/// Returns when the parent is no longer what it was: a Functions host that stops late leaves its handler behind.
/// Never "is it 1", since a container's host is process 1.
pub(super) async fn orphaned(parent: u32) {
    while parent_id() == parent {
        tokio::time::sleep(LOOK).await;
    }
}
