//! `herald host`: the custom handler that the Functions host starts.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{DRAIN, Failure, opening, signals};
use crate::app::App;
use crate::chance::SystemChance;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Role, Source, StoreConfig, parse};
use crate::http::{Edge, Limits, Mode, listen, serve};
use crate::store::Store;
use crate::store::embedded::{Embedded, OpenError};
use crate::telemetry::{self, Stream};

/// The variable by which the Functions host says where to listen.
const PORT: &str = "FUNCTIONS_CUSTOMHANDLER_PORT";
/// After this the Functions host starts the process anew and does not count it as a crash; after 0 it never would.
const START_ME_AGAIN: u8 = 200;
/// How long a data directory that another process still holds is waited for. The host gives a start thirty seconds.
const WAIT: Duration = Duration::from_secs(25);
const LOOK: Duration = Duration::from_millis(250);

/// Runs until the Functions host is done with it.
///
/// # Errors
/// When it cannot start: the Functions host shows the reason and tries again.
pub async fn run(source: &dyn Source) -> Result<ExitCode, Failure> {
    let parent = signals::parent();
    let address = address(source)?;
    let config = parse(source, Role::Host)?;
    opening::bot(&config)?;
    telemetry::start(&config.log, Stream::Stdout);
    let mut endings = signals::Endings::watch().map_err(|error| Failure::Other(error.to_string()))?;
    let closing = CancellationToken::new();
    let slot = Arc::new(OnceLock::new());
    // First of all the host must find somebody here; the store may take its time.
    let listener = listen(address).await?;
    let edge = Edge::new(Mode::Host, Arc::clone(&slot));
    let server = tokio::spawn(serve(listener, edge, Limits::HOST, closing.clone()));
    info!(%address, "herald host");
    opening::say_who_is_believed(&config);
    let work = async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        // Kept: with it goes the lock on the directory.
        let (store, _embedded) = open(&config, &clock).await?;
        let made = App::new(&config, store, clock, Arc::new(SystemChance), closing.clone());
        let app = made.map_err(Failure::Other)?;
        let trust = Arc::clone(&app.trust);
        let _ = slot.set(app);
        trust.keep_keys(closing.clone()).await;
        std::future::pending::<Result<(), Failure>>().await
    };
    tokio::select! {
        failed = work => failed?,
        () = endings.asked_to_end() => {}
        () = signals::orphaned(parent) => warn!("the Functions host is gone"),
    }
    info!("ending: no new work, what is in flight is finished");
    closing.cancel();
    let ended = async {
        let _ = server.await;
        if let Some(app) = slot.get() {
            app.tasks.close();
            app.tasks.wait().await;
        }
    };
    if tokio::time::timeout(DRAIN, ended).await.is_err() {
        warn!("not everything was finished in time; it goes on with the next start");
    }
    Ok(ExitCode::from(START_ME_AGAIN))
}

fn address(source: &dyn Source) -> Result<SocketAddr, Failure> {
    let missing = || {
        Failure::Usage(format!(
            "{PORT} is not set: `herald host` is started by the Functions host; on its own machine it is `herald serve`"
        ))
    };
    let text = source.get(PORT).ok_or_else(missing)?;
    let port = text.trim().parse::<u16>().map_err(|_| Failure::Usage(format!("{PORT} is not a port")))?;
    Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

/// The store, however long it takes: the embedded one comes with what must live as long.
async fn open(config: &Config, clock: &Arc<dyn Clock>) -> Result<(Arc<dyn Store>, Option<Embedded>), Failure> {
    match &config.store {
        StoreConfig::Embedded => {
            let embedded = open_embedded(config).await?;
            Ok((Arc::new(embedded.store()), Some(embedded)))
        }
        StoreConfig::Cosmos(cosmos) => {
            let account = opening::account(cosmos, clock)?;
            Ok((opening::cosmos(&account, Arc::clone(clock)).await, None))
        }
    }
}

/// Three quick exits would end the Functions host: a directory that is still held is waited for.
async fn open_embedded(config: &Config) -> Result<Embedded, Failure> {
    let give_up = tokio::time::Instant::now() + WAIT;
    loop {
        match Embedded::open(Path::new(&config.data_dir)) {
            Ok(embedded) => return Ok(embedded),
            Err(OpenError::InUse(_)) if tokio::time::Instant::now() < give_up => tokio::time::sleep(LOOK).await,
            Err(failure) => {
                error!(%failure, "the store cannot be opened");
                return Err(failure.into());
            }
        }
    }
}
