//! Binding a port and serving on it until the process ends. `axum::serve` has no limits, so connections are accepted
//! here: HTTP/1.1 only, so many at a time, and nobody takes as long as they like.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::Edge;

/// More of a request's head is answered 431: 16 KiB of token, and room for the rest.
const HEAD: usize = 64 * 1024;
/// After an accept that failed, as when there are no file descriptors left.
const BREATH: Duration = Duration::from_millis(100);
/// How long whoever has only begun to ask is waited for at the end.
const BEGUN: Duration = Duration::from_millis(500);

/// What one listener bears.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at a time; others wait.
    pub connections: usize,
    /// How long a request's head may take, and how long a connection may be idle.
    pub head: Option<Duration>,
}

impl Limits {
    /// For anybody: half of the file descriptors that a process usually has.
    pub const ANYBODY: Self = Self { connections: 512, head: Some(Duration::from_secs(30)) };
    /// For the Functions host, which keeps its connections.
    pub const HOST: Self = Self { connections: 4096, head: None };
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
    let accepting = async {
        loop {
            // Never closed.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(BREATH).await;
                    continue;
                }
            };
            let connection = converse(stream, peer, edge.clone(), limits.head, closing.clone());
            connections.spawn(async move {
                connection.await;
                drop(place);
            });
        }
    };
    closing.run_until_cancelled(accepting).await;
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// One connection to its end.
async fn converse(stream: TcpStream, peer: SocketAddr, edge: Edge, head: Option<Duration>, closing: CancellationToken) {
    let under_way = AtomicUsize::new(0);
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let edge = edge.clone();
        under_way.fetch_add(1, Ordering::Relaxed);
        let under_way = &under_way;
        async move {
            let response = edge.respond(request.map(Body::new), peer.ip()).await;
            under_way.fetch_sub(1, Ordering::Relaxed);
            Ok::<_, Infallible>(response)
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(head).max_buf_size(HEAD);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    // A connection that breaks is the other side's affair; what it asked for goes on.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = closing.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            () = tokio::time::sleep(BEGUN) => if under_way.load(Ordering::Relaxed) == 0 { return },
        }
    }
}
