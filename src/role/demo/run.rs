//! Starts everything, lets people talk, notifies, and shows what came of it.

use std::collections::{BTreeMap, HashMap};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::killed::nobody_is_lost;
use super::people::{Kind, MATCHER, SimulatedPerson};
use super::promises::{Evidence, Promise, judge};
use crate::clock::{Clock, SystemClock};
use crate::config::{Role, parse};
use crate::role::operator::{Access, Client};
use crate::role::progress::Progress;
use crate::role::{Failure, serve, terminal};
use crate::simulator::{Behaviour, Teams};
use crate::telemetry::{self, Stream};

const TEXT: &str = "**Build 12** failed";
const TALKING_AT_ONCE: usize = 64;
const LOOK: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(600);

/// Runs the demo; the exit code is 0 only if every promise held.
///
/// # Errors
/// When something could not be started.
pub async fn run(users: usize, log: &str) -> Result<ExitCode, Failure> {
    telemetry::start(log, Stream::Stderr);
    if users < Kind::ALL.len() * 4 {
        return Err(Failure::Usage(format!(
            "--users: expected at least {}, so that every kind is there",
            Kind::ALL.len() * 4
        )));
    }
    let began = Instant::now();
    let other = |error: std::io::Error| Failure::Other(error.to_string());
    let folder = tempfile::tempdir().map_err(other)?;
    let teams = Teams::start().await.map_err(other)?;
    let herald = start(folder.path()).await?;
    let client = Client::new(Access { url: format!("http://{}", herald.address), key: None, token: None })?;
    let people = SimulatedPerson::crowd(users);
    let (evidence, killed) = tokio::join!(act(&client, &teams, &people), nobody_is_lost());
    herald.stop().await;
    let evidence = Evidence { killed: killed?, ..evidence? };
    terminal::print(&table(&people, &evidence, &teams));
    let promises = judge(&people, &evidence);
    terminal::print(&verdicts(&promises));
    terminal::print(&format!("{users} people, {:.1} s.", began.elapsed().as_secs_f64()));
    let kept = promises.iter().all(|promise| promise.broken.is_none());
    Ok(if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn start(folder: &std::path::Path) -> Result<serve::Running, Failure> {
    let settings = [
        ("HERALD_DATA_DIR", folder.to_string_lossy().into_owned()),
        ("HERALD_LISTEN", "127.0.0.1:0".to_owned()),
        ("HERALD_SCHEDULE", "* * * * * *".to_owned()),
        ("HERALD_TEAMS_COPILOT_MATCH", MATCHER.to_owned()),
    ];
    let settings: BTreeMap<_, _> = settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    serve::start(&parse(&settings, Role::Serve)?, Arc::new(SystemClock)).await
}

async fn act(client: &Client, teams: &Teams, people: &[SimulatedPerson]) -> Result<Evidence, Failure> {
    let service_url = teams.service_url();
    for person in people.iter().filter(|person| person.kind == Kind::Blocked) {
        teams.always(&person.chat(), Behaviour::Refused(403, "ConversationBlockedByUser"));
    }
    talk(client, people, &service_url).await?;
    let (foreign_host, foreign_chat) = strangers(client, people, &service_url).await?;
    // Who blocked the bot is learned from Teams' answer to the first attempt.
    let blocked: Vec<_> =
        people.iter().filter(|person| person.kind == Kind::Blocked).map(SimulatedPerson::object_id).collect();
    notify(client, "who-blocked", "hello", &json!({"users": blocked}), "finding who blocked").await?;
    let status = notify(client, "build-12", TEXT, &json!({"all": true}), "notifying").await?;
    // The same again is answered the same, and nothing is sent again.
    notify(client, "build-12", TEXT, &json!({"all": true}), "asking once more").await?;
    let delivered = teams.delivered(TEXT);
    let foreign_product = delivered.get(&foreign_chat).copied().unwrap_or_default();
    Ok(Evidence { delivered, status, users: users(client).await?, foreign_host, foreign_product, killed: None })
}

async fn talk(client: &Client, people: &[SimulatedPerson], service_url: &str) -> Result<(), Failure> {
    let progress = Progress::begin("people talk", people.len());
    let progress_of = &progress;
    let talking = stream::iter(people).map(|person| async move {
        for activity in person.activities(service_url, SystemClock.now()) {
            client.post("/api/messages", &activity).await?;
        }
        progress_of.one_more();
        Ok::<_, Failure>(())
    });
    talking.buffer_unordered(TALKING_AT_ONCE).try_collect::<()>().await?;
    progress.end();
    Ok(())
}

/// Somebody who sends the bot elsewhere, and another product in a conversation that looks personal.
async fn strangers(client: &Client, people: &[SimulatedPerson], service_url: &str) -> Result<(u16, String), Failure> {
    let now = SystemClock.now();
    let first = people.first().ok_or_else(|| Failure::Other("there is nobody".into()))?;
    let mut elsewhere = first.activities("https://smba.trafficmanager.net.evil.example/", now).remove(0);
    elsewhere["id"] = json!("f:elsewhere");
    let refused = match client.post("/api/messages", &elsewhere).await {
        Err(Failure::Other(reason)) if reason.starts_with("refused with 403") => 403,
        Err(_) => 500,
        Ok(_) => 200,
    };
    let mut word = first.activities(service_url, now).remove(0);
    let chat = "a:1word".to_owned();
    word["id"] = json!("f:word");
    word["from"] = json!({"id": "29:1word", "aadObjectId": "aaaaaaaa-0000-4000-8000-00000000word"});
    word["conversation"]["id"] = json!(chat);
    word["channelData"]["productContext"] = json!("Word");
    client.post("/api/messages", &word).await?;
    Ok((refused, chat))
}

async fn notify(client: &Client, id: &str, text: &str, audience: &Value, what: &'static str) -> Result<Value, Failure> {
    let body = json!({"id": id, "content": {"text": text}, "audience": audience});
    let mut status = client.post("/api/notifications", &body).await?;
    let progress = Progress::begin(what, 0);
    let give_up = Instant::now() + PATIENCE;
    while status["completedAt"].is_null() && Instant::now() < give_up {
        tokio::time::sleep(LOOK).await;
        status = client.get(&format!("/api/notifications/{id}"), &[]).await?;
        let count = |name: &str| status["counts"][name].as_u64().unwrap_or_default();
        progress.at(count("audience") - count("pending"), count("audience"));
    }
    progress.end();
    Ok(status)
}

async fn users(client: &Client) -> Result<HashMap<String, Value>, Failure> {
    let (mut users, mut continuation) = (HashMap::new(), None::<String>);
    loop {
        let query: Vec<_> = continuation.iter().map(|text| ("continuation", text.as_str())).collect();
        let page = client.get("/api/users", &query).await?;
        for user in page["users"].as_array().into_iter().flatten() {
            users.insert(user["aadObjectId"].as_str().unwrap_or_default().to_owned(), user.clone());
        }
        continuation = page["continuation"].as_str().map(str::to_owned);
        if continuation.is_none() {
            return Ok(users);
        }
    }
}

fn table(people: &[SimulatedPerson], evidence: &Evidence, teams: &Teams) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["who", "people", "notified in", "skipped as", "in Teams chats", "in Copilot", "replies"]);
    let mut replies: HashMap<String, usize> = HashMap::new();
    for message in teams.received().into_iter().filter(|message| message.delivered && message.reply_to.is_some()) {
        *replies.entry(message.conversation_id).or_default() += 1;
    }
    for kind in Kind::ALL {
        let of_kind: Vec<_> = people.iter().filter(|person| person.kind == kind).collect();
        let count = |counts: &HashMap<String, usize>, place: fn(&SimulatedPerson) -> String| {
            of_kind.iter().filter_map(|person| counts.get(&place(person))).sum::<usize>()
        };
        let chats = count(&evidence.delivered, SimulatedPerson::chat);
        let answered = count(&replies, SimulatedPerson::chat) + count(&replies, SimulatedPerson::copilot);
        table.add_row([
            kind.name().to_owned(),
            of_kind.len().to_string(),
            if chats > 0 { "the Teams chat" } else { "-" }.to_owned(),
            kind.skipped_as().unwrap_or("-").to_owned(),
            chats.to_string(),
            count(&evidence.delivered, SimulatedPerson::copilot).to_string(),
            answered.to_string(),
        ]);
    }
    table.to_string()
}

fn verdicts(promises: &[Promise]) -> String {
    let line = |promise: &Promise| match &promise.broken {
        None => format!("kept    {}. {}", promise.number, promise.says),
        Some(how) => format!("BROKEN  {}. {}: {how}", promise.number, promise.says),
    };
    promises.iter().map(line).collect::<Vec<_>>().join("\n")
}
