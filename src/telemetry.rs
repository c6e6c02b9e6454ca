//! Logging: one line where a failure is handled, with its fields; nothing secret, no message text.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Where log lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// The Functions host takes stdout for information and stderr for errors.
    Stdout,
    /// Everywhere else stdout is for results.
    Stderr,
}

/// The SDKs of Azure tell of every connection; their warnings are enough, unless somebody asks for them.
fn quiet(filter: &str) -> String {
    let is_quieter = EnvFilter::builder().parse_lossy(filter).max_level_hint() < Some(LevelFilter::WARN);
    if is_quieter || filter.contains("azure") { filter.to_owned() } else { format!("{filter},{SDKS}") }
}

const SDKS: &str = "azure_core=warn,azure_identity=warn,azure_data_cosmos=warn,azure_data_cosmos_driver=warn";

/// Starts logging; a second call in one process does nothing.
pub fn start(filter: &str, stream: Stream) {
    let filter = EnvFilter::builder().parse_lossy(quiet(filter));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_target(false);
    // A second subscriber is refused, which is what tests that start several roles want.
    let _ = match stream {
        Stream::Stdout => lines.with_ansi(false).try_init(),
        Stream::Stderr => lines.with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr).try_init(),
    };
}
