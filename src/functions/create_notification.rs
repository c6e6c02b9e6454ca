//! `POST /api/notifications`: stores a notification and starts it. The id is the idempotency key.

use tracing::info;

use super::{Answer, Request};
use crate::app::App;
use crate::delivery::{Pointer, PutOut};
use crate::notifications::{Control, Posted, Problem, check, read, status};
use crate::store;

/// Answers, and says what to put into the queue.
pub(super) async fn run(app: &App, request: &Request) -> (Answer, PutOut) {
    match accept(app, request).await {
        Ok(accepted) => accepted,
        Err(Refusal::Answer(answer)) => (*answer, PutOut::default()),
        Err(Refusal::Store(error)) => (Answer::store_failed(&error), PutOut::default()),
    }
}

enum Refusal {
    Answer(Box<Answer>),
    Store(store::Error),
}

impl From<store::Error> for Refusal {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

impl From<Answer> for Refusal {
    fn from(answer: Answer) -> Self {
        Self::Answer(Box::new(answer))
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        let (status, title) = match &problem {
            Problem::Malformed { .. } => (400, "Not a notification"),
            Problem::Invalid { .. } => (422, "Not a notification that can be sent"),
        };
        let detail = problem.to_string();
        match problem.field() {
            Some(field) => Answer::field_problem(status, title, field, &detail).into(),
            None => Answer::problem(status, title, &detail).into(),
        }
    }
}

async fn accept(app: &App, request: &Request) -> Result<(Answer, PutOut), Refusal> {
    let body = request.body.as_deref().filter(|body| !body.is_empty()).ok_or_else(|| without_body(request))?;
    let mut posted = read(body)?;
    let id = posted.id.clone().unwrap_or_else(|| app.delivery.chance.id());
    posted.id = Some(id.clone());
    // Asked for again, a notification is answered even when its expiry has passed meanwhile.
    if let Some(answer) = known(app, &id, &posted).await? {
        return Ok((answer, PutOut::default()));
    }
    let now = app.delivery.clock.now();
    let warnings = check(&posted, now)?;
    let control = Control::new(&id, &posted, warnings, now);
    match app.delivery.ledger.create(&control, &posted).await {
        Ok(()) => {}
        Err(store::Error::Conflict) => {
            let answer = known(app, &id, &posted).await?.ok_or(store::Error::Conflict)?;
            return Ok((answer, PutOut::default()));
        }
        Err(error) => return Err(error.into()),
    }
    info!(
        notification = id,
        scheduled = control.send_at.is_some(),
        dry_run = posted.dry_run,
        "accepted a notification"
    );
    let starts = control.send_at.is_none();
    let notifications = if starts { vec![Pointer::to_notification(&id)] } else { Vec::new() };
    Ok((accepted(app, &control).await?, PutOut { notifications, deliveries: Vec::new() }))
}

fn without_body(request: &Request) -> Answer {
    let chunked = request.headers.contains_key("transfer-encoding");
    let detail = "The request arrived without a body: send it with a Content-Length, not chunked, \
                  since the Functions host passes no other body on.";
    if chunked {
        Answer::problem(411, "Length required", detail)
    } else {
        Answer::problem(400, "Not a notification", detail)
    }
}

/// The answer for an id that is taken; none when it is free.
async fn known(app: &App, id: &str, posted: &Posted) -> Result<Option<Answer>, Refusal> {
    let Some(held) = app.delivery.ledger.control(id).await? else { return Ok(None) };
    if app.delivery.ledger.request(id).await? == *posted {
        return Ok(Some(accepted(app, &held.value).await?));
    }
    let detail = "another notification has this id; the same id goes only with the same body";
    Err(Answer::field_problem(409, "Conflict", "id", detail).into())
}

async fn accepted(app: &App, control: &Control) -> Result<Answer, Refusal> {
    let figures = app.delivery.ledger.figures(control).await?;
    let status = status(control, &figures, app.delivery.clock.now());
    Ok(Answer::json(202, &status).with("Location", format!("/api/notifications/{}", control.id)))
}
