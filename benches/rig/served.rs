//! A real `herald serve`, asked as operators ask it; and an account of Cosmos DB in memory for it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use herald::clock::SystemClock;
use herald::store::cosmos::{Account, CosmosStore, Proof, create};
use serde_json::Value;

use super::{Child, Connection};

/// Any key will do: it is base64, and the emulator does not look at it.
const COSMOS_KEY: &str = "bm90IGEgc2VjcmV0";
/// So long a process may take until its store is there.
const PATIENCE: u32 = 600;

/// Settings, as the environment has them.
pub type Settings = Vec<(String, String)>;

/// Settings from literals.
pub fn settings(pairs: &[(&str, &str)]) -> Settings {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A Herald with a data directory below a folder, and its log beside that.
#[derive(Debug)]
pub struct Served {
    child: Child,
    connection: Connection,
    /// Where it listens.
    pub address: SocketAddr,
    /// What it logs.
    pub log: PathBuf,
}

impl Served {
    /// Starts the binary that this was built with, auth off, and waits until it can work.
    pub async fn start(folder: &Path, name: &str, more: &Settings) -> Self {
        let (data, log) = (folder.join(name), folder.join(format!("{name}.log")));
        let mut all = settings(&[("HERALD_LISTEN", "127.0.0.1:0"), ("HERALD_DATA_DIR", data.to_str().unwrap())]);
        all.extend(more.iter().cloned());
        let mut command = Command::new(env!("CARGO_BIN_EXE_herald"));
        let (child, address) = Child::listening(command.arg("serve"), &all, &log);
        let address = address.parse().unwrap();
        let mut served = Self { child, connection: Connection::open(address).await.unwrap(), address, log };
        for _ in 0..PATIENCE {
            if served.get("/api/health").await.0 == 200 {
                return served;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("it is not ready; see {}", served.log.display());
    }

    /// Asks for what stands at a path.
    pub async fn get(&mut self, path: &str) -> (u16, Value) {
        super::get(&mut self.connection, path, "").await
    }

    /// Posts a notification to everybody.
    pub async fn notify(&mut self, id: &str) {
        let body = format!(r#"{{"id":"{id}","content":{{"text":"**Build 12** failed"}},"audience":{{"all":true}}}}"#);
        let head = format!(
            "POST /api/notifications HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let (status, _) = self.connection.ask(format!("{head}{body}").as_bytes()).await.unwrap();
        assert_eq!(status, 202, "the notification was not taken");
    }

    /// The status of a notification once it is over.
    pub async fn end_of(&mut self, id: &str) -> Value {
        loop {
            let (_, status) = self.get(&format!("/api/notifications/{id}")).await;
            if !status["completedAt"].is_null() {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Prints what it warned of, but for that auth is off.
    pub fn tell_warnings(&self) {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let is_warning =
            |line: &&str| (line.contains(" WARN ") || line.contains("ERROR")) && !line.contains("HERALD_AUTH");
        let warnings: Vec<_> = log.lines().filter(is_warning).collect();
        for line in warnings.iter().take(5) {
            println!("  it warned: {line}");
        }
        if warnings.len() > 5 {
            println!("  and {} times more", warnings.len() - 5);
        }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }
}

/// The emulator (`cargo build --release --example cosmos_emulator`) in a process of its own.
#[derive(Debug)]
pub struct Azure {
    _child: Child,
    endpoint: String,
}

impl Azure {
    /// Starts it and lays out the store.
    pub async fn start(folder: &Path) -> Self {
        let example = std::env::current_exe().unwrap().with_file_name("../examples/cosmos_emulator");
        assert!(example.exists(), "first: cargo build --release --example cosmos_emulator");
        let mut command = Command::new(example);
        let (child, address) = Child::listening(&mut command, &Vec::new(), &folder.join("cosmos.log"));
        let azure = Self { _child: child, endpoint: format!("http://{address}") };
        create(&azure.account(), None).await.unwrap();
        azure
    }

    fn account(&self) -> Account {
        let endpoint = self.endpoint.parse().unwrap();
        Account { endpoint, database: "herald".into(), proof: Proof::key(COSMOS_KEY) }
    }

    /// A store that works on it.
    pub async fn store(&self) -> CosmosStore {
        self.account().open(None, std::sync::Arc::new(SystemClock)).await.unwrap()
    }

    /// The settings of a Herald that works on it.
    pub fn settings(&self) -> Settings {
        settings(&[("HERALD_STORE", "cosmos"), ("COSMOS_ENDPOINT", &self.endpoint), ("COSMOS_KEY", COSMOS_KEY)])
    }
}
