//! What a notification costs in Cosmos DB: request units and documents written, for 1,000 recipients in one tenant.
//!
//! ```sh
//! cargo build --release --example cosmos_emulator
//! cargo bench --bench cost                 # half a minute
//! ```
//!
//! The account is Microsoft's in-memory emulator, whose request units are a model of the service's. What is counted is
//! what Herald logs of each call (`RUST_LOG=herald::store=debug`); `cost` in the notification's status is beside it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

#[allow(dead_code, unused_imports)]
mod rig;

use std::collections::BTreeMap;
use std::time::Duration;

use rig::{Azure, Manner, Served};

const PEOPLE: usize = 1000;
/// At the default rate it takes twenty seconds; whoever asks before makes Herald read, which is not the notification's.
const NOBODY_ASKS: Duration = Duration::from_secs(22);

/// What a row of the table is made of.
const PARTS: &[(&str, &[&str])] = &[
    ("people and their conversations, read", &["people", "conversations"]),
    ("batches and plans", &["deliveries"]),
    ("the throttle", &["throttles"]),
    ("the notification's own documents", &["notifications"]),
    ("everything else", &["aliases", "tenants", "rosters", "settings"]),
];

fn main() {
    let words: Vec<_> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    if words.first().is_some_and(|word| word == "sink") {
        return rig::sink(&words[1..]);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(measure());
}

async fn measure() {
    let folder = tempfile::tempdir().unwrap();
    let (_sink, teams) = Manner::default().start(folder.path());
    let azure = Azure::start(folder.path()).await;
    rig::populate(&azure.store().await, 1, PEOPLE, &format!("http://{teams}")).await;
    let mut settings = azure.settings();
    settings.extend(rig::settings(&[("RUST_LOG", "info,herald::store=debug")]));
    let mut served = Served::start(folder.path(), "data", &settings).await;
    let before = std::fs::read_to_string(&served.log).unwrap().len();
    served.notify("n").await;
    tokio::time::sleep(NOBODY_ASKS).await;
    let status = served.end_of("n").await;
    assert_eq!(status["counts"]["sent"], PEOPLE, "{status}");
    let log = std::fs::read_to_string(&served.log).unwrap();
    tell(&log[before..], status["cost"].as_f64().unwrap());
}

/// Calls, and what they cost.
#[derive(Debug, Clone, Copy, Default)]
struct Spent {
    calls: usize,
    units: f64,
}

type Calls = BTreeMap<(String, String), Spent>;

fn calls(log: &str) -> Calls {
    let mut found = Calls::new();
    for line in log.lines() {
        let field = |name: &str| {
            let (_, rest) = line.split_once(&format!(" {name}="))?;
            rest.split(' ').next().map(|value| value.trim_matches('"').to_owned())
        };
        let (Some(container), Some(what), Some(charge)) = (field("container"), field("what"), field("charge")) else {
            continue;
        };
        let spent = found.entry((container, what)).or_default();
        spent.calls += 1;
        spent.units += charge.parse::<f64>().unwrap();
    }
    found
}

/// How many documents a call writes; a transaction is a batch with its plan, or a notification that ends.
fn written(what: &str) -> usize {
    match what {
        "create" | "replace" | "delete" => 1,
        "transaction" => 2,
        _ => 0,
    }
}

fn tell(log: &str, cost: f64) {
    let calls = calls(log);
    let units: f64 = calls.values().map(|spent| spent.units).sum();
    assert!(units > 0.0, "no call was logged");
    let writes: usize = calls.iter().map(|((_, what), spent)| written(what) * spent.calls).sum();
    println!("{PEOPLE} recipients in one tenant, at 50 a second, on the in-memory emulator:");
    println!("  {writes} documents written, {units:.0} request units; the notification itself says {cost:.0}");
    for (part, containers) in PARTS {
        let of_part: Vec<_> =
            calls.iter().filter(|((container, _), _)| containers.contains(&container.as_str())).collect();
        let spent: f64 = of_part.iter().map(|(_, spent)| spent.units).sum();
        let written: usize = of_part.iter().map(|((_, what), spent)| written(what) * spent.calls).sum();
        println!("  {:4.1} % {spent:6.0} units, {written:4} written: {part}", rig::percent(spent, units));
    }
    println!("  by call:");
    for ((container, what), Spent { calls, units }) in &calls {
        println!("    {container:14} {what:12} {calls:5} calls {units:8.1} units");
    }
}
