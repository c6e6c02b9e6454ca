//! The built-in queue of `serve`: takes messages, runs their function, as the Functions host would.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::app::App;
use crate::clock::Clock;
use crate::delivery::{Pointer, PutOut};
use crate::functions::{DELIVERIES_QUEUE, Function, Invocation, NOTIFICATIONS_QUEUE, invoke};
use crate::http::Sink;
use crate::store::embedded::{Claimed, EmbeddedQueue, Failed};

/// As in `host.json`: a batch of 8 and 4 more.
const AT_ONCE: usize = 12;
/// Nobody adds instances to `serve`, and who sends mostly waits for the turn of a tenant: so there is room for this many
/// who do, as long as no more messages than these can be under way.
const SENDING: usize = 256;
const UNDER_WAY: usize = 1280;
/// As in `host.json`.
const ATTEMPTS: u32 = 5;
/// As in `host.json`.
const AGAIN_AFTER: Duration = Duration::from_secs(15);
/// How often the queue is looked at unasked, for messages that failed and wait.
const LOOK: Duration = Duration::from_secs(1);

/// The queues and the bell that says there is something in them.
#[derive(Debug, Clone)]
pub(super) struct Queues {
    queue: EmbeddedQueue,
    bell: Arc<Notify>,
    clock: Arc<dyn Clock>,
}

impl Queues {
    pub(super) fn new(queue: EmbeddedQueue, clock: Arc<dyn Clock>) -> Self {
        Self { queue, bell: Arc::default(), clock }
    }
}

#[async_trait]
impl Sink for Queues {
    async fn put(&self, put_out: PutOut) {
        let to = |queue: &'static str| move |pointer: &Pointer| (queue.to_owned(), pointer.text());
        let notifications = put_out.notifications.iter().map(to(NOTIFICATIONS_QUEUE));
        let messages = notifications.chain(put_out.deliveries.iter().map(to(DELIVERIES_QUEUE))).collect();
        match self.queue.put(messages).await {
            Ok(()) => self.bell.notify_waiters(),
            Err(failure) => error!(%failure, "messages could not be put into the queue; Tick finds their work"),
        }
    }
}

/// How many messages of a function are worked on at once, with windows of so many sends.
fn at_once(function: Function, window: usize) -> usize {
    if function == Function::DeliverBatch { (UNDER_WAY / window.max(1)).clamp(AT_ONCE, SENDING) } else { AT_ONCE }
}

/// Works on one queue until `closing`.
pub(super) async fn run(app: App, function: Function, name: &'static str, queues: Queues, closing: CancellationToken) {
    let room = Arc::new(Semaphore::new(at_once(function, app.delivery.governor.window())));
    loop {
        let permit = tokio::select! {
            permit = Arc::clone(&room).acquire_owned() => permit,
            () = closing.cancelled() => return,
        };
        // Listening before looking: a message that comes in between rings.
        let rung = queues.bell.notified();
        let claimed = match queues.queue.claim(name, queues.clock.now()).await {
            Ok(claimed) => claimed,
            Err(failure) => {
                warn!(queue = name, %failure, "the queue does not answer");
                None
            }
        };
        match claimed {
            Some(message) if !closing.is_cancelled() => {
                let (app, queues) = (app.clone(), queues.clone());
                let tasks = app.tasks.clone();
                tasks.spawn(async move {
                    work(&app, function, name, &queues, message).await;
                    drop(permit);
                });
            }
            // What was taken at the last moment is free again with the next start.
            Some(_) => return,
            None => tokio::select! {
                () = rung => {}
                () = tokio::time::sleep(LOOK) => {}
                () = closing.cancelled() => return,
            },
        }
    }
}

async fn work(app: &App, function: Function, name: &str, queues: &Queues, message: Claimed) {
    let Claimed { id, body, attempts } = message;
    let settled = match invoke(app, function, &Invocation::Message(body)).await {
        Ok(put_out) => {
            // First what comes of it: a message that is worked on twice does nothing the second time.
            if !put_out.is_empty() {
                queues.put(put_out).await;
            }
            queues.queue.done(id).await
        }
        Err(_) if attempts >= ATTEMPTS => {
            error!(queue = name, attempts, "a message keeps failing and is put aside as poison");
            queues.queue.failed(id, Failed::Poison).await
        }
        Err(_) => queues.queue.failed(id, Failed::VisibleAt(queues.clock.now() + AGAIN_AFTER)).await,
    };
    if let Err(failure) = settled {
        warn!(queue = name, %failure, "a message could not be settled; it comes back with the next start");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_more_tenants_the_less_each_of_them_sends() {
        let room = |window| at_once(Function::DeliverBatch, window);
        assert_eq!((room(1), room(10), room(100)), (256, 128, 12));
        assert_eq!(at_once(Function::RunNotification, 10), 12);
    }
}
