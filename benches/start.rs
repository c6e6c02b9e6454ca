//! How long `herald host` takes from its start to its first answer, as the Functions host waits for it, and how much
//! memory it has in use: idle, and while activities come.
//!
//! ```sh
//! cargo bench --bench start                # some half a minute
//! ```
//!
//! Aims: 15 ms, and 20 MB while idle. Whoever asks spins on one core; where the process runs is left to the system.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

#[allow(dead_code, unused_imports)]
mod rig;

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use rig::{Activities, Audience, Authority, Child, Load, Teams};
use tokio::time::Instant;

const RUNS: usize = 21;
/// After the first answer so long until a process counts as idle.
const IDLE: Duration = Duration::from_millis(1500);
const LOAD: Load = Load { connections: 64, time: Duration::from_secs(4) };
const PATIENCE: Duration = Duration::from_secs(10);

/// Nobody is there.
const DEAD: [(&str, &str); 3] =
    [("HERALD_STORE", "cosmos"), ("COSMOS_ENDPOINT", "http://127.0.0.1:1"), ("COSMOS_KEY", "bm90IGEgc2VjcmV0")];
const EMBEDDED: [(&str, &str); 1] = [("HERALD_STORE", "embedded")];

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (authority, teams) = (Authority::start().await, Teams::start().await);
    let bot = authority.settings(&teams.address.to_string());
    let with = |extra: &[(&str, &str)]| {
        let extra = extra.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        bot.iter().cloned().chain(extra).collect::<Vec<_>>()
    };
    for (store, settings) in [("embedded store", with(&EMBEDDED)), ("Cosmos DB that nobody answers for", with(&DEAD))] {
        measure(store, &settings).await;
    }
    under_load(&teams, &with(&EMBEDDED)).await;
}

async fn measure(store: &str, settings: &[(String, String)]) {
    let (mut times, mut idle) = (Vec::new(), Vec::new());
    for run in 0..RUNS {
        let folder = tempfile::tempdir().unwrap();
        let started = start(folder.path(), settings);
        times.push(started.took.as_secs_f64() * 1e3);
        // Most of the time would be spent waiting: some of them are enough for what hardly differs.
        if run % 7 == 0 {
            tokio::time::sleep(IDLE).await;
            idle.push(in_megabytes(started.child.pid()));
        }
    }
    let (least, most) =
        times.iter().fold((f64::MAX, 0.0_f64), |(least, most), time| (least.min(*time), most.max(*time)));
    println!("{store}: first answer after {:.1} ms (median of {RUNS}; {least:.1} to {most:.1})", rig::median(times));
    println!("{store}: {:.1} MB of memory while idle", rig::median(idle));
}

async fn under_load(teams: &Teams, settings: &[(String, String)]) {
    let folder = tempfile::tempdir().unwrap();
    let Started { child, address, .. } = start(folder.path(), settings);
    // Until the keys of tokens are there.
    tokio::time::sleep(IDLE).await;
    for (kind, audience, what) in [
        ("messageReaction", Audience::Of(2000), "2,000 persons who go on talking"),
        ("message", Audience::Of(2000), "the same, each message with a reply"),
        ("messageReaction", Audience::Always("new"), "each activity a new person's"),
    ] {
        let token = Authority::token(&teams.service_url());
        let activities = Rc::new(RefCell::new(Activities::new(&token, &teams.service_url(), kind, audience)));
        let outcome = rig::run(address, LOAD, &activities).await;
        assert_eq!(outcome.refused, 0, "answers that are no 200");
        println!(
            "under load, {what}: {:.1} MB after {:.0} activities a second",
            in_megabytes(child.pid()),
            outcome.rate()
        );
    }
}

fn in_megabytes(pid: u32) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "shown to a tenth")]
    let bytes = rig::rss_kib(pid) as f64 * 1024.0;
    bytes / 1e6
}

struct Started {
    child: Child,
    address: SocketAddr,
    took: Duration,
}

/// Starts the custom handler as the Functions host does, and asks until it answers.
fn start(folder: &Path, settings: &[(String, String)]) -> Started {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut settings = settings.to_vec();
    settings.push(("FUNCTIONS_CUSTOMHANDLER_PORT".into(), address.port().to_string()));
    settings.push(("HERALD_DATA_DIR".into(), folder.join("data").to_str().unwrap().to_owned()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_herald"));
    command.arg("host").stdout(Stdio::null());
    let began = Instant::now();
    let child = Child::start(&mut command, &settings, &folder.join("herald.log"));
    while !answers(address) {
        assert!(began.elapsed() < PATIENCE, "no answer; see {}", folder.display());
    }
    Started { child, address, took: began.elapsed() }
}

fn answers(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let mut answer = [0; 512];
    let asked = stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n");
    asked.is_ok() && stream.read(&mut answer).is_ok() && answer.starts_with(b"HTTP/1.1 200")
}
