//! From a request on the wire to a function and back.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use axum::extract::Request as WireRequest;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use futures_util::StreamExt;
use tracing::{error, warn};
use url::{Url, form_urlencoded};

use super::Gate;
use crate::app::App;
use crate::delivery::PutOut;
use crate::functions::envelope::{self, Asked};
use crate::functions::{Answer, Function, Request, Route, Trigger, invoke, route, serve_http, turn_away};
use crate::protocol::is_private;

/// The largest body that is read.
const BODY: usize = 1024 * 1024;
/// The largest envelope: a body written as JSON within JSON takes up to six times its size.
const ENVELOPE: usize = 8 * 1024 * 1024;
/// Of a body over the limit so much is read and thrown away.
const BODY_DRAIN: usize = 4 * 1024 * 1024;
/// What the Functions host passes on at most, written as JSON.
const ENVELOPE_DRAIN: usize = 256 * 1024 * 1024;

/// How long a body may take; Teams itself gives a request fifteen seconds in all.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the body of somebody who is refused is taken off the wire.
const COURTESY: Duration = Duration::from_secs(1);

/// How long a request waits for a store that is being opened.
const SOON: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(20);

/// Where `serve` puts what functions put out.
#[async_trait]
pub trait Sink: Send + Sync + std::fmt::Debug {
    /// Puts it into the queues. What fails is logged there: `Tick` finds the work again.
    async fn put(&self, put_out: PutOut);
}

/// Who is on the other side.
#[derive(Debug, Clone)]
pub enum Mode {
    /// The Functions host: also envelopes; outputs go back in the answer. It has checked the keys, so whoever is not on
    /// this machine is not answered.
    Host,
    /// Anybody: no envelopes; outputs go into the queue, and some routes take a key.
    Serve {
        /// The gate of these routes.
        gate: Gate,
        /// The queue.
        sink: Arc<dyn Sink>,
    },
}

/// The edge of one process. It answers before the app is there.
#[derive(Debug, Clone)]
pub struct Edge {
    mode: Mode,
    app: Arc<OnceLock<App>>,
}

impl Edge {
    /// An edge whose app comes later.
    #[must_use]
    pub fn new(mode: Mode, app: Arc<OnceLock<App>>) -> Self {
        Self { mode, app }
    }

    /// Answers. The work goes on when the caller goes away.
    pub async fn respond(self, request: WireRequest, peer: IpAddr) -> Response {
        if request.uri().path() == "/" {
            return wire(here());
        }
        if matches!(self.mode, Mode::Host) && !peer.to_canonical().is_loopback() {
            error!(%peer, "somebody else than the Functions host was refused");
            return wire(Answer::problem(403, "Forbidden", "only the Functions host on this machine is answered here"));
        }
        let Some(app) = self.app().await else { return wire(self.not_yet(request.uri().path())) };
        let tasks = app.tasks.clone();
        let work = tasks.spawn(async move { self.answer(&app, request).await });
        wire(work.await.unwrap_or_else(|failure| {
            error!(%failure, "a request brought a function down");
            Answer::problem(500, "Internal error", "It is in the log.")
        }))
    }

    /// The app, when it is there soon: opening a store takes some milliseconds, and a Functions host would make an
    /// empty 500 of what comes in between.
    async fn app(&self) -> Option<App> {
        let give_up = tokio::time::Instant::now() + SOON;
        while self.app.get().is_none() && tokio::time::Instant::now() < give_up {
            tokio::time::sleep(LOOK).await;
        }
        self.app.get().cloned()
    }

    /// While there is no store: 503 to whoever asked, and to the Functions host a success that says so, since of
    /// anything else it passes neither the detail nor `Retry-After` on. Its queue messages fail and come back.
    fn not_yet(&self, path: &str) -> Answer {
        let answer = Answer::unavailable(1);
        match (&self.mode, named(path)) {
            (Mode::Host, Some(function)) if matches!(function.trigger(), Trigger::Http { .. }) => {
                Answer::json(200, &envelope::answered(function, &answer, &PutOut::default()))
            }
            (Mode::Host | Mode::Serve { .. }, _) => answer,
        }
    }

    async fn answer(&self, app: &App, request: WireRequest) -> Answer {
        let path = request.uri().path().to_owned();
        if let (Mode::Host, Some(function)) = (&self.mode, named(&path)) {
            return self.answer_envelope(app, function, request).await;
        }
        let (function, id) = match route(request.method().as_str(), &path) {
            // With its queue output it never comes this way through a Functions host.
            Route::To(Function::CreateNotification, _) if matches!(self.mode, Mode::Host) => {
                return wrong_method("GET");
            }
            Route::To(function, id) => (function, id),
            Route::WrongMethod(allowed) => return wrong_method(&allowed.join(", ")),
            Route::Unknown => return Answer::problem(404, "Not found", "there is no such route"),
        };
        let mut asked = Request {
            method: request.method().as_str().to_owned(),
            id,
            authorization: authorization(request.headers()),
            query: query(request.uri().query()),
            headers: headers(request.headers()),
            body: None,
        };
        if let Some(refusal) = self.asked_by_a_page(app, function, &asked.headers) {
            return refusal;
        }
        if let (Mode::Serve { gate, .. }, Trigger::Http { key: true, .. }) = (&self.mode, function.trigger())
            && let Some(refusal) = gate.refuse(&asked, &app.trust).await
        {
            throw_away(request).await;
            return refusal;
        }
        // Nobody's body is kept who is not believed.
        if let Some(refusal) = turn_away(app, function, &asked).await {
            throw_away(request).await;
            return refusal;
        }
        // Where none belongs, none is read.
        if asked.method == "POST" {
            match self.read(app, request, BODY, BODY_DRAIN).await {
                Ok(body) => asked.body = Some(body),
                Err(unread) => return unread.answer(BODY),
            }
        }
        let (answer, put_out) = serve_http(app, function, &asked).await;
        if let Mode::Serve { sink, .. } = &self.mode
            && !put_out.is_empty()
        {
            sink.put(put_out).await;
        }
        answer
    }

    /// Where nobody is asked for anything, a web page must not be the one who asks, neither by its own name (`Origin`) nor
    /// by a name of its own for this machine (`Host`; the Functions host may pass on any).
    fn asked_by_a_page(&self, app: &App, function: Function, headers: &BTreeMap<String, String>) -> Option<Answer> {
        let (is_open, has_own_name) = match (&self.mode, function.trigger()) {
            (Mode::Serve { gate, .. }, Trigger::Http { key: true, .. }) => (matches!(gate, Gate::Open), true),
            (Mode::Serve { .. }, _) => (app.trust.is_open() && function == Function::Messages, true),
            (Mode::Host, _) => (app.trust.is_open() && function == Function::Messages, false),
        };
        let foreign = |host: &str| !is_this_machine(host);
        let page = |origin: &String| foreign(origin.split_once("://").map_or("", |url| url.1));
        let origin = headers.get("origin").is_some_and(page);
        let named = has_own_name && headers.get("host").is_some_and(|host| foreign(host));
        if !is_open || !(origin || named) {
            return None;
        }
        if let Some(others) = app.trust.worth_a_line() {
            warn!(others, "a web page's request was refused");
        }
        Some(Answer::problem(403, "Forbidden", "without a key or token only this machine is answered, by its own name"))
    }

    /// Reads a body, as long as that is sensible.
    async fn read(&self, app: &App, request: WireRequest, limit: usize, drain: usize) -> Result<Vec<u8>, Unread> {
        let reading = tokio::time::timeout(PATIENCE, read(request, limit, drain));
        let read = app.delivery.closing.run_until_cancelled(reading).await;
        read.ok_or(Unread::Closing)?.unwrap_or(Err(Unread::TooSlow))
    }

    async fn answer_envelope(&self, app: &App, function: Function, request: WireRequest) -> Answer {
        if request.method() != "POST" {
            return wrong_method("POST");
        }
        if request.headers().contains_key(header::ORIGIN) {
            return Answer::problem(403, "Forbidden", "only the Functions host is answered here");
        }
        let is_http = matches!(function.trigger(), Trigger::Http { .. });
        let body = match self.read(app, request, ENVELOPE, ENVELOPE_DRAIN).await {
            Ok(body) => body,
            // To the host a success, or the caller would hear of an empty 500 only.
            Err(unread @ Unread::TooLarge) if is_http => {
                return Answer::json(200, &envelope::answered(function, &unread.answer(BODY), &PutOut::default()));
            }
            Err(unread) => return unread.answer(ENVELOPE),
        };
        let done = match envelope::decode(function, &body) {
            Ok(Asked::Http(asked)) => {
                let (answer, put_out) = match self.asked_by_a_page(app, function, &asked.headers) {
                    Some(refusal) => (refusal, PutOut::default()),
                    None => answer_enveloped(app, function, asked).await,
                };
                Ok(envelope::answered(function, &answer, &put_out))
            }
            Ok(Asked::Other(invocation)) => {
                invoke(app, function, &invocation).await.map(|put_out| envelope::done(function, &put_out))
            }
            Err(failure) => {
                error!(function = function.name(), %failure, "an invocation failed");
                Err(failure)
            }
        };
        match done {
            Ok(reply) => Answer::json(200, &reply),
            Err(failure) => Answer::problem(failure.status(), "The invocation failed", "It is in the log."),
        }
    }
}

async fn answer_enveloped(app: &App, function: Function, asked: Request) -> (Answer, PutOut) {
    let alone = |answer| (answer, PutOut::default());
    if asked.body.as_ref().is_some_and(|body| body.len() > BODY) {
        return alone(Unread::TooLarge.answer(BODY));
    }
    match function.trigger() {
        Trigger::Http { methods, .. } if !methods.contains(&asked.method.as_str()) => {
            alone(wrong_method(&methods.join(", ")))
        }
        Trigger::Http { .. } | Trigger::Queue(_) | Trigger::Timer => serve_http(app, function, &asked).await,
    }
}

/// What is at `/`: the Functions host takes any answer for readiness.
fn here() -> Answer {
    Answer::json(200, &serde_json::json!({"herald": env!("CARGO_PKG_VERSION")}))
}

fn named(path: &str) -> Option<Function> {
    let name = path.strip_prefix('/')?;
    Function::ALL.into_iter().find(|function| function.name() == name)
}

fn wrong_method(allowed: &str) -> Answer {
    Answer::problem(405, "Method not allowed", &format!("allowed here: {allowed}")).with("Allow", allowed)
}

fn query(text: Option<&str>) -> BTreeMap<String, String> {
    form_urlencoded::parse(text.unwrap_or_default().as_bytes()).into_owned().collect()
}

/// `localhost`, `127.0.0.1:3978`, `[::1]`.
fn is_this_machine(authority: &str) -> bool {
    let url = Url::parse(&format!("http://{authority}/"));
    url.is_ok_and(|url| is_private(&url))
}

fn authorization(map: &HeaderMap) -> Vec<String> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    map.get_all(header::AUTHORIZATION).iter().map(text).collect()
}

fn headers(map: &HeaderMap) -> BTreeMap<String, String> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    map.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

/// Why a body was not read.
enum Unread {
    /// It has more bytes than are taken; they were read and thrown away as far as that is sensible.
    TooLarge,
    /// It broke off.
    Broken,
    /// It took too long.
    TooSlow,
    /// The process ends.
    Closing,
}

impl Unread {
    fn answer(&self, limit: usize) -> Answer {
        match self {
            Self::TooLarge => {
                warn!(limit, "a body over the limit was refused");
                let detail = format!("a body may have {limit} bytes");
                Answer::problem(413, "Content too large", &detail).with("Connection", "close")
            }
            Self::Broken => Answer::problem(400, "Bad request", "the body broke off"),
            Self::TooSlow => {
                let detail = format!("a body may take {} seconds", PATIENCE.as_secs());
                Answer::problem(408, "Request timeout", &detail).with("Connection", "close")
            }
            Self::Closing => Answer::unavailable(1).with("Connection", "close"),
        }
    }
}

/// What is on its way is taken off the wire, or the sender might see a connection that breaks and not the refusal.
async fn throw_away(request: WireRequest) {
    // Whoever sends more or slower is told at once.
    let _ = tokio::time::timeout(COURTESY, read(request, 0, BODY)).await;
}

/// Reads a body; of one over the limit up to `drain` bytes are thrown away, so that the sender hears the answer.
async fn read(request: WireRequest, limit: usize, drain: usize) -> Result<Vec<u8>, Unread> {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let announced: Option<usize> = length.and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|bytes| bytes > limit.max(drain)) {
        return Err(Unread::TooLarge);
    }
    let (mut body, mut seen) = (Vec::new(), 0_usize);
    let mut chunks = request.into_body().into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Unread::Broken)?;
        seen = seen.saturating_add(chunk.len());
        if seen <= limit {
            body.extend_from_slice(&chunk);
        } else if seen > drain {
            return Err(Unread::TooLarge);
        }
    }
    if seen > limit { Err(Unread::TooLarge) } else { Ok(body) }
}

fn wire(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name_of(name), value);
        }
    }
    response
}

fn name_of(name: &'static str) -> header::HeaderName {
    header::HeaderName::from_bytes(name.as_bytes()).unwrap_or(header::WARNING)
}
