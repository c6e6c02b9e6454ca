//! How much of what Teams allows is used: notifications to one tenant at the default rate of 50 a second, and a Teams that
//! refuses the 51st message in any second. Once with two instances on Cosmos DB (the emulator) that send a notification
//! each at the same time, and once with one instance on the embedded store.
//!
//! ```sh
//! cargo build --release --example cosmos_emulator
//! cargo bench --bench pace                 # some two minutes
//! cargo bench --bench pace -- quick        # some forty seconds
//! ```
//!
//! The aim: of what is allowed between the first and the last message at least 98 in 100, and not one 429. The first
//! window is not counted, since it takes no time: what is left is a rate.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

#[allow(dead_code, unused_imports)]
mod rig;

use std::path::Path;
use std::time::Duration;

use herald::store::embedded::Embedded;
use rig::{Azure, Manner, Served};
use serde_json::{Value, json};

/// What the tenant may get in any second; Herald's default rate.
const ALLOWED: usize = 50;
/// As many as Herald sends at once at this rate.
const WINDOW: f64 = 10.0;
const SHARE: f64 = 98.0;
/// What a message takes in Teams.
const LATENCY: Duration = Duration::from_millis(50);

fn main() {
    let words: Vec<_> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    if words.first().is_some_and(|word| word == "sink") {
        return rig::sink(&words[1..]);
    }
    let people = if words.first().is_some_and(|word| word == "quick") { 500 } else { 1500 };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        two_on_cosmos(people).await;
        one_embedded(people).await;
    });
}

async fn two_on_cosmos(people: usize) {
    let folder = tempfile::tempdir().unwrap();
    let (_sink, teams) = manner().start(folder.path());
    let azure = Azure::start(folder.path()).await;
    rig::populate(&azure.store().await, 1, people, &format!("http://{teams}")).await;
    let settings = azure.settings();
    let mut one = Served::start(folder.path(), "one", &settings).await;
    let mut other = Served::start(folder.path(), "other", &settings).await;
    tokio::join!(one.notify("n1"), other.notify("n2"));
    let (first, second) = tokio::join!(one.end_of("n1"), other.end_of("n2"));
    let told = rig::taken(&teams).await;
    tell("two instances, Cosmos DB, two notifications", &told, people * 2, &[&one, &other]);
    assert_eq!((&first["counts"]["sent"], &second["counts"]["sent"]), (&json!(people), &json!(people)));
    assert_eq!((&told["chats"], &told["most"]), (&json!(people), &json!(2)), "everybody twice");
}

async fn one_embedded(people: usize) {
    let folder = tempfile::tempdir().unwrap();
    let (_sink, teams) = manner().start(folder.path());
    populate(&folder.path().join("one"), people, &teams).await;
    let mut one = Served::start(folder.path(), "one", &rig::settings(&[("HERALD_STORE", "embedded")])).await;
    one.notify("n1").await;
    let status = one.end_of("n1").await;
    let told = rig::taken(&teams).await;
    tell("one instance, embedded store, one notification", &told, people, &[&one]);
    assert_eq!(status["counts"]["sent"], people);
    assert_eq!((&told["chats"], &told["most"]), (&json!(people), &json!(1)), "everybody once");
}

fn manner() -> Manner {
    Manner { latency: LATENCY, allows: ALLOWED, ..Manner::default() }
}

async fn populate(data: &Path, people: usize, teams: &str) {
    let embedded = Embedded::open(data).unwrap();
    rig::populate(&embedded.store(), 1, people, &format!("http://{teams}")).await;
    embedded.close();
}

#[expect(clippy::cast_precision_loss, reason = "some thousands")]
fn tell(what: &str, told: &Value, expected: usize, served: &[&Served]) {
    let number = |name: &str| told[name].as_f64().unwrap();
    assert_eq!(told["taken"], expected, "{told}");
    let share = rig::percent(number("taken") - WINDOW, number("seconds") * ALLOWED as f64);
    let is_met = share >= SHARE && number("throttled") == 0.0;
    println!("{what}: {expected} messages in {:.1} s", number("seconds"));
    println!("  {share:.1} % of what is allowed, {} answers were 429: {}", told["throttled"], said(is_met));
    println!("  longest time without a message {:.2} s, after {:.1} s", number("gap"), number("gapAt"));
    println!("  fullest second: {} messages, after {:.1} s", told["fullest"], number("fullestAt"));
    println!("  by tenths, messages a second: {}", rig::by_tenth(told).join(" "));
    for one in served {
        one.tell_warnings();
    }
}

fn said(is_met: bool) -> &'static str {
    if is_met { "the aim is met" } else { "the aim is NOT met" }
}
