//! The shapes that every store speaks: keys, documents, writes, queries, pages.

use std::cell::RefCell;
use std::sync::Arc;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Error;
use crate::clock::Timestamp;

/// The kinds of documents. Each is a container in Cosmos DB and a value of a column in the embedded store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Collection {
    /// One document per person: `[bot, tenant, person]`.
    People,
    /// From an id that names a person to the person's key: `[bot, id]`, one document per tenant.
    Aliases,
    /// What is known of a conversation id whoever is in it: `[bot, conversation]`.
    Conversations,
    /// The tenants that a bot was seen in: `[bot]`.
    Tenants,
    /// Notifications: `[notification]`, with the documents `control` and `request`.
    Notifications,
    /// Audiences given as lists of users, resolved: `[notification]`.
    Rosters,
    /// Plans and batches: `[notification, tenant]`.
    Deliveries,
    /// The pace of a tenant: `[bot, tenant]`.
    Throttles,
    /// What Herald remembers of itself.
    Settings,
}

impl Collection {
    /// Every collection.
    pub const ALL: [Self; 9] = [
        Self::People,
        Self::Aliases,
        Self::Conversations,
        Self::Tenants,
        Self::Notifications,
        Self::Rosters,
        Self::Deliveries,
        Self::Throttles,
        Self::Settings,
    ];

    /// The name as stored.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::People => "people",
            Self::Aliases => "aliases",
            Self::Conversations => "conversations",
            Self::Tenants => "tenants",
            Self::Notifications => "notifications",
            Self::Rosters => "rosters",
            Self::Deliveries => "deliveries",
            Self::Throttles => "throttles",
            Self::Settings => "settings",
        }
    }
}

/// A partition: one to three levels, or the first of them where a query reads more than one partition. Shared, since
/// keys and documents are handed about more often than they are made.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Partition(Arc<[String]>);

impl Partition {
    /// A partition of these levels.
    pub fn new<I: IntoIterator<Item = S>, S: Into<String>>(levels: I) -> Self {
        Self(levels.into_iter().map(Into::into).collect())
    }

    /// The levels, outermost first.
    #[must_use]
    pub fn levels(&self) -> &[String] {
        &self.0
    }
}

/// Names one document.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// Where it is kept.
    pub collection: Collection,
    /// Its partition, complete.
    pub partition: Partition,
    /// Its id within the partition.
    pub id: String,
}

impl Key {
    /// Names a document.
    pub fn new(collection: Collection, partition: Partition, id: impl Into<String>) -> Self {
        Self { collection, partition, id: id.into() }
    }
}

/// Which version of a document was read. Opaque.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ETag(pub String);

/// What is written: the body as JSON text, and what queries look at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Draft {
    /// A JSON object.
    pub body: String,
    /// A word that queries and counts select by.
    pub tag: Option<&'static str>,
    /// When somebody has to look at it.
    pub due: Option<Timestamp>,
    /// Its place in lists that show the newest first.
    pub rank: Option<Timestamp>,
    /// When it fades.
    pub expires: Option<Timestamp>,
}

impl Draft {
    /// A draft of `value` with nothing for queries to find.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the value is not serialisable.
    pub fn of<T: Serialize>(value: &T) -> Result<Self, Error> {
        let body = written(value).map_err(|error| Error::Corrupt(error.to_string()))?;
        Ok(Self { body, ..Self::default() })
    }

    /// Sets the word that queries select by.
    #[must_use]
    pub fn tagged(mut self, tag: &'static str) -> Self {
        self.tag = Some(tag);
        self
    }

    /// Sets when somebody has to look at it.
    #[must_use]
    pub fn due(mut self, due: Option<Timestamp>) -> Self {
        self.due = due;
        self
    }

    /// Sets its place among the newest.
    #[must_use]
    pub fn ranked(mut self, rank: Timestamp) -> Self {
        self.rank = Some(rank);
        self
    }

    /// Sets when it fades.
    #[must_use]
    pub fn expiring(mut self, expires: Option<Timestamp>) -> Self {
        self.expires = expires;
        self
    }
}

thread_local! {
    /// Where a body is written before it has its length.
    static PAPER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// More than this is not kept for the next body.
const PAPER_KEPT: usize = 64 * 1024;

/// As JSON, in a text that is as long as it is: one that grows is moved several times, and bodies are kept.
fn written<T: Serialize>(value: &T) -> Result<String, serde_json::Error> {
    // Taken and put back, so that a value which writes another while it is written finds an empty one.
    let mut paper = PAPER.take();
    paper.clear();
    serde_json::to_writer(&mut paper, value)?;
    let body = String::from_utf8_lossy(&paper).into_owned();
    if paper.capacity() <= PAPER_KEPT {
        PAPER.set(paper);
    }
    Ok(body)
}

/// A document as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its name.
    pub key: Key,
    /// A JSON object.
    pub body: String,
    /// Which version this is.
    pub etag: ETag,
    /// When somebody has to look at it.
    pub due: Option<Timestamp>,
}

impl Document {
    /// Reads the body.
    ///
    /// # Errors
    /// [`Error::Corrupt`], naming the document, when the body has another shape.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_str(&self.body)
            .map_err(|error| Error::Corrupt(format!("{}/{}: {error}", self.key.collection.name(), self.key.id)))
    }
}

/// One change.
#[derive(Debug, Clone)]
pub enum Write {
    /// Fails with [`Error::Conflict`] when the document exists.
    Create(Key, Draft),
    /// Fails with [`Error::Conflict`] unless the stored version is this one.
    Replace(Key, Draft, ETag),
    /// Fails with [`Error::Conflict`] unless the stored version is this one.
    Delete(Key, ETag),
}

impl Write {
    /// The document that is changed.
    #[must_use]
    pub fn key(&self) -> &Key {
        match self {
            Self::Create(key, _) | Self::Replace(key, _, _) | Self::Delete(key, _) => key,
        }
    }
}

/// What a page shows, and in which order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// All documents below a partition, with the tag where one is given; any stable order.
    Under {
        /// Where to look.
        collection: Collection,
        /// A partition or the first levels of one.
        partition: Partition,
        /// Only these.
        tag: Option<&'static str>,
    },
    /// Documents that have a rank, newest first.
    Newest {
        /// Where to look.
        collection: Collection,
        /// A partition or the first levels of one.
        partition: Partition,
    },
    /// Documents that are due at the instant, longest overdue first.
    Due {
        /// Where to look.
        collection: Collection,
        /// Now.
        at: Timestamp,
    },
}

/// Where the next page begins. Opaque, safe in a URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Continuation(pub String);

/// A part of a query's answer.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The documents.
    pub documents: Vec<Document>,
    /// Where to go on; absent at the end.
    pub next: Option<Continuation>,
}

/// The version of a stored shape: the number 1, and nothing else is read as it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct V1;

impl Serialize for V1 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(1)
    }
}

impl<'de> Deserialize<'de> for V1 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            1 => Ok(Self),
            other => Err(D::Error::custom(format!("version {other} is newer than this Herald"))),
        }
    }
}
