//! HTTP/1.1 as far as measurements need it, so cheap that whoever asks is not what is measured.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection that is kept.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, read: Vec::with_capacity(8 * 1024) })
    }

    /// One that was accepted.
    pub fn accepted(stream: TcpStream) -> Self {
        Self { stream, read: Vec::with_capacity(8 * 1024) }
    }

    /// Writes what is to be said, whole.
    pub async fn say(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Reads one message to its end: head and body. None when the other side is done.
    pub async fn hear(&mut self) -> std::io::Result<Option<(String, Vec<u8>)>> {
        loop {
            if let Some((head, whole)) = measure(&self.read)
                && self.read.len() >= whole
            {
                let text = String::from_utf8_lossy(&self.read[..head]).into_owned();
                let body = self.read[head + 4..whole].to_vec();
                self.read.drain(..whole);
                return Ok(Some((text, body)));
            }
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Says something and hears the status and body of the answer.
    pub async fn ask(&mut self, bytes: &[u8]) -> std::io::Result<(u16, Vec<u8>)> {
        self.say(bytes).await?;
        let (head, body) = self.hear().await?.ok_or(std::io::ErrorKind::UnexpectedEof)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        Ok((status, body))
    }
}

/// Where the head of a message ends, and the whole message, once the head is there.
fn measure(bytes: &[u8]) -> Option<(usize, usize)> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let mut lines = bytes[..head].split(|byte| *byte == b'\n');
    let length = lines.find_map(|line| {
        let (name, value) = line.split_at_checked(15)?;
        name.eq_ignore_ascii_case(b"content-length:").then(|| std::str::from_utf8(value).ok()?.trim().parse().ok())?
    });
    Some((head, head + 4 + length.unwrap_or(0_usize)))
}

/// Asks once for what stands at a path; the status and the body.
pub async fn get(connection: &mut Connection, path: &str, key: &str) -> (u16, serde_json::Value) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nx-functions-key: {key}\r\n\r\n");
    let (status, body) = connection.ask(request.as_bytes()).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}
