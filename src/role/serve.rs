//! `herald serve`: all functions without a Functions host.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use super::pump::{self, Queues};
use super::{DRAIN, Failure, opening, signals, terminal, timer};
use crate::app::App;
use crate::chance::SystemChance;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Role, Source, StoreConfig, parse};
use crate::functions::{DELIVERIES_QUEUE, Function, NOTIFICATIONS_QUEUE};
use crate::http::{Edge, Gate, Limits, Mode, Sink, listen, serve};
use crate::store::Store;
use crate::store::embedded::Embedded;
use crate::telemetry::{self, Stream};

/// A Herald that runs in this process.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    slot: Arc<OnceLock<App>>,
    closing: CancellationToken,
    background: TaskTracker,
    server: JoinHandle<()>,
    embedded: Embedded,
}

impl Running {
    /// What its functions work with, once the store is there.
    #[must_use]
    pub fn app(&self) -> Option<&App> {
        self.slot.get()
    }

    /// No new work; what is in flight is finished, for at most 15 seconds. True when all of it was.
    pub async fn stop(self) -> bool {
        self.closing.cancel();
        self.background.close();
        let ended = async {
            let _ = self.server.await;
            self.background.wait().await;
            if let Some(app) = self.slot.get() {
                app.tasks.close();
                app.tasks.wait().await;
            }
        };
        let all = tokio::time::timeout(DRAIN, ended).await.is_ok();
        self.embedded.close();
        all
    }
}

/// Starts, with everything that the settings say. The address answers at once; a store in Azure comes later.
///
/// # Errors
/// When the data directory, the address or the identity cannot be had.
pub async fn start(config: &Config, clock: Arc<dyn Clock>) -> Result<Running, Failure> {
    opening::bot(config)?;
    opening::say_who_is_believed(config);
    let account = match &config.store {
        StoreConfig::Embedded => None,
        StoreConfig::Cosmos(cosmos) => Some(opening::account(cosmos, &clock)?),
    };
    let embedded = Embedded::open(&config.data_dir)?;
    let listener = listen(config.listen).await?;
    let address = listener.local_addr().map_err(|error| Failure::Other(error.to_string()))?;
    let closing = CancellationToken::new();
    let queues = Queues::new(embedded.queue(), Arc::clone(&clock));
    let sink: Arc<dyn Sink> = Arc::new(queues.clone());
    let gate = gate(config, address);
    let slot = Arc::new(OnceLock::new());
    let edge = Edge::new(Mode::Serve { gate, sink: Arc::clone(&sink) }, Arc::clone(&slot));
    let server = tokio::spawn(serve(listener, edge, Limits::ANYBODY, closing.clone()));
    let background = TaskTracker::new();
    let work = Work {
        config: config.clone(),
        clock,
        queues,
        sink,
        slot: Arc::clone(&slot),
        background: background.clone(),
        closing: closing.clone(),
    };
    match account {
        None => work.begin(Arc::new(embedded.store()))?,
        Some(account) => {
            background.spawn(async move {
                let opening = opening::cosmos(&account, Arc::clone(&work.clock));
                let Some(store) = work.closing.run_until_cancelled(opening).await else { return };
                if let Err(failure) = work.begin(store) {
                    error!(%failure, "the functions cannot run");
                }
            });
        }
    }
    Ok(Running { address, slot, closing, background, server, embedded })
}

/// Without a key nobody but those on this machine, and only where nobody else is asked for a token either.
fn gate(config: &Config, address: SocketAddr) -> Gate {
    let is_open = config.trust.channel.is_none() && address.ip().is_loopback();
    match &config.api_key {
        Some(key) => Gate::Key(key.clone()),
        None if is_open && config.trust.audience.is_none() => Gate::Open,
        None => Gate::Closed,
    }
}

/// What was put out by nobody who is left: the messages of an invocation that was cut off, or of a queue that was lost
/// with its machine.
async fn resume(app: App, queues: Queues, closing: CancellationToken) {
    let looking = async {
        match app.delivery.resume().await {
            Ok(put_out) => queues.put(put_out).await,
            Err(failure) => warn!(%failure, "what lies about is left to Tick"),
        }
    };
    closing.run_until_cancelled(looking).await;
}

/// What begins once there is a store.
struct Work {
    config: Config,
    clock: Arc<dyn Clock>,
    queues: Queues,
    sink: Arc<dyn Sink>,
    slot: Arc<OnceLock<App>>,
    background: TaskTracker,
    closing: CancellationToken,
}

impl Work {
    fn begin(self, store: Arc<dyn Store>) -> Result<(), Failure> {
        let chance = Arc::new(SystemChance);
        let made = App::new(&self.config, store, self.clock, chance, self.closing.clone());
        let app = made.map_err(Failure::Other)?;
        for (function, name) in
            [(Function::RunNotification, NOTIFICATIONS_QUEUE), (Function::DeliverBatch, DELIVERIES_QUEUE)]
        {
            let pump = pump::run(app.clone(), function, name, self.queues.clone(), self.closing.clone());
            self.background.spawn(pump);
        }
        let (trust, closing) = (Arc::clone(&app.trust), self.closing.clone());
        self.background.spawn(async move { trust.keep_keys(closing).await });
        self.background.spawn(timer::run(app.clone(), self.config.schedule, self.sink, self.closing.clone()));
        self.background.spawn(resume(app.clone(), self.queues, self.closing));
        let _ = self.slot.set(app);
        Ok(())
    }
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
