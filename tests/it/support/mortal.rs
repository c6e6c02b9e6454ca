//! A store and a wire with a fault point before and after each write and each send, at one of which the process ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use herald::clock::Timestamp;
use herald::connector::{Unanswered, Wire, WireAnswer};
use herald::store::{Collection, Continuation, Document, ETag, Error, Key, Page, Partition, Query, Store, Write};
use tokio::sync::Notify;

/// How it ends.
#[derive(Debug, Clone)]
pub enum End {
    /// Nothing goes on any more, and whoever listens hears of it: for a process that is only played.
    Silence(Arc<Notify>),
    /// At once, without a word: what SIGKILL leaves.
    Abort,
}

/// Counts fault points down.
#[derive(Debug, Clone)]
pub struct Fate {
    left: Arc<AtomicI64>,
    end: End,
}

impl Fate {
    /// It ends at this fault point; below zero: never.
    pub fn at(point: i64, end: End) -> Self {
        Self { left: Arc::new(AtomicI64::new(point)), end }
    }

    /// How many fault points are left; below zero once it has ended, or when it never does.
    pub fn left(&self) -> i64 {
        self.left.load(Ordering::SeqCst)
    }

    /// A fault point.
    async fn point(&self) {
        if self.left() < -1 {
            return;
        }
        // Once it has ended, whatever comes later finds the same.
        if self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| Some((left - 1).max(-1))).unwrap() <= 0 {
            match &self.end {
                End::Silence(heard) => {
                    heard.notify_one();
                    std::future::pending::<()>().await;
                }
                End::Abort => std::process::abort(),
            }
        }
    }
}

/// A fate that never comes.
pub const NEVER: i64 = -2;

#[derive(Debug)]
pub struct MortalStore {
    pub store: Arc<dyn Store>,
    pub fate: Fate,
}

#[async_trait]
impl Store for MortalStore {
    async fn get(&self, key: &Key) -> Result<Option<Document>, Error> {
        self.store.get(key).await
    }

    async fn get_many(&self, keys: Vec<Key>) -> Result<Vec<Option<Document>>, Error> {
        self.store.get_many(keys).await
    }

    async fn write(&self, write: Write) -> Result<ETag, Error> {
        self.fate.point().await;
        let done = self.store.write(write).await;
        self.fate.point().await;
        done
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<Vec<ETag>, Error> {
        self.fate.point().await;
        let done = self.store.transact(writes).await;
        self.fate.point().await;
        done
    }

    async fn page(&self, query: &Query, after: Option<&Continuation>, limit: usize) -> Result<Page, Error> {
        self.store.page(query, after, limit).await
    }

    async fn count(&self, collection: Collection, partition: &Partition, tag: &'static str) -> Result<u64, Error> {
        self.store.count(collection, partition, tag).await
    }

    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, Error> {
        self.store.purge(now, limit).await
    }

    fn exclusive(&self) -> bool {
        self.store.exclusive()
    }

    async fn probe(&self) -> Result<(), Error> {
        self.store.probe().await
    }
}

#[derive(Debug)]
pub struct MortalWire {
    pub wire: Arc<dyn Wire>,
    pub fate: Fate,
}

#[async_trait]
impl Wire for MortalWire {
    async fn post(&self, url: &str, token: Option<&str>, json: String) -> Result<WireAnswer, Unanswered> {
        self.fate.point().await;
        let answer = self.wire.post(url, token, json).await;
        self.fate.point().await;
        answer
    }
}
