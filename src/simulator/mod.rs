//! A simulated Teams: a Bot Connector on loopback that takes messages, counts them, and misbehaves as told.
//! The demo and the tests use it; it is no bigger than they need.

mod connection;
mod limits;

use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use connection::{Connection, Connections};
pub use limits::{TooMuch, Traffic};

/// How a conversation answers a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Behaviour {
    /// 201 with an id.
    Created,
    /// 202 with an empty body, as for a text beside a card.
    Accepted,
    /// An error with a code.
    Refused(u16, &'static str),
    /// 429; the value of `Retry-After`, where there is one.
    Throttled(Option<&'static str>),
    /// Takes the message and never answers.
    Hang,
    /// Takes the message and closes the connection.
    Reset,
    /// Of a chat that is to be opened: 201 with this id.
    Opened(&'static str),
}

/// A message as the simulated Teams took it.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// Where.
    pub conversation_id: String,
    /// The activity that it answers.
    pub reply_to: Option<String>,
    /// Its `Authorization` header.
    pub authorization: Option<String>,
    /// The message.
    pub activity: Value,
    /// Whether it is in the chat: not when it was refused.
    pub delivered: bool,
}

#[derive(Debug, Default)]
struct Script {
    next: HashMap<String, VecDeque<Behaviour>>,
    always: HashMap<String, Behaviour>,
    admitted: Option<String>,
    received: Vec<Received>,
    opened: Vec<Value>,
}

/// A simulated Teams. It ends when it is dropped.
#[derive(Debug)]
pub struct Teams {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
    closing: CancellationToken,
}

impl Drop for Teams {
    fn drop(&mut self) {
        self.closing.cancel();
    }
}

impl Teams {
    /// Starts on a free port of loopback.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start() -> std::io::Result<Self> {
        let connections = Connections::bind((Ipv4Addr::LOCALHOST, 0).into()).await?;
        let address = connections.address()?;
        let script = Arc::new(Mutex::new(Script::default()));
        let closing = CancellationToken::new();
        let router = Router::new().fallback(take).with_state(Arc::clone(&script));
        let service = router.into_make_service_with_connect_info::<Connection>();
        let served = axum::serve(connections, service);
        let until = closing.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = served => {}
                () = until.cancelled() => {}
            }
        });
        Ok(Self { address, script, closing })
    }

    /// What activities name as `serviceUrl`.
    #[must_use]
    pub fn service_url(&self) -> String {
        format!("http://{}/teams/", self.address)
    }

    /// How a conversation answers its next messages; after these as always.
    pub fn next(&self, conversation_id: &str, behaviours: impl IntoIterator<Item = Behaviour>) {
        hold(&self.script).next.entry(conversation_id.to_owned()).or_default().extend(behaviours);
    }

    /// How a conversation answers from now on.
    pub fn always(&self, conversation_id: &str, behaviour: Behaviour) {
        hold(&self.script).always.insert(conversation_id.to_owned(), behaviour);
    }

    /// Answers 401 to whoever does not carry this token, from now on.
    pub fn admit(&self, token: &str) {
        hold(&self.script).admitted = Some(format!("Bearer {token}"));
    }

    /// What was asked of it in order to open chats, in order. Who is asked for is answered as a conversation of their
    /// name; without a script, with the chat `a:opened-` and the name.
    #[must_use]
    pub fn opened(&self) -> Vec<Value> {
        hold(&self.script).opened.clone()
    }

    /// Everything that came, in order.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        hold(&self.script).received.clone()
    }

    /// Messages with this text that are in some chat, by conversation.
    #[must_use]
    pub fn delivered(&self, text: &str) -> HashMap<String, usize> {
        let mut delivered = HashMap::new();
        for message in &hold(&self.script).received {
            if message.delivered && message.activity["text"] == text {
                *delivered.entry(message.conversation_id.clone()).or_default() += 1;
            }
        }
        delivered
    }
}

fn hold(script: &Mutex<Script>) -> MutexGuard<'_, Script> {
    script.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn take(
    State(script): State<Arc<Mutex<Script>>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
) -> Response {
    let path = request.uri().path().to_owned();
    if request.method() == "POST" && path.ends_with("/v3/conversations") {
        return open(&script, request).await;
    }
    let Some((conversation_id, reply_to)) = target(&path).filter(|_| request.method() == "POST") else {
        return answer(404, Some(json!({"error": {"code": "NotFound", "message": "no such call"}})));
    };
    let authorization = request.headers().get("authorization");
    let authorization = authorization.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let Ok(body) = to_bytes(request.into_body(), 1024 * 1024).await else { return answer(413, None) };
    let Ok(activity) = serde_json::from_slice::<Value>(&body) else { return answer(400, None) };
    let (behaviour, number) = {
        let mut script = hold(&script);
        let next = script.next.get_mut(&conversation_id).and_then(VecDeque::pop_front);
        let always = || script.always.get(&conversation_id).cloned();
        let is_stranger = script.admitted.is_some() && script.admitted != authorization;
        let scripted = next.or_else(always).unwrap_or(Behaviour::Created);
        let behaviour = if is_stranger { Behaviour::Refused(401, "Unauthorized") } else { scripted };
        let delivered = !matches!(behaviour, Behaviour::Refused(..) | Behaviour::Throttled(_));
        script.received.push(Received { conversation_id, reply_to, authorization, activity, delivered });
        (behaviour, script.received.len())
    };
    match behaviour {
        Behaviour::Created | Behaviour::Opened(_) => answer(201, Some(json!({"id": format!("17{number:011}")}))),
        Behaviour::Accepted => answer(202, None),
        Behaviour::Refused(status, code) => {
            answer(status, Some(json!({"error": {"code": code, "message": "as scripted"}})))
        }
        Behaviour::Throttled(retry_after) => {
            let mut response = answer(429, Some(json!({"error": {"code": "Throttled", "message": "as scripted"}})));
            if let Some(value) = retry_after {
                response.headers_mut().insert("retry-after", HeaderValue::from_static(value));
            }
            response
        }
        Behaviour::Hang => std::future::pending().await,
        Behaviour::Reset => {
            connection.close();
            answer(500, None)
        }
    }
}

/// Opens the chat with somebody.
async fn open(script: &Mutex<Script>, request: Request) -> Response {
    let Ok(body) = to_bytes(request.into_body(), 1024 * 1024).await else { return answer(413, None) };
    let Ok(asked) = serde_json::from_slice::<Value>(&body) else { return answer(400, None) };
    let member = asked["members"][0]["id"].as_str().unwrap_or_default().to_owned();
    let behaviour = {
        let mut script = hold(script);
        script.opened.push(asked);
        let next = script.next.get_mut(&member).and_then(VecDeque::pop_front);
        next.or_else(|| script.always.get(&member).cloned()).unwrap_or(Behaviour::Created)
    };
    match behaviour {
        Behaviour::Refused(status, code) => {
            answer(status, Some(json!({"error": {"code": code, "message": "as scripted"}})))
        }
        Behaviour::Throttled(_) => answer(429, None),
        Behaviour::Accepted => answer(202, None),
        Behaviour::Opened(chat) => answer(201, Some(json!({"id": chat}))),
        Behaviour::Created | Behaviour::Reset => answer(201, Some(json!({"id": format!("a:opened-{member}")}))),
        Behaviour::Hang => std::future::pending().await,
    }
}

/// The conversation and the activity of `…/v3/conversations/{id}/activities[/{id}]`.
fn target(path: &str) -> Option<(String, Option<String>)> {
    let (_, call) = path.split_once("/v3/conversations/")?;
    let mut segments = call.split('/').map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned());
    let conversation_id = segments.next()?;
    if segments.next()? != "activities" {
        return None;
    }
    Some((conversation_id, segments.next()))
}

fn answer(status: u16, body: Option<Value>) -> Response {
    let mut response = Response::new(body.map_or_else(Body::empty, |body| Body::from(body.to_string())));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}
