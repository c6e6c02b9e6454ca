//! `/api/notifications/{id?}`: list, status, recipients, cancel.

use serde::Serialize;
use tracing::info;

use super::{Answer, Request};
use crate::app::App;
use crate::clock::Timestamp;
use crate::delivery::{Batch, Held, Recipient, RecipientState, shown_tenant};
use crate::notifications::{Closed, Control, Stage, StatusView, status};
use crate::store::{self, Continuation};

/// How many notifications a page lists.
const PAGE: usize = 50;
/// How many recipients a page lists at least, when there are so many; a page ends with a batch.
const RECIPIENTS: usize = 100;
/// How many batches are read for a page at most.
const BATCHES: usize = 50;

/// Answers.
pub(super) async fn run(app: &App, request: &Request) -> Answer {
    let answered = match (request.method.as_str(), &request.id) {
        ("DELETE", Some(id)) => cancel(app, id).await,
        ("DELETE", None) => Ok(Answer::problem(405, "Method not allowed", "DELETE takes the id of a notification")
            .with("Allow", "GET, POST")),
        (_, None) => list(app, request).await,
        (_, Some(id)) => match request.query.get("recipients") {
            Some(outcome) => recipients(app, id, outcome, request).await,
            None => show(app, id).await,
        },
    };
    answered.unwrap_or_else(|error| Answer::store_failed(&error))
}

fn unknown(id: &str) -> Answer {
    Answer::problem(404, "Not found", &format!("there is no notification {id}"))
}

fn after(request: &Request) -> Option<Continuation> {
    request.query.get("continuation").map(|text| Continuation(text.clone()))
}

async fn view(app: &App, control: &Control) -> Result<StatusView, store::Error> {
    let figures = app.delivery.ledger.figures(control).await?;
    Ok(status(control, &figures, app.delivery.clock.now()))
}

async fn show(app: &App, id: &str) -> Result<Answer, store::Error> {
    match app.delivery.ledger.control(id).await? {
        Some(held) => Ok(Answer::json(200, &view(app, &held.value).await?)),
        None => Ok(unknown(id)),
    }
}

#[derive(Serialize)]
struct Listed {
    notifications: Vec<StatusView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    continuation: Option<Continuation>,
}

async fn list(app: &App, request: &Request) -> Result<Answer, store::Error> {
    let (controls, continuation) = app.delivery.ledger.newest(after(request).as_ref(), PAGE).await?;
    let mut notifications = Vec::new();
    for control in &controls {
        notifications.push(view(app, control).await?);
    }
    Ok(Answer::json(200, &Listed { notifications, continuation }))
}

/// Cancels, once; what is over already stays as it is. What is planned and not sent ends as skipped.
async fn cancel(app: &App, id: &str) -> Result<Answer, store::Error> {
    loop {
        let Some(mut held) = app.delivery.ledger.control(id).await? else { return Ok(unknown(id)) };
        let now = app.delivery.clock.now();
        if held.value.stage_at(now).is_over() {
            return Ok(Answer::json(200, &view(app, &held.value).await?));
        }
        match cancel_now(app, &mut held, now).await {
            Ok(()) => {
                info!(notification = id, "cancelled a notification");
                return Ok(Answer::json(200, &view(app, &held.value).await?));
            }
            Err(store::Error::Conflict) => {}
            Err(error) => return Err(error),
        }
    }
}

async fn cancel_now(app: &App, held: &mut Held<Control>, now: Timestamp) -> Result<(), store::Error> {
    let started = held.value.stage == Stage::Running;
    held.value.stage = Stage::Cancelled;
    if started {
        // Tick ends what is planned.
        return app.delivery.ledger.save_control(held, Some(now)).await;
    }
    held.value.completed_at = Some(now);
    held.value.closed = Some(Closed::default());
    app.delivery.ledger.close(held).await
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RecipientView<'a> {
    tenant_id: Option<&'a str>,
    aad_object_id: Option<&'a str>,
    user_id: Option<&'a str>,
    outcome: &'static str,
    reason: Option<&'a str>,
    at: Option<Timestamp>,
    activity_id: Option<&'a str>,
}

fn recipient<'a>(tenant: &'a str, recipient: &'a Recipient) -> RecipientView<'a> {
    let (outcome, reason, at, activity_id) = match &recipient.state {
        RecipientState::Pending { reason, .. } => ("pending", reason.as_deref(), None, None),
        RecipientState::Sending { .. } => ("pending", None, None, None),
        RecipientState::Sent { at, activity } => ("sent", None, Some(*at), activity.as_deref()),
        RecipientState::Skipped { at, reason } => ("skipped", Some(reason.name()), Some(*at), None),
        RecipientState::Failed { at, reason } => ("failed", Some(reason.as_str()), Some(*at), None),
        RecipientState::Uncertain { at } => ("uncertain", None, Some(*at), None),
    };
    RecipientView {
        tenant_id: shown_tenant(tenant),
        aad_object_id: recipient.aad_object_id(),
        user_id: recipient.user_id(),
        outcome,
        reason,
        at,
        activity_id,
    }
}

async fn recipients(app: &App, id: &str, outcome: &str, request: &Request) -> Result<Answer, store::Error> {
    const OUTCOMES: [&str; 5] = ["sent", "skipped", "failed", "uncertain", "pending"];
    if !OUTCOMES.contains(&outcome) {
        let detail = "expected sent, skipped, failed, uncertain or pending";
        return Ok(Answer::field_problem(400, "Bad request", "recipients", detail));
    }
    if app.delivery.ledger.control(id).await?.is_none() {
        return Ok(unknown(id));
    }
    let (mut batches, mut next, mut found) = (Vec::new(), after(request), 0);
    for _ in 0..BATCHES {
        let (page, continuation) = app.delivery.ledger.batches(id, next.as_ref(), 2).await?;
        found += page.iter().flat_map(|batch| matching(batch, outcome)).count();
        batches.extend(page);
        next = continuation;
        if next.is_none() || found >= RECIPIENTS {
            break;
        }
    }
    let views: Vec<_> = batches.iter().flat_map(|batch| matching(batch, outcome)).collect();
    Ok(Answer::json(200, &RecipientsPage { recipients: views, continuation: next }))
}

#[derive(Serialize)]
struct RecipientsPage<'a> {
    recipients: Vec<RecipientView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    continuation: Option<Continuation>,
}

fn matching<'a>(batch: &'a Batch, outcome: &'a str) -> impl Iterator<Item = RecipientView<'a>> {
    let views = batch.recipients.iter().map(|one| recipient(&batch.tenant, one));
    views.filter(move |view| view.outcome == outcome)
}
