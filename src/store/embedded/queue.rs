//! The durable queue of `serve`: what Azure Storage queues are to the Functions host.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::engine::{Engine, failure};
use super::group::{Steps, Turn};
use crate::clock::Timestamp;
use crate::store::Error;

/// A message that somebody works on. It comes back when the process dies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// Its number.
    pub id: i64,
    /// The text as it was put in.
    pub body: String,
    /// How often it was claimed, this time included.
    pub attempts: u32,
}

/// What becomes of a message whose work failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failed {
    /// It is seen again at this instant.
    VisibleAt(Timestamp),
    /// It is moved to `<queue>-poison`.
    Poison,
}

/// Queues in the embedded database.
#[derive(Debug, Clone)]
pub struct EmbeddedQueue {
    engine: Arc<Engine>,
}

impl EmbeddedQueue {
    pub(super) fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }

    /// Puts messages in, all of them or none: `(queue, text)`. One that lies there already, and whose time has come, is
    /// not put in twice: whoever takes it finds what a second one would find.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; nothing was put in.
    pub async fn put(&self, messages: Vec<(String, String)>) -> Result<(), Error> {
        let put = move |turn: &mut Turn<'_>| {
            let sql = "INSERT INTO queue(name, body, visible) SELECT ?1, ?2, 0 WHERE NOT EXISTS
                       (SELECT 1 FROM queue WHERE name = ?1 AND body = ?2 AND claimed = 0 AND visible = 0)";
            let mut statement = turn.connection.prepare_cached(sql).map_err(failure)?;
            for (name, body) in &messages {
                statement.execute(params![name, body]).map_err(failure)?;
            }
            Ok(())
        };
        self.engine.write(Steps::Several, put).await
    }

    /// Takes the oldest visible message, when there is one.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; nothing was taken.
    pub async fn claim(&self, queue: &str, now: Timestamp) -> Result<Option<Claimed>, Error> {
        let (queue, now) = (queue.to_owned(), now.timestamp_micros());
        // Most looks find nothing: only a message costs a write.
        let look = {
            let queue = queue.clone();
            move |connection: &Connection| next(connection, &queue, now).map(|found| found.is_some())
        };
        if !self.engine.read(look).await? {
            return Ok(None);
        }
        let take = move |turn: &mut Turn<'_>| {
            let Some(found) = next(turn.connection, &queue, now)? else { return Ok(None) };
            let sql = "UPDATE queue SET claimed = 1, attempts = ?2 WHERE id = ?1";
            turn.connection.execute(sql, params![found.id, found.attempts]).map_err(failure)?;
            Ok(Some(found))
        };
        self.engine.write(Steps::One, take).await
    }

    /// The work is done: the message goes.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; the message comes back and its work does nothing.
    pub async fn done(&self, id: i64) -> Result<(), Error> {
        let delete = move |turn: &mut Turn<'_>| {
            turn.connection.execute("DELETE FROM queue WHERE id = ?1", [id]).map_err(failure).map(drop)
        };
        self.engine.write(Steps::One, delete).await
    }

    /// The work failed.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; the message comes back with the next start.
    pub async fn failed(&self, id: i64, outcome: Failed) -> Result<(), Error> {
        let settle = move |turn: &mut Turn<'_>| {
            let changed = match outcome {
                Failed::VisibleAt(at) => turn.connection.execute(
                    "UPDATE queue SET claimed = 0, visible = ?2 WHERE id = ?1",
                    params![id, at.timestamp_micros()],
                ),
                Failed::Poison => turn.connection.execute(
                    "UPDATE queue SET claimed = 0, visible = 0, name = name || '-poison' WHERE id = ?1",
                    params![id],
                ),
            };
            changed.map_err(failure).map(drop)
        };
        self.engine.write(Steps::One, settle).await
    }

    /// How many messages a queue holds, claimed ones included.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn length(&self, queue: &str) -> Result<u64, Error> {
        let queue = queue.to_owned();
        let count = move |connection: &Connection| {
            let count =
                connection.query_row("SELECT count(*) FROM queue WHERE name = ?1", [queue], |row| row.get::<_, i64>(0));
            Ok(u64::try_from(count.map_err(failure)?).unwrap_or_default())
        };
        self.engine.read(count).await
    }
}

fn next(connection: &Connection, queue: &str, now: i64) -> Result<Option<Claimed>, Error> {
    let sql = "SELECT id, body, attempts + 1 FROM queue
               WHERE name = ?1 AND claimed = 0 AND visible <= ?2 ORDER BY id LIMIT 1";
    let mut statement = connection.prepare_cached(sql).map_err(failure)?;
    let found = statement.query_row(params![queue, now], |row| {
        Ok(Claimed { id: row.get(0)?, body: row.get(1)?, attempts: row.get(2)? })
    });
    found.optional().map_err(failure)
}
