//! Herald as a process of its own, for what only a process can show: exit codes, signals, kill -9.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

/// A running `herald`; killed when it is dropped.
pub struct Child {
    pub child: std::process::Child,
    pub url: String,
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The binary with a clean environment.
pub fn herald(arguments: &[&str], settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_herald"));
    command.args(arguments).env_clear().envs(settings.iter().copied());
    command
}

/// Runs a command to its end, off the runtime: its exit code, stdout and stderr.
pub async fn report(mut command: Command) -> (i32, String, String) {
    let run = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = tokio::time::timeout(Duration::from_secs(60), run).await.expect("an end within a minute").unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

pub fn free_folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

impl Child {
    /// Starts `herald serve` and reads where it listens.
    pub fn serve(folder: &Path, settings: &[(&str, &str)]) -> Self {
        Self::started(folder, settings, Stdio::piped())
    }

    /// The same, and what it says goes into a file.
    pub fn serve_into(folder: &Path, settings: &[(&str, &str)], log: &Path) -> Self {
        Self::started(folder, settings, std::fs::File::create(log).unwrap().into())
    }

    fn started(folder: &Path, settings: &[(&str, &str)], stderr: Stdio) -> Self {
        let mut command = herald(&["serve"], settings);
        command.env("HERALD_DATA_DIR", folder).env("HERALD_LISTEN", "127.0.0.1:0");
        command.env("HERALD_SCHEDULE", "* * * * * *").stdout(Stdio::piped()).stderr(stderr);
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Some(url) = line.trim().strip_prefix("listening on ").map(str::to_owned) else {
            let mut errors = String::new();
            child.stderr.take().map(|mut stderr| stderr.read_to_string(&mut errors).unwrap());
            panic!("herald serve did not start: {line}{errors}");
        };
        Self { child, url }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the end, off the runtime.
    pub async fn ended(mut self) -> ExitStatus {
        let waiting = tokio::task::spawn_blocking(move || self.child.wait().unwrap());
        tokio::time::timeout(Duration::from_secs(25), waiting).await.expect("an end within 25 s").unwrap()
    }
}
