//! How fast `POST /api/messages` is: a real `herald serve`, which checks tokens and answers an activity only once it is
//! on the disk, against a bare handler, which checks the same token's signature each time, parses the body and forgets it.
//!
//! ```sh
//! cargo bench --bench inbound              # some three minutes
//! cargo bench --bench inbound -- quick     # one round of each
//! cargo bench --bench inbound -- quick new # of those whose name has the word
//! ```
//!
//! Both are processes of their own and take turns, since this machine is not the same from one minute to the next: only
//! the ratio within a round says something. "By work" is the ratio of the time that each side kept a core busy for one
//! answer: it stays what it is when somebody else builds on the same cores, and waiting for the disk is not in it.
//! A bench that measures errors is a defect: so each answer must be a 200, and at the end Herald is killed, started
//! again, and asked through `/api/users` for every person who got one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

#[allow(dead_code, unused_imports)]
mod rig;

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

use herald::clock::Timestamp;
use rig::{Activities, Audience, Authority, Child, Connection, Core, KEY, Load, Teams};

const BARE: &str = "bare";
const PERSONS: usize = 2000;

fn main() {
    // Cargo adds its own `--bench`.
    let mut words: Vec<_> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    if words.first().is_some_and(|word| word == BARE) {
        return rig::bare();
    }
    let is_quick = words.first().is_some_and(|word| word == "quick");
    words.drain(..usize::from(is_quick));
    let is_pinned = rig::pin_myself();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(measure(is_pinned, is_quick, words.pop().unwrap_or_default()));
}

/// One side of one round.
struct Round {
    /// Answers in a second.
    rate: f64,
    /// Seconds of a core for each answer.
    core: f64,
    /// Milliseconds, of half of the answers and of 99 in 100.
    middle: f64,
    slow: f64,
}

impl std::fmt::Display for Round {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { rate, core, middle, slow } = self;
        write!(formatter, "{rate:6.0}/s p50 {middle:5.2} p99 {slow:6.2} ms {:3.0} us of core", core * 1e6)
    }
}

/// A server.
struct Side {
    address: SocketAddr,
    pid: u32,
}

/// Both sides, and what they are asked with.
struct Scene {
    herald: Side,
    bare: Side,
    token: String,
    service_url: String,
    rounds: usize,
    time: Duration,
    /// Only what has this in its name.
    wanted: String,
    /// The time of each person's last answered activity.
    answered: RefCell<HashMap<String, Timestamp>>,
}

async fn measure(is_pinned: bool, is_quick: bool, wanted: String) {
    let (authority, teams, folder) = (Authority::start().await, Teams::start().await, tempfile::tempdir().unwrap());
    let mut settings = authority.settings(&teams.address.to_string());
    settings.push(("HERALD_DATA_DIR".into(), folder.path().join("data").to_str().unwrap().to_owned()));
    settings.push(("HERALD_LISTEN".into(), "127.0.0.1:0".into()));
    let (herald, at) = start(env!("CARGO_BIN_EXE_herald"), "serve", &settings, &folder.path().join("herald.log"));
    let me = std::env::current_exe().unwrap();
    let (bare, bare_at) = start(me.to_str().unwrap(), BARE, &[], &folder.path().join("bare.log"));
    let (rounds, time) = if is_quick { (1, 2) } else { (5, 2) };
    let scene = Scene {
        herald: Side { address: at.parse().unwrap(), pid: herald.pid() },
        bare: Side { address: bare_at.parse().unwrap(), pid: bare.pid() },
        token: Authority::token(&teams.service_url()),
        service_url: teams.service_url(),
        rounds,
        time: Duration::from_secs(time),
        wanted,
        answered: RefCell::default(),
    };
    println!("{}", if is_pinned { "pinned: the servers to core 0, this to core 1" } else { "not pinned" });
    println!("herald: serve, defaults, tokens checked, embedded store in {}", folder.path().display());
    for connections in [64, 128] {
        scene.compare("a reaction each (no reply)", "messageReaction", Audience::Of(PERSONS), connections).await;
        let family = if connections == 64 { "new-a" } else { "new-b" };
        scene.compare("each a new person (no reply)", "messageReaction", Audience::Always(family), connections).await;
        let before = teams.taken();
        scene.compare("a message each (with a reply)", "message", Audience::Of(PERSONS), connections).await;
        if teams.taken() > before {
            println!("    {} replies went to Teams", teams.taken() - before);
        }
    }
    println!("\nherald: {} KiB of memory afterwards", rig::rss_kib(herald.pid()));
    drop(herald);
    let (_again, at) = start(env!("CARGO_BIN_EXE_herald"), "serve", &settings, &folder.path().join("again.log"));
    let answered = scene.answered.take();
    verify(at.parse().unwrap(), &answered).await;
}

fn start(program: &str, argument: &str, settings: &[(String, String)], log: &std::path::Path) -> (Child, String) {
    let (mut command, _): (Command, bool) = rig::pinned(Core::Measured, program);
    Child::listening(command.arg(argument), settings, log)
}

impl Scene {
    /// Some rounds, and their median.
    async fn compare(&self, what: &str, kind: &'static str, audience: Audience, connections: usize) {
        if !what.contains(&self.wanted) {
            return;
        }
        println!("\n{what}, {connections} in flight, {PERSONS} persons where they are known");
        let activities = || Rc::new(RefCell::new(Activities::new(&self.token, &self.service_url, kind, audience)));
        let (ours, theirs) = (activities(), activities());
        if let Audience::Of(_) = audience {
            self.ask(&self.herald, connections, Duration::from_millis(1500), &ours).await;
        }
        let mut ratios = Vec::new();
        for round in 1..=self.rounds {
            let herald = self.ask(&self.herald, connections, self.time, &ours).await;
            let bare = self.ask(&self.bare, connections, self.time, &theirs).await;
            let (rate, work) = (rig::ratio(herald.rate, bare.rate), rig::ratio(bare.core, herald.core));
            ratios.push((rate, work));
            println!("  {round}: herald {herald} | bare {bare} | ratio {rate:.2}, by work {work:.2}");
        }
        let (rates, works) = ratios.into_iter().unzip();
        println!("  median ratio {:.2}, by work {:.2}", rig::median(rates), rig::median(works));
        // A later scenario is later by its activities' own time too.
        self.answered.borrow_mut().extend(ours.borrow_mut().last.drain());
    }

    async fn ask(&self, side: &Side, connections: usize, time: Duration, with: &Rc<RefCell<Activities>>) -> Round {
        let before = rig::cpu_seconds(side.pid);
        let mut outcome = rig::run(side.address, Load { connections, time }, with).await;
        assert_eq!(outcome.refused, 0, "answers that are no 200");
        let core = (rig::cpu_seconds(side.pid) - before) / (outcome.rate() * outcome.time.as_secs_f64());
        let (middle, slow) = (outcome.latencies.at(0.5), outcome.latencies.at(0.99));
        Round { rate: outcome.rate(), core, middle, slow }
    }
}

/// Every person whose activity was answered must be there with that activity: also in a Herald that knows only what the
/// one before, killed without a warning, left on the disk.
async fn verify(address: SocketAddr, last: &HashMap<String, Timestamp>) {
    let mut connection = Connection::open(address).await.unwrap();
    for (who, at) in last {
        let (status, found) = rig::get(&mut connection, &format!("/api/users/29:{who}"), KEY).await;
        assert_eq!(status, 200, "{who} is not there");
        let seen = found["users"][0]["channels"][0]["lastSeen"].as_str().unwrap_or_default();
        let seen: Timestamp = seen.parse().unwrap();
        assert_eq!(seen, *at, "{who} was answered for another activity than is stored");
    }
    println!("{} persons are stored as their last answered activity left them", last.len());
}
