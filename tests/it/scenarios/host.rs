//! The Functions host of a scenario: instances with slots, one queue for all, one timer. As the real one, it loses,
//! repeats and drops as it is told, and when an instance dies, the messages that it had do not come back in time.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use herald::app::App;
use herald::delivery::{Pointer, PutOut};
use herald::store::{Error, budget};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::file::Host;

/// How often the queue is looked at when it was empty: `maxPollingInterval`, and half of it on average.
const POLL: Duration = Duration::from_secs(1);
/// The one timer of all instances.
pub const TICK: Duration = Duration::from_secs(15);
const INVISIBLE: Duration = Duration::from_secs(15);
const MAX_DEQUEUE_COUNT: u32 = 5;

#[derive(Debug, Clone)]
struct Message {
    pointer: Pointer,
    dequeued: u32,
    visible: tokio::time::Instant,
}

#[derive(Debug, Default)]
struct Shared {
    queue: VecDeque<Message>,
    lost: HashSet<String>,
    invocations: usize,
    longest: usize,
    poison: Vec<Pointer>,
}

/// The queue and what happens to it.
#[derive(Debug)]
pub struct Queue {
    says: Host,
    shared: Mutex<Shared>,
}

impl Queue {
    pub fn new(says: Host) -> Arc<Self> {
        Arc::new(Self { says, shared: Mutex::default() })
    }

    /// What an invocation put out, unless it is dropped.
    fn put_by_an_invocation(&self, put_out: PutOut) {
        let is_dropped = {
            let mut shared = self.shared.lock().unwrap();
            shared.invocations += usize::from(put_out != PutOut::default());
            let dropped = self.says.drops_outputs_of_each;
            put_out != PutOut::default() && dropped.is_some_and(|each| shared.invocations.is_multiple_of(each))
        };
        if !is_dropped {
            self.put(put_out);
        }
    }

    pub fn put(&self, put_out: PutOut) {
        let mut shared = self.shared.lock().unwrap();
        for pointer in put_out.notifications.into_iter().chain(put_out.deliveries) {
            if self.says.loses_each_once && shared.lost.insert(pointer.text()) {
                continue;
            }
            for _ in 0..self.says.copies {
                let visible = tokio::time::Instant::now();
                shared.queue.push_back(Message { pointer: pointer.clone(), dequeued: 0, visible });
            }
        }
        let deliveries = shared.queue.iter().filter(|message| message.pointer.batch.is_some()).count();
        shared.longest = shared.longest.max(deliveries);
    }

    fn take(&self) -> Option<Message> {
        let now = tokio::time::Instant::now();
        let mut shared = self.shared.lock().unwrap();
        let place = shared.queue.iter().position(|message| message.visible <= now)?;
        shared.queue.remove(place)
    }

    fn failed(&self, mut message: Message) {
        let mut shared = self.shared.lock().unwrap();
        message.dequeued += 1;
        message.visible = tokio::time::Instant::now() + INVISIBLE;
        if message.dequeued >= MAX_DEQUEUE_COUNT {
            shared.poison.push(message.pointer);
        } else {
            shared.queue.push_back(message);
        }
    }

    /// The most messages to `DeliverBatch` that ever were in it.
    pub fn longest(&self) -> usize {
        self.shared.lock().unwrap().longest
    }
}

/// An instance; it dies with its handle.
pub struct Instance {
    pub app: App,
    work: JoinSet<()>,
}

impl Instance {
    pub fn start(app: App, queue: &Arc<Queue>) -> Self {
        let mut work = JoinSet::new();
        work.spawn(pump(app.clone(), Arc::clone(queue)));
        Self { app, work }
    }

    /// Gone, with everything that it was doing.
    pub fn kill(&mut self) {
        self.work.abort_all();
    }

    pub fn tick(&mut self, queue: &Arc<Queue>) {
        let (app, queue) = (self.app.clone(), Arc::clone(queue));
        self.work.spawn(async move {
            if let Ok(put_out) = app.delivery.tick().await {
                queue.put_by_an_invocation(put_out);
            }
        });
    }
}

async fn pump(app: App, queue: Arc<Queue>) {
    let slots = Arc::new(Semaphore::new(queue.says.slots));
    let mut work = JoinSet::new();
    loop {
        let slot = Arc::clone(&slots).acquire_owned().await.unwrap();
        while work.try_join_next().is_some() {}
        let Some(message) = queue.take() else {
            tokio::time::sleep(POLL).await;
            continue;
        };
        let (app, queue) = (app.clone(), Arc::clone(&queue));
        work.spawn(async move {
            match invoke(&app, &message.pointer).await {
                Ok(put_out) => queue.put_by_an_invocation(put_out),
                Err(_) => queue.failed(message),
            }
            drop(slot);
        });
    }
}

async fn invoke(app: &App, pointer: &Pointer) -> Result<PutOut, Error> {
    budget::within(Duration::from_secs(270), async {
        match &pointer.batch {
            Some(_) => app.delivery.deliver(pointer).await,
            None => app.delivery.run(pointer).await,
        }
    })
    .await
}
