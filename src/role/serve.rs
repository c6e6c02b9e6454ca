//! `herald serve`: all functions without a Functions host.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::pump::{self, Queues};
use super::{DRAIN, Failure, signals, terminal, timer};
use crate::app::App;
use crate::chance::SystemChance;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Role, Source, parse};
use crate::functions::{DELIVERIES_QUEUE, Function, NOTIFICATIONS_QUEUE};
use crate::http::{Edge, Gate, Mode, Sink, listen, serve};
use crate::store::embedded::Embedded;
use crate::telemetry::{self, Stream};

/// A Herald that runs in this process.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// What its functions work with.
    pub app: App,
    closing: CancellationToken,
    background: TaskTracker,
    server: JoinHandle<std::io::Result<()>>,
    embedded: Embedded,
}

impl Running {
    /// No new work; what is in flight is finished, for at most 15 seconds. True when all of it was.
    pub async fn stop(self) -> bool {
        self.closing.cancel();
        self.background.close();
        self.app.tasks.close();
        let ended = async {
            let _ = self.server.await;
            self.background.wait().await;
            self.app.tasks.wait().await;
        };
        let all = tokio::time::timeout(DRAIN, ended).await.is_ok();
        self.embedded.close();
        all
    }
}

/// Starts, with everything that the settings say.
///
/// # Errors
/// When the data directory or the address cannot be had.
pub async fn start(config: &Config, clock: Arc<dyn Clock>) -> Result<Running, Failure> {
    let embedded = Embedded::open(&config.data_dir)?;
    let listener = listen(config.listen).await?;
    let address = listener.local_addr().map_err(|error| Failure::Other(error.to_string()))?;
    let closing = CancellationToken::new();
    let store = Arc::new(embedded.store());
    let chance = Arc::new(SystemChance);
    let app = App::new(config, store, Arc::clone(&clock), chance, closing.clone()).map_err(Failure::Other)?;
    let queues = Queues::new(embedded.queue(), clock);
    let sink: Arc<dyn Sink> = Arc::new(queues.clone());
    let gate = config.api_key.clone().map_or(Gate::Open, Gate::Key);
    let edge = Edge::new(Mode::Serve { gate, sink: Arc::clone(&sink) }, Arc::new(OnceLock::from(app.clone())));
    let background = TaskTracker::new();
    for (function, name) in
        [(Function::RunNotification, NOTIFICATIONS_QUEUE), (Function::DeliverBatch, DELIVERIES_QUEUE)]
    {
        background.spawn(pump::run(app.clone(), function, name, queues.clone(), closing.clone()));
    }
    background.spawn(timer::run(app.clone(), config.schedule.clone(), sink, closing.clone()));
    let server = tokio::spawn(serve(listener, edge, closing.clone()));
    Ok(Running { address, app, closing, background, server, embedded })
}

/// Runs until it is asked to end.
///
/// # Errors
/// When it cannot start.
pub async fn run(source: &dyn Source) -> Result<(), Failure> {
    let config = parse(source, Role::Serve)?;
    telemetry::start(&config.log, Stream::Stderr);
    let mut endings = signals::Endings::watch().map_err(|error| Failure::Other(error.to_string()))?;
    let running = start(&config, Arc::new(SystemClock)).await?;
    // On stdout, for people and for scripts that asked for port 0.
    terminal::print(&format!("listening on http://{}", running.address));
    info!(address = %running.address, data = %config.data_dir.display(), "herald serve");
    endings.asked_to_end().await;
    info!("asked to end: no new work, what is in flight is finished");
    if !running.stop().await {
        warn!("not everything was finished in time; it goes on with the next start");
    }
    Ok(())
}
