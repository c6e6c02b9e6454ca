//! Tables and settings of the database file.

use rusqlite::Connection;

/// Raised with every change of the tables; an older Herald refuses a newer file.
const VERSION: i64 = 1;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS docs (
  collection TEXT NOT NULL, pk TEXT NOT NULL, id TEXT NOT NULL,
  body TEXT NOT NULL, etag INTEGER NOT NULL,
  tag TEXT, due INTEGER, rank INTEGER, expires INTEGER);
CREATE UNIQUE INDEX IF NOT EXISTS docs_key ON docs(collection, pk, id);
CREATE INDEX IF NOT EXISTS docs_tag ON docs(collection, tag, pk, id) WHERE tag IS NOT NULL;
CREATE INDEX IF NOT EXISTS docs_due ON docs(collection, due, pk, id) WHERE due IS NOT NULL;
CREATE INDEX IF NOT EXISTS docs_rank ON docs(collection, rank DESC, pk, id) WHERE rank IS NOT NULL;
CREATE INDEX IF NOT EXISTS docs_expires ON docs(expires) WHERE expires IS NOT NULL;
CREATE TABLE IF NOT EXISTS queue (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, body TEXT NOT NULL,
  visible INTEGER NOT NULL, claimed INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS queue_next ON queue(name, claimed, visible, id);
CREATE INDEX IF NOT EXISTS queue_body ON queue(name, body);
";

/// Settings of a connection that writes. `FULL`: an activity is answered only once it would survive a power cut.
/// The busy time is short because our lock keeps other Heralds out, and a caller waits behind it.
pub(super) fn prepare_writer(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(std::time::Duration::from_secs(2))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // What is written again and again is copied into the database once: at most 16 MiB wait for that.
    connection.pragma_update(None, "wal_autocheckpoint", 4000)?;
    // The pages of those who talk at a time: at most so many KiB, and none before they are read.
    connection.pragma_update(None, "cache_size", -8192)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// Settings of a connection that only reads.
pub(super) fn prepare_reader(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(std::time::Duration::from_secs(2))?;
    connection.pragma_update(None, "query_only", true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// Lays out the tables; `Err` with a reason when the file was written by a newer Herald.
pub(super) fn lay_out(connection: &Connection) -> Result<(), String> {
    let found: i64 =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(|error| error.to_string())?;
    if found > VERSION {
        return Err(format!("it was written by a newer Herald (layout {found}, this one knows {VERSION})"));
    }
    connection.execute_batch(TABLES).map_err(|error| error.to_string())?;
    connection.pragma_update(None, "user_version", VERSION).map_err(|error| error.to_string())
}
