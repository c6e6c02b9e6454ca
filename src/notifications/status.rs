//! The status document, as the API shows it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Control, Counts, Stage};
use crate::clock::Timestamp;
use crate::people::Skip;

/// `GET /api/notifications/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusView {
    /// Its id.
    pub id: String,
    /// `scheduled`, `planning`, `sending`, `completed`, `cancelled`, `expired`.
    pub state: &'static str,
    /// Whether `audience` is everybody.
    pub planned: bool,
    /// Recipients by outcome.
    pub counts: CountsView,
    /// When it was posted.
    pub created_at: Timestamp,
    /// When planning began.
    pub started_at: Option<Timestamp>,
    /// When the last recipient had an outcome.
    pub completed_at: Option<Timestamp>,
    /// What the poster was warned of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// The counts: they add up to the audience.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CountsView {
    /// Everybody planned so far.
    pub audience: u64,
    /// Sent.
    pub sent: u64,
    /// Without an outcome yet.
    pub pending: u64,
    /// Skipped, by reason; the usual reasons also when they are 0.
    pub skipped: BTreeMap<&'static str, u64>,
    /// Failed, by reason.
    pub failed: BTreeMap<String, u64>,
    /// Doubtful.
    pub uncertain: u64,
}

/// The status of a notification whose tenants have planned `audience` recipients and had these outcomes.
/// `planned` says whether all tenants are through, `batched` whether there is a batch.
#[must_use]
pub fn status(
    control: &Control,
    audience: u64,
    counts: &Counts,
    (planned, batched): (bool, bool),
    now: Timestamp,
) -> StatusView {
    let state = match control.stage_at(now) {
        Stage::Scheduled if control.send_at.is_some() => "scheduled",
        Stage::Running if batched => "sending",
        Stage::Scheduled | Stage::Running => "planning",
        Stage::Cancelled => "cancelled",
        Stage::Expired => "expired",
        Stage::Completed => "completed",
    };
    let usual = [Skip::NoTeamsChat, Skip::Uninstalled, Skip::Blocked, Skip::Muted];
    let mut skipped: BTreeMap<_, _> = usual.into_iter().map(|reason| (reason.name(), 0)).collect();
    skipped.extend(counts.skipped.iter().map(|(reason, count)| (reason.name(), *count)));
    StatusView {
        id: control.id.clone(),
        state,
        planned,
        counts: CountsView {
            audience,
            sent: counts.sent,
            pending: audience.saturating_sub(counts.total()),
            skipped,
            failed: counts.failed.clone(),
            uncertain: counts.uncertain,
        },
        created_at: control.created_at,
        started_at: control.started_at,
        completed_at: control.completed_at,
        warnings: control.warnings.clone(),
    }
}
