//! Processes: one that is measured dies with its handle, and stays on its core where `taskset` is there.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// Where a process may run. With two cores, whoever is measured has one and whoever asks has the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Core {
    /// The one of what is measured.
    Measured,
    /// The one of the bench itself.
    Asking,
}

impl Core {
    fn number(self) -> &'static str {
        match self {
            Self::Measured => "0",
            Self::Asking => "1",
        }
    }
}

/// A command that stays on a core, and whether it does: without `taskset` or a second core it runs anywhere.
pub fn pinned(core: Core, program: &str) -> (Command, bool) {
    if !can_pin() {
        return (Command::new(program), false);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", core.number(), program]);
    (command, true)
}

/// Keeps this process on its core, if that is possible. Before any thread is made: those that there are stay free.
pub fn pin_myself() -> bool {
    let me = std::process::id().to_string();
    can_pin() && succeeds(Command::new("taskset").args(["-cp", Core::Asking.number(), &me]))
}

fn can_pin() -> bool {
    succeeds(Command::new("taskset").args(["-c", Core::Asking.number(), "true"]))
}

fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// A process that dies with its handle.
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Child {
    /// Starts a command with nothing of our environment in it; what it logs goes into `log`.
    pub fn start(command: &mut Command, settings: &[(String, String)], log: &Path) -> Self {
        let log = std::fs::File::create(log).unwrap();
        command.env_clear().envs(settings.iter().map(|(name, value)| (name, value)));
        Self { process: command.stderr(log).stdin(Stdio::null()).spawn().unwrap() }
    }

    /// Starts a command that says `listening on http://…` first; where that is.
    pub fn listening(command: &mut Command, settings: &[(String, String)], log: &Path) -> (Self, String) {
        let mut child = Self::start(command.stdout(Stdio::piped()), settings, log);
        let mut line = String::new();
        BufReader::new(child.process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").map(str::to_owned);
        (child, address.unwrap_or_else(|| panic!("it did not start: {line}; see {}", log.display())))
    }

    /// Its number. `taskset` becomes what it starts, so this is always what is measured.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }
}
