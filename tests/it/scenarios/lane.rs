//! The store as one instance has it: each call takes its time, and documents written are counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use herald::chance::Chance;
use herald::clock::Timestamp;
use herald::store::{Collection, Continuation, Document, ETag, Error, Key, Page, Partition, Query, Store, Write};

use crate::support::Dice;

#[derive(Debug)]
pub struct Lane {
    pub store: Arc<dyn Store>,
    pub takes: Duration,
    /// Seconds that a call may take longer.
    pub jitter: f64,
    pub dice: Dice,
    pub written: Arc<AtomicU64>,
}

impl Lane {
    async fn way(&self) {
        let longer = Duration::from_secs_f64(self.jitter * self.dice.unit());
        tokio::time::sleep((self.takes + longer) / 2).await;
    }
}

#[async_trait]
impl Store for Lane {
    async fn get(&self, key: &Key) -> Result<Option<Document>, Error> {
        self.way().await;
        let found = self.store.get(key).await;
        self.way().await;
        found
    }

    async fn get_many(&self, keys: Vec<Key>) -> Result<Vec<Option<Document>>, Error> {
        self.way().await;
        let found = self.store.get_many(keys).await;
        self.way().await;
        found
    }

    async fn write(&self, write: Write) -> Result<ETag, Error> {
        self.written.fetch_add(1, Ordering::Relaxed);
        self.way().await;
        let done = self.store.write(write).await;
        self.way().await;
        done
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<Vec<ETag>, Error> {
        self.written.fetch_add(writes.len() as u64, Ordering::Relaxed);
        self.way().await;
        let done = self.store.transact(writes).await;
        self.way().await;
        done
    }

    async fn page(&self, query: &Query, after: Option<&Continuation>, limit: usize) -> Result<Page, Error> {
        self.way().await;
        let found = self.store.page(query, after, limit).await;
        self.way().await;
        found
    }

    async fn count(&self, collection: Collection, partition: &Partition, tag: &'static str) -> Result<u64, Error> {
        self.way().await;
        let count = self.store.count(collection, partition, tag).await;
        self.way().await;
        count
    }

    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, Error> {
        self.store.purge(now, limit).await
    }

    fn exclusive(&self) -> bool {
        false
    }

    async fn probe(&self) -> Result<(), Error> {
        Ok(())
    }
}
