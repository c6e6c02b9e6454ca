//! Promise 5 for real: a Herald in a process of its own is killed in the middle of a notification and started again.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::people::{Kind, SimulatedPerson};
use crate::clock::{Clock, SystemClock};
use crate::role::Failure;
use crate::role::operator::{Access, Client};
use crate::simulator::Teams;

const TEXT: &str = "**Build 13** passed";
const PEOPLE: usize = 60;
/// It is killed once so many have got the message.
const KILLED_AFTER: usize = 15;
const LOOK: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(120);

/// A process that ends with its handle, and not gently.
struct Process {
    child: Child,
    client: Client,
}

impl Drop for Process {
    fn drop(&mut self) {
        // SIGKILL; and whether it was still there does not matter.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What broke the promise; none: it held.
///
/// # Errors
/// When something could not be started.
pub(super) async fn nobody_is_lost() -> Result<Option<String>, Failure> {
    let other = |error: std::io::Error| Failure::Other(error.to_string());
    let folder = tempfile::tempdir().map_err(other)?;
    let teams = Teams::start().await.map_err(other)?;
    let first = start(folder.path()).await?;
    let people: Vec<_> = (0..PEOPLE).map(|number| SimulatedPerson::one(number, Kind::TeamsOnly)).collect();
    for person in &people {
        for activity in person.activities(&teams.service_url(), SystemClock.now()) {
            first.client.post("/api/messages", &activity).await?;
        }
    }
    let body = json!({"id": "build-13", "content": {"text": TEXT}, "audience": {"all": true}});
    first.client.post("/api/notifications", &body).await?;
    let give_up = Instant::now() + PATIENCE;
    while teams.delivered(TEXT).len() < KILLED_AFTER && Instant::now() < give_up {
        tokio::time::sleep(LOOK).await;
    }
    drop(first);
    let second = start(folder.path()).await?;
    loop {
        let status = second.client.get("/api/notifications/build-13", &[]).await?;
        if !status["completedAt"].is_null() || Instant::now() >= give_up {
            return Ok(judge(&status, &teams));
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn judge(status: &Value, teams: &Teams) -> Option<String> {
    let count =
        |name: &str| status["counts"][name].as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or_default();
    let (sent, uncertain, delivered) = (count("sent"), count("uncertain"), teams.delivered(TEXT));
    if sent + uncertain != PEOPLE {
        return Some(format!("of {PEOPLE} people {sent} are counted as sent and {uncertain} as uncertain"));
    }
    if delivered.values().any(|count| *count > 1) {
        return Some("somebody got it twice".to_owned());
    }
    (delivered.len() < sent).then(|| format!("{sent} are counted as sent, {} arrived", delivered.len()))
}

async fn start(folder: &Path) -> Result<Process, Failure> {
    let other = |error: std::io::Error| Failure::Other(error.to_string());
    let mut command = Command::new(std::env::current_exe().map_err(other)?);
    command.arg("serve").env_clear().env("HERALD_DATA_DIR", folder).env("HERALD_LISTEN", "127.0.0.1:0");
    command.env("HERALD_SCHEDULE", "* * * * * *").stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(other)?;
    let stdout = child.stdout.take();
    let reading = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        stdout.map(|stdout| BufReader::new(stdout).read_line(&mut line)).transpose().map(|_| line)
    });
    let line = reading.await.map_err(|error| Failure::Other(error.to_string()))?.map_err(other)?;
    let url = line.trim().strip_prefix("listening on ").unwrap_or_default().to_owned();
    let client = Client::new(Access { url: url.clone(), key: None, token: None })?;
    let process = Process { child, client };
    if url.is_empty() { Err(Failure::Other("`herald serve` did not start".into())) } else { Ok(process) }
}
