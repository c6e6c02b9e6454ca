//! The database connections: one writer that commits whatever has gathered as a group, and a pool of readers.

use std::fmt;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use super::cache::Cache;
use super::group::{Job, Steps, Turn, Work};
use super::{DATABASE, OpenError, schema};
use crate::store::{Document, Error, Key};

/// Changes that wait, and whether somebody is on the way to commit them.
#[derive(Default)]
struct Waiting {
    jobs: Vec<Box<dyn Job>>,
    scheduled: bool,
}

/// Lets the next change schedule again, even when the runtime ended between two groups.
struct Unschedule<'a>(&'a Engine);

impl Drop for Unschedule<'_> {
    fn drop(&mut self) {
        let mut waiting = hold(&self.0.waiting);
        waiting.scheduled = false;
        // Whoever waits learns that nothing came of it, instead of waiting for the next who writes.
        waiting.jobs.clear();
    }
}

/// So many turns of the runtime a group gathers at most.
const TURNS: usize = 8;

/// A list of more keys is a page of an audience: nobody asks for them again soon, and they would push out others.
const CROWD: usize = 16;

/// Readers beside the writer; each is a connection and a thread while it reads.
const READERS: usize = 8;

/// An open database.
pub(super) struct Engine {
    /// None once closed.
    writer: Mutex<Option<Connection>>,
    waiting: Mutex<Waiting>,
    cache: Cache,
    readers: Mutex<Vec<Connection>>,
    /// How many may read at once.
    reading: Semaphore,
    closed: AtomicBool,
    next_etag: AtomicI64,
    file: std::path::PathBuf,
    /// Held until the engine is closed; the system lets go of it however the process ends.
    lock: File,
}

impl fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Engine").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Engine {
    pub(super) fn open(directory: &Path) -> Result<Self, OpenError> {
        let lock = lock(directory)?;
        let file = directory.join(DATABASE);
        let refuse = |reason: String| OpenError::Database { file: file.clone(), reason };
        let writer = Connection::open(&file).map_err(|error| refuse(error.to_string()))?;
        schema::prepare_writer(&writer).map_err(|error| refuse(error.to_string()))?;
        schema::lay_out(&writer).map_err(refuse)?;
        let newest = newest_etag(&writer).map_err(|error| refuse(error.to_string()))?;
        // Whoever claimed a message before is gone: the lock proves it.
        let freed = writer.execute("UPDATE queue SET claimed = 0 WHERE claimed = 1", []);
        freed.map_err(|error| refuse(error.to_string()))?;
        Ok(Self {
            writer: Mutex::new(Some(writer)),
            waiting: Mutex::default(),
            cache: Cache::default(),
            readers: Mutex::default(),
            reading: Semaphore::new(READERS),
            closed: AtomicBool::new(false),
            next_etag: AtomicI64::new(newest + 1),
            file,
            lock,
        })
    }

    /// A version number that was never given before.
    pub(super) fn next_etag(&self) -> i64 {
        self.next_etag.fetch_add(1, Ordering::Relaxed)
    }

    /// Makes a change durable, together with others that wait at the time.
    pub(super) async fn write<F, T>(self: &Arc<Self>, steps: Steps, change: F) -> Result<T, Error>
    where
        F: FnOnce(&mut Turn<'_>) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        let (work, answer) = Work::new(change, steps);
        let idle = {
            let mut waiting = hold(&self.waiting);
            waiting.jobs.push(Box::new(work));
            !std::mem::replace(&mut waiting.scheduled, true)
        };
        if idle {
            tokio::spawn(Arc::clone(self).commit_what_waits());
        }
        answer.await.unwrap_or_else(|_| Err(Error::Unavailable("the writer has stopped".into())))
    }

    /// Group after group, as long as there is one. Whoever waits is told here and not by the thread that commits: it
    /// would be interrupted by each of them, and the next group is what they and others ask for meanwhile.
    async fn commit_what_waits(self: Arc<Self>) {
        let unschedule = Unschedule(&self);
        loop {
            self.gather().await;
            let Some(mut group) = self.next_group() else { break };
            let engine = Arc::clone(&self);
            let committing = tokio::task::spawn_blocking(move || {
                let committed = match hold(&engine.writer).as_ref() {
                    Some(connection) => engine.commit(connection, &mut group),
                    None => Err(closed()),
                };
                (group, committed)
            });
            // A change that brought its thread down took its group along: each of them hears that the writer stopped.
            if let Ok((group, committed)) = committing.await {
                for job in group {
                    job.finish(&committed);
                }
            }
        }
        // The last look found nothing and cleared the flag: somebody else may have set it again by now.
        std::mem::forget(unschedule);
    }

    /// Lets others who are about to write come along: as long as each turn of the runtime brings more of them, and not
    /// for long. A commit costs the disk the same for one as for many.
    async fn gather(&self) {
        let mut waiting = self.waiting_jobs();
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
            let more = self.waiting_jobs();
            if more == waiting {
                return;
            }
            waiting = more;
        }
    }

    fn waiting_jobs(&self) -> usize {
        hold(&self.waiting).jobs.len()
    }

    /// What has gathered; with nothing left, whoever comes next schedules anew.
    fn next_group(&self) -> Option<Vec<Box<dyn Job>>> {
        let mut waiting = hold(&self.waiting);
        if waiting.jobs.is_empty() {
            waiting.scheduled = false;
            return None;
        }
        Some(std::mem::take(&mut waiting.jobs))
    }

    fn commit(&self, connection: &Connection, group: &mut [Box<dyn Job>]) -> Result<(), Error> {
        if !connection.is_autocommit() {
            // Left open by a change that brought its thread down.
            connection.execute_batch("ROLLBACK").map_err(failure)?;
        }
        connection.execute_batch("BEGIN IMMEDIATE").map_err(failure)?;
        let mut turn = Turn { connection, engine: self, changed: Vec::with_capacity(group.len()), blindly: false };
        for job in group {
            job.run(&mut turn);
            if connection.is_autocommit() {
                // Some failures (a full disk) roll back by themselves; what follows would be committed on its own.
                return Err(Error::Unavailable("the database rolled the transaction back".into()));
            }
        }
        let committed = connection.execute_batch("COMMIT").map_err(|error| {
            // A commit that failed leaves the transaction open; nothing of it may reach the next group.
            let _ = connection.execute_batch("ROLLBACK");
            failure(error)
        });
        match &committed {
            Ok(()) if !turn.blindly => self.cache.commit(turn.changed),
            Ok(()) | Err(_) => self.cache.forget(),
        }
        committed
    }

    /// The documents of these keys, in one trip to the database at most.
    pub(super) async fn documents<F>(self: &Arc<Self>, keys: Vec<Key>, look: F) -> Result<Vec<Option<Document>>, Error>
    where
        F: Fn(&Connection, &Key) -> Result<Option<Document>, Error> + Send + 'static,
    {
        if self.closed.load(Ordering::Acquire) {
            return Err(closed());
        }
        let is_a_crowd = keys.len() > CROWD;
        let (known, at) = if is_a_crowd { self.cache.peek(&keys) } else { self.cache.recall(&keys) };
        if known.iter().all(Option::is_some) {
            return Ok(known.into_iter().map(Option::flatten).collect());
        }
        let engine = Arc::clone(self);
        self.read(move |connection| {
            let (mut all, mut learned) = (Vec::with_capacity(keys.len()), Vec::new());
            for (key, known) in keys.into_iter().zip(known) {
                let document = match known {
                    Some(known) => known,
                    None => {
                        let found = look(connection, &key)?;
                        if !is_a_crowd {
                            learned.push((key, found.clone()));
                        }
                        found
                    }
                };
                all.push(document);
            }
            engine.cache.learn(learned, at);
            Ok(all)
        })
        .await
    }

    /// Ends: what is being written is finished, what comes later is refused, and the directory is free for others.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let writer = hold(&self.writer).take();
        hold(&self.readers).clear();
        drop(writer);
        // Nobody else can hold it; and when the system refuses, the end of the process does it.
        let _ = self.lock.unlock();
    }

    /// Reads beside the writer.
    pub(super) async fn read<F, T>(self: &Arc<Self>, look: F) -> Result<T, Error>
    where
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
        T: Send + 'static,
    {
        let _place = self.reading.acquire().await.map_err(|_| closed())?;
        let engine = Arc::clone(self);
        let reading = tokio::task::spawn_blocking(move || {
            let pooled = hold(&engine.readers).pop();
            let reader = pooled.map_or_else(|| engine.reader(), Ok)?;
            let found = look(&reader);
            if !engine.closed.load(Ordering::Acquire) {
                hold(&engine.readers).push(reader);
            }
            found
        });
        reading.await.unwrap_or_else(|error| Err(Error::Unavailable(error.to_string())))
    }

    fn reader(&self) -> Result<Connection, Error> {
        if self.closed.load(Ordering::Acquire) {
            return Err(closed());
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let reader = Connection::open_with_flags(&self.file, flags).map_err(failure)?;
        schema::prepare_reader(&reader).map_err(failure)?;
        Ok(reader)
    }
}

fn closed() -> Error {
    Error::Unavailable("the store is closed".into())
}

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn lock(directory: &Path) -> Result<File, OpenError> {
    let refuse = |source| OpenError::Directory { directory: directory.to_path_buf(), source };
    std::fs::create_dir_all(directory).map_err(refuse)?;
    let lock = File::create(directory.join("herald.lock")).map_err(refuse)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(directory.to_path_buf())),
        Err(TryLockError::Error(source)) => Err(refuse(source)),
    }
}

/// The highest version ever given: the number is kept beside the documents, since the newest of these may be deleted.
fn newest_etag(connection: &Connection) -> rusqlite::Result<i64> {
    let documents: i64 = connection.query_row("SELECT coalesce(max(etag), 0) FROM docs", [], |row| row.get(0))?;
    let runs: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    // Each run takes a range of its own, so that a version given to a deleted document never comes back.
    connection.pragma_update(None, "application_id", (runs + 1) % i64::from(i32::MAX))?;
    Ok(documents.max((runs + 1) << 40))
}

/// What an error of the engine means to a caller.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(super) fn failure(error: rusqlite::Error) -> Error {
    use rusqlite::ErrorCode::{ConstraintViolation, DatabaseCorrupt, NotADatabase};
    match error.sqlite_error_code() {
        Some(ConstraintViolation) => Error::Conflict,
        Some(DatabaseCorrupt | NotADatabase) => Error::Corrupt(error.to_string()),
        _ => Error::Unavailable(error.to_string()),
    }
}
