//! What strangers may do to the listener: little, and not for long.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::Body;
use herald::http::{Edge, Limits, Mode, listen, serve};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::support::{Herald, Scene};

const SOON: Duration = Duration::from_secs(5);

/// A listener that only says that it is here.
async fn listener(limits: Limits) -> (SocketAddr, CancellationToken) {
    let listener = listen(([127, 0, 0, 1], 0).into()).await.unwrap();
    let (address, closing) = (listener.local_addr().unwrap(), CancellationToken::new());
    let edge = Edge::new(Mode::Host, Arc::new(OnceLock::new()));
    tokio::spawn(serve(listener, edge, limits, closing.clone()));
    (address, closing)
}

async fn connect(address: SocketAddr, text: &str) -> TcpStream {
    let mut wire = TcpStream::connect(address).await.unwrap();
    wire.write_all(text.as_bytes()).await.unwrap();
    wire
}

/// What comes until the other side closes.
async fn rest(wire: &mut TcpStream) -> String {
    let mut text = Vec::new();
    tokio::time::timeout(SOON, wire.read_to_end(&mut text)).await.expect("an end").unwrap_or_default();
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn whoever_says_nothing_is_not_waited_for() {
    let head = Some(Duration::from_millis(200));
    let (address, _closing) = listener(Limits { connections: 2, head, ..Limits::ANYBODY }).await;
    let mut silent = connect(address, "").await;
    let mut slow = connect(address, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow").await;
    // Both places are taken; the third is answered when they are free again.
    let mut third = connect(address, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(rest(&mut third).await.starts_with("HTTP/1.1 200"));
    assert_eq!(rest(&mut silent).await, "");
    assert!(!rest(&mut slow).await.contains("200"));
}

#[tokio::test]
async fn whoever_never_reads_makes_room_for_others() {
    let (address, _closing) = listener(Limits { connections: 8, head: None, idle: Duration::from_millis(100) }).await;
    let ask = "GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2000);
    let mut deaf = Vec::new();
    for _ in 0..8 {
        let mut wire = TcpStream::connect(address).await.unwrap();
        let _ = tokio::time::timeout(Duration::from_millis(50), wire.write_all(ask.as_bytes())).await;
        deaf.push(wire);
    }
    let mut ninth = connect(address, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    let mut text = Vec::new();
    let read = tokio::time::timeout(SOON, ninth.read_to_end(&mut text)).await;
    assert!(read.is_ok() && text.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&text));
}

#[tokio::test]
async fn in_the_functions_host_nobody_else_is_answered() {
    let edge = Edge::new(Mode::Host, Arc::new(OnceLock::new()));
    let ask = async |path: &str, peer: [u8; 4]| {
        let request = axum::extract::Request::builder().method("POST").uri(path).body(Body::empty()).unwrap();
        edge.clone().respond(request, peer.into()).await.status().as_u16()
    };
    for path in ["/api/notifications", "/api/users", "/api/messages", "/CreateNotification", "/Tick"] {
        assert_eq!(ask(path, [10, 0, 0, 5]).await, 403, "{path}");
    }
    assert_eq!(ask("/", [10, 0, 0, 5]).await, 200, "readiness says nothing");
}

#[tokio::test]
async fn only_http_1_is_spoken() {
    let (address, _closing) = listener(Limits::ANYBODY).await;
    let mut wire = connect(address, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    assert!(!rest(&mut wire).await.contains("HTTP/2"));
}

#[tokio::test]
async fn a_strangers_body_is_not_waited_for() {
    let scene = Scene::with(&[]).await;
    let address = scene.herald.running.as_ref().unwrap().address;
    let head = "POST /api/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\nConnection: close\r\n\r\n{";
    let mut wire = connect(address, head).await;
    assert!(rest(&mut wire).await.starts_with("HTTP/1.1 401"));
}

#[tokio::test]
async fn what_was_only_begun_does_not_hold_up_the_end() {
    let mut scene = Scene::with(&[]).await;
    let address = scene.herald.running.as_ref().unwrap().address;
    let _idle = connect(address, "").await;
    let _head = connect(address, "POST /api/messages HTTP/1.1\r\nHost: x\r\n").await;
    let token = scene.token();
    let body = format!(
        "POST /api/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: 9000\r\nExpect: 100-continue\r\n\r\n"
    );
    let mut body = connect(address, &body).await;
    let mut begun = [0; 25];
    body.read_exact(&mut begun).await.unwrap();
    assert_eq!(&begun, b"HTTP/1.1 100 Continue\r\n\r\n");
    tokio::time::timeout(SOON, scene.herald.stop()).await.expect("an end within 5 s");
    assert!(rest(&mut body).await.starts_with("HTTP/1.1 503"));
}

#[tokio::test]
async fn a_web_page_cannot_drive_what_is_open_on_this_machine() {
    let herald = Herald::start().await;
    let port = herald.running.as_ref().unwrap().address.port();
    let ask = async |headers: &[(&str, &str)]| {
        let mut request = herald.http.get(herald.url("/api/users"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap().status().as_u16()
    };
    let (named, own) = (format!("localhost:{port}"), format!("http://127.0.0.1:{port}"));
    assert_eq!(ask(&[]).await, 200);
    assert_eq!(ask(&[("host", &named), ("origin", &own)]).await, 200);
    assert_eq!(ask(&[("origin", "https://evil.example")]).await, 403);
    assert_eq!(ask(&[("origin", "null")]).await, 403);
    assert_eq!(ask(&[("host", "rebound.example")]).await, 403);
    let posted = herald.http.post(herald.url("/api/notifications")).header("origin", "https://evil.example");
    let body = json!({"content": {"text": "x"}, "audience": {"all": true}});
    assert_eq!(posted.json(&body).send().await.unwrap().status(), 403);
    // A key for the operators guards nothing of the bot endpoint.
    let half = Herald::with(&[("HERALD_API_KEY", "right")]).await;
    let posted = half.http.post(half.url("/api/messages")).header("origin", "https://evil.example");
    assert_eq!(posted.json(&crate::support::install(&half.teams, "ana")).send().await.unwrap().status(), 403);
    // Whoever has a key is nobody's page.
    let guarded = Herald::with(&[("HERALD_API_KEY", "right")]).await;
    let asked = guarded.http.get(guarded.url("/api/users?code=right")).header("host", "herald.example");
    assert_eq!(asked.send().await.unwrap().status(), 200);
}
