//! Binding a port and serving on it until the process ends. `axum::serve` has no limits, so connections are accepted
//! here: HTTP/1.1 only, so many at a time, and nobody takes as long as they like.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::Edge;

/// More of a request's head is answered 431: 16 KiB of token, and room for the rest.
const HEAD: usize = 64 * 1024;
/// After an accept that failed, as when there are no file descriptors left.
const BREATH: Duration = Duration::from_millis(100);
const IDLE: Duration = Duration::from_secs(5);
/// How long whoever has only begun to ask is waited for at the end.
const BEGUN: Duration = Duration::from_millis(500);

/// What one listener bears.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at a time; others wait.
    pub connections: usize,
    /// How long a request's head may take, and how long a connection may be idle: longer than what usually stands before
    /// a server keeps its own, so that no request meets a connection that just ends.
    pub head: Option<Duration>,
    /// Where places are rare, a connection that nobody uses is ended after this.
    pub idle: Duration,
}

impl Limits {
    /// For anybody: half of the file descriptors that a process usually has.
    pub const ANYBODY: Self = Self { connections: 512, head: Some(Duration::from_secs(75)), idle: IDLE };
    /// For the Functions host, which keeps its connections.
    pub const HOST: Self = Self { connections: 4096, head: None, idle: IDLE };
}

/// Why an address cannot be listened on.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Somebody else does.
    #[error("{0} is taken by another program: end it, or choose another address")]
    Taken(SocketAddr),
    /// Anything else.
    #[error("cannot listen on {address}: {source}")]
    Refused {
        /// Which one.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Takes an address; port 0 is any free one.
///
/// # Errors
/// [`ListenError`].
pub async fn listen(address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|source| {
        if source.kind() == std::io::ErrorKind::AddrInUse {
            ListenError::Taken(address)
        } else {
            ListenError::Refused { address, source }
        }
    })
}

/// Serves until `closing`; requests that are under way are finished.
pub async fn serve(listener: TcpListener, edge: Edge, limits: Limits, closing: CancellationToken) {
    let (places, connections) = (Arc::new(Semaphore::new(limits.connections)), TaskTracker::new());
    let crowd = Arc::new(Notify::new());
    let accepting = async {
        loop {
            let Some(place) = place(&places, &crowd).await else { return };
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(BREATH).await;
                    continue;
                }
            };
            let connection = Connection { peer, edge: edge.clone(), limits, crowd: Arc::clone(&crowd) };
            let conversation = connection.converse(stream, closing.clone());
            connections.spawn(async move {
                conversation.await;
                drop(place);
            });
        }
    };
    closing.run_until_cancelled(accepting).await;
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// A place for a connection. While there is none, those that nobody uses are ended.
async fn place(places: &Arc<Semaphore>, crowd: &Notify) -> Option<OwnedSemaphorePermit> {
    let mut free = pin!(Arc::clone(places).acquire_owned());
    loop {
        tokio::select! {
            biased;
            place = free.as_mut() => return place.ok(),
            () = tokio::time::sleep(BEGUN) => crowd.notify_waiters(),
        }
    }
}

struct Connection {
    peer: SocketAddr,
    edge: Edge,
    limits: Limits,
    crowd: Arc<Notify>,
}

/// What a connection is doing: requests under way, and since when there is none.
struct Use {
    under_way: AtomicUsize,
    since: Mutex<Instant>,
}

impl Use {
    fn end_one(&self) {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }

    fn is_idle(&self, after: Duration) -> bool {
        let since = *self.since.lock().unwrap_or_else(PoisonError::into_inner);
        self.under_way.load(Ordering::Relaxed) == 0 && since.elapsed() >= after
    }
}

impl Connection {
    /// To its end. A connection that breaks is the other side's affair; what it asked for goes on.
    async fn converse(self, stream: TcpStream, closing: CancellationToken) {
        let used = Use { under_way: AtomicUsize::new(0), since: Mutex::new(Instant::now()) };
        let service = service_fn(|request: hyper::Request<Incoming>| {
            let edge = self.edge.clone();
            used.under_way.fetch_add(1, Ordering::Relaxed);
            let used = &used;
            async move {
                let response = edge.respond(request.map(Body::new), self.peer.ip()).await;
                used.end_one();
                Ok::<_, Infallible>(response)
            }
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(self.limits.head).max_buf_size(HEAD);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        loop {
            tokio::select! {
                _ = connection.as_mut() => return,
                () = closing.cancelled() => break,
                () = self.crowd.notified() => if used.is_idle(self.limits.idle) { break },
            }
        }
        connection.as_mut().graceful_shutdown();
        loop {
            tokio::select! {
                _ = connection.as_mut() => return,
                () = tokio::time::sleep(BEGUN) => if used.under_way.load(Ordering::Relaxed) == 0 { return },
            }
        }
    }
}
