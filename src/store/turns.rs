//! Turns within one process: whoever changes the same thing waits here instead of colliding in the store.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use tokio::sync::{Mutex, MutexGuard};

/// How many there are; two who share one only wait for each other.
const TURNS: u64 = 64;

/// Turns by name.
#[derive(Debug, Clone)]
pub struct Turns(Arc<[Mutex<()>]>);

impl Default for Turns {
    fn default() -> Self {
        Self((0..TURNS).map(|_| Mutex::default()).collect())
    }
}

impl Turns {
    /// The turn of whatever goes by this name, once it comes.
    pub async fn of(&self, name: impl Hash) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let turn = hasher.finish() % TURNS;
        self.0[usize::try_from(turn).unwrap_or_default()].lock().await
    }
}
