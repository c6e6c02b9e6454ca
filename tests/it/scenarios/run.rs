//! Runs a scenario: people, instances, notifications, and what happens to them; answers what was seen.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use herald::app::App;
use herald::clock::{Clock, Timestamp};
use herald::config::{Role, parse};
use herald::connector::Connector;
use herald::delivery::PutOut;
use herald::functions::{Function, Request, serve_http};
use herald::protocol::AllowedHosts;
use herald::store::{Collection, Draft, Key, Partition, Store, Write};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::file::{Notification, Scenario};
use super::host::{Instance, Queue, TICK};
use super::lane::Lane;
use super::teams::{SimulatedTeams, Way};
use crate::support::{Dice, Memory, RuntimeClock};

const BOT: &str = "the-bot";
/// A scenario that takes longer hangs.
const GIVE_UP: Duration = Duration::from_secs(4 * 3600);

/// What was seen.
pub struct Seen {
    pub teams: Arc<SimulatedTeams>,
    pub queue: Arc<Queue>,
    pub statuses: Vec<Value>,
    /// Documents written.
    pub written: u64,
}

pub fn id(number: usize) -> String {
    format!("n{number:02}")
}

fn tenant(number: usize) -> String {
    format!("t{number:04}")
}

pub async fn run(scenario: &Scenario) -> Seen {
    let store: Arc<dyn Store> = Arc::new(Memory::default());
    let clock = RuntimeClock::start();
    populate(store.as_ref(), scenario, clock.now()).await;
    let teams = SimulatedTeams::new(scenario.teams.clone());
    let queue = Queue::new(scenario.host.clone());
    let written = Arc::new(AtomicU64::new(0));
    let lane = |number: usize| Lane {
        store: Arc::clone(&store),
        takes: Duration::from_secs_f64(scenario.stores.get(number).copied().unwrap_or(scenario.store)),
        jitter: scenario.jitter,
        dice: Dice::default(),
        written: Arc::clone(&written),
    };
    let start = |(number, off): (usize, &f64)| {
        Some(Instance::start(app(scenario, lane(number), (number, &teams), clock, *off), &queue))
    };
    let mut instances: Vec<_> = scenario.instances.iter().enumerate().map(start).collect();
    let mut events = events(scenario);
    let mut looks = tokio::time::interval(Duration::from_secs(1));
    let began = Instant::now();
    let mut ticks = tokio::time::interval_at(began + TICK, TICK);
    loop {
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(began + at(events.first())), if !events.is_empty() => {
                let (_, event) = events.remove(0);
                happen(event, scenario, &mut instances, &queue, clock).await;
            }
            _ = ticks.tick() => {
                if let Some(instance) = instances.iter_mut().flatten().next() {
                    instance.tick(&queue);
                }
            }
            _ = looks.tick(), if events.is_empty() => {
                let statuses = statuses(scenario, &instances).await;
                if statuses.iter().all(|status| !status["completedAt"].is_null()) {
                    return Seen { teams, queue, statuses, written: written.load(Ordering::Relaxed) };
                }
                assert!(began.elapsed() < GIVE_UP, "no end: {statuses:?}");
            }
        }
    }
}

fn at(event: Option<&(f64, Event)>) -> Duration {
    Duration::from_secs_f64(event.map_or(0.0, |(at, _)| *at))
}

fn app(
    scenario: &Scenario,
    lane: Lane,
    (instance, teams): (usize, &Arc<SimulatedTeams>),
    clock: RuntimeClock,
    off: f64,
) -> App {
    let settings = BTreeMap::from([("HERALD_TENANT_RATE".to_owned(), scenario.rate.to_string())]);
    let config = parse(&settings, Role::Serve).unwrap();
    #[expect(clippy::cast_possible_truncation, reason = "some seconds")]
    let off = chrono::TimeDelta::milliseconds((off * 1000.0) as i64);
    let clock: Arc<dyn Clock> = Arc::new(clock.off_by(off));
    let closing = CancellationToken::new();
    let mut app = App::new(&config, Arc::new(lane), Arc::clone(&clock), Arc::new(Dice::default()), closing).unwrap();
    let way = Arc::new(Way { teams: Arc::clone(teams), clock: Arc::clone(&clock), instance });
    app.delivery.connector = Connector::over(way, AllowedHosts::public(), None, clock);
    app
}

async fn populate(store: &dyn Store, scenario: &Scenario, now: Timestamp) {
    let create = async |collection, partition: &[&str], id: &str, body: Value| {
        let key = Key::new(collection, Partition::new(partition.iter().copied()), id);
        store.write(Write::Create(key, Draft::of(&body).unwrap())).await.unwrap();
    };
    create(Collection::Settings, &["herald"], "bot", json!({"v": 1, "botId": BOT})).await;
    for number in 0..scenario.audience.tenants {
        let tenant = tenant(number);
        create(Collection::Tenants, &[BOT], &tenant, json!({"v": 1, "tenant": tenant})).await;
        for person in 0..scenario.audience.people {
            let key = format!("u:29:{person:07}");
            let reference = json!({"conversationId": SimulatedTeams::chat(number, person),
                "serviceUrl": "https://smba.trafficmanager.net/teams/", "verifiedAt": now, "state": "active",
                "evidence": {}, "firstSeen": now, "lastSeen": now});
            let body = json!({"v": 1, "tenant": tenant, "key": key, "firstSeen": now,
                "references": {"teamsChat": reference}});
            create(Collection::People, &[BOT, &tenant, &key], "person", body).await;
        }
    }
}

enum Event {
    Post(usize),
    Cancel(usize),
    Kill(usize),
}

fn events(scenario: &Scenario) -> Vec<(f64, Event)> {
    let each = || scenario.notifications.iter().enumerate();
    let posts = each().map(|(number, notification)| (notification.at, Event::Post(number)));
    let cancels = each().filter_map(|(number, notification)| Some((notification.cancelled?, Event::Cancel(number))));
    let kills = scenario.host.kills.iter().map(|kill| (kill.at, Event::Kill(kill.instance)));
    let mut events: Vec<_> = posts.chain(cancels).chain(kills).collect();
    events.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    events
}

async fn happen(
    event: Event,
    scenario: &Scenario,
    instances: &mut [Option<Instance>],
    queue: &Arc<Queue>,
    clock: RuntimeClock,
) {
    match event {
        Event::Post(number) => {
            let body = posted(number, &scenario.notifications[number], clock);
            let (status, answer, put_out) = call(instances, Function::CreateNotification, "POST", None, &body).await;
            assert_eq!(status, 202, "{answer}");
            queue.put(put_out);
        }
        Event::Cancel(number) => {
            call(instances, Function::Notifications, "DELETE", Some(id(number)), &Value::Null).await;
        }
        Event::Kill(number) => {
            if let Some(mut instance) = instances[number].take() {
                instance.kill();
            }
        }
    }
}

fn posted(number: usize, notification: &Notification, clock: RuntimeClock) -> Value {
    let tenants = notification.tenants.as_ref().map(|tenants| tenants.iter().map(|number| tenant(*number)).collect());
    let audience = tenants.map_or(json!({"all": true}), |tenants: Vec<_>| json!({"tenants": tenants}));
    let expires = notification.expires.map(|at| clock.now() + Duration::from_secs_f64(at - notification.at));
    let policy = if notification.resend { "resend" } else { "report" };
    json!({"id": id(number), "content": {"text": id(number), "format": "plain"}, "audience": audience,
        "expiresAt": expires, "onUncertain": policy})
}

async fn call(
    instances: &[Option<Instance>],
    function: Function,
    method: &str,
    id: Option<String>,
    body: &Value,
) -> (u16, Value, PutOut) {
    let instance = instances.iter().flatten().next().expect("an instance that lives");
    let body = Some(body.to_string().into_bytes());
    let request = Request { method: method.into(), id, body, ..Request::default() };
    let (answer, put_out) = serve_http(&instance.app, function, &request).await;
    (answer.status, serde_json::from_str(&answer.body).unwrap_or_default(), put_out)
}

async fn statuses(scenario: &Scenario, instances: &[Option<Instance>]) -> Vec<Value> {
    let mut statuses = Vec::new();
    for number in 0..scenario.notifications.len() {
        statuses.push(call(instances, Function::Notifications, "GET", Some(id(number)), &Value::Null).await.1);
    }
    statuses
}
