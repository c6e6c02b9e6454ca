//! `--watch`: a notification followed to its end, as a bar for people and as lines of JSON for scripts.

use std::time::Duration;

use serde_json::Value;
use tracing::debug;

use super::Client;
use super::client::segment;
use super::notifications::show;
use crate::role::progress::Progress;
use crate::role::{Failure, terminal};

/// How often the status is asked for: it costs Herald a few reads, however large the notification is.
const LOOK: Duration = Duration::from_secs(1);
/// How many looks in a row may fail: a restart or a busy store does not end the watch.
const FAILURES: u32 = 30;

/// Follows a notification until it is over, and shows how it ended.
///
/// # Errors
/// What went wrong, in a sentence: the first look, or many in a row.
pub async fn run(client: &Client, id: &str, as_json: bool) -> Result<(), Failure> {
    let path = format!("/api/notifications/{}", segment(id));
    let mut status = client.get(&path, &[]).await?;
    let mut progress = (!as_json).then(|| Progress::begin(&format!("{id}: {}", told(&status)), 0));
    let (mut shown, mut failures) = (Value::Null, 0);
    loop {
        if let Some(progress) = &mut progress {
            let (done, audience) = counted(&status);
            progress.at(done, audience);
            progress.say(format!("{id}: {}", told(&status)));
        } else if status != shown {
            terminal::print(&status.to_string());
            shown = status.clone();
        }
        if is_over(&status) {
            break;
        }
        tokio::time::sleep(LOOK).await;
        match client.get(&path, &[]).await {
            Ok(looked) => (status, failures) = (looked, 0),
            Err(failure) if failures + 1 >= FAILURES => return Err(failure),
            Err(failure) => {
                debug!(%failure, "a look failed; the next one follows");
                failures += 1;
            }
        }
    }
    if let Some(progress) = progress {
        progress.end();
        show(&status, false);
    }
    Ok(())
}

fn is_over(status: &Value) -> bool {
    !status["completedAt"].is_null()
}

/// How many recipients have an outcome, and how many there are as far as is planned.
fn counted(status: &Value) -> (u64, u64) {
    let count = |name: &str| status["counts"][name].as_u64().unwrap_or_default();
    (count("audience").saturating_sub(count("pending")), count("audience"))
}

/// State and counts in a few words; what is zero is left out.
fn told(status: &Value) -> String {
    let counts = &status["counts"];
    let sum = |value: &Value| -> u64 {
        let reasons = value.as_object().map(|reasons| reasons.values().filter_map(Value::as_u64).sum());
        value.as_u64().or(reasons).unwrap_or_default()
    };
    let named = ["sent", "skipped", "failed", "uncertain", "pending"].map(|name| (name, sum(&counts[name])));
    let parts = named.into_iter().filter(|(_, count)| *count > 0).map(|(name, count)| format!(", {count} {name}"));
    let state = status["state"].as_str().unwrap_or("unknown");
    let is_all = status["planned"] == Value::Bool(true) || state == "planning";
    format!("{state}{}{}", parts.collect::<String>(), if is_all { "" } else { ", planning" })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_is_told_in_a_few_words() {
        let status = json!({
            "state": "sending", "planned": false, "completedAt": null,
            "counts": {"audience": 10, "sent": 2, "pending": 4, "skipped": {"noTeamsChat": 3, "muted": 1}, "failed": {}, "uncertain": 0},
        });
        assert_eq!(told(&status), "sending, 2 sent, 4 skipped, 4 pending, planning");
        assert_eq!((counted(&status), is_over(&status)), ((6, 10), false));
        let over = json!({"state": "completed", "planned": true, "completedAt": "2026-11-23T10:00:00Z", "counts": {}});
        assert_eq!((told(&over).as_str(), is_over(&over)), ("completed", true));
        assert_eq!(told(&json!({"state": "planning", "planned": false, "counts": {}})), "planning");
    }
}
