//! What is particular to the store on Cosmos DB. The contract that every store keeps is in `store_contract.rs`.
//!
//! The account is the one that Microsoft's SDK brings for its own tests. It never lets a document expire, looks at no
//! key or token, and forgets everything when it ends: none of that is shown here. What is shown of it is what Herald
//! asks for: the `ttl` that is written, the token that is sent.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use azure_core::credentials::Secret;
use azure_core::http::Url;
use azure_data_cosmos::CosmosRuntimeBuilder;
use azure_data_cosmos_driver::in_memory_emulator::InMemoryEmulatorHttpClient;
use herald::clock::{SystemClock, Timestamp};
use herald::people::Person;
use herald::store::cosmos::{Account, CosmosStore, Finding, Layout, Proof, check, create};
use herald::store::{Collection, Continuation, Draft, Error, Key, Partition, Query, Store, Write, budget};
use serde_json::{Value, json};

use crate::cosmos_emulator::{Fault, KEY, Served, account};
use crate::support::{herald, report};

/// Herald's account at an emulator in this process.
pub struct InProcess {
    pub emulator: Arc<InMemoryEmulatorHttpClient>,
    pub account: Account,
}

const REGION: &str = "https://westeurope.emulator.local/";
const OTHER_REGION: &str = "https://northeurope.emulator.local/";

impl InProcess {
    fn with(emulator: Arc<InMemoryEmulatorHttpClient>) -> Self {
        let proof = Proof::Key(Secret::new(KEY));
        let account = Account { endpoint: REGION.parse().unwrap(), database: "herald".into(), proof };
        Self { emulator, account }
    }

    async fn runtime(&self) -> azure_data_cosmos::CosmosRuntime {
        CosmosRuntimeBuilder::from(self.emulator.runtime_builder()).build().await.unwrap()
    }

    /// A client of its own: another instance of Herald.
    async fn open(&self) -> CosmosStore {
        self.account.open(Some(self.runtime().await), Arc::new(SystemClock)).await.unwrap()
    }

    async fn laid_out(regions: &[(&str, &str)]) -> Self {
        let regions: Vec<(&str, Url)> = regions.iter().map(|(name, url)| (*name, url.parse().unwrap())).collect();
        let here = Self::with(account(&regions, false));
        create(&here.account, Some(here.runtime().await)).await.unwrap();
        here
    }
}

/// A store for the contract.
pub async fn store() -> (Arc<dyn Store>, InProcess) {
    let here = InProcess::laid_out(&[("West Europe", REGION)]).await;
    let store: Arc<dyn Store> = Arc::new(here.open().await);
    (store, here)
}

/// An account behind a port, and its store.
async fn served(
    throughput: Option<u32>,
    intervene: crate::cosmos_emulator::Intervene,
) -> (CosmosStore, Account, Served) {
    let served = Served::start(0, throughput, intervene).await.unwrap();
    let proof = Proof::Key(Secret::new(KEY));
    let account = Account { endpoint: served.endpoint().parse().unwrap(), database: "herald".into(), proof };
    create(&account, None).await.unwrap();
    (account.open(None, Arc::new(SystemClock)).await.unwrap(), account, served)
}

fn person(number: u32) -> Key {
    Key::new(
        Collection::People,
        Partition::new(["bot".to_owned(), "tenant".to_owned(), format!("p{number:03}")]),
        "person",
    )
}

fn draft(number: u32) -> Draft {
    Draft::of(&json!({"number": number})).unwrap()
}

async fn audience(store: &dyn Store, page: usize, mut after_first: impl AsyncFnMut()) -> Vec<u64> {
    let query =
        Query::Under { collection: Collection::People, partition: Partition::new(["bot", "tenant"]), tag: None };
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let found = store.page(&query, after.as_ref(), page).await.unwrap();
        seen.extend(
            found.documents.iter().map(|document| document.read::<Value>().unwrap()["number"].as_u64().unwrap()),
        );
        after = found.next;
        if after.is_none() {
            seen.sort_unstable();
            return seen;
        }
        after_first().await;
    }
}

#[tokio::test]
async fn an_audience_is_paged_across_a_partition_split() {
    let here = InProcess::laid_out(&[("West Europe", REGION)]).await;
    let store = here.open().await;
    for number in 0..60 {
        store.write(Write::Create(person(number), draft(number))).await.unwrap();
    }
    let emulator = here.emulator.store();
    let mut children = Vec::new();
    let seen = audience(&store, 7, async || {
        if children.is_empty() {
            // The tenant lies in one of them; the others have nothing to split.
            let begun = (0..4)
                .filter(|id| emulator.split_partition_by_storage("herald", "people", *id, Duration::ZERO).is_ok());
            let parents: Vec<u32> = begun.collect();
            emulator.drain_pending_control_plane().await;
            children = emulator.child_partition_ids("herald", "people", &parents);
        }
    })
    .await;
    assert_eq!(children.len(), 2, "the tenant's partition was split");
    assert_eq!(seen, (0..60).collect::<Vec<u64>>(), "nobody lost, nobody twice");
}

#[tokio::test]
async fn a_region_that_is_lost_is_read_around_and_a_failover_is_followed() {
    let here = InProcess::laid_out(&[("West Europe", REGION), ("North Europe", OTHER_REGION)]).await;
    let emulator = here.emulator.store();
    let store = here.open().await;
    let etag = store.write(Write::Create(person(1), draft(1))).await.unwrap();
    emulator.drain_pending_replications().await;
    emulator.begin_failover("North Europe").unwrap();
    let etag = store.write(Write::Replace(person(1), draft(2), etag)).await.expect("written in the other region");
    emulator.complete_failover();
    emulator.drain_pending_replications().await;
    emulator.set_region_offline("West Europe").unwrap();
    assert_eq!(store.get(&person(1)).await.unwrap().expect("the document").etag, etag);
    let many = store.get_many(vec![person(1), person(2)]).await.unwrap();
    assert_eq!(many[0].as_ref().unwrap().body, r#"{"number":2}"#);
    assert!(many[1].is_none());
}

/// The SDK looks for a new region to write to every five minutes; until then nothing is made, and nothing hangs.
#[tokio::test]
async fn a_write_to_a_region_that_just_went_away_is_told_to_come_back() {
    let here = InProcess::laid_out(&[("West Europe", REGION), ("North Europe", OTHER_REGION)]).await;
    let store = here.open().await;
    here.emulator.store().set_region_offline("West Europe").unwrap();
    let failure = store.write(Write::Create(person(1), draft(1))).await;
    assert!(matches!(failure, Err(Error::Unavailable(_))), "{failure:?}");
}

/// The emulator knows no replicas within a region, so what a quorum read would show is not shown: that it is asked for.
#[tokio::test]
async fn what_decides_about_a_message_is_read_from_a_quorum_and_everything_else_in_session() {
    let seen: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let noted = Arc::clone(&seen);
    let note = move |parts: &axum::http::request::Parts| {
        let header = parts.headers.get("x-ms-cosmos-read-consistency-strategy");
        noted.lock().unwrap().extend(header.map(|value| value.to_str().unwrap().to_owned()));
        Fault::None
    };
    let (store, ..) = served(None, Arc::new(note)).await;
    let strategies = || std::mem::take(&mut *seen.lock().unwrap()).into_iter().collect::<Vec<_>>();
    store.write(Write::Create(person(1), draft(1))).await.unwrap();
    strategies();
    store.get_many(vec![person(1), person(2)]).await.unwrap();
    assert_eq!(strategies(), ["LatestCommitted"]);
    store.get(&person(1)).await.unwrap();
    audience(&store, 5, async || {}).await;
    assert_eq!(strategies(), ["Session"]);
}

#[tokio::test]
async fn one_instance_goes_on_where_another_stopped_though_replication_stands_still() {
    let here = InProcess::laid_out(&[("West Europe", REGION), ("North Europe", OTHER_REGION)]).await;
    let (one, other) = (here.open().await, here.open().await);
    here.emulator.store().pause_replication("North Europe");
    let etag = one.write(Write::Create(person(1), draft(1))).await.unwrap();
    let seen = other.get(&person(1)).await.unwrap().expect("the region that is written to is read");
    assert_eq!(seen.etag, etag);
    other.write(Write::Replace(person(1), draft(2), etag.clone())).await.unwrap();
    assert_eq!(one.write(Write::Replace(person(1), draft(3), etag)).await, Err(Error::Conflict));
    here.emulator.store().resume_replication("North Europe");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_throttled_account_is_slow_and_loses_nothing() {
    let refused = Arc::new(AtomicU32::new(0));
    let (store, _, _served) = served(Some(400), Arc::new(|_| Fault::None)).await;
    let store = Arc::new(store);
    let writers = (0..150).map(|number| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.write(Write::Create(person(number), draft(number))).await })
    });
    for written in futures_util::future::join_all(writers).await {
        written.unwrap().expect("written, sooner or later");
    }
    assert_eq!(audience(store.as_ref(), 100, async || {}).await.len(), 150);
    // Who has no time to wait is told when to come back.
    let hurried = (1000..1300).map(|number| {
        let (store, refused) = (Arc::clone(&store), Arc::clone(&refused));
        tokio::spawn(budget::within(Duration::from_millis(1200), async move {
            match store.write(Write::Create(person(number), draft(number))).await {
                Ok(_) => {}
                Err(Error::Throttled { retry_after }) => {
                    assert!(retry_after > Duration::ZERO);
                    refused.fetch_add(1, Ordering::SeqCst);
                }
                // A busy machine may not come to ask before the time is over.
                Err(Error::Unavailable(why)) => assert!(why.contains("timeout"), "{why}"),
                Err(other) => panic!("{other}"),
            }
        }))
    });
    let began = tokio::time::Instant::now();
    for done in futures_util::future::join_all(hurried).await {
        done.unwrap();
    }
    assert!(began.elapsed() < Duration::from_secs(4), "nobody waited longer than asked: {:?}", began.elapsed());
    assert!(refused.load(Ordering::SeqCst) > 50, "400 request units do not pay for 300 writes");
}

/// A read that fails as the test says, and how the store took it.
async fn with_fault(fault: fn() -> Fault, times: u32) -> (CosmosStore, Arc<AtomicU32>, Served) {
    let left = Arc::new(AtomicU32::new(0));
    let counting = Arc::clone(&left);
    let intervene = move |parts: &axum::http::request::Parts| {
        let is_document = parts.uri.path().contains("/docs");
        let hit = is_document
            && counting.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if hit { fault() } else { Fault::None }
    };
    let (store, _, served) = served(None, Arc::new(intervene)).await;
    store.write(Write::Create(person(1), draft(1))).await.unwrap();
    left.store(times, Ordering::SeqCst);
    (store, left, served)
}

#[tokio::test]
async fn a_passing_fault_is_not_the_caller_s_and_a_lasting_one_is_told_apart() {
    let (store, left, _served) = with_fault(|| Fault::Before(503), 1).await;
    assert!(store.get(&person(1)).await.unwrap().is_some(), "asked again within the call");
    assert_eq!(left.load(Ordering::SeqCst), 0);
    left.store(u32::MAX, Ordering::SeqCst);
    let failure = budget::within(Duration::from_secs(2), store.get(&person(1))).await;
    assert!(matches!(failure, Err(Error::Unavailable(_))), "{failure:?}");
    let (store, ..) = with_fault(|| Fault::Before(403), u32::MAX).await;
    let failure = budget::within(Duration::from_secs(2), store.get(&person(1))).await.unwrap_err();
    assert!(failure.to_string().contains("Data Contributor"), "{failure}");
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_never_called_made_and_can_be_looked_up() {
    let (store, ..) = with_fault(|| Fault::After(503), 1).await;
    let etag = store.get(&person(1)).await;
    assert!(etag.is_ok(), "a read whose answer is lost is read again");
    let (store, ..) = with_fault(|| Fault::After(503), 1).await;
    let outcome = store.write(Write::Create(person(2), draft(2))).await;
    assert!(matches!(outcome, Err(Error::Conflict | Error::Unavailable(_))), "{outcome:?}");
    assert_eq!(store.get(&person(2)).await.unwrap().unwrap().body, r#"{"number":2}"#);
}

/// A document that arrives in half is no corrupt document, and a transaction that is answered in half may be made.
#[tokio::test]
async fn half_an_answer_is_none() {
    let (store, left, _served) = with_fault(|| Fault::Half, 0).await;
    left.store(u32::MAX, Ordering::SeqCst);
    let read = budget::within(Duration::from_secs(2), store.get(&person(1))).await;
    assert!(matches!(read, Err(Error::Unavailable(_))), "{read:?}");
    let newest = Query::Newest { collection: Collection::People, partition: Partition::new(["bot"]) };
    left.store(0, Ordering::SeqCst);
    for number in 2..5 {
        let ranked = draft(number).ranked(SystemClockNow::now());
        store.write(Write::Create(person(number), ranked)).await.unwrap();
    }
    let first = store.page(&newest, None, 1).await.unwrap();
    left.store(u32::MAX, Ordering::SeqCst);
    let second = budget::within(Duration::from_secs(2), store.page(&newest, first.next.as_ref(), 1)).await;
    assert!(matches!(second, Err(Error::Unavailable(_))), "no fault of the caller's: {second:?}");
    let key = |id: &str| Key::new(Collection::Notifications, Partition::new(["n"]), id);
    let writes = vec![Write::Create(key("control"), draft(1)), Write::Create(key("message"), draft(2))];
    let made = budget::within(Duration::from_secs(2), store.transact(writes)).await;
    assert!(matches!(made, Err(Error::Unavailable(_))), "{made:?}");
    left.store(0, Ordering::SeqCst);
    assert!(store.get(&key("control")).await.unwrap().is_some());
    assert!(store.get(&person(1)).await.unwrap().is_some());
}

/// Plans keep a cursor for as long as a notification runs: it is read by every later Herald, whatever SDK it has.
#[tokio::test]
async fn a_cursor_that_is_kept_is_our_own() {
    let (store, _here) = store().await;
    for number in 0..5 {
        store.write(Write::Create(person(number), draft(number))).await.unwrap();
    }
    let query = |tenant: &str| Query::Under {
        collection: Collection::People,
        partition: Partition::new(["bot", tenant]),
        tag: None,
    };
    let page = store.page(&query("tenant"), None, 2).await.unwrap();
    // base64url of ["people/bot|tenant/person","p001"]
    let kept = Continuation("WyJwZW9wbGUvYm90fHRlbmFudC9wZXJzb24iLCJwMDAxIl0".into());
    assert_eq!(page.next, Some(kept.clone()));
    let rest = store.page(&query("tenant"), Some(&kept), 9).await.unwrap();
    assert_eq!((rest.documents.len(), rest.next), (3, None));
    assert_eq!(store.page(&query("other"), Some(&kept), 9).await.err(), Some(Error::BadContinuation));
}

#[tokio::test]
async fn a_call_ends_with_its_caller_s_time() {
    let (store, ..) = with_fault(|| Fault::Never, u32::MAX).await;
    let began = tokio::time::Instant::now();
    let failure = budget::within(Duration::from_millis(1100), store.get(&person(1))).await;
    assert!(matches!(failure, Err(Error::Unavailable(_))), "{failure:?}");
    let took = began.elapsed();
    assert!((Duration::from_secs(1)..Duration::from_secs(2)).contains(&took), "{took:?}");
    let nothing_left = budget::within(Duration::ZERO, store.get(&person(1))).await;
    assert!(matches!(nothing_left, Err(Error::Unavailable(_))));
}

#[tokio::test]
async fn each_call_is_charged_to_the_work_that_made_it() {
    let (store, _here) = store().await;
    let spent = async |work: &str| match work {
        "write" => drop(store.write(Write::Create(person(7), draft(7))).await.unwrap()),
        "read" => drop(store.get(&person(7)).await.unwrap()),
        _ => drop(store.count(Collection::Deliveries, &Partition::new(["n", "t"]), "out").await.unwrap()),
    };
    for work in ["write", "read", "count"] {
        let cost = budget::within(Duration::from_secs(5), async {
            spent(work).await;
            budget::take()
        });
        assert!(cost.await.shown() > 0.0, "{work}");
    }
}

#[tokio::test]
async fn items_of_every_version_are_read_and_what_fades_carries_its_time() {
    let here = InProcess::laid_out(&[("West Europe", REGION)]).await;
    let store = here.open().await;
    let client = here.account.client(Some(here.runtime().await)).await.unwrap();
    let database = client.database_client("herald");
    let fixture = |name: &str| -> Value {
        let path = format!("{}/tests/fixtures/stored/v1/{name}.json", env!("CARGO_MANIFEST_DIR"));
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    let people = database.container_client("people", None).await.unwrap();
    let old = fixture("cosmos-item");
    people.create_item(("28:the-bot|tenant", "u:29:ana"), "person", &old, None).await.unwrap();
    let key = Key::new(Collection::People, Partition::new(["28:the-bot", "tenant", "u:29:ana"]), "person");
    let found = store.get(&key).await.unwrap().unwrap();
    assert_eq!(found.read::<Person>().unwrap().key, "u:29:ana");
    let notifications = database.container_client("notifications", None).await.unwrap();
    notifications.create_item("build-12", "request", &fixture("cosmos-item-text"), None).await.unwrap();
    let key = Key::new(Collection::Notifications, Partition::new(["build-12"]), "request");
    assert!(store.get(&key).await.unwrap().unwrap().body.contains("1.50"), "to the letter");

    // The emulator never removes it; the service does, by this.
    let soon = SystemClockNow::now() + Duration::from_secs(3600);
    store.write(Write::Create(person(5), draft(5).expiring(Some(soon)).ranked(soon))).await.unwrap();
    let item: Value = people.read_item(("bot|tenant", "p005"), "person", None).await.unwrap().into_model().unwrap();
    let ttl = item["ttl"].as_i64().unwrap();
    assert!((3590..=3600).contains(&ttl), "{item}");
    assert_eq!(store.purge(soon + Duration::from_secs(9), 100).await.unwrap(), 0, "that is the service's affair");
    assert_eq!(item["body"], json!({"number": 5}));
    assert_eq!(item["v"], json!(1));
}

struct SystemClockNow;

impl SystemClockNow {
    fn now() -> Timestamp {
        herald::clock::Clock::now(&SystemClock)
    }
}

#[tokio::test]
async fn a_layout_is_made_once_and_what_differs_is_named() {
    let here = InProcess::with(account(&[("West Europe", REGION.parse().unwrap())], false));
    let runtime = async || Some(here.runtime().await);
    let missing = check(&here.account, runtime().await).await.unwrap();
    assert!(missing.iter().all(|(_, finding)| *finding == Finding::Missing), "{missing:?}");
    let open = here.account.open(runtime().await, Arc::new(SystemClock)).await.map(drop);
    assert!(open.unwrap_err().to_string().contains("herald store init"));

    here.emulator.store().create_database("herald");
    let other = serde_json::from_value(json!({"paths": ["/id"], "kind": "Hash", "version": 2})).unwrap();
    here.emulator.store().create_container("herald", "people", other);
    for again in [Finding::Created, Finding::Fine] {
        for (layout, finding) in create(&here.account, runtime().await).await.unwrap() {
            if layout.collection == Collection::People {
                assert!(matches!(finding, Finding::Differs(_)), "{finding:?}");
            } else {
                assert_eq!(finding, again, "{}", layout.name());
            }
        }
    }
    let looked = check(&here.account, runtime().await).await.unwrap();
    let fine = looked.iter().filter(|(_, finding)| *finding == Finding::Fine).count();
    assert_eq!(fine, Collection::ALL.len() - 1, "{looked:?}");
}

/// A token service as the Functions host offers one to its functions, and the tokens that the account saw.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_managed_identity_s_token_reaches_the_account_and_creates_nothing() {
    let seen: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let noted = Arc::clone(&seen);
    let note = move |parts: &axum::http::request::Parts| {
        let header = parts.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        noted.lock().unwrap().insert(header.to_owned());
        Fault::None
    };
    let (_, _, served) = served(None, Arc::new(note)).await;
    seen.lock().unwrap().clear();
    let tokens = axum::Router::new().fallback(|request: axum::extract::Request| async move {
        let secret = request.headers().get("x-identity-header").map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(secret.as_deref(), Some("the-header"));
        let query = request.uri().query().unwrap_or_default().to_owned();
        assert!(
            query.contains("resource=https%3A%2F%2Fcosmos.azure.com") && query.contains("client_id=the-client"),
            "{query}"
        );
        json!({"access_token": "the-token", "expires_on": "4102444800", "resource": "x", "token_type": "Bearer"})
            .to_string()
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/msi/token", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, tokens).await });

    let account = served.endpoint();
    let base = [
        ("HERALD_STORE", "cosmos"),
        ("COSMOS_ENDPOINT", account.as_str()),
        ("AZURE_CLIENT_ID", "the-client"),
        ("IDENTITY_HEADER", "the-header"),
        ("IDENTITY_ENDPOINT", endpoint.as_str()),
    ];
    let (code, out, error) = report(herald(&["config", "check"], &base)).await;
    assert_eq!(code, 0, "{out}{error}");
    assert!(out.contains("9 containers are laid out"), "{out}");
    let tokens: Vec<_> = seen.lock().unwrap().iter().cloned().collect();
    assert!(tokens.iter().all(|header| header.contains("the-token")), "{tokens:?}");
    let (code, out, _) = report(herald(&["store", "init"], &base)).await;
    assert_eq!((code, out.contains("laid out already")), (0, true), "{out}");

    let mut empty = base.to_vec();
    empty.push(("COSMOS_DATABASE", "elsewhere"));
    let (code, out, error) = report(herald(&["store", "init"], &empty)).await;
    assert_eq!(code, 1, "{out}{error}");
    assert!(
        out.contains("'elsewhere'") && out.contains("'/person'") && error.contains("may not create"),
        "{out}{error}"
    );
    let mut there = base.to_vec();
    there.extend([("COSMOS_DATABASE", "elsewhere")]);
    let (_, _, error) = report(herald(&["config", "check"], &there)).await;
    assert_eq!(error.matches("is missing").count(), Collection::ALL.len(), "nothing was made: {error}");

    let nobody = [base[0], base[1], ("COSMOS_IDENTITY", "workload")];
    let (code, _, error) = report(herald(&["config", "check"], &nobody)).await;
    assert_eq!(code, 1);
    assert!(error.contains("workload identity") && error.contains("AZURE_FEDERATED_TOKEN_FILE"), "{error}");
}

/// The layout that the documentation shows is the one that is made.
#[test]
fn every_collection_has_a_container_of_its_own() {
    let names: BTreeSet<_> = Collection::ALL.map(|collection| Layout::of(collection).name()).into();
    assert_eq!(names.len(), Collection::ALL.len());
}
