//! A simulated Teams as a wire: it needs no network, so that time can be paused.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use herald::connector::{Unanswered, Wire, WireAnswer};
use herald::simulator::{TooMuch, Traffic};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::file::{How, Teams};

/// A message that was taken.
#[derive(Debug, Clone)]
pub struct Taken {
    /// Seconds since the beginning.
    pub at: f64,
    pub tenant: usize,
    pub person: usize,
    /// The notification, which the text names.
    pub text: String,
    /// Whose message it was.
    pub instance: usize,
}

#[derive(Debug, Default)]
pub struct Log {
    pub taken: Vec<Taken>,
    pub throttled: usize,
    pub crowded: usize,
    traffic: Traffic,
    answered: HashMap<(usize, usize, usize), usize>,
}

#[derive(Debug)]
pub struct SimulatedTeams {
    pub says: Teams,
    pub began: Instant,
    pub log: Mutex<Log>,
}

impl SimulatedTeams {
    pub fn new(says: Teams) -> Arc<Self> {
        Arc::new(Self { says, began: Instant::now(), log: Mutex::default() })
    }

    /// How many messages a second a tenant may get at an instant.
    pub fn allowed(&self, tenant: usize, at: f64) -> usize {
        if let Some(own) = self.says.tenants.get(&tenant) {
            return *own;
        }
        let later = self.says.then.iter().rev().find(|change| change.at <= at).map(|change| change.allows);
        later.or(self.says.allows).unwrap_or(usize::MAX)
    }

    /// The name of a person's chat.
    pub fn chat(tenant: usize, person: usize) -> String {
        format!("a:{tenant}-{person}")
    }

    fn answer(&self, tenant: usize, person: usize, text: &str, instance: usize) -> Result<WireAnswer, Unanswered> {
        let elapsed = self.began.elapsed();
        let at = elapsed.as_secs_f64();
        let mut log = self.log.lock().unwrap();
        let now = i64::try_from(elapsed.as_micros()).unwrap();
        let chat = Self::chat(tenant, person);
        match log.traffic.admit(now, &tenant.to_string(), &chat, self.allowed(tenant, at)) {
            Ok(()) => {}
            Err(why) => {
                log.throttled += usize::from(why == TooMuch::Tenant);
                log.crowded += usize::from(why == TooMuch::Chat);
                return Ok(too_much(self.says.retry_after));
            }
        }
        for (number, answer) in self.says.answers.iter().enumerate() {
            let so_far = log.answered.entry((number, tenant, person)).or_default();
            let is_meant = answer.tenant.is_none_or(|only| only == tenant) && person.is_multiple_of(answer.every);
            if is_meant && *so_far < answer.times {
                *so_far += 1;
                match answer.how {
                    How::Throttled => return Ok(too_much(answer.retry_after)),
                    How::Unavailable => return Ok(refused(503, "ServiceUnavailable", answer.retry_after)),
                    How::Blocked => return Ok(refused(403, "ConversationBlockedByUser", None)),
                    How::Lost => {
                        log.taken.push(Taken { at, tenant, person, text: text.to_owned(), instance });
                        return Err(Unanswered::Lost);
                    }
                }
            }
        }
        log.taken.push(Taken { at, tenant, person, text: text.to_owned(), instance });
        let id = format!("17{:011}", log.taken.len());
        Ok(WireAnswer { status: 201, retry_after: None, body: json!({"id": id}).to_string() })
    }
}

fn too_much(retry_after: Option<u32>) -> WireAnswer {
    refused(429, "Throttled", retry_after)
}

fn refused(status: u16, code: &str, retry_after: Option<u32>) -> WireAnswer {
    let body = json!({"error": {"code": code, "message": "as the scenario says"}}).to_string();
    WireAnswer { status, retry_after: retry_after.map(|seconds| seconds.to_string()), body }
}

/// The way from one instance to Teams.
#[derive(Debug)]
pub struct Way {
    pub teams: Arc<SimulatedTeams>,
    /// The instance's clock, by which a date in `Retry-After` is read.
    pub clock: Arc<dyn herald::clock::Clock>,
    pub instance: usize,
}

#[async_trait]
impl Wire for Way {
    async fn post(&self, url: &str, _token: Option<&str>, json: String) -> Result<WireAnswer, Unanswered> {
        let (_, rest) = url.split_once("/v3/conversations/a%3A").expect("a send");
        let (tenant, person) = rest.split_once('/').unwrap().0.split_once('-').unwrap();
        let message: Value = serde_json::from_str(&json).unwrap();
        let half = Duration::from_secs_f64(self.teams.says.latency / 2.0);
        tokio::time::sleep(half).await;
        let text = message["text"].as_str().unwrap_or_default();
        let answer = self.teams.answer(tenant.parse().unwrap(), person.parse().unwrap(), text, self.instance);
        tokio::time::sleep(half).await;
        answer.map(|answer| self.dated(answer))
    }
}

impl Way {
    /// `Retry-After` as a date, by Teams' clock, which is right.
    fn dated(&self, answer: WireAnswer) -> WireAnswer {
        let wait = answer.retry_after.as_deref().and_then(|text| text.parse::<i64>().ok());
        let date = |seconds| (self.clock.now() + chrono::TimeDelta::seconds(seconds)).to_rfc2822();
        WireAnswer { retry_after: if self.teams.says.as_date { wait.map(date) } else { answer.retry_after }, ..answer }
    }
}

/// How often each person got each notification.
pub fn copies(taken: &[Taken]) -> BTreeMap<(&str, usize, usize), usize> {
    let mut copies = BTreeMap::new();
    for message in taken {
        *copies.entry((message.text.as_str(), message.tenant, message.person)).or_default() += 1;
    }
    copies
}
