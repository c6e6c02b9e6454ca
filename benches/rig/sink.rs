//! A Teams that takes messages in a process of its own, as late as it is told, and knows how often each chat got one.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use herald::simulator::Traffic;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Child, Connection};

/// How it answers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Manner {
    /// After so long.
    pub latency: Duration,
    /// Every so many first messages of a chat are answered 429; zero: none.
    pub throttles_each: usize,
    /// Messages that each tenant may get in any second, enforced strictly; zero: as many as come.
    pub allows: usize,
}

impl Manner {
    /// As words of a command line.
    pub fn words(self) -> [String; 3] {
        [self.latency.as_millis().to_string(), self.throttles_each.to_string(), self.allows.to_string()]
    }

    fn read(words: &[String]) -> Self {
        let number = |place: usize| words.get(place).and_then(|word| word.parse().ok()).unwrap_or_default();
        let latency = Duration::from_millis(u64::try_from(number(0)).unwrap_or_default());
        Self { latency, throttles_each: number(1), allows: number(2) }
    }
}

#[derive(Debug, Default)]
struct Taken {
    chats: HashMap<String, (usize, usize)>,
    traffic: Traffic,
    throttled: usize,
    first: Option<Instant>,
    /// When each message was taken, in microseconds since the first one came.
    times: Vec<u64>,
}

impl Manner {
    /// Starts a process of this bench that behaves so; where it listens.
    pub fn start(self, folder: &Path) -> (Child, String) {
        let mut command = Command::new(std::env::current_exe().unwrap());
        Child::listening(command.arg("sink").args(self.words()), &[], &folder.join("sink.log"))
    }
}

/// What a sink has taken since it was last asked.
pub async fn taken(address: &str) -> Value {
    let mut connection = Connection::open(address.parse().unwrap()).await.unwrap();
    super::get(&mut connection, "/", "").await.1
}

/// Listens until it is killed. `GET /` says what it has taken and forgets it.
pub fn sink(words: &[String]) {
    let manner = Manner::read(words);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("listening on http://{}", listener.local_addr().unwrap());
        let taken: Arc<Mutex<Taken>> = Arc::default();
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(Connection::accepted(stream), manner, Arc::clone(&taken)));
        }
    });
}

async fn serve(mut connection: Connection, manner: Manner, taken: Arc<Mutex<Taken>>) {
    while let Ok(Some((head, _))) = connection.hear().await {
        let path = head.split(' ').nth(1).unwrap_or_default();
        let (status, body) = if path == "/" { (200, tell(&taken)) } else { take(path, manner, &taken) };
        if manner.latency > Duration::ZERO {
            tokio::time::sleep(manner.latency).await;
        }
        let (body, extra) = (body.to_string(), if status == 429 { "retry-after: 1\r\n" } else { "" });
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status} X\r\n{extra}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        if connection.say(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// `/<tenant>/v3/conversations/<chat>/activities`.
fn take(path: &str, manner: Manner, taken: &Mutex<Taken>) -> (u16, Value) {
    let mut taken = taken.lock().unwrap();
    let now = Instant::now();
    let first = *taken.first.get_or_insert(now);
    let tenant = path.split('/').nth(1).unwrap_or_default().to_owned();
    let chat = path.split('/').nth(4).unwrap_or_default().to_owned();
    let since = u64::try_from(now.duration_since(first).as_micros()).unwrap_or_default();
    let micros = i64::try_from(since).unwrap_or_default();
    let is_full = manner.allows > 0 && taken.traffic.admit(micros, &tenant, &chat, manner.allows).is_err();
    let chats = taken.chats.len() + 1;
    let known = taken.chats.entry(format!("{tenant}/{chat}")).or_default();
    known.0 += 1;
    let is_refused = known.0 == 1 && manner.throttles_each > 0 && chats.is_multiple_of(manner.throttles_each);
    if is_full || is_refused {
        taken.throttled += 1;
        return (429, json!({"error": {"code": "Throttled"}}));
    }
    known.1 += 1;
    taken.times.push(since);
    (201, json!({"id": "1780000000001"}))
}

fn tell(taken: &Mutex<Taken>) -> Value {
    let taken = std::mem::take(&mut *taken.lock().unwrap());
    let most = taken.chats.values().map(|(_, taken)| *taken).max().unwrap_or_default();
    let reached = taken.chats.values().filter(|(_, taken)| *taken > 0).count();
    let mut told = timeline(&taken.times);
    told["taken"] = json!(taken.times.len());
    told["throttled"] = json!(taken.throttled);
    told["chats"] = json!(reached);
    told["most"] = json!(most);
    told
}

/// Of the messages that were taken: from the first to the last of them, the longest time without one and when that began,
/// the most in any second and when that began, and when each tenth of them was there; in seconds.
fn timeline(times: &[u64]) -> Value {
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return json!({}) };
    #[expect(clippy::cast_precision_loss, reason = "microseconds of some hours")]
    let seconds = |micros: u64| micros as f64 / 1e6;
    let gap = times.windows(2).max_by_key(|pair| pair[1] - pair[0]).map_or((0, 0), |pair| (pair[1] - pair[0], pair[0]));
    let mut begin = 0;
    let crowds = times.iter().enumerate().map(|(end, time)| {
        while times[begin] + 1_000_000 <= *time {
            begin += 1;
        }
        (end + 1 - begin, times[begin])
    });
    let (fullest, full_at) = crowds.max_by_key(|(count, _)| *count).unwrap_or_default();
    let tenths: Vec<_> = (0..=10).map(|tenth| seconds(times[(times.len() - 1) * tenth / 10])).collect();
    json!({"seconds": seconds(last - first), "gap": seconds(gap.0), "gapAt": seconds(gap.1), "fullest": fullest,
        "fullestAt": seconds(full_at), "tenths": tenths})
}
