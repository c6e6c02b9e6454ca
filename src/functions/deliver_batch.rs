//! `DeliverBatch`: sends what is left of one batch.

use super::Failure;
use crate::app::App;
use crate::delivery::{Pointer, PutOut};

/// Takes a queue message.
pub(super) async fn run(app: &App, message: &str) -> Result<PutOut, Failure> {
    let pointer = Pointer::read(message)?;
    Ok(app.delivery.deliver(&pointer).await?)
}
