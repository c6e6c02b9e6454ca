//! The one store trait. Every backend passes the contract suite in `tests/it/store_contract.rs`.
//!
//! A store keeps JSON documents under (collection, partition, id), each with an etag. Nothing more is asked of it
//! than what Cosmos DB offers: point reads, conditional writes, all-or-nothing writes within one partition, pages
//! with continuation, and counting by tag within one partition.

pub mod budget;
pub mod cosmos;
mod document;
pub mod embedded;
mod error;
mod turns;
mod update;

use std::fmt::Debug;

use async_trait::async_trait;

pub use document::{Collection, Continuation, Document, Draft, ETag, Key, Page, Partition, Query, V1, Write};
pub use error::Error;
pub use turns::Turns;
pub use update::{TRIES, update};

use crate::clock::Timestamp;

/// Where Herald remembers.
#[async_trait]
pub trait Store: Debug + Send + Sync {
    /// The document, when there is one.
    async fn get(&self, key: &Key) -> Result<Option<Document>, Error>;

    /// The documents in the order of their keys, with everything in them that anybody was told is written: also by
    /// another instance, a moment ago. [`Store::get`] owes that only to this process.
    async fn get_many(&self, keys: Vec<Key>) -> Result<Vec<Option<Document>>, Error>;

    /// One change; answers the new version (of a deletion: the one that was deleted).
    async fn write(&self, write: Write) -> Result<ETag, Error>;

    /// Changes in one partition: all of them, or none. Answers the new versions in order.
    async fn transact(&self, writes: Vec<Write>) -> Result<Vec<ETag>, Error>;

    /// At most `limit` documents of a query, from where `after` points.
    async fn page(&self, query: &Query, after: Option<&Continuation>, limit: usize) -> Result<Page, Error>;

    /// How many documents of one partition have the tag.
    async fn count(&self, collection: Collection, partition: &Partition, tag: &'static str) -> Result<u64, Error>;

    /// Removes up to `limit` documents that have faded; a store that does so by itself answers 0.
    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, Error>;

    /// True where nobody else can be using this store, so that leases of earlier runs are void.
    fn exclusive(&self) -> bool;

    /// Proves that the store answers.
    async fn probe(&self) -> Result<(), Error>;
}
