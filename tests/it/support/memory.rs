//! A store in memory: as quick as tests under paused time want it. It passes the contract of the store like the others.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use herald::clock::Timestamp;
use herald::store::{
    Collection, Continuation, Document, Draft, ETag, Error, Key, Page, Partition, Query, Store, Write,
};

type Place = (Collection, Vec<String>, String);

#[derive(Debug, Clone)]
struct Entry {
    draft: Draft,
    etag: u64,
}

#[derive(Debug, Clone, Default)]
struct Shelf {
    entries: BTreeMap<Place, Entry>,
    last: u64,
}

#[derive(Debug, Default)]
pub struct Memory(Mutex<Shelf>);

fn place(key: &Key) -> Place {
    (key.collection, key.partition.levels().to_vec(), key.id.clone())
}

fn document((place, entry): (&Place, &Entry)) -> Document {
    Document {
        key: Key::new(place.0, Partition::new(place.1.clone()), place.2.clone()),
        body: entry.draft.body.clone(),
        etag: ETag(entry.etag.to_string()),
        due: entry.draft.due,
    }
}

impl Shelf {
    fn apply(&mut self, write: Write) -> Result<ETag, Error> {
        let place = place(write.key());
        let known = self.entries.get(&place).map(|entry| entry.etag.to_string());
        let draft = match write {
            Write::Create(_, draft) if known.is_none() => draft,
            Write::Replace(_, draft, etag) if known.as_ref() == Some(&etag.0) => draft,
            Write::Delete(_, etag) if known.as_ref() == Some(&etag.0) => {
                self.entries.remove(&place);
                return Ok(etag);
            }
            Write::Create(..) | Write::Replace(..) | Write::Delete(..) => return Err(Error::Conflict),
        };
        self.last += 1;
        self.entries.insert(place, Entry { draft, etag: self.last });
        Ok(ETag(self.last.to_string()))
    }

    /// All below a partition, in the order of their places.
    fn under<'a>(
        &'a self,
        collection: Collection,
        partition: &'a Partition,
    ) -> impl Iterator<Item = (&'a Place, &'a Entry)> {
        let levels = partition.levels();
        let from = (collection, levels.to_vec(), String::new());
        let inside = move |(place, _): &(&Place, &Entry)| place.0 == collection && place.1.starts_with(levels);
        self.entries.range(from..).take_while(inside)
    }
}

/// A page of what is sorted by a number and a place; the continuation is where it ended.
fn cut(mut found: Vec<(i64, &Place, &Entry)>, after: Option<&Continuation>, limit: usize) -> Result<Page, Error> {
    found.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
    if let Some(after) = after {
        let bytes = URL_SAFE_NO_PAD.decode(&after.0).map_err(|_| Error::BadContinuation)?;
        let (sort, levels, id): (i64, Vec<String>, String) =
            serde_json::from_slice(&bytes).map_err(|_| Error::BadContinuation)?;
        found.retain(|(number, place, _)| (*number, &place.1, &place.2) > (sort, &levels, &id));
    }
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| more).map(|(number, place, _)| serde_json::json!([number, place.1, place.2]));
    Ok(Page {
        documents: found.into_iter().map(|(_, place, entry)| document((place, entry))).collect(),
        next: last.map(|last| Continuation(URL_SAFE_NO_PAD.encode(last.to_string()))),
    })
}

impl Memory {
    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.0.lock().unwrap()
    }
}

#[async_trait]
impl Store for Memory {
    async fn get(&self, key: &Key) -> Result<Option<Document>, Error> {
        Ok(self.shelf().entries.get_key_value(&place(key)).map(document))
    }

    async fn get_many(&self, keys: Vec<Key>) -> Result<Vec<Option<Document>>, Error> {
        let kept = self.shelf();
        Ok(keys.iter().map(|key| kept.entries.get_key_value(&place(key)).map(document)).collect())
    }

    async fn write(&self, write: Write) -> Result<ETag, Error> {
        self.shelf().apply(write)
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<Vec<ETag>, Error> {
        let mut kept = self.shelf();
        let before: Vec<_> =
            writes.iter().map(|write| (place(write.key()), kept.entries.get(&place(write.key())).cloned())).collect();
        let done: Result<Vec<_>, _> = writes.into_iter().map(|write| kept.apply(write)).collect();
        if done.is_err() {
            for (place, entry) in before {
                match entry {
                    Some(entry) => drop(kept.entries.insert(place, entry)),
                    None => drop(kept.entries.remove(&place)),
                }
            }
        }
        done
    }

    async fn page(&self, query: &Query, after: Option<&Continuation>, limit: usize) -> Result<Page, Error> {
        let kept = self.shelf();
        let anywhere = Partition::default();
        let found = match query {
            Query::Under { collection, partition, tag } => kept
                .under(*collection, partition)
                .filter(|(_, entry)| tag.is_none_or(|tag| entry.draft.tag == Some(tag)))
                .map(|(place, entry)| (0, place, entry))
                .collect(),
            Query::Newest { collection, partition } => kept
                .under(*collection, partition)
                .filter_map(|(place, entry)| Some((-entry.draft.rank?.timestamp_micros(), place, entry)))
                .collect(),
            Query::Due { collection, at } => kept
                .under(*collection, &anywhere)
                .filter_map(|(place, entry)| {
                    Some((entry.draft.due.filter(|due| due <= at)?.timestamp_micros(), place, entry))
                })
                .collect(),
        };
        cut(found, after, limit)
    }

    async fn count(&self, collection: Collection, partition: &Partition, tag: &'static str) -> Result<u64, Error> {
        let kept = self.shelf();
        let tagged = |(place, entry): &(&Place, &Entry)| place.1 == partition.levels() && entry.draft.tag == Some(tag);
        Ok(kept.under(collection, partition).filter(tagged).count() as u64)
    }

    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, Error> {
        let mut kept = self.shelf();
        let faded = |entry: &Entry| entry.draft.expires.is_some_and(|at| at <= now);
        let places: Vec<_> =
            kept.entries.iter().filter(|(_, entry)| faded(entry)).map(|(place, _)| place.clone()).take(limit).collect();
        for place in &places {
            kept.entries.remove(place);
        }
        Ok(places.len())
    }

    fn exclusive(&self) -> bool {
        false
    }

    async fn probe(&self) -> Result<(), Error> {
        Ok(())
    }
}
