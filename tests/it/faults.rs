//! A store that fails at any one call: nobody is lost, nobody gets it twice, nobody is called doubtful.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use herald::app::App;
use herald::chance::SystemChance;
use herald::clock::{SystemClock, Timestamp};
use herald::config::{Role, parse};
use herald::delivery::{Pointer, PutOut};
use herald::functions::{Function, Request, serve_http};
use herald::people::Identity;
use herald::simulator::{Behaviour, Teams};
use herald::store::embedded::Embedded;
use herald::store::{
    Collection, Continuation, Document, Draft, ETag, Error, Key, Page, Partition, Query, Store, Write,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::install;

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// It is not made.
    NotMade,
    /// It is made, and nobody learns of it.
    Unheard,
    /// It is made, nobody learns of it, and so it is made again: what a client does that retries a write whose answer
    /// was lost. The second one finds the first.
    Repeated,
    /// It is made, nobody learns of it, and the store is away for some calls more.
    Away,
}

/// A store whose n-th call from now fails.
#[derive(Debug)]
struct Faulty {
    inner: Arc<dyn Store>,
    /// How many calls still succeed; below zero: all of them.
    left: AtomicI64,
    fault: Mutex<Fault>,
    /// How many calls more find nobody.
    away: AtomicI64,
}

impl Faulty {
    fn is_away(&self) -> bool {
        self.away.load(Ordering::SeqCst) > 0
    }

    fn fault(&self) -> Fault {
        *self.fault.lock().unwrap()
    }

    fn call(&self) -> Result<(), Error> {
        if self.away.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |away| (away > 0).then_some(away - 1)).is_ok() {
            return Err(Error::Unavailable("away, as the test asked".into()));
        }
        if self.left.load(Ordering::SeqCst) >= 0 && self.left.fetch_sub(1, Ordering::SeqCst) == 0 {
            return Err(Error::Unavailable("as the test asked".into()));
        }
        Ok(())
    }
}

/// How many calls a store that is away does not hear: the look at what a write left, and some attempts to record.
const AWAY: i64 = 4;

#[async_trait]
impl Store for Faulty {
    async fn get(&self, key: &Key) -> Result<Option<Document>, Error> {
        self.call()?;
        self.inner.get(key).await
    }

    async fn get_many(&self, keys: Vec<Key>) -> Result<Vec<Option<Document>>, Error> {
        self.call()?;
        self.inner.get_many(keys).await
    }

    async fn write(&self, write: Write) -> Result<ETag, Error> {
        let was_away = self.is_away();
        match (self.call(), self.fault()) {
            (Err(failure), _) if was_away => Err(failure),
            (Ok(()), _) => self.inner.write(write).await,
            (Err(failure), Fault::NotMade) => Err(failure),
            (Err(failure), Fault::Unheard) => self.inner.write(write).await.and(Err(failure)),
            (Err(failure), Fault::Away) => {
                self.away.store(AWAY, Ordering::SeqCst);
                self.inner.write(write).await.and(Err(failure))
            }
            (Err(_), Fault::Repeated) => {
                self.inner.write(write.clone()).await?;
                self.inner.write(write).await
            }
        }
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<Vec<ETag>, Error> {
        let was_away = self.is_away();
        match (self.call(), self.fault()) {
            (Err(failure), _) if was_away => Err(failure),
            (Ok(()), _) => self.inner.transact(writes).await,
            (Err(failure), Fault::NotMade) => Err(failure),
            (Err(failure), Fault::Unheard) => self.inner.transact(writes).await.and(Err(failure)),
            (Err(failure), Fault::Away) => {
                self.away.store(AWAY, Ordering::SeqCst);
                self.inner.transact(writes).await.and(Err(failure))
            }
            (Err(_), Fault::Repeated) => {
                self.inner.transact(writes.clone()).await?;
                self.inner.transact(writes).await
            }
        }
    }

    async fn page(&self, query: &Query, after: Option<&Continuation>, limit: usize) -> Result<Page, Error> {
        self.call()?;
        self.inner.page(query, after, limit).await
    }

    async fn count(&self, collection: Collection, partition: &Partition, tag: &'static str) -> Result<u64, Error> {
        self.call()?;
        self.inner.count(collection, partition, tag).await
    }

    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, Error> {
        self.inner.purge(now, limit).await
    }

    fn exclusive(&self) -> bool {
        self.inner.exclusive()
    }

    async fn probe(&self) -> Result<(), Error> {
        self.inner.probe().await
    }
}

struct House {
    app: App,
    store: Arc<Faulty>,
    teams: Teams,
    _folder: tempfile::TempDir,
}

impl House {
    async fn new(rate: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let inner = Arc::new(Embedded::open(folder.path()).unwrap().store());
        let store = Arc::new(Faulty {
            inner,
            left: AtomicI64::new(-1),
            fault: Mutex::new(Fault::NotMade),
            away: AtomicI64::new(0),
        });
        let settings: BTreeMap<_, _> = [("HERALD_TENANT_RATE".to_owned(), rate.to_owned())].into();
        let config = parse(&settings, Role::Serve).unwrap();
        let shared: Arc<dyn Store> = store.clone();
        let closing = CancellationToken::new();
        let app = App::new(&config, shared, Arc::new(SystemClock), Arc::new(SystemChance), closing).unwrap();
        Self { app, store, teams: Teams::start().await.unwrap(), _folder: folder }
    }

    async fn call(&self, function: Function, method: &str, id: Option<&str>, body: &Value) -> (u16, Value, PutOut) {
        let body = Some(body.to_string().into_bytes());
        let request = Request { method: method.into(), id: id.map(str::to_owned), body, ..Request::default() };
        let (answer, put_out) = serve_http(&self.app, function, &request).await;
        (answer.status, serde_json::from_str(&answer.body).unwrap_or_default(), put_out)
    }

    async fn meet(&self, name: &str) {
        let activity = install(&self.teams, name);
        assert_eq!(self.call(Function::Messages, "POST", None, &activity).await.0, 200);
    }

    async fn post(&self, body: &Value) -> PutOut {
        let (status, answer, put_out) = self.call(Function::CreateNotification, "POST", None, body).await;
        assert_eq!(status, 202, "{answer}");
        put_out
    }

    async fn status(&self, id: &str) -> Value {
        self.call(Function::Notifications, "GET", Some(id), &Value::Null).await.1
    }

    /// Works off what was put out, as a queue does: a message whose work failed comes back.
    async fn work_off(&self, put_out: PutOut) {
        let mut queue: VecDeque<Pointer> = put_out.notifications.into_iter().chain(put_out.deliveries).collect();
        let mut failures = 0;
        while let Some(pointer) = queue.pop_front() {
            let done = match &pointer.batch {
                Some(_) => self.app.delivery.deliver(&pointer).await,
                None => self.app.delivery.run(&pointer).await,
            };
            match done {
                Ok(more) => queue.extend(more.notifications.into_iter().chain(more.deliveries)),
                Err(error) => {
                    failures += 1;
                    assert!(failures < 10, "{error}");
                    queue.push_back(pointer);
                }
            }
        }
    }
}

/// True when there were fewer calls than this, so that none failed.
async fn survives(fault: i64, how: Fault) -> bool {
    // Five people in windows of two.
    let house = House::new("10").await;
    for number in 0..5 {
        house.meet(&format!("p{number}")).await;
    }
    let put_out = house.post(&json!({"id": "n", "content": {"text": "x"}, "audience": {"all": true}})).await;
    *house.store.fault.lock().unwrap() = how;
    house.store.left.store(fault, Ordering::SeqCst);
    house.work_off(put_out).await;
    let unused = house.store.left.swap(-1, Ordering::SeqCst) >= 0;
    // Where the failed call only dropped what follows, Tick would find it: here its message comes again at once.
    house.work_off(PutOut { notifications: vec![Pointer::to_notification("n")], deliveries: Vec::new() }).await;
    // And what was made without anybody's hearing of it lies until a start or Tick points to it.
    let lying = house.app.delivery.resume().await.unwrap();
    house.work_off(lying).await;
    let status = house.status("n").await;
    assert_eq!((&status["state"], &status["counts"]["sent"]), (&json!("completed"), &json!(5)), "{fault}: {status}");
    let delivered = house.teams.delivered("x");
    assert!(delivered.len() == 5 && delivered.values().all(|count| *count == 1), "{fault}: {delivered:?}");
    unused
}

#[tokio::test]
async fn whichever_call_of_the_store_fails_everybody_gets_it_once() {
    each_call_fails(Fault::NotMade).await;
}

#[tokio::test]
async fn whichever_write_is_made_without_our_learning_of_it_everybody_gets_it_once() {
    each_call_fails(Fault::Unheard).await;
}

#[tokio::test]
async fn whichever_write_is_the_last_before_the_store_goes_away_everybody_gets_it_once() {
    each_call_fails(Fault::Away).await;
}

#[tokio::test]
async fn whichever_write_is_made_twice_everybody_gets_it_once() {
    each_call_fails(Fault::Repeated).await;
}

async fn each_call_fails(how: Fault) {
    for first in (0..).step_by(16) {
        // Most of the time of each is waiting for permits.
        let survived = futures_util::future::join_all((first..first + 16).map(|fault| survives(fault, how))).await;
        if survived.contains(&true) {
            assert!(first > 32, "only {first} calls were made to fail");
            return;
        }
    }
}

#[tokio::test]
async fn a_document_that_cannot_be_read_keeps_nobody_waiting() {
    let house = House::new("50").await;
    house.meet("ana").await;
    for collection in [Collection::Deliveries, Collection::Notifications] {
        let key = Key::new(collection, Partition::new(["foreign", "x"]), "x");
        let past = Timestamp::UNIX_EPOCH;
        let draft = Draft { body: r#"{"v":2}"#.into(), ..Draft::default() }.due(Some(past)).ranked(past);
        house.store.inner.write(Write::Create(key, draft)).await.unwrap();
    }
    let at = (herald::clock::Clock::now(&SystemClock) + chrono::TimeDelta::milliseconds(300)).to_rfc3339();
    house.post(&json!({"id": "n", "content": {"text": "x"}, "audience": {"all": true}, "sendAt": at})).await;
    let look = async {
        loop {
            let put_out = house.app.delivery.tick().await.unwrap();
            if !put_out.is_empty() {
                return put_out;
            }
        }
    };
    let put_out = tokio::time::timeout(std::time::Duration::from_secs(10), look).await.expect("a tick that finds it");
    house.work_off(put_out).await;
    assert_eq!(house.status("n").await["counts"]["sent"], 1);
    let (status, list, _) = house.call(Function::Notifications, "GET", None, &Value::Null).await;
    assert_eq!((status, list["notifications"].as_array().map(Vec::len)), (200, Some(1)), "{list}");
}

#[tokio::test]
async fn somebody_who_is_being_recorded_at_this_moment_is_counted() {
    let house = House::new("50").await;
    house.meet("ana").await;
    let bob = Identity { user_id: Some("29:bob".into()), aad_object_id: None };
    // What a process that was killed between the two writes of a first activity leaves.
    house.app.delivery.registry.resolve("the-bot", "tenant", &bob, Timestamp::UNIX_EPOCH).await.unwrap();
    let body = json!({"id": "n", "content": {"text": "x"}, "audience": {"users": ["29:ana", "29:bob"]}});
    let put_out = house.post(&body).await;
    house.work_off(put_out).await;
    let counts = &house.status("n").await["counts"];
    assert_eq!(
        (&counts["audience"], &counts["sent"], &counts["skipped"]["noTeamsChat"]),
        (&json!(2), &json!(1), &json!(1))
    );
}

#[tokio::test]
async fn a_tenant_that_is_told_to_wait_waits() {
    let house = House::new("50").await;
    for number in 0..60 {
        let name = format!("p{number:02}");
        house.meet(&name).await;
        house.teams.next(&format!("a:{name}"), [Behaviour::Throttled(Some("2"))]);
    }
    let put_out = house.post(&json!({"id": "n", "content": {"text": "x"}, "audience": {"all": true}})).await;
    let delivery = house.app.delivery.clone();
    let [run] = put_out.notifications.as_slice() else { panic!("{put_out:?}") };
    let planned = delivery.run(run).await.unwrap();
    let [batch] = planned.deliveries.as_slice() else { panic!("{planned:?}") };
    let work = {
        let batch = batch.clone();
        tokio::spawn(async move { delivery.deliver(&batch).await })
    };
    let first = async {
        while house.teams.received().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), first).await.expect("a first window");
    // Everything else would be out within this second, were it not for the pause.
    assert!(tokio::time::timeout(std::time::Duration::from_secs(1), async { work.await.unwrap() }).await.is_err());
    let early = house.teams.received().len();
    assert!(early <= 20, "{early} messages went into the pause");
}
