//! Requests to a running Herald, and what its refusals mean to the person at the terminal.

use std::time::Duration;

use reqwest::redirect::Policy;
use serde_json::Value;

use crate::direct;
use crate::role::Failure;

/// Which Herald, and the key to it.
#[derive(Debug, Clone)]
pub struct Access {
    /// Its address, such as `http://127.0.0.1:3978`.
    pub url: String,
    /// The function key, or `HERALD_API_KEY` of `serve`.
    pub key: Option<String>,
    /// An Entra token, where `HERALD_API_AUDIENCE` says for whom.
    pub token: Option<String>,
}

/// A client of the API.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    access: Access,
}

impl Client {
    /// A client.
    ///
    /// # Errors
    /// When the address is none, or the TLS roots of the system cannot be read.
    #[expect(clippy::disallowed_methods, reason = "the operators' commands are a client of their own")]
    pub fn new(access: Access) -> Result<Self, Failure> {
        let url = url::Url::parse(&access.url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let Some(url) = url else {
            return Err(Failure::Usage(format!(
                "--url {}: expected an address such as http://127.0.0.1:3978",
                access.url
            )));
        };
        // No redirect is followed: it would take the key along.
        let mut http = reqwest::Client::builder().timeout(Duration::from_secs(30)).redirect(Policy::none());
        // No proxy leads to this very machine.
        if matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")) {
            http = http.no_proxy();
        }
        let http = http.build();
        Ok(Self { http: http.map_err(|error| Failure::Other(error.to_string()))?, access })
    }

    /// `GET`.
    ///
    /// # Errors
    /// What went wrong, in a sentence.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Failure> {
        self.send(self.http.get(self.url(path, query)?)).await
    }

    /// `POST` of a JSON body.
    ///
    /// # Errors
    /// What went wrong, in a sentence.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.send(self.http.post(self.url(path, &[])?).json(body)).await
    }

    /// `DELETE`.
    ///
    /// # Errors
    /// What went wrong, in a sentence.
    pub async fn delete(&self, path: &str) -> Result<Value, Failure> {
        self.send(self.http.delete(self.url(path, &[])?)).await
    }

    fn url(&self, path: &str, query: &[(&str, &str)]) -> Result<url::Url, Failure> {
        let text = format!("{}{path}", self.access.url.trim_end_matches('/'));
        let mut url =
            url::Url::parse(&text).map_err(|error| Failure::Usage(format!("--url {}: {error}", self.access.url)))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Value, Failure> {
        let request = match (&self.access.key, &self.access.token) {
            (Some(key), _) => request.header("x-functions-key", key),
            (None, Some(token)) => request.bearer_auth(token),
            (None, None) => request,
        };
        let unreachable = |error: reqwest::Error| {
            Failure::Other(format!("no Herald answers at {}: {}", self.access.url, direct::root(&error)))
        };
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let text = response.text().await.map_err(unreachable)?;
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        if status.is_success() {
            return Ok(body);
        }
        let detail = body["detail"].as_str().or_else(|| body["title"].as_str()).unwrap_or("no reason was given");
        let hint = if status.as_u16() == 401 { " (--key, --token)" } else { "" };
        Err(Failure::Other(format!("refused with {}: {detail}{hint}", status.as_u16())))
    }
}

/// A segment of a path.
#[must_use]
pub(super) fn segment(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}
