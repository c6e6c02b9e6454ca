//! kill -9 at every step: a fault point before and after each write and each send, and a run for each of them. Nobody is
//! lost, nobody is sent anything twice unless the poster wants that, and each doubtful one is called so.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use herald::app::App;
use herald::chance::SystemChance;
use herald::clock::{Clock, SystemClock};
use herald::config::{Role, parse};
use herald::connector::{Connector, Http, Unanswered, Wire, WireAnswer};
use herald::delivery::{Pointer, PutOut};
use herald::functions::{Function, Request, serve_http};
use herald::protocol::AllowedHosts;
use herald::simulator::Teams;
use herald::store::Store;
use herald::store::embedded::Embedded;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::support::{End, Fate, Memory, MortalStore, MortalWire, NEVER, RuntimeClock, activity, free_folder};

const PEOPLE: usize = 5;
/// Windows of two.
const RATE: &str = "10";

fn app(store: Arc<dyn Store>, wire: Arc<dyn Wire>, clock: Arc<dyn Clock>, fate: &Fate) -> App {
    let settings = BTreeMap::from([("HERALD_TENANT_RATE".to_owned(), RATE.to_owned())]);
    let config = parse(&settings, Role::Serve).unwrap();
    let store = Arc::new(MortalStore { store, fate: fate.clone() });
    let closing = CancellationToken::new();
    let mut app = App::new(&config, store, Arc::clone(&clock), Arc::new(SystemChance), closing).unwrap();
    let wire = Arc::new(MortalWire { wire, fate: fate.clone() });
    app.delivery.connector = Connector::over(wire, AllowedHosts::public().with_loopback(), None, clock);
    app
}

async fn call(app: &App, function: Function, method: &str, body: &Value) -> (u16, Value, PutOut) {
    let (id, body) = (Some("n".to_owned()), Some(body.to_string().into_bytes()));
    let request = Request { method: method.into(), id, body, ..Request::default() };
    let (answer, put_out) = serve_http(app, function, &request).await;
    (answer.status, serde_json::from_str(&answer.body).unwrap_or_default(), put_out)
}

async fn meet(app: &App, service_url: &str) {
    for number in 0..PEOPLE {
        let what = json!({"type": "installationUpdate", "action": "add"});
        let install = activity(service_url, &format!("p{number}"), "2026-05-01T10:00:00Z", what);
        assert_eq!(call(app, Function::Messages, "POST", &install).await.0, 200);
    }
}

/// As a host does: works off its queue, and ticks, until the notification is over.
async fn run(app: &App, policy: &str, between_ticks: Duration) -> Value {
    let posted = json!({"id": "n", "content": {"text": "x"}, "audience": {"all": true}, "onUncertain": policy});
    // Posted again after a kill: the same id is answered the same.
    let (_, _, put_out) = call(app, Function::CreateNotification, "POST", &posted).await;
    let mut queue: VecDeque<Pointer> = put_out.notifications.into();
    if app.store.exclusive() {
        // As `serve` does: the queue was lost with the process.
        let lying = app.delivery.resume().await.unwrap();
        queue.extend(lying.notifications.into_iter().chain(lying.deliveries));
    }
    loop {
        while let Some(pointer) = queue.pop_front() {
            let done = match &pointer.batch {
                Some(_) => app.delivery.deliver(&pointer).await,
                None => app.delivery.run(&pointer).await,
            };
            let more = done.unwrap();
            queue.extend(more.notifications.into_iter().chain(more.deliveries));
        }
        let (_, status, _) = call(app, Function::Notifications, "GET", &Value::Null).await;
        if !status["completedAt"].is_null() {
            return status;
        }
        tokio::time::sleep(between_ticks).await;
        let more = app.delivery.tick().await.unwrap();
        queue.extend(more.notifications.into_iter().chain(more.deliveries));
    }
}

/// What must hold, whenever it was killed.
fn judge(policy: &str, point: i64, status: &Value, delivered: &HashMap<String, usize>) {
    let says = format!("{policy}, killed at {point}: {status}, delivered: {delivered:?}");
    let count = |name: &str| usize::try_from(status["counts"][name].as_u64().unwrap()).unwrap();
    let (sent, uncertain) = (count("sent"), count("uncertain"));
    assert_eq!(status["state"], "completed", "{says}");
    assert_eq!((sent + uncertain, count("audience")), (PEOPLE, PEOPLE), "nobody is lost: {says}");
    assert!(uncertain <= 2, "no more than the window that was out: {says}");
    if policy == "report" {
        assert!(delivered.values().all(|copies| *copies == 1), "nobody gets it twice: {says}");
        assert!((sent..=sent + uncertain).contains(&delivered.len()), "who is counted as sent has it: {says}");
    } else {
        assert_eq!((uncertain, delivered.len()), (0, PEOPLE), "everybody gets it: {says}");
        assert!(delivered.values().filter(|copies| **copies > 1).count() <= 2, "{says}");
    }
}

/// A Teams in memory that takes everything, after a while.
#[derive(Debug, Default)]
struct Chats(Mutex<HashMap<String, usize>>);

#[async_trait]
impl Wire for Chats {
    async fn post(&self, url: &str, _token: Option<&str>, _json: String) -> Result<WireAnswer, Unanswered> {
        *self.0.lock().unwrap().entry(url.to_owned()).or_default() += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
        Ok(WireAnswer { status: 201, retry_after: None, body: r#"{"id":"1"}"#.to_owned() })
    }
}

/// Played: on a store that several share, so that leases have to run out. Answers whether it lived to the end.
async fn survives(policy: &str, point: i64) -> bool {
    let (store, chats): (Arc<dyn Store>, _) = (Arc::new(Memory::default()), Arc::new(Chats::default()));
    let clock: Arc<dyn Clock> = Arc::new(RuntimeClock::start());
    let never = Fate::at(NEVER, End::Abort);
    let start = |fate: &Fate| app(Arc::clone(&store), chats.clone(), Arc::clone(&clock), fate);
    meet(&start(&never), "https://smba.trafficmanager.net/teams/").await;
    let heard = Arc::new(Notify::new());
    let fate = Fate::at(point, End::Silence(Arc::clone(&heard)));
    let first = start(&fate);
    let status = tokio::select! {
        status = run(&first, policy, Duration::from_secs(15)) => Some(status),
        () = heard.notified() => None,
    };
    let lived = status.is_some();
    let status = match status {
        Some(status) => status,
        None => run(&start(&never), policy, Duration::from_secs(15)).await,
    };
    judge(policy, point, &status, &chats.0.lock().unwrap());
    lived
}

#[tokio::test(start_paused = true)]
async fn killed_before_or_after_any_write_or_send_another_instance_goes_on() {
    for policy in ["report", "resend"] {
        let mut points = 0;
        while !survives(policy, points).await {
            points += 1;
        }
        assert!(points >= 40, "only {points} fault points");
    }
}

/// The process that is killed for real. It is this very binary, asked for this very test.
#[tokio::test]
#[ignore = "run by the test below, in a process of its own"]
async fn a_process_that_may_be_killed() {
    #[expect(clippy::disallowed_methods, reason = "how the test below says what to do")]
    let told = |name: &str| std::env::var(name).unwrap();
    let embedded = Embedded::open(Path::new(&told("FOLDER"))).unwrap();
    let fate = Fate::at(told("DIES_AT").parse().unwrap(), End::Abort);
    let app = app(Arc::new(embedded.store()), Arc::new(Http::new().unwrap()), Arc::new(SystemClock), &fate);
    let status = run(&app, "report", Duration::from_millis(100)).await;
    std::fs::write(told("STATUS"), status.to_string()).unwrap();
}

/// Runs the test above; answers whether it lived.
async fn process(folder: &Path, dies_at: i64) -> bool {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["kill::a_process_that_may_be_killed", "--exact", "--ignored"]);
    command.env("FOLDER", folder).env("DIES_AT", dies_at.to_string()).env("STATUS", folder.join("status.json"));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let run = tokio::task::spawn_blocking(move || command.status().unwrap());
    run.await.unwrap().success()
}

/// For real: a process on the embedded store, ended at once at a fault point, and another one on what it left.
async fn outlives(point: i64) -> bool {
    let (folder, teams) = (free_folder(), Teams::start().await.unwrap());
    let embedded = Embedded::open(folder.path()).unwrap();
    let never = Fate::at(NEVER, End::Abort);
    let met = app(Arc::new(embedded.store()), Arc::new(Http::new().unwrap()), Arc::new(SystemClock), &never);
    meet(&met, &teams.service_url()).await;
    embedded.close();
    let lived = process(folder.path(), point).await;
    assert!(lived || process(folder.path(), NEVER).await, "what is left after {point} can be gone on with");
    let status = std::fs::read_to_string(folder.path().join("status.json")).unwrap();
    judge("report", point, &serde_json::from_str(&status).unwrap(), &teams.delivered("x"));
    lived
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_killed_before_or_after_any_write_or_send_leaves_nobody_behind() {
    // Most of the time of each is waiting for permits.
    let mut lived = stream::iter(0..).map(outlives).buffered(12);
    let mut points = 0;
    while let Some(false) = lived.next().await {
        points += 1;
    }
    assert!(points >= 40, "only {points} fault points");
}
