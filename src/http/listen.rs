//! Binding a port and serving on it until the process ends.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Edge;

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

async fn handle(State(edge): State<Edge>, ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request) -> Response {
    edge.respond(request, peer.ip()).await
}

/// Serves until `closing`; requests that are under way are finished.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, edge: Edge, closing: CancellationToken) -> std::io::Result<()> {
    let router = Router::new().fallback(handle).with_state(edge);
    let router = router.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, router).with_graceful_shutdown(closing.cancelled_owned()).await
}
