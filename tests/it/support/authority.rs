//! Who signs tokens and gives them out, on loopback: the channel's keys, Entra's keys, Entra's token endpoint, and a
//! function app's managed identity.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use herald::clock::{Clock, SystemClock};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

pub const APP: &str = "5b1fe6c0-0000-4000-8000-00000000b07a";
pub const TENANT: &str = "7e1a0000-0000-4000-8000-000000000001";

#[derive(Default)]
pub struct Asked {
    pub metadata: usize,
    pub keys: usize,
    /// Forms of the token endpoint, and queries of the managed identity's.
    pub tokens: Vec<BTreeMap<String, String>>,
    /// Answers 503 to everything.
    pub is_away: bool,
    /// Published keys of the channel.
    pub channel: Vec<Value>,
}

pub struct Authority {
    address: SocketAddr,
    asked: Arc<Mutex<Asked>>,
    closing: CancellationToken,
}

impl Drop for Authority {
    fn drop(&mut self) {
        self.closing.cancel();
    }
}

/// A file of `tests/fixtures/keys`; made for these tests and good for nothing else.
pub fn key(name: &str) -> Vec<u8> {
    std::fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/keys").join(name)).unwrap()
}

/// A key as it is published.
pub fn published(name: &str, kid: &str, endorsements: Value) -> Value {
    let key = EncodingKey::from_rsa_pem(&key(name)).unwrap();
    let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&key, Algorithm::RS256).unwrap()).unwrap();
    jwk["kid"] = json!(kid);
    jwk["use"] = json!("sig");
    jwk["endorsements"] = endorsements;
    jwk
}

/// A token over these claims.
pub fn signed(name: &str, kid: &str, claims: &Value) -> String {
    let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::RS256) };
    encode(&header, claims, &EncodingKey::from_rsa_pem(&key(name)).unwrap()).unwrap()
}

pub fn channel_claims(service_url: &str) -> Value {
    let now = SystemClock.now().timestamp();
    json!({"iss": "https://api.botframework.com", "aud": APP, "nbf": now - 60, "exp": now + 3600, "serviceurl": service_url})
}

pub fn entra_claims(version: &str, audience: &str) -> Value {
    let now = SystemClock.now().timestamp();
    let (issuer, caller) = match version {
        "1.0" => (format!("https://sts.windows.net/{TENANT}/"), "appid"),
        _ => (format!("https://login.microsoftonline.com/{TENANT}/v2.0"), "azp"),
    };
    let mut claims =
        json!({"iss": issuer, "aud": audience, "ver": version, "tid": TENANT, "nbf": now, "exp": now + 3600});
    claims[caller] = json!(APP);
    claims
}

impl Authority {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let channel = vec![published("channel.pem", "channel", json!(["msteams", "skype"]))];
        let asked = Arc::new(Mutex::new(Asked { channel, ..Asked::default() }));
        let router = Router::new().fallback(answer).with_state((Arc::clone(&asked), address));
        let closing = CancellationToken::new();
        let until = closing.clone();
        tokio::spawn(async move { until.run_until_cancelled(async { axum::serve(listener, router).await }).await });
        Self { address, asked, closing }
    }

    pub fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The settings of a single-tenant bot with a secret that believes this authority, and sends to `teams`.
    pub fn settings(&self, teams: &str) -> Vec<(String, String)> {
        let host = url::Url::parse(teams).unwrap();
        let host = format!("{}:{}", host.host_str().unwrap(), host.port().unwrap());
        [
            ("MicrosoftAppId", APP),
            ("MicrosoftAppTenantId", TENANT),
            ("MicrosoftAppPassword", "the-bots-secret"),
            ("HERALD_OPENID_METADATA", &self.url("/v1/.well-known/openidconfiguration")),
            ("HERALD_TOKEN_AUTHORITY", &self.url("")),
            ("HERALD_ALLOWED_SERVICE_HOSTS", &host),
            ("HERALD_API_KEY", "the-operators-key"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }
}

async fn answer(State((asked, address)): State<(Arc<Mutex<Asked>>, SocketAddr)>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let body = to_bytes(request.into_body(), 1 << 20).await.unwrap();
    let mut asked = asked.lock().unwrap();
    if asked.is_away {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let keys = |name: &str| json!({"issuer": "whatever", "jwks_uri": format!("http://{address}/{name}")});
    let answer = match path.as_str() {
        "/v1/.well-known/openidconfiguration" => {
            asked.metadata += 1;
            keys("channel-keys")
        }
        "/channel-keys" => {
            asked.keys += 1;
            json!({"keys": asked.channel})
        }
        "/entra-keys" => json!({"keys": [published("other.pem", "entra", json!([]))]}),
        path if path.ends_with("/v2.0/.well-known/openid-configuration") => keys("entra-keys"),
        path if path.ends_with("/oauth2/v2.0/token") || path == "/msi" => {
            let text = if path == "/msi" { query.into_bytes() } else { body.to_vec() };
            let mut form: BTreeMap<_, _> = url::form_urlencoded::parse(&text).into_owned().collect();
            form.insert("path".into(), path.to_owned());
            asked.tokens.push(form);
            let ends = (SystemClock.now().timestamp() + 3600).to_string();
            json!({"access_token": format!("token-{}", asked.tokens.len()), "expires_in": 3600, "expires_on": ends,
                "token_type": "Bearer", "resource": "r", "client_id": "c"})
        }
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    ([("content-type", "application/json")], answer.to_string()).into_response()
}
