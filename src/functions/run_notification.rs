//! `RunNotification`: goes on with a notification from where the store says it stands.

use super::Failure;
use crate::app::App;
use crate::delivery::{Pointer, PutOut};

/// Takes a queue message.
pub(super) async fn run(app: &App, message: &str) -> Result<PutOut, Failure> {
    let pointer = Pointer::read(message)?;
    Ok(app.delivery.run(&pointer).await?)
}
