//! The simulated people: what they do, and what must come of it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::Timestamp;

/// What a person does before the notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Talks in the Teams chat only.
    TeamsOnly,
    /// Talks in the Copilot window of Teams, then in the Teams chat.
    CopilotThenTeams,
    /// Talks in the Teams chat, and last in Microsoft 365 Copilot.
    TeamsThenCopilot,
    /// Talks in Microsoft 365 Copilot only.
    CopilotOnly,
    /// Removed the app.
    Uninstalled,
    /// Blocked the bot: Teams says so at the first attempt.
    Blocked,
    /// Said `mute`.
    Muted,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::TeamsOnly,
        Self::CopilotThenTeams,
        Self::TeamsThenCopilot,
        Self::CopilotOnly,
        Self::Uninstalled,
        Self::Blocked,
        Self::Muted,
    ];

    /// For the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TeamsOnly => "Teams only",
            Self::CopilotThenTeams => "Copilot, then Teams",
            Self::TeamsThenCopilot => "Teams, then Copilot last",
            Self::CopilotOnly => "Copilot only",
            Self::Uninstalled => "uninstalled",
            Self::Blocked => "blocked the bot",
            Self::Muted => "muted",
        }
    }

    /// Why they must be skipped; none: they must be notified.
    #[must_use]
    pub fn skipped_as(self) -> Option<&'static str> {
        match self {
            Self::TeamsOnly | Self::CopilotThenTeams | Self::TeamsThenCopilot => None,
            Self::CopilotOnly => Some("noTeamsChat"),
            Self::Uninstalled => Some("uninstalled"),
            Self::Blocked => Some("blocked"),
            Self::Muted => Some("muted"),
        }
    }
}

/// One simulated person.
#[derive(Debug, Clone)]
pub struct SimulatedPerson {
    number: usize,
    tenant: usize,
    /// What they do.
    pub kind: Kind,
}

/// The matcher by which the demo's Herald tells the Copilot window in Teams. No documented field does, so the
/// simulated Teams has one of its own.
pub(super) const MATCHER: &str = "/channelData/simulatedHost=teams";

impl SimulatedPerson {
    /// People of all kinds in turn, about a hundred to a tenant, so that no tenant's rate makes a long wait.
    #[must_use]
    pub fn crowd(count: usize) -> Vec<Self> {
        let tenants = count.div_ceil(100).max(4);
        let person =
            |number| Self { number, tenant: number % tenants, kind: Kind::ALL[(number / tenants) % Kind::ALL.len()] };
        (0..count).map(person).collect()
    }

    /// One person of a kind, in the first tenant.
    #[must_use]
    pub fn one(number: usize, kind: Kind) -> Self {
        Self { number, tenant: 0, kind }
    }

    /// The Entra object id.
    #[must_use]
    pub fn object_id(&self) -> String {
        format!("aaaaaaaa-0000-4000-8000-{:012}", self.number)
    }

    /// The Teams chat.
    #[must_use]
    pub fn chat(&self) -> String {
        format!("a:1chat{:06}", self.number)
    }

    /// The Copilot conversation.
    #[must_use]
    pub fn copilot(&self) -> String {
        format!("19:copilot{:06}@thread.v2", self.number)
    }

    /// What they send, in order.
    #[must_use]
    pub fn activities(&self, service_url: &str, now: Timestamp) -> Vec<Value> {
        let at = |step| (step, now - Duration::from_secs(60) + Duration::from_secs(step));
        let installs =
            |step| self.activity(at(step), service_url, json!({"type": "installationUpdate", "action": "add"}));
        let says = |step, text: &str| self.activity(at(step), service_url, json!({"type": "message", "text": text}));
        let asks = |step, host: &str| self.copilot_activity(at(step), service_url, host);
        match self.kind {
            Kind::TeamsOnly | Kind::Blocked => vec![installs(0), says(1, "hello")],
            Kind::CopilotThenTeams => vec![asks(0, "teams"), installs(1), says(2, "status")],
            Kind::TeamsThenCopilot => vec![installs(0), says(1, "hello"), asks(2, "microsoft365")],
            Kind::CopilotOnly => vec![asks(0, "microsoft365")],
            Kind::Uninstalled => {
                let removes = json!({"type": "installationUpdate", "action": "remove"});
                vec![installs(0), self.activity(at(1), service_url, removes)]
            }
            Kind::Muted => vec![installs(0), says(1, "mute")],
        }
    }

    fn activity(&self, (step, at): (u64, Timestamp), service_url: &str, what: Value) -> Value {
        let tenant = format!("11111111-0000-4000-8000-{:012}", self.tenant);
        let mut activity = json!({
            "id": format!("f:{}-{step}", self.number),
            "channelId": "msteams",
            "timestamp": at,
            "serviceUrl": service_url,
            "from": {"id": format!("29:1person{:06}", self.number), "name": "A Person", "aadObjectId": self.object_id()},
            "recipient": {"id": "28:bbbbbbbb-0000-4000-8000-000000000002", "name": "Herald"},
            "conversation": {"id": self.chat(), "conversationType": "personal", "tenantId": tenant},
            "channelData": {"tenant": {"id": tenant}},
        });
        merge(&mut activity, what);
        activity
    }

    fn copilot_activity(&self, at: (u64, Timestamp), service_url: &str, host: &str) -> Value {
        let mut activity = self.activity(at, service_url, json!({"type": "message", "text": "hello"}));
        activity["conversation"]["id"] = json!(self.copilot());
        activity["conversation"]["conversationType"] = json!("groupChat");
        activity["conversation"]["isGroup"] = json!(true);
        activity["entities"] = json!([{"type": "ProductInfo", "id": "COPILOT"}]);
        activity["channelData"]["productContext"] = json!("COPILOT");
        activity["channelData"]["simulatedHost"] = json!(host);
        activity
    }
}

fn merge(target: &mut Value, more: Value) {
    if let (Value::Object(target), Value::Object(more)) = (target, more) {
        target.extend(more);
    }
}
