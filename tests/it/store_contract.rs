//! The contract of the store trait. Every backend is an argument of the macro below, and passes all of it.

use std::sync::Arc;
use std::time::Duration;

use herald::clock::Timestamp;
use herald::store::{Collection, Continuation, Draft, ETag, Error, Key, Page, Partition, Query, Store, Write};
use serde_json::json;

fn at(second: i64) -> Timestamp {
    Timestamp::from_timestamp(1_800_000_000 + second, 0).unwrap()
}

/// A collection whose partitions have so many levels.
fn collection(levels: usize) -> Collection {
    match levels {
        1 => Collection::Notifications,
        2 => Collection::Deliveries,
        _ => Collection::People,
    }
}

fn key(partition: &[&str], id: &str) -> Key {
    Key::new(collection(partition.len()), Partition::new(partition.iter().copied()), id)
}

fn draft(number: u64) -> Draft {
    Draft::of(&json!({"number": number})).unwrap()
}

async fn create(store: &dyn Store, partition: &[&str], id: &str, number: u64) -> ETag {
    store.write(Write::Create(key(partition, id), draft(number))).await.unwrap()
}

fn ids(page: &Page) -> Vec<String> {
    page.documents.iter().map(|document| document.key.id.clone()).collect()
}

async fn reads_what_was_written(store: &dyn Store) {
    let etag = create(store, &["a", "b"], "one", 1).await;
    let found = store.get(&key(&["a", "b"], "one")).await.unwrap().unwrap();
    assert_eq!((found.etag.clone(), found.body.as_str()), (etag.clone(), r#"{"number":1}"#));
    assert_eq!(store.get(&key(&["a", "b"], "two")).await.unwrap(), None);
    assert_eq!(store.get(&key(&["a", "c"], "one")).await.unwrap(), None, "another partition");
    let many = store.get_many(vec![key(&["a", "b"], "two"), key(&["a", "b"], "one")]).await.unwrap();
    assert_eq!(many.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true]);
    let next = store.write(Write::Replace(key(&["a", "b"], "one"), draft(2), etag.clone())).await.unwrap();
    assert_ne!(next, etag);
}

async fn creates_once(store: &dyn Store) {
    create(store, &["p"], "x", 1).await;
    let again = store.write(Write::Create(key(&["p"], "x"), draft(2))).await;
    assert_eq!(again, Err(Error::Conflict));
    let found = store.get(&key(&["p"], "x")).await.unwrap().unwrap();
    assert_eq!(found.body, r#"{"number":1}"#, "the first stays");
}

async fn refuses_what_changed_meanwhile(store: &dyn Store) {
    let first = create(store, &["p"], "x", 1).await;
    let second = store.write(Write::Replace(key(&["p"], "x"), draft(2), first.clone())).await.unwrap();
    assert_eq!(store.write(Write::Replace(key(&["p"], "x"), draft(3), first.clone())).await, Err(Error::Conflict));
    assert_eq!(store.write(Write::Delete(key(&["p"], "x"), first.clone())).await, Err(Error::Conflict));
    assert!(store.write(Write::Delete(key(&["p"], "x"), second)).await.is_ok());
    let gone = store.write(Write::Replace(key(&["p"], "x"), draft(3), first.clone())).await;
    assert_eq!(gone, Err(Error::Conflict));
    let anew = create(store, &["p"], "x", 4).await;
    assert_ne!(anew, first, "a version never comes back");
    assert_eq!(store.write(Write::Replace(key(&["p"], "x"), draft(5), first)).await, Err(Error::Conflict));
}

async fn changes_all_or_nothing(store: &dyn Store) {
    let etag = create(store, &["p"], "kept", 1).await;
    let stale = ETag("0".into());
    let writes =
        vec![Write::Create(key(&["p"], "new"), draft(1)), Write::Replace(key(&["p"], "kept"), draft(2), stale)];
    assert_eq!(store.transact(writes).await, Err(Error::Conflict));
    assert_eq!(store.get(&key(&["p"], "new")).await.unwrap(), None, "nothing of a transaction that failed");
    let writes = vec![Write::Create(key(&["p"], "new"), draft(1)), Write::Replace(key(&["p"], "kept"), draft(2), etag)];
    let etags = store.transact(writes).await.unwrap();
    let kept = store.get(&key(&["p"], "kept")).await.unwrap().unwrap();
    assert_eq!((etags.len(), &kept.etag, kept.body.as_str()), (2, &etags[1], r#"{"number":2}"#));
}

async fn pages_without_loss_or_repetition(store: &dyn Store) {
    for number in 0..25 {
        create(store, &["bot", "t1", &format!("p{number:02}")], "person", number).await;
    }
    create(store, &["bot", "t10", "p"], "person", 99).await;
    create(store, &["bo", "t1", "p"], "person", 99).await;
    let query = |partition: &[&str]| Query::Under {
        collection: Collection::People,
        partition: Partition::new(partition.iter().copied()),
        tag: None,
    };
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = store.page(&query(&["bot", "t1"]), after.as_ref(), 10).await.unwrap();
        assert!(page.documents.len() <= 10);
        seen.extend(page.documents.iter().map(|document| document.key.partition.levels()[2].clone()));
        match page.next {
            // A continuation survives being written down, and a document that comes or goes elsewhere.
            Some(next) => {
                let text = serde_json::to_string(&next).unwrap();
                after = Some(serde_json::from_str::<Continuation>(&text).unwrap());
                create(store, &["bot", "t1", &format!("a{}", seen.len())], "person", 0).await;
            }
            None => break,
        }
    }
    seen.retain(|person| person.starts_with('p'));
    assert_eq!(seen.len(), 25);
    seen.dedup();
    assert_eq!(seen.len(), 25, "nobody twice");
    let nobody = store.page(&query(&["nobody"]), None, 10).await.unwrap();
    assert!(nobody.documents.is_empty() && nobody.next.is_none());
    let next = store.page(&query(&["bot", "t1"]), None, 10).await.unwrap().next.unwrap();
    let cut = next.0[..next.0.len() / 2].to_owned();
    for bad in ["", "nonsense!", "bm9uc2Vuc2U", &cut] {
        let answer = store.page(&query(&["bot", "t1"]), Some(&Continuation(bad.into())), 10).await;
        assert_eq!(answer.err(), Some(Error::BadContinuation), "{bad}");
    }
}

async fn shows_the_newest_first(store: &dyn Store) {
    for (id, second) in [("old", 1), ("new", 3), ("middle", 2), ("middle-too", 2)] {
        let draft = draft(0).ranked(at(second));
        store.write(Write::Create(key(&["n", "t", id], id), draft)).await.unwrap();
    }
    create(store, &["n", "t", "unranked"], "unranked", 0).await;
    create(store, &["n2", "t", "of another"], "of another", 0).await;
    let query = Query::Newest { collection: Collection::People, partition: Partition::new(["n"]) };
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = store.page(&query, after.as_ref(), 1).await.unwrap();
        seen.extend(ids(&page));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(store.page(&query, None, 10).await.unwrap().next, None, "there is no more");
    seen[1..3].sort();
    assert_eq!(seen, ["new", "middle", "middle-too", "old"]);
}

async fn finds_what_is_due(store: &dyn Store) {
    for (id, second) in [("later", 20), ("soon", 10), ("sooner", 5)] {
        let draft = draft(0).due(Some(at(second)));
        store.write(Write::Create(key(&["d", id], id), draft)).await.unwrap();
    }
    create(store, &["d", "never"], "never", 0).await;
    let due = |second| Query::Due { collection: Collection::Deliveries, at: at(second) };
    assert_eq!(ids(&store.page(&due(10), None, 10).await.unwrap()), ["sooner", "soon"]);
    assert_eq!(store.page(&due(10), None, 10).await.unwrap().next, None, "there is no more");
    assert_eq!(ids(&store.page(&due(4), None, 10).await.unwrap()), Vec::<String>::new());
    let first = store.page(&due(30), None, 2).await.unwrap();
    assert_eq!(ids(&store.page(&due(30), first.next.as_ref(), 2).await.unwrap()), ["later"]);
}

async fn counts_by_tag_in_one_partition(store: &dyn Store) {
    for (partition, id, tag) in [("x", "1", "out"), ("x", "2", "out"), ("x", "3", "done"), ("y", "1", "out")] {
        let draft = draft(0).tagged(tag);
        store.write(Write::Create(key(&["c", partition], id), draft)).await.unwrap();
    }
    let count = |tag| {
        let partition = Partition::new(["c", "x"]);
        async move { store.count(Collection::Deliveries, &partition, tag).await.unwrap() }
    };
    assert_eq!((count("out").await, count("done").await, count("other").await), (2, 1, 0));
    let found = store.get(&key(&["c", "x"], "1")).await.unwrap().unwrap();
    store.write(Write::Replace(key(&["c", "x"], "1"), draft(0).tagged("done"), found.etag)).await.unwrap();
    assert_eq!((count("out").await, count("done").await), (1, 2));
    let query = Query::Under { collection: Collection::Deliveries, partition: Partition::new(["c"]), tag: Some("out") };
    let both = store.page(&query, None, 10).await.unwrap();
    assert_eq!((both.documents.len(), both.next), (2, None));
}

async fn one_of_many_wins(store: Arc<dyn Store>) {
    let racers = (0..50).map(|number| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.write(Write::Create(key(&["r"], "x"), draft(number))).await })
    });
    let mut wins = 0;
    for racer in futures_util::future::join_all(racers).await {
        match racer.unwrap() {
            Ok(_) => wins += 1,
            Err(error) => assert_eq!(error, Error::Conflict),
        }
    }
    assert_eq!(wins, 1);
}

/// Read, add one, replace if unchanged: what leases and ledgers rest on.
async fn no_change_is_lost(store: Arc<dyn Store>) {
    create(store.as_ref(), &["l"], "x", 0).await;
    let adders = (0..20).map(|_| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            loop {
                let found = store.get(&key(&["l"], "x")).await.unwrap().unwrap();
                let value: serde_json::Value = found.read().unwrap();
                let next = draft(value["number"].as_u64().unwrap() + 1);
                match store.write(Write::Replace(key(&["l"], "x"), next, found.etag)).await {
                    Ok(_) => return,
                    Err(error) => assert_eq!(error, Error::Conflict),
                }
            }
        })
    });
    futures_util::future::join_all(adders).await;
    let found = store.get(&key(&["l"], "x")).await.unwrap().unwrap();
    assert_eq!(found.body, r#"{"number":20}"#);
}

/// Whoever reads after somebody was told of a change reads that change or a later one, however many read meanwhile.
async fn nobody_reads_what_is_over(store: Arc<dyn Store>) {
    use std::sync::atomic::{AtomicU64, Ordering};
    let mut etag = create(store.as_ref(), &["n"], "x", 0).await;
    let told = Arc::new(AtomicU64::new(0));
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let (store, told) = (Arc::clone(&store), Arc::clone(&told));
            tokio::spawn(async move {
                let mut last = 0;
                while last < 60 {
                    let floor = told.load(Ordering::SeqCst);
                    // The other one is not there, and is asked for so that not all is known already.
                    let keys = vec![key(&["n"], &format!("none-{last}")), key(&["n"], "x")];
                    let found = store.get_many(keys).await.unwrap().pop().flatten().unwrap();
                    last = found.read::<serde_json::Value>().unwrap()["number"].as_u64().unwrap();
                    assert!(last >= floor, "{last} was read, and {floor} was told before");
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for number in 1..=60 {
        let write = Write::Replace(key(&["n"], "x"), draft(number), etag);
        etag = store.write(write).await.unwrap();
        told.store(number, Ordering::SeqCst);
    }
    for reader in readers {
        reader.await.unwrap();
    }
}

/// A lease is a conditional replacement: of those who saw it free, one has it, and whoever lost it writes no more.
async fn one_has_the_lease(store: Arc<dyn Store>) {
    create(store.as_ref(), &["lease"], "x", 0).await;
    let free = store.get(&key(&["lease"], "x")).await.unwrap().unwrap().etag;
    let takers = (1..=20).map(|owner| {
        let (store, free) = (Arc::clone(&store), free.clone());
        tokio::spawn(async move { store.write(Write::Replace(key(&["lease"], "x"), draft(owner), free)).await })
    });
    let taken: Vec<_> =
        futures_util::future::join_all(takers).await.into_iter().filter_map(|taker| taker.unwrap().ok()).collect();
    let [etag] = taken.as_slice() else { panic!("{} have the lease", taken.len()) };
    let renewed = store.write(Write::Replace(key(&["lease"], "x"), draft(21), etag.clone())).await.unwrap();
    let late = store.write(Write::Replace(key(&["lease"], "x"), draft(22), etag.clone())).await;
    assert_eq!(late, Err(Error::Conflict), "renewed under another version");
    assert_eq!(store.get(&key(&["lease"], "x")).await.unwrap().unwrap().etag, renewed);
}

async fn keeps_odd_ids_apart(store: &dyn Store) {
    let odd = ["19:x@thread.v2;messageid=1", "a/b\\c?d#e", "%1F", "\u{1f}", "é\u{10FFFF}", " ", "%", "a\nb", "\n"];
    for (number, id) in odd.iter().enumerate() {
        create(store, &["o", id], id, number as u64).await;
    }
    for (number, id) in odd.iter().enumerate() {
        let found = store.get(&key(&["o", id], id)).await.unwrap().unwrap();
        assert_eq!(found.body, format!(r#"{{"number":{number}}}"#), "{id:?}");
        assert_eq!(found.key, key(&["o", id], id));
    }
    let query = Query::Under { collection: Collection::Deliveries, partition: Partition::new(["o"]), tag: None };
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = store.page(&query, after.as_ref(), 1).await.unwrap();
        assert!(page.documents.iter().all(|document| document.key.partition.levels()[1] == document.key.id));
        seen.extend(ids(&page));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), odd.len(), "each once, whatever a page ends with");
}

async fn what_has_faded_is_removed(store: &dyn Store) {
    for (id, expires) in [("gone", Some(at(10))), ("stays", Some(at(20))), ("forever", None)] {
        let draft = draft(0).expiring(expires);
        store.write(Write::Create(key(&["f"], id), draft)).await.unwrap();
    }
    assert_eq!(store.purge(at(10), 100).await.unwrap(), 1);
    assert_eq!(store.get(&key(&["f"], "gone")).await.unwrap(), None);
    assert!(store.get(&key(&["f"], "stays")).await.unwrap().is_some());
    assert!(store.get(&key(&["f"], "forever")).await.unwrap().is_some());
}

/// Instantiates every test of the contract for a backend: an expression that gives an `Arc<dyn Store>` and whatever
/// must live as long.
macro_rules! store_contract {
    ($backend:ident, $make:expr) => {
        mod $backend {
            #[allow(unused_imports)]
            use super::*;

            store_contract!(@each $make;
                reads_what_was_written, creates_once, refuses_what_changed_meanwhile, changes_all_or_nothing,
                pages_without_loss_or_repetition, shows_the_newest_first, finds_what_is_due,
                counts_by_tag_in_one_partition, keeps_odd_ids_apart);

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn one_of_many_wins() {
                let (store, _guard) = $make;
                super::one_of_many_wins(store).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn one_has_the_lease() {
                let (store, _guard) = $make;
                super::one_has_the_lease(store).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn no_change_is_lost() {
                let (store, _guard) = $make;
                super::no_change_is_lost(store).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn nobody_reads_what_is_over() {
                let (store, _guard) = $make;
                super::nobody_reads_what_is_over(store).await;
            }
        }
    };
    (@each $make:expr; $($test:ident),*) => {
        $(
            #[tokio::test]
            async fn $test() {
                let (store, _guard) = $make;
                super::$test(store.as_ref()).await;
            }
        )*
    };
}

#[tokio::test]
async fn the_embedded_store_removes_what_has_faded() {
    let (store, _guard) = embedded();
    what_has_faded_is_removed(store.as_ref()).await;
}

#[tokio::test]
async fn the_store_in_memory_removes_what_has_faded() {
    what_has_faded_is_removed(&crate::support::Memory::default()).await;
}

fn embedded() -> (Arc<dyn Store>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = herald::store::embedded::Embedded::open(folder.path()).unwrap().store();
    (Arc::new(store), folder)
}

store_contract!(embedded_store, embedded());
store_contract!(cosmos_store, crate::cosmos::store().await);
store_contract!(memory_store, (Arc::new(crate::support::Memory::default()) as Arc<dyn Store>, ()));

#[tokio::test]
async fn the_embedded_store_is_there_after_it_was_closed_and_gives_no_version_twice() {
    use herald::store::embedded::{Embedded, OpenError};
    let folder = tempfile::tempdir().unwrap();
    let open = || Embedded::open(folder.path());
    let first = open().unwrap();
    assert!(matches!(open(), Err(OpenError::InUse(_))), "one process at a time");
    let etag = create(&first.store(), &["p"], "x", 1).await;
    first.store().write(Write::Delete(key(&["p"], "x"), etag.clone())).await.unwrap();
    first.close();
    assert!(matches!(first.store().probe().await, Err(Error::Unavailable(_))), "closed is closed");
    let second = open().unwrap();
    let anew = create(&second.store(), &["p"], "x", 2).await;
    assert_ne!(anew, etag);
    second.close();
    let third = open().unwrap();
    let found = third.store().get(&key(&["p"], "x")).await.unwrap().unwrap();
    assert_eq!(found.etag, anew);
}

#[tokio::test]
async fn the_embedded_queue_gives_a_claimed_message_back_after_a_crash() {
    use herald::store::embedded::{Embedded, Failed};
    let folder = tempfile::tempdir().unwrap();
    let embedded = Embedded::open(folder.path()).unwrap();
    let queue = embedded.queue();
    queue
        .put(vec![("q".into(), "one".into()), ("q".into(), "two".into()), ("other".into(), "x".into())])
        .await
        .unwrap();
    let one = queue.claim("q", at(0)).await.unwrap().unwrap();
    assert_eq!((one.body.as_str(), one.attempts), ("one", 1));
    let two = queue.claim("q", at(0)).await.unwrap().unwrap();
    assert_eq!(queue.claim("q", at(0)).await.unwrap(), None, "both are claimed");
    queue.done(two.id).await.unwrap();
    embedded.close();
    let embedded = Embedded::open(folder.path()).unwrap();
    let queue = embedded.queue();
    let again = queue.claim("q", at(0)).await.unwrap().unwrap();
    assert_eq!((again.id, again.attempts), (one.id, 2));
    queue.failed(again.id, Failed::VisibleAt(at(0) + Duration::from_secs(15))).await.unwrap();
    assert_eq!(queue.claim("q", at(14)).await.unwrap(), None);
    let later = queue.claim("q", at(15)).await.unwrap().unwrap();
    queue.failed(later.id, Failed::Poison).await.unwrap();
    assert_eq!((queue.length("q").await.unwrap(), queue.length("q-poison").await.unwrap()), (0, 1));
}

#[tokio::test]
async fn the_embedded_queue_holds_a_message_once_while_nobody_works_on_it() {
    use herald::store::embedded::{Embedded, Failed};
    let folder = tempfile::tempdir().unwrap();
    let queue = Embedded::open(folder.path()).unwrap().queue();
    let put = async || queue.put(vec![("q".into(), "one".into()), ("other".into(), "one".into())]).await.unwrap();
    put().await;
    put().await;
    assert_eq!((queue.length("q").await.unwrap(), queue.length("other").await.unwrap()), (1, 1));
    let one = queue.claim("q", at(0)).await.unwrap().unwrap();
    put().await;
    assert_eq!(queue.length("q").await.unwrap(), 2, "what happened since somebody took it may be news");
    queue.failed(one.id, Failed::VisibleAt(at(15))).await.unwrap();
    let now = queue.claim("q", at(0)).await.unwrap().unwrap();
    queue.done(now.id).await.unwrap();
    put().await;
    assert!(queue.claim("q", at(0)).await.unwrap().is_some(), "one that waits for later is none for now");
}
