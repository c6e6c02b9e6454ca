//! People who have a Teams chat, written straight into a store: a million of them need not talk first.

use herald::clock::{Clock, SystemClock};
use herald::store::{Collection, Draft, Key, Partition, Store, Write};
use serde_json::{Value, json};

/// The bot that they know.
pub const BOT: &str = "the-bot";
/// So many are written at once; the store commits them together.
const AT_ONCE: usize = 500;

/// How a tenant is called.
pub fn tenant(number: usize) -> String {
    format!("t{number:04}")
}

/// Writes so many people into each tenant; messages to them go to `<base>/<tenant>/`.
pub async fn populate(store: &dyn Store, tenants: usize, people: usize, base: &str) {
    let now = SystemClock.now();
    create(store, Collection::Settings, Partition::new(["herald"]), "bot", &json!({"v": 1, "botId": BOT})).await;
    for number in 0..tenants {
        let tenant = tenant(number);
        create(store, Collection::Tenants, Partition::new([BOT]), &tenant, &json!({"v": 1, "tenant": tenant})).await;
        let everybody: Vec<_> = (0..people).collect();
        for some in everybody.chunks(AT_ONCE) {
            let writes = some.iter().map(|person| {
                let key = format!("u:29:1{person:08}");
                let chat = json!({"conversationId": format!("a:1{number:04}-{person:08}"),
                    "serviceUrl": format!("{base}/{tenant}/"), "verifiedAt": now, "botAccount": format!("28:{BOT}"),
                    "userAccount": format!("29:1{person:08}"), "state": "active",
                    "evidence": {"base": "msteams", "because": "a personal conversation"},
                    "firstSeen": now, "lastSeen": now});
                let body =
                    json!({"v": 1, "tenant": tenant, "key": key, "references": {"teamsChat": chat}, "firstSeen": now});
                (key, body)
            });
            let writes: Vec<_> = writes.collect();
            let writing = writes.iter().map(|(key, body)| {
                create(store, Collection::People, Partition::new([BOT, &tenant, key.as_str()]), "person", body)
            });
            futures_util::future::join_all(writing.collect::<Vec<_>>()).await;
            let held = some.iter().map(|person| {
                let id = format!("a:1{number:04}-{person:08}");
                let body = json!({"v": 1, "conversationId": id,
                    "holders": [{"tenant": tenant, "person": format!("u:29:1{person:08}")}]});
                (id, body)
            });
            let held: Vec<_> = held.collect();
            let writing = held.iter().map(|(id, body)| {
                create(store, Collection::Conversations, Partition::new([BOT, id.as_str()]), "conversation", body)
            });
            futures_util::future::join_all(writing.collect::<Vec<_>>()).await;
        }
    }
}

async fn create(store: &dyn Store, collection: Collection, partition: Partition, id: &str, body: &Value) {
    let key = Key::new(collection, partition, id);
    store.write(Write::Create(key, Draft::of(body).unwrap())).await.unwrap();
}
