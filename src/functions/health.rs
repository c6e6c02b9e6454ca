//! `GET /api/health`: whether the store answers.

use serde_json::json;
use tracing::error;

use super::Answer;
use crate::app::App;

/// 200 when requests can be served, else 503.
pub(super) async fn run(app: &App) -> Answer {
    let version = env!("CARGO_PKG_VERSION");
    match app.store.probe().await {
        Ok(()) => Answer::json(200, &json!({"status": "ok", "store": "ok", "configuration": "ok", "version": version})),
        Err(failure) => {
            error!(error = %failure, "the store does not answer");
            let body =
                json!({"status": "unavailable", "store": "unavailable", "configuration": "ok", "version": version});
            Answer::json(503, &body).with("Retry-After", "5")
        }
    }
}
