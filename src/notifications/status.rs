//! The status document, as the API shows it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Control, Counts, Stage};
use crate::clock::Timestamp;
use crate::people::Skip;
use crate::store::budget::Units;

/// How far a notification has come, summed over its tenants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Figures {
    /// How many recipients are planned.
    pub audience: u64,
    /// What became of them.
    pub counts: Counts,
    /// Whether these are all.
    pub planned: bool,
    /// Whether there is a batch.
    pub batched: bool,
    /// What the store charged for planning and sending.
    pub cost: Units,
}

/// `GET /api/notifications/{id}`.
#[derive(Debug, Clone, PartialEq, Serialize)]
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
    /// Request units that planning and sending took so far; absent where the store charges nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
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

/// The status of a notification.
#[must_use]
pub fn status(control: &Control, figures: &Figures, now: Timestamp) -> StatusView {
    let Figures { audience, counts, planned, batched, cost } = figures;
    let state = match control.stage_at(now) {
        Stage::Scheduled if control.send_at.is_some() => "scheduled",
        Stage::Running if *batched => "sending",
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
        planned: *planned,
        counts: CountsView {
            audience: *audience,
            sent: counts.sent,
            pending: audience.saturating_sub(counts.total()),
            skipped,
            failed: counts.failed.clone(),
            uncertain: counts.uncertain,
        },
        created_at: control.created_at,
        started_at: control.started_at,
        completed_at: control.completed_at,
        cost: (!cost.is_none()).then(|| cost.shown()),
        warnings: control.warnings.clone(),
    }
}
