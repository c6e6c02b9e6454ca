//! How fast messages go out: the full path of `DeliverBatch` (ledger and governor on, its rate beyond reach, on the
//! embedded store) against a plain reqwest loop that posts the same messages to the same server.
//!
//! ```sh
//! cargo bench --bench outbound             # some three minutes
//! cargo bench --bench outbound -- quick    # one round of each
//! ```
//!
//! Each side is a process of its own on one core and has 128 requests in flight at most; the server has the other core, or
//! the same one. They take turns, and only the ratio within a round says something. What the server counted is checked each time:
//! every chat exactly one message. One case has one answer in ten a 429; another a bot whose token has to be fetched.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

#[allow(dead_code, unused_imports)]
mod rig;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{self, FuturesUnordered, StreamExt};
use herald::app::App;
use herald::chance::SystemChance;
use herald::clock::SystemClock;
use herald::config::{Role, parse};
use herald::connector::{Connector, Http, Unanswered, Wire, WireAnswer};
use herald::delivery::{Pointer, PutOut};
use herald::functions::{Function, Request, serve_http};
use herald::governor::Governor;
use herald::protocol::AllowedHosts;
use herald::store::Store;
use herald::store::embedded::Embedded;
use rig::{Connection, Core, Manner};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

const IN_FLIGHT: usize = 128;
/// Batches that one process works on; the slots of a Functions host are 12.
const SLOTS: usize = 12;
/// Beyond reach.
const NO_LIMIT: u32 = 10_000_000;

fn main() {
    let words: Vec<_> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    match words.first().map(String::as_str) {
        Some("sink") => rig::sink(&words[1..]),
        Some("people") => people(Path::new(&words[1]), &words[2], words[3].parse().unwrap()),
        Some("herald") => herald(Path::new(&words[1]), words[3].parse().unwrap()),
        Some("plain") => plain(&words[2], words[3].parse().unwrap()),
        other => compare(other == Some("quick")),
    }
}

/// A case: how the server behaves, and how many messages.
#[derive(Clone, Copy)]
struct Case {
    says: &'static str,
    manner: Manner,
    messages: usize,
    /// Whether a plain loop does the same.
    plain: bool,
    /// Whether the server has a core of its own.
    apart: bool,
}

fn compare(is_quick: bool) {
    let is_pinned = rig::pin_myself();
    println!("128 in flight at most; pinned to one core each: {is_pinned}");
    let latency = |millis| Manner { latency: Duration::from_millis(millis), ..Manner::default() };
    let throttling = Manner { throttles_each: 10, ..Manner::default() };
    let rounds = if is_quick { 1 } else { 5 };
    let case = |says, manner, messages| Case { says, manner, messages, plain: true, apart: true };
    for case in [
        case("no latency", latency(0), 30_000),
        Case { apart: false, ..case("no latency, the server on the same core", latency(0), 30_000) },
        case("50 ms latency", latency(50), 10_000),
        Case { plain: false, ..case("one answer in ten a 429", throttling, 2_000) },
    ] {
        let Case { says, messages, plain, .. } = case;
        let rounds = if plain { rounds } else { 1 };
        let mut ratios = Vec::new();
        for round in 1..=rounds {
            let herald = measured("herald", case);
            if !plain {
                println!(
                    "{says}: {messages} delivered in {:.1} s, none doubled, {} answers were 429",
                    herald.1, herald.2
                );
                continue;
            }
            let plain = measured("plain", case);
            ratios.push(herald.0 / plain.0);
            println!(
                "{says}, round {round}: Herald {:.0} a second, plain loop {:.0}, ratio {:.2}",
                herald.0,
                plain.0,
                herald.0 / plain.0
            );
        }
        if plain {
            println!("{says}: median ratio {:.2}", rig::median(ratios));
        }
    }
}

/// Runs one side; how many a second, in how many seconds, and how many answers were 429.
fn measured(side: &str, case: Case) -> (f64, f64, u64) {
    let Case { manner, messages, apart, .. } = case;
    let me = std::env::current_exe().unwrap();
    let server = if apart { Core::Asking } else { Core::Measured };
    let (mut command, _) = rig::pinned(server, me.to_str().unwrap());
    let folder = tempfile::tempdir().unwrap();
    command.arg("sink").args(manner.words());
    let (_sink, address) = rig::Child::listening(&mut command, &[], &folder.path().join("sink.log"));
    let (mut command, _) = rig::pinned(Core::Measured, me.to_str().unwrap());
    let run = |command: &mut Command, role: &str| {
        let data = folder.path().join("data");
        let status = command.arg(role).arg(data).args([&address, &messages.to_string()]).status().unwrap();
        assert!(status.success(), "{role} failed");
    };
    if side == "herald" {
        // In a process of its own, so that nothing of it is measured.
        run(&mut Command::new(&me), "people");
    }
    run(&mut command, side);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let told = runtime.block_on(async {
        let mut connection = Connection::open(address.parse::<SocketAddr>().unwrap()).await.unwrap();
        rig::get(&mut connection, "/", "").await.1
    });
    assert_eq!(
        (&told["taken"], &told["chats"], &told["most"]),
        (&json!(messages), &json!(messages), &json!(1)),
        "{told}"
    );
    let seconds = told["seconds"].as_f64().unwrap();
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    let rate = messages as f64 / seconds;
    (rate, seconds, told["throttled"].as_u64().unwrap())
}

/// A wire with so many requests in flight at most.
#[derive(Debug)]
struct Bounded(Http, Semaphore);

#[async_trait]
impl Wire for Bounded {
    async fn post(&self, url: &str, token: Option<&str>, json: String) -> Result<WireAnswer, Unanswered> {
        let _permit = self.1.acquire().await.unwrap();
        self.0.post(url, token, json).await
    }
}

#[tokio::main]
async fn people(data: &Path, address: &str, messages: usize) {
    let store = Embedded::open(data).unwrap().store();
    rig::populate(&store, 1, messages, &format!("http://{address}")).await;
}

#[tokio::main]
async fn herald(data: &Path, messages: usize) {
    let store: Arc<dyn Store> = Arc::new(Embedded::open(data).unwrap().store());
    let config = parse(&BTreeMap::<String, String>::new(), Role::Serve).unwrap();
    let (clock, closing) = (Arc::new(SystemClock), CancellationToken::new());
    let mut app = App::new(&config, Arc::clone(&store), clock.clone(), Arc::new(SystemChance), closing).unwrap();
    app.delivery.governor = Governor::new(store, clock.clone(), NO_LIMIT);
    let wire = Arc::new(Bounded(Http::new().unwrap(), Semaphore::new(IN_FLIGHT)));
    app.delivery.connector = Connector::over(wire, AllowedHosts::public().with_loopback(), None, clock);
    let body = json!({"id": "n", "content": {"text": "**Build 12** failed"}, "audience": {"all": true}});
    let (_, put_out) = call(&app, Function::CreateNotification, "POST", &body).await;
    work_off(&app, put_out).await;
    // What waits for the end of a pause is found as `Tick` finds it.
    loop {
        let (status, _) = call(&app, Function::Notifications, "GET", &Value::Null).await;
        if !status["completedAt"].is_null() {
            assert_eq!(status["counts"]["sent"], messages, "{status}");
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        work_off(&app, app.delivery.tick().await.unwrap()).await;
    }
}

/// As a host with so many slots does.
async fn work_off(app: &App, put_out: PutOut) {
    let pointers = |put_out: PutOut| put_out.notifications.into_iter().chain(put_out.deliveries);
    let invoke = async |pointer: Pointer| match &pointer.batch {
        Some(_) => app.delivery.deliver(&pointer).await.unwrap(),
        None => app.delivery.run(&pointer).await.unwrap(),
    };
    let mut queue: VecDeque<_> = pointers(put_out).collect();
    let mut work = FuturesUnordered::new();
    loop {
        while work.len() < SLOTS
            && let Some(pointer) = queue.pop_front()
        {
            work.push(invoke(pointer));
        }
        let Some(put_out) = work.next().await else { return };
        queue.extend(pointers(put_out));
    }
}

async fn call(app: &App, function: Function, method: &str, body: &Value) -> (Value, PutOut) {
    let (id, body) = (Some("n".to_owned()), Some(body.to_string().into_bytes()));
    let request = Request { method: method.into(), id, body, ..Request::default() };
    let (answer, put_out) = serve_http(app, function, &request).await;
    (serde_json::from_str(&answer.body).unwrap_or_default(), put_out)
}

#[tokio::main]
async fn plain(address: &str, messages: usize) {
    #[expect(clippy::disallowed_methods, reason = "what is compared with is plain")]
    let client = reqwest::Client::new();
    let post = |person: usize| {
        let chat = format!("a:10000-{person:08}");
        let url = format!("http://{address}/t0000/v3/conversations/a%3A10000-{person:08}/activities");
        let message = json!({"type": "message", "conversation": {"id": chat}, "from": {"id": "28:the-bot"},
            "recipient": {"id": format!("29:1{person:08}")}, "text": "**Build 12** failed", "textFormat": "markdown",
            "channelData": {"notification": {"alert": true}}});
        let request = client.post(url).json(&message);
        async move {
            let answer = request.send().await.unwrap();
            let _: Value = answer.json().await.unwrap();
        }
    };
    stream::iter(0..messages).map(post).buffer_unordered(IN_FLIGHT).for_each(|()| async {}).await;
}
