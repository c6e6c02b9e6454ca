//! What a scenario file may say. Times are seconds of the simulated world.

use std::collections::BTreeMap;

use serde::Deserialize;

/// One scenario.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scenario {
    /// What is shown.
    pub says: String,
    /// `HERALD_TENANT_RATE`.
    #[serde(default = "fifty")]
    pub rate: u32,
    /// How far each instance's clock is off.
    #[serde(default = "one_instance")]
    pub instances: Vec<f64>,
    /// Who there is.
    pub audience: Audience,
    /// What is sent; nothing said: one to all, at once.
    #[serde(default = "one_notification")]
    pub notifications: Vec<Notification>,
    /// What Teams does.
    #[serde(default)]
    pub teams: Teams,
    /// What the Functions host does.
    #[serde(default)]
    pub host: Host,
    /// How long a call of the store takes.
    #[serde(default = "five_milliseconds")]
    pub store: f64,
    /// The same for each instance, where they differ.
    #[serde(default)]
    pub stores: Vec<f64>,
    /// How much longer a call may take, by chance.
    #[serde(default)]
    pub jitter: f64,
    /// What must come out.
    pub expect: Expect,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audience {
    pub tenants: usize,
    /// In each tenant.
    pub people: usize,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Notification {
    /// When it is posted.
    pub at: f64,
    /// To which tenants; none: all.
    pub tenants: Option<Vec<usize>>,
    /// When it expires, from the beginning.
    pub expires: Option<f64>,
    /// When it is cancelled, from the beginning.
    pub cancelled: Option<f64>,
    /// `onUncertain: resend`.
    pub resend: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Teams {
    /// Messages in any second, of each tenant; none: as many as come.
    pub allows: Option<usize>,
    /// The same later on.
    pub then: Vec<Change>,
    /// The same for single tenants.
    pub tenants: BTreeMap<usize, usize>,
    /// How long a pause a 429 asks for; none: it does not say.
    pub retry_after: Option<u32>,
    /// Whether it says so as a date.
    pub as_date: bool,
    /// From a request to its answer; the message is taken halfway.
    pub latency: f64,
    /// How some conversations answer their first messages.
    pub answers: Vec<Answer>,
}

impl Default for Teams {
    fn default() -> Self {
        Self {
            allows: Some(50),
            then: Vec::new(),
            tenants: BTreeMap::new(),
            retry_after: Some(2),
            as_date: false,
            latency: 0.1,
            answers: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    pub at: f64,
    pub allows: usize,
}

/// Every so many people of a tenant are answered so, so often.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Answer {
    pub every: usize,
    /// Only in this tenant.
    #[serde(default)]
    pub tenant: Option<usize>,
    pub how: How,
    #[serde(default = "once")]
    pub times: usize,
    #[serde(default)]
    pub retry_after: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum How {
    /// 429.
    Throttled,
    /// 503: not delivered.
    Unavailable,
    /// 403, blocked.
    Blocked,
    /// Taken, and the connection ends.
    Lost,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Host {
    /// Invocations at once, of each instance: `batchSize` and `newBatchThreshold` of host.json.
    pub slots: usize,
    /// Each message is lost when it is put in for the first time.
    pub loses_each_once: bool,
    /// Each message comes so often.
    pub copies: usize,
    /// The outputs of every so many invocations are dropped.
    pub drops_outputs_of_each: Option<usize>,
    /// Instances that die.
    pub kills: Vec<Kill>,
}

impl Default for Host {
    fn default() -> Self {
        Self { slots: 12, loses_each_once: false, copies: 1, drops_outputs_of_each: None, kills: Vec::new() }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kill {
    pub at: f64,
    pub instance: usize,
}

/// Ranges, both ends included.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Expect {
    pub sent: Option<[u64; 2]>,
    pub failed: Option<[u64; 2]>,
    pub uncertain: Option<[u64; 2]>,
    pub skipped: Option<[u64; 2]>,
    /// 429s for a tenant that was too fast.
    pub throttled: Option<[usize; 2]>,
    /// From the first post to the last message.
    pub seconds: Option<[f64; 2]>,
    /// What was sent of what Teams allowed each tenant from its first message to its last.
    pub share: Option<f64>,
    /// The longest time in which a tenant with work had no message; two Ticks where nothing is said.
    pub stall: Option<f64>,
    /// The same of single tenants, which are left out of the above.
    pub stalls_of: BTreeMap<usize, f64>,
    /// The longest the queue of deliveries ever was.
    pub queue: Option<usize>,
    /// From the end of a cancelled or expired notification to its last message.
    pub after_the_end: Option<f64>,
    /// Documents written for each thousand messages, at most.
    pub written: Option<u64>,
    /// How many instances send a tenth of their share of the messages at least.
    pub at_work: Option<usize>,
    /// Whether messages may come twice.
    pub twice: bool,
}

fn fifty() -> u32 {
    50
}

fn one_instance() -> Vec<f64> {
    vec![0.0]
}

fn one_notification() -> Vec<Notification> {
    vec![Notification::default()]
}

fn five_milliseconds() -> f64 {
    0.005
}

fn once() -> usize {
    1
}
