//! Activities as Teams sends them: distinct ids, and a time that only goes on.

use std::collections::HashMap;

use chrono::{SecondsFormat, SubsecRound, TimeDelta};
use herald::clock::{Clock, SystemClock, Timestamp};

use super::authority::{APP, TENANT};

/// Who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// So many persons, one after the other and again.
    Of(usize),
    /// Each activity is a new person's.
    Always(&'static str),
}

/// Makes requests, and remembers which of them were answered.
#[derive(Debug)]
pub struct Activities {
    head: String,
    service_url: String,
    kind: &'static str,
    audience: Audience,
    since: Timestamp,
    made: usize,
    /// The time of each person's last answered activity.
    pub last: HashMap<String, Timestamp>,
}

impl Activities {
    /// Activities of one kind (`message`, or one that no reply is due to), from one audience.
    pub fn new(token: &str, service_url: &str, kind: &'static str, audience: Audience) -> Self {
        let head = format!(
            "POST /api/messages HTTP/1.1\r\nhost: localhost:3978\r\nauthorization: Bearer {token}\r\n\
             user-agent: Microsoft-SkypeBotApi (Microsoft-BotFramework/3.0)\r\nms-cv: n2YlS4bS8EKnRi0k7w1Zjg.1.1\r\n\
             content-type: application/json; charset=utf-8\r\n"
        );
        // Whole microseconds, as they are kept.
        let since = SystemClock.now().trunc_subsecs(3) - TimeDelta::hours(1);
        Self { head, service_url: service_url.into(), kind, audience, since, made: 0, last: HashMap::new() }
    }

    /// The next one: who, when, and the request as it goes on the wire.
    pub fn next(&mut self, request: &mut Vec<u8>) -> (String, Timestamp) {
        self.made += 1;
        let who = match self.audience {
            Audience::Of(persons) => format!("known-{}", self.made % persons),
            Audience::Always(family) => format!("{family}-{}", self.made),
        };
        // Microseconds: what a store must keep apart, and an hour's worth of activities at any speed.
        let at = self.since + TimeDelta::microseconds(i64::try_from(self.made).unwrap_or_default());
        let body = self.body(&who, at);
        request.clear();
        request.extend_from_slice(self.head.as_bytes());
        request.extend_from_slice(format!("content-length: {}\r\n\r\n{body}", body.len()).as_bytes());
        (who, at)
    }

    /// One was answered with success.
    pub fn answered(&mut self, who: String, at: Timestamp) {
        let last = self.last.entry(who).or_insert(at);
        *last = at.max(*last);
    }

    fn body(&self, who: &str, at: Timestamp) -> String {
        let (kind, service_url, made) = (self.kind, &self.service_url, self.made);
        let since = self.since.timestamp_millis();
        let when = at.to_rfc3339_opts(SecondsFormat::Micros, true);
        format!(
            r#"{{"text":"Good morning, is there anything new?","textFormat":"plain","attachments":[{{"contentType":"text/html","content":"<p>Good morning, is there anything new?</p>"}}],"type":"{kind}","timestamp":"{when}","localTimestamp":"{when}","id":"{since}-{made}","channelId":"msteams","serviceUrl":"{service_url}","from":{{"id":"29:{who}","name":"Somebody Known","aadObjectId":"object-{who}"}},"conversation":{{"conversationType":"personal","tenantId":"{TENANT}","id":"a:{who}"}},"recipient":{{"id":"28:{APP}","name":"Herald"}},"entities":[{{"locale":"en-GB","country":"GB","platform":"Windows","timezone":"Europe/London","type":"clientInfo"}}],"channelData":{{"tenant":{{"id":"{TENANT}"}},"source":{{"name":"message"}},"legacy":{{"replyToId":"1:1hEcDRbC2"}}}},"locale":"en-GB","localTimezone":"Europe/London"}}"#
        )
    }
}
