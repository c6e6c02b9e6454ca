//! Who sends activities: so many connections, each with one request under way, for so long.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::LocalSet;
use tokio::time::Instant;

use super::{Activities, Connection, Latencies};

/// How much is asked.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Connections, each with one request under way.
    pub connections: usize,
    /// For so long; what is under way then is waited for.
    pub time: Duration,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How long each answer took.
    pub latencies: Latencies,
    /// Answers that were no 200. Anything but zero makes the measurement one of errors.
    pub refused: usize,
    /// How long it all took.
    pub time: Duration,
}

impl Outcome {
    /// Answers in a second.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub fn rate(&self) -> f64 {
        self.latencies.count() as f64 / self.time.as_secs_f64()
    }
}

/// Sends activities to an address. Everything runs on this thread: no locks, and no core but the bench's own.
pub async fn run(address: SocketAddr, load: Load, activities: &Rc<RefCell<Activities>>) -> Outcome {
    let local = LocalSet::new();
    let began = Instant::now();
    let end = began + load.time;
    let senders: Vec<_> =
        (0..load.connections).map(|_| local.spawn_local(send(address, end, Rc::clone(activities)))).collect();
    local.await;
    let mut all = Outcome { time: began.elapsed(), ..Outcome::default() };
    for sender in senders {
        let (latencies, refused) = sender.await.unwrap();
        all.latencies.absorb(latencies);
        all.refused += refused;
    }
    all
}

async fn send(address: SocketAddr, end: Instant, activities: Rc<RefCell<Activities>>) -> (Latencies, usize) {
    let mut connection = Connection::open(address).await.unwrap();
    let (mut latencies, mut refused, mut request) = (Latencies::default(), 0, Vec::new());
    while Instant::now() < end {
        let (who, at) = activities.borrow_mut().next(&mut request);
        let began = Instant::now();
        let (status, _) = connection.ask(&request).await.unwrap();
        latencies.note(began.elapsed());
        if status == 200 {
            activities.borrow_mut().answered(who, at);
        } else {
            refused += 1;
        }
    }
    (latencies, refused)
}
