//! A Cosmos DB account in memory: the one that Microsoft's SDK brings for its own tests, in this process or behind a
//! port on loopback.
//!
//! What it does not do, and no test here pretends: documents never expire by their `ttl`, keys and tokens are not
//! checked, nothing is kept when it ends, and its request units are a model.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use azure_core::http::{Method, Request as CoreRequest, Url};
use azure_data_cosmos_driver::in_memory_emulator::{
    ContainerConfig, InMemoryEmulatorHttpClient, VirtualAccountConfig, VirtualRegion,
};
use tokio::net::TcpListener;

/// Any key will do: it is base64, and nobody looks at it.
pub const KEY: &str = "bm90IGEgc2VjcmV0";

/// An account with these regions.
pub fn account(regions: &[(&str, Url)], throttling: bool) -> Arc<InMemoryEmulatorHttpClient> {
    let regions = regions.iter().map(|(name, url)| VirtualRegion::new(name, url.clone())).collect();
    let config = VirtualAccountConfig::new(regions).unwrap().with_throttling_enabled(throttling);
    Arc::new(InMemoryEmulatorHttpClient::new(config))
}

/// An account behind a port; it ends with the runtime.
pub struct Served {
    address: SocketAddr,
}

/// What happens to a request.
pub enum Fault {
    /// It is answered.
    None,
    /// It is not carried out, and this is the status.
    Before(u16),
    /// It is carried out, and this is the status all the same.
    After(u16),
    /// It is carried out, and half of the answer arrives.
    Half,
    /// Nobody ever hears of it again.
    Never,
}

/// Looks at each request and says what happens to it.
pub type Intervene = Arc<dyn Fn(&Parts) -> Fault + Send + Sync>;

#[derive(Clone)]
struct Front {
    account: Arc<InMemoryEmulatorHttpClient>,
    base: Url,
    throughput: Option<u32>,
    made: Arc<Mutex<BTreeSet<(String, String)>>>,
    intervene: Intervene,
}

impl Served {
    /// Serves on loopback. With `throughput`, containers get so many request units a second, and 429 beyond; each in one
    /// physical partition, as the service would, where the emulator would spread them over four.
    pub async fn start(port: u16, throughput: Option<u32>, intervene: Intervene) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        let base: Url = format!("http://{address}/").parse().unwrap();
        let account = account(&[("West Europe", base.clone())], throughput.is_some());
        let front = Front { account, base, throughput, made: Arc::default(), intervene };
        let app = Router::new().fallback(answer).with_state(front);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self { address })
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}/", self.address)
    }
}

impl Front {
    /// Makes the container that a request asks for, once, and turns the request into one that gives it its properties.
    fn make_container(&self, asked: &mut CoreRequest, body: &[u8], units: u32) -> Option<()> {
        let path = asked.url().path().to_owned();
        let database = path.strip_prefix("/dbs/")?.strip_suffix("/colls")?;
        if asked.method() != Method::Post || database.contains('/') {
            return None;
        }
        let wanted: serde_json::Value = serde_json::from_slice(body).ok()?;
        let id = wanted["id"].as_str()?.to_owned();
        if !self.made.lock().unwrap().insert((database.to_owned(), id.clone())) {
            return None;
        }
        let keys = serde_json::from_value(wanted["partitionKey"].clone()).ok()?;
        let config = ContainerConfig::new().with_partition_count(1).with_throughput(units.into()).build().ok()?;
        self.account.store().create_container_with_config(database, &id, keys, config);
        *asked.url_mut() = asked.url().join(&format!("{path}/{id}")).ok()?;
        asked.set_method(Method::Put);
        Some(())
    }
}

async fn answer(State(front): State<Front>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let fault = (front.intervene)(&parts);
    if let Fault::Before(code) = fault {
        return status(StatusCode::from_u16(code).unwrap());
    }
    if matches!(fault, Fault::Never) {
        return std::future::pending().await;
    }
    let Ok(body) = to_bytes(body, 8 * 1024 * 1024).await else { return status(StatusCode::BAD_REQUEST) };
    let Ok(url) = front.base.join(parts.uri.path_and_query().map_or("/", |path| path.as_str())) else {
        return status(StatusCode::BAD_REQUEST);
    };
    let method = match parts.method.as_str() {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "PATCH" => Method::Patch,
        "DELETE" => Method::Delete,
        _ => return status(StatusCode::METHOD_NOT_ALLOWED),
    };
    let mut asked = CoreRequest::new(url, method);
    for (name, value) in &parts.headers {
        asked.headers_mut().insert(name.as_str().to_owned(), value.to_str().unwrap_or_default().to_owned());
    }
    let made = front.throughput.and_then(|units| front.make_container(&mut asked, &body, units));
    asked.set_body(body);
    let Ok(answered) = front.account.execute_request(&asked).await else {
        return status(StatusCode::SERVICE_UNAVAILABLE);
    };
    if let Fault::After(code) = fault {
        return status(StatusCode::from_u16(code).unwrap());
    }
    let Ok(answered) = answered.try_into_raw_response().await else { return status(StatusCode::BAD_GATEWAY) };
    let code = u16::from(answered.status());
    let mut response = Response::builder().status(if made.is_some() && code == 200 { 201 } else { code });
    for (name, value) in answered.headers().iter() {
        if name.as_str() != "content-length" {
            response = response.header(name.as_str(), value.as_str());
        }
    }
    let mut body = answered.body().as_ref().to_vec();
    if matches!(fault, Fault::Half) {
        body.truncate(body.len() / 2);
    }
    response.body(Body::from(body)).unwrap_or_else(|_| status(StatusCode::BAD_GATEWAY))
}

fn status(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
