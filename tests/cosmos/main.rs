//! `cosmos_emulator [--port N] [--throughput N]`: a Cosmos DB account in memory behind a port on loopback, for runs of
//! the whole program. Says on stdout where it listens; whoever starts it ends it.

#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used, clippy::expect_used)]

mod emulator;

use std::sync::Arc;

use emulator::Fault;

#[tokio::main]
async fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    let number = |name: &str| {
        let place = arguments.iter().position(|argument| argument == name)?;
        Some(arguments.get(place + 1).and_then(|text| text.parse::<u32>().ok()).expect("a number"))
    };
    let port = number("--port").map_or(0, |port| u16::try_from(port).expect("a port"));
    let served =
        emulator::Served::start(port, number("--throughput"), Arc::new(|_| Fault::None)).await.expect("a free port");
    println!("listening on {}", served.endpoint());
    std::future::pending::<()>().await;
}
