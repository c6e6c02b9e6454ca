//! How notifications with many tenants are told of and closed, on a store that says how often it is asked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use herald::app::App;
use herald::clock::{Clock, Timestamp};
use herald::config::{Role, parse};
use herald::delivery::Pointer;
use herald::functions::{Function, Request, serve_http};
use herald::store::{
    Collection, Continuation, Document, Draft, ETag, Error, Key, Page, Partition, Query, Store, Write,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::{Dice, Memory, RuntimeClock};

/// Counts pages that are asked for; and somebody else writes to a notification just before it is closed, when told to.
#[derive(Debug, Default)]
struct Watched {
    store: Memory,
    pages: AtomicUsize,
    meddles: AtomicBool,
}

#[async_trait]
impl Store for Watched {
    async fn get(&self, key: &Key) -> Result<Option<Document>, Error> {
        self.store.get(key).await
    }

    async fn get_many(&self, keys: Vec<Key>) -> Result<Vec<Option<Document>>, Error> {
        self.store.get_many(keys).await
    }

    async fn write(&self, write: Write) -> Result<ETag, Error> {
        self.store.write(write).await
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<Vec<ETag>, Error> {
        let key = writes.iter().map(Write::key).find(|key| key.id == "control").cloned();
        if let Some(key) = key
            && self.meddles.swap(false, Ordering::Relaxed)
        {
            let known = self.store.get(&key).await?.expect("the control document");
            self.store.write(Write::Replace(key, Draft { body: known.body, ..Draft::default() }, known.etag)).await?;
        }
        self.store.transact(writes).await
    }

    async fn page(&self, query: &Query, after: Option<&Continuation>, limit: usize) -> Result<Page, Error> {
        self.pages.fetch_add(1, Ordering::Relaxed);
        self.store.page(query, after, limit).await
    }

    async fn count(&self, collection: Collection, partition: &Partition, tag: &'static str) -> Result<u64, Error> {
        self.store.count(collection, partition, tag).await
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

fn herald() -> (App, Arc<Watched>) {
    let store = Arc::new(Watched::default());
    let config = parse(&BTreeMap::<String, String>::new(), Role::Serve).unwrap();
    let (clock, closing): (Arc<dyn Clock>, _) = (Arc::new(RuntimeClock::start()), CancellationToken::new());
    (App::new(&config, Arc::clone(&store) as _, clock, Arc::new(Dice::default()), closing).unwrap(), store)
}

async fn call(app: &App, function: Function, method: &str, body: &Value) -> Value {
    let (id, body) = (Some("n".to_owned()), Some(body.to_string().into_bytes()));
    let request = Request { method: method.into(), id, body, ..Request::default() };
    serde_json::from_str(&serve_http(app, function, &request).await.0.body).unwrap()
}

async fn post(app: &App, tenants: usize) {
    let tenants: Vec<_> = (0..tenants).map(|number| format!("t{number:04}")).collect();
    let body = json!({"id": "n", "content": {"text": "x"}, "audience": {"tenants": tenants}});
    call(app, Function::CreateNotification, "POST", &body).await;
}

async fn status(app: &App) -> Value {
    call(app, Function::Notifications, "GET", &Value::Null).await
}

/// Runs a notification until there is nothing more to plan.
async fn plan(app: &App) {
    while !app.delivery.run(&Pointer::to_notification("n")).await.unwrap().notifications.is_empty() {}
}

#[tokio::test(start_paused = true)]
async fn a_notification_is_closed_although_somebody_notes_meanwhile_when_to_look_again() {
    let (app, store) = herald();
    post(&app, 3).await;
    store.meddles.store(true, Ordering::Relaxed);
    plan(&app).await;
    assert!(!store.meddles.load(Ordering::Relaxed), "somebody did");
    assert_eq!(status(&app).await["state"], "completed");
}

#[tokio::test(start_paused = true)]
async fn of_many_tenants_the_sum_is_told_again_for_a_while_and_exactly_at_the_end() {
    let (app, store) = herald();
    let person = json!({"v": 1, "tenant": "t0000", "key": "u:29:ana", "firstSeen": "2026-05-01T10:00:00Z",
        "references": {"teamsChat": {"conversationId": "a:ana", "serviceUrl": "https://smba.trafficmanager.net/teams/",
            "verifiedAt": "2026-05-01T10:00:00Z", "botAccount": "28:bot", "userAccount": "29:ana", "state": "active",
            "evidence": {"base": "msteams", "because": "a personal conversation"},
            "firstSeen": "2026-05-01T10:00:00Z", "lastSeen": "2026-05-01T10:00:00Z"}}});
    let write = async |collection, partition: &[&str], id: &str, body: &Value| {
        let key = Key::new(collection, Partition::new(partition.iter().copied()), id);
        store.write(Write::Create(key, Draft::of(body).unwrap())).await.unwrap();
    };
    write(Collection::Settings, &["herald"], "bot", &json!({"v": 1, "botId": "bot"})).await;
    write(Collection::People, &["bot", "t0000", "u:29:ana"], "person", &person).await;
    post(&app, 600).await;
    plan(&app).await;
    let looked = async || {
        let before = store.pages.load(Ordering::Relaxed);
        let status = status(&app).await;
        assert_eq!((&status["counts"]["audience"], &status["counts"]["pending"]), (&json!(1), &json!(1)), "{status}");
        store.pages.load(Ordering::Relaxed) - before
    };
    assert_eq!((looked().await, looked().await), (2, 0), "two pages of plans, once");
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!((looked().await, looked().await), (2, 0));
    call(&app, Function::Notifications, "DELETE", &Value::Null).await;
    plan(&app).await;
    let status = status(&app).await;
    assert_eq!(
        (&status["state"], &status["counts"]["skipped"]["cancelled"]),
        (&json!("cancelled"), &json!(1)),
        "{status}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_is_finished_does_not_have_all_the_others_read() {
    let (app, store) = herald();
    post(&app, 1000).await;
    // Only the first page of tenants is planned; the others still have to be.
    app.delivery.run(&Pointer::to_notification("n")).await.unwrap();
    let before = store.pages.load(Ordering::Relaxed);
    for _ in 0..10 {
        app.delivery.run(&Pointer::to_tenant("n", "t0000")).await.unwrap();
    }
    assert_eq!(store.pages.load(Ordering::Relaxed) - before, 10, "a page each");
    plan(&app).await;
    assert_eq!(status(&app).await["state"], "completed");
}
