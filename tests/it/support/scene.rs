//! Herald with auth on.

use herald::simulator::Teams;
use serde_json::{Value, json};

use super::{APP, Authority, Herald, activity, channel_claims, signed};

/// A Herald that asks for tokens, and who gives them.
pub struct Scene {
    pub authority: Authority,
    pub herald: Herald,
}

impl Scene {
    pub async fn with(more: &[(&str, &str)]) -> Self {
        let (authority, teams) = (Authority::start().await, Teams::start().await.unwrap());
        let mut settings = authority.settings(&teams.service_url());
        settings.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let herald = Herald::on(teams, &settings).await;
        Self { authority, herald }
    }

    /// An activity for the bot.
    pub fn activity(&self, name: &str) -> Value {
        let mut activity = activity(
            &self.herald.teams.service_url(),
            name,
            "2026-05-01T10:00:00Z",
            json!({"type": "message", "text": "hello"}),
        );
        activity["recipient"]["id"] = json!(format!("28:{APP}"));
        activity
    }

    pub fn claims(&self) -> Value {
        channel_claims(&self.herald.teams.service_url())
    }

    pub fn claims_with(&self, change: Value) -> String {
        let mut claims = self.claims();
        claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        signed("channel.pem", "channel", &claims)
    }

    pub fn claims_without(&self, claim: &str) -> String {
        let mut claims = self.claims();
        claims.as_object_mut().unwrap().remove(claim);
        signed("channel.pem", "channel", &claims)
    }

    pub fn token(&self) -> String {
        signed("channel.pem", "channel", &self.claims())
    }

    pub async fn send(&self, headers: &[String], body: &Value) -> u16 {
        self.send_text(headers, body.to_string()).await.status().as_u16()
    }

    pub async fn send_text(&self, headers: &[String], body: String) -> reqwest::Response {
        let mut request = self.herald.http.post(self.herald.url("/api/messages")).body(body);
        for header in headers {
            request = request.header("authorization", header);
        }
        request.send().await.unwrap()
    }

    pub async fn tell(&self, token: &str, body: &Value) -> u16 {
        self.send(&[format!("Bearer {token}")], body).await
    }

    /// Nobody is known, and nothing went out.
    pub async fn nothing_happened(&self) {
        assert_eq!(self.herald.get("/api/users").await, (200, json!({"users": []})));
        assert_eq!(self.herald.teams.received(), []);
    }

    /// Somebody with a Teams chat.
    pub async fn meet(&self, name: &str) {
        let mut activity = self.activity(name);
        activity["type"] = json!("installationUpdate");
        activity["action"] = json!("add");
        assert_eq!(self.tell(&self.token(), &activity).await, 200);
    }
}
