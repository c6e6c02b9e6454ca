//! A million recipients in a hundred tenants, on the embedded store: how fast, in how much memory, and whether the API
//! answers meanwhile. A real `herald serve` with the largest rate that can be set, and a Teams without limits.
//!
//! ```sh
//! cargo bench --bench scale                # 250,000 and 1,000,000; some twenty minutes and 5 GB of disk
//! cargo bench --bench scale -- quick       # 25,000 and 100,000; some two minutes
//! cargo bench --bench scale -- 300000      # so many
//! ```
//!
//! The aims: memory under 150 MB all the time (looked at each second), a pace that does not fall with the number, and
//! `GET /api/notifications/{id}` (asked five times a second) under 50 ms. Everybody gets exactly one message. The data
//! directory is filled by a process that ends before.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

#[allow(dead_code, unused_imports)]
mod rig;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use herald::store::embedded::Embedded;
use rig::{Latencies, Manner, Served};
use serde_json::{Value, json};
use tokio::time::Instant;

const TENANTS: usize = 100;
/// In MB and in milliseconds.
const MEMORY: f64 = 150.0;
const ANSWER: f64 = 50.0;
const LOOK: Duration = Duration::from_millis(200);

fn main() {
    let words: Vec<_> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let sizes = match words.first().map(String::as_str) {
        Some("sink") => return rig::sink(&words[1..]),
        Some("populate") => return populate(&words[1], words[2].parse().unwrap(), &words[3]),
        Some("quick") => vec![25_000, 100_000],
        Some(number) => vec![number.parse().expect("quick, or a number")],
        None => vec![250_000, 1_000_000],
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let rates: Vec<_> = sizes.iter().map(|size| runtime.block_on(measure(*size))).collect();
    if let [few, many] = rates[..] {
        println!("messages a second, the larger against the smaller: {:.2} (1 is linear)", rig::ratio(many, few));
    }
}

#[tokio::main(flavor = "current_thread")]
async fn populate(data: &str, people: usize, teams: &str) {
    let embedded = Embedded::open(Path::new(data)).unwrap();
    rig::populate(&embedded.store(), TENANTS, people, &format!("http://{teams}")).await;
    embedded.close();
}

/// What was seen from outside while it ran.
#[derive(Default)]
struct Seen {
    answers: Latencies,
    /// In MB, each second.
    memory: Vec<f64>,
}

/// Answers how many messages a second there were.
async fn measure(people: usize) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let (_sink, teams) = Manner::default().start(folder.path());
    let began = Instant::now();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("populate").arg(folder.path().join("data")).args([&(people / TENANTS).to_string(), &teams]);
    assert!(command.status().unwrap().success(), "the store could not be filled");
    println!("{people} people in {TENANTS} tenants, stored in {:.0} s", began.elapsed().as_secs_f64());
    let settings = rig::settings(&[("HERALD_STORE", "embedded"), ("HERALD_TENANT_RATE", "1000")]);
    let mut served = Served::start(folder.path(), "data", &settings).await;
    served.notify("n").await;
    let (status, mut seen) = follow(&mut served).await;
    let told = rig::taken(&teams).await;
    assert_eq!(status["counts"]["sent"], people, "{status}");
    assert_eq!(
        (&told["taken"], &told["chats"], &told["most"]),
        (&json!(people), &json!(people), &json!(1)),
        "once each"
    );
    let seconds = told["seconds"].as_f64().unwrap();
    tell(&told, &mut seen);
    served.tell_warnings();
    told["taken"].as_f64().unwrap() / seconds
}

async fn follow(served: &mut Served) -> (Value, Seen) {
    let (mut seen, began) = (Seen::default(), Instant::now());
    loop {
        let asked = Instant::now();
        let (code, status) = served.get("/api/notifications/n").await;
        assert_eq!(code, 200, "{status}");
        seen.answers.note(asked.elapsed());
        if began.elapsed().as_secs() >= seen.memory.len() as u64 {
            #[expect(clippy::cast_precision_loss, reason = "some thousands")]
            seen.memory.push(rig::rss_kib(served.pid()) as f64 / 1024.0);
        }
        if !status["completedAt"].is_null() {
            return (status, seen);
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn tell(told: &Value, seen: &mut Seen) {
    let said = |is_met| if is_met { "the aim is met" } else { "the aim is NOT met" };
    let seconds = told["seconds"].as_f64().unwrap();
    println!(
        "  {:.0} messages a second over {seconds:.0} s; everybody exactly one",
        told["taken"].as_f64().unwrap() / seconds
    );
    println!("  by tenths, messages a second: {}", rig::by_tenth(told).join(" "));
    println!(
        "  longest time without a message {:.2} s, after {:.0} s",
        told["gap"].as_f64().unwrap(),
        told["gapAt"].as_f64().unwrap()
    );
    let peak = seen.memory.iter().copied().fold(0.0, f64::max);
    let tenths: Vec<_> = (1..=10).map(|tenth| seen.memory[(seen.memory.len() - 1) * tenth / 10]).collect();
    let tenths: Vec<_> = tenths.iter().map(|mb| format!("{mb:.0}")).collect();
    println!("  memory at most {peak:.0} MiB ({}); by tenths of the time: {}", said(peak < MEMORY), tenths.join(" "));
    let (half, slow, most) = (seen.answers.at(0.5), seen.answers.at(0.99), seen.answers.at(1.0));
    println!(
        "  status answered in {half:.1} ms (half), {slow:.1} ms (99 in 100), {most:.1} ms (all {}): {}",
        seen.answers.count(),
        said(most < ANSWER)
    );
}
