//! The store trait on Cosmos DB.

use std::num::NonZeroU32;
use std::sync::Arc;

use async_trait::async_trait;
use azure_data_cosmos::feed::ContinuationToken;
use azure_data_cosmos::models::PartitionKeyValue;
use azure_data_cosmos::options::{
    BatchDeleteOptions, BatchOptions, BatchReplaceOptions, ItemReadOptions, ItemWriteOptions, MaxItemCountHint,
    Precondition, QueryOptions,
};
use azure_data_cosmos::{ContainerClient, FeedScope, PartitionKey, TransactionalBatch};
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use serde_json::Value;

use super::calls::{Freshness, Told, call, operation};
use super::containers::Containers;
use super::item::{document, item, place};
use super::layout::Layout;
use super::query::{self, Asked};
use super::{cursor, failure, names};
use crate::clock::{Clock, Timestamp};
use crate::store::{Collection, Continuation, Document, ETag, Error, Key, Page, Partition, Query, Store, Write};

/// How many point reads of one list are under way at once.
const READS: usize = 32;

/// Documents in Cosmos DB.
#[derive(Debug, Clone)]
pub struct CosmosStore {
    containers: Arc<Containers>,
    clock: Arc<dyn Clock>,
}

impl CosmosStore {
    pub(super) fn new(containers: Containers, clock: Arc<dyn Clock>) -> Self {
        Self { containers: Arc::new(containers), clock }
    }

    fn container(&self, collection: Collection) -> &ContainerClient {
        self.containers.of(collection)
    }

    async fn read(&self, key: &Key, freshness: Freshness) -> Result<Option<Document>, Error> {
        let layout = Layout::of(key.collection);
        let keys = partition_key(place(&layout, key)?)?;
        let options = ItemReadOptions::default().with_operation_options(operation(freshness));
        let id = names::id(&key.id);
        let read = Box::pin(self.container(key.collection).read_item(keys, &id, Some(options)));
        let response = match call(layout.name(), "read", read).await {
            Ok(response) => response,
            Err(Told::Answer(answer, _)) if failure::is_absent(&answer) => return Ok(None),
            Err(told) => return Err(told.into()),
        };
        let item: Value = response.into_model().map_err(|error| mangled(&layout, &error))?;
        document(&layout, item).map(Some)
    }

    /// Up to `limit` items, and the SDK's token where there are more.
    async fn ask(
        &self,
        asked: &Asked,
        what: &'static str,
        token: Option<String>,
        limit: Option<usize>,
    ) -> Result<(Vec<Value>, Option<String>), Error> {
        let mut sql = azure_data_cosmos::Query::from(asked.text.clone());
        for (name, value) in &asked.parameters {
            sql = sql.with_parameter(*name, value).map_err(|error| unreadable(&asked.layout, &error))?;
        }
        let scope = if asked.keys.is_empty() {
            FeedScope::full_container()
        } else {
            FeedScope::partition(partition_key(asked.keys.clone())?)
        };
        let mut options = QueryOptions::default().with_operation_options(operation(Freshness::Session));
        if let Some(limit) = limit.and_then(|limit| NonZeroU32::new(u32::try_from(limit).unwrap_or(u32::MAX))) {
            options = options.with_max_item_count(MaxItemCountHint::Limit(limit));
        }
        let resumed = token.is_some();
        if let Some(token) = token {
            options = options.with_continuation_token(ContinuationToken::from_string(token));
        }
        let refused =
            |told: Told| if resumed && told.blames_the_token() { Error::BadContinuation } else { told.into() };
        let begun = Box::pin(self.container(asked.layout.collection).query_items::<Value>(sql, scope, Some(options)));
        let begun = tokio::time::timeout(super::calls::patience(), begun).await.map_err(|_| Told::Late)?;
        let mut pages = begun.map_err(|error| refused(Told::of(&error)))?.into_pages();
        let mut items = Vec::new();
        loop {
            let page = call(asked.layout.name(), what, pages.try_next()).await.map_err(refused)?;
            let Some(page) = page else { return Ok((items, None)) };
            items.extend(page.into_items());
            // A physical partition may have nothing, or less than was asked for. Without a limit all is wanted, and of
            // what is ordered by something unique so is everything up to the limit.
            let enough = match (limit, asked.unique) {
                (Some(limit), Some(_)) => items.len() >= limit,
                (Some(_), None) => !items.is_empty(),
                (None, _) => false,
            };
            if enough {
                let token = pages.to_continuation_token().map_err(|error| Error::from(Told::of(&error)))?;
                // A query that is through says so without asking the service; one that is not is not waited for.
                let is_through = matches!(pages.try_next().now_or_never(), Some(Ok(None)));
                return Ok((items, (!is_through).then(|| token.as_str().to_owned())));
            }
        }
    }

    async fn one(&self, write: Write) -> Result<ETag, Error> {
        let layout = Layout::of(write.key().collection);
        let container = self.container(layout.collection);
        let keys = partition_key(place(&layout, write.key())?)?;
        let options = ItemWriteOptions::default().with_operation_options(operation(Freshness::Session));
        let id = names::id(&write.key().id);
        let response = match &write {
            Write::Create(key, draft) => {
                let item = item(&layout, key, draft, self.clock.now())?;
                call(layout.name(), "create", Box::pin(container.create_item(keys, &id, &item, Some(options)))).await?
            }
            Write::Replace(key, draft, etag) => {
                let item = item(&layout, key, draft, self.clock.now())?;
                let options = options.with_precondition(unless_changed(etag));
                call(layout.name(), "replace", Box::pin(container.replace_item(keys, &id, &item, Some(options))))
                    .await?
            }
            Write::Delete(_, etag) => {
                let options = options.with_precondition(unless_changed(etag));
                call(layout.name(), "delete", Box::pin(container.delete_item(keys, &id, Some(options)))).await?;
                return Ok(etag.clone());
            }
        };
        let etag = response.headers().etag().map(|etag| ETag(etag.to_string()));
        etag.ok_or_else(|| Error::Unavailable("Cosmos DB answered a write without an etag".into()))
    }

    fn batch(&self, writes: &[Write]) -> Result<Option<(Layout, TransactionalBatch)>, Error> {
        let Some(first) = writes.first() else { return Ok(None) };
        let layout = Layout::of(first.key().collection);
        let values = place(&layout, first.key())?;
        let together = |write: &Write| write.key().collection == layout.collection;
        let mut batch = TransactionalBatch::new(partition_key(values.clone())?);
        for write in writes {
            if !together(write) || place(&layout, write.key())? != values {
                return Err(Error::Refused(format!("{}: a transaction over several partitions", layout.name())));
            }
            batch = self.and(batch, &layout, write)?;
        }
        Ok(Some((layout, batch)))
    }

    fn and(&self, batch: TransactionalBatch, layout: &Layout, write: &Write) -> Result<TransactionalBatch, Error> {
        let id = names::id(&write.key().id);
        let with = match write {
            Write::Create(key, draft) => batch.create_item(item(layout, key, draft, self.clock.now())?),
            Write::Replace(key, draft, etag) => {
                let options = BatchReplaceOptions::default().with_precondition(unless_changed(etag));
                batch.replace_item(id, item(layout, key, draft, self.clock.now())?, Some(options))
            }
            Write::Delete(_, etag) => {
                let options = BatchDeleteOptions::default().with_precondition(unless_changed(etag));
                Ok(batch.delete_item(id, Some(options)))
            }
        };
        with.map_err(|error| unreadable(layout, &error))
    }
}

#[async_trait]
impl Store for CosmosStore {
    async fn get(&self, key: &Key) -> Result<Option<Document>, Error> {
        self.read(key, Freshness::Session).await
    }

    async fn get_many(&self, keys: Vec<Key>) -> Result<Vec<Option<Document>>, Error> {
        let reads: Vec<_> = keys.iter().map(|key| self.read(key, Freshness::Latest)).collect();
        stream::iter(reads).buffered(READS).try_collect().await
    }

    async fn write(&self, write: Write) -> Result<ETag, Error> {
        self.one(write).await
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<Vec<ETag>, Error> {
        let Some((layout, batch)) = self.batch(&writes)? else { return Ok(Vec::new()) };
        let options = BatchOptions::default().with_operation_options(operation(Freshness::Session));
        let sent = Box::pin(self.container(layout.collection).execute_transactional_batch(batch, Some(options)));
        let response = call(layout.name(), "transaction", sent).await?;
        let done = response.into_model().map_err(|error| mangled(&layout, &error))?;
        let sub_status = |code: Option<u32>| code.and_then(|code| u16::try_from(code).ok()).unwrap_or_default();
        let told: Vec<_> = done
            .results()
            .iter()
            .map(|result| (result.status_code(), sub_status(result.substatus_code()), result.retry_after()))
            .collect();
        failure::batch(&told, writes.len())?;
        let etags = writes.iter().zip(done.results()).map(|(write, result)| match (write, result.etag()) {
            (Write::Delete(_, etag), _) => Ok(etag.clone()),
            (Write::Create(..) | Write::Replace(..), Some(etag)) => Ok(ETag(etag.to_owned())),
            (Write::Create(..) | Write::Replace(..), None) => {
                Err(Error::Unavailable("Cosmos DB answered a transaction without an etag".into()))
            }
        });
        etags.collect()
    }

    async fn page(&self, query: &Query, after: Option<&Continuation>, limit: usize) -> Result<Page, Error> {
        let fresh = query::asked(query, None)?;
        let after = after.map(|after| cursor::decode(after, &fresh.mark())).transpose()?;
        let layout = fresh.layout;
        let (items, next) = match fresh.unique {
            Some(unique) => {
                let asked = query::asked(query, after.as_deref())?;
                // One more than is wanted tells whether there is more.
                let (mut items, _) = self.ask(&asked, "page", None, Some(limit.saturating_add(1))).await?;
                let more = items.len() > limit;
                items.truncate(limit);
                let last = items.last().and_then(|item| item[unique].as_str()).map(str::to_owned);
                (items, last.filter(|_| more))
            }
            None => self.ask(&fresh, "page", after, Some(limit)).await?,
        };
        let documents = items.into_iter().map(|item| document(&layout, item)).collect::<Result<_, _>>()?;
        Ok(Page { documents, next: next.map(|next| cursor::encode(&next, &fresh.mark())) })
    }

    async fn count(&self, collection: Collection, partition: &Partition, tag: &'static str) -> Result<u64, Error> {
        let (values, _) = self.ask(&query::count(collection, partition, tag)?, "count", None, None).await?;
        let counts: Option<Vec<_>> = values.iter().map(Value::as_u64).collect();
        counts
            .map(|counts| counts.iter().sum())
            .ok_or_else(|| Error::Unavailable("Cosmos DB answered a count without a number".into()))
    }

    /// Nothing: the service removes documents by their `ttl`.
    async fn purge(&self, _now: Timestamp, _limit: usize) -> Result<usize, Error> {
        Ok(0)
    }

    fn exclusive(&self) -> bool {
        false
    }

    async fn probe(&self) -> Result<(), Error> {
        let nothing = Key::new(Collection::Settings, Partition::new(["herald"]), "probe");
        self.read(&nothing, Freshness::Session).await.map(drop)
    }
}

fn unless_changed(etag: &ETag) -> Precondition {
    Precondition::if_match(etag.0.clone())
}

fn partition_key(values: Vec<String>) -> Result<PartitionKey, Error> {
    let values: Vec<_> = values.into_iter().map(PartitionKeyValue::from).collect();
    PartitionKey::try_from(values).map_err(|error| Error::Refused(error.to_string()))
}

fn unreadable(layout: &Layout, error: &azure_data_cosmos::CosmosError) -> Error {
    Error::Corrupt(format!("{}: {error}", layout.name()))
}

/// An answer that is none of the service's JSON: cut off, or somebody else's on the way. The document may be well, and
/// a write may have been made.
fn mangled(layout: &Layout, error: &azure_data_cosmos::CosmosError) -> Error {
    Error::Unavailable(format!("{}: the answer cannot be read: {error}", layout.name()))
}
