//! `herald notify`.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::notifications::show;
use super::table::{cell, list};
use super::{Client, watch};
use crate::role::Failure;

/// A notification as given on the command line.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// The idempotency key.
    pub id: Option<String>,
    /// The text.
    pub text: Option<String>,
    /// `markdown`, `plain` or `xml`.
    pub format: Option<String>,
    /// What the toast shows.
    pub summary: Option<String>,
    /// A file with an Adaptive Card.
    pub card: Option<PathBuf>,
    /// Without an alert.
    pub quiet: bool,
    /// Everybody of these tenants.
    pub tenants: Vec<String>,
    /// These users.
    pub users: Vec<String>,
    /// Not before.
    pub send_at: Option<String>,
    /// Not after.
    pub expires_at: Option<String>,
    /// Send doubtful ones again.
    pub resend_uncertain: bool,
    /// Count only.
    pub dry_run: bool,
}

/// Posts it and shows the answer, or how it goes on until it is over.
///
/// # Errors
/// What went wrong, in a sentence.
pub async fn run(client: &Client, draft: &Draft, and_watch: bool, as_json: bool) -> Result<(), Failure> {
    let answer = client.post("/api/notifications", &body(draft)?).await?;
    if !and_watch {
        show(&answer, as_json);
        return Ok(());
    }
    for warning in list(&answer, "warnings") {
        eprintln!("Warning: {}", cell(warning));
    }
    watch(client, answer["id"].as_str().unwrap_or_default(), as_json).await
}

fn body(draft: &Draft) -> Result<Value, Failure> {
    let audience = match (draft.tenants.as_slice(), draft.users.as_slice()) {
        ([], []) => json!({"all": true}),
        (tenants, []) => json!({"tenants": tenants}),
        ([], users) => json!({"users": users}),
        _ => return Err(Failure::Usage("expected either --tenant or --user, not both".into())),
    };
    let mut content = json!({"text": draft.text, "summary": draft.summary, "alert": !draft.quiet});
    if let Some(format) = &draft.format {
        content["format"] = json!(format);
    }
    if let Some(path) = &draft.card {
        let blame = |error: String| Failure::Usage(format!("--card {}: {error}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| blame(error.to_string()))?;
        content["card"] = serde_json::from_str(&text).map_err(|error| blame(error.to_string()))?;
    }
    let policy = if draft.resend_uncertain { "resend" } else { "report" };
    Ok(json!({
        "id": draft.id, "content": content, "audience": audience, "sendAt": draft.send_at,
        "expiresAt": draft.expires_at, "onUncertain": policy, "dryRun": draft.dry_run,
    }))
}
