//! The other side of the comparison: what a bot endpoint cannot do without, and nothing else.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde_json::Value;

use super::authority::{APP, file};

/// Checks the signature and claims of each request's token, parses its body and forgets it.
#[tokio::main]
pub async fn serve() {
    let key = DecodingKey::from_rsa_pem(&std::fs::read(file("channel.pub.pem")).unwrap()).unwrap();
    let mut rules = Validation::new(Algorithm::RS256);
    rules.set_audience(&[APP]);
    rules.set_issuer(&["https://api.botframework.com"]);
    let router = Router::new().route("/api/messages", post(answer)).with_state(Arc::new((key, rules)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("listening on http://{}", listener.local_addr().unwrap());
    axum::serve(listener, router).await.unwrap();
}

async fn answer(State(checks): State<Arc<(DecodingKey, Validation)>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let token = headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    if token.is_none_or(|token| decode::<Value>(token, &checks.0, &checks.1).is_err()) {
        return StatusCode::UNAUTHORIZED;
    }
    match serde_json::from_slice::<Value>(&body) {
        Ok(activity) if activity.is_object() => StatusCode::OK,
        Ok(_) | Err(_) => StatusCode::BAD_REQUEST,
    }
}
