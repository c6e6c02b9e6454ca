//! Runs a function, whoever triggers it.

use std::time::Duration;

use tracing::{debug, error};

use super::{
    Answer, Failure, Function, Request, create_notification, deliver_batch, health, messages, notifications,
    run_notification, tick, users,
};
use crate::app::App;
use crate::delivery::PutOut;
use crate::store::budget;

/// How long the store may take over a request. Teams waits 15 seconds for an answer.
const REQUEST: Duration = Duration::from_secs(10);
/// How long over everything else: the Functions host ends an invocation after 5 minutes.
const INVOCATION: Duration = Duration::from_secs(270);

/// What starts a function that is no HTTP function.
#[derive(Debug, Clone)]
pub enum Invocation {
    /// A message of its queue.
    Message(String),
    /// The clock.
    Time,
}

/// Runs an HTTP function.
pub async fn serve_http(app: &App, function: Function, request: &Request) -> (Answer, PutOut) {
    budget::within(REQUEST, answer(app, function, request)).await
}

/// The refusal of a request whose caller is not believed, before its body is read.
pub async fn turn_away(app: &App, function: Function, request: &Request) -> Option<Answer> {
    match function {
        Function::Messages => messages::believe(app, request).await.err(),
        Function::CreateNotification
        | Function::Notifications
        | Function::Users
        | Function::Health
        | Function::RunNotification
        | Function::DeliverBatch
        | Function::Tick => None,
    }
}

async fn answer(app: &App, function: Function, request: &Request) -> (Answer, PutOut) {
    let alone = |answer| (answer, PutOut::default());
    match function {
        Function::Messages => alone(messages::run(app, request).await),
        Function::CreateNotification => create_notification::run(app, request).await,
        Function::Notifications => alone(notifications::run(app, request).await),
        Function::Users => alone(users::run(app, request).await),
        Function::Health => alone(health::run(app).await),
        Function::RunNotification | Function::DeliverBatch | Function::Tick => {
            alone(Answer::problem(404, "Not found", "this function is not started by requests"))
        }
    }
}

/// Runs a queue or timer function. A failure is logged here, once.
///
/// # Errors
/// [`Failure`]: the message comes back.
pub async fn invoke(app: &App, function: Function, invocation: &Invocation) -> Result<PutOut, Failure> {
    // In a task of its own, so that one that is brought down is one that failed, and whoever called goes on.
    let work = tokio::spawn(budget::within(INVOCATION, run(app.clone(), function, invocation.clone())));
    let done = work.await.unwrap_or_else(|broken| Err(Failure::Broken(broken.to_string())));
    match &done {
        Ok(put_out) => debug!(
            function = function.name(),
            notifications = put_out.notifications.len(),
            deliveries = put_out.deliveries.len(),
            "an invocation is done"
        ),
        Err(failure) => error!(function = function.name(), %failure, "an invocation failed"),
    }
    done
}

async fn run(app: App, function: Function, invocation: Invocation) -> Result<PutOut, Failure> {
    match (function, &invocation) {
        (Function::RunNotification, Invocation::Message(message)) => run_notification::run(&app, message).await,
        (Function::DeliverBatch, Invocation::Message(message)) => deliver_batch::run(&app, message).await,
        (Function::Tick, _) => tick::run(&app).await,
        (function, _) => Err(Failure::Envelope(format!("{} is not started this way", function.name()))),
    }
}
