//! Where the bot's replies go: somebody who takes every one of them, as Teams does, at the least price.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Connection;

const TAKEN: &[u8] =
    b"HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{\"id\":\"1\"}";

/// A Teams that says yes.
#[derive(Debug, Clone)]
pub struct Teams {
    /// Where it listens.
    pub address: SocketAddr,
    taken: Arc<AtomicUsize>,
}

impl Teams {
    /// Starts on a free port; it answers as long as the bench's runtime runs.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let teams = Self { address: listener.local_addr().unwrap(), taken: Arc::default() };
        let taken = Arc::clone(&teams.taken);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(take(Connection::accepted(stream), Arc::clone(&taken)));
            }
        });
        teams
    }

    /// As activities name it.
    pub fn service_url(&self) -> String {
        format!("http://{}/teams/", self.address)
    }

    /// How many messages came.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

async fn take(mut connection: Connection, taken: Arc<AtomicUsize>) {
    while let Ok(Some(_)) = connection.hear().await {
        taken.fetch_add(1, Ordering::Relaxed);
        if connection.say(TAKEN).await.is_err() {
            return;
        }
    }
}
