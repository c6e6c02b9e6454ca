//! `herald users`.

use serde_json::Value;

use super::Client;
use super::client::segment;
use super::table::{cell, list, more, table};
use crate::role::{Failure, terminal};

/// Whom to show.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// One, by object id or account id.
    pub id: Option<String>,
    /// Only those who can, or cannot, be reached.
    pub reachable: Option<bool>,
    /// Where to go on.
    pub continuation: Option<String>,
}

/// Shows them.
///
/// # Errors
/// What went wrong, in a sentence.
pub async fn run(client: &Client, filter: &Filter, as_json: bool) -> Result<(), Failure> {
    let answer = match &filter.id {
        Some(id) => client.get(&format!("/api/users/{}", segment(id)), &[]).await?,
        None => {
            let reachable = filter.reachable.map(|reachable| reachable.to_string());
            let reachable = reachable.iter().map(|value| ("reachable", value.as_str()));
            let onward = filter.continuation.iter().map(|value| ("continuation", value.as_str()));
            let query: Vec<_> = reachable.chain(onward).collect();
            client.get("/api/users", &query).await?
        }
    };
    if as_json {
        terminal::print(&answer.to_string());
        return Ok(());
    }
    let heading = ["tenant", "object id", "user id", "reachable", "channels"];
    terminal::print(&table(&heading, list(&answer, "users").iter().map(row)));
    if let Some(line) = more(&answer) {
        terminal::print(&line);
    }
    Ok(())
}

fn row(user: &Value) -> Vec<String> {
    let reachable = match user["reason"].as_str() {
        Some(reason) => format!("no: {reason}"),
        None => "yes".to_owned(),
    };
    let channel = |channel: &Value| format!("{} {}", cell(&channel["channel"]), cell(&channel["state"]));
    let channels: Vec<_> = list(user, "channels").iter().map(channel).collect();
    vec![cell(&user["tenantId"]), cell(&user["aadObjectId"]), cell(&user["userId"]), reachable, channels.join("\n")]
}
