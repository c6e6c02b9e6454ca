//! Documents as they are committed, at hand without a trip to the database. Whoever has the directory's lock is the
//! only one who writes, and all who write here pass through one connection: so what stands here is what is stored.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::store::{Document, Key};

/// So many bytes at most, in two halves: some thousand persons who talk at a time, not all that there are.
const MOST: usize = 32 * 1024 * 1024;
/// A longer document (a batch of a notification) would push out many that are asked for more often.
const LONGEST: usize = 8 * 1024;
/// What a key takes beside its texts.
const ENTRY: usize = 256;

/// What a change did to a document; none: it is gone.
pub(super) type Change = (Key, Option<Document>);

/// Moves on with every commit. Whoever read the database at one instant must not tell of it at a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Instant(u64);

/// The documents, and those that are known not to be there.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<Halves>);

/// What is asked for moves to the young half. When that is full it becomes the old one, and the old one goes.
#[derive(Debug, Default)]
struct Halves {
    young: HashMap<Key, Option<Document>>,
    old: HashMap<Key, Option<Document>>,
    bytes: usize,
    at: Instant,
    /// Of what was changed before, some is not here any more.
    lost: Instant,
}

impl Cache {
    fn hold(&self) -> MutexGuard<'_, Halves> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of each key, and when that was.
    pub(super) fn recall(&self, keys: &[Key]) -> (Vec<Option<Option<Document>>>, Instant) {
        let mut halves = self.hold();
        (keys.iter().map(|key| halves.recall(key)).collect(), halves.at)
    }

    /// The same, and nothing stays the longer for it.
    pub(super) fn peek(&self, keys: &[Key]) -> (Vec<Option<Option<Document>>>, Instant) {
        let halves = self.hold();
        let known = |key: &Key| halves.young.get(key).or_else(|| halves.old.get(key)).cloned();
        (keys.iter().map(known).collect(), halves.at)
    }

    /// What was read from the database after `at`, unless it was changed since: then it stands here already, or there
    /// is no telling.
    pub(super) fn learn(&self, found: Vec<Change>, at: Instant) {
        let mut halves = self.hold();
        for change in found {
            if halves.lost <= at && !halves.has(&change.0) {
                halves.keep(change);
            }
        }
    }

    /// What was committed, before anybody is told that it was.
    pub(super) fn commit(&self, changes: Vec<Change>) {
        let mut halves = self.hold();
        halves.at.0 += 1;
        for change in changes {
            halves.keep(change);
        }
    }

    /// Nobody can say what changed.
    pub(super) fn forget(&self) {
        let mut halves = self.hold();
        *halves = Halves { at: halves.at, ..Halves::default() };
        halves.lose();
    }
}

impl Halves {
    fn has(&self, key: &Key) -> bool {
        self.young.contains_key(key) || self.old.contains_key(key)
    }

    /// From here on what was read before is not believed.
    fn lose(&mut self) {
        self.at.0 += 1;
        self.lost = self.at;
    }

    fn recall(&mut self, key: &Key) -> Option<Option<Document>> {
        if let Some(known) = self.young.get(key) {
            return Some(known.clone());
        }
        let (key, known) = self.old.remove_entry(key)?;
        self.keep((key, known.clone()));
        Some(known)
    }

    fn keep(&mut self, (key, document): Change) {
        self.old.remove(&key);
        if let Some(known) = self.young.remove(&key) {
            self.bytes -= weight(&key, known.as_ref());
        }
        let weight = weight(&key, document.as_ref());
        if weight > LONGEST {
            self.lose();
            return;
        }
        if self.bytes + weight > MOST / 2 {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
            self.lose();
        }
        self.bytes += weight;
        self.young.insert(key, document);
    }
}

/// What an entry takes, about.
fn weight(key: &Key, document: Option<&Document>) -> usize {
    let names = key.id.len() + key.partition.levels().iter().map(String::len).sum::<usize>();
    // A document has its key once more.
    document.map_or(ENTRY + names, |document| 2 * (ENTRY + names) + document.body.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Collection, ETag, Partition};

    fn key(id: &str) -> Key {
        Key::new(Collection::People, Partition::new(["bot", "tenant", id]), id)
    }

    fn document(id: &str, body: &str) -> Change {
        let document = Document { key: key(id), body: body.to_owned(), etag: ETag("1".into()), due: None };
        (key(id), Some(document))
    }

    fn body(cache: &Cache, id: &str) -> Option<Option<String>> {
        let (mut known, _) = cache.recall(&[key(id)]);
        known.pop().flatten().map(|document| document.map(|document| document.body))
    }

    #[test]
    fn what_was_read_before_a_commit_is_not_told_after_it() {
        let cache = Cache::default();
        let (known, before) = cache.recall(&[key("a")]);
        assert_eq!(known, [None]);
        cache.commit(vec![document("a", "new")]);
        cache.learn(vec![document("a", "old"), (key("b"), None)], before);
        assert_eq!(body(&cache, "a"), Some(Some("new".into())));
        assert_eq!(body(&cache, "b"), Some(None), "known not to be there");
        cache.commit(vec![document("long", &"x".repeat(LONGEST))]);
        cache.learn(vec![document("long", "old"), document("c", "old")], before);
        assert_eq!((body(&cache, "long"), body(&cache, "c")), (None, None), "there is no telling what was changed");
        let (_, now) = cache.recall(&[]);
        cache.commit(vec![(key("a"), None)]);
        assert_eq!(body(&cache, "a"), Some(None), "deleted");
        cache.forget();
        cache.learn(vec![document("a", "old")], now);
        assert_eq!(body(&cache, "a"), None);
    }

    #[test]
    fn what_is_asked_for_stays_and_the_whole_is_bounded() {
        let cache = Cache::default();
        let text = "x".repeat(4000);
        for number in 0..20_000 {
            cache.commit(vec![document(&number.to_string(), &text)]);
            if number > 0 {
                assert_eq!(body(&cache, "0").flatten().as_ref(), Some(&text), "{number}");
            }
        }
        let halves = cache.hold();
        assert!((halves.young.len() + halves.old.len()) * 4000 < MOST);
        drop(halves);
        cache.commit(vec![document("0", &"x".repeat(LONGEST + 1))]);
        assert_eq!(body(&cache, "0"), None, "too long, and what was known of it is over");
    }
}
