//! Who signs the channel's tokens, and gives the bot its own, on loopback. The keys are those of the tests.

use std::net::SocketAddr;
use std::path::PathBuf;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use herald::clock::{Clock, SystemClock};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

/// The bot.
pub const APP: &str = "5b1fe6c0-0000-4000-8000-00000000b07a";
/// What opens `/api/users`.
pub const KEY: &str = "the-operators-key";

/// Whose it is, and everybody's.
pub const TENANT: &str = "7e1a0000-0000-4000-8000-000000000001";

/// Where the public half lies, for whoever checks without asking.
pub fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/keys").join(name)
}

fn private() -> EncodingKey {
    EncodingKey::from_rsa_pem(&std::fs::read(file("channel.pem")).unwrap()).unwrap()
}

/// The authority; it answers as long as the bench's runtime runs.
#[derive(Debug, Clone, Copy)]
pub struct Authority {
    address: SocketAddr,
}

impl Authority {
    /// Starts on a free port.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer).with_state(address);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address }
    }

    /// A token of the channel for the bot, good for an hour: its claims, and about the length of those that Teams sends.
    pub fn token(service_url: &str) -> String {
        let now = SystemClock.now().timestamp();
        let claims = json!({"iss": "https://api.botframework.com", "aud": APP, "nbf": now - 60, "exp": now + 3600,
            "serviceurl": service_url});
        let header = Header { kid: Some("channel".into()), ..Header::new(Algorithm::RS256) };
        encode(&header, &claims, &private()).unwrap()
    }

    /// The settings of a single-tenant bot that believes this authority and sends to `teams` (`host:port`).
    pub fn settings(&self, teams: &str) -> Vec<(String, String)> {
        let url = |path: &str| format!("http://{}{path}", self.address);
        [
            ("MicrosoftAppId", APP),
            ("MicrosoftAppTenantId", TENANT),
            ("MicrosoftAppPassword", "the-bots-secret"),
            ("HERALD_OPENID_METADATA", &url("/v1/.well-known/openidconfiguration")),
            ("HERALD_TOKEN_AUTHORITY", &url("")),
            ("HERALD_ALLOWED_SERVICE_HOSTS", teams),
            ("HERALD_API_KEY", KEY),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }
}

fn published() -> Value {
    let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&private(), Algorithm::RS256).unwrap()).unwrap();
    jwk["kid"] = json!("channel");
    jwk["use"] = json!("sig");
    jwk["endorsements"] = json!(["msteams"]);
    jwk
}

async fn answer(State(address): State<SocketAddr>, request: Request) -> Response {
    let answer = match request.uri().path() {
        "/v1/.well-known/openidconfiguration" => json!({"jwks_uri": format!("http://{address}/keys")}),
        "/keys" => json!({"keys": [published()]}),
        path if path.ends_with("/v2.0/.well-known/openid-configuration") => {
            json!({"jwks_uri": format!("http://{address}/keys")})
        }
        path if path.ends_with("/oauth2/v2.0/token") => {
            json!({"access_token": "token-of-the-bot", "expires_in": 3600, "token_type": "Bearer"})
        }
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    ([("content-type", "application/json")], answer.to_string()).into_response()
}
