//! A whole Herald in this process, and the activities that tests send it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use herald::clock::{Clock, SystemClock, Timestamp};
use herald::config::{Role, parse};
use herald::role::serve::{Running, start};
use herald::simulator::Teams;
use serde_json::{Value, json};

/// Herald as `serve` runs it, and a simulated Teams. Both end with the test.
pub struct Herald {
    pub running: Option<Running>,
    pub teams: Teams,
    pub http: reqwest::Client,
    pub folder: tempfile::TempDir,
    pub settings: Vec<(String, String)>,
    pub clock: Arc<Shifted>,
    /// What calls of the API and activities carry; none: nothing.
    pub key: Option<String>,
}

/// The system's clock, some seconds off.
#[derive(Debug, Default)]
pub struct Shifted(pub AtomicI64);

impl Clock for Shifted {
    fn now(&self) -> Timestamp {
        SystemClock.now() + chrono::TimeDelta::seconds(self.0.load(Ordering::Relaxed))
    }
}

impl Herald {
    #[expect(clippy::disallowed_methods, reason = "tests are clients")]
    pub fn client() -> reqwest::Client {
        reqwest::Client::builder().timeout(Duration::from_secs(20)).build().unwrap()
    }

    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    pub async fn with(settings: &[(&str, &str)]) -> Self {
        Self::on(Teams::start().await.unwrap(), settings).await
    }

    /// With a Teams that was there before.
    pub async fn on(teams: Teams, settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = settings.iter().find(|(name, _)| *name == "HERALD_API_KEY").map(|(_, key)| (*key).to_owned());
        let settings: Vec<_> = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let http = Self::client();
        let mut herald = Self { running: None, teams, http, folder, settings, clock: Arc::default(), key };
        herald.again().await;
        herald
    }

    /// Starts on the same folder.
    pub async fn again(&mut self) {
        let mut all: BTreeMap<String, String> = [
            ("HERALD_DATA_DIR", self.folder.path().to_str().unwrap()),
            ("HERALD_LISTEN", "127.0.0.1:0"),
            ("HERALD_SCHEDULE", "* * * * * *"),
            // The tests' activities are dated once and for all.
            ("HERALD_KEEP_COPILOT_DAYS", "36500"),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
        all.extend(self.settings.clone());
        let config = parse(&all, Role::Serve).unwrap();
        self.running = Some(start(&config, Arc::clone(&self.clock) as _).await.unwrap());
    }

    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            assert!(running.stop().await, "everything in flight is finished in time");
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.as_ref().unwrap().address)
    }

    /// Sends an activity; answers the status.
    pub async fn tell(&self, activity: &Value) -> u16 {
        self.http.post(self.url("/api/messages")).json(activity).send().await.unwrap().status().as_u16()
    }

    /// Somebody with a Teams chat.
    pub async fn meet(&self, name: &str) -> Value {
        let activity = install(&self.teams, name);
        assert_eq!(self.tell(&activity).await, 200);
        activity
    }

    fn api(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method.parse().unwrap(), self.url(path));
        match &self.key {
            Some(key) => request.header("x-functions-key", key),
            None => request,
        }
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        read(self.api("GET", path).send().await.unwrap()).await
    }

    pub async fn delete(&self, path: &str) -> (u16, Value) {
        read(self.api("DELETE", path).send().await.unwrap()).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        read(self.api("POST", path).json(body).send().await.unwrap()).await
    }

    /// Posts a notification and waits for its end.
    pub async fn notify(&self, body: Value) -> Value {
        let (status, answer) = self.post("/api/notifications", &body).await;
        assert_eq!(status, 202, "{answer}");
        self.over(answer["id"].as_str().unwrap()).await
    }

    /// Waits until a notification is over.
    pub async fn over(&self, id: &str) -> Value {
        self.until(id, |status| !status["completedAt"].is_null()).await
    }

    /// Waits for a status.
    pub async fn until(&self, id: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let look = async {
            loop {
                let (_, status) = self.get(&format!("/api/notifications/{id}")).await;
                if is_it(&status) {
                    return status;
                }
                // A request is the event that moves on here: the next look costs a round trip.
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), look).await.expect("the status within 30 s")
    }
}

async fn read(response: reqwest::Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// An activity in the personal chat of somebody.
pub fn personal(teams: &Teams, name: &str, at: &str, what: Value) -> Value {
    activity(&teams.service_url(), name, at, what)
}

pub fn activity(service_url: &str, name: &str, at: &str, what: Value) -> Value {
    let mut activity = json!({
        "id": format!("f:{name}-{at}"), "channelId": "msteams", "timestamp": at, "serviceUrl": service_url,
        "from": {"id": format!("29:{name}"), "aadObjectId": format!("object-{name}")},
        "recipient": {"id": "28:the-bot"},
        "conversation": {"id": format!("a:{name}"), "conversationType": "personal", "tenantId": "tenant"},
        "channelData": {"tenant": {"id": "tenant"}},
    });
    activity.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
    activity
}

pub fn install(teams: &Teams, name: &str) -> Value {
    personal(teams, name, "2026-05-01T10:00:00Z", json!({"type": "installationUpdate", "action": "add"}))
}

pub fn message(teams: &Teams, name: &str, at: &str, text: &str) -> Value {
    personal(teams, name, at, json!({"type": "message", "text": text}))
}

/// A message in Microsoft 365 Copilot.
pub fn copilot(teams: &Teams, name: &str, at: &str, text: &str) -> Value {
    let mut activity = message(teams, name, at, text);
    activity["id"] = json!(format!("c:{name}-{at}"));
    activity["conversation"] = json!({"id": format!("19:{name}@thread.v2"), "conversationType": "groupChat", "isGroup": true, "tenantId": "tenant"});
    activity["channelData"]["productContext"] = json!("COPILOT");
    activity["entities"] = json!([{"type": "ProductInfo", "id": "COPILOT"}]);
    activity
}

impl Herald {
    /// Whether somebody is known and can be reached.
    pub async fn reachable(&self, name: &str) -> bool {
        let (status, answer) = self.get(&format!("/api/users/29:{name}")).await;
        status == 200 && answer["users"][0]["reachable"] == true
    }
}
