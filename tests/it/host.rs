//! The custom handler: what a real Functions host sent, byte for byte; readiness; exit codes; the orphan rule.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use herald::simulator::Teams;
use serde_json::{Value, json};

use crate::support::{free_folder, herald, install};

/// `herald host` as a process.
struct Host {
    child: std::process::Child,
    port: u16,
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Host {
    fn start(folder: &Path) -> Self {
        let port = free_port();
        let mut command = herald(&["host"], &[("HERALD_STORE", "embedded")]);
        command.env("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string()).env("HERALD_DATA_DIR", folder);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        // The line says that it listens; what follows is drained so that logging never blocks.
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        assert!(line.contains("herald host"), "{line}");
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        Self { child, port }
    }

    /// Sends bytes and reads the whole answer: status and body.
    fn send(&self, request: &[u8]) -> (u16, String, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(request).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_lowercase(), body.to_owned())
    }

    /// A recorded request, byte for byte but for the port, and `Connection: close` so that the answer has an end.
    fn replay(&self, recorded: &Value, body: &str) -> (u16, String, String) {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let mut head = format!("{} {} HTTP/1.1\r\n", text(&recorded["method"]), text(&recorded["target"]));
        let mut chunked = false;
        for header in recorded["headers"].as_array().unwrap() {
            chunked |= text(&header[0]) == "Transfer-Encoding";
            let value = if text(&header[0]) == "Content-Length" { body.len().to_string() } else { text(&header[1]) };
            head += &format!("{}: {value}\r\n", text(&header[0]));
        }
        head += "Connection: close\r\n\r\n";
        let body = if chunked { format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()) } else { body.to_owned() };
        self.send(&[head.as_bytes(), body.as_bytes()].concat())
    }

    /// Waits until the store is open: until then everything but `/` is 503.
    fn ready(&self) {
        for _ in 0..200 {
            let (status, ..) = self.send(b"GET /api/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            if status == 200 {
                return;
            }
        }
        panic!("herald host does not become ready");
    }
}

fn recorded(name: &str) -> Value {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/host");
    serde_json::from_str(&std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap()).unwrap()
}

/// The inner answer of an HTTP function.
fn inner(body: &str) -> (String, Value, Value) {
    let reply: Value = serde_json::from_str(body).unwrap();
    let res = &reply["Outputs"]["res"];
    assert!(res["headers"].as_object().unwrap().values().all(Value::is_string), "header values are texts: {res}");
    let inner = serde_json::from_str(res["body"].as_str().unwrap()).unwrap_or_default();
    (res["statusCode"].as_str().unwrap().to_owned(), inner, reply["Outputs"].clone())
}

#[test]
fn what_a_real_host_sent_gets_the_right_answer() {
    let folder = free_folder();
    let host = Host::start(folder.path());
    host.ready();
    let replay = |name: &str| {
        let request = recorded(name);
        let answer = host.replay(&request, request["body"].as_str().unwrap());
        assert!(
            !answer.2.is_empty() || !request["target"].as_str().unwrap().starts_with("/T"),
            "never an empty answer"
        );
        answer
    };
    assert_eq!(replay("ready").0, 200);
    for name in ["queue", "queue-delivery", "queue-admin", "timer-fast", "timer-first", "timer-past-due", "timer-admin"]
    {
        let (status, head, body) = replay(name);
        assert_eq!(status, 200, "{name}: {body}");
        assert!(head.contains("content-type: application/json\r\n"), "{name}: {head}");
        let done: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(done, json!({"Outputs": {}, "Logs": [], "ReturnValue": null}), "{name}");
    }
    let (status, head, body) = replay("http-envelope");
    assert_eq!((status, head.contains("content-type: application/json\r\n")), (200, true));
    let (code, accepted, outputs) = inner(&body);
    assert_eq!((code.as_str(), &accepted["id"]), ("202", &json!("build-12")));
    assert_eq!(outputs["res"]["headers"]["Location"], "/api/notifications/build-12");
    // Its `sendAt` was in the future when it was recorded; whether it is by now decides what is put out.
    let later = herald::clock::Clock::now(&herald::clock::SystemClock).to_rfc3339().as_str() < "2026-11-23T08:00:00";
    assert_eq!((accepted["state"] == "scheduled", outputs["notifications"].is_null()), (later, later));
    let (code, problem, _) = inner(&replay("http-envelope-chunked").2);
    assert_eq!((code.as_str(), problem["detail"].as_str().unwrap().contains("Content-Length")), ("411", true));
    let (code, problem, outputs) = inner(&replay("http-envelope-empty").2);
    assert_eq!((code.as_str(), problem["detail"].as_str().unwrap().contains("Content-Length")), ("400", true));
    assert_eq!(outputs["res"]["headers"]["Content-Type"], "application/problem+json");
    let (status, head, body) = replay("proxied-message");
    assert_eq!((status, head.contains("application/problem+json")), (400, true), "no activity: {body}");
    let (status, _, body) = replay("proxied-get");
    assert_eq!((status, body.as_str()), (200, r#"{"recipients":[]}"#));
    assert_eq!(inner(&replay("old-notifications-get").2).0, "400", "its continuation is none of ours");
    let (code, list, _) = inner(&replay("old-notifications-list").2);
    assert_eq!((code.as_str(), list["notifications"].as_array().map(Vec::len)), ("200", Some(1)));
    let (status, _, body) = replay("proxied-delete");
    let cancelled: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &cancelled["state"]), (200, &json!("cancelled")));
    let (code, status, _) = inner(&replay("old-notifications-delete").2);
    assert_eq!((code.as_str(), &status["state"]), ("200", &json!("cancelled")));
    assert_eq!(inner(&replay("old-health").2).0, "200");
    assert_eq!(inner(&replay("old-messages").2).0, "400", "no activity");
    let (code, users, _) = inner(&replay("old-users").2);
    assert_eq!((code.as_str(), users), ("200", json!({"users": []})));
}

#[test]
fn what_no_host_sends_fails_the_invocation() {
    let folder = free_folder();
    let host = Host::start(folder.path());
    host.ready();
    let queue = recorded("queue");
    for body in ["", "{", "[]", "{}", r#"{"Data":{}}"#, r#"{"Data":{"message":"\"hello\""}}"#] {
        let (status, ..) = host.replay(&queue, body);
        assert_eq!(status, 500, "{body}");
    }
    let large = json!({"Data": {"req": {"Method": "POST", "Body": "x".repeat(1024 * 1024 + 1)}}}).to_string();
    let create = recorded("http-envelope");
    assert_eq!(inner(&host.replay(&create, &large).2).0, "413");
    let larger = format!(r#"{{"Data":"{}"}}"#, "x".repeat(9 * 1024 * 1024));
    assert_eq!(inner(&host.replay(&create, &larger).2).0, "413", "even when it is not read to its end");
    let single = r#"{"Data":{"message":"{\"notification\":\"build-12\"}"},"Metadata":{}}"#;
    assert_eq!(host.replay(&queue, single).0, 200, "encoded once, as the documents have it");
    let get = |path: &str| host.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes());
    assert_eq!(get("/Tick").0, 405);
    assert_eq!(get("/tick").0, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notification_goes_from_envelope_to_envelope() {
    let (folder, teams) = (free_folder(), Teams::start().await.unwrap());
    let host = Host::start(folder.path());
    let (host, teams) = tokio::task::spawn_blocking(move || {
        host.ready();
        let post = |path: &str, body: &Value| {
            let body = body.to_string();
            let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
            host.send(&[head.as_bytes(), body.as_bytes()].concat())
        };
        assert_eq!(post("/api/messages", &install(&teams, "ana")).0, 200);
        let body = json!({"id": "n", "content": {"text": "x"}, "audience": {"all": true}}).to_string();
        let envelope = json!({"Data": {"req": {"Method": "POST", "Headers": {}, "Query": {}, "Params": {}, "Body": body}}, "Metadata": {}});
        let (code, _, outputs) = inner(&post("/CreateNotification", &envelope).2);
        assert_eq!(code, "202");
        let put_out = |body: &str, binding: &str| {
            let reply: Value = serde_json::from_str(body).unwrap();
            reply["Outputs"][binding].as_array().map_or(Vec::new(), |list| list.iter().map(|text| text.as_str().unwrap().to_owned()).collect())
        };
        let as_message = |text: &str| json!({"Data": {"message": json!(text).to_string()}, "Metadata": {}});
        let pointer = outputs["notifications"][0].as_str().unwrap().to_owned();
        let planned = post("/RunNotification", &as_message(&pointer)).2;
        let deliveries = put_out(&planned, "deliveries");
        assert_eq!(deliveries.len(), 1, "{planned}");
        let delivered = post("/DeliverBatch", &as_message(&deliveries[0])).2;
        assert_eq!(put_out(&delivered, "notifications"), [r#"{"notification":"n","tenant":"tenant"}"#], "all are sent: the notification can be closed");
        assert!(put_out(&post("/RunNotification", &as_message(&pointer)).2, "notifications").is_empty());
        let repeated = post("/DeliverBatch", &as_message(&deliveries[0])).2;
        assert_eq!(serde_json::from_str::<Value>(&repeated).unwrap()["Outputs"], json!({}), "again changes nothing");
        let status = host.send(b"GET /api/notifications/n HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").2;
        let status: Value = serde_json::from_str(&status).unwrap();
        assert_eq!((&status["state"], &status["counts"]["sent"]), (&json!("completed"), &json!(1)));
        (host, teams)
    })
    .await
    .unwrap();
    assert_eq!(teams.delivered("x")["a:ana"], 1);
    drop(host);
}

#[test]
fn it_listens_before_the_store_is_there() {
    use herald::store::embedded::Embedded;
    let folder = free_folder();
    let other = Embedded::open(folder.path()).unwrap();
    let host = Host::start(folder.path());
    assert_eq!(host.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").0, 200);
    let (status, head, _) = host.send(b"GET /api/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!((status, head.contains("retry-after")), (503, true));
    other.close();
    host.ready();
}

#[test]
fn asked_to_end_it_exits_200() {
    let folder = free_folder();
    let mut host = Host::start(folder.path());
    host.ready();
    let kill = std::process::Command::new("kill").args(["-TERM", &host.child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    assert_eq!(host.child.wait().unwrap().code(), Some(200));
}

#[test]
fn it_ends_when_its_parent_is_gone() {
    let (folder, port) = (free_folder(), free_port());
    // A shell that starts the handler, says its number, and is gone.
    let script = format!("{} host >/dev/null 2>&1 & echo $!; exec sleep 60", env!("CARGO_BIN_EXE_herald"));
    let mut parent = std::process::Command::new("sh")
        .args(["-c", &script])
        .env("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string())
        .env("HERALD_STORE", "embedded")
        .env("HERALD_DATA_DIR", folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut number = String::new();
    BufReader::new(parent.stdout.take().unwrap()).read_line(&mut number).unwrap();
    let connect = || TcpStream::connect(("127.0.0.1", port));
    let began = tokio::time::Instant::now();
    while connect().is_err() {
        assert!(began.elapsed() < Duration::from_secs(20), "the handler does not listen");
    }
    parent.kill().unwrap();
    parent.wait().unwrap();
    let process = PathBuf::from("/proc").join(number.trim());
    let began = tokio::time::Instant::now();
    let lives = || std::fs::read_to_string(process.join("stat")).is_ok_and(|stat| !stat.contains(") Z "));
    while lives() {
        assert!(began.elapsed() < Duration::from_secs(20), "the handler lives on");
    }
}
