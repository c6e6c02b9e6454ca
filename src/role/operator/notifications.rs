//! `herald notifications`.

use serde_json::Value;

use super::client::segment;
use super::table::{cell, instant, list, more, reasons, table};
use super::{Client, watch};
use crate::role::{Failure, terminal};

/// What to do.
#[derive(Debug, Clone)]
pub enum Action {
    /// All of them, newest first.
    List {
        /// Where to go on.
        continuation: Option<String>,
    },
    /// One.
    Show(String),
    /// Follows one to its end.
    Watch(String),
    /// Ends one.
    Cancel(String),
    /// Who had an outcome.
    Recipients {
        /// Of which.
        id: String,
        /// `sent`, `skipped`, `failed`, `uncertain`, `pending`.
        outcome: String,
        /// Where to go on.
        continuation: Option<String>,
    },
}

/// Does it, and shows what the API answers.
///
/// # Errors
/// What went wrong, in a sentence.
pub async fn run(client: &Client, action: &Action, as_json: bool) -> Result<(), Failure> {
    let path = |id: &str| format!("/api/notifications/{}", segment(id));
    let onward = |continuation: &Option<String>| continuation.clone().unwrap_or_default();
    match action {
        Action::List { continuation } => {
            let onward = onward(continuation);
            let query = [("continuation", onward.as_str())];
            let query = if onward.is_empty() { &[][..] } else { &query[..] };
            print(&client.get("/api/notifications", query).await?, as_json, many);
        }
        Action::Show(id) => show(&client.get(&path(id), &[]).await?, as_json),
        Action::Watch(id) => watch(client, id, as_json).await?,
        Action::Cancel(id) => show(&client.delete(&path(id)).await?, as_json),
        Action::Recipients { id, outcome, continuation } => {
            let onward = onward(continuation);
            let query = [("recipients", outcome.as_str()), ("continuation", onward.as_str())];
            let query = if onward.is_empty() { &query[..1] } else { &query[..] };
            print(&client.get(&path(id), query).await?, as_json, recipients);
        }
    }
    Ok(())
}

fn print(answer: &Value, as_json: bool, people: impl Fn(&Value) -> String) {
    if as_json {
        terminal::print(&answer.to_string());
        return;
    }
    terminal::print(&people(answer));
    if let Some(line) = more(answer) {
        terminal::print(&line);
    }
}

/// One status.
pub(super) fn show(answer: &Value, as_json: bool) {
    print(answer, as_json, |answer| {
        let warnings = list(answer, "warnings").iter().map(|warning| format!("\nWarning: {}", cell(warning)));
        many(&serde_json::json!({"notifications": [answer]})) + &warnings.collect::<String>()
    });
}

fn many(answer: &Value) -> String {
    let heading = ["id", "state", "audience", "sent", "pending", "skipped", "failed", "uncertain", "created"];
    let row = |status: &Value| {
        let counts = &status["counts"];
        let partly = if status["planned"] == Value::Bool(true) { "" } else { "+" };
        vec![
            cell(&status["id"]),
            cell(&status["state"]),
            cell(&counts["audience"]) + partly,
            cell(&counts["sent"]),
            cell(&counts["pending"]),
            reasons(&counts["skipped"]),
            reasons(&counts["failed"]),
            cell(&counts["uncertain"]),
            instant(&status["createdAt"]),
        ]
    };
    table(&heading, list(answer, "notifications").iter().map(row))
}

fn recipients(answer: &Value) -> String {
    let heading = ["tenant", "object id", "user id", "outcome", "reason", "at"];
    let fields = ["tenantId", "aadObjectId", "userId", "outcome", "reason"];
    let row = |recipient: &Value| {
        let cells = fields.iter().map(|field| cell(&recipient[*field]));
        cells.chain([instant(&recipient["at"])]).collect()
    };
    table(&heading, list(answer, "recipients").iter().map(row))
}
