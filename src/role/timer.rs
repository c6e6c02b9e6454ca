//! The built-in timer of `serve`.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::app::App;
use crate::clock::until;
use crate::config::Schedule;
use crate::functions::{Function, Invocation, invoke};
use crate::http::Sink;

/// Runs `Tick` once, and then by the schedule; one at a time. Ends with `closing`.
pub(super) async fn run(app: App, schedule: Schedule, sink: Arc<dyn Sink>, closing: CancellationToken) {
    loop {
        // A failure is logged by the invocation; the next tick does what this one did not.
        if let Ok(put_out) = invoke(&app, Function::Tick, &Invocation::Time).await
            && !put_out.is_empty()
        {
            sink.put(put_out).await;
        }
        let now = app.delivery.clock.now();
        let next = match schedule.0.find_next_occurrence(&now, false) {
            Ok(next) => next,
            Err(failure) => {
                error!(%failure, "HERALD_SCHEDULE has no further time: Tick runs no more");
                return;
            }
        };
        tokio::select! {
            () = tokio::time::sleep(until(now, next)) => {}
            () = closing.cancelled() => return,
        }
    }
}
