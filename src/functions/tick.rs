//! `Tick`: looks for everything that is due. It takes no input.

use super::Failure;
use crate::app::App;
use crate::delivery::PutOut;

/// Runs once.
pub(super) async fn run(app: &App) -> Result<PutOut, Failure> {
    Ok(app.delivery.tick().await?)
}
