//! Changes that are committed together, each of which fails for itself.

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::cache::Change;
use super::engine::{Engine, failure};
use crate::store::Error;

/// Where a change is made: the connection within a transaction, and what was changed so far.
pub(super) struct Turn<'a> {
    pub(super) connection: &'a Connection,
    pub(super) engine: &'a Engine,
    /// What each change did, to be known once it is committed.
    pub(super) changed: Vec<Change>,
    /// Somebody changed what they cannot name.
    pub(super) blindly: bool,
}

/// A change that waits for the next group.
pub(super) trait Job: Send {
    fn run(&mut self, turn: &mut Turn<'_>);
    fn finish(self: Box<Self>, committed: &Result<(), Error>);
}

/// Whether a change may fail half done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Steps {
    /// One statement, which the engine undoes by itself.
    One,
    /// Several: all of them or none.
    Several,
}

pub(super) struct Work<F, T> {
    change: Option<F>,
    steps: Steps,
    result: Option<Result<T, Error>>,
    reply: oneshot::Sender<Result<T, Error>>,
}

impl<F, T> Work<F, T> {
    /// A change, and where its result is waited for.
    pub(super) fn new(change: F, steps: Steps) -> (Self, oneshot::Receiver<Result<T, Error>>) {
        let (reply, answer) = oneshot::channel();
        (Self { change: Some(change), steps, result: None, reply }, answer)
    }
}

impl<F, T> Job for Work<F, T>
where
    F: FnOnce(&mut Turn<'_>) -> Result<T, Error> + Send,
    T: Send,
{
    fn run(&mut self, turn: &mut Turn<'_>) {
        let Some(change) = self.change.take() else { return };
        let before = turn.changed.len();
        let result = match self.steps {
            Steps::One => change(turn),
            Steps::Several => in_savepoint(turn, change),
        };
        if result.is_err() {
            turn.changed.truncate(before);
        }
        self.result = Some(result);
    }

    fn finish(self: Box<Self>, committed: &Result<(), Error>) {
        let answer = match (committed, self.result) {
            (Ok(()), Some(result)) => result,
            (Ok(()), None) => Err(Error::Unavailable("the change was not run".into())),
            (Err(error), _) => Err(error.clone()),
        };
        // Nobody waits any more when the caller gave up; the change stands all the same.
        let _ = self.reply.send(answer);
    }
}

/// Runs one change so that its failure undoes nothing but itself.
fn in_savepoint<T>(turn: &mut Turn<'_>, change: impl FnOnce(&mut Turn<'_>) -> Result<T, Error>) -> Result<T, Error> {
    turn.connection.execute_batch("SAVEPOINT change").map_err(failure)?;
    let result = change(turn);
    let end = if result.is_ok() { "RELEASE change" } else { "ROLLBACK TO change; RELEASE change" };
    if let Err(error) = turn.connection.execute_batch(end) {
        // What is left of the change is not known.
        turn.blindly = true;
        return Err(failure(error));
    }
    result
}
